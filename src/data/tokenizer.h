/* data/tokenizer.h -- inside of a tokenizer: what one call does to a text, in this order.
 *
 *     text -> normal form (normal.c) -> words with joiners (words.c), or characters, or what white space
 *     separates (text.c) -> for kinds with codes, pieces of these (codes.c) -> tokens (tokenizer.c)
 *
 * and back: join.c. */
#ifndef DATA_TOKENIZER_H
#define DATA_TOKENIZER_H

#include "data/codes.h"

enum { TOKENIZER_VERSION = 2 };

struct tg_tokenizer {
    tg_context *cx;
    tg_tokenizer_config config;
    int version;   /* of the rules by which its vocabulary was made: see tokenizer_archive.c */
    bool ready;    /* of a kind with codes: it has them */
    lexicon words; /* counted, until there are codes */
    codes codes;
    bool raw; /* no normal form, as version 0.1.0: only TG_SPACES and TG_CHARACTERS in mixed case */
};

static inline bool tg__has_codes(const tg_tokenizer *k)
{
    return k->config.kind == TG_BPE || k->config.kind == TG_BPE_SPACES;
}

/* In steps, of a kind with codes: made, then given them. False: the context is in error. */
bool tg__tokenizer_begin_codes(tg_tokenizer *k);
/* Calls found for what each word is cut from: without joiners, and without what spells a special token. */
tg_status tg__tokenizer_bodies(const tg_tokenizer *k, const char *text,
                               void (*found)(void *user, const char *body, size_t bytes), void *user);

/* What a tokenizer that could not be made is: it finds nothing. */
extern tg_tokenizer tg__tokenizer_nil;

/* Is the tokenizer one of cx? (NULL is.) False: the context remembers. */
bool tg__tokenizer_is_of(tg_context *cx, const char *who, const tg_tokenizer *k);

/* ---- normal form ---- */

enum { NORMAL_SMALL = 512 };
typedef struct normal_text {
    int32_t small[NORMAL_SMALL];
    void *block; /* for tg__release(), if the text did not fit; or NULL */
} normal_text;

/* text in normal form C, in lower case if asked, without byte order marks at its start: part of text itself, or
 * in *room. What is not UTF-8 stays as it is. NULL: out of memory; the message says so, and the context is not poisoned. */
const char *tg__normal(tg_context *cx, const char *text, bool lowercase, normal_text *room);

/* ---- where the next token starts at or after p, and its bytes: 0 at the end of the text ---- */

const char *tg__next_spaced(const char *p, size_t *bytes);
const char *tg__next_character(const char *p, size_t *bytes);

/* ---- words ---- */

#define JOINER       "\xEF\xBF\xAD" /* U+FFED */
#define ESCAPE       "\xEF\xBF\xAE" /* U+FFEE: followed by 1 for a joiner, by 0 for itself */
#define JOINER_BYTES 3
#define ESCAPE_BYTES 4    /* with the digit */
#define MORE         "@@" /* behind a piece: its word goes on in the next */
#define MORE_BYTES   2
#define MARK         "\xEF\xBB\xBF" /* U+FEFF, the byte order mark */
#define MARK_BYTES   3

static inline bool tg__starts(const char *p, const char *mark)
{
    return p[0] == mark[0] && p[1] == mark[1] && p[2] == mark[2];
}

typedef struct cut_word {
    const char *body; /* as it stands in the text */
    size_t bytes;
    bool left, right; /* joined to what is before it, to what follows */
    bool whole;       /* what spells a special token */
} cut_word;
/* Calls found for each word of the text, which is in normal form. */
void tg__words(const char *text, void (*found)(void *user, const cut_word *w), void *user);
/* Can this be a token that a word, or a part of one, is written as? */
bool tg__is_word_token(const char *token);

/* ---- the whole ---- */

/* tg_tokenize(), but a failure is a status with its sentence, and poisons nothing. *n may be NULL. */
tg_status tg__tokenize(const tg_tokenizer *k, const char *text,
                       void (*found)(void *user, const char *token, size_t bytes), void *user, int *n);

/* Is text (0-terminated UTF-8) one token that this tokenizer can have made? */
bool tg__is_token(const tg_tokenizer *k, const char *text);

/* Texts put together piece by piece: zeroes but for kind, text and bytes; then each token; then the end. */
typedef struct joining {
    const tg_tokenizer *k;
    char *text;
    size_t bytes, needed;
    bool begun, joined; /* something was put; what follows touches it */
} joining;
void tg__join_token(joining *j, const char *token);
size_t tg__join_end(joining *j); /* the bytes needed */

#endif
