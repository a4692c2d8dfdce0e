/* chrF and chrF++: the published values, a golden file of random corpora, and what is refused. */
#include <math.h>

#include "metrics_fixture.h"

static void add(tg_chrf *f, const char *hypothesis, const char *reference)
{
    ck_assert_int_eq(tg_chrf_add(f, hypothesis, 1, &reference), TG_OK);
}

static void add_dog(tg_chrf *f)
{
    for (int i = 0; i < 3; i++) ck_assert_int_eq(tg_chrf_add(f, dog[i][0], 2, &dog[i][1]), TG_OK);
}

static tg_chrf_score score_of(const tg_chrf *f)
{
    tg_chrf_score s;
    tg_chrf_result(f, &s);
    return s;
}

/* ---- published values ---- */

START_TEST(corpus_of_three_sentences_has_its_published_score)
{
    tg_context *cx = tg_context_new(NULL);
    tg_chrf *f = tg_chrf_new(cx, NULL), *plus = tg_chrf_new(cx, &(tg_chrf_config){ .word_order = 2 });
    add_dog(f);
    add_dog(plus);
    const tg_chrf_score s = score_of(f);
    ck_assert_double_eq_tol(s.score, 59.72751782684763, 1e-9);
    ck_assert_double_eq_tol(s.score, 500 * s.precision * s.recall / (4 * s.precision + s.recall), 1e-12);
    ck_assert_int_eq(s.sentences, 3);
    ck_assert_double_eq_tol(score_of(plus).score, 59.153104, 1e-6);
    tg_context_free(cx);
}
END_TEST

static const struct {
    const char *hypothesis, *reference;
    tg_chrf_config config;
    double score;
} sentences[] = {
    { "this is a fest", "this is a test", { .beta = 2 }, 60.627706 },
    { "test", "a test", { .beta = 2 }, 72.573464 },
    { "a little test", "a test", { .beta = 2 }, 43.877721 },
    { sector, sector_reference, { .beta = 2 }, 63.431654 },
    { sector, sector_reference, { .word_order = 2 }, 59.236551 },
    { german, german_reference, { .beta = 2 }, 64.818124 },
    { german, german_reference, { .word_order = 2 }, 61.587232 },
    { "a  b\tc",
      "\xE3\x80\x80"
      "abc\xC2\xA0",
      { .beta = 2 },
      100 }, /* white space is left out */
    { "ABC", "abc", { .lowercase = true }, 100 },
    { "ABC", "abc", { .beta = 2 }, 0 },
    { "é", "e", { .beta = 2 }, 0 }, /* code points, not bytes */
    { "ab", "ba", { .beta = 2 }, 50 },
    { "", "a", { .beta = 2 }, 0 },
    { "a", "", { .beta = 2 }, 0 },
    { "", "", { .beta = 2 }, 0 },
};

START_TEST(single_sentences_have_their_published_scores)
{
    tg_context *cx = tg_context_new(NULL);
    for (size_t i = 0; i < sizeof sentences / sizeof *sentences; i++) {
        tg_chrf *f = tg_chrf_new(cx, &sentences[i].config);
        add(f, sentences[i].hypothesis, sentences[i].reference);
        const double score = score_of(f).score;
        ck_assert_msg(fabs(score - sentences[i].score) < 1e-6, "case %zu: %.9f, not %.6f", i, score,
                      sentences[i].score);
    }
    tg_context_free(cx);
}
END_TEST

/* ---- the golden file ---- */

static void compare(tg_context *cx, const corpus *c, const char *line)
{
    tg_chrf_config config = { 0 };
    int lowercase;
    double score;
    ck_assert_int_eq(sscanf(line, "%d %d %d %d = %lf", &lowercase, &config.character_order,
                            &config.word_order, &config.beta, &score),
                     5);
    config.lowercase = lowercase;
    tg_chrf *f = tg_chrf_new(cx, &config);
    for (int i = 0; i < c->sentences; i++) {
        char *const *text = c->text + c->first[i];
        ck_assert_int_eq(
            tg_chrf_add(f, text[0], c->first[i + 1] - c->first[i] - 1, (const char *const *)text + 1), TG_OK);
    }
    ck_assert_msg(fabs(score_of(f).score - score) < 1e-9, "%.12g for %s of '%s' ...", score_of(f).score, line,
                  c->text[0]);
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
        if (line.kind == 'c') compare(cx, &c, line.text), n++;
    }
    fclose(file);
    ck_assert_int_eq(n, 400);
    ck_assert_msg(tg_context_ok(cx), "%s", tg_context_message(cx));
    tg_context_free(cx);
}
END_TEST

/* ---- lines ---- */

START_TEST(line_is_the_usual_one)
{
    static const struct {
        tg_chrf_config config;
        const char *line;
    } lines[] = {
        { { .beta = 2 },
          "chrF2|nrefs:2|case:mixed|eff:yes|nc:6|nw:0|space:no|version:tidegate-" TG_VERSION " = 59.73" },
        { { .word_order = 2 },
          "chrF2++|nrefs:2|case:mixed|eff:yes|nc:6|nw:2|space:no|version:tidegate-" TG_VERSION " = 59.15" },
        { { .lowercase = true, .beta = 1, .character_order = 1 },
          "chrF1|nrefs:2|case:lc|eff:yes|nc:1|nw:0|space:no|version:tidegate-" TG_VERSION " = " },
    };
    tg_context *cx = tg_context_new(NULL);
    char text[TG_SCORE_TEXT], signature[TG_SCORE_TEXT];
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        tg_chrf *f = tg_chrf_new(cx, &lines[i].config);
        add_dog(f);
        ck_assert_uint_eq(tg_chrf_line(f, text, sizeof text), strlen(text));
        ck_assert_msg(!strncmp(text, lines[i].line, strlen(lines[i].line)), "%s", text);
        tg_chrf_signature(f, signature, sizeof signature);
        ck_assert_ptr_eq(strstr(text, signature), strchr(text, '|') + 1);
        add(f, "a", "a");
        tg_chrf_signature(f, signature, sizeof signature);
        ck_assert_ptr_eq(strstr(signature, "nrefs:var|"), signature);
    }
    tg_context_free(cx);
}
END_TEST

/* ---- the object ---- */

START_TEST(nothing_counted_scores_nothing)
{
    tg_context *cx = tg_context_new(NULL);
    char text[TG_SCORE_TEXT];
    tg_chrf *f = tg_chrf_new(cx, NULL);
    ck_assert(score_of(f).score == 0 && score_of(f).sentences == 0);
    add_dog(f);
    tg_chrf_reset(f);
    ck_assert(score_of(f).score == 0 && score_of(f).recall == 0 && score_of(f).sentences == 0);
    add_dog(f);
    ck_assert_double_eq_tol(score_of(f).score, 59.72751782684763, 1e-9);
    tg_chrf_reset(f);
    add(f, "a", "a"); /* sentences before it had two references */
    tg_chrf_signature(f, text, sizeof text);
    ck_assert_ptr_eq(strstr(text, "nrefs:1|"), text);
    tg_context_free(cx);
}
END_TEST

START_TEST(config_out_of_range_is_a_failure)
{
    static const struct {
        tg_chrf_config config;
        const char *says;
    } bad[] = {
        { { .character_order = 9 }, "character_order is 9 (of 1..8)" },
        { { .character_order = -1 }, "character_order is -1" },
        { { .word_order = 9 }, "word_order 9 (of 0..8)" },
        { { .word_order = -1 }, "word_order -1" },
        { { .beta = 101 }, "beta is 101, not in 1..100" },
        { { .beta = -1 }, "beta is -1" },
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        tg_context *cx = tg_context_new(NULL);
        const char *a = "a";
        tg_chrf *f = tg_chrf_new(cx, &bad[i].config);
        ck_assert_int_eq(tg_context_status(cx), TG_ERR_ARGUMENT);
        ck_assert_ptr_nonnull(strstr(tg_context_message(cx), bad[i].says));
        ck_assert_int_ne(tg_chrf_add(f, a, 1, &a), TG_OK);
        tg_chrf_reset(f);
        ck_assert(score_of(f).score == 0 && tg_chrf_line(f, NULL, 0) > 0);
        tg_context_free(cx);
    }
}
END_TEST

START_TEST(refused_sentence_counts_nothing)
{
    tg_context *cx = tg_context_new(NULL);
    tg_chrf *f = tg_chrf_new(cx, NULL);
    add_dog(f);
    const tg_chrf_score before = score_of(f);
    const char *good = "good", *pair[] = { "good", "bad \xC3(" };
    ck_assert_int_eq(tg_chrf_add(f, good, 0, &good), TG_ERR_ARGUMENT);
    ck_assert_int_eq(tg_chrf_add(f, "a\xED\xA0\x80", 1, &good), TG_ERR_DATA);
    ck_assert_str_eq(tg_context_message(cx), "tg_chrf_add: the hypothesis: is not valid UTF-8 at byte 2");
    ck_assert_int_eq(tg_chrf_add(f, good, 2, pair), TG_ERR_DATA);
    ck_assert_str_eq(tg_context_message(cx), "tg_chrf_add: reference 2: is not valid UTF-8 at byte 5");
    ck_assert(tg_context_ok(cx));
    const tg_chrf_score after = score_of(f);
    ck_assert_int_eq(memcmp(&before, &after, sizeof before), 0);
    tg_context_free(cx);
}
END_TEST

/* Of one letter and of ever new words: quadratic work would take hours. */
START_TEST(long_sentences_take_no_more_than_their_share)
{
    enum { LONG = 1000000 };
    tg_context *cx = tg_context_new(NULL);
    char *text = malloc(LONG + 1), *numbers = malloc(LONG + 1);
    memset(text, 'a', LONG);
    text[LONG] = 0;
    for (int i = 0, n = 0; n < LONG / 2; i++) n += sprintf(numbers + n, "%d ", i);
    tg_chrf *f = tg_chrf_new(cx, &(tg_chrf_config){ .word_order = 2 });
    add(f, text, text);
    add(f, numbers, numbers);
    for (int i = 0; i < 20000; i++) add(f, "a b", "a b"); /* and short ones after them no more than theirs */
    ck_assert_double_eq_tol(score_of(f).score, 100, 1e-9);
    free(text), free(numbers);
    tg_context_free(cx);
}
END_TEST

START_TEST(out_of_memory_anywhere_is_an_error)
{
    bool done = false;
    int blocks = 0;
    for (; !done; blocks++) {
        tg_context *cx = meagre_context(blocks);
        tg_chrf *f = tg_chrf_new(cx, NULL);
        tg_status s = TG_OK;
        for (int i = 0; !s && i < 3; i++) s = tg_chrf_add(f, dog[i][0], 2, &dog[i][1]);
        if (!s) s = tg_chrf_add(f, sector, 1, (const char *const[]){ german });
        ck_assert(s == TG_OK || s == TG_ERR_MEMORY);
        done = s == TG_OK;
        ck_assert_int_eq(score_of(f).sentences > 3, done);
        tg_context_free(cx);
        ck_assert_int_eq(blocks_open, 0);
    }
    ck_assert_int_gt(blocks, 5);
}
END_TEST

TG_TEST_MAIN("metrics/chrf", corpus_of_three_sentences_has_its_published_score,
             single_sentences_have_their_published_scores, random_corpora_score_as_in_the_golden_file,
             line_is_the_usual_one, nothing_counted_scores_nothing, config_out_of_range_is_a_failure,
             refused_sentence_counts_nothing, long_sentences_take_no_more_than_their_share,
             out_of_memory_anywhere_is_an_error)
