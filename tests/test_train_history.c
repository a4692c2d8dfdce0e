/* The validation losses that a checkpoint keeps. */
#include <string.h>

#include "check_main.h"
#include "train/driver.h"

START_TEST(validation_history_does_not_grow_for_ever)
{
    tg_context *cx = tg_context_new(NULL);
    tg_archive *a = tg_archive_new(cx);
    validation_history h = { 0 }, back = { 0 };
    for (int64_t step = 1; step <= 100000; step++) {
        ck_assert_int_eq(tg__history_add(cx, &h, step, (double)step / 2), TG_OK);
        ck_assert(h.n >= 1 && h.n <= 1024 && h.step[h.n - 1] == step);
    }
    ck_assert_int_ge(h.n, 256);
    for (int i = 0; i < h.n; i++) { /* in order, of all of the run, and each with its own loss */
        ck_assert(h.loss[i] == (double)h.step[i] / 2 && (!i || h.step[i] > h.step[i - 1]));
        ck_assert(h.step[i] - (i ? h.step[i - 1] : 0) < 1000);
    }
    tg__history_put(&h, a);
    ck_assert_int_eq(tg__history_get(cx, &back, a), TG_OK);
    ck_assert(back.n == h.n && !memcmp(back.step, h.step, (size_t)h.n * sizeof *h.step) &&
              !memcmp(back.loss, h.loss, (size_t)h.n * sizeof *h.loss));
    tg__history_free(cx, &h);
    tg__history_free(cx, &back);
    tg_archive_free(a);

    a = tg_archive_new(cx); /* of a version that kept them all */
    enum { MANY = 5000 };
    static int64_t step[MANY];
    static double loss[MANY];
    for (int i = 0; i < MANY; i++) step[i] = i + 1;
    tg_archive_put_array(a, "run/validation/step", TG_INT64, 1, (int[]){ MANY }, step);
    tg_archive_put_array(a, "run/validation/loss", TG_FLOAT64, 1, (int[]){ MANY }, loss);
    ck_assert_int_eq(tg__history_get(cx, &back, a), TG_OK);
    ck_assert_int_eq(tg__history_add(cx, &back, MANY + 1, 0), TG_OK);
    ck_assert(back.n <= 1024 && back.step[back.n - 1] == MANY + 1 && back.step[back.n - 2] == MANY);
    tg__history_free(cx, &back);
    tg_archive_free(a);
    tg_context_free(cx);
}
END_TEST

TG_TEST_MAIN("train/history", validation_history_does_not_grow_for_ever)
