/* The norm of the gradient, and clipping. */
#include <math.h>
#include <string.h>

#include <tidegate/tidegate.h>

#include "check_main.h"
#include "params/pieces.h"
#include "workers.h"

typedef struct fixture {
    tg_context *cx;
    tg_params *ps;
} fixture;

/* Parameters a (2,2), b (3), of value 1. */
static fixture small(void)
{
    fixture f = { .cx = tg_context_new(NULL) };
    f.ps = tg_params_new(f.cx);
    tg_parameter_new(f.ps, "a", 2, (int[]){ 2, 2 }, (tg_init){ TG_INIT_ONES, 0 });
    tg_parameter_new(f.ps, "b", 1, (int[]){ 3 }, (tg_init){ TG_INIT_ONES, 0 });
    ck_assert(tg__params_freeze(f.ps));
    return f;
}

static void set_gradient(tg_params *ps, const char *name, const tg_real *g)
{
    tg__params_scatter(tg__params_find(ps, name), ps->gradient, g);
}

static void assert_gradient(tg_params *ps, const char *name, size_t n, const double *expected,
                            double tolerance)
{
    tg_real g[8];
    tg__params_gather(tg__params_find(ps, name), ps->gradient, g);
    for (size_t i = 0; i < n; i++) ck_assert_double_le(fabs((double)g[i] - expected[i]), tolerance);
}

/* Not a unit threshold: max_norm^2, or max_norm forgotten, would show. */
START_TEST(clipping_a_norm_of_10_to_5_leaves_5_and_returns_10)
{
    fixture f = small();
    set_gradient(f.ps, "a", (tg_real[]){ 6, 0, 0, 0 });
    set_gradient(f.ps, "b", (tg_real[]){ 0, -8, 0 });
    ck_assert_double_eq_tol((double)tg_params_clip_norm(f.ps, 5), 10, 1e-6);
    ck_assert_double_eq_tol((double)tg_params_gradient_norm(f.ps), 5, 2e-6);
    assert_gradient(f.ps, "a", 4, (double[]){ 3, 0, 0, 0 }, 1e-6);
    assert_gradient(f.ps, "b", 3, (double[]){ 0, -4, 0 }, 1e-6);
    tg_context_free(f.cx);
}
END_TEST

START_TEST(clipping_leaves_a_smaller_norm_as_it_is)
{
    fixture f = small();
    set_gradient(f.ps, "a", (tg_real[]){ (tg_real)0.1, 2, 0, 0 });
    ck_assert_double_eq_tol((double)tg_params_clip_norm(f.ps, 3), sqrt(4.01), 1e-6);
    assert_gradient(f.ps, "a", 4, (double[]){ (double)(tg_real)0.1, 2, 0, 0 }, 0);
    ck_assert_double_eq_tol((double)tg_params_clip_norm(f.ps, (tg_real)INFINITY), sqrt(4.01), 1e-6);
    assert_gradient(f.ps, "a", 4, (double[]){ (double)(tg_real)0.1, 2, 0, 0 }, 0);
    tg_context_free(f.cx);
}
END_TEST

START_TEST(norm_and_clipping_leave_out_frozen_parameters)
{
    fixture f = small();
    ck_assert_int_eq(tg_params_set_flags(f.ps, "a", &(tg_parameter_flags){ .frozen = true }), TG_OK);
    set_gradient(f.ps, "a", (tg_real[]){ 6, 0, 0, (tg_real)NAN });
    set_gradient(f.ps, "b", (tg_real[]){ 0, -8, 0 });
    ck_assert_double_eq_tol((double)tg_params_gradient_norm(f.ps), 8, 1e-6);
    ck_assert_double_eq_tol((double)tg_params_clip_norm(f.ps, 2), 8, 1e-6);
    assert_gradient(f.ps, "b", 3, (double[]){ 0, -2, 0 }, 1e-6);
    tg_params_clip_value(f.ps, 1);
    assert_gradient(f.ps, "a", 3, (double[]){ 6, 0, 0 }, 0);
    assert_gradient(f.ps, "b", 3, (double[]){ 0, -1, 0 }, 0);
    tg_context_free(f.cx);
}
END_TEST

START_TEST(clipping_returns_what_is_not_finite_and_lets_the_step_find_it)
{
    static const double bad[] = { NAN, INFINITY, -INFINITY };
    for (int k = 0; k < 3; k++) {
        tg_real g[4];
        fixture f = small();
        set_gradient(f.ps, "a", (tg_real[]){ 5, (tg_real)bad[k], -7, 0 });
        ck_assert(!isfinite(tg_params_gradient_norm(f.ps)));
        ck_assert(!isfinite(tg_params_clip_norm(f.ps, 1)));
        ck_assert_int_eq(tg_params_get_gradient(f.ps, "a", g, 4), TG_OK);
        ck_assert(g[0] == 5 && g[2] == -7 && !isfinite(g[1]));
        tg_params_clip_value(f.ps, 2);
        ck_assert_int_eq(tg_params_get_gradient(f.ps, "a", g, 4), TG_OK);
        ck_assert(g[0] == 2 && g[2] == -2 && !isfinite(g[1]));
        ck_assert(tg_context_ok(f.cx));
        tg_context_free(f.cx);
    }
}
END_TEST

/* Each gradient is finite; in float the norm, or the factor of clipping, lies beyond the normal numbers. */
START_TEST(finite_gradient_is_clipped_right_whatever_its_norm)
{
    const double most = TG_DOUBLE ? 1.5e308 : 3e38, least = TG_DOUBLE ? 1e-10 : 1e-5;
    const struct {
        double g[4], max_norm;
    } cases[] = { { { most, most, most, -most }, 1 },
                  { { most, 0, 0, 0 }, 5 },
                  { { most, -most, most / 4, 0 }, least },
                  { { most / 1e20, 1, 0, 0 }, 1e3 } };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        fixture f = small();
        tg_real g[4];
        double expected[4], norm = 0;
        for (int i = 0; i < 4; i++) g[i] = (tg_real)cases[k].g[i], norm = hypot(norm, (double)g[i]);
        for (int i = 0; i < 4; i++) expected[i] = cases[k].max_norm * ((double)g[i] / norm);
        const bool beyond_double = !isfinite(norm); /* in the double library: no such norm is clipped */
        for (int i = 0; i < 4 && beyond_double; i++) expected[i] = (double)g[i];
        set_gradient(f.ps, "a", g);
        const double got = tg_params_clip_norm(f.ps, (tg_real)cases[k].max_norm);
        ck_assert(beyond_double ? isinf(got) : fabs(got / norm - 1) < 1e-12);
        assert_gradient(f.ps, "a", 4, expected, 1e-6 * cases[k].max_norm);
        if (!beyond_double)
            ck_assert_double_eq_tol(tg_params_gradient_norm(f.ps) / cases[k].max_norm, 1, 1e-6);
        ck_assert(tg_context_ok(f.cx));
        tg_context_free(f.cx);
    }
}
END_TEST

START_TEST(clipping_by_value_bounds_each_gradient)
{
    fixture f = small();
    set_gradient(f.ps, "a", (tg_real[]){ 5, -5, 1.5, -1.5 });
    set_gradient(f.ps, "b", (tg_real[]){ 2.5, 0, -2.5 });
    tg_params_clip_value(f.ps, 2.5);
    assert_gradient(f.ps, "a", 4, (double[]){ 2.5, -2.5, 1.5, -1.5 }, 0);
    assert_gradient(f.ps, "b", 3, (double[]){ 2.5, 0, -2.5 }, 0);
    tg_context_free(f.cx);
}
END_TEST

START_TEST(threshold_that_is_not_positive_fails_with_the_number)
{
    static const double bad[] = { 0, -1.5, NAN };
    static const char *text[] = { "0", "-1.5", "nan" };
    char sentence[100];
    for (int k = 0; k < 3; k++) {
        fixture f = small();
        set_gradient(f.ps, "a", (tg_real[]){ 5, 0, 0, 0 });
        ck_assert(isnan(tg_params_clip_norm(f.ps, (tg_real)bad[k])));
        ck_assert_int_eq(tg_context_status(f.cx), TG_ERR_ARGUMENT);
        snprintf(sentence, sizeof sentence, "tg_params_clip_norm: max_norm is %s, must be positive", text[k]);
        ck_assert_str_eq(tg_context_message(f.cx), sentence);
        tg_context_clear(f.cx);
        tg_params_clip_value(f.ps, (tg_real)bad[k]);
        snprintf(sentence, sizeof sentence, "tg_params_clip_value: the limit is %s, must be positive",
                 text[k]);
        ck_assert_str_eq(tg_context_message(f.cx), sentence);
        tg_context_clear(f.cx);
        assert_gradient(f.ps, "a", 4, (double[]){ 5, 0, 0, 0 }, 0);
        tg_context_free(f.cx);
    }
}
END_TEST

START_TEST(set_without_gradients_has_norm_zero_and_is_not_touched)
{
    fixture f = small();
    tg_context *server = tg_context_new(NULL);
    tg_params *shared = tg_params_share(server, f.ps), *fresh = tg_params_new(server);
    tg_parameter_new(shared, "b", 1, (int[]){ 3 }, (tg_init){ TG_INIT_ONES, 0 });
    ck_assert(tg__params_freeze(shared));
    tg_parameter_new(fresh, "b", 1, (int[]){ 3 }, (tg_init){ TG_INIT_ONES, 0 });
    for (int k = 0; k < 2; k++) {
        tg_params *ps = k ? shared : fresh;
        ck_assert_double_eq((double)tg_params_gradient_norm(ps), 0);
        ck_assert_double_eq((double)tg_params_clip_norm(ps, (tg_real)1e-9), 0);
        tg_params_clip_value(ps, 1);
    }
    ck_assert(tg_context_ok(server));
    tg_context_free(server);
    tg_context_free(f.cx);
}
END_TEST

/* Blocks of odd sizes, many pieces, some of them of several blocks, one block of several pieces. */
static fixture large(int threads)
{
    static const int sizes[] = { 100003, 1, 7, 300001, 17, 65536, 12345 };
    fixture f;
    char name[8];
    f.cx = context_of_workers(threads, 1);
    f.ps = tg_params_new(f.cx);
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        snprintf(name, sizeof name, "p%zu", k);
        tg_parameter_new(f.ps, name, 1, &sizes[k], (tg_init){ TG_INIT_ZEROS, 0 });
    }
    ck_assert(tg__params_freeze(f.ps));
    for (const param_block *b = f.ps->first; b; b = b->next)
        for (size_t i = 0; i < tg__size(&b->x); i++)
            b->x.grad[i] =
                (tg_real)(tg_random_uniform(f.cx, "g", 0, b->offset + i) * exp(10 * sin((double)i)));
    ck_assert_int_eq(tg_params_set_flags(f.ps, "p5", &(tg_parameter_flags){ .frozen = true }), TG_OK);
    return f;
}

START_TEST(norm_of_many_blocks_is_the_root_of_the_sum_of_squares)
{
    fixture f = large(1);
    long double sum = 0;
    for (const param_block *b = f.ps->first; b; b = b->next)
        for (size_t i = 0; i < tg__size(&b->x) && !b->flags.frozen; i++)
            sum += (long double)b->x.grad[i] * b->x.grad[i];
    ck_assert_double_eq_tol(tg_params_gradient_norm(f.ps) / sqrt((double)sum), 1, 1e-13);
    tg_context_free(f.cx);
}
END_TEST

START_TEST(norm_and_clipping_are_the_same_bits_for_any_number_of_workers)
{
    static const int workers[] = { 2, 3, 8 };
    fixture one = large(1);
    const double before = tg_params_clip_norm(one.ps, 3), after = tg_params_gradient_norm(one.ps);
    for (int k = 0; k < 3; k++) {
        fixture f = large(workers[k]);
        ck_assert(tg_params_clip_norm(f.ps, 3) == before);
        ck_assert(tg_params_gradient_norm(f.ps) == after);
        ck_assert_mem_eq(f.ps->gradient, one.ps->gradient, one.ps->flat * sizeof(tg_real));
        UNTIL_SHARED(f.cx) ck_assert(tg_params_gradient_norm(f.ps) == after);
        tg_context_free(f.cx);
    }
    tg_context_free(one.cx);
}
END_TEST

TG_TEST_MAIN("params/clip", clipping_a_norm_of_10_to_5_leaves_5_and_returns_10,
             clipping_leaves_a_smaller_norm_as_it_is, norm_and_clipping_leave_out_frozen_parameters,
             clipping_returns_what_is_not_finite_and_lets_the_step_find_it,
             finite_gradient_is_clipped_right_whatever_its_norm, clipping_by_value_bounds_each_gradient,
             threshold_that_is_not_positive_fails_with_the_number,
             set_without_gradients_has_norm_zero_and_is_not_touched,
             norm_of_many_blocks_is_the_root_of_the_sum_of_squares,
             norm_and_clipping_are_the_same_bits_for_any_number_of_workers)
