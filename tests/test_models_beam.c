/* Beam search: against everything there is, against greedy decoding, against itself in other ways. */
#include "beam_world.h"

#include "workers.h"

/* Settings that go through all normalizations, alphas and coverage penalties. */
typedef struct setting {
    tg_decoding_config config;
    double alpha, beta;
} setting;

static setting setting_of(uint64_t seed, int beam, int nbest)
{
    static const struct {
        tg_length_normalization k;
        tg_real alpha;
        double means;
    } length[] = {
        { TG_LENGTH_AVERAGE, 0, 1 },       { TG_LENGTH_AVERAGE, 0.5f, 0.5 }, { TG_LENGTH_AVERAGE, 2, 2 },
        { TG_LENGTH_AVERAGE, TG_ZERO, 0 }, { TG_LENGTH_WU, 0, 0.6 },         { TG_LENGTH_WU, 1.5f, 1.5 },
        { TG_LENGTH_WU, TG_ZERO, 0 },      { TG_LENGTH_NONE, 0, 0 },
    };
    static const tg_real beta[] = { 0, TG_ZERO, 0.25f, 1 };
    const int l = dream_below(seed + 1, 8), c = dream_below(seed + 2, 4);
    return (setting){ { .beam = beam,
                        .nbest = nbest,
                        .normalization = length[l].k,
                        .alpha = length[l].alpha,
                        .coverage_penalty = beta[c] },
                      length[l].means,
                      c < 2 ? 0 : (double)beta[c] };
}

static bag bag_for(const dream *d, int b, int longest, const setting *s)
{
    return (bag){
        .d = d, .b = b, .longest = longest, .k = s->config.normalization, .alpha = s->alpha, .beta = s->beta
    };
}

static int power(int x, int n) { return n ? x * power(x, n - 1) : 1; }

/* ---- against other searches ---- */

/* 1 to 4 words beside <unk>, results of up to 5 tokens: up to 3906 of them. */
START_TEST(equals_exhaustive_search_on_1000_random_models)
{
    tg_context *cx = tg_context_new(NULL);
    int results = 0, others = 0;
    for (uint64_t seed = 0; seed < 1000; seed++) {
        const int words = 1 + dream_below(3 * seed, 4),
                  longest = 1 + dream_below(7 * seed + 1, words > 3 ? 4 : 5);
        const int nbest = 1 + dream_below(11 * seed + 2, 12), hold = power(words + 1, longest);
        dream d = dream_new(seed, TG_SPECIAL_TOKENS + words, 1);
        const setting s = setting_of(seed, hold > nbest ? hold : nbest, nbest);
        bag all = bag_for(&d, 0, longest, &s);
        beam_results found;
        const prefix empty = prefix_of(&d, 0);
        bag_everything(&all, &empty);
        dream_found(cx, &d, &s.config, (beam_task){ .max_length = &longest, .keep_attention = seed % 2 },
                    &found);
        others += compare(&all, &found, 0, nbest);
        results += found.count[0];
        free(all.x);
        tg__beam_results_free(&found);
        dream_end(&d);
    }
    ck_assert_int_gt(results, 4000);
    ck_assert_int_le(others, 4); /* two neighbours whose scores agree to seven digits */
    tg_context_free(cx);
}
END_TEST

/* Beams that do not hold everything. */
START_TEST(equals_a_plain_beam_search_that_never_stops)
{
    tg_context *cx = tg_context_new(NULL);
    int results = 0, others = 0, steps = 0, longest_steps = 0;
    for (uint64_t seed = 0; seed < 2000; seed++) {
        const int V = TG_SPECIAL_TOKENS + dream_below(3 * seed, 12),
                  longest = 1 + dream_below(7 * seed + 1, 12);
        const int beam = 1 + dream_below(13 * seed + 3, 6), nbest = 1 + dream_below(11 * seed + 2, beam);
        dream d = dream_new(seed, V, 1);
        d.end_bonus = 3 * dream_uniform(seed);
        const setting s = setting_of(seed, beam, nbest);
        bag all = bag_for(&d, 0, longest, &s);
        beam_results found;
        bag_beam(&all, beam);
        dream_found(cx, &d, &s.config, (beam_task){ .max_length = &longest, .keep_attention = true }, &found);
        others += compare(&all, &found, 0, nbest);
        results += found.count[0];
        steps += d.calls;
        longest_steps += longest;
        free(all.x);
        tg__beam_results_free(&found);
        dream_end(&d);
    }
    ck_assert_int_gt(results, 3000);
    ck_assert_int_le(others, 4);
    ck_assert_int_lt(10 * steps, 9 * longest_steps); /* it does stop early */
    tg_context_free(cx);
}
END_TEST

/* From <s>, always the largest logit, of equal ones the first. */
static prefix greedy(const dream *d, int longest)
{
    prefix x = prefix_of(d, 0);
    for (int word = TG_BEGIN; x.n < longest && word != TG_END; x = prefix_with(d, 0, &x, word)) {
        word = TG_UNKNOWN;
        for (int v = TG_END; v < d->V; v++)
            if (dream_logit(d, x.place, v) > dream_logit(d, x.place, word)) word = v;
    }
    return x;
}

START_TEST(beam_of_one_equals_greedy)
{
    tg_context *cx = tg_context_new(NULL);
    int cut = 0;
    for (uint64_t seed = 0; seed < 6000; seed++) {
        const int V = TG_SPECIAL_TOKENS + dream_below(seed, seed % 5 ? 8 : 150);
        const int longest = 1 + dream_below(3 * seed + 1, 15);
        dream d = dream_new(seed, V, 1);
        d.coarse = seed % 2;
        d.end_bonus = 2 * dream_uniform(seed);
        const setting s = setting_of(seed, seed % 3 != 0, 0);
        beam_results found;
        dream_found(cx, &d, &s.config, (beam_task){ .max_length = &longest }, &found);
        const prefix x = greedy(&d, longest);
        ck_assert_int_eq(found.count[0], 1);
        ck_assert_msg(same_words(found.best[0], &x), "model %d", (int)seed);
        ck_assert_double_eq_tol(found.best[0]->log_probability, x.p, 1e-5);
        ck_assert_int_eq(d.calls, x.n); /* and does no more work */
        ck_assert_int_eq(d.rows, x.n);
        cut += found.best[0]->cut;
        tg__beam_results_free(&found);
        dream_end(&d);
    }
    ck_assert(cut > 500 && cut < 5500);
    tg_context_free(cx);
}
END_TEST

/* ---- when it stops ---- */

enum { A = TG_SPECIAL_TOKENS }; /* the only word */

/* Place k: after k words. Half the probability ends at once, nearly all of the rest is one long sentence. */
static int depth(uint64_t place)
{
    uint64_t x = dream_place(1, TG_BEGIN);
    int k = 0;
    for (; x != place && k < DREAM_WORDS; k++) x = dream_place(x, A);
    return k;
}
static tg_real late_logit(uint64_t place, int v)
{
    const int k = depth(place);
    const double end = k == 0 ? 0.5 : k == 12 ? 0.98 : 0.01;
    const double p = v == TG_END ? end : v == A ? 0.99 - end : 0.01 / 3;
    return (tg_real)log(p);
}

START_TEST(stops_only_when_nothing_better_can_appear)
{
    tg_context *cx = tg_context_new(NULL);
    const int longest = 30;
    dream d = { .V = A + 1, .S = 1, .B = 1, .seed = { 1 }, .source_lengths = { 1 }, .logit = late_logit };
    for (int beam = 2; beam < 9; beam++) {
        beam_results found;
        /* "</s>" has log 0.5 = -0.69; "A" stands at log 0.49 = -0.71 then, worse by any count, but 11 more
         * words cost 0.02 each, and the mean becomes -0.07. Whoever stops at the first finished hypothesis,
         * or when the best that goes on is worse as it stands, or when `beam` are finished, ends with
         * "</s>". */
        dream_found(cx, &d, &(tg_decoding_config){ .beam = beam }, (beam_task){ .max_length = &longest },
                    &found);
        ck_assert_int_eq(found.count[0], 1);
        ck_assert_int_eq(found.best[0]->length, 13);
        for (int t = 0; t < 12; t++) ck_assert_int_eq(found.best[0]->ids[t], A);
        ck_assert_double_eq_tol(found.best[0]->score, (log(0.49) + 11 * log(0.98) + log(0.98)) / 13, 1e-6);
        tg__beam_results_free(&found);
    }
    dream_end(&d);
    tg_context_free(cx);
}
END_TEST

START_TEST(stops_as_soon_as_nothing_better_can_appear)
{
    static const struct {
        tg_decoding_config config;
        int longest, steps;
    } kind[] = {
        /* "</s>" -0.69, the best that goes on -0.71: without normalization nothing can pass it */
        { { .beam = 4, .normalization = TG_LENGTH_NONE }, 30, 1 },
        { { .beam = 4, .alpha = TG_ZERO }, 30, 1 },
        /* a second one: "A </s>" -5.3, "A A" -0.73, "A A </s>" -5.3, ..., at length 13 the one of 0.98 */
        { { .beam = 4, .nbest = 2, .normalization = TG_LENGTH_NONE }, 30, 13 },
        /* the mean: "A" with -0.71 could come to -0.71 / 30, until the long one is there, -0.95 / 13 =
         * -0.073. What goes on then, a 13th "A", has log P -5.5: over 30 words at best -0.18 */
        { { .beam = 4 }, 30, 13 },
        /* at most one word, so no "A A": -0.71 / 1 */
        { { .beam = 4 }, 1, 1 },
    };
    tg_context *cx = tg_context_new(NULL);
    dream d = { .V = A + 1, .S = 1, .B = 1, .seed = { 1 }, .source_lengths = { 1 }, .logit = late_logit };
    for (size_t i = 0; i < sizeof kind / sizeof *kind; i++) {
        beam_results found;
        dream_found(cx, &d, &kind[i].config, (beam_task){ .max_length = &kind[i].longest }, &found);
        ck_assert_msg(d.calls == kind[i].steps, "%zu: %d steps, not %d", i, d.calls, kind[i].steps);
        tg__beam_results_free(&found);
    }
    dream_end(&d);
    tg_context_free(cx);
}
END_TEST

/* To the last bit. */
static void expect_same(const beam_results *x, int a, const beam_results *y, int b, int S)
{
    ck_assert_int_eq(x->count[a], y->count[b]);
    for (int k = 0; k < x->count[a]; k++) {
        const beam_hypothesis *h = &x->best[a][k], *g = &y->best[b][k];
        const size_t n = (size_t)h->length;
        ck_assert_int_eq(h->length, g->length);
        ck_assert_int_eq(h->cut, g->cut);
        ck_assert(h->score == g->score && h->log_probability == g->log_probability);
        ck_assert_mem_eq(h->ids, g->ids, n * sizeof *h->ids);
        ck_assert(!h->attention == !g->attention);
        if (h->attention) ck_assert_mem_eq(h->attention, g->attention, n * (size_t)S * sizeof *h->attention);
    }
}

START_TEST(dropping_hopeless_hypotheses_changes_nothing_and_saves_rows)
{
    tg_context *cx = tg_context_new(NULL);
    int rows = 0, all_rows = 0;
    for (uint64_t seed = 0; seed < 3000; seed++) {
        const int V = TG_SPECIAL_TOKENS + dream_below(3 * seed, 12),
                  longest = 1 + dream_below(7 * seed + 1, 12);
        const int beam = 1 + dream_below(13 * seed + 3, 6), nbest = 1 + dream_below(11 * seed + 2, beam);
        dream d = dream_new(seed, V, 1);
        d.coarse = seed % 2;
        d.end_bonus = 3 * dream_uniform(seed);
        const setting s = setting_of(seed, beam, nbest);
        beam_results dropped, kept;
        beam_task task = { .max_length = &longest, .keep_attention = true };
        dream_found(cx, &d, &s.config, task, &dropped);
        rows += d.rows;
        const int calls = d.calls;
        task.keep_hopeless = true;
        dream_found(cx, &d, &s.config, task, &kept);
        all_rows += d.rows;
        ck_assert_int_eq(d.calls, calls);
        expect_same(&dropped, 0, &kept, 0, d.S);
        tg__beam_results_free(&dropped);
        tg__beam_results_free(&kept);
        dream_end(&d);
    }
    ck_assert_msg(rows < 0.97 * all_rows, "%d of %d rows", rows, all_rows);
    tg_context_free(cx);
}
END_TEST

/* ---- several sentences ---- */

START_TEST(many_sentences_at_once_equal_one_by_one)
{
    tg_context *cx = tg_context_new(NULL);
    for (uint64_t seed = 0; seed < 200; seed++) {
        const int B = 2 + dream_below(seed, DREAM_SENTENCES - 1), beam = 1 + dream_below(seed + 1, 6);
        dream d = dream_new(seed, 5 + dream_below(seed + 2, 20), B);
        const setting s = setting_of(seed, beam, 1 + dream_below(seed + 3, beam));
        int longest[DREAM_SENTENCES], rows = 0, calls = 0;
        beam_results together, alone;
        d.coarse = seed % 3 == 0;
        d.end_bonus = 3 * dream_uniform(seed);
        for (int b = 0; b < B; b++) longest[b] = 1 + dream_below(d.seed[b] + 9, 14);
        beam_task task = { .max_length = longest, .keep_attention = seed % 2 };
        dream_found(cx, &d, &s.config, task, &together);
        for (int b = 0; b < B; b++) {
            dream one = d;
            one.B = 1, one.seed[0] = d.seed[b], one.source_lengths[0] = d.source_lengths[b];
            one.place = NULL, one.sentence = NULL, one.logits = one.attention = NULL;
            task.max_length = &longest[b];
            dream_found(cx, &one, &s.config, task, &alone);
            expect_same(&together, b, &alone, 0, d.S);
            rows += one.rows;
            if (one.calls > calls) calls = one.calls;
            tg__beam_results_free(&alone);
            dream_end(&one);
        }
        ck_assert_int_eq(d.rows, rows); /* sentences that are done take no rows */
        ck_assert_int_eq(d.calls, calls);
        tg__beam_results_free(&together);
        dream_end(&d);
    }
    tg_context_free(cx);
}
END_TEST

START_TEST(max_length_is_the_settings_or_twice_the_source_and_ten)
{
    tg_context *cx = tg_context_new(NULL);
    dream d = dream_new(4, 9, 6);
    beam_results found;
    d.end_bonus = -100;
    dream_found(cx, &d, NULL, (beam_task){ .who = NULL }, &found);
    for (int b = 0; b < d.B; b++) ck_assert_int_eq(found.best[b]->length, 2 * (d.source_lengths[b] - 1) + 10);
    tg__beam_results_free(&found);
    dream_found(cx, &d, &(tg_decoding_config){ .max_length = 7 }, (beam_task){ .who = NULL }, &found);
    for (int b = 0; b < d.B; b++) ck_assert_int_eq(found.best[b]->length, 7);
    tg__beam_results_free(&found);
    dream_end(&d);
    tg_context_free(cx);
}
END_TEST

/* ---- what is found ---- */

/* Large vocabularies, of sizes at the edges of what is taken at a time; large logits. */
START_TEST(scores_are_sums_of_log_probabilities)
{
    static const int sizes[] = { 4, 5, 63, 66, 1023, 1024, 1025, 10007 };
    tg_context *cx = tg_context_new(NULL);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const int longest = DREAM_WORDS - 1;
        dream d = dream_new(i, sizes[i], 1);
        beam_results found;
        d.end_bonus = -3;
        dream_found(cx, &d, &(tg_decoding_config){ .beam = 3, .nbest = 3 },
                    (beam_task){ .max_length = &longest }, &found);
        for (int k = 0; k < found.count[0]; k++) {
            const beam_hypothesis *h = &found.best[0][k];
            prefix x = prefix_of(&d, 0);
            for (int t = 0; t < h->length; t++) x = prefix_with(&d, 0, &x, h->ids[t]);
            ck_assert_double_eq_tol(h->log_probability, x.p, 2e-5);
            ck_assert_double_eq_tol(h->score, x.p / h->length, 1e-6);
            ck_assert(sizes[i] < 60 || h->length > 15);
        }
        tg__beam_results_free(&found);
        dream_end(&d);
    }
    tg_context_free(cx);
}
END_TEST

static tg_real steep_logit(uint64_t place, int v)
{
    (void)place;
    return v == A ? (tg_real)3e38 : v == TG_END ? (tg_real)-3e38 : (tg_real)2.9e38;
}

static tg_real little; /* attention to the second of two source positions */

static tg_status look_little(void *user, int n, const int from[], const int word[], const tg_real **logits,
                             const tg_real **attention)
{
    static const tg_real only_end[] = { 0, 0, 0, 1000 };
    static tg_real looks[2];
    (void)user, (void)n, (void)from, (void)word;
    looks[0] = 1, looks[1] = little;
    *logits = only_end;
    *attention = looks;
    return TG_OK;
}

START_TEST(coverage_tells_apart_all_that_a_float_holds)
{
    static const struct {
        tg_real little;
        double counts;
    } cases[] = { { 1e-30f, 1e-30 }, { 1e-37f, 1e-37 },    { 5e-38f, 5e-38 },
                  { 2e-38f, 2e-38 }, { FLT_MIN, FLT_MIN }, { 0, FLT_MIN } };
    tg_context *cx = tg_context_new(NULL);
    const beam_model m = { NULL, TG_SPECIAL_TOKENS, look_little };
    const beam_task task = { .who = "search", .B = 1, .S = 2, .source_lengths = (const int[]){ 2 } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        beam_results found;
        little = cases[i].little;
        ck_assert(!tg__beam_search(cx, &m, &(tg_decoding_config){ .coverage_penalty = 1 }, &task, &found));
        ck_assert_double_eq_tol(found.best[0]->score, log(cases[i].counts), 1e-5);
        tg__beam_results_free(&found);
    }
    tg_context_free(cx);
}
END_TEST

START_TEST(logits_of_any_size_give_finite_scores)
{
    tg_context *cx = tg_context_new(NULL);
    dream d = { .V = A + 3, .S = 1, .B = 1, .seed = { 1 }, .source_lengths = { 1 }, .logit = steep_logit };
    const int longest = 3;
    beam_results found;
    dream_found(cx, &d, &(tg_decoding_config){ .beam = 3, .nbest = 3 }, (beam_task){ .max_length = &longest },
                &found);
    ck_assert_int_eq(found.count[0], 3);
    ck_assert(found.best[0][0].score == 0 && found.best[0][0].ids[0] == A && found.best[0][0].cut);
    for (int k = 1; k < 3; k++) ck_assert(isfinite(found.best[0][k].score) && found.best[0][k].score < -1e36);
    tg__beam_results_free(&found);
    dream_end(&d);
    tg_context_free(cx);
}
END_TEST

START_TEST(results_in_order_with_distinct_hypotheses)
{
    tg_context *cx = tg_context_new(NULL);
    for (uint64_t seed = 0; seed < 300; seed++) {
        const int longest = 1 + dream_below(seed, 10), beam = 2 + dream_below(seed + 1, 30);
        dream d = dream_new(seed, 4 + dream_below(seed + 2, 30), 3);
        const setting s = setting_of(seed, beam, beam);
        beam_results found;
        d.coarse = seed % 2;
        dream_found(cx, &d, &s.config, (beam_task){ .max_length = (int[]){ longest, longest, longest } },
                    &found);
        for (int b = 0; b < 3; b++) {
            bag all = bag_for(&d, b, longest, &s);
            bag_beam(&all, beam);
            if (d.coarse)
                check_list(&all, &found, b); /* whose ties the other search breaks by rounding */
            else
                compare(&all, &found, b, beam);
            free(all.x);
        }
        tg__beam_results_free(&found);
        dream_end(&d);
    }
    tg_context_free(cx);
}
END_TEST

START_TEST(cut_at_max_length)
{
    tg_context *cx = tg_context_new(NULL);
    const int longest = 6;
    dream d = dream_new(3, 9, 1);
    for (int never = 0; never < 2; never++)
        for (int beam = 1; beam < 6; beam++) {
            beam_results found;
            d.end_bonus = never ? -100 : 100;
            dream_found(cx, &d, &(tg_decoding_config){ .beam = beam, .nbest = beam },
                        (beam_task){ .max_length = &longest }, &found);
            ck_assert_int_eq(found.count[0], beam);
            ck_assert_int_eq(found.best[0]->cut, never);
            ck_assert_int_eq(found.best[0]->length, never ? longest : 1);
            for (int k = 0; k < beam && never; k++) {
                ck_assert(found.best[0][k].cut && found.best[0][k].length == longest);
                for (int t = 0; t < longest; t++) ck_assert_int_ne(found.best[0][k].ids[t], TG_END);
            }
            tg__beam_results_free(&found);
        }
    dream_end(&d);
    tg_context_free(cx);
}
END_TEST

static tg_real flat_logit(uint64_t place, int v)
{
    (void)place, (void)v;
    return 1;
}

START_TEST(ties_go_to_the_lower_id)
{
    enum { U = TG_UNKNOWN, E = TG_END };
    tg_context *cx = tg_context_new(NULL);
    dream d = { .V = A + 2, .S = 1, .B = 1, .seed = { 1 }, .source_lengths = { 1 }, .logit = flat_logit };
    const int longest = 4;
    beam_results found;

    dream_found(cx, &d, NULL, (beam_task){ .max_length = &longest }, &found);
    ck_assert_int_eq(found.best[0]->length, 4);
    ck_assert_mem_eq(found.best[0]->ids, ((int[]){ U, U, U, U }), 4 * sizeof(int));
    tg__beam_results_free(&found);

    /* 5 candidates a step. 1: U, E, A, A+1, of which U, A, A+1 go on. 2: U U, U E, U A, U A+1, and A U, for
     * which there is no place. 3: U U U, U U E, U U A, U U A+1, U A U. 4: the same of U U U. */
    static const int in_order[][4] = { { E }, { U, E }, { U, U, E } };
    dream_found(cx, &d, &(tg_decoding_config){ .beam = 3, .nbest = 3, .normalization = TG_LENGTH_NONE },
                (beam_task){ .max_length = &longest }, &found);
    for (int k = 0; k < 3; k++) {
        ck_assert_int_eq(found.best[0][k].length, k + 1);
        ck_assert_mem_eq(found.best[0][k].ids, in_order[k], (size_t)(k + 1) * sizeof(int));
    }
    tg__beam_results_free(&found);

    /* equal scores in one step: in the order of the candidates */
    static const int one[] = { U, E, A };
    const int at_once = 1;
    dream_found(cx, &d, &(tg_decoding_config){ .beam = 3, .nbest = 3 }, (beam_task){ .max_length = &at_once },
                &found);
    for (int k = 0; k < 3; k++) ck_assert_int_eq(found.best[0][k].ids[0], one[k]);
    tg__beam_results_free(&found);
    dream_end(&d);
    tg_context_free(cx);
}
END_TEST

START_TEST(any_number_of_threads_gives_the_same_bits)
{
    const tg_decoding_config config = { .beam = 3, .nbest = 3, .max_length = 4 };
    const beam_task task = { .keep_attention = true };
    tg_context *one = context_of_workers(1, 0), *four = context_of_workers(4, 0);
    dream d = dream_new(8, 9000, 8);
    beam_results alone, shared;
    dream_found(one, &d, &config, task, &alone);
    UNTIL_SHARED(four)
    {
        dream_found(four, &d, &config, task, &shared);
        for (int b = 0; b < d.B; b++) expect_same(&alone, b, &shared, b, d.S);
        tg__beam_results_free(&shared);
    }
    tg__beam_results_free(&alone);
    dream_end(&d);
    tg_context_free(one);
    tg_context_free(four);
}
END_TEST

TG_TEST_MAIN("models/beam", equals_exhaustive_search_on_1000_random_models,
             equals_a_plain_beam_search_that_never_stops, beam_of_one_equals_greedy,
             stops_only_when_nothing_better_can_appear, stops_as_soon_as_nothing_better_can_appear,
             dropping_hopeless_hypotheses_changes_nothing_and_saves_rows,
             many_sentences_at_once_equal_one_by_one, max_length_is_the_settings_or_twice_the_source_and_ten,
             scores_are_sums_of_log_probabilities, coverage_tells_apart_all_that_a_float_holds,
             logits_of_any_size_give_finite_scores, results_in_order_with_distinct_hypotheses,
             cut_at_max_length, ties_go_to_the_lower_id, any_number_of_threads_gives_the_same_bits)
