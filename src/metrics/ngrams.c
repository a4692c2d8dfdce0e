/* metrics/ngrams.c -- the n-grams of a hypothesis, and how many of them references have.
 *
 * References are looked up only, so that memory goes with the length of the hypothesis alone, and a
 * walk through a reference ends where the hypothesis has nothing like it. */
#include <string.h>

#include <xxhash.h>

#include "metrics/metrics.h"

/* An array of n, the old one if it will do; what was there is lost. NULL: out of memory. */
static void *room_for(tg_context *cx, void *old, size_t *capacity, size_t n, size_t size)
{
    if (n <= *capacity) return old;
    tg__release(cx, old);
    void *more = tg__allocate(cx, tg__bytes(n, size));
    *capacity = more ? n : 0;
    return more;
}

bool tg__ngrams_begin(ngrams *g, size_t most)
{
    g->slots = 64;
    while (g->slots < 2 * most) g->slots *= 2;
    g->n = NGRAMS_FIRST;
    g->at = room_for(g->cx, g->at, &g->capacity, NGRAMS_FIRST + g->slots / 2, sizeof *g->at);
    g->slot = room_for(g->cx, g->slot, &g->slot_capacity, g->slots, sizeof *g->slot);
    if (!g->at || !g->slot) return false;
    memset(g->slot, 0, g->slots * sizeof *g->slot); /* not all there are: one long sentence slows no other */
    return true;
}

void tg__ngrams_free(ngrams *g)
{
    tg__release(g->cx, g->at);
    tg__release(g->cx, g->slot);
    *g = (ngrams){ .cx = g->cx };
}

/* The slot where it is, or the free one where it belongs. */
static uint32_t *slot_of(const ngrams *g, uint32_t before, uint32_t last)
{
    const uint32_t key[2] = { before, last };
    for (size_t i = (size_t)XXH64(key, sizeof key, 0) & (g->slots - 1);; i = (i + 1) & (g->slots - 1)) {
        const ngram *there = &g->at[g->slot[i]];
        if (!g->slot[i] || (there->before == before && there->last == last)) return &g->slot[i];
    }
}

static uint32_t find(const ngrams *g, uint32_t before, uint32_t last) { return *slot_of(g, before, last); }

static uint32_t enter_one(ngrams *g, uint32_t before, uint32_t last)
{
    uint32_t *slot = slot_of(g, before, last);
    if (*slot) return *slot;
    assert(g->n < g->capacity);
    g->at[g->n] = (ngram){ .before = before, .last = last };
    return *slot = (uint32_t)g->n++;
}

uint32_t tg__ngrams_spell(ngrams *g, const uint32_t *letters, size_t n, bool enter)
{
    uint32_t word = NGRAMS_SPELLINGS;
    for (size_t i = 0; word && i < n; i++)
        word = enter ? enter_one(g, word, letters[i]) : find(g, word, letters[i]);
    return word;
}

void tg__ngrams_count(ngrams *g, uint32_t root, const symbols *s, int orders)
{
    for (size_t i = 0; i < s->n; i++) {
        uint32_t at = root;
        for (size_t k = i; k < s->n && k < i + (size_t)orders; k++) {
            at = enter_one(g, at, s->at[k]);
            g->at[at].hypothesis++;
        }
    }
}

void tg__ngrams_next_reference(ngrams *g, bool alone)
{
    for (size_t i = NGRAMS_FIRST; i < g->n; i++) {
        g->at[i].here = 0;
        if (alone) g->at[i].most = 0;
    }
}

void tg__ngrams_match(ngrams *g, uint32_t root, const symbols *s, int orders, int64_t matches[])
{
    for (size_t i = 0; i < s->n; i++) {
        uint32_t at = root;
        for (int k = 0; k < orders && i + (size_t)k < s->n; k++) {
            at = find(g, at, s->at[i + (size_t)k]);
            if (!at) break;
            ngram *there = &g->at[at];
            if (++there->here > there->most && there->most++ < there->hypothesis) matches[k]++;
        }
    }
}
