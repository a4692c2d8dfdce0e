/* metrics/chrf.c -- chrF (Popovic 2015) and chrF++ (Popovic 2017), with sacreBLEU's means and lines. */
#include <string.h>

#include "core/check.h"
#include "metrics/metrics.h"

enum { KINDS = 2 * TG_ORDERS }; /* characters of order 1.., then words */

/* N-grams of each kind, of one sentence or the corpus. */
typedef struct counts {
    int64_t hypothesis[KINDS], reference[KINDS], matches[KINDS];
} counts;

struct tg_chrf {
    tg_context *cx;
    tg_chrf_config config; /* with the defaults in their places */
    counts all;
    int64_t sentences;
    int references; /* see tg__references_joined() */
    reading reading;
    symbols words;
    ngrams ngrams;
};

static tg_chrf nil_chrf = { .cx = &tg__context_nil,
                            .config = { .character_order = 6, .beta = 2 },
                            .references = -1 };

/* ---- made ---- */

static bool check(tg_context *cx, const tg_chrf_config *c)
{
    if (c->character_order < 1 || c->character_order > TG_ORDERS || c->word_order < 0 ||
        c->word_order > TG_ORDERS)
        tg_context_fail(cx, TG_ERR_ARGUMENT,
                        "tg_chrf_new: character_order is %d (of 1..%d), word_order %d (of 0..%d)",
                        c->character_order, TG_ORDERS, c->word_order, TG_ORDERS);
    else if (c->beta < 1 || c->beta > 100)
        tg_context_fail(cx, TG_ERR_ARGUMENT, "tg_chrf_new: beta is %d, not in 1..100", c->beta);
    return !cx->status;
}

static void chrf_release(void *object)
{
    tg_chrf *f = object;
    tg__reading_free(&f->reading);
    tg__symbols_free(&f->words);
    tg__ngrams_free(&f->ngrams);
}

tg_chrf *tg_chrf_new(tg_context *cx, const tg_chrf_config *config)
{
    tg_chrf_config c = config ? *config : (tg_chrf_config){ 0 };
    if (!c.character_order) c.character_order = 6;
    if (!c.beta) c.beta = 2;
    if (!cx || cx->status || !check(cx, &c)) return &nil_chrf;
    tg_chrf *f = tg__arena_zeroed(&cx->own, sizeof *f);
    if (!f) return &nil_chrf;
    *f = (tg_chrf){ .cx = cx, .config = c, .references = -1, .words.cx = cx, .ngrams.cx = cx };
    tg__reading_init(&f->reading, cx);
    tg__context_on_free(cx, chrf_release, f);
    return cx->status ? &nil_chrf : f;
}

void tg_chrf_reset(tg_chrf *f)
{
    if (!f || f == &nil_chrf) return;
    f->all = (counts){ 0 };
    f->sentences = 0;
    f->references = -1;
}

/* ---- the score ---- */

static bool is_punctuation(uint32_t c)
{
    return c && c < 128 && strchr("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", (int)c);
}

/* Means over the orders that both sides have. */
static void score_of(const tg_chrf_config *c, const counts *n, tg_chrf_score *score)
{
    const double beta2 = (double)c->beta * c->beta;
    double P = 0, R = 0;
    int orders = 0;
    for (int k = 0; k < KINDS; k++) {
        if (!n->hypothesis[k] || !n->reference[k]) continue;
        P += (double)n->matches[k] / (double)n->hypothesis[k];
        R += (double)n->matches[k] / (double)n->reference[k];
        orders++;
    }
    if (orders) P /= orders, R /= orders;
    score->precision = P;
    score->recall = R;
    score->score = P + R > 0 ? 100 * ((1 + beta2) * P * R / (beta2 * P + R)) : 0;
}

void tg_chrf_result(const tg_chrf *f, tg_chrf_score *score)
{
    if (!f || !score) {
        if (f) GIVEN(f->cx, ARG(score));
        if (score) *score = (tg_chrf_score){ 0 };
        return;
    }
    score_of(&f->config, &f->all, score);
    score->sentences = f->sentences;
}

/* ---- counted ---- */

/* Characters that are not white, moved to the front. */
static void drop_white(symbols *text)
{
    size_t n = 0;
    for (size_t i = 0; i < text->n; i++)
        if (!tg__is_white(text->at[i])) text->at[n++] = text->at[i];
    text->n = n;
}

/* How much of a word is the first of its two parts: punctuation is cut off at its end, or else at its
 * beginning. All of it, if there is none. */
static size_t first_part(const uint32_t *word, size_t n)
{
    if (n > 1 && is_punctuation(word[n - 1])) return n - 1;
    return is_punctuation(word[0]) ? 1 : n;
}

/* The words of the text in f->reading, as numbers. Room for them was made. */
static void read_words(tg_chrf *f, bool enter)
{
    const uint32_t *const end = f->reading.text.at + f->reading.text.n;
    size_t length;
    for (const uint32_t *p = f->reading.text.at; p = tg__next_word(p, end, &length), length; p += length) {
        const size_t first = first_part(p, length);
        f->words.at[f->words.n++] = tg__ngrams_spell(&f->ngrams, p, first, enter);
        if (first < length)
            f->words.at[f->words.n++] = tg__ngrams_spell(&f->ngrams, p + first, length - first, enter);
    }
}

/* A text as words in f->words and as characters in f->reading. reference: from 1; 0: the hypothesis, with
 * which n-grams begin anew. */
static tg_status read_text(tg_chrf *f, const char *text, int reference)
{
    const symbols *read = &f->reading.text;
    const tg_status s = tg__reading_begin(&f->reading, text, f->config.lowercase, "tg_chrf_add", reference);
    if (s) return s;
    const int orders = f->config.character_order + f->config.word_order;
    if (!reference && !tg__ngrams_begin(&f->ngrams, read->n * (size_t)(orders + 1))) return TG_ERR_MEMORY;
    if (!tg__symbols_room(&f->words, read->n)) return TG_ERR_MEMORY; /* a word has a character at least */
    if (f->config.word_order) read_words(f, !reference);
    drop_white(&f->reading.text);
    return TG_OK;
}

static void count_totals(const tg_chrf *f, int64_t totals[KINDS])
{
    for (int k = 0; k < f->config.character_order; k++)
        totals[k] = tg__ngrams_total(f->reading.text.n, k + 1);
    for (int k = 0; k < f->config.word_order; k++)
        totals[TG_ORDERS + k] = tg__ngrams_total(f->words.n, k + 1);
}

static tg_status count_reference(tg_chrf *f, const char *text, int number, counts *one)
{
    const tg_status s = read_text(f, text, number);
    if (s) return s;
    tg__ngrams_next_reference(&f->ngrams, true);
    tg__ngrams_match(&f->ngrams, NGRAMS_CHARACTERS, &f->reading.text, f->config.character_order,
                     one->matches);
    tg__ngrams_match(&f->ngrams, NGRAMS_WORDS, &f->words, f->config.word_order, one->matches + TG_ORDERS);
    count_totals(f, one->reference);
    for (int k = 0; k < KINDS; k++)
        if (!one->reference[k]) one->hypothesis[k] = 0; /* nothing to compare with */
    return TG_OK;
}

static void add_counts(counts *all, const counts *one)
{
    for (int k = 0; k < KINDS; k++) {
        all->hypothesis[k] += one->hypothesis[k];
        all->reference[k] += one->reference[k];
        all->matches[k] += one->matches[k];
    }
}

tg_status tg_chrf_add(tg_chrf *f, const char *hypothesis, int n, const char *const references[])
{
    if (!f) return TG_ERR_ARGUMENT;
    counts empty = { 0 }, best = { 0 };
    double highest = -1;
    tg_status s;
    if (f->cx->status) return f->cx->status;
    if (n < 1) return tg_context_note(f->cx, TG_ERR_ARGUMENT, "tg_chrf_add: %d references", n);
    if ((s = MISSING(f->cx, ARG(hypothesis), ARG(references)))) return s;
    for (int i = 0; i < n; i++)
        if (!references[i])
            return tg_context_note(f->cx, TG_ERR_ARGUMENT, "tg_chrf_add: reference %d of %d is NULL", i + 1,
                                   n);
    if ((s = read_text(f, hypothesis, 0))) return s;
    count_totals(f, empty.hypothesis);
    tg__ngrams_count(&f->ngrams, NGRAMS_CHARACTERS, &f->reading.text, f->config.character_order);
    tg__ngrams_count(&f->ngrams, NGRAMS_WORDS, &f->words, f->config.word_order);
    for (int i = 0; i < n; i++) {
        counts one = empty;
        tg_chrf_score score;
        if ((s = count_reference(f, references[i], i + 1, &one))) return s;
        score_of(&f->config, &one, &score);
        if (score.score > highest) highest = score.score, best = one;
    }
    add_counts(&f->all, &best);
    f->references = tg__references_joined(f->references, n);
    f->sentences++;
    return TG_OK;
}

/* ---- told ---- */

static void write_signature(writer *w, const tg_chrf *f)
{
    tg__write_common(w, f->references, f->config.lowercase);
    tg__write(w, "eff:yes|nc:%d|nw:%d|space:no|version:tidegate-%s", f->config.character_order,
              f->config.word_order, TG_VERSION);
}

size_t tg_chrf_signature(const tg_chrf *f, char *text, size_t bytes)
{
    writer w = { text, text ? bytes : 0, 0 };
    f = f ? f : &nil_chrf;
    write_signature(&w, f);
    return w.n;
}

size_t tg_chrf_line(const tg_chrf *f, char *text, size_t bytes)
{
    writer w = { text, text ? bytes : 0, 0 };
    f = f ? f : &nil_chrf;
    tg_chrf_score s;
    tg_chrf_result(f, &s);
    tg__write(&w, "chrF%d%.*s|", f->config.beta, f->config.word_order, "++++++++");
    write_signature(&w, f);
    tg__write(&w, " = %.2f", s.score);
    return w.n;
}
