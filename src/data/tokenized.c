/* data/tokenized.c -- whether text has been tokenized before it came here.
 *
 * No language sets a full stop or a comma off by a space before it; tokenizers do. (Spaces before other signs are
 * usual in French.) */
#include <string.h>

#include "data/tokenizer.h"

/* Chunks of text that is tokenized, and none of text that is not. */
static const char *const set_off[] = {
    ".",      ",",      "\xE3\x80\x82", "\xEF\xBC\x8C", "\xE3\x80\x81", /* ideographic */
    "&quot;", "&apos;", "@-@"
};

static bool is_set_off(const char *p, size_t n)
{
    for (size_t i = 0; i < sizeof set_off / sizeof *set_off; i++)
        if (n == strlen(set_off[i]) && !memcmp(p, set_off[i], n)) return true;
    return false;
}

/* Does a comma end the chunk, or, in the last chunk of a text, a full stop? */
static bool is_attached(const char *p, size_t n, bool last)
{
    if (n < 2 || p[n - 2] == p[n - 1]) return false; /* "..." */
    return p[n - 1] == ',' || (last && p[n - 1] == '.');
}

bool tg_pairs_tokenized(const tg_pairs *p)
{
    enum { RARE = 10 }; /* so many texts to one that looks otherwise */
    int64_t texts = 0, others = 0;
    for (int i = 0; i < 2 * tg_pairs_count(p); i++) {
        const char *text = i % 2 ? tg_pairs_target(p, i / 2) : tg_pairs_source(p, i / 2);
        bool yes = false, no = false;
        size_t n;
        for (; text = tg__next_spaced(text, &n), n; text += n) {
            size_t after;
            tg__next_spaced(text + n, &after);
            yes |= is_set_off(text, n);
            no |= is_attached(text, n, !after);
        }
        texts += yes, others += no;
    }
    return texts > 0 && others <= texts / RARE;
}
