/* data/text.c -- text to what white space separates, and to characters. */
#include <string.h>

#include "data/tokenizer.h"

bool tg_utf8_valid(const char *text, size_t *at)
{
    if (!text && at) *at = 0;
    return text && tg__utf8_valid(text, at);
}

const char *tg__after_marks(const char *text)
{
    while (tg__starts(text, MARK)) text += MARK_BYTES;
    return text;
}

const char *tg__next_spaced(const char *p, size_t *bytes)
{
    while (tg__is_space(*p)) p++;
    const char *end = p;
    while (*end && !tg__is_space(*end)) end++;
    *bytes = (size_t)(end - p);
    return p;
}

const char *tg__next_character(const char *p, size_t *bytes)
{
    const int there = tg__utf8_bytes(p);
    *bytes = !*p ? 0 : there ? (size_t)there : 1; /* a bad byte is a token, so that none gets lost */
    return p;
}

shown_text tg__shown_text(const char *text)
{
    enum { LONGEST = 40 };
    shown_text shown;
    int n = 0;
    for (; text[n] && n < LONGEST; n++) shown.s[n] = text[n] < ' ' || text[n] > '~' ? '?' : text[n];
    memcpy(shown.s + n, text[n] ? "..." : "", text[n] ? 4 : 1);
    return shown;
}
