/* data/codes_learn.c -- byte-pair codes from counted words.
 *
 * Counts of pairs are kept, not made anew: a merge visits the words that have the pair, takes their pairs
 * off the counts and adds those of the words as they are then. The most frequent pair comes from a heap
 * whose entries may be too high, but never too low: they are put right when they come to the top. */
#include <string.h>

#include "data/codes.h"

typedef struct counted { /* a word */
    int *symbol;
    int n;
    int64_t count;
} counted;

typedef struct pair {
    int left, right;
    int64_t count;
    size_t places; /* the last of its places, from 1; 0: none */
    bool changed;
} pair;

typedef struct place { /* a word that has, or had, the pair */
    int item;
    size_t before; /* another place, from 1 */
} place;

typedef struct entry {
    int64_t count; /* at least the pair's */
    int pair;
} entry;

typedef struct learner {
    codes *codes;
    arena memory;
    counted *item;
    int items;
    pair *pair;
    size_t pairs, pair_capacity;
    int *slot; /* pairs, from 1, by open addressing */
    size_t slots;
    place *place;
    size_t places, place_capacity;
    entry *heap;
    size_t entries, heap_capacity;
    int *changed; /* pairs that this merge makes more frequent */
    size_t changes, changed_capacity;
} learner;

/* The array, or a larger copy if it is full. NULL: the context is in error. */
static void *with_room(learner *x, void *array, size_t used, size_t *capacity, size_t size)
{
    if (used < *capacity) return array;
    const size_t more = *capacity ? 2 * *capacity : 1024;
    void *copy = tg__arena_take(&x->memory, tg__bytes(more, size));
    if (copy && used) memcpy(copy, array, used * size);
    *capacity = copy ? more : 0;
    return copy;
}

/* ---- pairs ---- */

static size_t slot_of(const learner *x, int left, int right)
{
    const uint64_t key = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
    size_t i = (size_t)(key * 0x9E3779B97F4A7C15u >> 20) & (x->slots - 1);
    for (; x->slot[i]; i = (i + 1) & (x->slots - 1)) {
        const pair *p = &x->pair[x->slot[i] - 1];
        if (p->left == left && p->right == right) break;
    }
    return i;
}

static bool grow_slots(learner *x)
{
    x->slots = x->slots ? 2 * x->slots : 4096;
    x->slot = tg__arena_zeroed(&x->memory, tg__bytes(x->slots, sizeof *x->slot));
    for (size_t i = 0; x->slot && i < x->pairs; i++)
        x->slot[slot_of(x, x->pair[i].left, x->pair[i].right)] = (int)i + 1;
    return x->slot;
}

/* The pair, which may be new; NULL: the context is in error. */
static pair *pair_of(learner *x, int left, int right)
{
    if (2 * x->pairs >= x->slots && !grow_slots(x)) return NULL;
    const size_t i = slot_of(x, left, right);
    if (!x->slot[i]) {
        x->pair = with_room(x, x->pair, x->pairs, &x->pair_capacity, sizeof *x->pair);
        if (!x->pair) return NULL;
        x->pair[x->pairs++] = (pair){ left, right, 0, 0, false };
        x->slot[i] = (int)x->pairs;
    }
    return &x->pair[x->slot[i] - 1];
}

/* The pair stands in the word, and is there more often than before. */
static bool note_place(learner *x, pair *p, int item)
{
    if (!p->changed) {
        x->changed = with_room(x, x->changed, x->changes, &x->changed_capacity, sizeof *x->changed);
        if (!x->changed) return false;
        x->changed[x->changes++] = (int)(p - x->pair);
        p->changed = true;
    }
    if (p->places && x->place[p->places - 1].item == item) return true;
    x->place = with_room(x, x->place, x->places, &x->place_capacity, sizeof *x->place);
    if (!x->place) return false;
    x->place[x->places++] = (place){ item, p->places };
    p->places = x->places;
    return true;
}

/* Adds the word's pairs to the counts. Those with the symbol `made` (0: all) are noted. */
static bool count_pairs(learner *x, int item, int made)
{
    for (int i = 0; i + 1 < x->item[item].n; i++) {
        const int left = x->item[item].symbol[i], right = x->item[item].symbol[i + 1];
        pair *p = pair_of(x, left, right);
        if (!p) return false;
        p->count += x->item[item].count;
        if ((!made || left == made || right == made) && !note_place(x, p, item)) return false;
    }
    return true;
}

/* ---- the most frequent one ---- */

static bool is_before(const learner *x, entry a, entry b)
{
    const pair *p = &x->pair[a.pair], *q = &x->pair[b.pair];
    const lexicon_entry *symbol = x->codes->symbols.entry;
    if (a.count != b.count) return a.count > b.count;
    const int order = strcmp(symbol[p->left].text, symbol[q->left].text);
    return order ? order > 0 : strcmp(symbol[p->right].text, symbol[q->right].text) > 0;
}

static void sink(learner *x)
{
    const entry e = x->heap[0];
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < x->entries; i = child) {
        if (child + 1 < x->entries && is_before(x, x->heap[child + 1], x->heap[child])) child++;
        if (!is_before(x, x->heap[child], e)) break;
        x->heap[i] = x->heap[child];
    }
    x->heap[i] = e;
}

static bool push(learner *x, entry e)
{
    x->heap = with_room(x, x->heap, x->entries, &x->heap_capacity, sizeof *x->heap);
    if (!x->heap) return false;
    size_t i = x->entries++;
    for (; i && is_before(x, e, x->heap[(i - 1) / 2]); i = (i - 1) / 2) x->heap[i] = x->heap[(i - 1) / 2];
    x->heap[i] = e;
    return true;
}

/* Puts what has changed on the heap. */
static bool push_changed(learner *x)
{
    for (size_t i = 0; i < x->changes; i++) {
        const int changed = x->changed[i];
        x->pair[changed].changed = false;
        if (!push(x, (entry){ x->pair[changed].count, changed })) return false;
    }
    x->changes = 0;
    return true;
}

/* -1: there is none at least that frequent. */
static int take_best(learner *x, int64_t min_frequency)
{
    while (x->entries && x->heap[0].count >= min_frequency) {
        const entry best = x->heap[0];
        const int64_t count = x->pair[best.pair].count;
        if (count < best.count && count > 0) /* it had become less frequent */
            x->heap[0].count = count;
        else
            x->heap[0] = x->heap[--x->entries];
        if (x->entries) sink(x);
        if (count == best.count) return best.pair;
    }
    return -1;
}

/* ---- words ---- */

static bool begin_word(learner *x, const char *text, size_t bytes, int64_t count)
{
    uint32_t start[CODES_LONGEST + 1];
    char last[16];
    counted w = { .n = tg__codes_characters(text, bytes, start), .count = count };
    if (start[w.n] != bytes || w.n < 2) return true; /* too long for a word; or nothing to be merged */
    w.symbol = tg__arena_take(&x->memory, (size_t)w.n * sizeof *w.symbol);
    if (!w.symbol) return false;
    for (int i = 0; i < w.n; i++) {
        const char *symbol = text + start[i];
        size_t n = start[i + 1] - start[i];
        if (i == w.n - 1) {
            memcpy(last, symbol, n);
            memcpy(last + n, CODES_END, strlen(CODES_END));
            symbol = last, n += strlen(CODES_END);
        }
        w.symbol[i] = tg__lexicon_enter(&x->codes->symbols, symbol, n);
        if (w.symbol[i] < 0) return false;
    }
    x->item[x->items] = w;
    return count_pairs(x, x->items++, 0);
}

static bool begin_words(learner *x, const lexicon *words)
{
    x->item = tg__arena_take(&x->memory, tg__bytes((size_t)words->n, sizeof *x->item));
    for (int i = TG_SPECIAL_TOKENS; x->item && i < words->n; i++)
        if (!begin_word(x, words->entry[i].text, words->entry[i].bytes, words->entry[i].count)) return false;
    return x->item && push_changed(x);
}

static bool has_pair(const counted *w, int left, int right)
{
    for (int i = 0; i + 1 < w->n; i++)
        if (w->symbol[i] == left && w->symbol[i + 1] == right) return true;
    return false;
}

static bool rewrite(learner *x, int index, const merger *c)
{
    counted *w = &x->item[index];
    int to = 0;
    if (!has_pair(w, c->left, c->right)) return true; /* another merge was there first */
    for (int i = 0; i + 1 < w->n; i++)
        x->pair[x->slot[slot_of(x, w->symbol[i], w->symbol[i + 1])] - 1].count -= w->count;
    for (int i = 0; i < w->n; i++, to++) {
        const bool merged = i + 1 < w->n && w->symbol[i] == c->left && w->symbol[i + 1] == c->right;
        w->symbol[to] = merged ? c->merged : w->symbol[i];
        i += merged;
    }
    w->n = to;
    return count_pairs(x, index, c->merged);
}

static bool makes_a_token(const learner *x, int best)
{
    const lexicon_entry *symbol = x->codes->symbols.entry;
    return symbol[x->pair[best].left].bytes + symbol[x->pair[best].right].bytes <= CODES_LONGEST_SYMBOL;
}

static bool merge(learner *x, int best)
{
    const pair p = x->pair[best];
    const lexicon_entry left = x->codes->symbols.entry[p.left], right = x->codes->symbols.entry[p.right];
    char text[CODES_LONGEST_SYMBOL + 1];
    memcpy(text, left.text, left.bytes);
    text[left.bytes] = ' ';
    memcpy(text + left.bytes + 1, right.text, right.bytes);
    if (!tg__codes_add(x->codes, text, left.bytes + 1 + right.bytes)) return false;
    const merger c = *tg__codes_find(x->codes, p.left, p.right);
    for (size_t at = p.places; at; at = x->place[at - 1].before)
        if (!rewrite(x, x->place[at - 1].item, &c)) return false;
    return push_changed(x);
}

bool tg__codes_learn(codes *made, const lexicon *words, int merges, int64_t min_frequency)
{
    learner x = { .codes = made };
    tg__arena_init(&x.memory, made->symbols.memory.cx);
    bool well = begin_words(&x, words);
    for (int best; well && made->n < merges && (best = take_best(&x, min_frequency)) >= 0;)
        if (makes_a_token(&x, best)) well = merge(&x, best);
    tg__arena_free(&x.memory);
    return well;
}
