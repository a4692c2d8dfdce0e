/* data/tokenizer.c -- one call: normal form, words or characters, joiners. */
#include <stdlib.h>
#include <string.h>

#include "data/tokenizer.h"

static const struct {
    const char *name;
    const char *(*next)(const char *p, size_t *bytes); /* NULL: words.c */
} kinds[] = {
    [TG_WORDS] = { "words", NULL },
    [TG_CHARACTERS] = { "chars", tg__next_character },
    [TG_SPACES] = { "spaces", tg__next_spaced },
};
enum { KINDS = sizeof kinds / sizeof *kinds };

tg_tokenizer tg__tokenizer_nil = { .cx = &tg__context_nil };

const char *tg_tokenizer_name(tg_tokenizer_kind kind)
{
    return (unsigned)kind < KINDS ? kinds[kind].name : "unknown";
}

bool tg_tokenizer_named(const char *name, tg_tokenizer_kind *kind)
{
    for (int i = 0; i < KINDS; i++) {
        if (strcmp(name, kinds[i].name)) continue;
        *kind = (tg_tokenizer_kind)i;
        return true;
    }
    return false;
}

tg_tokenizer *tg_tokenizer_new(tg_context *cx, const tg_tokenizer_config *config)
{
    const tg_tokenizer_config c = config ? *config : (tg_tokenizer_config){ 0 };
    if (cx->status) return &tg__tokenizer_nil;
    if ((unsigned)c.kind >= KINDS) {
        tg_context_fail(cx, TG_ERR_ARGUMENT, "tg_tokenizer_new: there is no kind %d of tokenizers",
                        (int)c.kind);
        return &tg__tokenizer_nil;
    }
    tg_tokenizer *k = tg__arena_zeroed(&cx->own, sizeof *k);
    if (!k) return &tg__tokenizer_nil;
    *k = (tg_tokenizer){ .cx = cx, .config = c };
    return k;
}

tg_tokenizer_config tg_tokenizer_settings(const tg_tokenizer *k) { return k->config; }

/* ---- a text to tokens ---- */

typedef struct pass {
    void (*found)(void *user, const char *token, size_t bytes);
    void *user;
    int n;
    char *room; /* for a token that is more than a piece of the text */
} pass;

static void emit(pass *p, const char *token, size_t bytes)
{
    p->n++;
    if (p->found) p->found(p->user, token, bytes);
}

static bool is_mark(const char *p) { return tg__starts(p, JOINER) || tg__starts(p, ESCAPE); }

/* A copy of the body, with its marks written as what they cannot be mistaken for. Returns its end. */
static char *write_body(char *to, const char *p, size_t n)
{
    for (const char *end = p + n; p < end;) {
        if (end - p < JOINER_BYTES || !is_mark(p)) {
            *to++ = *p++;
            continue;
        }
        memcpy(to, ESCAPE, JOINER_BYTES);
        to[JOINER_BYTES] = tg__starts(p, JOINER) ? '1' : '0';
        to += ESCAPE_BYTES, p += JOINER_BYTES;
    }
    return to;
}

static void take_word(void *user, const word *w)
{
    pass *p = user;
    if (!w->left && !w->right && !memchr(w->body, JOINER[0], w->bytes)) {
        emit(p, w->body, w->bytes);
        return;
    }
    char *to = p->room;
    if (w->left) memcpy(to, JOINER, JOINER_BYTES), to += JOINER_BYTES;
    to = write_body(to, w->body, w->bytes);
    if (w->right) memcpy(to, JOINER, JOINER_BYTES), to += JOINER_BYTES;
    emit(p, p->room, (size_t)(to - p->room));
}

static void run(const tg_tokenizer *k, const char *text, pass *p)
{
    size_t bytes;
    if (!kinds[k->config.kind].next)
        tg__words(text, take_word, p);
    else
        for (; text = kinds[k->config.kind].next(text, &bytes), bytes; text += bytes) emit(p, text, bytes);
}

tg_status tg__tokenize(const tg_tokenizer *k, const char *text,
                       void (*found)(void *user, const char *token, size_t bytes), void *user, int *n)
{
    char small[1024];
    normal_text room;
    tg_context *cx = k->cx;
    if (n) *n = 0;
    if (k == &tg__tokenizer_nil) return TG_ERR_STATE;
    const char *normal = text;
    room.block = NULL;
    if (!k->raw && !(normal = tg__normal(cx, text, k->config.lowercase, &room))) return TG_ERR_MEMORY;

    const size_t need = 2 * strlen(normal) + 16; /* a mark of three bytes is written with four */
    pass p = { .found = found, .user = user, .room = need > sizeof small ? tg__allocate(cx, need) : small };
    if (p.room) run(k, normal, &p);
    if (p.room != small) tg__release(cx, p.room);
    tg__release(cx, room.block);
    if (n) *n = p.n;
    return p.room ? TG_OK : TG_ERR_MEMORY;
}

int tg_tokenize(const tg_tokenizer *k, const char *text,
                void (*found)(void *user, const char *token, size_t bytes), void *user)
{
    int n;
    const tg_status s = tg__tokenize(k, text, found, user, &n);
    if (s) tg_context_fail(k->cx, s, "out of memory: a text of %zu bytes to be tokenized", strlen(text));
    return n;
}

/* ---- asked ---- */

bool tg__is_token(const tg_tokenizer *k, const char *text)
{
    size_t bytes;
    if (!kinds[k->config.kind].next) return tg__is_word_token(text);
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
    tg_context_fail(k->cx, TG_ERR_MEMORY, "out of memory: the tokens of a text of %zu bytes", strlen(text));
    return NULL;
}
