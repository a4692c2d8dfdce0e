/* Byte-pair codes: read from files, given once, stored. */
#include "bpe_fixture.h"

/* ---- files ---- */

#define BYTES(text) text, sizeof(text) - 1
#define MARK        "\xEF\xBB\xBF" /* the byte order mark */
static const struct {
    const char *text;
    size_t bytes;
    tg_status status;
    const char *part; /* of the message; or the last code */
    int merges;
} files[] = {
    { BYTES("a b\nab c</w>\n"), TG_OK, "ab c</w>", 2 },
    { BYTES("#version: 0.2\r\na b\r\nab c</w>\r\n\r\n \n"), TG_OK, "ab c</w>", 2 },
    { BYTES("#version: 0.1\n  a b  "), TG_OK, "a b", 1 },
    { BYTES("#version: 0.2"), TG_OK, "", 0 },
    { BYTES("#version: 0.2\n"), TG_OK, "", 0 },
    { BYTES("#version: 0.2 byte\na b\n"), TG_ERR_FORMAT, "version '0.2 byte'", 0 },
    { BYTES("#version: 0.3\na b\n"), TG_ERR_FORMAT, "version '0.3'", 0 }, /* as by subword-nmt */
    { BYTES("#version: 0.2.0\na b\n"), TG_OK, "a b", 1 },
    { BYTES("#version: 0.2.1\na b\n"), TG_ERR_FORMAT, "version '0.2.1'", 0 },
    { BYTES("#version: 0.20\na b\n"), TG_ERR_FORMAT, "version '0.20'", 0 },
    { BYTES("#version:\na b\n"), TG_ERR_FORMAT, "version ''", 0 },
    { BYTES(MARK "#version: 0.3\na b\n"), TG_ERR_FORMAT, "version '0.3'", 0 },
    { BYTES(MARK "a b\n" MARK "ab c</w>\n"), TG_OK, "ab c</w>", 2 },
    { BYTES("a b\r\r\nab c</w>\r\n"), TG_OK, "ab c</w>", 2 },
    { BYTES("#version: 0.2\ra b\rab c\r"), TG_ERR_FORMAT, "line 1 has a carriage return", 0 },
    { BYTES("a b\rab c\r"), TG_ERR_FORMAT, "line 1 has a carriage return", 0 },
    { BYTES("#version: \x1B[31m0.2222222222222222222222222222222222222222222222222222222222222222\na b\n"),
      TG_ERR_FORMAT, "version '?[31m0.2", 0 },
    { BYTES("#version: 0.2\na b\nab\n"), TG_ERR_FORMAT, "line 3 is not two symbols", 0 },
    { BYTES("a b\n\na b\n"), TG_ERR_FORMAT, "line 2 is not two symbols", 0 },
    { BYTES("a b c\n"), TG_ERR_FORMAT, "line 1", 0 },
    { BYTES("a  b\n"), TG_ERR_FORMAT, "line 1", 0 },
    { BYTES("a \xFF\n"), TG_ERR_FORMAT, "line 1", 0 },
    { BYTES("a \xC3\n"), TG_ERR_FORMAT, "line 1", 0 },
    { BYTES("a b\na \0b\n"), TG_ERR_FORMAT, "line 2", 0 },
    { BYTES(""), TG_ERR_DATA, "empty", 0 },
};

START_TEST(codes_files_are_read_or_refused_with_the_line)
{
    tg_context *cx = tg_context_new(NULL);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        tg_tokenizer *k = bpe(cx);
        const char *path = codes_file(files[i].text, files[i].bytes, "");
        const tg_status s = tg_tokenizer_read(k, path);
        ck_assert_msg(s == files[i].status, "case %zu: %d: %s", i, s, tg_context_message(cx));
        ck_assert_int_eq(tg_tokenizer_merges(k), files[i].merges);
        if (s) {
            ck_assert_msg(strstr(tg_context_message(cx), files[i].part), "case %zu: %s", i,
                          tg_context_message(cx));
            ck_assert(strstr(tg_context_message(cx), path) && tg_context_ok(cx));
            tg_tokenizer_add(k, "ab ab"); /* it can still be given codes */
            tg_tokenizer_learn(k, 0, 0);
            ck_assert_int_eq(tg_tokenizer_merges(k), 1);
        } else {
            ck_assert_str_eq(tg_tokenizer_merge(k, files[i].merges - 1), files[i].part);
            ck_assert_str_eq(tg_tokenizer_merge(k, 0), files[i].merges ? "a b" : "");
        }
        unlink(path);
    }
    ck_assert_int_eq(tg_tokenizer_read(bpe(cx), "/nowhere/codes"), TG_ERR_ABSENT);
    ck_assert_int_eq(tg_tokenizer_read(bpe(cx), "/tmp"), TG_ERR_IO);
    tg_context_free(cx);
}
END_TEST

/* The codes cut "ab" in one piece by version 0.2, and by 0.1 in two. */
START_TEST(version_is_read_as_by_subword_nmt)
{
    static const struct {
        const char *line, *pieces;
    } versions[] = {
        { "#version: 0.2\n", "ab" },
        { "#version: 0.2.0\n", "ab" },
        { "#version:  0.2.0.00 \n", "ab" },
        { MARK "#version: 0.2\n", "ab" },
        { "#version: 0.1.0\n", "a@@ b" },
        { "", "a@@ b" },
        { MARK, "a@@ b" },
    };
    tg_context *cx = tg_context_new(NULL);
    for (size_t i = 0; i < sizeof versions / sizeof *versions; i++) {
        char text[64], got[64];
        snprintf(text, sizeof text, "%sa b</w>\n", versions[i].line);
        tokenized(bpe_of(cx, text), "ab", got, sizeof got);
        ck_assert_str_eq(got, versions[i].pieces);
    }
    tg_context_free(cx);
}
END_TEST

START_TEST(first_of_equal_pairs_counts)
{
    tg_context *cx = tg_context_new(NULL);
    char got[64];
    tokenized(bpe_of(cx, "#version: 0.2\na b\nb c</w>\na b\n"), "abc", got, sizeof got);
    ck_assert_str_eq(got, "ab@@ c");
    tokenized(bpe_of(cx, "#version: 0.2\nx x\nb c</w>\na b\n"), "abc xxx", got, sizeof got);
    ck_assert_str_eq(got, "a@@ bc xx@@ x");
    tg_context_free(cx);
}
END_TEST

/* ---- misuse, and memory ---- */

static void expect_failure(tg_context *cx, tg_status status, const char *part)
{
    ck_assert_int_eq(tg_context_status(cx), status);
    ck_assert_msg(strstr(tg_context_message(cx), part), "'%s' lacks '%s'", tg_context_message(cx), part);
    tg_context_clear(cx);
}

START_TEST(codes_are_given_once_and_before_use)
{
    tg_context *cx = tg_context_new(NULL);
    tg_tokenizer *k = bpe(cx), *words = tg_tokenizer_new(cx, NULL);
    int n;
    ck_assert_int_eq(tg_tokenize(k, "a b", NULL, NULL), 0);
    expect_failure(cx, TG_ERR_STATE, "no codes yet");
    ck_assert_ptr_null(tg_tokenizer_split(k, "a b", &n));
    expect_failure(cx, TG_ERR_STATE, "no codes yet");
    tg_vocabulary_add(tg_vocabulary_new(cx, k), "a b");
    expect_failure(cx, TG_ERR_STATE, "no codes yet");
    tg_tokenizer_add(k, "caf\xE9");
    expect_failure(cx, TG_ERR_DATA, "byte 4 of the text");
    tg_tokenizer_learn(k, -1, 0);
    expect_failure(cx, TG_ERR_ARGUMENT, "-1 merges");
    tg_tokenizer_learn(k, 0, -2);
    expect_failure(cx, TG_ERR_ARGUMENT, "min_frequency -2");
    tg_tokenizer_learn(k, 0, 0);
    tg_tokenizer_add(k, "a b");
    expect_failure(cx, TG_ERR_STATE, "that has its codes");
    tg_tokenizer_learn(k, 0, 0);
    expect_failure(cx, TG_ERR_STATE, "that has its codes");
    ck_assert_int_eq(tg_tokenizer_read(k, "x"), TG_ERR_STATE);
    tg_tokenizer_add(words, "a");
    expect_failure(cx, TG_ERR_STATE, "kind words has no codes");
    ck_assert_int_eq(tg_tokenizer_read(words, "x"), TG_ERR_STATE);
    ck_assert(tg_context_ok(cx) && tg_tokenizer_merges(words) == 0);
    tg_context_free(cx);
}
END_TEST

typedef struct budget {
    int left, held;
} budget;

static void *spend(void *user, size_t bytes)
{
    budget *b = user;
    if (b->left-- <= 0) return NULL;
    b->held++;
    return malloc(bytes);
}
static void give_back(void *user, void *block)
{
    budget *b = user;
    b->held--;
    free(block);
}

START_TEST(out_of_memory_loses_no_words)
{
    budget b = { 1 << 20, 0 };
    tg_context *cx =
        tg_context_new(&(tg_context_config){ .allocate = spend, .release = give_back, .allocator_user = &b });
    tg_tokenizer *k = bpe(cx);
    char text[32];
    for (int i = 0; i < 20000; i++) {
        snprintf(text, sizeof text, "w%dx%d", i % 4000, i % 9);
        tg_tokenizer_add(k, text);
    }
    for (int tries = 0; b.left = tries, tg_tokenizer_learn(k, 100, 0), !tg_context_ok(cx);
         tries += 1 + tries / 8) {
        ck_assert_int_lt(tries, 1 << 20);
        expect_failure(cx, TG_ERR_MEMORY, "out of memory");
        ck_assert_int_eq(tg_tokenizer_merges(k), 0);
    }
    ck_assert_int_eq(tg_tokenizer_merges(k), 100);
    b.left = 1 << 20;
    const char *path = codes_file(NULL, 0, "0.2");
    tg_status s = TG_ERR_MEMORY;
    tg_tokenizer *reader = bpe(cx);
    for (int tries = 0; s; tries += 1 + tries / 8) {
        b.left = tries;
        s = tg_tokenizer_read(reader, path);
        ck_assert(s == TG_OK || (s == TG_ERR_MEMORY && tries < 1 << 20));
        ck_assert(tg_context_ok(cx) && (tg_tokenizer_merges(reader) > 0) == !s);
    }
    unlink(path);
    tg_context_free(cx);
    ck_assert_int_eq(b.held, 0);
}
END_TEST

/* ---- in an archive ---- */

START_TEST(codes_are_stored_with_the_vocabulary)
{
    tg_context *cx = tg_context_new(NULL);
    const char *const codes[] = { "#version: 0.2\nl o\nlo w</w>\nl o\n", "l o\nlo w\nw </w>\n",
                                  "#version: 0.2\n" };
    for (int i = 0; i < 3; i++) {
        const tg_tokenizer *k = bpe_of(cx, codes[i]);
        tg_vocabulary *v = tg_vocabulary_new(cx, k), *back = NULL;
        tg_vocabulary_add(v, "low, lower (slow)!");
        tg_vocabulary_freeze(v, 0);
        tg_archive *a = tg_archive_new(cx), *again = tg_archive_new(cx);
        ck_assert_int_eq(tg_vocabulary_put(v, a, "v"), TG_OK);
        ck_assert_msg(tg_vocabulary_get(cx, a, "v", &back) == TG_OK, "%s", tg_context_message(cx));
        tg_archive_free(a);
        const tg_tokenizer *got = tg_vocabulary_tokenizer(back);
        ck_assert(tg_tokenizer_settings(got).kind == TG_BPE);
        ck_assert_int_eq(tg_tokenizer_merges(got), tg_tokenizer_merges(k));
        for (int c = 0; c < tg_tokenizer_merges(k); c++)
            ck_assert_str_eq(tg_tokenizer_merge(got, c), tg_tokenizer_merge(k, c));
        char text[64], other[64];
        int ids[40];
        tokenized(k, "slow lows, (low)", text, sizeof text);
        tokenized(got, "slow lows, (low)", other, sizeof other);
        ck_assert_str_eq(text, other);
        const int n = tg_vocabulary_encode(back, "lower (low)!", ids, 40);
        for (int t = 0; t < n; t++) ck_assert_int_ne(ids[t], TG_UNKNOWN);
        tg_vocabulary_decode(back, ids, n, text, sizeof text);
        ck_assert_str_eq(text, "lower (low)!");
        ck_assert_int_eq(tg_vocabulary_put(back, again, "v"), TG_OK);
        tg_archive_free(again);
    }
    tg_context_free(cx);
}
END_TEST

#define SPECIAL "<pad>", "<unk>", "<s>", "</s>"
static const struct {
    const char *text[3], *codes[3];
    int merges, n;
    const char *format, *part; /* NULL: a vocabulary */
} stored[] = {
    { { "a@@", J "b@@", "c" J }, { "a b", "c d" }, 2, 2, "0.2", NULL },
    { { "@@@", "@", J "@" }, { "a b" }, 1, 1, "0.1", NULL },
    { { "a", "b", "c" }, { "" }, 0, 0, "0.2", NULL },
    { { "a", "b", "@@" }, { "a b" }, 1, 1, "0.2", "token 6 of 7, '@@', is not one token" },
    { { "a", J "@@", "c" }, { "a b" }, 1, 1, "0.2", "token 5 of 7" },
    { { "a", "b c", "d" }, { "a b" }, 1, 1, "0.2", "'b c', is not one token" },
    { { "a", "b", "c" },
      { "a b", "ab" },
      2,
      2,
      "0.2",
      "v_tokenizer_codes: code 1 of 2, 'ab', is not two symbols" },
    { { "a", "b", "c" }, { "a  b" }, 1, 1, "0.2", "code 0 of 1, 'a  b'" },
    { { "a", "b", "c" }, { "a \xFF" }, 1, 1, "0.2", "code 0 of 1, 'a ?'" },
    { { "a", "b", "c" }, { "a b" }, 2, 1, "0.2", "merges is 2, but there are 1 codes" },
    { { "a", "b", "c" }, { "a b" }, -1, 1, "0.2", "v_tokenizer_merges is -1" },
    { { "a", "b", "c" }, { "a b" }, 1, 1, "0.3", "v_tokenizer_format is '0.3'" },
};

START_TEST(stored_codes_are_checked)
{
    tg_context *cx = tg_context_new(NULL);
    for (size_t i = 0; i < sizeof stored / sizeof *stored; i++) {
        const char *const list[] = { SPECIAL, stored[i].text[0], stored[i].text[1], stored[i].text[2] };
        tg_vocabulary *v = NULL;
        tg_archive *a = tg_archive_new(cx);
        tg_archive_put_texts(a, "v", 7, list);
        tg_archive_put_text(a, "v_tokenizer", "bpe");
        tg_archive_put_integer(a, "v_tokenizer_version", 1);
        tg_archive_put_integer(a, "v_tokenizer_lowercase", 0);
        tg_archive_put_integer(a, "v_tokenizer_merges", stored[i].merges);
        tg_archive_put_text(a, "v_tokenizer_format", stored[i].format);
        if (stored[i].n) tg_archive_put_texts(a, "v_tokenizer_codes", stored[i].n, stored[i].codes);
        const tg_status s = tg_vocabulary_get(cx, a, "v", &v);
        const char *message = tg_context_message(cx);
        ck_assert_msg(s == (stored[i].part ? TG_ERR_FORMAT : TG_OK), "case %zu: %d: %s", i, s, message);
        ck_assert_msg(!s || strstr(message, stored[i].part), "case %zu: %s", i, message);
        ck_assert(tg_context_ok(cx) && !v == !!s);
        tg_archive_free(a);
    }
    tg_context_free(cx);
}
END_TEST

TG_TEST_MAIN("data/codes", codes_files_are_read_or_refused_with_the_line, version_is_read_as_by_subword_nmt,
             first_of_equal_pairs_counts, codes_are_given_once_and_before_use, out_of_memory_loses_no_words,
             codes_are_stored_with_the_vocabulary, stored_codes_are_checked)
