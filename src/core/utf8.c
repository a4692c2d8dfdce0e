/* core/utf8.c -- see utf8.h. */
#include "core/utf8.h"

/* Well-formed sequences of several bytes: The Unicode Standard, table 3-7. The range of the second
 * byte is what keeps out overlong forms, surrogates, and all above U+10FFFF. */
static const struct {
    unsigned char first, last, bytes, second_from, second_to;
} forms[] = {
    { 0xC2, 0xDF, 2, 0x80, 0xBF }, /* U+0080..U+07FF */
    { 0xE0, 0xE0, 3, 0xA0, 0xBF }, /* U+0800..U+0FFF */
    { 0xE1, 0xEC, 3, 0x80, 0xBF }, /* U+1000..U+CFFF */
    { 0xED, 0xED, 3, 0x80, 0x9F }, /* U+D000..U+D7FF: the surrogates follow */
    { 0xEE, 0xEF, 3, 0x80, 0xBF }, /* U+E000..U+FFFF */
    { 0xF0, 0xF0, 4, 0x90, 0xBF }, /* U+10000..U+3FFFF */
    { 0xF1, 0xF3, 4, 0x80, 0xBF }, /* U+40000..U+FFFFF */
    { 0xF4, 0xF4, 4, 0x80, 0x8F }, /* U+100000..U+10FFFF */
};

int tg__utf8_bytes(const char *text)
{
    const unsigned char *p = (const unsigned char *)text;
    if (p[0] < 0x80) return 1;
    for (size_t k = 0; k < sizeof forms / sizeof *forms; k++) {
        if (p[0] < forms[k].first || p[0] > forms[k].last) continue;
        if (p[1] < forms[k].second_from || p[1] > forms[k].second_to) return 0;
        for (int i = 2; i < forms[k].bytes; i++)
            if ((p[i] & 0xC0) != 0x80) return 0;
        return forms[k].bytes;
    }
    return 0;
}

bool tg__utf8_valid(const char *text, size_t *at)
{
    const char *p = text;
    while (*p) {
        const int bytes = tg__utf8_bytes(p);
        if (!bytes) {
            if (at) *at = (size_t)(p - text);
            return false;
        }
        p += bytes;
    }
    return true;
}
