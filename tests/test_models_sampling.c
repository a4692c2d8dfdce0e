/* tests/test_models_sampling.c -- scheduled sampling: which words the decoder reads in training, and when. */
#include "models_kinds.h"
#include "workers.h"

enum { B = RAGGED_B, S = RAGGED_S, T = RAGGED_T, V = KIND_V };

static void sample(small_model *s, const tg_pair_batch *batch, double probability, int *mixed)
{
    ck_assert_msg(tg_encoder_decoder_sample(s->m, batch, probability, mixed) == TG_OK, "%s",
                  tg_context_message(s->cx));
}

/* ---- which words ---- */

START_TEST(probability_zero_gives_the_true_words)
{
    for (int k = 0; k < KINDS; k++) {
        small_model s = small_model_kind(k, 2);
        ragged r;
        int mixed[T * B];
        ragged_make(&r, s.cx, V, V);
        sample(&s, &r.batch, 0, mixed);
        ck_assert(!memcmp(mixed, r.target_in, sizeof mixed));
        tg_context_free(s.cx);
    }
}
END_TEST

START_TEST(probability_one_gives_the_words_of_greedy_decoding)
{
    int compared = 0, own = 0;
    for (int k = 0; k < KINDS; k++)
        for (uint64_t seed = 1; seed <= 3; seed++) {
            small_model s = small_model_kind(k, seed);
            ragged r;
            int mixed[T * B], out[T * B];
            ragged_make(&r, s.cx, V, V);
            sample(&s, &r.batch, 1, mixed);
            ck_assert_int_eq(
                tg_encoder_decoder_greedy(s.m, s.t, S, B, r.source, r.source_lengths, T, out, NULL), TG_OK);
            for (int b = 0; b < B; b++) {
                ck_assert_int_eq(mixed[b], TG_BEGIN);
                bool running = true;
                for (int i = 1; i < T; i++) {
                    const int at = i * B + b;
                    if (i >= r.target_lengths[b]) ck_assert_int_eq(mixed[at], r.target_in[at]); /* padding */
                    if (i >= r.target_lengths[b] || !running) continue;
                    ck_assert_int_eq(mixed[at], out[at - B]);
                    running = out[at - B] != TG_END;
                    compared++;
                    own += mixed[at] != r.target_in[at];
                }
            }
            tg_context_free(s.cx);
        }
    ck_assert_int_gt(compared, 100);
    ck_assert_int_gt(own, compared / 2);
}
END_TEST

static int best_word(const tg_real *logits)
{
    int best = TG_UNKNOWN;
    for (int v = 0; v < V; v++)
        if (v != TG_PAD && v != TG_BEGIN && logits[v] > logits[best]) best = v;
    return best;
}

/* Each word is the true one, or the most probable one after all that was read before, mixed as it is. */
START_TEST(each_word_is_the_true_one_or_the_best_after_what_was_read)
{
    int true_words = 0, own = 0;
    for (int k = 0; k < KINDS; k++)
        for (int step = 0; step < 5; step++) {
            small_model s = small_model_kind(k, 6);
            ragged r;
            int mixed[T * B];
            ragged_make(&r, s.cx, V, V);
            tg_context_set_step(s.cx, step);
            sample(&s, &r.batch, 0.5, mixed);
            tg_pair_batch batch = r.batch;
            batch.target_in = mixed;
            tg_tape_begin(s.t, TG_EVAL);
            const tg_tensor *logits = tg_encoder_decoder_logits(s.m, s.t, &batch);
            ck_assert_msg(tg_context_ok(s.cx), "%s", tg_context_message(s.cx));
            for (int i = B; i < T * B; i++) {
                if (i / B >= r.target_lengths[i % B]) continue;
                const int best = best_word(logits->data + (i - B) * V);
                ck_assert_msg(mixed[i] == r.target_in[i] || mixed[i] == best,
                              "kind %d: word %d is %d: neither the true %d nor the best %d", k, i, mixed[i],
                              r.target_in[i], best);
                true_words += mixed[i] == r.target_in[i], own += mixed[i] != r.target_in[i];
            }
            tg_context_free(s.cx);
        }
    ck_assert_int_gt(true_words, 100);
    ck_assert_int_gt(own, 100);
}
END_TEST

/* ---- how many ---- */

enum { MANY = 32, LONG = 20 };

/* Sentences without the word 12, which a model can be made to say always. */
typedef struct many {
    int source[2 * MANY], target[LONG * MANY], lengths[MANY], source_lengths[MANY];
    tg_pair_batch batch;
} many;

static void many_make(many *m)
{
    for (int i = 0; i < 2 * MANY; i++) m->source[i] = i < MANY ? 4 + i % 8 : TG_END;
    for (int i = 0; i < LONG * MANY; i++) m->target[i] = i < MANY ? TG_BEGIN : 4 + i % 8;
    for (int b = 0; b < MANY; b++) m->lengths[b] = LONG, m->source_lengths[b] = 2;
    m->batch = (tg_pair_batch){ .B = MANY,
                                .S = 2,
                                .T = LONG,
                                .source = m->source,
                                .source_lengths = m->source_lengths,
                                .target_in = m->target,
                                .target_out = m->target,
                                .target_lengths = m->lengths,
                                .target_tokens = LONG * MANY };
}

/* Says 12: <pad> and <s>, though more probable, are no words. */
static small_model parrot(uint64_t seed)
{
    small_model s = small_model_kind(0, seed);
    ck_assert_int_eq(
        tg_params_set(s.ps, "output/b", (tg_real[V]){ [TG_PAD] = 300, [TG_BEGIN] = 200, [12] = 90 }, V),
        TG_OK);
    return s;
}

START_TEST(share_of_own_words_is_the_probability)
{
    static many m;
    static int mixed[LONG * MANY];
    many_make(&m);
    const double wanted[] = { 0.1, 0.35, 0.8, 1 };
    enum { STEPS = 10, WORDS = (LONG - 1) * MANY };
    for (size_t p = 0; p < sizeof wanted / sizeof *wanted; p++) {
        small_model s = parrot(3);
        int own = 0, by_place[LONG] = { 0 };
        for (int step = 0; step < STEPS; step++) {
            tg_context_set_step(s.cx, step);
            sample(&s, &m.batch, wanted[p], mixed);
            for (int i = 0; i < LONG * MANY; i++) own += mixed[i] == 12, by_place[i / MANY] += mixed[i] == 12;
        }
        const double n = STEPS * WORDS, deviation = sqrt(wanted[p] * (1 - wanted[p]) / n) + 1e-9;
        ck_assert_double_eq_tol(own / n, wanted[p], 4 * deviation);
        ck_assert_int_eq(by_place[0], 0);
        for (int i = 1; i < LONG; i++) /* at every place of a sentence */
            ck_assert_double_eq_tol(by_place[i] / (double)(STEPS * MANY), wanted[p],
                                    5 * sqrt(wanted[p] * (1 - wanted[p]) / (STEPS * MANY)) + 1e-9);
        tg_context_free(s.cx);
    }
}
END_TEST

START_TEST(choice_is_a_function_of_seed_and_step)
{
    static many m;
    static int mixed[4][LONG * MANY];
    many_make(&m);
    small_model s = parrot(3), other = parrot(4);
    tg_context_set_step(s.cx, 17), tg_context_set_step(other.cx, 17);
    sample(&s, &m.batch, 0.5, mixed[0]);
    tg_context_set_step(s.cx, 18);
    sample(&s, &m.batch, 0.5, mixed[1]);
    tg_context_set_step(s.cx, 17);
    sample(&s, &m.batch, 0.5, mixed[2]);
    ck_assert_int_eq(tg_context_step(s.cx), 17);
    sample(&other, &m.batch, 0.5, mixed[3]);
    ck_assert(!memcmp(mixed[0], mixed[2], sizeof *mixed));
    ck_assert(memcmp(mixed[0], mixed[1], sizeof *mixed));
    ck_assert(memcmp(mixed[0], mixed[3], sizeof *mixed));
    tg_context_free(s.cx);
    tg_context_free(other.cx);
}
END_TEST

/* Without dropout, and beside a training pass that has begun: its masks and gradients stay as they are. */
START_TEST(sampling_leaves_training_and_its_dropout_alone)
{
    for (int k = 0; k < KINDS; k++) {
        small_model dry = small_model_kind(k, 2);
        tg_encoder_decoder_config config = dry.config;
        config.dropout = (tg_real)0.4;
        small_model wet[2];
        ragged r;
        int mixed[T * B], dry_mixed[T * B];
        static tg_real d[2][512];
        ragged_make(&r, dry.cx, V, V);
        sample(&dry, &r.batch, 0.5, dry_mixed);
        for (int i = 0; i < 2; i++) {
            wet[i] = small_model_of(tg_context_new(&(tg_context_config){ .seed = 2 }), config);
            if (i) sample(&wet[i], &r.batch, 0.5, mixed);
            tg_tape_begin(wet[i].t, TG_TRAIN);
            tg_tensor *loss = tg_encoder_decoder_loss(wet[i].m, wet[i].t, &r.batch, 0);
            if (i) sample(&wet[i], &r.batch, 0.5, mixed);
            ck_assert_int_eq(tg_tape_backward(wet[i].t, loss), TG_OK);
            ck_assert_int_eq(tg_params_get_gradient(wet[i].ps, "bridge/layer0/b", d[i], 8), TG_OK);
        }
        ck_assert(!memcmp(mixed, dry_mixed, sizeof mixed));
        ck_assert(!memcmp(d[0], d[1], 8 * sizeof *d[0]));
        for (int i = 0; i < 2; i++) tg_context_free(wet[i].cx);
        tg_context_free(dry.cx);
    }
}
END_TEST

START_TEST(wrong_sampling_fails_with_a_sentence_and_poisons_nothing)
{
    small_model s = small_model_kind(0, 2);
    ragged r;
    int mixed[T * B];
    ragged_make(&r, s.cx, V, V);
    const double wrong[] = { -0.1, 1.1, NAN, INFINITY };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        ck_assert_int_eq(tg_encoder_decoder_sample(s.m, &r.batch, wrong[i], mixed), TG_ERR_ARGUMENT);
        ck_assert_ptr_nonnull(strstr(tg_context_message(s.cx), "the probability is"));
    }
    r.source[1] = V;
    ck_assert_int_eq(tg_encoder_decoder_sample(s.m, &r.batch, 0.5, mixed), TG_ERR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(tg_context_message(s.cx), "id 13"));
    ragged_make(&r, s.cx, V, V);
    r.source_lengths[2] = S + 1;
    ck_assert_int_eq(tg_encoder_decoder_sample(s.m, &r.batch, 0.5, mixed), TG_ERR_ARGUMENT);
    ragged_make(&r, s.cx, V, V);
    for (int probability = 0; probability < 2; probability++) { /* far outside the table */
        r.target_in[B] = 1000000000 + V;
        ck_assert_int_eq(tg_encoder_decoder_sample(s.m, &r.batch, 0.1 * probability, mixed), TG_ERR_ARGUMENT);
        ck_assert_ptr_nonnull(strstr(tg_context_message(s.cx), "id 1000000013 at step 1 of row 0"));
    }
    ck_assert(tg_context_ok(s.cx));
    ragged_make(&r, s.cx, V, V);
    sample(&s, &r.batch, 0.5, mixed);
    tg_context_free(s.cx);
}
END_TEST

/* ---- how the probability grows ---- */

START_TEST(rates_are_those_of_the_formulas)
{
    static const struct {
        tg_sampling_schedule schedule;
        double rate, done, wanted;
    } table[] = {
        { TG_SAMPLING_NONE, 0.5, 0.7, 0 },
        { TG_SAMPLING_CONSTANT, 0.5, 0, 0.5 },
        { TG_SAMPLING_CONSTANT, 0.5, 1, 0.5 },
        { TG_SAMPLING_LINEAR, 0.5, 0, 0 },
        { TG_SAMPLING_LINEAR, 0.5, 0.25, 0.125 },
        { TG_SAMPLING_LINEAR, 0.5, 1, 0.5 },
        { TG_SAMPLING_LINEAR, 0.5, 7, 0.5 },
        { TG_SAMPLING_LINEAR, 0.5, -1, 0 },
        { TG_SAMPLING_EXPONENTIAL, 0.8, 0, 0 },
        { TG_SAMPLING_EXPONENTIAL, 0.8, 0.5, 0.72 }, /* 0.8 (1 - 0.1) */
        { TG_SAMPLING_EXPONENTIAL, 0.8, 1, 0.792 },
        { TG_SAMPLING_INVERSE_SIGMOID, 1, 0, 0.0066928509242848554 },
        { TG_SAMPLING_INVERSE_SIGMOID, 0.6, 0.5, 0.3 },
        { TG_SAMPLING_INVERSE_SIGMOID, 1, 1, 0.99330714907571516 },
        { (tg_sampling_schedule)77, 1, 1, 0 },
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        ck_assert_double_eq_tol(tg_sampling_rate(table[i].schedule, table[i].rate, table[i].done),
                                table[i].wanted, 1e-15);
}
END_TEST

/* ---- the same bits for any number of workers ---- */

/* Parameters after a few steps of training with sampling; free them. */
static tg_real *trained(int workers, int k, size_t *n, int *worked)
{
    static many m;
    static int mixed[LONG * MANY];
    tg_encoder_decoder_config c = kinds[k];
    c.source_vocabulary = c.target_vocabulary = V, c.embed = 32, c.hidden = 48, c.dropout = (tg_real)0.1;
    if (c.readout > 0) c.readout = 32;
    small_model s = small_model_of(context_of_workers(workers, 7), c);
    tg_optimizer *adam = tg_adam_new(s.ps, NULL);
    many_make(&m);
    for (int b = 0; b < MANY; b++) m.lengths[b] = LONG - b % 7, m.source_lengths[b] = 1 + b % 2;
    m.batch.target_tokens = 0;
    for (int b = 0; b < MANY; b++) m.batch.target_tokens += m.lengths[b];
    for (int step = 0; step < 3; step++) {
        tg_pair_batch batch = m.batch;
        sample(&s, &m.batch, 0.5, mixed);
        batch.target_in = mixed;
        tg_tape_begin(s.t, TG_TRAIN);
        ck_assert_int_eq(tg_tape_backward(s.t, tg_encoder_decoder_loss(s.m, s.t, &batch, (tg_real)0.1)),
                         TG_OK);
        ck_assert_int_eq(tg_optimizer_step(adam), TG_OK);
    }
    tg_real *all = malloc(tg_params_size(s.ps) * sizeof *all);
    *n = 0;
    for (int p = 0; p < tg_params_count(s.ps); p++) {
        tg_parameter_info info;
        tg_params_info(s.ps, p, &info);
        ck_assert_int_eq(tg_params_get(s.ps, info.name, all + *n, info.size), TG_OK);
        *n += info.size;
    }
    *worked = tg__team_worked(s.cx);
    tg_context_free(s.cx);
    return all;
}

START_TEST(training_with_sampling_gives_the_same_bits_for_1_2_3_and_8_workers)
{
    const int workers[] = { 2, 3, 8, 1 }, chosen[] = { 1, 4, 6, 8 };
    int most = 0;
    for (size_t k = 0; k < sizeof chosen / sizeof *chosen; k++) {
        size_t n, m;
        int worked;
        tg_real *one = trained(1, chosen[k], &n, &worked);
        for (size_t w = 0; w < sizeof workers / sizeof *workers; w++) {
            tg_real *other = trained(workers[w], chosen[k], &m, &worked);
            ck_assert_uint_eq(n, m);
            ck_assert_msg(!memcmp(one, other, n * sizeof *one), "kind %d: %d workers give other bits",
                          chosen[k], workers[w]);
            most = worked > most ? worked : most;
            free(other);
        }
        free(one);
    }
    ck_assert_msg(most > 1, "one worker did it all");
}
END_TEST

TG_TEST_MAIN("models/sampling", probability_zero_gives_the_true_words,
             probability_one_gives_the_words_of_greedy_decoding,
             each_word_is_the_true_one_or_the_best_after_what_was_read, share_of_own_words_is_the_probability,
             choice_is_a_function_of_seed_and_step, sampling_leaves_training_and_its_dropout_alone,
             wrong_sampling_fails_with_a_sentence_and_poisons_nothing, rates_are_those_of_the_formulas,
             training_with_sampling_gives_the_same_bits_for_1_2_3_and_8_workers)
