/* Beam search: what it refuses, and what it does without memory. */
#include "beam_world.h"

#include <stdio.h>

/* ---- failures ---- */

static void expect_failure(tg_context *cx, dream *d, const tg_decoding_config *config, beam_task task,
                           tg_status status, const char *part)
{
    beam_results found;
    ck_assert_int_eq(dream_search(cx, d, config, task, &found), status);
    ck_assert_msg(strstr(tg_context_message(cx), part), "'%s' lacks '%s'", tg_context_message(cx), part);
    ck_assert(tg_context_ok(cx) && !found.count && !found.best);
    tg__beam_results_free(&found); /* harmless */
}

START_TEST(refuses_numbers_that_are_not_finite)
{
    static const tg_real wrong[] = { (tg_real)NAN, (tg_real)INFINITY, (tg_real)-INFINITY };
    static const int token[] = { TG_PAD, TG_BEGIN, TG_END, 70, 299 };
    const tg_decoding_config config = { .beam = 4, .nbest = 4, .coverage_penalty = 1 };
    tg_context *cx = tg_context_new(NULL);
    dream d = dream_new(5, 300, 3);
    char part[120];
    d.spoiled_call = 2, d.spoiled_row = 9; /* 4 rows of each sentence: the second of the third */
    for (int k = 0; k < 3; k++) {
        for (int i = 0; i < 5; i++) {
            d.spoiled_at = token[i], d.spoiled_logit = wrong[k];
            snprintf(part, sizeof part,
                     "search: sentence 2, hypothesis 1, word 2: the model gives a number that "
                     "is not finite for token %d",
                     token[i]);
            expect_failure(cx, &d, &config, (beam_task){ .who = NULL }, TG_ERR_NUMBER, part);
            ck_assert_int_eq(d.calls, 3);
        }
        d.spoiled_at = 3, d.spoiled_logit = 0, d.spoiled_attention = k < 2 ? wrong[k] : (tg_real)-0.1;
        expect_failure(
            cx, &d, &config, (beam_task){ .who = NULL }, TG_ERR_NUMBER,
            "search: sentence 2, hypothesis 1, word 2: attention is not finite or below 0 at source "
            "position 3");
        d.spoiled_attention = 0;
    }
    dream_end(&d);
    tg_context_free(cx);
}
END_TEST

START_TEST(settings_that_cannot_be_are_refused)
{
    static const struct {
        tg_decoding_config config;
        const char *part;
    } wrong[] = {
        { { .beam = -1 }, "search: beam is -1, must be in 1..10000" },
        { { .beam = 10001 }, "beam is 10001" },
        { { .nbest = 2 }, "nbest is 2, must be in 1..1, the beam" },
        { { .beam = 4, .nbest = -1 }, "nbest is -1, must be in 1..4" },
        { { .max_length = -3 }, "max_length is -3" },
        { { .normalization = (tg_length_normalization)3 }, "normalization is 3" },
        { { .alpha = -1 }, "alpha is -1, must be in 0..10" },
        { { .alpha = (tg_real)NAN }, "alpha is " },
        { { .alpha = 11 }, "alpha is 11" },
        { { .coverage_penalty = -1 }, "coverage_penalty is -1" },
        { { .coverage_penalty = (tg_real)INFINITY }, "coverage_penalty is inf" },
    };
    tg_context *cx = tg_context_new(NULL);
    dream d = dream_new(5, 30, 2);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        expect_failure(cx, &d, &wrong[i].config, (beam_task){ .who = NULL }, TG_ERR_ARGUMENT, wrong[i].part);
    expect_failure(cx, &d, NULL, (beam_task){ .max_length = (int[]){ 2, 0 } }, TG_ERR_ARGUMENT,
                   "sentence 1 has max_length 0");
    d.source_lengths[1] = DREAM_SOURCE + 1;
    expect_failure(cx, &d, NULL, (beam_task){ .who = NULL }, TG_ERR_ARGUMENT,
                   "sentence 1 has source length 6, must be in 1..5");
    d.source_lengths[1] = 0;
    expect_failure(cx, &d, NULL, (beam_task){ .who = NULL }, TG_ERR_ARGUMENT,
                   "sentence 1 has source length 0");
    d.source_lengths[1] = 1, d.V = 3;
    expect_failure(cx, &d, NULL, (beam_task){ .who = NULL }, TG_ERR_ARGUMENT, "3 tokens, 2 sentences");
    d.V = 30;
    ck_assert_int_eq(d.calls, 0);
    dream_end(&d);
    tg_context_free(cx);
}
END_TEST

START_TEST(model_that_fails_or_has_no_attention_ends_the_search)
{
    tg_context *cx = tg_context_new(NULL);
    dream d = dream_new(5, 30, 2);
    d.end_bonus = -100;
    d.fails = TG_ERR_INTERRUPTED;
    expect_failure(cx, &d, NULL, (beam_task){ .who = NULL }, TG_ERR_INTERRUPTED, "");
    ck_assert_int_eq(d.calls, 2);
    d.fails = TG_OK, d.without_attention = true;
    expect_failure(cx, &d, NULL, (beam_task){ .keep_attention = true }, TG_ERR_ARGUMENT,
                   "search: what is asked for needs attention, which this model has not");
    expect_failure(cx, &d, &(tg_decoding_config){ .coverage_penalty = 1 }, (beam_task){ .who = NULL },
                   TG_ERR_ARGUMENT, "search: coverage_penalty needs attention");
    beam_results found;
    dream_found(cx, &d, NULL, (beam_task){ .who = NULL }, &found);
    ck_assert_ptr_null(found.best[0]->attention);
    tg__beam_results_free(&found);
    tg_context_fail(cx, TG_ERR_STATE, "earlier");
    ck_assert_int_eq(dream_search(cx, &d, NULL, (beam_task){ .who = NULL }, &found), TG_ERR_STATE);
    ck_assert_str_eq(tg_context_message(cx), "earlier");
    dream_end(&d);
    tg_context_free(cx);
}
END_TEST

/* ---- memory ---- */

static struct {
    int taken, fail_at; /* the fail_at-th allocation from now fails; 0: none */
    int live, at_first_step;
} memory;

static void *meagre_allocate(void *user, size_t bytes)
{
    (void)user;
    if (++memory.taken == memory.fail_at) return NULL;
    void *block = malloc(bytes);
    memory.live += block != NULL;
    return block;
}
static void meagre_release(void *user, void *block)
{
    (void)user;
    memory.live -= block != NULL;
    free(block);
}
static void look_at_memory(int call)
{
    if (!call) memory.at_first_step = memory.taken;
    ck_assert_int_eq(memory.taken, memory.at_first_step);
}

START_TEST(steps_allocate_nothing_and_memory_that_cannot_be_had_is_a_status)
{
    const tg_decoding_config config = { .beam = 12, .nbest = 12, .max_length = 38, .coverage_penalty = 1 };
    int failures = 0;
    tg_status status = TG_ERR_MEMORY;
    for (int k = 1; status; k++) {
        dream d = dream_new(6, 40, DREAM_SENTENCES); /* whose results do not fit one block of an arena */
        beam_results found;
        tg_context *cx = tg_context_new(
            &(tg_context_config){ .threads = 1, .allocate = meagre_allocate, .release = meagre_release });
        d.end_bonus = -4;
        d.at_step = look_at_memory;
        const int before = memory.live;
        memory.taken = 0, memory.fail_at = k;
        status = dream_search(cx, &d, &config, (beam_task){ .keep_attention = true }, &found);
        memory.fail_at = 0;
        ck_assert(status == TG_OK || status == TG_ERR_MEMORY);
        ck_assert(tg_context_ok(cx));
        if (status) {
            ck_assert_ptr_nonnull(strstr(tg_context_message(cx), "out of memory"));
            ck_assert_int_eq(memory.live, before);
            ck_assert(!found.count && !found.best);
        } else {
            ck_assert_int_gt(d.calls, 5);
        }
        failures += status != TG_OK;
        tg__beam_results_free(&found);
        ck_assert_int_eq(memory.live, before);
        dream_end(&d);
        tg_context_free(cx);
        ck_assert_int_lt(k, 1000);
    }
    ck_assert_int_ge(failures, 4);
}
END_TEST

static void *no_more_than_a_gibibyte(void *user, size_t bytes)
{
    (void)user;
    return bytes > 1u << 30 ? NULL : malloc(bytes);
}
static void give_back(void *user, void *block) { (void)user, free(block); }

/* Numbers that make the sizes overflow, or ask for more than there is. */
START_TEST(sizes_beyond_all_memory_are_a_status)
{
    tg_context *cx =
        tg_context_new(&(tg_context_config){ .allocate = no_more_than_a_gibibyte, .release = give_back });
    dream d = dream_new(6, 40, 9);
    beam_results found;
    int longest[9];
    for (int b = 0; b < 9; b++) longest[b] = 2147483647;
    ck_assert_int_eq(dream_search(cx, &d, &(tg_decoding_config){ .beam = 10000 },
                                  (beam_task){ .max_length = longest, .keep_attention = true }, &found),
                     TG_ERR_MEMORY);
    ck_assert(tg_context_ok(cx) && !d.calls);
    const beam_task many = { .who = "search", .B = 2147483647, .S = 1, .source_lengths = longest };
    const beam_model m = { &d, 40, dream_step };
    ck_assert_int_eq(tg__beam_search(cx, &m, &(tg_decoding_config){ .beam = 2 }, &many, &found),
                     TG_ERR_ARGUMENT);
    ck_assert_ptr_nonnull(
        strstr(tg_context_message(cx), "2147483647 sentences with a beam of 2 are too many"));
    tg_context_free(cx);
}
END_TEST

TG_TEST_MAIN("models/beam_faults", refuses_numbers_that_are_not_finite, settings_that_cannot_be_are_refused,
             model_that_fails_or_has_no_attention_ends_the_search,
             steps_allocate_nothing_and_memory_that_cannot_be_had_is_a_status,
             sizes_beyond_all_memory_are_a_status)
