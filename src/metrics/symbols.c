/* metrics/symbols.c -- UTF-8 to code points, and where white space separates them. */
#include <string.h>

#include <utf8proc.h>

#include "core/lowercase.h"
#include "metrics/metrics.h"

bool tg__symbols_room(symbols *s, size_t n)
{
    s->n = 0;
    if (n <= s->capacity) return true;
    size_t capacity = s->capacity ? s->capacity : 256;
    while (capacity < n) capacity *= 2;
    tg__symbols_free(s);
    s->at = tg__allocate(s->cx, tg__bytes(capacity, sizeof *s->at));
    s->capacity = s->at ? capacity : 0;
    return s->at;
}

void tg__symbols_free(symbols *s)
{
    tg__release(s->cx, s->at);
    *s = (symbols){ .cx = s->cx };
}

void tg__reading_init(reading *r, tg_context *cx) { r->text.cx = r->spare.cx = cx; }

void tg__reading_free(reading *r)
{
    tg__symbols_free(&r->text);
    tg__symbols_free(&r->spare);
}

void tg__reading_turn(reading *r)
{
    const symbols done = r->spare;
    r->spare = r->text;
    r->text = done;
}

static tg_status refuse(tg_context *cx, const char *who, int reference, const char *what, size_t n)
{
    char which[40] = "the hypothesis";
    writer w = { which, sizeof which, 0 };
    if (reference) tg__write(&w, "reference %d", reference);
    return tg_context_note(cx, TG_ERR_DATA, "%s: %s: %s %zu", who, which, what, n);
}

/* r->text in lower case. No letter gets more code points than it had bytes, for which there is room. */
static void make_lowercase(reading *r)
{
    enum { CAPITAL_I_WITH_DOT = 0x130, DOT_ABOVE = 0x307 };
    const symbols *text = &r->text;
    symbols *lower = &r->spare;
    lower->n = 0;
    for (size_t i = 0; i < text->n; i++) {
        lower->at[lower->n++] = tg__lowercase(text->at, text->n, i);
        if (text->at[i] == CAPITAL_I_WITH_DOT) lower->at[lower->n++] = DOT_ABOVE;
    }
    tg__reading_turn(r);
}

tg_status tg__reading_begin(reading *r, const char *utf8, bool lowercase, const char *who, int reference)
{
    const size_t bytes = strnlen(utf8, TG_SCORE_MOST + 1);
    if (bytes > TG_SCORE_MOST)
        return refuse(r->text.cx, who, reference, "has more bytes than", TG_SCORE_MOST);
    if (!tg__symbols_room(&r->text, bytes) || !tg__symbols_room(&r->spare, bytes)) return TG_ERR_MEMORY;

    const utf8proc_uint8_t *p = (const utf8proc_uint8_t *)utf8;
    for (size_t i = 0; i < bytes;) {
        utf8proc_int32_t c;
        const utf8proc_ssize_t there = utf8proc_iterate(p + i, (utf8proc_ssize_t)(bytes - i), &c);
        if (there < 1) return refuse(r->text.cx, who, reference, "is not valid UTF-8 at byte", i + 1);
        r->text.at[r->text.n++] = (uint32_t)c;
        i += (size_t)there;
    }
    if (lowercase) make_lowercase(r);
    return TG_OK;
}

bool tg__is_white(uint32_t c)
{
    static const struct {
        uint32_t from, to;
    } white[] = { { 0x09, 0x0D },     { 0x1C, 0x20 },     { 0x85, 0x85 },     { 0xA0, 0xA0 },
                  { 0x1680, 0x1680 }, { 0x2000, 0x200A }, { 0x2028, 0x2029 }, { 0x202F, 0x202F },
                  { 0x205F, 0x205F }, { 0x3000, 0x3000 } };
    for (size_t i = 0; i < sizeof white / sizeof *white; i++)
        if (c <= white[i].to) return c >= white[i].from;
    return false;
}

const uint32_t *tg__next_word(const uint32_t *at, const uint32_t *end, size_t *n)
{
    while (at < end && tg__is_white(*at)) at++;
    const uint32_t *p = at;
    while (p < end && !tg__is_white(*p)) p++;
    *n = (size_t)(p - at);
    return at;
}
