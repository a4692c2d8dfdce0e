/* data/vocabulary.c -- tokens and their ids.
 *
 * A vocabulary counts in one lexicon; freezing sorts it and enters what is kept into a second, in
 * the order of the ids, and forgets the first. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "data/data.h"

typedef struct token {
    const char *text; /* 0-terminated */
    size_t bytes;
    uint64_t hash;
    int64_t count;
} token;

/* Tokens in the order they were entered, found by open addressing with linear steps. The first four
 * are the special ones, which no text can reach: they are in no slot, so that 0 marks a free one. */
typedef struct lexicon {
    arena memory;
    token *token;
    int n;
    size_t capacity;
    int *slot;
    size_t slots; /* a power of two, at least 4 n */
    char *room;   /* for the texts, `left` bytes */
    size_t left;
} lexicon;

struct tg_vocabulary {
    tg_context *cx;
    tg_tokenizer tokenizer;
    bool frozen;
    lexicon words;
};

static tg_vocabulary nil_vocabulary = { .cx = &tg__context_nil };

static const char *const special[TG_SPECIAL_TOKENS] = {
    [TG_PAD] = "<pad>", [TG_UNKNOWN] = "<unk>", [TG_BEGIN] = "<s>", [TG_END] = "</s>"
};

static bool is_special(const char *text, size_t bytes)
{
    for (int i = 0; i < TG_SPECIAL_TOKENS; i++)
        if (strlen(special[i]) == bytes && !memcmp(special[i], text, bytes)) return true;
    return false;
}

/* ---- the lexicon ---- */

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

/* The slot where the token is, or the free one where it belongs. */
static int *slot_of(const lexicon *x, const char *text, size_t bytes, uint64_t hash)
{
    for (size_t i = (size_t)hash & (x->slots - 1);; i = (i + 1) & (x->slots - 1)) {
        const token *t = &x->token[x->slot[i]];
        if (!x->slot[i] || (t->hash == hash && t->bytes == bytes && !memcmp(t->text, text, bytes)))
            return &x->slot[i];
    }
}

static bool lexicon_grow(lexicon *x)
{
    const size_t capacity = x->capacity ? 2 * x->capacity : 512, slots = 4 * capacity;
    token *t = tg__arena_take(&x->memory, tg__bytes(capacity, sizeof *t));
    int *slot = tg__arena_zeroed(&x->memory, tg__bytes(slots, sizeof *slot));
    if (!t || !slot) return false;
    if (x->n) memcpy(t, x->token, (size_t)x->n * sizeof *t);
    x->token = t, x->capacity = capacity;
    x->slot = slot, x->slots = slots;
    for (int id = TG_SPECIAL_TOKENS; id < x->n; id++) *slot_of(x, t[id].text, t[id].bytes, t[id].hash) = id;
    return true;
}

/* The id of the token, entered if it is new; -1: the context is in error. */
static int lexicon_enter(lexicon *x, const char *text, size_t bytes)
{
    if ((size_t)x->n == x->capacity && !lexicon_grow(x)) return -1;
    const uint64_t hash = XXH64(text, bytes, 0);
    int *slot = slot_of(x, text, bytes, hash);
    if (*slot) return *slot;
    const char *copy = text_copy(x, text, bytes);
    if (!copy) return -1;
    x->token[x->n] = (token){ copy, bytes, hash, 0 };
    return *slot = x->n++;
}

/* Empty but for the special tokens. False: the context is in error. */
static bool lexicon_init(lexicon *x, tg_context *cx)
{
    *x = (lexicon){ 0 };
    tg__arena_init(&x->memory, cx);
    if (!lexicon_grow(x)) return false;
    for (; x->n < TG_SPECIAL_TOKENS; x->n++)
        x->token[x->n] = (token){ special[x->n], strlen(special[x->n]), 0, 0 };
    return true;
}

/* ---- made in steps ---- */

static void vocabulary_release(void *object)
{
    tg_vocabulary *v = object;
    tg__arena_free(&v->words.memory);
}

/* NULL: the context is in error. */
static tg_vocabulary *vocabulary_begin(tg_context *cx, tg_tokenizer k)
{
    tg_vocabulary *v = tg__arena_zeroed(&cx->own, sizeof *v);
    if (!v) return NULL;
    *v = (tg_vocabulary){ .cx = cx, .tokenizer = k };
    tg__arena_init(&v->words.memory, cx);
    tg__context_on_free(cx, vocabulary_release, v);
    return !cx->status && lexicon_init(&v->words, cx) ? v : NULL;
}

tg_vocabulary *tg_vocabulary_new(tg_context *cx, tg_tokenizer k)
{
    if (k != TG_WORDS && k != TG_CHARACTERS) {
        tg_context_fail(cx, TG_ERR_ARGUMENT,
                        "tg_vocabulary_new: tokenizer %d is neither TG_WORDS nor TG_CHARACTERS", (int)k);
        return &nil_vocabulary;
    }
    tg_vocabulary *v = vocabulary_begin(cx, k);
    return v ? v : &nil_vocabulary;
}

static void count_token(void *user, const char *text, size_t bytes)
{
    tg_vocabulary *v = user;
    if (is_special(text, bytes)) return; /* a text that spells "<s>" does not begin a sentence */
    const int id = lexicon_enter(&v->words, text, bytes);
    if (id >= 0) v->words.token[id].count++;
}

void tg_vocabulary_add(tg_vocabulary *v, const char *text)
{
    size_t at;
    if (v->cx->status) return;
    if (v->frozen)
        tg_context_fail(v->cx, TG_ERR_STATE, "tg_vocabulary_add: the vocabulary is frozen, with %d tokens",
                        v->words.n);
    else if (!tg_utf8_valid(text, &at))
        tg_context_fail(v->cx, TG_ERR_DATA,
                        "tg_vocabulary_add: byte %zu of the text: not valid UTF-8 (byte 0x%02X)", at + 1,
                        (unsigned char)text[at]);
    else
        tg_tokenize(v->tokenizer, text, count_token, v);
}

static int by_frequency_then_bytes(const void *a, const void *b)
{
    const token *x = a, *y = b;
    if (x->count != y->count) return x->count > y->count ? -1 : 1;
    const int order = memcmp(x->text, y->text, x->bytes < y->bytes ? x->bytes : y->bytes);
    return order ? order : (x->bytes > y->bytes) - (x->bytes < y->bytes);
}

void tg_vocabulary_freeze(tg_vocabulary *v, int min_frequency)
{
    if (v->cx->status) return;
    if (v->frozen) {
        tg_context_fail(v->cx, TG_ERR_STATE, "tg_vocabulary_freeze: the vocabulary is frozen already");
        return;
    }
    if (min_frequency < 0) {
        tg_context_fail(v->cx, TG_ERR_ARGUMENT, "tg_vocabulary_freeze: min_frequency is %d, below 0",
                        min_frequency);
        return;
    }
    lexicon kept;
    const size_t n = (size_t)(v->words.n - TG_SPECIAL_TOKENS);
    token *sorted = tg__arena_take(&v->words.memory, tg__bytes(n, sizeof *sorted)); /* the slots stay right */
    if (sorted && n) memcpy(sorted, v->words.token + TG_SPECIAL_TOKENS, n * sizeof *sorted);
    if (sorted) qsort(sorted, n, sizeof *sorted, by_frequency_then_bytes);

    bool well = sorted && lexicon_init(&kept, v->cx);
    for (size_t i = 0; well && i < n && sorted[i].count >= min_frequency; i++)
        well = lexicon_enter(&kept, sorted[i].text, sorted[i].bytes) >= 0;
    if (!well) { /* still to be frozen, and nothing lost */
        if (sorted) tg__arena_free(&kept.memory);
        return;
    }
    tg__arena_free(&v->words.memory);
    v->words = kept;
    v->frozen = true;
}

/* ---- asked ---- */

bool tg__vocabulary_frozen(const tg_vocabulary *v) { return v->frozen; }

/* May v be asked for ids? If not, the context is in error. */
static bool is_ready(const tg_vocabulary *v, const char *who)
{
    if (!v->frozen) tg_context_fail(v->cx, TG_ERR_STATE, "%s: the vocabulary is not frozen yet", who);
    return v->frozen;
}

int tg_vocabulary_size(const tg_vocabulary *v) { return is_ready(v, "tg_vocabulary_size") ? v->words.n : 0; }

tg_tokenizer tg_vocabulary_tokenizer(const tg_vocabulary *v) { return v->tokenizer; }

const char *tg_vocabulary_token(const tg_vocabulary *v, int id)
{
    if (!is_ready(v, "tg_vocabulary_token") || id < 0 || id >= v->words.n) return special[TG_UNKNOWN];
    return v->words.token[id].text;
}

static int find(const lexicon *x, const char *text, size_t bytes)
{
    const int id = *slot_of(x, text, bytes, XXH64(text, bytes, 0));
    return id ? id : TG_UNKNOWN;
}

int tg_vocabulary_id(const tg_vocabulary *v, const char *text, size_t bytes)
{
    return is_ready(v, "tg_vocabulary_id") ? find(&v->words, text, bytes) : TG_UNKNOWN;
}

typedef struct encoding {
    const lexicon *words;
    int *ids, n, capacity;
} encoding;

static void encode_token(void *user, const char *text, size_t bytes)
{
    encoding *e = user;
    if (e->n < e->capacity) e->ids[e->n++] = find(e->words, text, bytes);
}

int tg_vocabulary_encode(const tg_vocabulary *v, const char *text, int ids[], int capacity)
{
    encoding e = { &v->words, ids, 0, capacity };
    return is_ready(v, "tg_vocabulary_encode") ? tg_tokenize(v->tokenizer, text, encode_token, &e) : 0;
}

/* Like strlcat over several pieces: `needed` counts on when the room is used up. */
static void append(char *text, size_t bytes, size_t *needed, const char *piece)
{
    for (; *piece; piece++, (*needed)++)
        if (*needed + 1 < bytes) text[*needed] = *piece;
}

/* Ends the text after `stored` bytes, or before its last character if that was cut. */
static void end_text(char *text, size_t stored)
{
    size_t last = stored;
    text[stored] = 0;
    while (last && ((unsigned char)text[--last] & 0xC0) == 0x80) {}
    if (!tg__utf8_bytes(text + last)) text[last] = 0;
}

size_t tg_vocabulary_decode(const tg_vocabulary *v, const int ids[], int n, char *text, size_t bytes)
{
    const char *between = v->tokenizer == TG_WORDS ? " " : "";
    size_t needed = 0;
    const bool ready = is_ready(v, "tg_vocabulary_decode");
    for (int i = 0; ready && i < n && ids[i] != TG_END; i++) {
        if (ids[i] == TG_PAD || ids[i] == TG_BEGIN) continue;
        if (needed) append(text, bytes, &needed, between);
        append(text, bytes, &needed, tg_vocabulary_token(v, ids[i]));
    }
    if (bytes) end_text(text, needed < bytes ? needed : bytes - 1);
    return needed;
}

/* ---- kept in an archive ---- */

static const char *tokenizer_path(tg_context *cx, const char *path, char name[256])
{
    const int n = snprintf(name, 256, "%s_tokenizer", path);
    if (n < 256) return name;
    tg_context_note(cx, TG_ERR_ARGUMENT, "vocabulary: the path %.60s... has %zu bytes, at most 245 fit", path,
                    strlen(path));
    return NULL;
}

tg_status tg_vocabulary_put(const tg_vocabulary *v, tg_archive *a, const char *path)
{
    char name[256];
    if (v->cx->status) return v->cx->status;
    if (!v->frozen)
        return tg_context_note(v->cx, TG_ERR_STATE, "tg_vocabulary_put: %s: the vocabulary is not frozen yet",
                               path);
    if (!tokenizer_path(v->cx, path, name)) return TG_ERR_ARGUMENT;

    const int n = v->words.n;
    const char **text = tg__allocate(v->cx, tg__bytes((size_t)n, sizeof *text));
    if (!text) return TG_ERR_MEMORY;
    for (int i = 0; i < n; i++) text[i] = v->words.token[i].text;
    tg_status s = tg_archive_put_texts(a, path, n, text);
    tg__release(v->cx, text);
    return s ? s : tg_archive_put_text(a, name, tg_tokenizer_name(v->tokenizer));
}

static void measure(void *user, const char *text, size_t bytes)
{
    (void)text;
    *(size_t *)user = bytes;
}

/* What is wrong with token i of a stored vocabulary; NULL: nothing. */
static const char *wrong_with(const char *text, int i, tg_tokenizer k)
{
    if (i < TG_SPECIAL_TOKENS) return strcmp(text, special[i]) ? "is not this special token" : NULL;
    if (is_special(text, strlen(text))) return "is a special token out of its place";
    if (!tg_utf8_valid(text, NULL)) return "is not valid UTF-8";
    size_t bytes = 0;
    return tg_tokenize(k, text, measure, &bytes) == 1 && bytes == strlen(text) ? NULL : "is not one token";
}

/* A name from a file, as it may stand in a message: short, in one line. */
static const char *shown(const char *text, char buffer[64])
{
    int n = 0;
    for (; text[n] && n < 40; n++) buffer[n] = text[n] < ' ' || text[n] > '~' ? '?' : text[n];
    memcpy(buffer + n, text[n] ? "..." : "", text[n] ? 4 : 1);
    return buffer;
}

static tg_status fill(tg_vocabulary *v, const char *path, int n, const char *const *text)
{
    char seen[64];
    if (n < TG_SPECIAL_TOKENS)
        return tg_context_note(v->cx, TG_ERR_FORMAT,
                               "vocabulary %s: %d tokens, fewer than the %d special ones", path, n,
                               TG_SPECIAL_TOKENS);
    for (int i = 0; i < n; i++) {
        const char *wrong = wrong_with(text[i], i, v->tokenizer);
        if (!wrong && i >= TG_SPECIAL_TOKENS) {
            const int id = lexicon_enter(&v->words, text[i], strlen(text[i]));
            if (id < 0) return tg__status_taken(v->cx);
            if (id < i) wrong = "was there before";
        }
        if (wrong)
            return tg_context_note(v->cx, TG_ERR_FORMAT, "vocabulary %s: token %d of %d, '%s', %s", path, i,
                                   n, shown(text[i], seen), wrong);
    }
    return TG_OK;
}

tg_status tg_vocabulary_get(tg_context *cx, const tg_archive *a, const char *path, tg_vocabulary **v)
{
    char name[256], seen[64];
    const char *tokenizer;
    const char *const *text;
    tg_tokenizer k;
    int n;
    tg_status s;
    if (cx->status) return cx->status;
    if (!tokenizer_path(cx, path, name)) return TG_ERR_ARGUMENT;
    if ((s = tg_archive_get_text(a, name, &tokenizer)) || (s = tg_archive_get_texts(a, path, &n, &text)))
        return s;
    if (!tg_tokenizer_named(tokenizer, &k))
        return tg_context_note(cx, TG_ERR_FORMAT, "%s: there is no tokenizer '%s': it is words or chars",
                               name, shown(tokenizer, seen));

    tg_vocabulary *filled = vocabulary_begin(cx, k);
    if (!filled) return tg__status_taken(cx);
    if ((s = fill(filled, path, n, text))) {
        vocabulary_release(filled);
        return s;
    }
    filled->frozen = true;
    *v = filled;
    return TG_OK;
}
