/* data/text.c -- text to tokens: one row a tokenizer. */
#include <string.h>

#include "data/data.h"

/* Where the next token starts at or after p, and its bytes: 0 at the end of the text. */
static const char *next_word(const char *p, size_t *bytes)
{
    while (tg__is_space(*p)) p++;
    const char *end = p;
    while (*end && !tg__is_space(*end)) end++;
    *bytes = (size_t)(end - p);
    return p;
}

static const char *next_character(const char *p, size_t *bytes)
{
    const int there = tg__utf8_bytes(p);
    *bytes = !*p ? 0 : there ? (size_t)there : 1; /* a bad byte is a token, so that none gets lost */
    return p;
}

static const struct {
    const char *name;
    const char *(*next)(const char *p, size_t *bytes);
} tokenizers[] = {
    [TG_WORDS] = { "words", next_word },
    [TG_CHARACTERS] = { "chars", next_character },
};
enum { TOKENIZERS = sizeof tokenizers / sizeof *tokenizers };

const char *tg_tokenizer_name(tg_tokenizer k)
{
    return (unsigned)k < TOKENIZERS ? tokenizers[k].name : "unknown";
}

bool tg_tokenizer_named(const char *name, tg_tokenizer *k)
{
    for (int i = 0; i < TOKENIZERS; i++) {
        if (strcmp(name, tokenizers[i].name)) continue;
        *k = (tg_tokenizer)i;
        return true;
    }
    return false;
}

int tg_tokenize(tg_tokenizer k, const char *text, void (*found)(void *user, const char *token, size_t bytes),
                void *user)
{
    if ((unsigned)k >= TOKENIZERS) return 0;
    int n = 0;
    size_t bytes;
    for (const char *p = text; p = tokenizers[k].next(p, &bytes), bytes; p += bytes, n++)
        if (found) found(user, p, bytes);
    return n;
}
