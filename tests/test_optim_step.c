/* Steps that go, steps that are refused, and what a checkpoint keeps of an optimizer. */
#include "optim/optimizer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <tidegate/tidegate.h>

#include "check_main.h"
#include "workers.h"

static const char *const names[] = { "sgd", "momentum", "nesterov", "adam", "adamw", "rmsprop" };
enum { NAMES = sizeof names / sizeof *names };

typedef struct fixture {
    tg_context *cx;
    tg_params *ps;
} fixture;

/* "w" (3,4), in one block with "v" (3,2), and "b" (5). */
static fixture start(void)
{
    const tg_init normal = { TG_INIT_NORMAL, 1 };
    const param_view_spec views[] = { { "w", 0, 4, normal }, { "v", 4, 2, normal } };
    fixture f = { .cx = tg_context_new(NULL) };
    f.ps = tg_params_new(f.cx);
    ck_assert_ptr_nonnull(tg__params_declare(f.ps, "layer", 2, (int[]){ 3, 6 }, 2, views));
    tg_parameter_new(f.ps, "b", 1, (int[]){ 5 }, normal);
    return f;
}

static void give_gradients(tg_params *ps, double scale)
{
    for (const param_block *b = ps->first; b; b = b->next)
        for (size_t i = 0; i < tg__size(&b->x); i++)
            b->x.grad[i] = (tg_real)(scale * sin(1.0 + (double)(b->offset + i)));
}

static void step_by(tg_params *ps, tg_optimizer *o, double scale)
{
    give_gradients(ps, scale);
    ck_assert_int_eq(tg_optimizer_step(o), TG_OK);
}

static bool all_zero(const tg_real *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (x[i] != 0) return false;
    return true;
}

typedef struct snapshot {
    tg_real value[256], moment[2][256];
} snapshot;

static snapshot look(fixture f, tg_optimizer *o)
{
    snapshot s;
    memset(&s, 0, sizeof s);
    ck_assert_uint_le(f.ps->flat, 256);
    memcpy(s.value, f.ps->value, f.ps->flat * sizeof *s.value);
    for (int k = 0; k < tg__optimizer_moments(o); k++)
        memcpy(s.moment[k], tg__optimizer_moment(o, k), f.ps->flat * sizeof *s.value);
    return s;
}

START_TEST(step_moves_zeroes_the_gradients_and_advances_the_contexts_step)
{
    for (int k = 0; k < NAMES; k++) {
        fixture f = start();
        tg_optimizer *o = tg_optimizer_new(f.ps, names[k], 0, 0);
        const snapshot before = look(f, o);
        tg_context_set_step(f.cx, 41);
        give_gradients(f.ps, 1);
        ck_assert_int_eq(tg_optimizer_step(o), TG_OK);
        ck_assert_int_eq(tg_context_step(f.cx), 42);
        ck_assert_int_eq(tg_optimizer_steps(o), 1);
        ck_assert(all_zero(f.ps->gradient, f.ps->flat));
        const snapshot after = look(f, o);
        for (const param_block *b = f.ps->first; b; b = b->next)
            for (size_t i = 0; i < tg__size(&b->x); i++)
                ck_assert(after.value[b->offset + i] != before.value[b->offset + i]);
        tg_context_free(f.cx);
    }
}
END_TEST

START_TEST(gradient_that_is_not_finite_moves_nothing_and_is_named)
{
    static const double bad[] = { NAN, INFINITY, -INFINITY };
    for (int k = 0; k < 3 * NAMES; k++) {
        fixture f = start();
        tg_optimizer *o = tg_optimizer_new(f.ps, names[k / 3], 0, 0);
        char sentence[160];
        give_gradients(f.ps, 1);
        ck_assert_int_eq(tg_optimizer_step(o), TG_OK); /* so that the moments are not zero */
        const snapshot before = look(f, o);
        give_gradients(f.ps, 1);
        f.ps->first->x.grad[1 * 6 + 5] = (tg_real)bad[k % 3]; /* row 1, column 1 of v */
        f.ps->last->x.grad[0] = (tg_real)NAN;                 /* a later one */
        ck_assert_int_eq(tg_optimizer_step(o), TG_ERR_NUMBER);
        snprintf(sentence, sizeof sentence,
                 "tg_optimizer_step: the gradient of 'layer/v' is %g at element 3 of 6: nothing was moved",
                 bad[k % 3]);
        ck_assert_str_eq(tg_context_message(f.cx), sentence);
        const snapshot after = look(f, o);
        ck_assert_mem_eq(&after, &before, sizeof before);
        ck_assert(all_zero(f.ps->gradient, f.ps->flat));
        ck_assert_int_eq(tg_context_step(f.cx), 2);
        ck_assert_int_eq(tg_optimizer_steps(o), 1);
        ck_assert(tg_context_ok(f.cx));
        give_gradients(f.ps, 1); /* and the next goes */
        ck_assert_int_eq(tg_optimizer_step(o), TG_OK);
        ck_assert_int_eq(tg_optimizer_steps(o), 2);
        tg_context_free(f.cx);
    }
}
END_TEST

START_TEST(gradient_too_large_to_square_is_refused_before_it_ruins_a_moment)
{
    fixture f = start();
    tg_optimizer *o = tg_adam_new(f.ps, NULL);
    tg__params_freeze(f.ps);
    f.ps->last->x.grad[2] = TG_DOUBLE ? (tg_real)1e200 : (tg_real)1e30;
    ck_assert_int_eq(tg_optimizer_step(o), TG_ERR_NUMBER);
    ck_assert_ptr_nonnull(strstr(tg_context_message(f.cx), "too large to square"));
    ck_assert(all_zero(tg__optimizer_moment(o, 1), f.ps->flat));
    tg_context_free(f.cx);
}
END_TEST

START_TEST(finite_gradient_moves_what_keeps_no_squares)
{
    const tg_real largest = TG_DOUBLE ? (tg_real)1e308 : (tg_real)3e38;
    const struct {
        const char *rule;
        tg_real g;
        bool moves;
    } cases[] = { { "sgd", largest, true },
                  { "momentum", largest / 20000, true },
                  { "nesterov", largest / 20000, true },
                  { "momentum", largest / 100, false },
                  { "nesterov", largest, false } };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        fixture f = start();
        tg_optimizer *o = tg_optimizer_new(f.ps, cases[k].rule, 1 / cases[k].g * 10, 0);
        tg_real *p = &f.ps->last->x.data[2];
        for (int step = 0; step < 50; step++) {
            f.ps->last->x.grad[2] = cases[k].g;
            ck_assert_int_eq(tg_optimizer_step(o), cases[k].moves ? TG_OK : TG_ERR_NUMBER);
        }
        ck_assert_msg(cases[k].moves ? *p < -100 && *p > -1e5 : *p > -100, "%s: %g", cases[k].rule,
                      (double)*p);
        if (!cases[k].moves)
            ck_assert_ptr_nonnull(strstr(tg_context_message(f.cx), "too large to add up, as "));
        tg_context_free(f.cx);
    }
}
END_TEST

START_TEST(erring_context_moves_nothing_and_zeroes_the_gradients)
{
    fixture f = start();
    tg_optimizer *o = tg_adam_new(f.ps, NULL);
    give_gradients(f.ps, 1);
    const snapshot before = look(f, o);
    tg_context_fail(f.cx, TG_ERR_SHAPE, "a wrong shape");
    ck_assert_int_eq(tg_optimizer_step(o), TG_ERR_SHAPE);
    const snapshot after = look(f, o);
    ck_assert_mem_eq(&after, &before, sizeof before);
    ck_assert(all_zero(f.ps->gradient, f.ps->flat));
    ck_assert_int_eq(tg_context_step(f.cx), 0);
    ck_assert_str_eq(tg_context_message(f.cx), "a wrong shape");
    tg_context_clear(f.cx);
    give_gradients(f.ps, 1);
    ck_assert_int_eq(tg_optimizer_step(o), TG_OK);
    tg_context_free(f.cx);
}
END_TEST

START_TEST(shared_set_cannot_be_optimized)
{
    fixture f = start();
    tg_context *server = tg_context_new(NULL);
    tg_params *shared = tg_params_share(server, f.ps);
    tg_parameter_new(shared, "b", 1, (int[]){ 5 }, (tg_init){ TG_INIT_NORMAL, 0 });
    tg_optimizer *o = tg_adam_new(shared, NULL);
    ck_assert_ptr_nonnull(o);
    ck_assert_int_eq(tg_context_status(server), TG_ERR_STATE);
    ck_assert_str_eq(tg_context_message(server), "tg_adam_new: the parameter set is shared, and read only");
    tg_context_clear(server);
    ck_assert_int_eq(tg_optimizer_step(o), TG_ERR_STATE);
    tg_context_free(server);
    tg_context_free(f.cx);
}
END_TEST

START_TEST(optimizer_born_in_error_keeps_failing_with_a_sentence)
{
    fixture f = start();
    tg_context_fail(f.cx, TG_ERR_SHAPE, "a wrong shape");
    tg_optimizer *o = tg_rmsprop_new(f.ps, NULL);
    ck_assert_ptr_nonnull(o);
    ck_assert_int_eq(tg_context_status(f.cx), TG_ERR_SHAPE);
    ck_assert_str_eq(tg_context_message(f.cx), "a wrong shape");
    ck_assert_int_eq(tg_optimizer_step(o), TG_ERR_SHAPE);
    tg_context_clear(f.cx);
    for (int k = 0; k < 2; k++) {
        ck_assert_int_eq(tg_optimizer_step(o), TG_ERR_STATE);
        ck_assert_str_eq(
            tg_context_message(f.cx),
            "tg_optimizer_step: this optimizer (rmsprop) was made while its context was in error");
    }
    ck_assert_str_eq(tg_optimizer_name(o), "rmsprop");
    ck_assert_ptr_null(tg__optimizer_moment(o, 0));
    tg_context_free(f.cx);
}
END_TEST

START_TEST(optimizer_of_the_context_that_could_not_be_made_is_harmless)
{
    tg_optimizer *o = tg_adam_new(tg_params_new(&tg__context_nil), NULL);
    ck_assert_ptr_nonnull(o);
    ck_assert_int_eq(tg_optimizer_step(o), TG_ERR_MEMORY);
    tg_optimizer_set_rate(o, 1);
    ck_assert_int_eq(tg_optimizer_steps(o), 0);
    ck_assert_ptr_nonnull(tg_optimizer_name(o));
}
END_TEST

START_TEST(freed_parameters_are_not_reached_for)
{
    fixture f = start();
    tg_optimizer *o = tg_adam_new(f.ps, NULL);
    tg_params_free(f.ps);
    ck_assert_int_eq(tg_optimizer_step(o), TG_ERR_STATE);
    tg_context_free(f.cx);
}
END_TEST

START_TEST(making_an_optimizer_freezes_the_set)
{
    fixture f = start();
    tg_adam_new(f.ps, NULL);
    ck_assert(f.ps->frozen);
    tg_parameter_new(f.ps, "late", 1, (int[]){ 5 }, (tg_init){ TG_INIT_ZEROS, 0 });
    ck_assert_int_eq(tg_context_status(f.cx), TG_ERR_STATE);
    tg_context_free(f.cx);
}
END_TEST

/* ---- settings that cannot be ---- */

#define R(x) ((tg_real)(x))

START_TEST(bad_settings_fail_with_the_number)
{
#define FAILS(sentence, make)                                                                                \
    do {                                                                                                     \
        fixture f = start();                                                                                 \
        tg_optimizer *o = make;                                                                              \
        ck_assert_int_eq(tg_context_status(f.cx), TG_ERR_ARGUMENT);                                          \
        ck_assert_str_eq(tg_context_message(f.cx), sentence);                                                \
        tg_context_clear(f.cx);                                                                              \
        ck_assert_int_eq(tg_optimizer_step(o), TG_ERR_STATE);                                                \
        tg_context_free(f.cx);                                                                               \
    } while (0)
    FAILS("tg_sgd_new: lr is -0.5, must be finite and not negative",
          tg_sgd_new(f.ps, &(tg_sgd_config){ .lr = R(-0.5) }));
    FAILS("tg_adam_new: lr is nan, must be finite and not negative",
          tg_adam_new(f.ps, &(tg_adam_config){ .lr = R(NAN) }));
    FAILS("tg_rmsprop_new: lr is inf, must be finite and not negative",
          tg_rmsprop_new(f.ps, &(tg_rmsprop_config){ .lr = R(INFINITY) }));
    FAILS("tg_adam_new: beta1 is 1, must be at least 0 and below 1",
          tg_adam_new(f.ps, &(tg_adam_config){ .beta1 = 1 }));
    FAILS("tg_adamw_new: beta2 is -0.25, must be at least 0 and below 1",
          tg_adamw_new(f.ps, &(tg_adam_config){ .beta2 = R(-0.25) }));
    FAILS("tg_adam_new: epsilon is 0, must be finite and positive",
          tg_adam_new(f.ps, &(tg_adam_config){ .epsilon = TG_ZERO }));
    FAILS("tg_rmsprop_new: epsilon is -1, must be finite and positive",
          tg_rmsprop_new(f.ps, &(tg_rmsprop_config){ .epsilon = -1 }));
    FAILS("tg_rmsprop_new: alpha is 2, must be at least 0 and below 1",
          tg_rmsprop_new(f.ps, &(tg_rmsprop_config){ .alpha = 2 }));
    FAILS("tg_rmsprop_new: momentum is nan, must be at least 0 and below 1",
          tg_rmsprop_new(f.ps, &(tg_rmsprop_config){ .momentum = R(NAN) }));
    FAILS("tg_adamw_new: weight_decay is -1, must be finite and not negative",
          tg_adamw_new(f.ps, &(tg_adam_config){ .weight_decay = -1 }));
    FAILS("tg_sgd_new: momentum is 1.5, must be at least 0 and below 1",
          tg_sgd_new(f.ps, &(tg_sgd_config){ .momentum = R(1.5) }));
    FAILS("tg_sgd_new: dampening is -2, must be at least 0 and below 1",
          tg_sgd_new(f.ps, &(tg_sgd_config){ .momentum = R(0.5), .dampening = -2 }));
    FAILS("tg_sgd_new: Nesterov's momentum takes a momentum and no dampening; they are 0 and 0",
          tg_sgd_new(f.ps, &(tg_sgd_config){ .nesterov = true }));
    FAILS("tg_sgd_new: Nesterov's momentum takes a momentum and no dampening; they are 0.5 and 0.25",
          tg_sgd_new(f.ps, &(tg_sgd_config){ .nesterov = true, .momentum = R(0.5), .dampening = R(0.25) }));
    FAILS("tg_optimizer_new: there is no optimizer 'adamant'; there are: sgd, momentum, nesterov, adam, "
          "adamw, rmsprop",
          tg_optimizer_new(f.ps, "adamant", 0, 0));
    FAILS("tg_optimizer_new: there is no optimizer '(NULL)'; there are: sgd, momentum, nesterov, adam, "
          "adamw, rmsprop",
          tg_optimizer_new(f.ps, NULL, 0, 0));
}
END_TEST

START_TEST(rate_can_be_set_and_a_bad_one_is_refused)
{
    fixture f = start();
    tg_optimizer *o = tg_adam_new(f.ps, NULL);
    tg_optimizer_set_rate(o, R(0.25));
    ck_assert(tg_optimizer_rate(o) == R(0.25));
    tg_optimizer_set_rate(o, -1);
    ck_assert_int_eq(tg_context_status(f.cx), TG_ERR_ARGUMENT);
    ck_assert_str_eq(tg_context_message(f.cx),
                     "tg_optimizer_set_rate: lr is -1, must be finite and not negative");
    ck_assert(tg_optimizer_rate(o) == R(0.25));
    tg_context_clear(f.cx);
    tg_optimizer_set_rate(o, 0);
    ck_assert(tg_context_ok(f.cx) && tg_optimizer_rate(o) == 0);
    tg_context_free(f.cx);
}
END_TEST

/* ---- what a checkpoint needs ---- */

START_TEST(restored_optimizer_goes_on_to_the_same_bits)
{
    for (int k = 0; k < NAMES; k++) {
        fixture whole = start(), split = start();
        tg_optimizer *o = tg_optimizer_new(whole.ps, names[k], R(0.02), R(0.1));
        for (int step = 0; step < 5; step++) step_by(whole.ps, o, 1 + step);
        tg_optimizer *fresh = tg_optimizer_new(split.ps, tg_optimizer_name(o), 0, R(0.1));
        ck_assert_ptr_eq(tg__optimizer_params(fresh), split.ps);
        memcpy(split.ps->value, whole.ps->value, whole.ps->flat * sizeof(tg_real));
        for (int m = 0; m < tg__optimizer_moments(o); m++) {
            ck_assert_str_eq(tg__optimizer_moment_name(o, m), tg__optimizer_moment_name(fresh, m));
            memcpy(tg__optimizer_moment(fresh, m), tg__optimizer_moment(o, m),
                   whole.ps->flat * sizeof(tg_real));
        }
        for (int s = 0; s < tg__optimizer_settings(o); s++) {
            ck_assert_str_eq(tg__optimizer_setting_name(o, s), tg__optimizer_setting_name(fresh, s));
            ck_assert_double_eq(tg__optimizer_setting(o, s), tg__optimizer_setting(fresh, s));
        }
        tg__optimizer_restore(fresh, tg_optimizer_steps(o), (double)tg_optimizer_rate(o));
        for (int step = 5; step < 9; step++) {
            step_by(whole.ps, o, 1 + step);
            step_by(split.ps, fresh, 1 + step);
        }
        ck_assert_mem_eq(split.ps->value, whole.ps->value, whole.ps->flat * sizeof(tg_real));
        ck_assert_int_eq(tg_optimizer_steps(fresh), 9);
        tg_context_free(whole.cx), tg_context_free(split.cx);
    }
}
END_TEST

START_TEST(moments_and_settings_have_names)
{
    static const struct {
        const char *name, *moment[2], *setting[4];
        double value[4];
    } cases[] = {
        { "sgd", { NULL }, { "weight_decay", "momentum", "dampening" }, { 0, 0, 0 } },
        { "momentum", { "momentum" }, { "weight_decay", "momentum", "dampening" }, { 0, 0.9, 0 } },
        { "nesterov", { "momentum" }, { "weight_decay", "momentum", "dampening" }, { 0, 0.9, 0 } },
        { "adam", { "m", "v" }, { "weight_decay", "beta1", "beta2", "epsilon" }, { 0, 0.9, 0.999, 1e-8 } },
        { "adamw",
          { "m", "v" },
          { "weight_decay", "beta1", "beta2", "epsilon" },
          { 0.01, 0.9, 0.999, 1e-8 } },
        { "rmsprop", { "v" }, { "weight_decay", "alpha", "epsilon", "momentum" }, { 0, 0.99, 1e-8, 0 } },
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        fixture f = start();
        tg_optimizer *o = tg_optimizer_new(f.ps, cases[k].name, 0, 0);
        for (int m = 0; m < tg__optimizer_moments(o); m++)
            ck_assert_str_eq(tg__optimizer_moment_name(o, m), cases[k].moment[m]);
        for (int s = 0; s < tg__optimizer_settings(o); s++) {
            ck_assert_str_eq(tg__optimizer_setting_name(o, s), cases[k].setting[s]);
            ck_assert_double_eq(tg__optimizer_setting(o, s), (double)R(cases[k].value[s]));
        }
        ck_assert_int_eq(tg__optimizer_moments(o),
                         (cases[k].moment[0] != NULL) + (cases[k].moment[1] != NULL));
        ck_assert_int_eq(tg__optimizer_settings(o), cases[k].setting[3] ? 4 : 3);
        tg_context_free(f.cx);
    }
    fixture f = start();
    ck_assert_int_eq(tg__optimizer_moments(tg_rmsprop_new(f.ps, &(tg_rmsprop_config){ .momentum = R(0.5) })),
                     2);
    tg_context_free(f.cx);
}
END_TEST

/* ---- workers, memory ---- */

/* Blocks of odd sizes, over many pieces. */
static fixture large(int workers)
{
    static const int sizes[] = { 100003, 1, 300001, 17, 65536 };
    fixture f = { .cx = context_of_workers(workers, 3) };
    char name[8];
    f.ps = tg_params_new(f.cx);
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        snprintf(name, sizeof name, "p%zu", k);
        tg_parameter_new(f.ps, name, 1, &sizes[k], (tg_init){ TG_INIT_NORMAL, 0 });
    }
    ck_assert_int_eq(
        tg_params_set_flags(f.ps, "p3", &(tg_parameter_flags){ .rate_scale = R(0.5), .no_decay = true }),
        TG_OK);
    return f;
}

START_TEST(any_number_of_workers_gives_the_same_bits)
{
    static const int workers[] = { 2, 3, 8 };
    for (int k = 0; k < NAMES; k++) {
        fixture one = large(1);
        tg_optimizer *o = tg_optimizer_new(one.ps, names[k], 0, R(0.01));
        for (int step = 0; step < 3; step++) step_by(one.ps, o, 1);
        for (int w = 0; w < 3; w++)
            for (int round = 0, shared = 0; !shared; round++) {
                fixture f = large(workers[w]);
                tg_optimizer *many = tg_optimizer_new(f.ps, names[k], 0, R(0.01));
                for (int step = 0; step < 3; step++) step_by(f.ps, many, 1);
                ck_assert_mem_eq(f.ps->value, one.ps->value, one.ps->flat * sizeof(tg_real));
                for (int m = 0; m < tg__optimizer_moments(o); m++)
                    ck_assert_mem_eq(tg__optimizer_moment(many, m), tg__optimizer_moment(o, m),
                                     one.ps->flat * sizeof(tg_real));
                shared = tg__team_worked(f.cx) > 1;
                ck_assert_int_lt(round, 100);
                tg_context_free(f.cx);
            }
        tg_context_free(one.cx);
    }
}
END_TEST

START_TEST(padding_between_blocks_stays_zero)
{
    fixture f = start();
    tg_optimizer *o = tg_adam_new(f.ps, &(tg_adam_config){ .weight_decay = R(0.5) });
    for (int step = 0; step < 3; step++) step_by(f.ps, o, 1);
    const snapshot s = look(f, o);
    for (const param_block *b = f.ps->first; b; b = b->next) {
        const size_t end = b->next ? b->next->offset : f.ps->flat;
        for (size_t i = b->offset + tg__size(&b->x); i < end; i++)
            ck_assert(s.value[i] == 0 && s.moment[0][i] == 0 && s.moment[1][i] == 0);
    }
    tg_context_free(f.cx);
}
END_TEST

static size_t allocations;
static void *count_and_allocate(void *user, size_t bytes)
{
    (void)user;
    allocations++;
    return malloc(bytes);
}
static void release(void *user, void *block)
{
    (void)user;
    free(block);
}

START_TEST(clipping_and_steps_allocate_nothing)
{
    fixture f = { .cx = tg_context_new(&(tg_context_config){
                      .allocate = count_and_allocate, .release = release, .threads = 1 }) };
    f.ps = tg_params_new(f.cx);
    tg_parameter_new(f.ps, "w", 1, (int[]){ 200000 }, (tg_init){ TG_INIT_NORMAL, 0 });
    tg_optimizer *o = tg_adam_new(f.ps, NULL);
    const size_t before = allocations;
    for (int step = 0; step < 3; step++) {
        give_gradients(f.ps, 1);
        tg_params_clip_norm(f.ps, 1);
        ck_assert_int_eq(tg_optimizer_step(o), TG_OK);
    }
    ck_assert_uint_eq(allocations, before);
    tg_context_free(f.cx);
}
END_TEST

TG_TEST_MAIN("optim/step", step_moves_zeroes_the_gradients_and_advances_the_contexts_step,
             gradient_that_is_not_finite_moves_nothing_and_is_named,
             gradient_too_large_to_square_is_refused_before_it_ruins_a_moment,
             finite_gradient_moves_what_keeps_no_squares,
             erring_context_moves_nothing_and_zeroes_the_gradients, shared_set_cannot_be_optimized,
             optimizer_born_in_error_keeps_failing_with_a_sentence,
             optimizer_of_the_context_that_could_not_be_made_is_harmless,
             freed_parameters_are_not_reached_for, making_an_optimizer_freezes_the_set,
             bad_settings_fail_with_the_number, rate_can_be_set_and_a_bad_one_is_refused,
             restored_optimizer_goes_on_to_the_same_bits, moments_and_settings_have_names,
             any_number_of_workers_gives_the_same_bits, padding_between_blocks_stays_zero,
             clipping_and_steps_allocate_nothing)
