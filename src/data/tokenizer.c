/* data/tokenizer.c -- one call: normal form, words or characters, joiners. */
#include <stdlib.h>
#include <string.h>

#include "core/check.h"
#include "data/tokenizer.h"

static const struct {
    const char *name;
    const char *(*next)(const char *p, size_t *bytes); /* NULL: words.c */
} kinds[] = {
    [TG_WORDS] = { "words", NULL },
    [TG_CHARACTERS] = { "chars", tg__next_character },
    [TG_SPACES] = { "spaces", tg__next_spaced },
    [TG_BPE] = { "bpe", NULL },
    [TG_BPE_SPACES] = { "bpe-spaces", tg__next_spaced },
};
enum { KINDS = sizeof kinds / sizeof *kinds };

tg_tokenizer tg__tokenizer_nil = { .cx = &tg__context_nil };

const char *tg_tokenizer_name(tg_tokenizer_kind kind)
{
    return (unsigned)kind < KINDS ? kinds[kind].name : "unknown";
}

bool tg_tokenizer_named(const char *name, tg_tokenizer_kind *kind)
{
    for (int i = 0; name && kind && i < KINDS; i++) {
        if (strcmp(name, kinds[i].name)) continue;
        *kind = (tg_tokenizer_kind)i;
        return true;
    }
    return false;
}

tg_tokenizer *tg_tokenizer_new(tg_context *cx, const tg_tokenizer_config *config)
{
    const tg_tokenizer_config c = config ? *config : (tg_tokenizer_config){ 0 };
    if (!cx || cx->status) return &tg__tokenizer_nil;
    if ((unsigned)c.kind >= KINDS) {
        tg_context_fail(cx, TG_ERR_ARGUMENT, "tg_tokenizer_new: there is no kind %d of tokenizers",
                        (int)c.kind);
        return &tg__tokenizer_nil;
    }
    tg_tokenizer *k = tg__arena_zeroed(&cx->own, sizeof *k);
    if (!k) return &tg__tokenizer_nil;
    *k = (tg_tokenizer){ .cx = cx, .config = c, .version = TOKENIZER_VERSION };
    return !tg__has_codes(k) || tg__tokenizer_begin_codes(k) ? k : &tg__tokenizer_nil;
}

static const tg_tokenizer *or_nil(const tg_tokenizer *k) { return k ? k : &tg__tokenizer_nil; }

tg_tokenizer_config tg_tokenizer_settings(const tg_tokenizer *k) { return or_nil(k)->config; }

bool tg__tokenizer_is_of(tg_context *cx, const char *who, const tg_tokenizer *k)
{
    if (!k || k->cx == cx || cx->status) return !cx->status;
    tg_context_fail(cx, TG_ERR_STATE, "%s: the tokenizer %s", who,
                    k == &tg__tokenizer_nil ? "could not be made" : "belongs to another context");
    return false;
}

/* ---- a text to tokens ---- */

typedef struct pass {
    const codes *codes; /* NULL: words stay whole */
    bool bodies;        /* without joiners */
    void (*found)(void *user, const char *token, size_t bytes);
    void *user;
    int n;
    char *body, *token; /* room for a word, and for a token, that are more than a piece of the text */
    bool left, right;   /* of the word that is being cut */
} pass;

static void emit(pass *p, const char *token, size_t bytes)
{
    p->n++;
    if (p->found) p->found(p->user, token, bytes);
}

static bool is_mark(const char *p) { return tg__starts(p, JOINER) || tg__starts(p, ESCAPE); }

/* A copy of the body, with its marks written as what they cannot be mistaken for. Returns its bytes. */
static size_t write_body(char *to, const char *p, size_t n)
{
    char *const begin = to;
    for (const char *end = p + n; p < end;) {
        if (end - p < JOINER_BYTES || !is_mark(p)) {
            *to++ = *p++;
            continue;
        }
        memcpy(to, ESCAPE, JOINER_BYTES);
        to[JOINER_BYTES] = tg__starts(p, JOINER) ? '1' : '0';
        to += ESCAPE_BYTES, p += JOINER_BYTES;
    }
    return (size_t)(to - begin);
}

static char *add(char *to, const char *text, size_t n)
{
    memcpy(to, text, n);
    return to + n;
}

/* One piece of a word, which may be all of it. */
static void take_piece(void *user, const char *piece, size_t bytes, bool last)
{
    pass *p = user;
    char *to = p->token;
    if (!p->left && last && !p->right) {
        emit(p, piece, bytes);
        return;
    }
    if (p->left) to = add(to, JOINER, JOINER_BYTES);
    to = add(to, piece, bytes);
    if (!last) to = add(to, MORE, MORE_BYTES);
    if (last && p->right) to = add(to, JOINER, JOINER_BYTES);
    p->left = false;
    emit(p, p->token, (size_t)(to - p->token));
}

static void take_word(void *user, const cut_word *w)
{
    pass *p = user;
    const char *body = w->body;
    size_t bytes = w->bytes;
    if (memchr(body, JOINER[0], bytes)) bytes = write_body(p->body, body, bytes), body = p->body;
    p->left = w->left && !p->bodies;
    p->right = w->right && !p->bodies;
    if (p->bodies && w->whole) return;
    if (p->codes && !w->whole)
        tg__codes_segment(p->codes, body, bytes, take_piece, p);
    else
        take_piece(p, body, bytes, true);
}

static void run(const tg_tokenizer *k, const char *text, pass *p)
{
    size_t bytes;
    if (!kinds[k->config.kind].next) {
        tg__words(text, take_word, p);
        return;
    }
    for (; text = kinds[k->config.kind].next(text, &bytes), bytes; text += bytes)
        if (tg__has_codes(k))
            take_word(p, &(cut_word){ text, bytes, .whole = tg__is_special(text, bytes) });
        else
            emit(p, text, bytes);
}

/* From the text to its normal form, and to room for its tokens. */
static tg_status prepare_and_run(const tg_tokenizer *k, const char *text, pass *p)
{
    char small[2048], *room = small;
    normal_text form = { .block = NULL };
    const char *normal = k->raw ? text : tg__normal(k->cx, text, k->config.lowercase, &form);
    const size_t half = normal ? 2 * strlen(normal) + 16 : 0; /* a mark of three bytes is written with four */
    if (normal && 2 * half > sizeof small) room = tg__allocate(k->cx, 2 * half);
    if (normal && room) {
        p->body = room, p->token = room + half;
        run(k, normal, p);
    }
    if (room != small) tg__release(k->cx, room);
    tg__release(k->cx, form.block);
    return normal && room ? TG_OK : TG_ERR_MEMORY;
}

tg_status tg__tokenize(const tg_tokenizer *k, const char *text,
                       void (*found)(void *user, const char *token, size_t bytes), void *user, int *n)
{
    pass p = { .codes = tg__has_codes(k) ? &k->codes : NULL, .found = found, .user = user };
    tg_status s = TG_ERR_STATE;
    if (k != &tg__tokenizer_nil && (!p.codes || k->ready))
        s = prepare_and_run(k, text, &p);
    else
        tg_context_note(k->cx, s, "a tokenizer of kind %s has no codes yet: they are to be learnt, or read",
                        tg_tokenizer_name(k->config.kind));
    if (n) *n = s ? 0 : p.n;
    return s;
}

tg_status tg__tokenizer_bodies(const tg_tokenizer *k, const char *text,
                               void (*found)(void *user, const char *body, size_t bytes), void *user)
{
    return prepare_and_run(k, text, &(pass){ .bodies = true, .found = found, .user = user });
}

/* A status becomes a failure of the context. */
static void fail(const tg_tokenizer *k, tg_status s, const char *text)
{
    if (s == TG_ERR_MEMORY)
        tg_context_fail(k->cx, s, "out of memory: a text of %zu bytes to be tokenized", strlen(text));
    else
        tg_context_fail(k->cx, s, "a tokenizer of kind %s has no codes yet: they are to be learnt, or read",
                        tg_tokenizer_name(k->config.kind));
}

int tg_tokenize(const tg_tokenizer *k, const char *text,
                void (*found)(void *user, const char *token, size_t bytes), void *user)
{
    int n;
    k = or_nil(k);
    if (!GIVEN(k->cx, ARG(text))) return 0;
    const tg_status s = tg__tokenize(k, text, found, user, &n);
    if (s) fail(k, s, text);
    return n;
}

/* ---- asked ---- */

bool tg__is_token(const tg_tokenizer *k, const char *text)
{
    size_t bytes;
    if (!kinds[k->config.kind].next) {
        const char *piece = tg__starts(text, JOINER) ? text + JOINER_BYTES : text;
        return tg__is_word_token(text) && (k->config.kind != TG_BPE || strcmp(piece, MORE) != 0);
    }
    return kinds[k->config.kind].next(text, &bytes) == text && bytes && bytes == strlen(text);
}

typedef struct list {
    size_t bytes;
    int n;
    char **token, *room; /* NULL: measured only */
} list;

static void list_token(void *user, const char *token, size_t bytes)
{
    list *x = user;
    x->bytes += bytes + 1;
    if (x->token) {
        x->token[x->n++] = memcpy(x->room, token, bytes);
        x->room[bytes] = 0;
        x->room += bytes + 1;
    }
}

char **tg_tokenizer_split(const tg_tokenizer *k, const char *text, int *n)
{
    list x = { 0 };
    int none;
    k = or_nil(k);
    const bool given = GIVEN(k->cx, ARG(text), ARG(n));
    if (!n) n = &none;
    *n = 0;
    if (!given) return NULL;
    tg_status s = tg__tokenize(k, text, list_token, &x, n);
    char **token = s ? NULL : malloc(((size_t)*n + 1) * sizeof *token + x.bytes);
    if (token) {
        x.token = token, x.room = (char *)(token + *n + 1);
        s = tg__tokenize(k, text, list_token, &x, n);
        token[x.n] = NULL;
    }
    if (token && !s) return token;
    free(token);
    *n = 0;
    fail(k, s ? s : TG_ERR_MEMORY, text);
    return NULL;
}
