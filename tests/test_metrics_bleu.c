/* BLEU: the published values, a golden file of random corpora, and what is refused. */
#include <math.h>

#include "metrics_fixture.h"

static void add(tg_bleu *b, const char *hypothesis, const char *reference)
{
    ck_assert_int_eq(tg_bleu_add(b, hypothesis, 1, &reference), TG_OK);
}

static void add_dog(tg_bleu *b)
{
    for (int i = 0; i < 3; i++) ck_assert_int_eq(tg_bleu_add(b, dog[i][0], 2, &dog[i][1]), TG_OK);
}

static tg_bleu_score score_of(const tg_bleu *b)
{
    tg_bleu_score s;
    tg_bleu_result(b, &s);
    return s;
}

/* ---- published values ---- */

START_TEST(corpus_of_three_sentences_has_its_published_figures)
{
    tg_context *cx = tg_context_new(NULL);
    tg_bleu *b = tg_bleu_new(cx, NULL);
    add_dog(b);
    const tg_bleu_score s = score_of(b);
    const int64_t C[] = { 14, 7, 5, 3, 0 }, T[] = { 17, 14, 11, 8, 0 };
    ck_assert_double_eq_tol(s.score, 48.530827009929865, 1e-9);
    for (int k = 0; k < 5; k++) {
        ck_assert_int_eq(s.matches[k], C[k]);
        ck_assert_int_eq(s.totals[k], T[k]);
        ck_assert_double_eq_tol(s.precision[k], T[k] ? 100.0 * (double)C[k] / (double)T[k] : 0, 1e-12);
    }
    ck_assert_double_eq_tol(s.brevity_penalty, 0.9428731, 1e-7);
    ck_assert_double_eq_tol(s.ratio, 17.0 / 18, 1e-12);
    ck_assert(s.hypothesis_length == 17 && s.reference_length == 18 && s.sentences == 3);
    tg_context_free(cx);
}
END_TEST

static const struct {
    tg_bleu_config config;
    double score, within;
} dog_scores[] = {
    { { .max_order = 1 }, 77.65, 0.005 },
    { { .max_order = 2 }, 60.50, 0.005 },
    { { .max_order = 3 }, 53.93, 0.005 },
    { { .max_order = 4 }, 48.530827, 1e-6 },
    { { .max_order = 5 }, 46.14, 0.005 },
    { { .max_order = 6 }, 43.28, 0.005 },
    { { .tokenizer = TG_BLEU_TOKENIZE_NONE }, 49.191957, 1e-6 },
};

START_TEST(orders_and_tokens_change_the_score_as_published)
{
    tg_context *cx = tg_context_new(NULL);
    for (size_t i = 0; i < sizeof dog_scores / sizeof *dog_scores; i++) {
        tg_bleu *b = tg_bleu_new(cx, &dog_scores[i].config);
        add_dog(b);
        ck_assert_double_eq_tol(score_of(b).score, dog_scores[i].score, dog_scores[i].within);
    }
    tg_context_free(cx);
}
END_TEST

#define EFFECTIVE .effective_order = true

static const struct {
    const char *hypothesis, *reference;
    tg_bleu_config config;
    double score;
} sentences[] = {
    { romanian, romanian_reference, { EFFECTIVE }, 8.493099 },
    { romanian, romanian_reference, { EFFECTIVE, .smoothing = TG_BLEU_SMOOTH_NONE }, 0 },
    { romanian, romanian_reference, { EFFECTIVE, .smoothing = TG_BLEU_SMOOTH_FLOOR }, 4.516881 },
    { romanian,
      romanian_reference,
      { EFFECTIVE, .smoothing = TG_BLEU_SMOOTH_FLOOR, .smoothing_value = 0.5 },
      10.100053 },
    { romanian, romanian_reference, { EFFECTIVE, .smoothing = TG_BLEU_SMOOTH_ADD_K }, 14.882560 },
    { romanian,
      romanian_reference,
      { EFFECTIVE, .smoothing = TG_BLEU_SMOOTH_ADD_K, .smoothing_value = 2 },
      21.389460 },
    { "this is a fest", "this is a test", { .max_order = 4 }, 59.460356 },
    { "test", "a test", { EFFECTIVE }, 36.787944 },
    { "test", "a test", { .max_order = 4 }, 0 },
    { "a little test", "a test", { EFFECTIVE }, 34.668064 },
    { "a little test", "a test", { .max_order = 4 }, 0 },
    { sector, sector_reference, { .max_order = 4 }, 25.440949 },
    { german, german_reference, { .max_order = 4 }, 24.384183 },
    { "Same here.", "Same here.", { EFFECTIVE }, 100 },
    { "SAME here.", "same HERE.", { EFFECTIVE, .lowercase = true }, 100 },
    { "SAME here.", "same HERE.", { EFFECTIVE, .smoothing = TG_BLEU_SMOOTH_NONE }, 0 },
    { "", "a", { EFFECTIVE }, 0 },
    { "a", "", { EFFECTIVE }, 0 },
    { "", "", { EFFECTIVE }, 0 },
};

START_TEST(single_sentences_have_their_published_scores)
{
    tg_context *cx = tg_context_new(NULL);
    for (size_t i = 0; i < sizeof sentences / sizeof *sentences; i++) {
        tg_bleu *b = tg_bleu_new(cx, &sentences[i].config);
        add(b, sentences[i].hypothesis, sentences[i].reference);
        const double score = score_of(b).score;
        ck_assert_msg(fabs(score - sentences[i].score) < 1e-6, "case %zu: %.9f, not %.6f", i, score,
                      sentences[i].score);
    }
    tg_context_free(cx);
}
END_TEST

/* ---- the golden file ---- */

static void compare(tg_context *cx, const corpus *c, const char *line)
{
    char tokenizer[8], smoothing[8];
    static const char *const smoothings[] = { "exp", "none", "floor", "add-k" };
    tg_bleu_config config = { 0 };
    int lowercase, effective, used = 0;
    double score, penalty;
    long long length[2], matches, total;
    ck_assert_int_eq(sscanf(line, "%7s %7s %lf %d %d %d = %lf %lf %lld %lld%n", tokenizer, smoothing,
                            &config.smoothing_value, &lowercase, &effective, &config.max_order, &score,
                            &penalty, &length[0], &length[1], &used),
                     10);
    config.tokenizer = strcmp(tokenizer, "13a") ? TG_BLEU_TOKENIZE_NONE : TG_BLEU_TOKENIZE_13A;
    while (strcmp(smoothing, smoothings[config.smoothing])) config.smoothing++;
    config.lowercase = lowercase;
    config.effective_order = effective;

    tg_bleu *b = tg_bleu_new(cx, &config);
    for (int i = 0; i < c->sentences; i++) {
        char *const *text = c->text + c->first[i];
        ck_assert_int_eq(
            tg_bleu_add(b, text[0], c->first[i + 1] - c->first[i] - 1, (const char *const *)text + 1), TG_OK);
    }
    const tg_bleu_score s = score_of(b);
    for (int k = 0; k < config.max_order; k++) {
        double precision;
        int more;
        line += used;
        ck_assert_int_eq(sscanf(line, "%lld %lld %lf%n", &matches, &total, &precision, &more), 3);
        used = more;
        ck_assert_msg(s.matches[k] == matches && s.totals[k] == total, "order %d: %lld of %lld, not %s",
                      k + 1, (long long)s.matches[k], (long long)s.totals[k], line);
        ck_assert_double_eq_tol(s.precision[k], precision, 1e-9);
    }
    ck_assert_double_eq_tol(s.score, score, 1e-9);
    ck_assert_double_eq_tol(s.brevity_penalty, penalty, 1e-12);
    ck_assert(s.hypothesis_length == length[0] && s.reference_length == length[1]);
}

START_TEST(random_corpora_score_as_in_the_golden_file)
{
    static golden_line line;
    tg_context *cx = tg_context_new(NULL);
    corpus c = { 0 };
    int n = 0;
    FILE *file = golden_open();
    while (golden_next(file, &line)) {
        if (!line.kind) corpus_clear(&c);
        if (line.kind == 'h' || line.kind == 'r') corpus_take(&c, &line);
        if (line.kind == 'b') compare(cx, &c, line.text), n++;
    }
    fclose(file);
    ck_assert_int_eq(n, 600);
    ck_assert_msg(tg_context_ok(cx), "%s", tg_context_message(cx));
    tg_context_free(cx);
}
END_TEST

/* ---- lines ---- */

static const struct {
    tg_bleu_config config;
    const char *signature;
} signatures[] = {
    { { .max_order = 4 }, "nrefs:2|case:mixed|eff:no|tok:13a|smooth:exp|version:tidegate-" TG_VERSION },
    { { EFFECTIVE, .lowercase = true, .tokenizer = TG_BLEU_TOKENIZE_NONE, .smoothing = TG_BLEU_SMOOTH_NONE },
      "nrefs:2|case:lc|eff:yes|tok:none|smooth:none|version:tidegate-" TG_VERSION },
    { { .smoothing = TG_BLEU_SMOOTH_FLOOR },
      "nrefs:2|case:mixed|eff:no|tok:13a|smooth:floor[0.10]|version:tidegate-" TG_VERSION },
    { { .smoothing = TG_BLEU_SMOOTH_ADD_K, .max_order = 2 },
      "nrefs:2|case:mixed|eff:no|tok:13a|smooth:add-k[1.00]|order:2|version:tidegate-" TG_VERSION },
};

START_TEST(signatures_tell_all_that_the_score_depends_on)
{
    tg_context *cx = tg_context_new(NULL);
    char text[TG_SCORE_TEXT];
    for (size_t i = 0; i < sizeof signatures / sizeof *signatures; i++) {
        tg_bleu *b = tg_bleu_new(cx, &signatures[i].config);
        add_dog(b);
        ck_assert_uint_eq(tg_bleu_signature(b, text, sizeof text), strlen(signatures[i].signature));
        ck_assert_str_eq(text, signatures[i].signature);
    }
    tg_bleu *b = tg_bleu_new(cx, NULL);
    tg_bleu_signature(b, text, sizeof text);
    ck_assert_ptr_nonnull(strstr(text, "nrefs:0|"));
    add(b, "a", "a");
    tg_bleu_signature(b, text, sizeof text);
    ck_assert_ptr_nonnull(strstr(text, "nrefs:1|"));
    add_dog(b);
    add(b, "a", "a");
    tg_bleu_signature(b, text, sizeof text);
    ck_assert_ptr_nonnull(strstr(text, "nrefs:var|"));
    tg_context_free(cx);
}
END_TEST

START_TEST(line_is_the_usual_one)
{
    tg_context *cx = tg_context_new(NULL);
    const char wanted[] = "BLEU|nrefs:2|case:mixed|eff:no|tok:13a|smooth:exp|version:tidegate-" TG_VERSION
                          " = 48.53 82.4/50.0/45.5/37.5 (BP = 0.943 ratio = 0.944 hyp_len = 17 ref_len = 18)";
    char text[TG_SCORE_TEXT], small[10];
    tg_bleu *b = tg_bleu_new(cx, NULL);
    add_dog(b);
    ck_assert_uint_eq(tg_bleu_line(b, text, sizeof text), strlen(wanted));
    ck_assert_str_eq(text, wanted);
    ck_assert_uint_eq(tg_bleu_line(b, small, sizeof small), strlen(wanted));
    ck_assert_str_eq(small, "BLEU|nref");
    ck_assert_uint_eq(tg_bleu_line(b, NULL, 0), strlen(wanted));
    tg_context_free(cx);
}
END_TEST

/* ---- the object ---- */

START_TEST(nothing_counted_scores_nothing)
{
    tg_context *cx = tg_context_new(NULL);
    char text[TG_SCORE_TEXT];
    tg_bleu *b = tg_bleu_new(cx, NULL);
    tg_bleu_score s = score_of(b);
    ck_assert(s.score == 0 && s.ratio == 0 && s.brevity_penalty == 1 && s.sentences == 0);
    add_dog(b);
    tg_bleu_reset(b);
    s = score_of(b);
    ck_assert(s.score == 0 && s.matches[0] == 0 && s.hypothesis_length == 0 && s.sentences == 0);
    add_dog(b);
    ck_assert_double_eq_tol(score_of(b).score, 48.530827009929865, 1e-9);
    tg_bleu_reset(b);
    add(b, "a", "a"); /* sentences before it had two references */
    tg_bleu_signature(b, text, sizeof text);
    ck_assert_ptr_eq(strstr(text, "nrefs:1|"), text);
    tg_context_free(cx);
}
END_TEST

static const struct {
    tg_bleu_config config;
    const char *says;
} bad_configs[] = {
    { { .max_order = 9 }, "max_order is 9, not in 1..8" },
    { { .max_order = -1 }, "max_order is -1" },
    { { .tokenizer = (tg_bleu_tokenizer)2 }, "tokenizer 2 (of 0..1)" },
    { { .smoothing = (tg_bleu_smoothing)4 }, "smoothing 4 (of 0..3)" },
    { { .smoothing_value = -1 }, "smoothing_value is -1" },
    { { .smoothing_value = INFINITY }, "smoothing_value is inf" },
    { { .smoothing_value = NAN }, "smoothing_value is" },
};

START_TEST(config_out_of_range_is_a_failure)
{
    for (size_t i = 0; i < sizeof bad_configs / sizeof *bad_configs; i++) {
        tg_context *cx = tg_context_new(NULL);
        const char *a = "a";
        tg_bleu *b = tg_bleu_new(cx, &bad_configs[i].config);
        ck_assert_int_eq(tg_context_status(cx), TG_ERR_ARGUMENT);
        ck_assert_ptr_nonnull(strstr(tg_context_message(cx), bad_configs[i].says));
        ck_assert_int_ne(tg_bleu_add(b, a, 1, &a), TG_OK);
        tg_bleu_reset(b);
        ck_assert(score_of(b).score == 0 && tg_bleu_line(b, NULL, 0) > 0);
        tg_context_free(cx);
    }
}
END_TEST

START_TEST(refused_sentence_counts_nothing)
{
    tg_context *cx = tg_context_new(NULL);
    tg_bleu *b = tg_bleu_new(cx, NULL);
    char *long_text = malloc(TG_SCORE_MOST + 2);
    memset(long_text, 'a', TG_SCORE_MOST + 1);
    long_text[TG_SCORE_MOST + 1] = 0;
    add_dog(b);
    const tg_bleu_score before = score_of(b);
    const char *good = "good", *pair[] = { "good", "bad \xC3(" };
    ck_assert_int_eq(tg_bleu_add(b, good, 0, &good), TG_ERR_ARGUMENT);
    ck_assert_int_eq(tg_bleu_add(b, "\xFF", 1, &good), TG_ERR_DATA);
    ck_assert_str_eq(tg_context_message(cx), "tg_bleu_add: the hypothesis: is not valid UTF-8 at byte 1");
    ck_assert_int_eq(tg_bleu_add(b, good, 2, pair), TG_ERR_DATA);
    ck_assert_str_eq(tg_context_message(cx), "tg_bleu_add: reference 2: is not valid UTF-8 at byte 5");
    ck_assert_int_eq(tg_bleu_add(b, long_text, 1, &good), TG_ERR_DATA);
    ck_assert_str_eq(tg_context_message(cx), "tg_bleu_add: the hypothesis: has more bytes than 16777216");
    ck_assert(tg_context_ok(cx));
    const tg_bleu_score after = score_of(b);
    ck_assert_int_eq(memcmp(&before, &after, sizeof before), 0);
    free(long_text);
    tg_context_free(cx);
}
END_TEST

/* A million bytes of one letter, of two in turn, and of ever new words: quadratic work would take hours. */
START_TEST(long_sentences_take_no_more_than_their_share)
{
    enum { LONG = 1000000 };
    tg_context *cx = tg_context_new(NULL);
    char *text = malloc(LONG + 1), *spaced = malloc(LONG + 1), *numbers = malloc(LONG + 1);
    memset(text, 'a', LONG);
    for (int i = 0; i < LONG; i++) spaced[i] = i % 2 ? ' ' : 'a';
    text[LONG] = spaced[LONG] = 0;
    for (int i = 0, n = 0; n < LONG - 8; i++) n += sprintf(numbers + n, "%d ", i);
    tg_bleu *b = tg_bleu_new(cx, NULL);
    add(b, text, text);
    add(b, spaced, spaced);
    add(b, numbers, numbers);
    for (int i = 0; i < 20000; i++) add(b, "a b", "a b"); /* and short ones after them no more than theirs */
    ck_assert_double_eq_tol(score_of(b).score, 100, 1e-9);
    ck_assert_int_eq(score_of(b).sentences, 20003);
    free(text), free(spaced), free(numbers);
    tg_context_free(cx);
}
END_TEST

START_TEST(out_of_memory_anywhere_is_an_error)
{
    bool done = false;
    int blocks = 0;
    for (; !done; blocks++) {
        tg_context *cx = meagre_context(blocks);
        tg_bleu *b = tg_bleu_new(cx, NULL);
        tg_status s = TG_OK;
        for (int i = 0; !s && i < 3; i++) s = tg_bleu_add(b, dog[i][0], 2, &dog[i][1]);
        if (!s) s = tg_bleu_add(b, sector, 1, (const char *const[]){ german });
        ck_assert(s == TG_OK || s == TG_ERR_MEMORY);
        done = s == TG_OK;
        ck_assert_int_eq(score_of(b).sentences > 3, done);
        tg_context_free(cx);
        ck_assert_int_eq(blocks_open, 0);
    }
    ck_assert_int_gt(blocks, 5);
}
END_TEST

TG_TEST_MAIN("metrics/bleu", corpus_of_three_sentences_has_its_published_figures,
             orders_and_tokens_change_the_score_as_published, single_sentences_have_their_published_scores,
             random_corpora_score_as_in_the_golden_file, signatures_tell_all_that_the_score_depends_on,
             line_is_the_usual_one, nothing_counted_scores_nothing, config_out_of_range_is_a_failure,
             refused_sentence_counts_nothing, long_sentences_take_no_more_than_their_share,
             out_of_memory_anywhere_is_an_error)
