/* Contexts: sticky errors, notes, allocators, arenas. */
#include <math.h>
#include <string.h>
#include <tidegate/tidegate.h>

#include "check_main.h"
#include "core/context.h"

START_TEST(first_error_is_kept_and_later_calls_do_nothing)
{
    tg_context *cx = tg_context_new(NULL);
    ck_assert(tg_context_ok(cx));
    tg_tensor *bad = tg_tensor_new(cx, 2, (int[]){ 3, 0 });
    ck_assert_int_eq(tg_context_status(cx), TG_ERR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(tg_context_message(cx), "dimension 1 is 0"));
    ck_assert(isnan(bad->data[0]));
    tg_context_fail(cx, TG_ERR_MEMORY, "later");
    ck_assert_int_eq(tg_context_status(cx), TG_ERR_ARGUMENT);
    ck_assert_ptr_null(strstr(tg_context_message(cx), "later"));
    ck_assert_ptr_eq(tg_tensor_new(cx, 0, NULL), bad); /* nothing is made */
    tg_context_clear(cx);
    ck_assert(tg_context_ok(cx));
    ck_assert_ptr_ne(tg_tensor_new(cx, 0, NULL), bad);
    tg_context_free(cx);
}
END_TEST

START_TEST(harmless_object_is_never_written_to)
{
    tg_context *cx = tg_context_new(NULL);
    tg_tensor *nil = tg_tensor_new(cx, 9, NULL);
    tg_tensor_set(nil, (const tg_real[]){ 1, 2, 3 }, 3);
    tg_context_clear(cx);
    tg_tensor_set(nil, (const tg_real[]){ 1 }, 1);
    ck_assert(isnan(nil->data[0]));
    tg_context_free(cx);
}
END_TEST

START_TEST(note_leaves_the_context_usable_and_hides_no_error)
{
    tg_context *cx = tg_context_new(NULL);
    ck_assert_int_eq(tg_context_note(cx, TG_ERR_IO, "disk %d", 3), TG_ERR_IO);
    ck_assert(tg_context_ok(cx));
    ck_assert_str_eq(tg_context_message(cx), "disk 3");
    tg_context_fail(cx, TG_ERR_SHAPE, "shape");
    tg_context_note(cx, TG_ERR_IO, "disk again");
    ck_assert_str_eq(tg_context_message(cx), "shape");
    tg_context_free(cx);
}
END_TEST

START_TEST(tensor_takes_exactly_its_numbers)
{
    tg_context *cx = tg_context_new(NULL);
    tg_tensor *x = tg_tensor_new(cx, 2, (int[]){ 2, 2 });
    tg_tensor_set(x, (const tg_real[]){ 1, 2, 3, 4 }, 4);
    ck_assert(tg_context_ok(cx) && x->data[3] == 4);
    tg_tensor_set(x, (const tg_real[]){ 9, 9, 9 }, 3);
    ck_assert_int_eq(tg_context_status(cx), TG_ERR_SHAPE);
    ck_assert_ptr_nonnull(strstr(tg_context_message(cx), "3 numbers for a tensor [2,2] of 4"));
    ck_assert(x->data[0] == 1);
    tg_context_free(cx);
}
END_TEST

START_TEST(program_of_the_other_precision_is_refused)
{
    tg_context *cx = tg_context_new_for(NULL, sizeof(tg_real) == 4 ? 8 : 4);
    ck_assert_int_eq(tg_context_status(cx), TG_ERR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(tg_context_message(cx), "8 bytes"));
    tg_context_free(cx);
}
END_TEST

START_TEST(every_status_has_a_text)
{
#define X(name, value, text) ck_assert_str_eq(tg_status_text(name), text);
    TG_STATUS_LIST(X)
#undef X
    ck_assert_str_eq(tg_status_text((tg_status)99), "unknown status");
}
END_TEST

START_TEST(number_is_as_short_as_it_reads_back)
{
    static const struct {
        double x;
        const char *text;
    } sample[] = { { (double)0.003f, "0.003" },
                   { 0.003, "0.003" },
                   { (double)0.1f, "0.1" },
                   { 0.5, "0.5" },
                   { 0, "0" },
                   { -12345678, "-12345678" },
                   { (double)1e-8f, "1e-08" },
                   { (double)16777217, "16777217" },
                   { (double)0.123456789f, "0.12345679" },
                   { 2.6142766581422094, "2.6142766581422094" } };
    for (size_t i = 0; i < sizeof sample / sizeof *sample; i++)
        ck_assert_str_eq(tg_number(sample[i].x).s, sample[i].text);
    for (int i = 1; i < 1000; i++) {
        const float x = (float)i * 1.1e-7f;
        const double y = (double)i * 1.1e-7;
        ck_assert(strtof(tg_number((double)x).s, NULL) == x && strtod(tg_number(y).s, NULL) == y);
    }
}
END_TEST

/* ---- the allocator ---- */

static void release_nothing(void *user, void *block) { (void)user, (void)block; }

START_TEST(half_an_allocator_is_refused)
{
    tg_context *cx = tg_context_new(&(tg_context_config){ .release = release_nothing });
    ck_assert_int_eq(tg_context_status(cx), TG_ERR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(tg_context_message(cx), "allocate is NULL"));
    tg_context_free(cx);
}
END_TEST

typedef struct counting {
    long live, made, fail_at; /* the fail_at-th allocation and all after it fail; 0: none */
} counting;

static void *count_allocate(void *user, size_t bytes)
{
    counting *c = user;
    if (++c->made >= c->fail_at && c->fail_at) return NULL;
    c->live++;
    return malloc(bytes);
}

static void count_release(void *user, void *block)
{
    ((counting *)user)->live--;
    free(block);
}

static tg_status train_a_little(counting *c)
{
    tg_context *cx = tg_context_new(&(tg_context_config){
        .seed = 1, .allocate = count_allocate, .release = count_release, .allocator_user = c });
    tg_params *ps = tg_params_new(cx);
    tg_rnn *gru = tg_rnn_new(ps, "gru", 3, 5, &(tg_rnn_config){ .layers = 2, .dropout = (tg_real)0.1 });
    tg_linear *out = tg_linear_new(ps, "out", 5, 4, NULL);
    tg_optimizer *adam = tg_adam_new(ps, NULL);
    tg_tape *t = tg_tape_new(cx);
    const tg_real x[4 * 2 * 3] = { 1, 2, 3 };
    const int id[8] = { 0, 1, 2, 3, 0, 1, 2, 3 }, lengths[2] = { 4, 2 };
    tg_status s = TG_OK;
    for (int k = 0; k < 3 && !s; k++) {
        tg_tape_begin(t, TG_TRAIN);
        tg_tensor *y = tg_rnn_run(gru, t, tg_input(t, 3, (int[]){ 4, 2, 3 }, x), lengths, NULL, NULL);
        s = tg_tape_backward(t, tg_cross_entropy(t, tg_linear_run(out, t, y), id, NULL));
        if (!s) s = tg_optimizer_step(adam);
    }
    if (s == TG_OK) s = tg_context_status(cx);
    tg_context_free(cx);
    return s;
}

START_TEST(every_allocation_may_fail_once_and_for_good)
{
    counting whole = { 0 };
    ck_assert_int_eq(train_a_little(&whole), TG_OK);
    ck_assert_int_eq(whole.live, 0);
    ck_assert_int_gt(whole.made, 5);
    for (long k = 1; k <= whole.made; k++) {
        counting c = { .fail_at = k };
        const tg_status s = train_a_little(&c);
        ck_assert_msg(s == TG_ERR_MEMORY || s == TG_OK, "allocation %ld: status %d", k, s);
        ck_assert_msg(c.live == 0, "allocation %ld: %ld blocks leaked", k, c.live);
    }
}
END_TEST

START_TEST(arena_keeps_its_blocks_on_reset)
{
    counting c = { 0 };
    tg_context *cx = tg_context_new(
        &(tg_context_config){ .allocate = count_allocate, .release = count_release, .allocator_user = &c });
    arena a;
    tg__arena_init(&a, cx);
    long after_first = 0;
    for (int round = 0; round < 5; round++) {
        for (int k = 1; k < 50; k++) {
            char *p = tg__arena_take(&a, (size_t)k * 1000);
            ck_assert_uint_eq((uintptr_t)p % 64, 0);
            memset(p, round, (size_t)k * 1000);
        }
        tg__arena_reset(&a);
        if (round == 1) after_first = c.made; /* the second round has it all in one block */
    }
#if !defined(TG_DEBUG_ARENA) || !TG_DEBUG_ARENA
    ck_assert_int_eq(c.made, after_first);
#else
    ck_assert_int_gt(c.made, after_first);
#endif
    ck_assert_uint_ge(a.peak, 49 * 50 / 2 * 1000);
    tg__arena_free(&a);
    tg_context_free(cx);
    ck_assert_int_eq(c.live, 0);
}
END_TEST

static size_t held, most_held;
static void *measure_allocate(void *user, size_t bytes)
{
    (void)user;
    size_t *p = malloc(bytes + 64);
    *p = bytes;
    held += bytes;
    if (held > most_held) most_held = held;
    return (char *)p + 64;
}
static void measure_release(void *user, void *block)
{
    (void)user;
    size_t *p = (size_t *)(void *)((char *)block - 64);
    held -= *p;
    free(p);
}

START_TEST(work_of_changing_shape_needs_no_more_than_its_largest)
{
    tg_context *cx =
        tg_context_new(&(tg_context_config){ .allocate = measure_allocate, .release = measure_release });
    arena a;
    tg__arena_init(&a, cx);
    for (int round = 0; round < 2000; round++) {
        for (int k = 0; k < 20; k++) tg__arena_take(&a, (size_t)((round * 7919 + k * 104729) % 100003));
        tg__arena_reset(&a);
    }
    ck_assert_msg(held <= a.peak + 200000, "%zu bytes held for %zu at most in use", held, a.peak);
    ck_assert_msg(most_held <= 3 * a.peak, "%zu bytes were held for %zu in use", most_held, a.peak);
    tg__arena_free(&a);
    tg_context_free(cx);
    ck_assert_uint_eq(held, 0);
}
END_TEST

enum { BUDGET = 10 << 20 };
static void *allocate_within_budget(void *user, size_t bytes)
{
    return held + bytes > BUDGET ? NULL : measure_allocate(user, bytes);
}

/* Others have taken memory since, or it is in pieces: what is needed now may be there all the same. */
START_TEST(arena_does_without_its_old_peak_in_one_block)
{
    tg_context *cx = tg_context_new(
        &(tg_context_config){ .allocate = allocate_within_budget, .release = measure_release });
    arena a;
    tg__arena_init(&a, cx);
    for (int k = 0; k < 8; k++) ck_assert_ptr_nonnull(tg__arena_take(&a, 1 << 20));
    tg__arena_reset(&a);
    void *others = measure_allocate(NULL, 5 << 20);
    for (int round = 0; round < 3; round++) {
        for (int k = 0; k < 4; k++) ck_assert_ptr_nonnull(tg__arena_take(&a, 1 << 20));
        ck_assert(tg_context_ok(cx));
        tg__arena_reset(&a);
    }
    ck_assert_ptr_null(tg__arena_take(&a, 6 << 20)); /* that is not there */
    ck_assert_int_eq(tg_context_status(cx), TG_ERR_MEMORY);
    tg__arena_free(&a);
    measure_release(NULL, others);
    tg_context_free(cx);
    ck_assert_uint_eq(held, 0);
}
END_TEST

START_TEST(rewound_arena_gives_the_same_memory_again)
{
    tg_context *cx =
        tg_context_new(&(tg_context_config){ .allocate = measure_allocate, .release = measure_release });
    arena a;
    tg__arena_init(&a, cx);
    for (int first = 0; first < 2; first++) { /* a mark in an arena that has nothing, and in one that has */
        char *kept = first ? tg__arena_take(&a, 1000) : NULL;
        if (kept) memset(kept, 7, 1000);
        const arena_mark m = tg__arena_mark(&a);
        size_t after_first = 0;
        for (int round = 0; round < 4; round++) {
            for (int k = 1; k < 30; k++)
                memset(tg__arena_take(&a, (size_t)k * 10000), round, (size_t)k * 10000);
            tg__arena_rewind(&a, m);
            if (!round) after_first = held;
        }
        ck_assert_uint_eq(held, after_first);
        ck_assert_uint_eq(a.live, first ? 1024 : 0);
        for (int i = 0; kept && i < 1000; i++) ck_assert_int_eq(kept[i], 7);
    }
    tg__arena_free(&a);
    tg_context_free(cx);
    ck_assert_uint_eq(held, 0);
}
END_TEST

START_TEST(sizes_that_overflow_are_out_of_memory)
{
    tg_context *cx = tg_context_new(NULL);
    ck_assert_ptr_null(tg_context_allocate(cx, (size_t)-1));
    ck_assert_int_eq(tg_context_status(cx), TG_ERR_MEMORY);
    tg_context_clear(cx);
    tg_tensor_new(cx, 4, (int[]){ 2000000000, 2000000000, 2000000000, 2000000000 });
    ck_assert_int_eq(tg_context_status(cx), TG_ERR_ARGUMENT);
    tg_context_free(cx);
}
END_TEST

TG_TEST_MAIN("core/context", first_error_is_kept_and_later_calls_do_nothing,
             harmless_object_is_never_written_to, note_leaves_the_context_usable_and_hides_no_error,
             tensor_takes_exactly_its_numbers, program_of_the_other_precision_is_refused,
             every_status_has_a_text, number_is_as_short_as_it_reads_back, half_an_allocator_is_refused,
             every_allocation_may_fail_once_and_for_good, arena_keeps_its_blocks_on_reset,
             work_of_changing_shape_needs_no_more_than_its_largest,
             arena_does_without_its_old_peak_in_one_block, rewound_arena_gives_the_same_memory_again,
             sizes_that_overflow_are_out_of_memory)
