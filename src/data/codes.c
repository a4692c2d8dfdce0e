/* data/codes.c -- byte-pair codes, and words cut by them. */
#include "data/codes.h"

#include <limits.h>
#include <string.h>

#include "data/tokenizer.h"

/* ---- the table ---- */

static size_t slot_of(const codes *x, int left, int right)
{
    const uint64_t key = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
    size_t i = (size_t)(key * 0x9E3779B97F4A7C15u >> 20) & (x->slots - 1);
    while (x->slot[i].left && (x->slot[i].left != left || x->slot[i].right != right))
        i = (i + 1) & (x->slots - 1);
    return i;
}

const merger *tg__codes_find(const codes *x, int left, int right)
{
    const merger *c = &x->slot[slot_of(x, left, right)];
    return left && c->left ? c : NULL;
}

static bool grow(codes *x)
{
    const size_t capacity = x->capacity ? 2 * x->capacity : 256, old_slots = x->slots;
    merger *old = x->slot;
    const char **text = tg__arena_take(&x->symbols.memory, tg__bytes(capacity, sizeof *text));
    merger *slot = tg__arena_zeroed(&x->symbols.memory, tg__bytes(4 * capacity, sizeof *slot));
    if (!text || !slot) return false;
    if (x->n) memcpy(text, x->text, (size_t)x->n * sizeof *text);
    x->text = text, x->capacity = capacity;
    x->slot = slot, x->slots = 4 * capacity;
    for (size_t i = 0; i < old_slots; i++)
        if (old[i].left) slot[slot_of(x, old[i].left, old[i].right)] = old[i];
    return true;
}

bool tg__codes_init(codes *x, tg_context *cx, bool old)
{
    *x = (codes){ .old = old };
    return tg__lexicon_init(&x->symbols, cx) && grow(x);
}

void tg__codes_free(codes *x)
{
    lexicon symbols = x->symbols;
    tg__lexicon_free(&symbols);
    *x = (codes){ .symbols = symbols };
}

bool tg__is_code(const char *text, size_t bytes)
{
    const char *space = memchr(text, ' ', bytes), *end = text + bytes;
    if (!space || space == text || space + 1 == end || memchr(space + 1, ' ', (size_t)(end - space - 1)))
        return false;
    for (const char *p = text; p < end;) {
        const int n = *p ? tg__utf8_bytes(p) : 0;
        if (!n || n > end - p) return false;
        p += n;
    }
    return true;
}

bool tg__codes_add(codes *x, const char *text, size_t bytes)
{
    if ((size_t)x->n == x->capacity && !grow(x)) return false;
    const char *space = memchr(text, ' ', bytes);
    const size_t left_bytes = (size_t)(space - text), right_bytes = bytes - left_bytes - 1;
    char *copy =
        tg__arena_take(&x->symbols.memory, 2 * bytes + 1); /* the code, a 0, and both symbols in one */
    if (!copy) return false;
    char *both = copy + bytes + 1;
    memcpy(copy, text, bytes);
    copy[bytes] = 0;
    memcpy(both, text, left_bytes);
    memcpy(both + left_bytes, space + 1, right_bytes);

    const merger c = { .left = tg__lexicon_enter(&x->symbols, text, left_bytes),
                       .right = tg__lexicon_enter(&x->symbols, space + 1, right_bytes),
                       .merged = tg__lexicon_enter(&x->symbols, both, bytes - 1),
                       .rank = x->n };
    if (c.left < 0 || c.right < 0 || c.merged < 0) return false;
    merger *slot = &x->slot[slot_of(x, c.left, c.right)];
    if (!slot->left) *slot = c; /* of equal pairs the first one counts */
    x->text[x->n++] = copy;
    return true;
}

/* ---- a word ---- */

int tg__codes_characters(const char *word, size_t bytes, uint32_t start[CODES_LONGEST + 1])
{
    int n = 0;
    size_t at = 0;
    for (; at < bytes && n < CODES_LONGEST; n++) {
        const int there = tg__utf8_bytes(word + at);
        start[n] = (uint32_t)at;
        at += tg__starts(word + at, ESCAPE) ? ESCAPE_BYTES : there ? (size_t)there : 1;
    }
    start[n] = (uint32_t)(at < bytes ? at : bytes);
    return n;
}

/* A word, or a part of one, as symbols. */
typedef struct sequence {
    int n;
    int id[CODES_LONGEST + 1];         /* 0: a symbol that is in no code */
    uint32_t start[CODES_LONGEST + 2]; /* where its text begins */
    int rank[CODES_LONGEST + 1];       /* of the code for it and the next; -1: to be looked up */
} sequence;

static void begin(sequence *s, const codes *x, const char *word, size_t bytes)
{
    char last[2 * ESCAPE_BYTES + sizeof CODES_END];
    s->n = tg__codes_characters(word, bytes, s->start);
    const bool ends = s->start[s->n] == bytes;
    for (int i = 0; i < s->n; i++) {
        const char *text = word + s->start[i];
        size_t n = s->start[i + 1] - s->start[i];
        if (ends && !x->old && i == s->n - 1) {
            memcpy(last, text, n);
            memcpy(last + n, CODES_END, strlen(CODES_END));
            text = last, n += strlen(CODES_END);
        }
        s->id[i] = tg__lexicon_find(&x->symbols, text, n);
        s->rank[i] = -1;
    }
    if (!ends || !x->old) return;
    s->id[s->n] =
        tg__lexicon_find(&x->symbols, CODES_END, strlen(CODES_END)); /* with no text of the word's */
    s->rank[s->n] = -1;
    s->start[s->n + 1] = s->start[s->n];
    s->n++;
}

/* Looks up what is to be looked up. Returns the lowest rank, or INT_MAX. */
static int lowest_rank(sequence *s, const codes *x)
{
    int lowest = INT_MAX;
    for (int i = 0; i + 1 < s->n; i++) {
        if (s->rank[i] < 0) {
            const merger *c = tg__codes_find(x, s->id[i], s->id[i + 1]);
            s->rank[i] = c ? c->rank : INT_MAX;
        }
        if (s->rank[i] < lowest) lowest = s->rank[i];
    }
    return lowest;
}

/* Merges the pair of that rank, from left to right: x x x becomes xx x. */
static void merge(sequence *s, const codes *x, int rank)
{
    int to = 0;
    for (int i = 0; i < s->n; i++, to++) {
        const bool merged = i + 1 < s->n && s->rank[i] == rank;
        s->start[to] = s->start[i];
        s->id[to] = merged ? tg__codes_find(x, s->id[i], s->id[i + 1])->merged : s->id[i];
        s->rank[to] = merged ? -1 : s->rank[i];
        if (merged && to) s->rank[to - 1] = -1;
        i += merged;
    }
    s->start[to] = s->start[s->n];
    s->n = to;
}

void tg__codes_segment(const codes *x, const char *word, size_t bytes,
                       void (*found)(void *user, const char *piece, size_t bytes, bool last), void *user)
{
    sequence s;
    while (bytes) {
        begin(&s, x, word, bytes);
        for (int rank; (rank = lowest_rank(&s, x)) < INT_MAX;) merge(&s, x, rank);
        for (int i = 0; i < s.n; i++) {
            const size_t n = s.start[i + 1] - s.start[i];
            if (n) found(user, word + s.start[i], n, s.start[i + 1] == bytes);
        }
        bytes -= s.start[s.n];
        word += s.start[s.n];
    }
}
