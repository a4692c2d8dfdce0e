/* What the program's pictures stand on: characters, numbers, ticks. */
#include "check_main.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "axis.h"
#include "svg.h"
#include "unicode.h"

/* What svg_put() writes. */
#define PUT(...)                                                                                             \
    do {                                                                                                     \
        memset(written, 0, sizeof written);                                                                  \
        FILE *f_ = fmemopen(written, sizeof written, "w");                                                   \
        svg_put(f_, __VA_ARGS__);                                                                            \
        fclose(f_);                                                                                          \
    } while (0)
static char written[512];

static void check_numbers(void)
{
    static const struct {
        double x;
        const char *text;
    } cases[] = {
        { 0, "0" },
        { -0.0, "0" },
        { 1, "1" },
        { -12.5, "-12.5" },
        { 0.004, "0" },
        { 0.006, "0.01" },
        { -0.05, "-0.05" },
        { 3.999, "4" },
        { 1234567.891, "1234567.89" },
        { NAN, "0" },
        { INFINITY, "0" },
        { 1e300, "1000000000" },
        { -1e300, "-1000000000" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        PUT("%g", cases[i].x);
        ck_assert_str_eq(written, cases[i].text);
    }
}

START_TEST(numbers_have_two_decimals_at_most) { check_numbers(); }
END_TEST

/* Needs a locale with a decimal comma; passes idly where there is none. */
START_TEST(numbers_are_the_same_in_every_locale)
{
    static const char *const names[] = { "de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "de_DE", "fr_FR" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (setlocale(LC_ALL, names[i])) {
            char label[AXIS_LABEL];
            check_numbers();
            axis_number(0.125, 3, label);
            ck_assert_str_eq(label, "0.125");
        }
}
END_TEST

#define BAD "\xEF\xBF\xBD"
START_TEST(text_is_escaped)
{
    static const struct {
        const char *text, *escaped;
    } cases[] = {
        { "", "" },
        { "a < b & \"c\" > 'd'", "a &lt; b &amp; &quot;c&quot; &gt; &#39;d&#39;" },
        { "]]>", "]]&gt;" },
        { "\x01\x1b[31m\x7f", BAD BAD "[31m" BAD },
        { "a\tb\nc\r", "a b c " },
        { "\xC2\x85\xC2\xA0", BAD "\xC2\xA0" },  /* U+0085 is a control, U+00A0 is none */
        { "\xEF\xBF\xBE\xEF\xBF\xBF", BAD BAD }, /* U+FFFE, U+FFFF: not of XML */
        { "\xC3\xA9\xE6\x97\xA5\xF0\x9F\x98\x80", "\xC3\xA9\xE6\x97\xA5\xF0\x9F\x98\x80" },
        { "a\xFF\xC0\xAF\xED\xA0\x80", "a" BAD BAD BAD BAD BAD BAD }, /* overlong, surrogate */
        { "\xE2\x82", BAD BAD },                                      /* cut short */
        { "\xF4\x90\x80\x80", BAD BAD BAD BAD },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        PUT("%s", cases[i].text);
        ck_assert_msg(strcmp(written, cases[i].escaped) == 0, "case %zu: %s", i, written);
    }
    PUT("<a b='%g' c='%d'>100 %%</a>", 0.5, -3);
    ck_assert_str_eq(written, "<a b='0.5' c='-3'>100 %</a>");
}
END_TEST

START_TEST(line_has_gaps_and_dots)
{
    static const double y[] = { 1, 2, NAN, 3, INFINITY, NAN, 4, 5 };
    memset(written, 0, sizeof written);
    FILE *f = fmemopen(written, sizeof written, "w");
    svg_line line = svg_line_begin(f, "");
    for (int i = 0; i < 8; i++) svg_line_point(&line, i, y[i]);
    svg_line_end(&line);
    fclose(f);
    ck_assert_ptr_nonnull(strstr(written, "d='M0 1L1 2M3 3h0M6 4L7 5'/>"));
}
END_TEST

START_TEST(columns_are_those_of_a_terminal)
{
    ck_assert_int_eq(unicode_columns(""), 0);
    ck_assert_int_eq(unicode_columns("caf\xC3\xA9"), 4);
    ck_assert_int_eq(unicode_columns("cafe\xCC\x81"), 4);             /* a combining accent */
    ck_assert_int_eq(unicode_columns("\xE6\x97\xA5\xE6\x9C\xAC"), 4); /* two ideographs */
    ck_assert_int_eq(unicode_columns("\xED\x95\x9C\xEF\xBC\xA1"), 4); /* Hangul, full width A */
    ck_assert_int_eq(unicode_columns("\xF0\x9F\x98\x80"), 2);         /* an emoji */
    ck_assert_int_eq(unicode_columns("\xFF\xFE"), 2);
}
END_TEST

START_TEST(elided_text_fits)
{
    static const struct {
        const char *text;
        int columns;
        size_t bytes;
        const char *elided;
    } cases[] = {
        { "", 5, 16, "" },
        { "hello", 5, 16, "hello" },
        { "hello!", 5, 16, "hell\xE2\x80\xA6" },
        { "hello!", 1, 16, "\xE2\x80\xA6" },
        { "hello!", 0, 16, "" },
        { "hello!", 9, 6, "he\xE2\x80\xA6" },
        { "hello!", 9, 7, "hello!" },
        { "hello!", 9, 1, "" },
        { "\xE6\x97\xA5\xE6\x9C\xAC\xE8\xAA\x9E", 5, 16, "\xE6\x97\xA5\xE6\x9C\xAC\xE2\x80\xA6" },
        { "\xE6\x97\xA5\xE6\x9C\xAC\xE8\xAA\x9E", 4, 16, "\xE6\x97\xA5\xE2\x80\xA6" },
        { "e\xCC\x81t\xC3\xA9", 3, 16, "e\xCC\x81t\xC3\xA9" },
        { "a\x1B\xFF", 9, 16, "a\\x1b\\xff" },
        { "a\xE2\x80\xAE", 5, 16, "a\\u2\xE2\x80\xA6" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char to[16];
        memset(to, 'x', sizeof to);
        unicode_elide(cases[i].text, cases[i].columns, to, cases[i].bytes);
        ck_assert_msg(strcmp(to, cases[i].elided) == 0, "case %zu: %s", i, to);
    }
}
END_TEST

/* The labels of all ticks, with a bar after each. */
static const char *ticks_of(axis a)
{
    static char text[512];
    double tick[AXIS_MOST_TICKS];
    char label[AXIS_LABEL];
    text[0] = 0;
    for (int i = 0, n = axis_ticks(&a, tick); i < n; i++) {
        axis_label(&a, tick[i], label);
        strcat(strcat(text, label), "|");
    }
    return text;
}

START_TEST(ticks_are_round)
{
    ck_assert_str_eq(ticks_of(axis_linear(0, 1, 5)), "0|0.2|0.4|0.6|0.8|1.0|");
    ck_assert_str_eq(ticks_of(axis_linear(10, 2628, 5)), "0|1,000|2,000|3,000|");
    ck_assert_str_eq(ticks_of(axis_linear(1.93, 2.31, 4)), "1.9|2.0|2.1|2.2|2.3|2.4|");
    ck_assert_str_eq(ticks_of(axis_linear(-27, 3, 4)), "−30|−20|−10|0|10|");
    ck_assert_str_eq(ticks_of(axis_linear(0, 3e-6, 3)), "0|10⁻⁶|2·10⁻⁶|3·10⁻⁶|");
    ck_assert_str_eq(ticks_of(axis_linear(0, 25e6, 3)), "0|10⁷|2·10⁷|3·10⁷|");
    ck_assert_str_eq(ticks_of(axis_linear(0, 0, 2)), "0|0.5|1.0|");
    ck_assert_str_eq(ticks_of(axis_linear(0.1, 0.1, 3)), "0|0.05|0.10|0.15|");
    ck_assert_str_eq(ticks_of(axis_linear(-2, -2, 2)), "−2|−1|0|");
    ck_assert_str_eq(ticks_of(axis_log(0.03, 5)), "0.02|0.05|0.1|0.2|0.5|1|2|5|");
    ck_assert_str_eq(ticks_of(axis_log(0.001, 900)), "0.001|0.01|0.1|1|10|100|1,000|");
    ck_assert_str_eq(ticks_of(axis_log(1e-12, 1)), "10⁻¹²|10⁻¹⁰|10⁻⁸|10⁻⁶|10⁻⁴|10⁻²|10⁰|");
    ck_assert_str_eq(ticks_of(axis_log(3, 3)), "2|5|");
}
END_TEST

/* Whatever the range: all of it is shown, between 2 and AXIS_MOST_TICKS ticks, all of them within the axis and labelled. */
START_TEST(axis_holds_what_it_is_to_show)
{
    static const double ends[] = { -1e30, -7.3e5, -1, -1e-30,    0,   1e-30, 3.7e-8,
                                   0.1,   0.99,   1,  12345.678, 1e9, 1e30 };
    enum { N = sizeof ends / sizeof *ends };
    for (int i = 0; i < N; i++)
        for (int k = i; k < N; k++)
            for (int ticks = 2; ticks <= 10; ticks += 4)
                for (int log = 0; log <= (ends[i] > 0); log++) {
                    axis a = log ? axis_log(ends[i], ends[k]) : axis_linear(ends[i], ends[k], ticks);
                    double tick[AXIS_MOST_TICKS];
                    char label[AXIS_LABEL];
                    const int n = axis_ticks(&a, tick);
                    a.from = 100, a.to = 0;
                    ck_assert_msg(n >= 2, "%g to %g: %d ticks", ends[i], ends[k], n);
                    for (int t = 0; t < n; t++) {
                        const double at = axis_at(&a, tick[t]);
                        ck_assert(at > -1e-3 && at < 100 + 1e-3 && (t == 0 || tick[t] > tick[t - 1]));
                        axis_label(&a, tick[t], label);
                        ck_assert(strlen(label) > 0);
                    }
                    ck_assert(axis_at(&a, ends[i]) < 100 + 1e-3 && axis_at(&a, ends[k]) > -1e-3);
                }
    axis a = axis_log(1, 100);
    ck_assert(isnan(axis_at(&a, 0)) && isnan(axis_at(&a, -1)) && isnan(axis_at(&a, NAN)));
}
END_TEST

START_TEST(numbers_in_sentences_are_short)
{
    static const struct {
        double x;
        int digits;
        const char *text;
    } cases[] = {
        { 0, 3, "0.00" },         { 0.0417458465, 3, "0.0417" }, { 1.7716, 3, "1.77" },
        { 123.456, 3, "123" },    { 2628, 1, "2,628" },          { 1234567, 1, "1,234,567" },
        { -0.5, 2, "−0.50" },     { 2.5e-7, 2, "2.5·10⁻⁷" },     { 3e10, 1, "3·10¹⁰" },
        { 999.96, 4, "1,000.0" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[AXIS_LABEL];
        axis_number(cases[i].x, cases[i].digits, text);
        ck_assert_str_eq(text, cases[i].text);
    }
}
END_TEST

TG_TEST_MAIN("tools/svg", numbers_have_two_decimals_at_most, numbers_are_the_same_in_every_locale,
             text_is_escaped, line_has_gaps_and_dots, columns_are_those_of_a_terminal, elided_text_fits,
             ticks_are_round, axis_holds_what_it_is_to_show, numbers_in_sentences_are_short)
