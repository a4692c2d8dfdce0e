/* data/printable.c -- text from outside, made safe to show on a terminal. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "data/data.h"

/* Code points that act on a terminal or on the order of the text around them, or that show nothing. Sources: the
 * Unicode Character Database's general categories Cc, Zl and Zp, and its Default_Ignorable_Code_Point. */
static const struct {
    uint32_t first, last;
} not_shown[] = {
    { 0x0000, 0x001F },   /* C0 controls */
    { 0x007F, 0x009F },   /* DEL, C1 controls */
    { 0x00AD, 0x00AD },   /* soft hyphen */
    { 0x034F, 0x034F },   /* combining grapheme joiner */
    { 0x061C, 0x061C },   /* Arabic letter mark: bidirectional */
    { 0x115F, 0x1160 },   /* Hangul fillers */
    { 0x17B4, 0x17B5 },   /* Khmer inherent vowels */
    { 0x180B, 0x180F },   /* Mongolian variation selectors and vowel separator */
    { 0x200B, 0x200F },   /* zero-width space and joiners, left-to-right and right-to-left marks */
    { 0x2028, 0x202E },   /* line and paragraph separators, bidirectional embeddings and overrides */
    { 0x2060, 0x206F },   /* word joiner, invisible operators, bidirectional isolates, deprecated controls */
    { 0x3164, 0x3164 },   /* Hangul filler */
    { 0xFE00, 0xFE0F },   /* variation selectors */
    { 0xFEFF, 0xFEFF },   /* byte order mark */
    { 0xFFA0, 0xFFA0 },   /* half-width Hangul filler */
    { 0xFFF0, 0xFFFB },   /* interlinear annotation and what is reserved beside it */
    { 0x13430, 0x1343F }, /* Egyptian hieroglyph format controls */
    { 0x1BCA0, 0x1BCA3 }, /* shorthand format controls */
    { 0x1D173, 0x1D17A }, /* musical beams and slurs */
    { 0xE0000, 0xE0FFF }, /* tags, more variation selectors */
};

static bool is_shown(uint32_t code)
{
    for (size_t k = 0; k < sizeof not_shown / sizeof *not_shown && code >= not_shown[k].first; k++)
        if (code <= not_shown[k].last) return false;
    return true;
}

/* Persian, the scripts of India and emoji need these three kinds behind a character: zero-width non-joiner, zero-width
 * joiner, variation selectors. */
static bool shapes_what_is_before(uint32_t code)
{
    return code == 0x200C || code == 0x200D || (code >= 0xFE00 && code <= 0xFE0F);
}

/* Of a well-formed character. */
static uint32_t code_point(const char *text, int bytes)
{
    const unsigned char *p = (const unsigned char *)text;
    uint32_t code = bytes == 1 ? p[0] : p[0] & (0xFFu >> (bytes + 1));
    for (int i = 1; i < bytes; i++) code = code << 6 | (p[i] & 0x3F);
    return code;
}

typedef struct escape {
    char s[12];
} escape;

/* Of the character of `length` bytes at p, or, with length 0, of the byte. */
static escape escape_of(const char *p, int length)
{
    escape e;
    const uint32_t code = length ? code_point(p, length) : (unsigned char)*p;
    if (length < 2)
        snprintf(e.s, sizeof e.s, "\\x%02x", code & 0xFF);
    else
        snprintf(e.s, sizeof e.s, code <= 0xFFFF ? "\\u%04x" : "\\U%08x", code);
    return e;
}

size_t tg_text_printable(const char *text, char *to, size_t bytes)
{
    size_t n = 0;
    bool shapes =
        false; /* a joiner or selector may stand here: behind a character beyond ASCII that is shown */
    if (!to) bytes = 0;
    bool full = !bytes;
    if (bytes) to[0] = 0;
    for (const char *p = text ? text : ""; *p;) {
        const int length = tg__utf8_bytes(p);
        const uint32_t code = length ? code_point(p, length) : 0;
        const bool shown = length && is_shown(code), as_is = shown || (shapes && shapes_what_is_before(code));
        const escape e = as_is ? (escape){ "" } : escape_of(p, length);
        const size_t room = as_is ? (size_t)length : strlen(e.s);
        full = full || n + room >= bytes;
        if (!full) {
            memcpy(to + n, as_is ? p : e.s, room);
            to[n + room] = 0;
        }
        n += room;
        p += length ? length : 1;
        shapes = shown && code > 0x7F;
    }
    return n;
}
