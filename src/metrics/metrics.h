/* metrics/metrics.h -- what the files of this room share: texts as numbers, and their n-grams. */
#ifndef METRICS_METRICS_H
#define METRICS_METRICS_H

#include <tidegate/metrics.h>

#include "core/context.h"

/* ---- symbols: a text as code points, or as words that have numbers ---- */

typedef struct symbols {
    tg_context *cx;
    uint32_t *at;
    size_t n, capacity;
} symbols;

/* Room for n; what was there is lost. False: out of memory, which the context's message says. */
bool tg__symbols_room(symbols *s, size_t n);
void tg__symbols_free(symbols *s);

/* A text on its way to n-grams: `spare` is room to work in. */
typedef struct reading {
    symbols text, spare;
} reading;

void tg__reading_init(reading *r, tg_context *cx);
void tg__reading_free(reading *r);
/* The pass from r->text to r->spare is done: its result is the text now. */
void tg__reading_turn(reading *r);

/* UTF-8 to code points, in lower case if asked. For messages: who asks, and which reference it is (from
 * 1; 0: the hypothesis). */
tg_status tg__reading_begin(reading *r, const char *utf8, bool lowercase, const char *who, int reference);

/* r->text cut by mteval-v13a's rules: white space stands between tokens from now on. */
tg_status tg__tokenize_13a(reading *r);

/* Python's str.isspace() and split(), which is what sacreBLEU goes by: Unicode's White_Space, and
 * U+001C..U+001F. */
bool tg__is_white(uint32_t c);

/* The next word in [at, end): where it starts and its length, 0 at the end. */
const uint32_t *tg__next_word(const uint32_t *at, const uint32_t *end, size_t *n);

/* ---- n-grams of one sentence ---- */

/* A tree of the hypothesis' n-grams: each is the one that is shorter by its last symbol, and that symbol.
 * The roots are the empty n-grams of each kind; 0 means "there is none" where an n-gram is asked for. */
enum { NGRAMS_CHARACTERS = 1, NGRAMS_WORDS, NGRAMS_SPELLINGS, NGRAMS_FIRST };

typedef struct ngram {
    uint32_t before, last;
    uint32_t hypothesis; /* how often the hypothesis has it */
    uint32_t most;       /* and a reference, at most */
    uint32_t here;       /* and the reference at hand */
} ngram;

/* Found by open addressing with linear steps; 0 marks a free slot. */
typedef struct ngrams {
    tg_context *cx;
    ngram *at;
    size_t n, capacity;
    uint32_t *slot;
    size_t slots, slot_capacity; /* slots: a power of two, at least 2 n */
} ngrams;

/* Empty, with room for that many. False: out of memory, which the context's message says. */
bool tg__ngrams_begin(ngrams *g, size_t most);
void tg__ngrams_free(ngrams *g);

/* The number of a word from its letters: of the hypothesis, which are entered; of a reference: 0 if the
 * hypothesis does not have it. */
uint32_t tg__ngrams_spell(ngrams *g, const uint32_t *letters, size_t n, bool enter);

/* Enters all n-grams of the hypothesis, of orders 1..orders. */
void tg__ngrams_count(ngrams *g, uint32_t root, const symbols *s, int orders);
/* Another reference comes. alone: matches are against it alone; otherwise against the one that has most. */
void tg__ngrams_next_reference(ngrams *g, bool alone);
/* Adds to matches[order-1] what a reference matches more than those before it. */
void tg__ngrams_match(ngrams *g, uint32_t root, const symbols *s, int orders, int64_t matches[]);

/* How many n-grams of that order n symbols have. */
static inline int64_t tg__ngrams_total(size_t n, int order)
{
    return n < (size_t)order ? 0 : (int64_t)(n - (size_t)order + 1);
}

/* ---- numbers of references ---- */

/* For signatures: -1 none yet, 0 different ones. */
static inline int tg__references_joined(int before, int n) { return before < 0 || before == n ? n : 0; }

/* ---- text for people ---- */

typedef struct writer {
    char *text;
    size_t bytes, n; /* room; needed so far */
} writer;

/* Like snprintf at the end of what is there, with a decimal point whatever the program's locale. */
void tg__write(writer *w, const char *format, ...) TG_PRINTF(2, 3);
/* "nrefs:1|case:lc|" */
void tg__write_common(writer *w, int references, bool lowercase);

#endif
