/* tools/tidegate/unicode.c -- see unicode.h. */
#include "unicode.h"

#include <stdbool.h>
#include <string.h>

#include <tidegate/text.h>

int unicode_next(const char *text, uint32_t *code)
{
    static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 }; /* that need so many bytes */
    const unsigned char *p = (const unsigned char *)text;
    const int bytes = p[0] < 0x80   ? 1
                      : p[0] < 0xC0 ? 0
                      : p[0] < 0xE0 ? 2
                      : p[0] < 0xF0 ? 3
                      : p[0] < 0xF8 ? 4
                                    : 0;
    uint32_t c = bytes < 2 ? p[0] : p[0] & (0xFFu >> (bytes + 1));
    for (int i = 1; i < bytes; i++) {
        if ((p[i] & 0xC0) != 0x80) goto bad;
        c = c << 6 | (p[i] & 0x3F);
    }
    if (!bytes || c < least[bytes] || (c >= 0xD800 && c < 0xE000) || c > 0x10FFFF) goto bad;
    *code = c;
    return bytes;
bad:
    *code = UNICODE_REPLACEMENT;
    return 1;
}

/* Blocks whose characters are not one column wide, after the Unicode Character Database: EastAsianWidth.txt
 * (W and F), and the general categories Mn, Me and Cf. In order. */
static const struct {
    uint32_t first, last;
    int columns;
} blocks[] = {
    { 0x0300, 0x036F, 0 },   { 0x0483, 0x0489, 0 },   { 0x0591, 0x05BD, 0 },   { 0x0610, 0x061A, 0 },
    { 0x064B, 0x065F, 0 },   { 0x093C, 0x093C, 0 },   { 0x0941, 0x0948, 0 },   { 0x094D, 0x094D, 0 },
    { 0x0E31, 0x0E31, 0 },   { 0x0E34, 0x0E3A, 0 },   { 0x0E47, 0x0E4E, 0 },   { 0x1100, 0x115F, 2 },
    { 0x1AB0, 0x1AFF, 0 },   { 0x1DC0, 0x1DFF, 0 },   { 0x200B, 0x200F, 0 },   { 0x202A, 0x202E, 0 },
    { 0x2060, 0x2064, 0 },   { 0x20D0, 0x20FF, 0 },   { 0x231A, 0x231B, 2 },   { 0x2E80, 0x3029, 2 },
    { 0x302A, 0x302D, 0 },   { 0x302E, 0x303E, 2 },   { 0x3041, 0x3098, 2 },   { 0x3099, 0x309A, 0 },
    { 0x309B, 0xA4CF, 2 },   { 0xA960, 0xA97F, 2 },   { 0xAC00, 0xD7A3, 2 },   { 0xF900, 0xFAFF, 2 },
    { 0xFE00, 0xFE0F, 0 },   { 0xFE20, 0xFE2F, 0 },   { 0xFE30, 0xFE6F, 2 },   { 0xFEFF, 0xFEFF, 0 },
    { 0xFF01, 0xFF60, 2 },   { 0xFFE0, 0xFFE6, 2 },   { 0x1F300, 0x1F64F, 2 }, { 0x1F680, 0x1F6FF, 2 },
    { 0x1F900, 0x1F9FF, 2 }, { 0x20000, 0x3FFFD, 2 }, { 0xE0100, 0xE01EF, 0 },
};

static int columns_of(uint32_t code)
{
    for (size_t k = 0; k < sizeof blocks / sizeof *blocks && code >= blocks[k].first; k++)
        if (code <= blocks[k].last) return blocks[k].columns;
    return 1;
}

int unicode_columns(const char *text)
{
    uint32_t code;
    int columns = 0;
    for (; *text; text += unicode_next(text, &code), columns += columns_of(code)) continue;
    return columns;
}

void unicode_elide(const char *text, int columns, char *to, size_t bytes)
{
    static const char ellipsis[] = "\xE2\x80\xA6";
    char shown[1024];
    size_t n = 0, cut = 0; /* of `to`: bytes written; of them, what leaves room for an ellipsis */
    int used = 0;
    const char *p = shown;
    const bool longer = tg_text_printable(text, shown, sizeof shown) >= sizeof shown;
    while (*p) {
        uint32_t code;
        const size_t length = (size_t)unicode_next(p, &code);
        used += columns_of(code);
        if (used > columns || n + length >= bytes) break;
        memcpy(to + n, p, length);
        n += length;
        p += length;
        if (used < columns && n + sizeof ellipsis <= bytes) cut = n;
    }
    const bool more = *p || longer;
    if (more) n = cut;
    to[n] = 0;
    if (more && columns > 0 && n + sizeof ellipsis <= bytes) memcpy(to + n, ellipsis, sizeof ellipsis);
}
