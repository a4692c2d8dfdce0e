/* UTF-8 and the tokenizers. */
#include "check_main.h"

#include <string.h>

#include <tidegate/tidegate.h>

/* ---- UTF-8 ---- */

static const struct {
    const char *text;
    int at; /* of the first bad character; -1: valid */
} utf8_cases[] = {
    { "", -1 },
    { "plain \x01 \x7F text", -1 },
    { "\xC2\x80 \xDF\xBF", -1 },                 /* U+0080, U+07FF */
    { "\xE0\xA0\x80 \xEF\xBF\xBF", -1 },         /* U+0800, U+FFFF */
    { "\xED\x9F\xBF \xEE\x80\x80", -1 },         /* around the surrogates */
    { "\xF0\x90\x80\x80 \xF4\x8F\xBF\xBF", -1 }, /* U+10000, U+10FFFF */
    { "ab\x80", 2 },                             /* a byte that begins nothing */
    { "\xBF", 0 },
    { "\xC0\x80", 0 }, /* overlong forms */
    { "\xC1\xBF", 0 },
    { "a\xE0\x9F\xBF", 1 },
    { "a\xF0\x8F\xBF\xBF", 1 },
    { "\xED\xA0\x80", 0 }, /* surrogates */
    { "\xED\xBF\xBF", 0 },
    { "\xF4\x90\x80\x80", 0 }, /* above U+10FFFF */
    { "\xF5\x80\x80\x80", 0 },
    { "\xFE", 0 },
    { "\xFF", 0 },
    { "x\xC3", 1 }, /* cut short, by the end or by something else */
    { "x\xE2\x82", 1 },
    { "x\xF0\x9F\x98", 1 },
    { "\xC3(", 0 },
    { "\xE2\x82(", 0 },
    { "\xE2(\xAC", 0 },
    { "\xF0\x9F\x98(", 0 },
    { "\xC3\xA9\xC3\xC3", 2 },
};

START_TEST(utf8_is_checked_strictly)
{
    for (size_t i = 0; i < sizeof utf8_cases / sizeof *utf8_cases; i++) {
        size_t at = 99;
        const bool valid = tg_utf8_valid(utf8_cases[i].text, &at);
        ck_assert_msg(valid == (utf8_cases[i].at < 0), "case %zu: valid is %d", i, valid);
        if (!valid) ck_assert_msg((int)at == utf8_cases[i].at, "case %zu: at %zu", i, at);
    }
    ck_assert(!tg_utf8_valid("\xFF", NULL));
}
END_TEST

/* Every code point, encoded by the definition, is valid but for the surrogates; no other bytes are. */
START_TEST(utf8_has_exactly_the_unicode_code_points)
{
    int valid = 0;
    for (unsigned b0 = 1; b0 < 256; b0++)
        for (unsigned b1 = 0; b1 < 256; b1++) {
            const char two[] = { (char)b0, (char)b1, 0 };
            const char three[] = { (char)b0, (char)b1, (char)0x80, 0 };
            const char four[] = { (char)b0, (char)b1, (char)0x80, (char)0xBF, 0 };
            if (b0 < 0x80) continue;
            if (tg_utf8_valid(two, NULL)) valid += b1 != 0;
            if (b1 >= 0x80 && tg_utf8_valid(three, NULL)) valid += 64; /* for each last byte */
            if (b1 >= 0x80 && tg_utf8_valid(four, NULL)) valid += 64 * 64;
        }
    ck_assert_int_eq(valid, 0x110000 - 0x80 - 0x800);
}
END_TEST

/* ---- tokens ---- */

typedef struct tokens {
    char text[400]; /* each followed by a bar */
} tokens;

static void collect(void *user, const char *token, size_t bytes)
{
    tokens *t = user;
    strncat(t->text, token, bytes);
    strcat(t->text, "|");
}

static const struct {
    tg_tokenizer_kind kind;
    const char *text, *tokens;
    int n;
} token_cases[] = {
    { TG_SPACES, "", "", 0 },
    { TG_SPACES, " \t\n\v\f\r ", "", 0 },
    { TG_SPACES, "one", "one|", 1 },
    { TG_SPACES, "  I  am\there\r\n", "I|am|here|", 3 },
    { TG_SPACES, "l\xC3\xA0-bas\xC2\xA0!", "l\xC3\xA0-bas\xC2\xA0!|",
      1 }, /* U+00A0 is no ASCII white space */
    { TG_SPACES, "\xE3\x80\x80x \x01 y", "\xE3\x80\x80x|\x01|y|", 3 },
    { TG_CHARACTERS, "", "", 0 },
    { TG_CHARACTERS, "a b", "a| |b|", 3 },
    { TG_CHARACTERS, "\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80", "\xC3\xA9|\xE2\x82\xAC|\xF0\x9F\x98\x80|", 3 },
    { TG_CHARACTERS, "e\xCC\x81x\xCC\x81", "\xC3\xA9|x|\xCC\x81|",
      3 }, /* in normal form C; a lone accent is one */
    { TG_CHARACTERS, "a\xC3(\xE2\x82", "a|\xC3|(|\xE2|\x82|", 5 }, /* bad bytes: one each */
};

START_TEST(tokenizers_cut_where_they_say)
{
    tg_context *cx = tg_context_new(NULL);
    for (size_t i = 0; i < sizeof token_cases / sizeof *token_cases; i++) {
        tokens got = { "" };
        const tg_tokenizer *k = tg_tokenizer_new(cx, &(tg_tokenizer_config){ .kind = token_cases[i].kind });
        const int n = tg_tokenize(k, token_cases[i].text, collect, &got);
        ck_assert_str_eq(got.text, token_cases[i].tokens);
        ck_assert_int_eq(n, token_cases[i].n);
        ck_assert_int_eq(tg_tokenize(k, token_cases[i].text, NULL, NULL), n);
    }
    tg_context_free(cx);
}
END_TEST

START_TEST(tokenizers_have_names)
{
    const char *const names[] = { [TG_WORDS] = "words",
                                  [TG_CHARACTERS] = "chars",
                                  [TG_SPACES] = "spaces",
                                  [TG_BPE] = "bpe",
                                  [TG_BPE_SPACES] = "bpe-spaces" };
    tg_tokenizer_kind kind = TG_CHARACTERS;
    for (int i = 0; i < (int)(sizeof names / sizeof *names); i++) {
        ck_assert_str_eq(tg_tokenizer_name((tg_tokenizer_kind)i), names[i]);
        ck_assert(tg_tokenizer_named(names[i], &kind) && (int)kind == i);
    }
    ck_assert(!tg_tokenizer_named("syllables", &kind) && !tg_tokenizer_named("", &kind) &&
              kind == TG_BPE_SPACES);
    ck_assert_str_eq(tg_tokenizer_name((tg_tokenizer_kind)7), "unknown");
}
END_TEST

/* ---- text that is safe to show ---- */

START_TEST(printable_text_escapes_what_acts_or_hides)
{
    static const struct {
        const char *text, *shown;
    } cases[] = {
        { "", "" },
        { "plain text, \\x1b and all", "plain text, \\x1b and all" },
        { "caf\xC3\xA9 e\xCC\x81 \xE6\x97\xA5\xE6\x9C\xAC \xF0\x9F\x98\x80 \xC2\xA0",
          "caf\xC3\xA9 e\xCC\x81 \xE6\x97\xA5\xE6\x9C\xAC \xF0\x9F\x98\x80 \xC2\xA0" },
        { "\x1b[31m\x07\x7f\n\t\r", "\\x1b[31m\\x07\\x7f\\x0a\\x09\\x0d" },
        { "\x9b"
          "31m a\xFF\xC0\xAF\xED\xA0\x80",
          "\\x9b31m a\\xff\\xc0\\xaf\\xed\\xa0\\x80" }, /* raw bytes */
        { "\xC2\x9b\xC2\x85", "\\u009b\\u0085" },       /* C1 */
        { "\xD8\x9C\xE2\x80\x8E\xE2\x80\x8F\xE2\x80\xAE\xE2\x81\xA6", "\\u061c\\u200e\\u200f\\u202e\\u2066" },
        { "\xE2\x80\xA8\xE2\x80\xA9", "\\u2028\\u2029" },
        { "\xF3\xA0\x81\x81\xF3\xA0\x84\x80", "\\U000e0041\\U000e0100" },
        { "\xE2\x80\x8B\xEF\xBB\xBF\xC2\xAD\xE3\x85\xA4\xEF\xBF\xB9", "\\u200b\\ufeff\\u00ad\\u3164\\ufff9" },
        { "a\xE2\x80\x8D", "a\\u200d" }, /* a joiner behind ASCII */
        { "\xE0\xA4\x95\xE2\x80\x8D\xE0\xA4\xB7",
          "\xE0\xA4\x95\xE2\x80\x8D\xE0\xA4\xB7" },                                    /* of Devanagari */
        { "\xE2\x9D\xA4\xEF\xB8\x8F\xEF\xB8\x8F", "\xE2\x9D\xA4\xEF\xB8\x8F\\ufe0f" }, /* one at a time */
        { "\xE2\x82", "\\xe2\\x82" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char to[128];
        const size_t n = strlen(cases[i].shown);
        ck_assert_uint_eq(tg_text_printable(cases[i].text, NULL, 0), n);
        ck_assert_uint_eq(tg_text_printable(cases[i].text, to, sizeof to), n);
        ck_assert_str_eq(to, cases[i].shown);
    }
    ck_assert_uint_eq(tg_text_printable(NULL, NULL, 0), 0);
}
END_TEST

/* Whatever bytes it is made of: what is shown is UTF-8 and has no control character. */
START_TEST(printable_text_is_safe_whatever_it_is_made_of)
{
    for (unsigned two = 1; two < 65536; two++) {
        const char text[] = { (char)(two >> 8 ? two >> 8 : 'x'), (char)(two & 255), 'x', 0 };
        char to[64];
        tg_text_printable(text, to, sizeof to);
        ck_assert_msg(tg_utf8_valid(to, NULL), "%04x: %s", two, to);
        for (const unsigned char *s = (unsigned char *)to; *s; s++)
            ck_assert_msg(*s >= ' ' && *s != 127 && !(s[0] == 0xC2 && s[1] < 0xA0), "%04x: %s", two, to);
    }
}
END_TEST

START_TEST(printable_text_that_does_not_fit_ends_between_characters)
{
    static const char text[] = "a\xC3\xA9\x1b\xE6\x97\xA5z", *const fits[] = {
        "", "a", "a", "a\xC3\xA9", "a\xC3\xA9", "a\xC3\xA9", "a\xC3\xA9", "a\xC3\xA9\\x1b"
    };
    for (size_t bytes = 1; bytes < 9; bytes++) {
        char to[9] = "........";
        ck_assert_uint_eq(tg_text_printable(text, to, bytes), 11);
        ck_assert_str_eq(to, fits[bytes - 1]);
    }
}
END_TEST

TG_TEST_MAIN("data/text", utf8_is_checked_strictly, utf8_has_exactly_the_unicode_code_points,
             printable_text_escapes_what_acts_or_hides, printable_text_is_safe_whatever_it_is_made_of,
             printable_text_that_does_not_fit_ends_between_characters, tokenizers_cut_where_they_say,
             tokenizers_have_names)
