/* data/codes.h -- byte-pair codes (Sennrich, Haddow, Birch 2016, arXiv:1508.07909), as in
 * subword-nmt.
 *
 * A word is a sequence of symbols: at first its characters, of which the last is marked with "</w>"
 * (version 0.2), or followed by "</w>" as a symbol of its own (0.1). The codes are pairs of symbols; the
 * pair that comes first among them is merged wherever it stands in the word, and so on until no pair is
 * left that is among them. */
#ifndef DATA_CODES_H
#define DATA_CODES_H

#include "data/lexicon.h"

enum { CODES_LONGEST = 1000 }; /* symbols: longer words are cut in parts of so many */
enum {
    CODES_LONGEST_SYMBOL = TG_LONGEST_TOKEN - 8
}; /* bytes of what a code makes; a token has a joiner and "@@" more */
#define CODES_END "</w>"

typedef struct merger {
    int left, right, merged; /* symbols; left 0: a free slot */
    int rank;
} merger;

typedef struct codes {
    lexicon symbols;
    bool old; /* version 0.1 */
    int n;
    size_t capacity;
    const char **text; /* "left right", by rank */
    merger *slot;      /* the first of equal pairs, by open addressing */
    size_t slots;
} codes;

/* None yet. False: the context is in error. */
bool tg__codes_init(codes *x, tg_context *cx, bool old);
void tg__codes_free(codes *x);

/* Is this "left right": two symbols with a space between, in valid UTF-8, without a NUL? */
bool tg__is_code(const char *text, size_t bytes);
/* One more, which is a code. False: the context is in error. */
bool tg__codes_add(codes *x, const char *text, size_t bytes);
const merger *tg__codes_find(const codes *x, int left, int right); /* NULL: not there */

/* The characters of a word, each a symbol (CODES_LONGEST at most): where they begin, and where the last one
 * ends, in start. Returns their number. */
int tg__codes_characters(const char *word, size_t bytes, uint32_t start[CODES_LONGEST + 1]);

/* Calls found for each piece of the word, from left to right. */
void tg__codes_segment(const codes *x, const char *word, size_t bytes,
                       void (*found)(void *user, const char *piece, size_t bytes, bool last), void *user);

/* Codes (version 0.2) from words and their counts: again and again the most frequent pair, of equal ones
 * the greater (by left, then right symbol, in byte order), up to `merges`, while it is there at least
 * min_frequency times. Pairs that would make more than CODES_LONGEST_SYMBOL bytes are passed over. False: the context is in error. */
bool tg__codes_learn(codes *x, const lexicon *words, int merges, int64_t min_frequency);

#endif
