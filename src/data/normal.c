/* data/normal.c -- Unicode's normal form C, and lower case. */
#include <string.h>

#include <utf8proc.h>

#include "core/lowercase.h"
#include "data/tokenizer.h"

/* Below U+0300, the first combining mark, every text is in normal form C; its bytes are below 0xCC. */
static bool is_plain(const char *text)
{
    for (const unsigned char *p = (const unsigned char *)text; *p; p++)
        if (*p >= 0xCC) return false;
    return true;
}

/* The text is decomposed, made lower case, and composed again. In this order letters whose upper case has no
 * composed form (J and caron) come out composed, and canonically equivalent texts come out equal. */
const char *tg__normal(tg_context *cx, const char *text, bool lowercase, normal_text *room)
{
    const utf8proc_option_t form = UTF8PROC_STABLE | UTF8PROC_COMPOSE;
    utf8proc_int32_t *code = room->small;
    room->block = NULL;
    text = tg__after_marks(text);
    if (!lowercase && is_plain(text)) return text;

    const utf8proc_uint8_t *bytes = (const utf8proc_uint8_t *)text;
    const utf8proc_ssize_t n = (utf8proc_ssize_t)strlen(text), capacity = NORMAL_SMALL - 1;
    utf8proc_ssize_t count = utf8proc_decompose(bytes, n, code, capacity, form);
    if (count > capacity) {
        room->block = code = tg__allocate(cx, tg__bytes((size_t)count + 1, sizeof *code));
        if (!code) return NULL;
        count = utf8proc_decompose(bytes, n, code, count, form);
    }
    if (count < 0) return text; /* not UTF-8 */
    for (utf8proc_ssize_t i = 0; lowercase && i < count; i++)
        code[i] = (utf8proc_int32_t)tg__lowercase((const uint32_t *)code, (size_t)count, (size_t)i);
    return utf8proc_reencode(code, count, form) < 0 ? text : (const char *)code;
}
