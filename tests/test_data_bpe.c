/* Byte-pair encoding: codes learnt and applied; against tests/golden/bpe.txt. */
#include "bpe_fixture.h"

/* The text of a line that is cut: without "@@ ". */
static void uncut(const char *cut, char *text)
{
    while (*cut)
        if (!strncmp(cut, "@@ ", 3))
            cut += 3;
        else
            *text++ = *cut++;
    *text = 0;
}

static void check_cuts(const tg_tokenizer *k, const char *tag)
{
    golden g = golden_open();
    int lines = 0;
    for (const char *cut; (cut = next(&g, tag)); lines++) {
        char text[4000], got[4000];
        uncut(cut, text);
        tokenized(k, text, got, sizeof got);
        ck_assert_str_eq(got, cut);
        joined(k, text, got, sizeof got);
        ck_assert_str_eq(got, text);
    }
    ck_assert_int_gt(lines, 50);
}

START_TEST(codes_are_learnt_and_words_cut_as_subword_nmt_does)
{
    tg_context *cx = tg_context_new(NULL);
    tg_tokenizer *k = bpe(cx);
    golden text = golden_open(), codes = golden_open();
    int n = 0;
    for (const char *line; (line = next(&text, "text"));) tg_tokenizer_add(k, line);
    tg_tokenizer_learn(k, 300, 0);
    ck_assert_msg(tg_context_ok(cx), "%s", tg_context_message(cx));
    for (const char *code; (code = next(&codes, "0.2")); n++)
        ck_assert_str_eq(tg_tokenizer_merge(k, n), code);
    ck_assert_int_eq(tg_tokenizer_merges(k), n);
    ck_assert_str_eq(tg_tokenizer_merge(k, n), "");
    ck_assert_str_eq(tg_tokenizer_merge(k, -1), "");
    check_cuts(k, "cut.2");
    tg_context_free(cx);
}
END_TEST

START_TEST(codes_of_both_versions_are_read_from_files)
{
    tg_context *cx = tg_context_new(NULL);
    for (int old = 0; old < 2; old++) {
        tg_tokenizer *k = bpe(cx);
        const char *path = codes_file(NULL, 0, old ? "0.1" : "0.2");
        ck_assert_msg(tg_tokenizer_read(k, path) == TG_OK, "%s", tg_context_message(cx));
        unlink(path);
        ck_assert_int_gt(tg_tokenizer_merges(k), 250);
        check_cuts(k, old ? "cut.1" : "cut.2");
    }
    tg_context_free(cx);
}
END_TEST

START_TEST(pieces_of_what_spaces_separate_are_those_of_subword_nmt)
{
    tg_context *cx = tg_context_new(NULL);
    tg_tokenizer *k = tg_tokenizer_new(cx, &(tg_tokenizer_config){ .kind = TG_BPE_SPACES });
    golden text = golden_open(), codes = golden_open();
    char got[64];
    int n = 0;
    for (const char *line; (line = next(&text, "text.s"));) tg_tokenizer_add(k, line);
    tg_tokenizer_learn(k, 300, 0);
    ck_assert_msg(tg_context_ok(cx), "%s", tg_context_message(cx));
    for (const char *code; (code = next(&codes, "0.s")); n++)
        ck_assert_str_eq(tg_tokenizer_merge(k, n), code);
    ck_assert_int_eq(tg_tokenizer_merges(k), n);
    check_cuts(k, "cut.s");
    joined(k, "a  " J "b" E J " <unk> @@ " J, got,
           sizeof got); /* what has a meaning elsewhere is text here */
    ck_assert_str_eq(got, "a " J "b" E J " <unk> @@ " J);

    tg_vocabulary *v = tg_vocabulary_new(cx, k), *back; /* and so is it stored */
    tg_archive *a = tg_archive_new(cx);
    int before[16], after[16];
    for (n = 0; n < 2; n++) tg_vocabulary_add(v, "dogs&apos; @@ \xC2\xA0 .NET");
    tg_vocabulary_freeze(v, 1);
    ck_assert_int_eq(tg_vocabulary_put(v, a, "v"), TG_OK);
    ck_assert_msg(tg_vocabulary_get(cx, a, "v", &back) == TG_OK, "%s", tg_context_message(cx));
    ck_assert_int_eq(tg_tokenizer_settings(tg_vocabulary_tokenizer(back)).kind, TG_BPE_SPACES);
    n = tg_vocabulary_encode(v, ".NET dogs&apos; @@", before, 16);
    ck_assert_int_eq(tg_vocabulary_encode(back, ".NET dogs&apos; @@", after, 16), n);
    ck_assert_mem_eq(before, after, (size_t)n * sizeof *before);
    tg_archive_free(a);
    tg_context_free(cx);
}
END_TEST

/* ---- learning ---- */

START_TEST(order_of_texts_changes_no_code)
{
    tg_context *cx = tg_context_new(NULL);
    tg_tokenizer *k[2] = { bpe(cx), bpe(cx) };
    for (int i = 0; i < 2000; i++)
        for (int side = 0; side < 2; side++) {
            const int n = side ? 1999 - i : i;
            char text[64];
            snprintf(text, sizeof text, "w%do w%dx %d%d", n % 700, n % 31, n % 17, n % 5);
            tg_tokenizer_add(k[side], text);
        }
    for (int side = 0; side < 2; side++) tg_tokenizer_learn(k[side], 0, 3);
    ck_assert_int_gt(tg_tokenizer_merges(k[0]), 50);
    ck_assert_int_eq(tg_tokenizer_merges(k[0]), tg_tokenizer_merges(k[1]));
    for (int i = 0; i < tg_tokenizer_merges(k[0]); i++)
        ck_assert_str_eq(tg_tokenizer_merge(k[0], i), tg_tokenizer_merge(k[1], i));
    tg_context_free(cx);
}
END_TEST

static const struct {
    const char *text;
    int merges, min_frequency;
    const char *codes; /* each followed by a bar */
} learnt[] = {
    { "", 0, 0, "" },
    { "a b c", 0, 0, "" }, /* words of one character */
    { "ab", 0, 0, "" },    /* once is not enough */
    { "ab", 0, 1, "a b</w>|" },
    { "ab ab ab", 0, 4, "" },
    { "ab, \"ab\" ab!", 0, 0, "a b</w>|" },       /* joined or not, a word is a word */
    { "ab ab xy xy", 0, 0, "x y</w>|a b</w>|" },  /* the greater one first */
    { "xab xab xb xb", 1, 0, "x b</w>|" },        /* left, then right: "b</w>" is above "a" */
    { "aaaa aaaa", 0, 0, "a a|aa a|aaa a</w>|" }, /* the first pair stands there twice */
    { "AB ab AB ab", 0, 0, "a b</w>|A B</w>|" },
    { "<unk> <unk> <unk>", 0, 0, "" }, /* is not cut */
    { J "b " J "b", 0, 0, "" },
    { "\xC3\xA9x \xC3\xA9x e\xCC\x81x", 1, 0, "\xC3\xA9 x</w>|" }, /* in normal form */
};

START_TEST(most_frequent_and_then_greatest_pair_comes_first)
{
    tg_context *cx = tg_context_new(NULL);
    for (size_t i = 0; i < sizeof learnt / sizeof *learnt; i++) {
        char codes[200] = "";
        tg_tokenizer *k = bpe(cx);
        tg_tokenizer_add(k, learnt[i].text);
        tg_tokenizer_learn(k, learnt[i].merges, learnt[i].min_frequency);
        for (int c = 0; c < tg_tokenizer_merges(k); c++) strcat(strcat(codes, tg_tokenizer_merge(k, c)), "|");
        ck_assert_msg(!strcmp(codes, learnt[i].codes), "case %zu: %s", i, codes);
    }
    tg_context_free(cx);
}
END_TEST

START_TEST(lower_case_is_learnt_and_written)
{
    tg_context *cx = tg_context_new(NULL);
    tg_tokenizer *k = tg_tokenizer_new(cx, &(tg_tokenizer_config){ TG_BPE, .lowercase = true });
    char got[64];
    tg_tokenizer_add(k, "AB ab Ab");
    tg_tokenizer_learn(k, 0, 3);
    ck_assert_str_eq(tg_tokenizer_merge(k, 0), "a b</w>");
    joined(k, "aB, AB", got, sizeof got);
    ck_assert_str_eq(got, "ab, ab");
    tg_context_free(cx);
}
END_TEST

/* ---- cutting ---- */

static const struct {
    const char *text, *tokens;
} cases[] = {
    { "lower low slow lows", "lower low s@@ low low@@ s" },
    { "(lower), 'lowest'", "(" J " lower " J ") " J ", '" J " low@@ e@@ s@@ t " J "'" },
    { "d'lower low's", "d " J "'@@ lower low " J "'@@ s" }, /* in front of the first piece */
    { "l'\xC3\xA9lower", "l@@ '" J " \xC3\xA9@@ lower" },   /* behind the last one */
    { "<unk> @-@ a@@ @@", "<unk> @@@ -@@ @ a " J "@ " J "@ @ " J "@" },
    { J E "x", E "1" J " " E "0" J " x" },
    { J J, E "1@@ " E "1" }, /* no escape is cut in two */
    { "x@@y", "x " J "@ " J "@" J " y" },
    { "", "" },
};

START_TEST(joiners_stay_outside_of_pieces)
{
    tg_context *cx = tg_context_new(NULL);
    const tg_tokenizer *k = bpe_of(cx, "#version: 0.2\ne r</w>\nl o\nlo w</w>\nlo w\nl o\nlow er</w>\n");
    char got[400];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tokenized(k, cases[i].text, got, sizeof got);
        ck_assert_str_eq(got, cases[i].tokens);
        joined(k, cases[i].text, got, sizeof got);
        ck_assert_str_eq(got, cases[i].text);
    }
    tg_context_free(cx);
}
END_TEST

START_TEST(any_text_comes_back_from_its_pieces)
{
    static const char *const pieces[] = { "a",
                                          "b",
                                          "@",
                                          "@@",
                                          "'",
                                          ".",
                                          ",",
                                          " ",
                                          J,
                                          E,
                                          "1",
                                          "0",
                                          "\xC3\xA9",
                                          "\xCC\x81",
                                          "<unk>",
                                          "&apos;",
                                          "-",
                                          "x",
                                          "\xE6\xBC\xA2",
                                          "\"" };
    enum { PIECES = sizeof pieces / sizeof *pieces };
    tg_context *cx = tg_context_new(&(tg_context_config){ .seed = 9 });
    const tg_tokenizer *k = bpe_of(cx, "a b\nab a\nx </w>\n\xC3\xA9 a\n1 0\n. .\n' a\n@ -\na </w>\n& a\n");
    const tg_tokenizer *words = tg_tokenizer_new(cx, NULL);
    for (int run = 0; run < 20000; run++) {
        char text[300] = "", whole[600], got[600];
        const int n = (int)(tg_random_uniform(cx, "n", run, 0) * 25);
        for (int i = 0; i < n; i++)
            strcat(text, pieces[(int)(tg_random_uniform(cx, "piece", run, (uint64_t)i) * PIECES)]);
        joined(words, text, whole, sizeof whole);
        joined(k, text, got, sizeof got);
        ck_assert_msg(!strcmp(got, whole), "run %d: '%s' came back as '%s'", run, whole, got);
    }
    tg_context_free(cx);
}
END_TEST

START_TEST(long_words_take_no_long_time)
{
    enum { LONG = 1000000 };
    tg_context *cx = tg_context_new(NULL);
    const tg_tokenizer *k = bpe_of(cx, "#version: 0.2\na a\naa aa\naaaa aaaa\naa a</w>\n");
    tg_tokenizer *learner = bpe(cx);
    char *text = malloc(LONG + 1), *back = malloc(LONG + 1);
    memset(text, 'a', LONG);
    text[LONG] = 0;
    ck_assert_int_eq(tg_tokenize(k, text, NULL, NULL),
                     LONG / 8 + 3); /* by thousands; the last a is another */
    joined(k, text, back, LONG + 1);
    ck_assert(!strcmp(text, back));
    tg_tokenizer_add(learner, text); /* no word to learn from */
    tg_tokenizer_learn(learner, 0, 1);
    ck_assert_int_eq(tg_tokenizer_merges(learner), 0);
    free(text);
    free(back);
    tg_context_free(cx);
}
END_TEST

START_TEST(pieces_lead_to_their_word)
{
    static const char *const token[] = { "a", J "'Br@@", "i@@", "en" J, "b", "c@@" };
    static const char *const word[] = { "a", J "'Brien" J, J "'Brien" J, J "'Brien" J, "b", "c" };
    tg_context *cx = tg_context_new(NULL);
    const tg_tokenizer *k = bpe(cx), *words = tg_tokenizer_new(cx, NULL);
    char text[32];
    for (int i = 0; i < 6; i++) {
        ck_assert_uint_eq(tg_tokenizer_word(k, 6, token, i, text, sizeof text), strlen(word[i]));
        ck_assert_str_eq(text, word[i]);
        tg_tokenizer_word(words, 6, token, i, text, sizeof text);
        ck_assert_str_eq(text, token[i]);
    }
    ck_assert_uint_eq(tg_tokenizer_word(k, 6, token, 1, text, 8), 12);
    ck_assert_str_eq(text, J "'Bri");
    ck_assert_uint_eq(tg_tokenizer_word(k, 6, token, 6, text, sizeof text), 0);
    ck_assert_str_eq(text, "");
    ck_assert_uint_eq(tg_tokenizer_word(k, 6, token, -1, NULL, 0), 0);
    tg_context_free(cx);
}
END_TEST

TG_TEST_MAIN("data/bpe", codes_are_learnt_and_words_cut_as_subword_nmt_does,
             codes_of_both_versions_are_read_from_files,
             pieces_of_what_spaces_separate_are_those_of_subword_nmt, order_of_texts_changes_no_code,
             most_frequent_and_then_greatest_pair_comes_first, lower_case_is_learnt_and_written,
             joiners_stay_outside_of_pieces, any_text_comes_back_from_its_pieces,
             long_words_take_no_long_time, pieces_lead_to_their_word)
