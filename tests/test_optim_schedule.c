/* Learning rate schedules. */
#include <math.h>

#include <tidegate/tidegate.h>

#include "check_main.h"
#include "optim/optimizer.h"

#define R(x) ((tg_real)(x))

static void assert_rate(const tg_schedule *s, int64_t step, double expected)
{
    ck_assert_double_eq_tol((double)tg_schedule_rate(s, step), expected,
                            (TG_DOUBLE ? 1e-15 : 1e-7) + 2e-7 * expected * !TG_DOUBLE);
}

START_TEST(constant_stays_and_warmup_rises_linearly_to_it)
{
    tg_schedule s = { .lr = R(0.1) };
    for (int k = 0; k < 5; k++) assert_rate(&s, k, 0.1);
    s.warmup = 4;
    static const double rates[] = { 0.025, 0.05, 0.075, 0.1, 0.1, 0.1 };
    for (int k = 0; k < 6; k++) assert_rate(&s, k, rates[k]);
}
END_TEST

START_TEST(step_multiplies_once_a_period_after_the_warmup)
{
    const tg_schedule s = { .kind = TG_STEP, .lr = R(0.1), .period = 3, .gamma = R(0.5) };
    for (int k = 0; k < 10; k++) assert_rate(&s, k, 0.1 * pow(0.5, k / 3));
    const tg_schedule warm = { .kind = TG_STEP, .lr = R(0.1), .period = 3, .warmup = 2 };
    static const double rates[] = { 0.05, 0.1, 0.1, 0.1, 0.1, 0.01, 0.01, 0.01, 0.001 };
    for (int k = 0; k < 9; k++) assert_rate(&warm, k, rates[k]);
}
END_TEST

START_TEST(exponential_halves_in_a_period)
{
    const tg_schedule s = { .kind = TG_EXPONENTIAL, .lr = R(0.1), .period = 10 };
    for (int k = 0; k < 30; k++) assert_rate(&s, k, 0.1 * pow(0.5, k / 10.0));
    const tg_schedule other = {
        .kind = TG_EXPONENTIAL, .lr = R(0.1), .period = 10, .gamma = R(0.25), .warmup = 5
    };
    for (int k = 5; k < 30; k++) assert_rate(&other, k, 0.1 * pow(0.25, (k - 5) / 10.0));
}
END_TEST

START_TEST(cosine_falls_to_its_minimum_and_stays)
{
    const double pi = 3.14159265358979323846;
    const tg_schedule s = { .kind = TG_COSINE, .lr = R(0.1), .min = R(0.01), .period = 8 };
    for (int k = 0; k < 12; k++) assert_rate(&s, k, k < 8 ? 0.01 + 0.09 * (1 + cos(pi * k / 8)) / 2 : 0.01);
    const tg_schedule warm = { .kind = TG_COSINE, .lr = R(0.1), .period = 8, .warmup = 3 };
    static const double rises[] = { 0.1 / 3, 0.2 / 3, 0.1 };
    for (int k = 0; k < 15; k++)
        assert_rate(&warm, k, k < 3 ? rises[k] : k < 11 ? 0.1 * (1 + cos(pi * (k - 3) / 8)) / 2 : 0);
}
END_TEST

START_TEST(inverse_square_root_joins_the_warmup_at_its_top)
{
    const tg_schedule s = { .kind = TG_INVERSE_SQRT, .lr = R(0.1), .warmup = 4 };
    static const double rises[] = { 0.025, 0.05, 0.075, 0.1, 0.1 };
    for (int k = 0; k < 100; k++) assert_rate(&s, k, k < 5 ? rises[k] : 0.1 * sqrt(4) / sqrt(k));
    const tg_schedule cold = { .kind = TG_INVERSE_SQRT, .lr = R(0.1) };
    for (int k = 0; k < 100; k++) assert_rate(&cold, k, k < 2 ? 0.1 : 0.1 / sqrt(k));
}
END_TEST

/* The rule of torch.optim.lr_scheduler.ReduceLROnPlateau: more than `patience` validations in a row. */
START_TEST(plateau_counts_as_pytorch_does)
{
    tg_schedule s = { .kind = TG_PLATEAU, .lr = R(0.1), .patience = 2, .min = R(0.0005) };
    static const struct {
        double loss, rate;
    } validations[] = {
        { 3, 0.1 },
        { 2, 0.1 },
        { 2.5, 0.1 },
        { 2.5, 0.1 },
        { 1.5, 0.1 },                /* better: the count starts anew */
        { 1.5 * (1 - 0.5e-4), 0.1 }, /* better by less than 1e-4 of it: not better */
        { 1.6, 0.1 },
        { 1.6, 0.01 }, /* the third in a row */
        { NAN, 0.01 },
        { 1.4, 0.01 },
        { 1.4, 0.01 },
        { 1.4, 0.01 },
        { INFINITY, 0.001 },
        { 2, 0.001 },
        { 2, 0.001 },
        { 2, 0.0005 }, /* never below min */
        { 2, 0.0005 },
        { 2, 0.0005 },
        { 2, 0.0005 },
    };
    assert_rate(&s, 0, 0.1);
    for (size_t k = 0; k < sizeof validations / sizeof *validations; k++) {
        tg_schedule_validated(&s, validations[k].loss);
        assert_rate(&s, (int64_t)k, validations[k].rate);
    }
    ck_assert_double_eq_tol(s.best, 1.4, 1e-12);
}
END_TEST

START_TEST(plateau_acts_within_ten_validations_by_default)
{
    tg_schedule s = { .kind = TG_PLATEAU, .lr = 1 },
                at_once = { .kind = TG_PLATEAU, .lr = 1, .patience = -1 };
    for (int k = 0; k < 3; k++) tg_schedule_validated(&s, 1);
    assert_rate(&s, 0, 1);
    tg_schedule_validated(&s, 1);
    assert_rate(&s, 0, 0.1);
    for (int k = 0; k < 2; k++) tg_schedule_validated(&at_once, 1);
    assert_rate(&at_once, 0, 0.1);
}
END_TEST

START_TEST(plateau_of_negative_losses_can_still_drop)
{
    tg_schedule s = { .kind = TG_PLATEAU, .lr = 1, .patience = -1 };
    tg_schedule_validated(&s, -5);
    tg_schedule_validated(&s, -5);
    ck_assert_int_eq(s.drops, 1);
    tg_schedule_validated(&s, -5.1);
    ck_assert_int_eq(s.drops, 1);
}
END_TEST

START_TEST(negative_step_has_the_rate_of_the_first)
{
    for (tg_schedule_kind kind = TG_CONSTANT; kind <= TG_PLATEAU; kind++) {
        const tg_schedule s = { .kind = kind, .lr = R(0.1), .period = 10, .warmup = 10 };
        assert_rate(&s, -5, 0.01);
        assert_rate(&s, INT64_MIN, 0.01);
    }
}
END_TEST

/* ---- a run that goes on with another period ---- */

START_TEST(rate_goes_on_when_the_period_changes)
{
    static const tg_schedule_kind kinds[] = { TG_STEP, TG_EXPONENTIAL, TG_COSINE };
    for (int k = 0; k < 3; k++)
        for (int warmup = 0; warmup < 5; warmup += 4) {
            tg_schedule old = { .kind = kinds[k], .lr = R(0.1), .period = 100, .warmup = warmup }, s = old;
            ck_assert(!tg__schedule_follow(&s, &old, 60, warmup + 100)); /* the same settings */
            ck_assert(s.from == 0 && s.done == 0 && s.pace == 0);
            s.period = 300;
            ck_assert(tg__schedule_follow(&s, &old, 60, 500));
            const double then = (double)tg_schedule_rate(&old, 60);
            assert_rate(&s, 60, then);
            assert_rate(&s, 59, then);
            const double next = (double)tg_schedule_rate(&s, 61);
            ck_assert(next <= then && next > then * 0.98);
            tg_schedule again = { .kind = kinds[k], .lr = R(0.1), .period = 300, .warmup = warmup };
            ck_assert(!tg__schedule_follow(&again, &s, 200, 500)); /* resumed once more: to the same bits */
            for (int at = 200; at < 520; at++)
                ck_assert(tg_schedule_rate(&again, at) == tg_schedule_rate(&s, at));
            if (kinds[k] == TG_COSINE) {
                const double middle = 0.05 * (1 + cos(3.14159265358979 * (0.5 + (60 - warmup) / 200.0)));
                assert_rate(&s, 280, middle);
                ck_assert(tg_schedule_rate(&s, 499) > 0 && tg_schedule_rate(&s, 500) < R(1e-9));
            }
        }
}
END_TEST

START_TEST(cosine_that_has_ended_begins_anew_with_another_rate_only)
{
    const tg_schedule old = { .kind = TG_COSINE, .lr = R(0.1), .period = 100 };
    tg_schedule s = { .kind = TG_COSINE, .lr = R(0.1), .period = 200 };
    ck_assert(tg__schedule_follow(&s, &old, 100, 200));
    for (int at = 100; at < 210; at++) assert_rate(&s, at, 0);
    s = (tg_schedule){ .kind = TG_COSINE, .lr = R(0.02), .period = 200 };
    ck_assert(tg__schedule_follow(&s, &old, 100, 200));
    assert_rate(&s, 100, 0.02);
    assert_rate(&s, 150, 0.01);
    assert_rate(&s, 200, 0);
}
END_TEST

START_TEST(another_kind_begins_at_its_base)
{
    const tg_schedule old = { .kind = TG_CONSTANT, .lr = R(0.1) };
    tg_schedule s = { .kind = TG_COSINE, .lr = R(0.1), .period = 100 };
    ck_assert(tg__schedule_follow(&s, &old, 60, 100));
    assert_rate(&s, 60, 0.1);
    assert_rate(&s, 80, 0.05);
    assert_rate(&s, 100, 0);
}
END_TEST

START_TEST(other_kinds_ignore_validations)
{
    tg_schedule s = { .kind = TG_COSINE, .lr = R(0.1), .period = 10, .patience = 1 };
    for (int k = 0; k < 5; k++) tg_schedule_validated(&s, 1);
    ck_assert(!s.seen && s.drops == 0 && s.bad == 0);
}
END_TEST

START_TEST(period_that_nobody_filled_in_leaves_the_rate)
{
    for (tg_schedule_kind kind = TG_STEP; kind <= TG_COSINE; kind++) {
        const tg_schedule s = { .kind = kind, .lr = R(0.1) };
        assert_rate(&s, 0, 0.1);
        assert_rate(&s, 1000, 0.1);
    }
}
END_TEST

START_TEST(kinds_have_names)
{
    static const char *const names[] = { "constant", "step",         "exponential",
                                         "cosine",   "inverse_sqrt", "plateau" };
    tg_schedule_kind kind;
    for (int k = TG_CONSTANT; k <= TG_PLATEAU; k++) {
        ck_assert_str_eq(tg_schedule_name((tg_schedule_kind)k), names[k]);
        ck_assert(tg_schedule_kind_named(names[k], &kind));
        ck_assert_int_eq((int)kind, k);
    }
    ck_assert(!tg_schedule_kind_named("linear", &kind));
    ck_assert(!tg_schedule_kind_named(NULL, &kind));
    ck_assert_str_eq(tg_schedule_name((tg_schedule_kind)99), "unknown");
}
END_TEST

TG_TEST_MAIN("optim/schedule", constant_stays_and_warmup_rises_linearly_to_it,
             step_multiplies_once_a_period_after_the_warmup, exponential_halves_in_a_period,
             cosine_falls_to_its_minimum_and_stays, inverse_square_root_joins_the_warmup_at_its_top,
             plateau_counts_as_pytorch_does, plateau_acts_within_ten_validations_by_default,
             plateau_of_negative_losses_can_still_drop, negative_step_has_the_rate_of_the_first,
             rate_goes_on_when_the_period_changes, cosine_that_has_ended_begins_anew_with_another_rate_only,
             another_kind_begins_at_its_base, other_kinds_ignore_validations,
             period_that_nobody_filled_in_leaves_the_rate, kinds_have_names)
