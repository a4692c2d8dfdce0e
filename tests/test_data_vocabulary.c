/* Vocabularies: counted, frozen, asked, stored. */
#include "check_main.h"

#include <stdio.h>
#include <string.h>

#include <tidegate/tidegate.h>

static const tg_tokenizer *tokenizer_of(tg_context *cx, tg_tokenizer_kind kind)
{
    return tg_tokenizer_new(cx, &(tg_tokenizer_config){ .kind = kind });
}

static tg_vocabulary *vocabulary_of(tg_context *cx, tg_tokenizer_kind kind, int min_frequency,
                                    const char *text)
{
    tg_vocabulary *v = tg_vocabulary_new(cx, tokenizer_of(cx, kind));
    tg_vocabulary_add(v, text);
    tg_vocabulary_freeze(v, min_frequency);
    ck_assert_msg(tg_context_ok(cx), "%s", tg_context_message(cx));
    return v;
}

static int id_of(const tg_vocabulary *v, const char *token)
{
    return tg_vocabulary_id(v, token, strlen(token));
}

/* ---- ids ---- */

START_TEST(ids_follow_by_falling_frequency_then_bytes)
{
    tg_context *cx = tg_context_new(NULL);
    const tg_vocabulary *v = vocabulary_of(cx, TG_WORDS, 0, "b a c c \xC3\xA9 ab B a c");
    const char *const order[] = { "<pad>", "<unk>", "<s>", "</s>", "c", "a", "B", "ab", "b", "\xC3\xA9" };
    const int n = sizeof order / sizeof *order;
    ck_assert_int_eq(tg_vocabulary_size(v), n);
    for (int i = 0; i < n; i++) ck_assert_str_eq(tg_vocabulary_token(v, i), order[i]);
    for (int i = TG_SPECIAL_TOKENS; i < n; i++) ck_assert_int_eq(id_of(v, order[i]), i);
    ck_assert_str_eq(tg_vocabulary_token(v, -1), "<unk>");
    ck_assert_str_eq(tg_vocabulary_token(v, n), "<unk>");
    ck_assert_int_eq(id_of(v, "nowhere"), TG_UNKNOWN);
    ck_assert_int_eq(tg_vocabulary_id(v, "abc", 2), id_of(v, "ab"));
    ck_assert_int_eq(tg_vocabulary_id(v, "", 0), TG_UNKNOWN);
    tg_context_free(cx);
}
END_TEST

START_TEST(order_of_texts_does_not_matter)
{
    tg_context *cx = tg_context_new(NULL);
    tg_vocabulary *v[2] = { tg_vocabulary_new(cx, NULL), tg_vocabulary_new(cx, NULL) };
    char text[32];
    for (int k = 0; k < 5000; k++)
        for (int side = 0; side < 2; side++) {
            const int i = side ? 4999 - k : k;
            snprintf(text, sizeof text, "w%d x%d w%d", i % 1700, i % 3, i % 11);
            tg_vocabulary_add(v[side], text);
        }
    for (int side = 0; side < 2; side++) tg_vocabulary_freeze(v[side], 2);
    ck_assert_int_eq(tg_vocabulary_size(v[0]), TG_SPECIAL_TOKENS + 1700 + 3);
    ck_assert_int_eq(tg_vocabulary_size(v[1]), TG_SPECIAL_TOKENS + 1700 + 3);
    for (int id = 0; id < tg_vocabulary_size(v[0]); id++) {
        ck_assert_str_eq(tg_vocabulary_token(v[0], id), tg_vocabulary_token(v[1], id));
        if (id >= TG_SPECIAL_TOKENS) ck_assert_int_eq(id_of(v[0], tg_vocabulary_token(v[0], id)), id);
    }
    tg_context_free(cx);
}
END_TEST

START_TEST(rare_tokens_become_unknown)
{
    tg_context *cx = tg_context_new(NULL);
    const tg_vocabulary *v = vocabulary_of(cx, TG_WORDS, 2, "a b a c c a");
    ck_assert_int_eq(tg_vocabulary_size(v), TG_SPECIAL_TOKENS + 2);
    ck_assert_int_eq(id_of(v, "a"), 4);
    ck_assert_int_eq(id_of(v, "c"), 5);
    ck_assert_int_eq(id_of(v, "b"), TG_UNKNOWN);
    const tg_vocabulary *none = vocabulary_of(cx, TG_WORDS, 9, "a b");
    ck_assert_int_eq(tg_vocabulary_size(none), TG_SPECIAL_TOKENS);
    ck_assert_int_eq(id_of(none, "a"), TG_UNKNOWN);
    const tg_vocabulary *one = vocabulary_of(cx, TG_WORDS, 0, "one");
    ck_assert_int_eq(id_of(one, "one"), TG_SPECIAL_TOKENS);
    tg_context_free(cx);
}
END_TEST

START_TEST(text_that_spells_a_special_token_is_unknown)
{
    tg_context *cx = tg_context_new(NULL);
    const tg_vocabulary *v = vocabulary_of(cx, TG_SPACES, 0, "<s> </s> <pad> <unk> <S> <s <s>");
    int ids[8];
    ck_assert_int_eq(tg_vocabulary_size(v), TG_SPECIAL_TOKENS + 2); /* "<S>" and "<s" are words */
    ck_assert_int_eq(tg_vocabulary_encode(v, "<s> </s> <pad> <unk> <S>", ids, 8), 5);
    for (int i = 0; i < 4; i++) ck_assert_int_eq(ids[i], TG_UNKNOWN);
    ck_assert_int_ge(ids[4], TG_SPECIAL_TOKENS);
    for (int id = 0; id < TG_SPECIAL_TOKENS; id++)
        ck_assert_int_eq(id_of(v, tg_vocabulary_token(v, id)), TG_UNKNOWN);
    tg_context_free(cx);
}
END_TEST

/* ---- text to ids and back ---- */

START_TEST(encode_stores_at_most_capacity_and_counts_all)
{
    tg_context *cx = tg_context_new(NULL);
    const tg_vocabulary *v = vocabulary_of(cx, TG_WORDS, 0, "a a b");
    int ids[4] = { -7, -7, -7, -7 };
    ck_assert_int_eq(tg_vocabulary_encode(v, " b x a\tb ", ids, 3), 4);
    ck_assert_int_eq(ids[0], 5);
    ck_assert_int_eq(ids[1], TG_UNKNOWN);
    ck_assert_int_eq(ids[2], 4);
    ck_assert_int_eq(ids[3], -7);
    ck_assert_int_eq(tg_vocabulary_encode(v, "a b", NULL, 0), 2);
    ck_assert_int_eq(tg_vocabulary_encode(v, "", ids, 4), 0);
    tg_context_free(cx);
}
END_TEST

START_TEST(decode_ends_at_end_and_leaves_out_special_tokens)
{
    tg_context *cx = tg_context_new(NULL);
    const tg_vocabulary *words = vocabulary_of(cx, TG_WORDS, 0, "a a b"),
                        *chars = vocabulary_of(cx, TG_CHARACTERS, 0, "a a");
    const int ids[] = { TG_BEGIN, 4, TG_PAD, TG_UNKNOWN, 5, 99, TG_END, 4 };
    char text[64];
    ck_assert_uint_eq(tg_vocabulary_decode(words, ids, 8, text, sizeof text), 15);
    ck_assert_str_eq(text, "a <unk> b <unk>");
    ck_assert_uint_eq(tg_vocabulary_decode(chars, ids, 8, text, sizeof text), 12);
    ck_assert_str_eq(text, "a<unk> <unk>");
    ck_assert_uint_eq(tg_vocabulary_decode(words, ids, 2, text, sizeof text), 1);
    ck_assert_str_eq(text, "a");
    ck_assert_uint_eq(tg_vocabulary_decode(words, ids, 0, text, sizeof text), 0);
    ck_assert_str_eq(text, "");
    tg_context_free(cx);
}
END_TEST

START_TEST(decode_is_like_snprintf_and_cuts_no_character)
{
    tg_context *cx = tg_context_new(NULL);
    const tg_vocabulary *v = vocabulary_of(cx, TG_CHARACTERS, 0, "\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80");
    const char *whole = "\xE2\x82\xAC\xC3\xA9\xF0\x9F\x98\x80z";
    int ids[8];
    const int n = tg_vocabulary_encode(v, "\xE2\x82\xAC\xC3\xA9\xF0\x9F\x98\x80", ids, 8);
    const size_t stored[] = { 0, 0, 0, 0, 3, 3, 5, 5, 5, 5, 9, 9 }; /* with so many bytes of room */
    ck_assert_uint_eq(tg_vocabulary_decode(v, ids, n, NULL, 0), 9);
    for (size_t room = 1; room < sizeof stored / sizeof *stored; room++) {
        char text[16];
        memset(text, 'z', sizeof text);
        ck_assert_uint_eq(tg_vocabulary_decode(v, ids, n, text, room), 9);
        ck_assert_uint_eq(strlen(text), stored[room]);
        ck_assert(!strncmp(text, whole, stored[room]));
        ck_assert_int_eq(text[room], 'z');
    }
    tg_context_free(cx);
}
END_TEST

START_TEST(text_comes_back_from_its_ids)
{
    tg_context *cx = tg_context_new(NULL);
    const char *text = "le chat \xC3\xA9tait l\xC3\xA0 .";
    const tg_tokenizer_kind kinds[] = { TG_WORDS, TG_CHARACTERS, TG_SPACES };
    for (int i = 0; i < 3; i++) {
        const tg_vocabulary *v = vocabulary_of(cx, kinds[i], 0, text);
        int ids[64];
        char back[64];
        const int n = tg_vocabulary_encode(v, text, ids, 64);
        ck_assert_uint_eq(tg_vocabulary_decode(v, ids, n, back, sizeof back), strlen(text));
        ck_assert_str_eq(back, text);
        ck_assert_int_eq((int)tg_tokenizer_settings(tg_vocabulary_tokenizer(v)).kind, (int)kinds[i]);
    }
    tg_context_free(cx);
}
END_TEST

/* ---- misuse ---- */

static void expect_failure(tg_context *cx, tg_status status, const char *part)
{
    ck_assert_int_eq(tg_context_status(cx), status);
    ck_assert_msg(strstr(tg_context_message(cx), part), "'%s' lacks '%s'", tg_context_message(cx), part);
    tg_context_clear(cx);
}

START_TEST(unfrozen_vocabulary_answers_nothing)
{
    tg_context *cx = tg_context_new(NULL);
    tg_vocabulary *v = tg_vocabulary_new(cx, NULL);
    int ids[4];
    char text[4] = "zzz";
    tg_vocabulary_add(v, "a b");
    ck_assert_int_eq(tg_vocabulary_size(v), 0);
    expect_failure(cx, TG_ERR_STATE, "tg_vocabulary_size: the vocabulary is not frozen");
    ck_assert_int_eq(tg_vocabulary_encode(v, "a b", ids, 4), 0);
    expect_failure(cx, TG_ERR_STATE, "tg_vocabulary_encode");
    ck_assert_int_eq(id_of(v, "a"), TG_UNKNOWN);
    expect_failure(cx, TG_ERR_STATE, "tg_vocabulary_id");
    ck_assert_str_eq(tg_vocabulary_token(v, 4), "<unk>");
    expect_failure(cx, TG_ERR_STATE, "tg_vocabulary_token");
    ck_assert_uint_eq(tg_vocabulary_decode(v, (int[]){ 4 }, 1, text, sizeof text), 0);
    ck_assert_str_eq(text, "");
    expect_failure(cx, TG_ERR_STATE, "tg_vocabulary_decode");
    tg_vocabulary_freeze(v, 0); /* and nothing was lost */
    ck_assert_int_eq(tg_vocabulary_size(v), TG_SPECIAL_TOKENS + 2);
    tg_context_free(cx);
}
END_TEST

START_TEST(frozen_vocabulary_takes_nothing)
{
    tg_context *cx = tg_context_new(NULL);
    tg_vocabulary *v = vocabulary_of(cx, TG_WORDS, 0, "a b");
    tg_vocabulary_add(v, "c");
    expect_failure(cx, TG_ERR_STATE, "frozen, with 6 tokens");
    tg_vocabulary_freeze(v, 0);
    expect_failure(cx, TG_ERR_STATE, "frozen already");
    ck_assert_int_eq(tg_vocabulary_size(v), TG_SPECIAL_TOKENS + 2);
    ck_assert_int_eq(id_of(v, "c"), TG_UNKNOWN);
    tg_context_free(cx);
}
END_TEST

START_TEST(bad_arguments_fail_with_their_numbers)
{
    tg_context *cx = tg_context_new(NULL);
    tg_tokenizer *k = tg_tokenizer_new(cx, &(tg_tokenizer_config){ .kind = (tg_tokenizer_kind)5 });
    tg_vocabulary *v = tg_vocabulary_new(cx, k);
    expect_failure(cx, TG_ERR_ARGUMENT, "no kind 5");
    tg_vocabulary_add(v, "a"); /* harmless */
    tg_vocabulary_freeze(v, 0);
    ck_assert_int_eq(tg_vocabulary_size(v), 0);

    v = tg_vocabulary_new(cx, NULL);
    tg_vocabulary_add(v, "caf\xE9 noir");
    expect_failure(cx, TG_ERR_DATA, "byte 4 of the text: not valid UTF-8 (byte 0xE9)");
    tg_vocabulary_freeze(v, -1);
    expect_failure(cx, TG_ERR_ARGUMENT, "min_frequency is -1");
    tg_vocabulary_freeze(v, 0);
    ck_assert_int_eq(tg_vocabulary_size(v), TG_SPECIAL_TOKENS);
    tg_context_free(cx);
}
END_TEST

/* ---- out of memory ---- */

typedef struct budget {
    int left;
} budget;

static void *spend(void *user, size_t bytes)
{
    budget *b = user;
    return b->left-- > 0 ? malloc(bytes) : NULL;
}
static void give_back(void *user, void *block) { (void)user, free(block); }

START_TEST(out_of_memory_loses_no_counts)
{
    budget b = { 1 << 20 };
    tg_context *cx =
        tg_context_new(&(tg_context_config){ .allocate = spend, .release = give_back, .allocator_user = &b });
    tg_vocabulary *v = tg_vocabulary_new(cx, NULL);
    char text[32];
    for (int i = 0; i < 4000; i++) {
        snprintf(text, sizeof text, "w%d w%d", i, i % 10);
        tg_vocabulary_add(v, text);
    }
    for (int tries = 0; b.left = tries, tg_vocabulary_freeze(v, 0), !tg_context_ok(cx); tries++) {
        ck_assert_int_lt(tries, 50);
        expect_failure(cx, TG_ERR_MEMORY, "out of memory");
    }
    ck_assert_int_eq(tg_vocabulary_size(v), TG_SPECIAL_TOKENS + 4000);
    ck_assert_str_eq(tg_vocabulary_token(v, 4), "w0");
    tg_context_free(cx);
}
END_TEST

/* ---- in an archive ---- */

START_TEST(put_and_get_give_the_same_vocabulary)
{
    tg_context *cx = tg_context_new(NULL);
    const tg_tokenizer_kind kinds[] = { TG_WORDS, TG_CHARACTERS, TG_SPACES };
    for (int i = 0; i < 3; i++) {
        const tg_vocabulary *v = vocabulary_of(cx, kinds[i], 0, "the cat the \xC3\xA9t\xC3\xA9 <s>");
        tg_vocabulary *back = NULL;
        tg_archive *a = tg_archive_new(cx);
        ck_assert_int_eq(tg_vocabulary_put(v, a, "vocabulary/source"), TG_OK);
        ck_assert(tg_archive_has(a, "vocabulary/source") && tg_archive_has(a, "vocabulary/source_tokenizer"));
        ck_assert_msg(tg_vocabulary_get(cx, a, "vocabulary/source", &back) == TG_OK, "%s",
                      tg_context_message(cx));
        tg_archive_free(a); /* the vocabulary has its own copy */
        ck_assert_int_eq((int)tg_tokenizer_settings(tg_vocabulary_tokenizer(back)).kind, (int)kinds[i]);
        ck_assert_int_eq(tg_vocabulary_size(back), tg_vocabulary_size(v));
        for (int id = 0; id < tg_vocabulary_size(v); id++) {
            ck_assert_str_eq(tg_vocabulary_token(back, id), tg_vocabulary_token(v, id));
            ck_assert_int_eq(id_of(back, tg_vocabulary_token(v, id)), id_of(v, tg_vocabulary_token(v, id)));
        }
        tg_vocabulary_add(back, "more");
        expect_failure(cx, TG_ERR_STATE, "frozen");
    }
    tg_context_free(cx);
}
END_TEST

#define JOINER  "\xEF\xBF\xAD"
#define SPECIAL "<pad>", "<unk>", "<s>", "</s>"
static const struct {
    const char *tokenizer, *text[6];
    int n;
    const char *part;       /* of the message; NULL: a vocabulary */
    int version, lowercase; /* 0, and -1: it is not there */
} stored_cases[] = {
    { "words", { SPECIAL, "a", "b" }, 6, NULL },
    { "words", { SPECIAL }, 4, NULL },
    { "chars", { SPECIAL, " ", "\xC3\xA9" }, 6, NULL },
    { "words", { "<pad>", "<unk>", "<s>" }, 3, "3 tokens, fewer than the 4 special ones" },
    { "words",
      { "<pad>", "<s>", "<unk>", "</s>", "a" },
      5,
      "token 1 of 5, '<s>', is not this special token" },
    { "words", { SPECIAL, "a", "a" }, 6, "token 5 of 6, 'a', was there before" },
    { "words", { SPECIAL, "a", "</s>" }, 6, "token 5 of 6, '</s>', is a special token out of its place" },
    { "words", { SPECIAL, "", "a" }, 6, "token 4 of 6, '', is not one token" },
    { "words", { SPECIAL, "a b" }, 5, "token 4 of 5, 'a b', is not one token" },
    { "words", { SPECIAL, " a" }, 5, "is not one token" },
    { "words", { SPECIAL, "a " }, 5, "is not one token" },
    { "chars", { SPECIAL, "ab" }, 5, "token 4 of 5, 'ab', is not one token" },
    { "bytes", { SPECIAL, "a" }, 5, "no tokenizer 'bytes'" },
    { "spaces", { SPECIAL, "a" }, 5, "no tokenizer 'spaces'" }, /* version 0.1.0 knew two */
    { "words", { SPECIAL, "a,", JOINER }, 6, NULL },
    { "words", { SPECIAL, "a", JOINER "," }, 6, NULL, 1 },
    { "words", { SPECIAL, "(" JOINER, JOINER "-" JOINER }, 6, NULL, 1, 1 },
    { "spaces", { SPECIAL, "a,", JOINER }, 6, NULL, 1, 1 },
    { "chars", { SPECIAL, "a", JOINER }, 6, NULL, 1 },
    { "words", { SPECIAL, JOINER JOINER }, 5, "is not one token", 1 },
    { "words", { SPECIAL, "a" JOINER "b" }, 5, "is not one token", 1 },
    { "words",
      { SPECIAL, "a\xC2\xA0"
                 "b" },
      5,
      "is not one token",
      1 },
    { "words", { SPECIAL, "" }, 5, "is not one token", 1 },
    { "words", { SPECIAL, "a\xFF" }, 5, "is not valid UTF-8", 1 },
    { "syllables", { SPECIAL, "a" }, 5, "v_tokenizer: there is no tokenizer 'syllables'", 1 },
    { "words", { SPECIAL, "a" }, 5, "v_tokenizer_version is 3: known is 1 to 2", 3 },
    { "words", { SPECIAL, "a" }, 5, "v_tokenizer_version is -1", -1 },
    { "words", { SPECIAL, "a" }, 5, "v_tokenizer_lowercase is 2", 1, 2 },
    { "words", { SPECIAL, "a" }, 5, "v_tokenizer_lowercase", 1, -1 },
};

START_TEST(stored_vocabulary_is_checked)
{
    tg_context *cx = tg_context_new(NULL);
    for (size_t i = 0; i < sizeof stored_cases / sizeof *stored_cases; i++) {
        tg_vocabulary *const before = (tg_vocabulary *)(void *)cx;
        tg_vocabulary *v = before;
        tg_archive *a = tg_archive_new(cx);
        tg_archive_put_texts(a, "v", stored_cases[i].n, stored_cases[i].text);
        tg_archive_put_text(a, "v_tokenizer", stored_cases[i].tokenizer);
        if (stored_cases[i].version) {
            tg_archive_put_integer(a, "v_tokenizer_version", stored_cases[i].version);
            if (stored_cases[i].lowercase >= 0)
                tg_archive_put_integer(a, "v_tokenizer_lowercase", stored_cases[i].lowercase);
        }
        ck_assert_int_eq(tg_archive_status(a), TG_OK);
        const tg_status s = tg_vocabulary_get(cx, a, "v", &v);
        const char *part = stored_cases[i].part ? stored_cases[i].part : "";
        ck_assert_msg(s == (!*part                          ? TG_OK
                            : stored_cases[i].lowercase < 0 ? TG_ERR_ABSENT
                                                            : TG_ERR_FORMAT),
                      "case %zu: %d: %s", i, s, tg_context_message(cx));
        ck_assert_msg(!s || strstr(tg_context_message(cx), part), "case %zu: %s", i, tg_context_message(cx));
        ck_assert((v == before) == (s != TG_OK));
        ck_assert(tg_context_ok(cx)); /* a status poisons nothing */
        tg_archive_free(a);
    }
    tg_context_free(cx);
}
END_TEST

/* As tidegate 0.1.0 stored it: words are what white space separates, and no text was in normal form. */
START_TEST(vocabulary_of_an_older_version_behaves_and_is_stored_as_before)
{
    const char *const kinds[] = { "words", "chars" };
    tg_context *cx = tg_context_new(NULL);
    for (int i = 0; i < 2; i++) {
        tg_archive *a = tg_archive_new(cx), *again = tg_archive_new(cx);
        const char *const words[] = { SPECIAL, "yes,", "e\xCC\x81", "\xC3\xA9" }, *name;
        const char *const chars[] = { SPECIAL, "e", "\xCC\x81", "\xC3\xA9" };
        tg_vocabulary *v = NULL;
        int ids[8];
        char text[32];
        tg_archive_put_texts(a, "v", 7, i ? chars : words);
        tg_archive_put_text(a, "v_tokenizer", kinds[i]);
        ck_assert_int_eq(tg_vocabulary_get(cx, a, "v", &v), TG_OK);
        const int n = tg_vocabulary_encode(v, i ? "e\xCC\x81\xC3\xA9" : "yes, e\xCC\x81 \xC3\xA9", ids, 8);
        ck_assert_int_eq(n, 3);
        for (int k = 0; k < 3; k++) ck_assert_int_eq(ids[k], TG_SPECIAL_TOKENS + k);
        tg_vocabulary_decode(v, ids, n, text, sizeof text);
        ck_assert_str_eq(text, i ? "e\xCC\x81\xC3\xA9" : "yes, e\xCC\x81 \xC3\xA9");
        ck_assert_int_eq(tg_vocabulary_put(v, again, "v"), TG_OK);
        ck_assert_int_eq(tg_archive_count(again), 2);
        ck_assert(!tg_archive_get_text(again, "v_tokenizer", &name) && !strcmp(name, kinds[i]));
        tg_archive_free(a);
        tg_archive_free(again);
    }
    tg_context_free(cx);
}
END_TEST

static char told[400];
static void hear(void *user, tg_log_level level, const char *message)
{
    (void)user;
    ck_assert_int_eq(level, TG_LOG_WARNING);
    snprintf(told, sizeof told, "%s", message);
}

START_TEST(vocabulary_made_by_earlier_rules_says_so_and_stays_one)
{
    static const struct {
        const char *kind;
        int version, lowercase;
        const char *says; /* NULL: nothing */
    } cases[] = {
        { "words", 1, 0, "words like y'all" },
        { "words", 1, 1, "and a capital sigma" },
        { "chars", 1, 1, ": a capital sigma" },
        { "chars", 1, 0, NULL },
        { "spaces", 1, 0, NULL },
        { "words", 2, 1, NULL },
    };
    static const char *const tokens[] = { SPECIAL, "a" };
    tg_context *cx = tg_context_new(&(tg_context_config){ .log = hear });
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tg_archive *a = tg_archive_new(cx), *again = tg_archive_new(cx);
        tg_vocabulary *v;
        int64_t version = 0;
        tg_archive_put_texts(a, "v", 5, tokens);
        tg_archive_put_text(a, "v_tokenizer", cases[i].kind);
        tg_archive_put_integer(a, "v_tokenizer_version", cases[i].version);
        tg_archive_put_integer(a, "v_tokenizer_lowercase", cases[i].lowercase);
        told[0] = 0;
        ck_assert_int_eq(tg_vocabulary_get(cx, a, "v", &v), TG_OK);
        ck_assert_msg(cases[i].says ? strstr(told, cases[i].says) != NULL : !told[0], "case %zu: '%s'", i,
                      told);
        ck_assert_int_eq(tg_vocabulary_put(v, again, "v"), TG_OK);
        ck_assert(!tg_archive_get_integer(again, "v_tokenizer_version", &version) &&
                  version == cases[i].version);
        tg_archive_free(a);
        tg_archive_free(again);
    }
    tg_context_free(cx);
}
END_TEST

START_TEST(settings_of_a_tokenizer_are_stored_with_the_vocabulary)
{
    tg_context *cx = tg_context_new(NULL);
    for (int lowercase = 0; lowercase < 2; lowercase++) {
        tg_vocabulary *back = NULL,
                      *v = tg_vocabulary_new(
                          cx,
                          tg_tokenizer_new(cx, &(tg_tokenizer_config){ TG_WORDS, .lowercase = lowercase }));
        tg_archive *a = tg_archive_new(cx);
        int ids[8];
        char text[32];
        tg_vocabulary_add(v, "Yes, e\xCC\x81!");
        tg_vocabulary_freeze(v, 0);
        ck_assert_int_eq(tg_vocabulary_put(v, a, "v"), TG_OK);
        ck_assert_int_eq(tg_vocabulary_get(cx, a, "v", &back), TG_OK);
        tg_archive_free(a);
        ck_assert_int_eq(tg_tokenizer_settings(tg_vocabulary_tokenizer(back)).lowercase, lowercase);
        const int n = tg_vocabulary_encode(back, "Yes, \xC3\xA9!", ids, 8);
        ck_assert_int_eq(n, 4);
        tg_vocabulary_decode(back, ids, n, text, sizeof text);
        ck_assert_str_eq(text, lowercase ? "yes, \xC3\xA9!" : "Yes, \xC3\xA9!");
    }
    tg_context_free(cx);
}
END_TEST

START_TEST(absent_or_unfrozen_vocabulary_is_an_error)
{
    tg_context *cx = tg_context_new(NULL);
    tg_archive *a = tg_archive_new(cx);
    tg_vocabulary *v = NULL;
    char path[300];
    memset(path, 'p', sizeof path - 1);
    path[sizeof path - 1] = 0;
    ck_assert_int_eq(tg_vocabulary_get(cx, a, "v", &v), TG_ERR_ABSENT);
    ck_assert_int_eq(tg_vocabulary_get(cx, a, path, &v), TG_ERR_ARGUMENT);
    tg_archive_put_integer(a, "n", 1);
    tg_archive_put_text(a, "n_tokenizer", "words");
    ck_assert_int_eq(tg_vocabulary_get(cx, a, "n", &v), TG_ERR_FORMAT);
    ck_assert_ptr_null(v);

    v = tg_vocabulary_new(cx, NULL);
    ck_assert_int_eq(tg_vocabulary_put(v, a, "u"), TG_ERR_STATE);
    ck_assert(strstr(tg_context_message(cx), "u: the vocabulary is not frozen"));
    ck_assert(!tg_archive_has(a, "u") && !tg_archive_has(a, "u_tokenizer") && tg_context_ok(cx));
    tg_archive_free(a);
    tg_context_free(cx);
}
END_TEST

START_TEST(get_without_memory_poisons_nothing)
{
    budget b = { 1 << 20 };
    tg_context *cx =
        tg_context_new(&(tg_context_config){ .allocate = spend, .release = give_back, .allocator_user = &b });
    tg_archive *a = tg_archive_new(cx);
    tg_vocabulary *v = NULL;
    char text[3000][16];
    const char *list[3000] = { SPECIAL };
    for (int i = 4; i < 3000; i++) snprintf(text[i], sizeof text[i], "w%d", i), list[i] = text[i];
    tg_archive_put_texts(a, "v", 3000, list);
    tg_archive_put_text(a, "v_tokenizer", "words");
    for (int tries = 0; b.left = tries, tg_vocabulary_get(cx, a, "v", &v); tries++) {
        ck_assert_int_lt(tries, 50);
        ck_assert(tg_context_ok(cx) && !v);
        ck_assert(strstr(tg_context_message(cx), "out of memory"));
    }
    ck_assert_int_eq(tg_vocabulary_size(v), 3000);
    ck_assert_int_eq(id_of(v, "w2999"), 2999);
    tg_archive_free(a);
    tg_context_free(cx);
}
END_TEST

TG_TEST_MAIN("data/vocabulary", ids_follow_by_falling_frequency_then_bytes, order_of_texts_does_not_matter,
             rare_tokens_become_unknown, text_that_spells_a_special_token_is_unknown,
             encode_stores_at_most_capacity_and_counts_all, decode_ends_at_end_and_leaves_out_special_tokens,
             decode_is_like_snprintf_and_cuts_no_character, text_comes_back_from_its_ids,
             unfrozen_vocabulary_answers_nothing, frozen_vocabulary_takes_nothing,
             bad_arguments_fail_with_their_numbers, out_of_memory_loses_no_counts,
             put_and_get_give_the_same_vocabulary, stored_vocabulary_is_checked,
             vocabulary_of_an_older_version_behaves_and_is_stored_as_before,
             vocabulary_made_by_earlier_rules_says_so_and_stays_one,
             settings_of_a_tokenizer_are_stored_with_the_vocabulary,
             absent_or_unfrozen_vocabulary_is_an_error, get_without_memory_poisons_nothing)
