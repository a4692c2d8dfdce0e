/* data/lexicon.h -- texts and their numbers: what vocabularies and byte-pair codes are made of. */
#ifndef DATA_LEXICON_H
#define DATA_LEXICON_H

#include "data/data.h"

typedef struct lexicon_entry {
    const char *text; /* 0-terminated */
    size_t bytes;
    uint64_t hash;
    int64_t count;
} lexicon_entry;

/* Entries in the order they were entered, found by open addressing with linear steps. The first four
 * are the special tokens, which no text can reach: they are in no slot, so that 0 marks a free one. */
typedef struct lexicon {
    arena memory;
    lexicon_entry *entry;
    int n;
    size_t capacity;
    int *slot;
    size_t slots; /* a power of two, at least 4 n */
    char *room;   /* for the texts, `left` bytes */
    size_t left;
} lexicon;

/* Empty but for the special tokens. False: the context is in error. */
bool tg__lexicon_init(lexicon *x, tg_context *cx);
void tg__lexicon_free(lexicon *x); /* a second time, too; or after zeroes and tg__arena_init() */

/* The number of the text, entered if it is new; -1: the context is in error. */
int tg__lexicon_enter(lexicon *x, const char *text, size_t bytes);
/* 0: it is not there. */
int tg__lexicon_find(const lexicon *x, const char *text, size_t bytes);

extern const char *const tg__special[TG_SPECIAL_TOKENS];
bool tg__is_special(const char *text, size_t bytes);

#endif
