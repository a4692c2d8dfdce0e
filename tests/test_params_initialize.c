/* How parameters start. */
#include <math.h>
#include <string.h>

#include <tidegate/tidegate.h>

#include "check_main.h"
#include "params/params.h"
#include "workers.h"

enum { MOST = 1 << 16 };

typedef struct drawn {
    tg_context *cx;
    tg_params *ps;
    tg_real x[MOST];
    size_t n;
} drawn;

/* The values of one parameter (rows, columns) of that name. */
static void draw_with(drawn *d, int threads, uint64_t seed, const char *name, int rows, int columns,
                      tg_init init)
{
    d->cx = context_of_workers(threads, seed);
    d->ps = tg_params_new(d->cx);
    d->n = (size_t)rows * (size_t)columns;
    ck_assert_uint_le(d->n, MOST);
    tg_parameter_new(d->ps, name, 2, (int[]){ rows, columns }, init);
    ck_assert_int_eq(tg_params_get(d->ps, name, d->x, d->n), TG_OK);
}

static drawn *draw(const char *name, int rows, int columns, tg_init init)
{
    static drawn d;
    draw_with(&d, 1, 7, name, rows, columns, init);
    tg_context_free(d.cx);
    return &d;
}

static double mean_of(const drawn *d)
{
    double sum = 0;
    for (size_t i = 0; i < d->n; i++) sum += (double)d->x[i];
    return sum / (double)d->n;
}

static double deviation_of(const drawn *d)
{
    double sum = 0;
    for (size_t i = 0; i < d->n; i++) sum += (double)d->x[i] * (double)d->x[i];
    return sqrt(sum / (double)d->n);
}

static double largest_of(const drawn *d)
{
    double most = 0;
    for (size_t i = 0; i < d->n; i++) most = fmax(most, fabs((double)d->x[i]));
    return most;
}

/* U(-a, a): bounds reached but not passed, mean 0, deviation a / sqrt(3), within 5 standard errors. */
static void assert_uniform(const drawn *d, double a)
{
    const double error = a / sqrt(3 * (double)d->n);
    ck_assert_double_le(largest_of(d), a * (1 + 1e-6));
    ck_assert_double_ge(largest_of(d), a * 0.999);
    ck_assert_double_eq_tol(mean_of(d), 0, 5 * error);
    ck_assert_double_eq_tol(deviation_of(d), a / sqrt(3), 5 * error);
}

START_TEST(glorot_is_uniform_within_its_limit)
{
    assert_uniform(draw("w", 200, 300, (tg_init){ TG_INIT_GLOROT, 0 }), sqrt(6.0 / 500));
    assert_uniform(draw("w", 300, 200, (tg_init){ TG_INIT_GLOROT, 2 }), 2 * sqrt(6.0 / 500));
}
END_TEST

START_TEST(glorot_of_one_dimension_takes_it_for_both_fans)
{
    static drawn d;
    d.cx = context_of_workers(1, 7);
    d.ps = tg_params_new(d.cx);
    d.n = 10000;
    tg_parameter_new(d.ps, "b", 1, (int[]){ 10000 }, (tg_init){ TG_INIT_GLOROT, 0 });
    ck_assert_int_eq(tg_params_get(d.ps, "b", d.x, d.n), TG_OK);
    assert_uniform(&d, sqrt(6.0 / 20000));
    tg_context_free(d.cx);
}
END_TEST

START_TEST(uniform_and_normal_have_their_scale_and_their_default)
{
    assert_uniform(draw("w", 200, 300, (tg_init){ TG_INIT_UNIFORM, 0 }), 0.1);
    assert_uniform(draw("w", 200, 300, (tg_init){ TG_INIT_UNIFORM, 3 }), 3);
    for (int scale = 0; scale < 3; scale++) {
        const drawn *d = draw("w", 200, 300, (tg_init){ TG_INIT_NORMAL, (tg_real)scale });
        const double s = scale ? scale : 0.1, error = s / sqrt((double)d->n);
        size_t within = 0;
        for (size_t i = 0; i < d->n; i++) within += fabs((double)d->x[i]) < s;
        ck_assert_double_eq_tol(mean_of(d), 0, 5 * error);
        ck_assert_double_eq_tol(deviation_of(d), s, 5 * error);
        ck_assert_double_eq_tol((double)within / (double)d->n, 0.6827, 0.01);
    }
}
END_TEST

START_TEST(constants_are_constant_and_TG_ZERO_is_zero)
{
    const drawn *d = draw("w", 5, 7, (tg_init){ TG_INIT_ONES, 0 });
    for (size_t i = 0; i < d->n; i++) ck_assert_double_eq((double)d->x[i], 1);
    for (tg_initializer kind = TG_INIT_GLOROT; kind <= TG_INIT_ZEROS; kind++) {
        d = draw("w", 5, 7, (tg_init){ kind, TG_ZERO });
        for (size_t i = 0; i < d->n; i++) ck_assert_double_eq((double)d->x[i], 0);
    }
}
END_TEST

/* gain^2 on the diagonal of Q'Q (tall) or QQ' (wide), 0 beside it. */
static void assert_orthogonal(const drawn *d, int rows, int columns, double gain)
{
    const bool tall = rows >= columns;
    const int n = tall ? columns : rows, L = tall ? rows : columns;
    for (int a = 0; a < n; a++)
        for (int b = 0; b <= a; b++) {
            double sum = 0;
            for (int i = 0; i < L; i++)
                sum += (double)d->x[tall ? i * columns + a : a * columns + i] *
                       (double)d->x[tall ? i * columns + b : b * columns + i];
            ck_assert_double_eq_tol(sum, a == b ? gain * gain : 0, 1e-6 * gain * gain);
        }
}

START_TEST(orthogonal_rows_or_columns_are_orthonormal)
{
    static const int shapes[][2] = { { 1, 1 },   { 65, 65 }, { 100, 40 }, { 40, 100 },
                                     { 32, 32 }, { 1, 9 },   { 200, 199 } };
    for (size_t k = 0; k < sizeof shapes / sizeof *shapes; k++) {
        const int rows = shapes[k][0], columns = shapes[k][1];
        assert_orthogonal(draw("w", rows, columns, (tg_init){ TG_INIT_ORTHOGONAL, 0 }), rows, columns, 1);
        assert_orthogonal(draw("w", rows, columns, (tg_init){ TG_INIT_ORTHOGONAL, (tg_real)1.5 }), rows,
                          columns, 1.5);
    }
}
END_TEST

/* With A the normal numbers of the same stream, R = Q'A must be triangular with a positive diagonal: the
 * decomposition whose Q is spread evenly over the orthogonal matrices. */
START_TEST(orthogonal_is_the_Q_of_a_normal_matrix_with_positive_R)
{
    enum { ROWS = 70, COLUMNS = 37 };
    static tg_real Q[ROWS * COLUMNS], At[ROWS * COLUMNS];
    memcpy(Q, draw("w", ROWS, COLUMNS, (tg_init){ TG_INIT_ORTHOGONAL, 0 })->x, sizeof Q);
    memcpy(At, draw("w", COLUMNS, ROWS, (tg_init){ TG_INIT_NORMAL, 1 })->x, sizeof At);
    for (int i = 0; i < COLUMNS; i++)
        for (int j = 0; j < COLUMNS; j++) {
            double R = 0;
            for (int k = 0; k < ROWS; k++) R += (double)Q[k * COLUMNS + i] * (double)At[j * ROWS + k];
            if (i == j) ck_assert_double_gt(R, 0.1);
            if (i > j) ck_assert_double_eq_tol(R, 0, 1e-4);
        }
}
END_TEST

START_TEST(another_parameter_or_layout_leaves_the_start_of_all_others_the_same_bits)
{
    static drawn alone;
    tg_real among[12 * 10];
    draw_with(&alone, 1, 7, "layer/b", 12, 10, (tg_init){ TG_INIT_GLOROT, 0 });
    tg_context *cx = context_of_workers(1, 7);
    tg_params *ps = tg_params_new(cx);
    tg_parameter_new(ps, "first", 1, (int[]){ 3 }, (tg_init){ TG_INIT_NORMAL, 0 });
    const tg_init glorot = { TG_INIT_GLOROT, 0 }, orthogonal = { TG_INIT_ORTHOGONAL, 0 };
    const param_view_spec views[] = { { "a", 0, 7, orthogonal },
                                      { "b", 7, 10, glorot },
                                      { "c", 17, 12, orthogonal } };
    ck_assert_ptr_nonnull(tg__params_declare(ps, "layer", 2, (int[]){ 12, 29 }, 3, views));
    ck_assert_int_eq(tg_params_get(ps, "layer/b", among, 120), TG_OK);
    ck_assert_mem_eq(among, alone.x, sizeof among);
    tg_context_free(alone.cx);

    draw_with(&alone, 1, 7, "layer/c", 12, 12, orthogonal);
    ck_assert_int_eq(tg_params_get(ps, "layer/c", among, 120), TG_ERR_SHAPE);
    static tg_real square[144];
    ck_assert_int_eq(tg_params_get(ps, "layer/c", square, 144), TG_OK);
    ck_assert_mem_eq(square, alone.x, sizeof square);
    tg_context_free(alone.cx);
    tg_context_free(cx);
}
END_TEST

START_TEST(another_name_or_seed_gives_other_numbers)
{
    static drawn a, b, c;
    draw_with(&a, 1, 7, "a", 10, 10, (tg_init){ TG_INIT_GLOROT, 0 });
    draw_with(&b, 1, 7, "b", 10, 10, (tg_init){ TG_INIT_GLOROT, 0 });
    draw_with(&c, 1, 8, "a", 10, 10, (tg_init){ TG_INIT_GLOROT, 0 });
    for (int i = 0; i < 100; i++) {
        ck_assert(a.x[i] != b.x[i]);
        ck_assert(a.x[i] != c.x[i]);
    }
    tg_context_free(a.cx), tg_context_free(b.cx), tg_context_free(c.cx);
}
END_TEST

START_TEST(any_number_of_workers_gives_the_same_bits)
{
    static drawn one, many;
    for (tg_initializer kind = TG_INIT_GLOROT; kind <= TG_INIT_NORMAL; kind++) {
        draw_with(&one, 1, 7, "w", 256, 200, (tg_init){ kind, 0 });
        for (int round = 0, shared = 0; !shared;
             round++) { /* a busy machine may leave it all to one worker */
            draw_with(&many, 3, 7, "w", 256, 200, (tg_init){ kind, 0 });
            ck_assert_mem_eq(one.x, many.x, one.n * sizeof *one.x);
            shared = tg__team_worked(many.cx) > 1;
            ck_assert_int_lt(round, 1000);
            tg_context_free(many.cx);
        }
        tg_context_free(one.cx);
    }
}
END_TEST

START_TEST(initializer_that_cannot_be_is_named_with_its_number)
{
    static const struct {
        tg_init init;
        const char *sentence;
    } cases[] = {
        { { (tg_initializer)17, 0 }, "'w': there is no initializer number 17" },
        { { TG_INIT_UNIFORM, -2 },
          "'w': the scale of the initializer uniform is -2, must be finite and not negative" },
        { { TG_INIT_NORMAL, NAN },
          "'w': the scale of the initializer normal is nan, must be finite and not negative" },
        { { TG_INIT_GLOROT, INFINITY },
          "'w': the scale of the initializer glorot is inf, must be finite and not negative" },
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        tg_real x[4];
        tg_context *cx = context_of_workers(1, 7);
        tg_params *ps = tg_params_new(cx);
        tg_parameter_new(ps, "w", 2, (int[]){ 2, 2 }, cases[k].init);
        ck_assert_int_eq(tg_params_count(ps), 0); /* when declared, not when first used */
        ck_assert_int_eq(tg_params_get(ps, "w", x, 4), TG_ERR_ARGUMENT);
        ck_assert_str_eq(tg_context_message(cx), cases[k].sentence);
        tg_context_free(cx);
    }
}
END_TEST

TG_TEST_MAIN("params/initialize", glorot_is_uniform_within_its_limit,
             glorot_of_one_dimension_takes_it_for_both_fans,
             uniform_and_normal_have_their_scale_and_their_default,
             constants_are_constant_and_TG_ZERO_is_zero, orthogonal_rows_or_columns_are_orthonormal,
             orthogonal_is_the_Q_of_a_normal_matrix_with_positive_R,
             another_parameter_or_layout_leaves_the_start_of_all_others_the_same_bits,
             another_name_or_seed_gives_other_numbers, any_number_of_workers_gives_the_same_bits,
             initializer_that_cannot_be_is_named_with_its_number)
