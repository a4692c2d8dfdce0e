/* Dropout. */
#include <math.h>
#include <string.h>

#include <tidegate/tidegate.h>

#include "check_main.h"
#include "core/random.h"
#include "ops/dropout.h"
#include "workers.h"

enum { N = 100000 };

static tg_real ones[N];

static void make_ones(void)
{
    for (int i = 0; i < N; i++) ones[i] = 1;
}

/* The mask of dropout p in the context's step, as the k-th dropout of its tape. */
static void mask_of(tg_context *cx, tg_real p, int k, tg_real *mask)
{
    tg_tape *t = tg_tape_new(cx);
    tg_tape_begin(t, TG_TRAIN);
    tg_tensor *x = tg_input(t, 1, (int[]){ N }, ones), *y = x;
    for (int i = 0; i <= k; i++) y = tg_dropout(t, x, p);
    memcpy(mask, y->data, sizeof ones);
    ck_assert(tg_context_ok(cx));
}

static double agreement(const tg_real *a, const tg_real *b)
{
    int same = 0;
    for (int i = 0; i < N; i++) same += (a[i] == 0) == (b[i] == 0);
    return (double)same / N;
}

START_TEST(elements_are_dropped_at_the_rate_and_the_others_scaled)
{
    static const double rates[] = { 0.05, 0.3, 0.5, 0.9 };
    static tg_real mask[N];
    tg_context *cx = tg_context_new(&(tg_context_config){ .seed = 3 });
    make_ones();
    for (int k = 0; k < 4; k++) {
        const double p = rates[k];
        int dropped = 0;
        mask_of(cx, (tg_real)p, 0, mask);
        for (int i = 0; i < N; i++) {
            dropped += mask[i] == 0;
            if (mask[i] != 0) ck_assert_double_eq_tol((double)mask[i], 1 / (1 - p), 1e-5);
        }
        ck_assert_double_eq_tol((double)dropped / N, p, 5 * sqrt(p * (1 - p) / N));
    }
    tg_context_free(cx);
}
END_TEST

START_TEST(mask_is_a_function_of_seed_step_and_place_alone)
{
    static tg_real a[N], b[N];
    tg_context *cx = tg_context_new(&(tg_context_config){ .seed = 3 });
    tg_context *again = tg_context_new(&(tg_context_config){ .seed = 3 });
    tg_context *other = tg_context_new(&(tg_context_config){ .seed = 4 });
    make_ones();
    tg_context_set_step(cx, 17);
    tg_context_set_step(again, 16);
    mask_of(again, (tg_real)0.5, 3, b); /* a past that must not matter */
    tg_context_set_step(again, 17);
    mask_of(cx, (tg_real)0.5, 0, a);
    mask_of(again, (tg_real)0.5, 0, b);
    ck_assert_mem_eq(a, b, sizeof a);

    mask_of(cx, (tg_real)0.5, 1, b); /* the second dropout of the tape */
    ck_assert_double_eq_tol(agreement(a, b), 0.5, 0.01);
    tg_context_set_step(cx, 18);
    mask_of(cx, (tg_real)0.5, 0, b);
    ck_assert_double_eq_tol(agreement(a, b), 0.5, 0.01);
    tg_context_set_step(other, 17);
    mask_of(other, (tg_real)0.5, 0, b);
    ck_assert_double_eq_tol(agreement(a, b), 0.5, 0.01);
    tg_context_free(cx), tg_context_free(again), tg_context_free(other);
}
END_TEST

/* A pass on t with two masks, the second of which is handed out; backward if asked for. */
static void pass(tg_tape *t, bool backward, tg_real *second)
{
    tg_tape_begin(t, TG_TRAIN);
    tg_tensor *x = tg_input(t, 1, (int[]){ N }, ones),
              *y = tg_dropout(t, tg_dropout(t, x, (tg_real)0.01), (tg_real)0.5);
    if (second) memcpy(second, y->data, sizeof ones);
    if (backward) ck_assert_int_eq(tg_tape_backward(t, tg_sum(t, y)), TG_OK);
}

START_TEST(step_begun_again_has_the_same_masks_on_whichever_tape)
{
    static tg_real first[N], again[N];
    tg_context *cx = tg_context_new(&(tg_context_config){ .seed = 3 });
    tg_tape *t = tg_tape_new(cx), *other = tg_tape_new(cx), *validation = tg_tape_new(cx);
    make_ones();
    tg_context_set_step(cx, 17);
    pass(t, false, first);
    pass(t, false, again); /* begun twice */
    ck_assert_mem_eq(first, again, sizeof first);
    pass(other, false, again);
    ck_assert_mem_eq(first, again, sizeof first);
    tg_tape_begin(validation, TG_EVAL);
    tg_dropout(validation, tg_input(validation, 1, (int[]){ N }, ones), (tg_real)0.5);
    pass(t, true, again);
    ck_assert_mem_eq(first, again, sizeof first);
    tg_context_set_step(cx, 17); /* the step anew, after its pass was run backward */
    pass(t, false, again);
    ck_assert_mem_eq(first, again, sizeof first);
    tg_context_free(cx);
}
END_TEST

START_TEST(passes_that_add_up_in_a_step_have_masks_of_their_own)
{
    static tg_real first[N], second[N], again[N];
    tg_context *cx = tg_context_new(&(tg_context_config){ .seed = 3 });
    tg_tape *t = tg_tape_new(cx), *other = tg_tape_new(cx);
    make_ones();
    tg_context_set_step(cx, 17);
    pass(t, true, first);
    pass(t, true, second);
    ck_assert_double_lt(agreement(first, second), 0.52);
    tg_context_set_step(cx, 17);
    pass(t, true, NULL);
    pass(other, true, again); /* the same place on another tape */
    ck_assert_mem_eq(second, again, sizeof second);
    tg_context_set_step(cx, 18);
    pass(t, true, again);
    ck_assert_double_lt(agreement(first, again), 0.52);
    ck_assert_double_lt(agreement(second, again), 0.52);
    /* two tapes, both begun before backward: equal places, equal masks; unequal places, others */
    tg_context_set_step(cx, 17);
    tg_tape_begin(t, TG_TRAIN), tg_tape_begin(other, TG_TRAIN);
    tg_tensor *x = tg_input(t, 1, (int[]){ N }, ones), *z = tg_input(other, 1, (int[]){ N }, ones);
    const tg_tensor *a = tg_dropout(t, x, (tg_real)0.5), *b = tg_dropout(other, z, (tg_real)0.5),
                    *c = tg_dropout(other, z, (tg_real)0.5);
    ck_assert_mem_eq(a->data, b->data, sizeof ones);
    ck_assert_double_lt(agreement(a->data, c->data), 0.52);
    tg_context_free(cx);
}
END_TEST

START_TEST(mask_element_i_is_word_i_of_its_blocks_and_its_length_does_not_matter)
{
    tg_real mask[13], longer[14];
    tg_context *cx = tg_context_new(&(tg_context_config){ .seed = 9 });
    tg_context_set_step(cx, 5);
    tg__dropout_mask(cx, "rnn/dropout", 6, (tg_real)0.25, 13, mask);
    tg__dropout_mask(cx, "rnn/dropout", 6, (tg_real)0.25, 14, longer);
    ck_assert_mem_eq(mask, longer, sizeof mask);
    for (int i = 0; i < 13; i++) {
        uint32_t word[4];
        tg__random_block(tg__random_key(9, "rnn/dropout"), 5, ((uint64_t)6 << 40) + (uint64_t)i / 4, word);
        ck_assert_int_eq(mask[i] == 0, word[i % 4] < 1u << 30);
    }
    tg_context_free(cx);
}
END_TEST

START_TEST(gradient_passes_where_the_value_did)
{
    tg_context *cx = tg_context_new(&(tg_context_config){ .seed = 3 });
    tg_tape *t = tg_tape_new(cx);
    make_ones();
    tg_tape_begin(t, TG_TRAIN);
    tg_tensor *x = tg_input(t, 1, (int[]){ 1000 }, ones), *y = tg_dropout(t, x, (tg_real)0.4);
    ck_assert_int_eq(tg_tape_backward(t, tg_sum(t, tg_scale(t, y, 2))), TG_OK);
    for (int i = 0; i < 1000; i++) ck_assert_double_eq_tol((double)x->grad[i], 2 * (double)y->data[i], 1e-6);
    tg_context_free(cx);
}
END_TEST

START_TEST(evaluation_and_rate_zero_give_x_itself)
{
    tg_context *cx = tg_context_new(NULL);
    tg_tape *t = tg_tape_new(cx);
    tg_tensor *x = tg_tensor_new(cx, 1, (int[]){ 5 });
    tg_tape_begin(t, TG_EVAL);
    ck_assert_ptr_eq(tg_dropout(t, x, (tg_real)0.9), x);
    tg_tape_begin(t, TG_TRAIN);
    ck_assert_ptr_eq(tg_dropout(t, x, 0), x);
    ck_assert(tg_context_ok(cx));
    tg_context_free(cx);
}
END_TEST

START_TEST(rate_outside_0_to_1_fails_with_the_number)
{
    static const double bad[] = { -0.5, 1, 2, NAN };
    static const char *text[] = { "-0.5", "1", "2", "nan" };
    char sentence[100];
    tg_context *cx = tg_context_new(NULL);
    tg_tape *t = tg_tape_new(cx);
    tg_tensor *x = tg_tensor_new(cx, 1, (int[]){ 5 });
    for (int k = 0; k < 4; k++) {
        tg_tape_begin(t, k % 2 ? TG_EVAL : TG_TRAIN);
        tg_dropout(t, x, (tg_real)bad[k]);
        snprintf(sentence, sizeof sentence, "tg_dropout: p is %s, must be at least 0 and below 1", text[k]);
        ck_assert_int_eq(tg_context_status(cx), TG_ERR_ARGUMENT);
        ck_assert_str_eq(tg_context_message(cx), sentence);
        tg_context_clear(cx);
    }
    tg_context_free(cx);
}
END_TEST

START_TEST(any_number_of_workers_gives_the_same_mask)
{
    static tg_real one[N], many[N];
    tg_context *cx = context_of_workers(1, 5), *cx8 = context_of_workers(8, 5);
    make_ones();
    mask_of(cx, (tg_real)0.3, 0, one);
    mask_of(cx8, (tg_real)0.3, 0, many);
    ck_assert_mem_eq(one, many, sizeof one);
    UNTIL_SHARED(cx8)
    {
        tg__dropout_mask(cx, "s", 1, (tg_real)0.3, N, one);
        tg__dropout_mask(cx8, "s", 1, (tg_real)0.3, N, many);
        ck_assert_mem_eq(one, many, sizeof one);
    }
    tg_context_free(cx), tg_context_free(cx8);
}
END_TEST

TG_TEST_MAIN("ops/dropout", elements_are_dropped_at_the_rate_and_the_others_scaled,
             mask_is_a_function_of_seed_step_and_place_alone,
             step_begun_again_has_the_same_masks_on_whichever_tape,
             passes_that_add_up_in_a_step_have_masks_of_their_own,
             mask_element_i_is_word_i_of_its_blocks_and_its_length_does_not_matter,
             gradient_passes_where_the_value_did, evaluation_and_rate_zero_give_x_itself,
             rate_outside_0_to_1_fails_with_the_number, any_number_of_workers_gives_the_same_mask)
