/* data/vocabulary.c -- tokens and their ids.
 *
 * A vocabulary counts in one lexicon; freezing sorts it and enters what is kept into a second, in
 * the order of the ids, and forgets the first. */
#include <stdlib.h>
#include <string.h>

#include "core/check.h"
#include "data/lexicon.h"
#include "data/tokenizer.h"

struct tg_vocabulary {
    tg_context *cx;
    const tg_tokenizer *tokenizer;
    bool frozen;
    lexicon words;
    int64_t too_long; /* tokens counted that are longer than a token may be */
};

static tg_vocabulary nil_vocabulary = { .cx = &tg__context_nil, .tokenizer = &tg__tokenizer_nil };

/* ---- made in steps ---- */

static void vocabulary_release(void *object)
{
    tg_vocabulary *v = object;
    tg__lexicon_free(&v->words);
}

/* NULL: the context is in error. */
static tg_vocabulary *vocabulary_begin(tg_context *cx, const tg_tokenizer *k)
{
    tg_vocabulary *v = tg__arena_zeroed(&cx->own, sizeof *v);
    if (!v) return NULL;
    *v = (tg_vocabulary){ .cx = cx, .tokenizer = k };
    tg__arena_init(&v->words.memory, cx);
    tg__context_on_free(cx, vocabulary_release, v);
    return !cx->status && tg__lexicon_init(&v->words, cx) ? v : NULL;
}

tg_vocabulary *tg_vocabulary_new(tg_context *cx, const tg_tokenizer *k)
{
    if (!cx || !tg__tokenizer_is_of(cx, "tg_vocabulary_new", k)) return &nil_vocabulary;
    tg_vocabulary *v = vocabulary_begin(cx, k ? k : tg_tokenizer_new(cx, NULL));
    return v ? v : &nil_vocabulary;
}

static void count_token(void *user, const char *text, size_t bytes)
{
    tg_vocabulary *v = user;
    if (tg__is_special(text, bytes)) return; /* a text that spells "<s>" does not begin a sentence */
    if (bytes > TG_LONGEST_TOKEN) {
        v->too_long++;
        return;
    }
    const int id = tg__lexicon_enter(&v->words, text, bytes);
    if (id >= 0) v->words.entry[id].count++;
}

void tg_vocabulary_add(tg_vocabulary *v, const char *text)
{
    size_t at;
    if (!v || v->cx->status || !GIVEN(v->cx, ARG(text))) return;
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
    const lexicon_entry *x = a, *y = b;
    if (x->count != y->count) return x->count > y->count ? -1 : 1;
    const int order = memcmp(x->text, y->text, x->bytes < y->bytes ? x->bytes : y->bytes);
    return order ? order : (x->bytes > y->bytes) - (x->bytes < y->bytes);
}

void tg_vocabulary_freeze(tg_vocabulary *v, int min_frequency)
{
    if (!v || v->cx->status) return;
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
    lexicon_entry *sorted =
        tg__arena_take(&v->words.memory, tg__bytes(n, sizeof *sorted)); /* the slots stay right */
    if (sorted && n) memcpy(sorted, v->words.entry + TG_SPECIAL_TOKENS, n * sizeof *sorted);
    if (sorted) qsort(sorted, n, sizeof *sorted, by_frequency_then_bytes);

    bool well = sorted && tg__lexicon_init(&kept, v->cx);
    for (size_t i = 0; well && i < n && sorted[i].count >= min_frequency; i++)
        well = tg__lexicon_enter(&kept, sorted[i].text, sorted[i].bytes) >= 0;
    if (!well) { /* still to be frozen, and nothing lost */
        if (sorted) tg__arena_free(&kept.memory);
        return;
    }
    tg__arena_free(&v->words.memory);
    v->words = kept;
    v->frozen = true;
    if (v->too_long)
        tg__context_log(v->cx, TG_LOG_WARNING,
                        "tokens longer than %d bytes are unknown words: the text has %lld of them",
                        (int)TG_LONGEST_TOKEN, (long long)v->too_long);
}

/* ---- asked ---- */

bool tg__vocabulary_frozen(const tg_vocabulary *v) { return v->frozen; }
tg_context *tg__vocabulary_context(const tg_vocabulary *v) { return v->cx; }

/* May v be asked for ids? If not, the context is in error. */
static bool is_ready(const tg_vocabulary *v, const char *who)
{
    if (!v) return false;
    if (!v->frozen) tg_context_fail(v->cx, TG_ERR_STATE, "%s: the vocabulary is not frozen yet", who);
    return v->frozen;
}

int tg_vocabulary_size(const tg_vocabulary *v) { return is_ready(v, "tg_vocabulary_size") ? v->words.n : 0; }

const tg_tokenizer *tg_vocabulary_tokenizer(const tg_vocabulary *v)
{
    return v ? v->tokenizer : &tg__tokenizer_nil;
}

const char *tg_vocabulary_token(const tg_vocabulary *v, int id)
{
    if (!is_ready(v, "tg_vocabulary_token") || id < 0 || id >= v->words.n) return tg__special[TG_UNKNOWN];
    return v->words.entry[id].text;
}

static int find(const lexicon *x, const char *text, size_t bytes)
{
    const int id = tg__lexicon_find(x, text, bytes);
    return id ? id : TG_UNKNOWN;
}

int tg_vocabulary_id(const tg_vocabulary *v, const char *token, size_t bytes)
{
    return is_ready(v, "tg_vocabulary_id") && GIVEN(v->cx, ARG(token)) ? find(&v->words, token, bytes)
                                                                       : TG_UNKNOWN;
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
    if (!is_ready(v, "tg_vocabulary_encode") || !GIVEN(v->cx, ARG(text))) return 0;
    if (capacity > 0 && !GIVEN(v->cx, ARG(ids))) return 0;
    encoding e = { &v->words, ids, 0, capacity };
    return tg_tokenize(v->tokenizer, text, encode_token, &e);
}

size_t tg_vocabulary_decode(const tg_vocabulary *v, const int ids[], int n, char *text, size_t bytes)
{
    joining j = { .k = tg_vocabulary_tokenizer(v), .text = text, .bytes = text ? bytes : 0 };
    const bool ready = is_ready(v, "tg_vocabulary_decode") && (!bytes || GIVEN(v->cx, ARG(text))) &&
                       (n <= 0 || GIVEN(v->cx, ARG(ids)));
    for (int i = 0; ready && i < n && ids[i] != TG_END; i++)
        if (ids[i] != TG_PAD && ids[i] != TG_BEGIN) tg__join_token(&j, tg_vocabulary_token(v, ids[i]));
    return tg__join_end(&j);
}

/* ---- kept in an archive ---- */

tg_status tg_vocabulary_put(const tg_vocabulary *v, tg_archive *a, const char *path)
{
    if (!v) return TG_ERR_ARGUMENT;
    if (v->cx->status) return v->cx->status;
    const tg_status missing = MISSING(v->cx, ARG(a), ARG(path));
    if (missing) return missing;
    if (!v->frozen)
        return tg_context_note(v->cx, TG_ERR_STATE, "tg_vocabulary_put: %s: the vocabulary is not frozen yet",
                               path);

    const int n = v->words.n;
    const char **text = tg__allocate(v->cx, tg__bytes((size_t)n, sizeof *text));
    if (!text) return TG_ERR_MEMORY;
    for (int i = 0; i < n; i++) text[i] = v->words.entry[i].text;
    tg_status s = tg_archive_put_texts(a, path, n, text);
    tg__release(v->cx, text);
    return s ? s : tg__tokenizer_put(v->tokenizer, a, path);
}

/* What is wrong with token i of a stored vocabulary; NULL: nothing. */
static const char *wrong_with(const char *text, int i, const tg_tokenizer *k)
{
    if (i < TG_SPECIAL_TOKENS) return strcmp(text, tg__special[i]) ? "is not this special token" : NULL;
    if (tg__is_special(text, strlen(text))) return "is a special token out of its place";
    if (!tg_utf8_valid(text, NULL)) return "is not valid UTF-8";
    return tg__is_token(k, text) ? NULL : "is not one token";
}

static tg_status fill(tg_vocabulary *v, const char *path, int n, const char *const *text)
{
    if (n < TG_SPECIAL_TOKENS)
        return tg_context_note(v->cx, TG_ERR_FORMAT,
                               "vocabulary %s: %d tokens, fewer than the %d special ones", path, n,
                               TG_SPECIAL_TOKENS);
    for (int i = 0; i < n; i++) {
        const char *wrong = wrong_with(text[i], i, v->tokenizer);
        if (!wrong && i >= TG_SPECIAL_TOKENS) {
            const int id = tg__lexicon_enter(&v->words, text[i], strlen(text[i]));
            if (id < 0) return tg__status_taken(v->cx);
            if (id < i) wrong = "was there before";
        }
        if (wrong)
            return tg_context_note(v->cx, TG_ERR_FORMAT, "vocabulary %s: token %d of %d, '%s', %s", path, i,
                                   n, tg__shown_text(text[i]).s, wrong);
    }
    return TG_OK;
}

tg_status tg_vocabulary_get(tg_context *cx, const tg_archive *a, const char *path, tg_vocabulary **v)
{
    const char *const *text;
    tg_tokenizer *k;
    int n;
    tg_status s;
    if (!cx) return TG_ERR_ARGUMENT;
    if (cx->status) return cx->status;
    if ((s = MISSING(cx, ARG(a), ARG(path), ARG(v)))) return s;
    if ((s = tg__tokenizer_get(cx, a, path, &k)) || (s = tg_archive_get_texts(a, path, &n, &text))) return s;

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
