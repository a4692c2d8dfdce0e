/* data/lexicon.c -- texts and their numbers. */
#include "data/lexicon.h"

#include <string.h>

#include <xxhash.h>

const char *const tg__special[TG_SPECIAL_TOKENS] = {
    [TG_PAD] = "<pad>", [TG_UNKNOWN] = "<unk>", [TG_BEGIN] = "<s>", [TG_END] = "</s>"
};

bool tg__is_special(const char *text, size_t bytes)
{
    for (int i = 0; i < TG_SPECIAL_TOKENS; i++)
        if (strlen(tg__special[i]) == bytes && !memcmp(tg__special[i], text, bytes)) return true;
    return false;
}

static const char *text_copy(lexicon *x, const char *text, size_t bytes)
{
    enum { ROOM = 1 << 14 }; /* the arena's pieces are of 64 bytes: too many for a word each */
    if (x->left <= bytes) {
        const size_t room = bytes < ROOM ? ROOM : bytes + 1;
        x->room = tg__arena_take(&x->memory, room);
        x->left = x->room ? room : 0;
        if (!x->room) return NULL;
    }
    char *copy = x->room;
    memcpy(copy, text, bytes);
    copy[bytes] = 0;
    x->room += bytes + 1;
    x->left -= bytes + 1;
    return copy;
}

/* The slot where the text is, or the free one where it belongs. */
static int *slot_of(const lexicon *x, const char *text, size_t bytes, uint64_t hash)
{
    for (size_t i = (size_t)hash & (x->slots - 1);; i = (i + 1) & (x->slots - 1)) {
        const lexicon_entry *e = &x->entry[x->slot[i]];
        if (!x->slot[i] || (e->hash == hash && e->bytes == bytes && !memcmp(e->text, text, bytes)))
            return &x->slot[i];
    }
}

static bool grow(lexicon *x)
{
    const size_t capacity = x->capacity ? 2 * x->capacity : 512, slots = 4 * capacity;
    lexicon_entry *e = tg__arena_take(&x->memory, tg__bytes(capacity, sizeof *e));
    int *slot = tg__arena_zeroed(&x->memory, tg__bytes(slots, sizeof *slot));
    if (!e || !slot) return false;
    if (x->n) memcpy(e, x->entry, (size_t)x->n * sizeof *e);
    x->entry = e, x->capacity = capacity;
    x->slot = slot, x->slots = slots;
    for (int i = TG_SPECIAL_TOKENS; i < x->n; i++) *slot_of(x, e[i].text, e[i].bytes, e[i].hash) = i;
    return true;
}

int tg__lexicon_enter(lexicon *x, const char *text, size_t bytes)
{
    if ((size_t)x->n == x->capacity && !grow(x)) return -1;
    const uint64_t hash = XXH64(text, bytes, 0);
    int *slot = slot_of(x, text, bytes, hash);
    if (*slot) return *slot;
    const char *copy = text_copy(x, text, bytes);
    if (!copy) return -1;
    x->entry[x->n] = (lexicon_entry){ copy, bytes, hash, 0 };
    return *slot = x->n++;
}

int tg__lexicon_find(const lexicon *x, const char *text, size_t bytes)
{
    return *slot_of(x, text, bytes, XXH64(text, bytes, 0));
}

bool tg__lexicon_init(lexicon *x, tg_context *cx)
{
    *x = (lexicon){ 0 };
    tg__arena_init(&x->memory, cx);
    if (!grow(x)) return false;
    for (; x->n < TG_SPECIAL_TOKENS; x->n++)
        x->entry[x->n] = (lexicon_entry){ tg__special[x->n], strlen(tg__special[x->n]), 0, 0 };
    return true;
}

void tg__lexicon_free(lexicon *x)
{
    arena memory = x->memory;
    tg__arena_free(&memory);
    *x = (lexicon){ .memory = memory };
}
