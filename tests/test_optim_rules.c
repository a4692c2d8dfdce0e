/* Update rules against PyTorch's numbers. */
#include <math.h>
#include <string.h>

#include <tidegate/tidegate.h>

#include "check_main.h"
#include "params/params.h"

static const double TOLERANCE = TG_DOUBLE ? 1e-11 : 1e-6;
static const double gradients[3][2] = { { 0.5, -0.25 }, { -0.1, 0.4 }, { 0.3, 0.3 } };

typedef struct fixture {
    tg_context *cx;
    tg_params *ps;
} fixture;

static void set_pair(tg_params *ps, const char *name, double a, double b)
{
    ck_assert_int_eq(tg_params_set(ps, name, (tg_real[]){ (tg_real)a, (tg_real)b }, 2), TG_OK);
}

/* Parameters a (2) and b (2), each of value (1,-2). */
static fixture start(void)
{
    fixture f = { .cx = tg_context_new(NULL) };
    f.ps = tg_params_new(f.cx);
    tg_parameter_new(f.ps, "a", 1, (int[]){ 2 }, (tg_init){ TG_INIT_ZEROS, 0 });
    tg_parameter_new(f.ps, "b", 1, (int[]){ 2 }, (tg_init){ TG_INIT_ZEROS, 0 });
    set_pair(f.ps, "a", 1, -2);
    set_pair(f.ps, "b", 1, -2);
    return f;
}

static void give_gradient(tg_params *ps, const char *name, const double *g)
{
    tg__params_scatter(tg__params_find(ps, name), ps->gradient, (tg_real[]){ (tg_real)g[0], (tg_real)g[1] });
}

static void three_steps(fixture f, tg_optimizer *o)
{
    for (int k = 0; k < 3; k++) {
        give_gradient(f.ps, "a", gradients[k]);
        give_gradient(f.ps, "b", gradients[k]);
        ck_assert_int_eq(tg_optimizer_step(o), TG_OK);
    }
    ck_assert_int_eq(tg_optimizer_steps(o), 3);
}

static void assert_pair(tg_params *ps, const char *name, double a, double b)
{
    tg_real p[2];
    ck_assert_int_eq(tg_params_get(ps, name, p, 2), TG_OK);
    ck_assert_double_eq_tol((double)p[0], a, TOLERANCE * fmax(1, fabs(a)));
    ck_assert_double_eq_tol((double)p[1], b, TOLERANCE * fmax(1, fabs(b)));
}

/* ---- known answers: PyTorch in double, values (1,-2), three steps with the gradients above ---- */

#define R(x) ((tg_real)(x))

static tg_optimizer *sgd(tg_params *ps) { return tg_sgd_new(ps, &(tg_sgd_config){ .lr = R(0.1) }); }
static tg_optimizer *momentum(tg_params *ps)
{
    return tg_sgd_new(ps, &(tg_sgd_config){ .lr = R(0.1), .momentum = R(0.9) });
}
static tg_optimizer *nesterov(tg_params *ps)
{
    return tg_sgd_new(
        ps, &(tg_sgd_config){ .lr = R(0.1), .momentum = R(0.9), .nesterov = true, .weight_decay = R(0.01) });
}
static tg_optimizer *dampened(tg_params *ps)
{
    return tg_sgd_new(ps, &(tg_sgd_config){ .lr = R(0.1), .momentum = R(0.9), .dampening = R(0.5) });
}
static tg_optimizer *adam(tg_params *ps) { return tg_adam_new(ps, &(tg_adam_config){ .lr = R(0.1) }); }
static tg_optimizer *adam_epsilon(tg_params *ps)
{
    return tg_adam_new(ps, &(tg_adam_config){ .lr = R(0.1), .epsilon = R(0.01) });
}
static tg_optimizer *adam_decay(tg_params *ps)
{
    return tg_adam_new(
        ps, &(tg_adam_config){ .lr = R(0.1), .beta1 = R(0.8), .beta2 = R(0.99), .weight_decay = R(0.1) });
}
static tg_optimizer *adamw(tg_params *ps)
{
    return tg_adamw_new(ps, &(tg_adam_config){ .lr = R(0.1), .weight_decay = R(0.01) });
}
static tg_optimizer *adamw_default(tg_params *ps)
{
    return tg_adamw_new(ps, &(tg_adam_config){ .lr = R(0.1) });
}
static tg_optimizer *adamw_zero(tg_params *ps)
{
    return tg_adamw_new(ps, &(tg_adam_config){ .lr = R(0.1), .weight_decay = TG_ZERO });
}
static tg_optimizer *rmsprop(tg_params *ps)
{
    return tg_rmsprop_new(ps, &(tg_rmsprop_config){ .lr = R(0.1) });
}
static tg_optimizer *rmsprop_momentum(tg_params *ps)
{
    return tg_rmsprop_new(ps, &(tg_rmsprop_config){ .lr = R(0.1),
                                                    .alpha = R(0.9),
                                                    .epsilon = R(0.001),
                                                    .momentum = R(0.9),
                                                    .weight_decay = R(0.01) });
}
static tg_optimizer *named_sgd(tg_params *ps) { return tg_optimizer_new(ps, "sgd", R(0.1), 0); }
static tg_optimizer *named_momentum(tg_params *ps) { return tg_optimizer_new(ps, "momentum", R(0.1), 0); }
static tg_optimizer *named_nesterov(tg_params *ps)
{
    return tg_optimizer_new(ps, "nesterov", R(0.1), R(0.01));
}
static tg_optimizer *named_adam(tg_params *ps) { return tg_optimizer_new(ps, "adam", R(0.1), 0); }
static tg_optimizer *named_adamw(tg_params *ps) { return tg_optimizer_new(ps, "adamw", R(0.1), 0); }
static tg_optimizer *named_rmsprop(tg_params *ps) { return tg_optimizer_new(ps, "rmsprop", R(0.1), 0); }

static const struct {
    tg_optimizer *(*make)(tg_params *ps);
    const char *name;
    double p[2];
} answers[] = {
    { sgd, "sgd", { 0.93, -2.045 } },
    { momentum, "momentum", { 0.8535, -2.03825 } },
    { nesterov, "nesterov", { 0.790593358191, -2.063467680807 } },
    { dampened, "momentum", { 0.859, -1.98525 } },
    { adam, "adam", { 0.782441774202, -1.979915712950 } },
    { adam_epsilon, "adam", { 0.787672645230, -1.981386403034 } },
    { adam_decay, "adam", { 0.762431241379, -1.875162720698 } },
    { adamw, "adamw", { 0.779695775804, -1.974093999644 } },
    { adamw_default, "adamw", { 0.779695775804, -1.974093999644 } },
    { adamw_zero, "adamw", { 0.782441774202, -1.979915712950 } },
    { rmsprop, "rmsprop", { -0.313743340466, -2.388306844146 } },
    { rmsprop_momentum, "rmsprop", { 0.089477569623, -1.819959986243 } },
    { named_sgd, "sgd", { 0.93, -2.045 } },
    { named_momentum, "momentum", { 0.8535, -2.03825 } },
    { named_nesterov, "nesterov", { 0.790593358191, -2.063467680807 } },
    { named_adam, "adam", { 0.782441774202, -1.979915712950 } },
    { named_adamw, "adamw", { 0.779695775804, -1.974093999644 } },
    { named_rmsprop, "rmsprop", { -0.313743340466, -2.388306844146 } },
};
enum { ANSWERS = sizeof answers / sizeof *answers };

START_TEST(three_steps_give_pytorchs_numbers)
{
    for (int k = 0; k < ANSWERS; k++) {
        fixture f = start();
        tg_optimizer *o = answers[k].make(f.ps);
        ck_assert_str_eq(tg_optimizer_name(o), answers[k].name);
        ck_assert_double_eq_tol((double)tg_optimizer_rate(o), 0.1, 1e-8);
        three_steps(f, o);
        assert_pair(f.ps, "a", answers[k].p[0], answers[k].p[1]);
        assert_pair(f.ps, "b", answers[k].p[0], answers[k].p[1]);
        tg_context_free(f.cx);
    }
}
END_TEST

START_TEST(default_rates_are_the_documented_ones)
{
    static const struct {
        const char *name;
        double rate;
    } rates[] = { { "sgd", 0.01 },   { "momentum", 0.01 }, { "nesterov", 0.01 },
                  { "adam", 0.001 }, { "adamw", 0.001 },   { "rmsprop", 0.01 } };
    for (size_t k = 0; k < sizeof rates / sizeof *rates; k++) {
        fixture f = start();
        ck_assert(tg_optimizer_rate(tg_optimizer_new(f.ps, rates[k].name, 0, 0)) == (tg_real)rates[k].rate);
        ck_assert(tg_optimizer_rate(tg_optimizer_new(f.ps, rates[k].name, TG_ZERO, 0)) == 0);
        tg_context_free(f.cx);
    }
}
END_TEST

/* ---- flags ---- */

START_TEST(frozen_parameters_stay_and_their_gradients_are_zeroed)
{
    for (int k = 0; k < ANSWERS; k++) {
        fixture f = start();
        tg_optimizer *o = answers[k].make(f.ps);
        tg_real g[2];
        ck_assert_int_eq(tg_params_set_flags(f.ps, "a", &(tg_parameter_flags){ .frozen = true }), TG_OK);
        three_steps(f, o);
        assert_pair(f.ps, "a", 1, -2);
        assert_pair(f.ps, "b", answers[k].p[0], answers[k].p[1]);
        ck_assert_int_eq(tg_params_get_gradient(f.ps, "a", g, 2), TG_OK);
        ck_assert(g[0] == 0 && g[1] == 0);
        give_gradient(f.ps, "a", (double[]){ NAN, 1 }); /* nor can they make a step refuse */
        ck_assert_int_eq(tg_optimizer_step(o), TG_OK);
        tg_context_free(f.cx);
    }
}
END_TEST

START_TEST(rate_scale_multiplies_the_rate_of_its_parameters)
{
    for (int k = 0; k < ANSWERS; k++) {
        fixture scaled = start(), half = start();
        tg_optimizer *o = answers[k].make(scaled.ps), *slow = answers[k].make(half.ps);
        tg_real p[2];
        ck_assert_int_eq(tg_params_set_flags(scaled.ps, "a", &(tg_parameter_flags){ .rate_scale = R(0.5) }),
                         TG_OK);
        tg_optimizer_set_rate(slow, tg_optimizer_rate(slow) / 2);
        three_steps(scaled, o);
        three_steps(half, slow);
        ck_assert_int_eq(tg_params_get(half.ps, "a", p, 2), TG_OK);
        assert_pair(scaled.ps, "a", (double)p[0], (double)p[1]);
        assert_pair(scaled.ps, "b", answers[k].p[0], answers[k].p[1]);
        tg_context_free(scaled.cx), tg_context_free(half.cx);
    }
}
END_TEST

START_TEST(rate_scale_is_finite_and_not_negative_and_may_be_TG_ZERO)
{
    const tg_real bad[] = { (tg_real)NAN, (tg_real)INFINITY, -1 };
    fixture f = start();
    tg_optimizer *o = tg_adam_new(f.ps, NULL);
    tg_real before[2], after[2];
    tg_parameter_info info;
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        ck_assert_int_eq(tg_params_set_flags(f.ps, "a", &(tg_parameter_flags){ .rate_scale = bad[k] }),
                         TG_ERR_ARGUMENT);
        ck_assert_ptr_nonnull(strstr(tg_context_message(f.cx), "rate_scale"));
        tg_params_info(f.ps, 0, &info);
        ck_assert_double_eq((double)info.rate_scale, 1);
    }
    ck_assert_int_eq(tg_params_set_flags(f.ps, "a", &(tg_parameter_flags){ .rate_scale = TG_ZERO }), TG_OK);
    ck_assert_int_eq(tg_params_get(f.ps, "a", before, 2), TG_OK);
    three_steps(f, o);
    ck_assert_int_eq(tg_params_get(f.ps, "a", after, 2), TG_OK);
    ck_assert(!memcmp(before, after, sizeof before));
    tg_context_free(f.cx);
}
END_TEST

START_TEST(no_decay_leaves_its_parameters_out_of_weight_decay)
{
    static const char *names[] = { "sgd", "momentum", "nesterov", "adam", "adamw", "rmsprop" };
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        fixture f = start(), without = start();
        tg_optimizer *o = tg_optimizer_new(f.ps, names[k], R(0.1), R(0.2));
        tg_optimizer *plain = tg_optimizer_new(without.ps, names[k], R(0.1), TG_ZERO);
        tg_real kept[2], decayed[2];
        ck_assert_int_eq(tg_params_set_flags(f.ps, "a", &(tg_parameter_flags){ .no_decay = true }), TG_OK);
        three_steps(f, o);
        three_steps(without, plain);
        ck_assert_int_eq(tg_params_get(without.ps, "a", kept, 2), TG_OK);
        assert_pair(f.ps, "a", (double)kept[0], (double)kept[1]);
        ck_assert_int_eq(tg_params_get(f.ps, "b", decayed, 2), TG_OK);
        ck_assert_double_gt(fabs((double)decayed[1] - (double)kept[1]), 1e-3);
        tg_context_free(f.cx), tg_context_free(without.cx);
    }
}
END_TEST

TG_TEST_MAIN("optim/rules", three_steps_give_pytorchs_numbers, default_rates_are_the_documented_ones,
             frozen_parameters_stay_and_their_gradients_are_zeroed,
             rate_scale_multiplies_the_rate_of_its_parameters,
             rate_scale_is_finite_and_not_negative_and_may_be_TG_ZERO,
             no_decay_leaves_its_parameters_out_of_weight_decay)
