/* metrics/bleu.c -- BLEU (Papineni et al. 2002) with sacreBLEU's tokens, smoothing and lines. */
#include <math.h>
#include <stdlib.h>

#include "core/check.h"
#include "metrics/metrics.h"

typedef struct counts {
    int64_t matches[TG_ORDERS], totals[TG_ORDERS]; /* C_n, T_n */
    int64_t hypothesis, reference;                 /* c, r */
} counts;

struct tg_bleu {
    tg_context *cx;
    tg_bleu_config config; /* with the defaults in their places */
    counts all;
    int64_t sentences;
    int references; /* see tg__references_joined() */
    reading reading;
    symbols words;
    ngrams ngrams;
};

static tg_bleu nil_bleu = { .cx = &tg__context_nil, .config = { .max_order = 4 }, .references = -1 };

static const char *const tokenizer_names[] = {
    [TG_BLEU_TOKENIZE_13A] = "13a", [TG_BLEU_TOKENIZE_NONE] = "none"
};
static const struct {
    const char *name;
    double standard; /* of the value; 0: it has none */
} smoothings[] = {
    [TG_BLEU_SMOOTH_EXP] = { "exp", 0 },
    [TG_BLEU_SMOOTH_NONE] = { "none", 0 },
    [TG_BLEU_SMOOTH_FLOOR] = { "floor", 0.1 },
    [TG_BLEU_SMOOTH_ADD_K] = { "add-k", 1 },
};
enum {
    TOKENIZERS = sizeof tokenizer_names / sizeof *tokenizer_names,
    SMOOTHINGS = sizeof smoothings / sizeof *smoothings
};

/* ---- made ---- */

static bool check(tg_context *cx, const tg_bleu_config *c)
{
    if ((unsigned)c->tokenizer >= TOKENIZERS || (unsigned)c->smoothing >= SMOOTHINGS)
        tg_context_fail(cx, TG_ERR_ARGUMENT, "tg_bleu_new: tokenizer %d (of 0..%d), smoothing %d (of 0..%d)",
                        (int)c->tokenizer, TOKENIZERS - 1, (int)c->smoothing, SMOOTHINGS - 1);
    else if (c->max_order < 1 || c->max_order > TG_ORDERS)
        tg_context_fail(cx, TG_ERR_ARGUMENT, "tg_bleu_new: max_order is %d, not in 1..%d", c->max_order,
                        TG_ORDERS);
    else if (!(c->smoothing_value >= 0 && isfinite(c->smoothing_value)))
        tg_context_fail(cx, TG_ERR_ARGUMENT, "tg_bleu_new: smoothing_value is %g, below 0 or not finite",
                        c->smoothing_value);
    return !cx->status;
}

static void bleu_release(void *object)
{
    tg_bleu *b = object;
    tg__reading_free(&b->reading);
    tg__symbols_free(&b->words);
    tg__ngrams_free(&b->ngrams);
}

tg_bleu *tg_bleu_new(tg_context *cx, const tg_bleu_config *config)
{
    tg_bleu_config c = config ? *config : (tg_bleu_config){ 0 };
    if (!c.max_order) c.max_order = 4;
    if (!cx || cx->status || !check(cx, &c)) return &nil_bleu;
    if (c.smoothing_value == 0) c.smoothing_value = smoothings[c.smoothing].standard;
    tg_bleu *b = tg__arena_zeroed(&cx->own, sizeof *b);
    if (!b) return &nil_bleu;
    *b = (tg_bleu){ .cx = cx, .config = c, .references = -1, .words.cx = cx, .ngrams.cx = cx };
    tg__reading_init(&b->reading, cx);
    tg__context_on_free(cx, bleu_release, b);
    return cx->status ? &nil_bleu : b;
}

void tg_bleu_reset(tg_bleu *b)
{
    if (!b || b == &nil_bleu) return;
    b->all = (counts){ 0 };
    b->sentences = 0;
    b->references = -1;
}

/* ---- counted ---- */

/* The words of a text as numbers, in b->words. reference: from 1; 0: the hypothesis, with which n-grams
 * begin anew. */
static tg_status read_words(tg_bleu *b, const char *text, int reference)
{
    const symbols *read = &b->reading.text;
    const bool enter = !reference;
    size_t n = 0, letters = 0, length;
    tg_status s = tg__reading_begin(&b->reading, text, b->config.lowercase, "tg_bleu_add", reference);
    if (!s && b->config.tokenizer == TG_BLEU_TOKENIZE_13A) s = tg__tokenize_13a(&b->reading);
    if (s) return s;

    const uint32_t *const end = read->at + read->n, *p;
    for (p = read->at; p = tg__next_word(p, end, &length), length; p += length) n++, letters += length;
    if (!tg__symbols_room(&b->words, n)) return TG_ERR_MEMORY;
    if (enter && !tg__ngrams_begin(&b->ngrams, letters + n * (size_t)b->config.max_order))
        return TG_ERR_MEMORY;
    for (p = read->at; p = tg__next_word(p, end, &length), length; p += length)
        b->words.at[b->words.n++] = tg__ngrams_spell(&b->ngrams, p, length, enter);
    return TG_OK;
}

/* Is a reference of n words nearer to c than the best so far, or as near and shorter? */
static bool is_nearer(int64_t c, int64_t n, int64_t best)
{
    const int64_t distance = llabs(c - n), least = llabs(c - best);
    return distance < least || (distance == least && n < best);
}

static void add_counts(counts *all, const counts *one)
{
    for (int k = 0; k < TG_ORDERS; k++) {
        all->matches[k] += one->matches[k];
        all->totals[k] += one->totals[k];
    }
    all->hypothesis += one->hypothesis;
    all->reference += one->reference;
}

tg_status tg_bleu_add(tg_bleu *b, const char *hypothesis, int n, const char *const references[])
{
    if (!b) return TG_ERR_ARGUMENT;
    counts one = { 0 };
    const int orders = b->config.max_order;
    tg_status s;
    if (b->cx->status) return b->cx->status;
    if (n < 1) return tg_context_note(b->cx, TG_ERR_ARGUMENT, "tg_bleu_add: %d references", n);
    if ((s = MISSING(b->cx, ARG(hypothesis), ARG(references)))) return s;
    for (int i = 0; i < n; i++)
        if (!references[i])
            return tg_context_note(b->cx, TG_ERR_ARGUMENT, "tg_bleu_add: reference %d of %d is NULL", i + 1,
                                   n);
    if ((s = read_words(b, hypothesis, 0))) return s;
    one.hypothesis = (int64_t)b->words.n;
    for (int k = 0; k < orders; k++) one.totals[k] = tg__ngrams_total(b->words.n, k + 1);
    tg__ngrams_count(&b->ngrams, NGRAMS_WORDS, &b->words, orders);
    for (int i = 0; i < n; i++) {
        if ((s = read_words(b, references[i], i + 1))) return s;
        tg__ngrams_next_reference(&b->ngrams, false);
        tg__ngrams_match(&b->ngrams, NGRAMS_WORDS, &b->words, orders, one.matches);
        const int64_t length = (int64_t)b->words.n;
        if (!i || is_nearer(one.hypothesis, length, one.reference)) one.reference = length;
    }
    add_counts(&b->all, &one);
    b->references = tg__references_joined(b->references, n);
    b->sentences++;
    return TG_OK;
}

/* ---- the score ---- */

static double brevity_penalty(const counts *all)
{
    if (all->hypothesis >= all->reference) return 1;
    return all->hypothesis ? exp(1 - (double)all->reference / (double)all->hypothesis) : 0;
}

/* 100 p_n, up to the first order that the hypotheses do not have; returns over how many the mean is. */
static int smoothed(const tg_bleu_config *c, const counts *all, double precision[])
{
    int effective = 0;
    double halves = 1;
    for (int k = 0; k < c->max_order; k++) {
        const double added = c->smoothing == TG_BLEU_SMOOTH_ADD_K && k > 0 ? c->smoothing_value : 0;
        const double matches = (double)all->matches[k] + added, total = (double)all->totals[k] + added;
        if (total == 0) break;
        effective = k + 1;
        if (matches > 0)
            precision[k] = 100 * matches / total;
        else if (c->smoothing == TG_BLEU_SMOOTH_EXP)
            precision[k] = 100 / ((halves *= 2) * total);
        else if (c->smoothing == TG_BLEU_SMOOTH_FLOOR)
            precision[k] = 100 * c->smoothing_value / total;
    }
    return c->effective_order ? effective : c->max_order;
}

void tg_bleu_result(const tg_bleu *b, tg_bleu_score *score)
{
    if (!b || !score) {
        if (b) GIVEN(b->cx, ARG(score));
        if (score) *score = (tg_bleu_score){ .brevity_penalty = 1 };
        return;
    }
    const counts *all = &b->all;
    *score = (tg_bleu_score){ .brevity_penalty = brevity_penalty(all),
                              .ratio = all->reference ? (double)all->hypothesis / (double)all->reference : 0,
                              .hypothesis_length = all->hypothesis,
                              .reference_length = all->reference,
                              .sentences = b->sentences };
    bool any = false;
    for (int k = 0; k < TG_ORDERS; k++) {
        score->matches[k] = all->matches[k];
        score->totals[k] = all->totals[k];
        any = any || all->matches[k];
    }
    if (!any) return;
    const int N = smoothed(&b->config, all, score->precision);
    double sum = 0;
    for (int k = 0; k < N; k++)
        sum += log(score->precision[k]); /* of 0 it is minus infinity, and the score 0 */
    score->score = score->brevity_penalty * exp(sum / N);
}

/* ---- told ---- */

static void write_signature(writer *w, const tg_bleu *b)
{
    const tg_bleu_config *c = &b->config;
    tg__write_common(w, b->references, c->lowercase);
    tg__write(w, "eff:%s|tok:%s|smooth:%s", c->effective_order ? "yes" : "no", tokenizer_names[c->tokenizer],
              smoothings[c->smoothing].name);
    if (smoothings[c->smoothing].standard > 0) tg__write(w, "[%.2f]", c->smoothing_value);
    if (c->max_order != 4) tg__write(w, "|order:%d", c->max_order);
    tg__write(w, "|version:tidegate-%s", TG_VERSION);
}

size_t tg_bleu_signature(const tg_bleu *b, char *text, size_t bytes)
{
    writer w = { text, text ? bytes : 0, 0 };
    b = b ? b : &nil_bleu;
    write_signature(&w, b);
    return w.n;
}

size_t tg_bleu_line(const tg_bleu *b, char *text, size_t bytes)
{
    writer w = { text, text ? bytes : 0, 0 };
    b = b ? b : &nil_bleu;
    tg_bleu_score s;
    tg_bleu_result(b, &s);
    tg__write(&w, "BLEU|");
    write_signature(&w, b);
    tg__write(&w, " = %.2f", s.score);
    for (int k = 0; k < b->config.max_order; k++) tg__write(&w, "%c%.1f", k ? '/' : ' ', s.precision[k]);
    tg__write(&w, " (BP = %.3f ratio = %.3f hyp_len = %lld ref_len = %lld)", s.brevity_penalty, s.ratio,
              (long long)s.hypothesis_length, (long long)s.reference_length);
    return w.n;
}
