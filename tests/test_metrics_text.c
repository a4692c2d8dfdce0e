/* What BLEU and chrF make of a text before they count: 13a's tokens, lower case; and exact match. */
#include "metrics_fixture.h"

#include "metrics/metrics.h"

/* ---- a reading as UTF-8 ---- */

static size_t put_code_point(char *to, uint32_t c)
{
    static const struct {
        uint32_t below, mark;
    } forms[] = { { 0x80, 0 }, { 0x800, 0xC0 }, { 0x10000, 0xE0 }, { 0x110000, 0xF0 } };
    size_t more = 0;
    while (c >= forms[more].below) more++;
    to[0] = (char)(forms[more].mark | c >> 6 * more);
    for (size_t i = 1; i <= more; i++) to[i] = (char)(0x80 | (c >> 6 * (more - i) & 0x3F));
    return more + 1;
}

static void all_of(const reading *r, char *to)
{
    for (size_t i = 0; i < r->text.n; i++) to += put_code_point(to, r->text.at[i]);
    *to = 0;
}

/* Each word followed by a space. */
static void words_of(const reading *r, char *to)
{
    const uint32_t *end = r->text.at + r->text.n;
    size_t n;
    for (const uint32_t *p = r->text.at; p = tg__next_word(p, end, &n), n; p += n) {
        for (size_t i = 0; i < n; i++) to += put_code_point(to, p[i]);
        *to++ = ' ';
    }
    *to = 0;
}

static tg_context *cx;
static reading r;
static char got[4 * MOST_TEXT];

static void begin(void)
{
    cx = tg_context_new(NULL);
    tg__reading_init(&r, cx);
}

static void end(void)
{
    tg__reading_free(&r);
    tg_context_free(cx);
}

static const char *tokens_13a(const char *text)
{
    ck_assert_int_eq(tg__reading_begin(&r, text, false, "test", 0), TG_OK);
    ck_assert_int_eq(tg__tokenize_13a(&r), TG_OK);
    words_of(&r, got);
    return got;
}

static const char *in_lower_case(const char *text)
{
    ck_assert_int_eq(tg__reading_begin(&r, text, true, "test", 0), TG_OK);
    all_of(&r, got);
    return got;
}

/* ---- tokens ---- */

static const char *const tokens[][2] = {
    { "It costs $3,000.50 today.", "It costs $ 3,000.50 today . " },
    { "e.g. 1990-2000, U.S.A.", "e . g . 1990 - 2000 , U . S . A . " },
    { "self-driving 3-4 cars", "self-driving 3 - 4 cars " },
    { "wait... what?", "wait . . . what ? " },
    { "it's John's", "it's John's " },
    { "a/b_c~d", "a / b _ c ~ d " },
    { "5.", "5 . " },
    { ".5", ". 5 " },
    { "-5 5-", "-5 5 - " },
    { "naïve café—dash", "naïve café—dash " },
    { "…“x”", "…“x” " },
    { "&amp;lt;", "< " },
    { "&lt;a&gt; &quot;b&quot;", "< a > \" b \" " },
    { "<skipped>a<skip<skipped>ped>", "a < skipped > " },
    { "end-\nof\nlines-\n", "endof lines- " },
    { "", "" },
    { " \t\xC2\xA0\xE3\x80\x80\x1C ", "" },
    { "a\xE2\x80\x8B"
      "b c\xE2\x80\x8A"
      "d\xC2\x85"
      "e",
      "a\xE2\x80\x8B"
      "b c d e " }, /* U+200B is not white */
};

START_TEST(tokens_are_those_of_13a)
{
    for (size_t i = 0; i < sizeof tokens / sizeof *tokens; i++)
        ck_assert_str_eq(tokens_13a(tokens[i][0]), tokens[i][1]);
}
END_TEST

/* Unicode's White_Space, and the four separators that Python adds. */
START_TEST(white_space_is_what_python_takes_for_it)
{
    static const uint32_t white[] = { 0x09,   0x0A,   0x0B,   0x0C,   0x0D,   0x1C,   0x1D,   0x1E,
                                      0x1F,   0x20,   0x85,   0xA0,   0x1680, 0x2000, 0x2001, 0x2002,
                                      0x2003, 0x2004, 0x2005, 0x2006, 0x2007, 0x2008, 0x2009, 0x200A,
                                      0x2028, 0x2029, 0x202F, 0x205F, 0x3000 };
    const size_t n = sizeof white / sizeof *white;
    size_t found = 0;
    for (uint32_t c = 0; c < 0x110000; c++)
        if (tg__is_white(c)) ck_assert(found < n && white[found++] == c);
    ck_assert_uint_eq(found, n);
}
END_TEST

/* Each line of one kind is a text, the line after it what `make` makes of it. */
static void compare_with_golden(char kind, const char *(*make)(const char *), int wanted)
{
    static golden_line text, truth;
    FILE *file = golden_open();
    int n = 0;
    while (golden_next(file, &text)) {
        if (text.kind != kind) continue;
        ck_assert(golden_next(file, &truth));
        ck_assert_str_eq(make(text.text), truth.text);
        n++;
    }
    fclose(file);
    ck_assert_int_eq(n, wanted);
}

START_TEST(tokens_are_those_of_the_golden_file) { compare_with_golden('t', tokens_13a, 300); }
END_TEST

/* ---- lower case ---- */

static const char *const lower[][2] = {
    { "", "" },
    { "ABC äÖÜ ß ẞ", "abc äöü ß ß" },
    { "İI", "i̇i" }, /* two code points */
    { "ΣΑΣ ΟΔΟΣ, Σ", "σας οδος, σ" },
    { "ΑΣ'Α ΑΣ' ΑΣ\xC2\xAD", "ασ'α ας' ας\xC2\xAD" }, /* what is within a word does not end it */
    { "ΑΣ1 ΑΣª ªΣ Ⓐ.Σ", "ας1 ασª ªς ⓐ.ς" },
    { "日本 Ⅷ ǅ", "日本 ⅷ ǆ" },
};

START_TEST(lower_case_is_that_of_unicode)
{
    for (size_t i = 0; i < sizeof lower / sizeof *lower; i++)
        ck_assert_str_eq(in_lower_case(lower[i][0]), lower[i][1]);
}
END_TEST

START_TEST(lower_case_is_that_of_the_golden_file) { compare_with_golden('l', in_lower_case, 100); }
END_TEST

/* ---- exact match ---- */

static const struct {
    const char *a, *b;
    bool same;
} matches[] = {
    { "", "", true },
    { "", " \t\r\n\v\f", true },
    { "a b", "  a \t b ", true },
    { "a b", "ab", false },
    { "a b", "a b c", false },
    { "a b", "a", false },
    { "a ", "a", true },
    { "a", "b", false },
    { "a", "A", false },
    { "a\xC2\xA0"
      "b",
      "a b", false }, /* a no-break space is a character like any other */
    { "é", "e\xCC\x81", false },
};

START_TEST(exact_match_is_blind_to_white_space_alone)
{
    for (size_t i = 0; i < sizeof matches / sizeof *matches; i++) {
        ck_assert_msg(tg_exact_match(matches[i].a, matches[i].b) == matches[i].same, "case %zu", i);
        ck_assert_msg(tg_exact_match(matches[i].b, matches[i].a) == matches[i].same, "case %zu turned", i);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("metrics/text");
    TCase *all = tcase_create("all");
    tcase_add_checked_fixture(all, begin, end);
    tcase_add_test(all, tokens_are_those_of_13a);
    tcase_add_test(all, tokens_are_those_of_the_golden_file);
    tcase_add_test(all, white_space_is_what_python_takes_for_it);
    tcase_add_test(all, lower_case_is_that_of_unicode);
    tcase_add_test(all, lower_case_is_that_of_the_golden_file);
    tcase_add_test(all, exact_match_is_blind_to_white_space_alone);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
