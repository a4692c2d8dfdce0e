/* Batches: what is in them, and when. */
#include "check_main.h"

#include <stdio.h>
#include <string.h>

#include <tidegate/tidegate.h>

#include "data/data.h"

typedef struct corpus {
    tg_context *cx;
    tg_pairs *pairs;
    tg_vocabulary *source, *target;
} corpus;

static corpus corpus_of(const tg_context_config *config, const char *text)
{
    corpus c = { .cx = tg_context_new(config) };
    const size_t n = strlen(text);
    char *copy = tg__allocate(c.cx, n + 1);
    memcpy(copy, text, n);
    ck_assert_msg(!tg__pairs_parse(c.cx, "t", copy, n, &(tg_pairs_config){ 0 }, &c.pairs, NULL), "%s",
                  tg_context_message(c.cx));
    c.source = tg_vocabulary_new(c.cx, NULL);
    c.target = tg_vocabulary_new(c.cx, NULL);
    for (int i = 0; i < tg_pairs_count(c.pairs); i++) {
        tg_vocabulary_add(c.source, tg_pairs_source(c.pairs, i));
        tg_vocabulary_add(c.target, tg_pairs_target(c.pairs, i));
    }
    tg_vocabulary_freeze(c.source, 0);
    tg_vocabulary_freeze(c.target, 0);
    ck_assert(tg_context_ok(c.cx));
    return c;
}

/* n pairs: sources of 3 to 30 words, targets of up to two more or fewer; pair i's first word is "p<i>". */
static corpus random_corpus(const tg_context_config *config, int n)
{
    tg_context *dice = tg_context_new(&(tg_context_config){ .seed = 11 });
    char *text = malloc((size_t)n * 400), *to = text;
    for (int i = 0; i < n; i++) {
        const int S = 3 + (int)(28 * tg_random_uniform(dice, "S", 0, (uint64_t)i));
        const int T = S - 2 + (int)(5 * tg_random_uniform(dice, "T", 0, (uint64_t)i));
        to += sprintf(to, "p%d", i);
        for (int k = 1; k < S; k++) to += sprintf(to, " s%d", k % 7);
        to += sprintf(to, "\tq%d", i);
        for (int k = 1; k < T; k++) to += sprintf(to, " t%d", k % 5);
        to += sprintf(to, "\n");
    }
    const corpus c = corpus_of(config, text);
    free(text);
    tg_context_free(dice);
    return c;
}

static tg_batches *batches_of(const corpus *c, int batch, bool in_order)
{
    tg_batches *b =
        tg_batches_new(c->cx, c->pairs, c->source, c->target, &(tg_batches_config){ batch, in_order });
    ck_assert_msg(tg_context_ok(c->cx), "%s", tg_context_message(c->cx));
    return b;
}

/* ---- what is in a batch ---- */

START_TEST(batch_has_tokens_ends_and_padding_in_place)
{
    const corpus c = corpus_of(NULL, "a a b\tx\nb\tx x y\n");
    tg_batches *b = batches_of(&c, 2, true);
    tg_pair_batch batch;
    enum { a = 4, x = 4, y = 5 };
    const int bb = tg_vocabulary_id(c.source, "b", 1); /* a and b are as frequent: a comes first */
    ck_assert_int_eq(bb, 5);
    ck_assert_int_eq(tg_batches_count(b), 1);
    tg_batches_get(b, 0, 0, &batch);
    ck_assert_int_eq(batch.B, 2);
    ck_assert_int_eq(batch.S, 4);
    ck_assert_int_eq(batch.T, 4);
    /* time-major: a column a sentence */
    const int source[] = { a, bb, a, TG_END, bb, TG_PAD, TG_END, TG_PAD };
    const int in[] = { TG_BEGIN, TG_BEGIN, x, x, TG_PAD, x, TG_PAD, y };
    const int out[] = { x, x, TG_END, x, -1, y, -1, TG_END };
    ck_assert_mem_eq(batch.source, source, sizeof source);
    ck_assert_mem_eq(batch.target_in, in, sizeof in);
    ck_assert_mem_eq(batch.target_out, out, sizeof out);
    ck_assert_mem_eq(batch.source_lengths, ((int[]){ 4, 2 }), 2 * sizeof(int));
    ck_assert_mem_eq(batch.target_lengths, ((int[]){ 2, 4 }), 2 * sizeof(int));
    ck_assert_mem_eq(batch.pair, ((int[]){ 0, 1 }), 2 * sizeof(int));
    ck_assert_int_eq(batch.target_tokens, 6);
    tg_context_free(c.cx);
}
END_TEST

/* Checks every element of a batch against the texts. */
static void check_batch(const corpus *c, const tg_pair_batch *batch)
{
    int x[100], y[100], S = 0, T = 0;
    int64_t target_tokens = 0;
    for (int r = 0; r < batch->B; r++) {
        const int n = tg_vocabulary_encode(c->source, tg_pairs_source(c->pairs, batch->pair[r]), x, 100);
        const int m = tg_vocabulary_encode(c->target, tg_pairs_target(c->pairs, batch->pair[r]), y, 100);
        ck_assert_int_eq(batch->source_lengths[r], n + 1);
        ck_assert_int_eq(batch->target_lengths[r], m + 1);
        for (int t = 0; t < batch->S; t++)
            ck_assert_int_eq(batch->source[t * batch->B + r], t < n ? x[t] : t == n ? TG_END : TG_PAD);
        for (int t = 0; t < batch->T; t++) {
            ck_assert_int_eq(batch->target_in[t * batch->B + r], t == 0   ? TG_BEGIN
                                                                 : t <= m ? y[t - 1]
                                                                          : TG_PAD);
            ck_assert_int_eq(batch->target_out[t * batch->B + r], t < m ? y[t] : t == m ? TG_END : -1);
        }
        if (n + 1 > S) S = n + 1;
        if (m + 1 > T) T = m + 1;
        target_tokens += m + 1;
    }
    ck_assert(batch->S == S && batch->T == T && batch->target_tokens == target_tokens);
}

START_TEST(every_pair_comes_once_an_epoch_and_whole)
{
    const int sizes[][2] = { { 1, 4 },    { 7, 3 },    { 64, 64 },    { 65, 64 },
                             { 1000, 7 }, { 1000, 1 }, { 1000, 2000 } };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const int n = sizes[i][0], rows = sizes[i][1];
        const corpus c = random_corpus(NULL, n);
        tg_batches *b = batches_of(&c, rows, false);
        tg_pair_batch batch;
        ck_assert_int_eq(tg_batches_count(b), (n + rows - 1) / rows);
        for (int64_t epoch = 0; epoch < 3; epoch++) {
            int *seen = calloc((size_t)n, sizeof *seen), all = 0, smaller = 0;
            for (int64_t k = 0; k < tg_batches_count(b); k++) {
                tg_batches_get(b, epoch, k, &batch);
                check_batch(&c, &batch);
                for (int r = 0; r < batch.B; r++) ck_assert_int_eq(seen[batch.pair[r]]++, 0);
                all += batch.B;
                smaller += batch.B < rows;
            }
            ck_assert_int_eq(all, n);
            ck_assert_int_eq(smaller, n % rows != 0);
            free(seen);
        }
        tg_context_free(c.cx);
    }
}
END_TEST

/* ---- when ---- */

/* All pairs of an epoch in their order, epoch by epoch, into pair (epochs, n); returns batch number
 * `wanted` of the last epoch's place there. */
static int walk(tg_batches *b, int epochs, int n, int64_t wanted, int *pair)
{
    tg_pair_batch batch;
    int at = 0, place = 0;
    for (int epoch = 0; epoch < epochs; epoch++)
        for (int64_t k = 0; k < tg_batches_count(b); k++, at += batch.B) {
            tg_batches_get(b, epoch, k, &batch);
            memcpy(pair + at, batch.pair, (size_t)batch.B * sizeof *pair);
            if (k == wanted) place = at;
        }
    ck_assert_int_eq(at, epochs * n);
    return place;
}

START_TEST(order_is_a_function_of_seed_and_epoch_alone)
{
    enum { N = 500, EPOCHS = 4, ROWS = 8, K = 5 };
    static int pair[EPOCHS * N], again[EPOCHS * N];
    const tg_context_config config = { .seed = 3 };
    tg_pair_batch batch;

    corpus c = random_corpus(&config, N);
    const int place = walk(batches_of(&c, ROWS, false), EPOCHS, N, K, pair);
    tg_context_free(c.cx);

    c = random_corpus(&config, N); /* another program, at another step, goes straight there */
    tg_context_set_step(c.cx, 777);
    tg_batches *b = batches_of(&c, ROWS, false);
    tg_batches_get(b, EPOCHS - 1, K, &batch);
    ck_assert_mem_eq(batch.pair, pair + place, (size_t)batch.B * sizeof *pair);
    tg_batches_get(b, 0, tg_batches_count(b) - 1, &batch); /* and back */
    ck_assert_mem_eq(batch.pair, pair + N - batch.B, (size_t)batch.B * sizeof *pair);
    walk(b, EPOCHS, N, 0, again);
    ck_assert_mem_eq(again, pair, sizeof pair);
    tg_context_free(c.cx);
}
END_TEST

static int places_in_common(const int *x, const int *y, int n)
{
    int same = 0;
    for (int i = 0; i < n; i++) same += x[i] == y[i];
    return same;
}

START_TEST(order_differs_between_epochs_and_between_seeds)
{
    enum { N = 1000 };
    static int pair[2][2 * N];
    for (int seed = 0; seed < 2; seed++) {
        corpus c = random_corpus(&(tg_context_config){ .seed = 40 + (uint64_t)seed }, N);
        walk(batches_of(&c, 8, false), 2, N, 0, pair[seed]);
        tg_context_free(c.cx);
    }
    ck_assert_int_lt(places_in_common(pair[0], pair[0] + N, N), N / 20);
    ck_assert_int_lt(places_in_common(pair[0], pair[1], N), N / 20);
    ck_assert_int_lt(places_in_common(pair[0] + N, pair[1] + N, N), N / 20);
}
END_TEST

/* Who is together in a batch changes, too, not only which batch comes when. */
START_TEST(companions_differ_between_epochs)
{
    enum { N = 4096, ROWS = 16 };
    static int company[2][N];
    const corpus c = random_corpus(NULL, N);
    tg_batches *b = batches_of(&c, ROWS, false);
    tg_pair_batch batch;
    int same = 0;
    for (int epoch = 0; epoch < 2; epoch++)
        for (int64_t k = 0; k < tg_batches_count(b); k++) {
            tg_batches_get(b, epoch, k, &batch);
            for (int r = 0; r < batch.B; r++) company[epoch][batch.pair[r]] = batch.pair[(r + 1) % batch.B];
        }
    for (int i = 0; i < N; i++) same += company[0][i] == company[1][i];
    ck_assert_int_lt(same, N / 10);
    tg_context_free(c.cx);
}
END_TEST

START_TEST(in_order_keeps_the_order_of_the_file)
{
    enum { N = 100 };
    int pair[3 * N];
    const corpus c = random_corpus(NULL, N);
    tg_batches *b = batches_of(&c, 7, true);
    tg_pair_batch batch;
    walk(b, 3, N, 0, pair);
    for (int i = 0; i < 3 * N; i++) ck_assert_int_eq(pair[i], i % N);
    tg_batches_get(b, 9, 14, &batch); /* the last one is the smaller one */
    check_batch(&c, &batch);
    ck_assert_int_eq(batch.B, 2);
    ck_assert_int_eq(batch.pair[0], 98);
    tg_context_free(c.cx);
}
END_TEST

START_TEST(rows_of_a_batch_are_about_as_long)
{
    enum { N = 8192 };
    const corpus c = random_corpus(NULL, N);
    tg_batches *b = batches_of(&c, 32, false);
    tg_pair_batch batch;
    double used = 0, room = 0;
    for (int64_t k = 0; k < tg_batches_count(b); k++) {
        tg_batches_get(b, 1, k, &batch);
        for (int r = 0; r < batch.B; r++) used += batch.source_lengths[r] + batch.target_lengths[r];
        room += (double)batch.B * (batch.S + batch.T);
    }
    ck_assert_msg(1 - used / room < 0.1, "%.1f %% of the batches is padding", 100 * (1 - used / room));
    tg_context_free(c.cx);
}
END_TEST

START_TEST(short_and_long_batches_take_turns_anew_each_epoch)
{
    enum { N = 8192, BATCHES = N / 32 };
    const corpus c = random_corpus(NULL, N);
    tg_batches *b = batches_of(&c, 32, false);
    tg_pair_batch batch;
    int S[2][BATCHES], jumps = 0, same = 0;
    for (int epoch = 0; epoch < 2; epoch++)
        for (int k = 0; k < BATCHES; k++) {
            tg_batches_get(b, epoch, k, &batch);
            S[epoch][k] = batch.S;
        }
    for (int k = 1; k < BATCHES; k++) jumps += abs(S[0][k] - S[0][k - 1]);
    for (int k = 0; k < BATCHES; k++) same += S[0][k] == S[1][k];
    ck_assert_int_gt(jumps, 6 * BATCHES); /* two random lengths of 3..30 differ by 9 on average */
    ck_assert_int_lt(same, BATCHES / 5);  /* and are the same once in 28 times */
    tg_context_free(c.cx);
}
END_TEST

/* ---- memory ---- */

typedef struct meter {
    int calls, left;
} meter;

static void *measured(void *user, size_t bytes)
{
    meter *m = user;
    m->calls++;
    return m->left-- > 0 ? malloc(bytes) : NULL;
}
static void give_back(void *user, void *block) { (void)user, free(block); }

START_TEST(getting_a_batch_allocates_nothing)
{
    meter m = { .left = 1 << 20 };
    const corpus c = random_corpus(
        &(tg_context_config){ .allocate = measured, .release = give_back, .allocator_user = &m }, 700);
    tg_batches *shuffled = batches_of(&c, 16, false), *in_order = batches_of(&c, 16, true);
    tg_pair_batch batch;
    const int calls = m.calls;
    for (int64_t epoch = 0; epoch < 4; epoch++)
        for (int64_t k = 0; k < tg_batches_count(shuffled); k++) {
            tg_batches_get(shuffled, epoch, k, &batch);
            tg_batches_get(in_order, epoch, k, &batch);
        }
    ck_assert_int_gt(calls, 0);
    ck_assert_int_eq(m.calls, calls);
    tg_context_free(c.cx);
}
END_TEST

START_TEST(out_of_memory_fails_the_context_and_is_harmless)
{
    int failures = 0;
    for (int left = 0; left < 50; left++) {
        meter m = { .left = 1 << 20 };
        const corpus c = random_corpus(
            &(tg_context_config){ .allocate = measured, .release = give_back, .allocator_user = &m }, 3000);
        tg_pair_batch batch;
        m.left = left;
        tg_batches *b = tg_batches_new(c.cx, c.pairs, c.source, c.target, NULL);
        const bool well = tg_context_ok(c.cx);
        ck_assert(well || tg_context_status(c.cx) == TG_ERR_MEMORY);
        tg_context_clear(c.cx);
        tg_batches_get(b, 0, 0, &batch);
        ck_assert_int_eq(batch.B, well ? 64 : 0);
        ck_assert_int_eq(tg_batches_count(b), well ? 47 : 0);
        tg_context_free(c.cx);
        if (well) break;
        failures++;
    }
    ck_assert_int_gt(failures, 2);
    ck_assert_int_lt(failures, 50);
}
END_TEST

/* ---- misuse ---- */

static void expect_failure(tg_context *cx, tg_status status, const char *part)
{
    ck_assert_int_eq(tg_context_status(cx), status);
    ck_assert_msg(strstr(tg_context_message(cx), part), "'%s' lacks '%s'", tg_context_message(cx), part);
    tg_context_clear(cx);
}

START_TEST(batch_out_of_range_fails_with_the_numbers)
{
    const corpus c = random_corpus(NULL, 20);
    tg_batches *b = batches_of(&c, 8, false);
    tg_pair_batch batch;
    const int64_t wrong[][2] = { { 2, 3 }, { 2, -1 }, { -1, 0 }, { 0, (int64_t)1 << 32 } };
    const char *part[] = { "batch 3 of epoch 2: batches are 0..2", "batch -1 of epoch 2",
                           "batch 0 of epoch -1", "batch 4294967296 of epoch 0" };
    for (int i = 0; i < 4; i++) {
        memset(&batch, 1, sizeof batch);
        tg_batches_get(b, wrong[i][0], wrong[i][1], &batch);
        expect_failure(c.cx, TG_ERR_ARGUMENT, part[i]);
        ck_assert(batch.B == 0 && batch.S == 0 && batch.T == 0 && !batch.source);
    }
    tg_batches_get(b, 2, 2, &batch);
    ck_assert_int_eq(tg_context_ok(c.cx), 1);
    check_batch(&c, &batch);
    tg_context_free(c.cx);
}
END_TEST

START_TEST(batches_need_rows_and_frozen_vocabularies)
{
    const corpus c = random_corpus(NULL, 20);
    const tg_vocabulary *open = tg_vocabulary_new(c.cx, NULL);
    tg_batches_new(c.cx, c.pairs, c.source, c.target, &(tg_batches_config){ .batch = -2 });
    expect_failure(c.cx, TG_ERR_ARGUMENT, "batch is -2");
    tg_batches_new(c.cx, c.pairs, open, c.target, NULL);
    expect_failure(c.cx, TG_ERR_STATE, "the source vocabulary is not frozen");
    tg_batches *b = tg_batches_new(c.cx, c.pairs, c.source, open, NULL);
    expect_failure(c.cx, TG_ERR_STATE, "the target vocabulary is not frozen");
    ck_assert_int_eq(tg_batches_count(b), 0);
    b = tg_batches_new(c.cx, c.pairs, c.source, c.target, NULL); /* 64 rows by default, but there are 20 */
    tg_pair_batch batch;
    tg_batches_get(b, 0, 0, &batch);
    ck_assert_int_eq(batch.B, 20);
    tg_context_free(c.cx);
}
END_TEST

TG_TEST_MAIN("data/batches", batch_has_tokens_ends_and_padding_in_place,
             every_pair_comes_once_an_epoch_and_whole, order_is_a_function_of_seed_and_epoch_alone,
             order_differs_between_epochs_and_between_seeds, companions_differ_between_epochs,
             in_order_keeps_the_order_of_the_file, rows_of_a_batch_are_about_as_long,
             short_and_long_batches_take_turns_anew_each_epoch, getting_a_batch_allocates_nothing,
             out_of_memory_fails_the_context_and_is_harmless, batch_out_of_range_fails_with_the_numbers,
             batches_need_rows_and_frozen_vocabularies)
