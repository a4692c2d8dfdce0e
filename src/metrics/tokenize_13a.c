/* metrics/tokenize_13a.c -- the tokens of mteval-v13a.pl (NIST 2009), as sacreBLEU has them.
 *
 * Every rule is a pass from left to right over what the one before it made of the text. */
#include <string.h>

#include "metrics/metrics.h"

static bool is_digit(uint32_t c) { return c >= '0' && c <= '9'; }
static bool is_no_digit(uint32_t c) { return !is_digit(c); }
static bool is_point(uint32_t c) { return c == '.' || c == ','; }
static bool is_dash(uint32_t c) { return c == '-'; }

/* ASCII punctuation but for ' , - and . which have rules of their own, or none. */
static bool is_separate(uint32_t c)
{
    return (c > ' ' && c < 127) && strchr("{|}~[\\]^_`!\"#$%&()*+:;<=>?@/", (int)c);
}

/* ---- what is written in another way ---- */

static const struct {
    const char *from, *to; /* not longer */
} replaced[] = {
    { "<skipped>", "" }, { "-\n", "" },   { "\n", " " },   { "&quot;", "\"" },
    { "&amp;", "&" },    { "&lt;", "<" }, { "&gt;", ">" },
};

static bool starts_with(const uint32_t *at, const uint32_t *end, const char *word)
{
    for (; *word; word++, at++)
        if (at == end || *at != (unsigned char)*word) return false;
    return true;
}

static void replace(symbols *text, const char *from, const char *to)
{
    const uint32_t *end = text->at + text->n, *p = text->at;
    uint32_t *out = text->at;
    while (p < end) {
        if (!starts_with(p, end, from)) {
            *out++ = *p++;
            continue;
        }
        p += strlen(from);
        for (const char *c = to; *c; c++) *out++ = (unsigned char)*c;
    }
    text->n = (size_t)(out - text->at);
}

/* ---- what is set apart ---- */

/* Space around the text, and around each separate symbol. */
static tg_status separate_symbols(reading *r)
{
    if (!tg__symbols_room(&r->spare, 3 * r->text.n + 2)) return TG_ERR_MEMORY;
    uint32_t *out = r->spare.at;
    *out++ = ' ';
    for (size_t i = 0; i < r->text.n; i++) {
        const uint32_t c = r->text.at[i];
        const bool apart = is_separate(c);
        if (apart) *out++ = ' ';
        *out++ = c;
        if (apart) *out++ = ' ';
    }
    *out++ = ' ';
    r->spare.n = (size_t)(out - r->spare.at);
    tg__reading_turn(r);
    return TG_OK;
}

/* Two symbols in a row, space between them, and on one side. */
static const struct pair_rule {
    bool (*first)(uint32_t), (*second)(uint32_t);
    bool space_before;
} pair_rules[] = {
    { is_no_digit, is_point, false }, /* "([^0-9])([.,])" -> "\1 \2 " */
    { is_point, is_no_digit, true },  /* "([.,])([^0-9])" -> " \1 \2" */
    { is_digit, is_dash, false },     /* "([0-9])(-)"     -> "\1 \2 " */
};

static tg_status separate_pairs(reading *r, const struct pair_rule *rule)
{
    if (!tg__symbols_room(&r->spare, 2 * r->text.n)) return TG_ERR_MEMORY;
    const uint32_t *p = r->text.at, *end = p + r->text.n;
    uint32_t *out = r->spare.at;
    while (p < end) {
        if (end - p < 2 || !rule->first(p[0]) || !rule->second(p[1])) {
            *out++ = *p++;
            continue;
        }
        if (rule->space_before) *out++ = ' ';
        *out++ = *p++;
        *out++ = ' ';
        *out++ = *p++;
        if (!rule->space_before) *out++ = ' ';
    }
    r->spare.n = (size_t)(out - r->spare.at);
    tg__reading_turn(r);
    return TG_OK;
}

tg_status tg__tokenize_13a(reading *r)
{
    while (r->text.n && tg__is_white(r->text.at[r->text.n - 1])) r->text.n--;
    for (size_t i = 0; i < sizeof replaced / sizeof *replaced; i++)
        replace(&r->text, replaced[i].from, replaced[i].to);
    tg_status s = separate_symbols(r);
    for (size_t i = 0; !s && i < sizeof pair_rules / sizeof *pair_rules; i++)
        s = separate_pairs(r, &pair_rules[i]);
    return s;
}
