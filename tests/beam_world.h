/* tests/beam_world.h -- models of the next token that are functions of the whole prefix, and two searches to
 * compare with: one that tries everything, and a plain beam search that never stops early.
 *
 * They share nothing with the library's search: they walk prefixes, and take probabilities in double. */
#ifndef BEAM_WORLD_H
#define BEAM_WORLD_H

#include <float.h>
#include <math.h>
#include <string.h>

#include <tidegate/tidegate.h>

#include "check_main.h"
#include "models/beam.h"

enum { DREAM_WORDS = 40, DREAM_SOURCE = 5, DREAM_SENTENCES = 16 };

/* ---- the model ---- */

typedef struct dream {
    int V, S, B;
    uint64_t seed[DREAM_SENTENCES]; /* of each sentence */
    int source_lengths[DREAM_SENTENCES];
    bool coarse;                             /* logits are 0, 1 or 2: nearly everything ties */
    double end_bonus;                        /* to the logit of </s> */
    tg_real (*logit)(uint64_t place, int v); /* NULL: random */
    bool without_attention;
    tg_status fails; /* in the second call */

    int spoiled_call, spoiled_row, spoiled_at; /* where, in logits, or in attention, this stands: */
    tg_real spoiled_logit, spoiled_attention;  /* 0: nothing is spoiled */

    int calls, rows, n; /* so far, so far, of the last call */
    void (*at_step)(int call);
    uint64_t *place; /* (n) */
    int *sentence;   /* (n) */
    tg_real *logits, *attention;
} dream;

/* SplitMix64 (Steele, Lea, Flood 2014). */
static inline uint64_t dream_mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}
static inline double dream_uniform(uint64_t x) { return (double)(dream_mix(x) >> 11) * 0x1p-53; }
static inline int dream_below(uint64_t x, int n) { return (int)(dream_uniform(x) * n); }
static inline uint64_t dream_place(uint64_t before, int word) { return dream_mix(before + (uint64_t)word); }

static inline tg_real dream_logit(const dream *d, uint64_t place, int v)
{
    if (d->logit) return d->logit(place, v);
    const uint64_t x = place ^ dream_mix((uint64_t)v + 77);
    const double bonus = v == TG_END ? d->end_bonus : 0;
    return (tg_real)(d->coarse ? dream_below(x, 3) + floor(bonus) : 6 * dream_uniform(x) - 3 + bonus);
}

/* A distribution over the real source positions, 0 at some and at padding. */
static inline void dream_attention(const dream *d, uint64_t place, int b, tg_real *a)
{
    double w[DREAM_SOURCE], sum = 0;
    for (int s = 0; s < d->source_lengths[b]; s++)
        sum += w[s] = pow(fmax(dream_uniform(place + 1000 + (uint64_t)s) - 0.3, s ? 0 : 0.1), 3);
    for (int s = 0; s < d->S; s++) a[s] = s < d->source_lengths[b] ? (tg_real)(w[s] / sum) : 0;
}

static inline tg_status dream_step(void *user, int n, const int from[], const int word[],
                                   const tg_real **logits, const tg_real **attention)
{
    dream *d = user;
    const int call = d->calls++;
    if (d->at_step) d->at_step(call);
    if (call == 1 && d->fails) return d->fails;
    if (!call) d->n = d->B;
    ck_assert(n > 0 && (call || n == d->B));
    uint64_t *place = malloc((size_t)n * sizeof *place);
    int *sentence = malloc((size_t)n * sizeof *sentence);
    d->logits = realloc(d->logits, (size_t)n * (size_t)d->V * sizeof *d->logits);
    d->attention = realloc(d->attention, (size_t)n * (size_t)d->S * sizeof *d->attention);
    for (int r = 0; r < n; r++) {
        ck_assert(from[r] >= 0 && from[r] < d->n && word[r] >= 0 && word[r] < d->V);
        ck_assert(call ? word[r] != TG_PAD && word[r] != TG_BEGIN && word[r] != TG_END
                       : word[r] == TG_BEGIN && from[r] == r);
        place[r] = dream_place(call ? d->place[from[r]] : d->seed[r], word[r]);
        sentence[r] = call ? d->sentence[from[r]] : r;
        ck_assert(!r || sentence[r - 1] <= sentence[r]);
        for (int v = 0; v < d->V; v++)
            d->logits[(size_t)r * (size_t)d->V + (size_t)v] = dream_logit(d, place[r], v);
        dream_attention(d, place[r], sentence[r], d->attention + (size_t)r * (size_t)d->S);
        if (call == d->spoiled_call && r == d->spoiled_row) {
            if (d->spoiled_logit != 0) d->logits[r * d->V + d->spoiled_at] = d->spoiled_logit;
            if (d->spoiled_attention != 0) d->attention[r * d->S + d->spoiled_at] = d->spoiled_attention;
        }
    }
    free(d->place);
    free(d->sentence);
    d->place = place;
    d->sentence = sentence;
    d->n = n;
    d->rows += n;
    *logits = d->logits;
    if (attention && !d->without_attention) *attention = d->attention;
    return TG_OK;
}

static inline void dream_end(dream *d)
{
    free(d->place);
    free(d->sentence);
    free(d->logits);
    free(d->attention);
    d->place = NULL, d->sentence = NULL, d->logits = d->attention = NULL;
    d->calls = d->rows = 0;
}

static inline dream dream_new(uint64_t seed, int V, int B)
{
    dream d = { .V = V, .S = DREAM_SOURCE, .B = B };
    for (int b = 0; b < B; b++) {
        d.seed[b] = dream_mix(seed) + 1000 * (uint64_t)b;
        d.source_lengths[b] = 1 + dream_below(d.seed[b] + 5, DREAM_SOURCE);
    }
    return d;
}

/* The search that is tested. task->B, S, source_lengths and who are filled in. */
static inline tg_status dream_search(tg_context *cx, dream *d, const tg_decoding_config *config,
                                     beam_task task, beam_results *found)
{
    const beam_model m = { d, d->V, dream_step };
    task.who = "search";
    task.keep_looked = !d->without_attention;
    task.B = d->B;
    task.S = d->S;
    task.source_lengths = d->source_lengths;
    d->calls = d->rows = 0;
    return tg__beam_search(cx, &m, config, &task, found);
}

static inline void dream_found(tg_context *cx, dream *d, const tg_decoding_config *config, beam_task task,
                               beam_results *found)
{
    ck_assert_msg(dream_search(cx, d, config, task, found) == TG_OK, "%s", tg_context_message(cx));
}

/* ---- prefixes ---- */

typedef struct prefix {
    int n, word[DREAM_WORDS]; /* <s> left out */
    uint64_t place;           /* after <s> and all words */
    double p, score;          /* log P */
    double coverage[DREAM_SOURCE];
} prefix;

static inline prefix prefix_of(const dream *d, int b)
{
    return (prefix){ .place = dream_place(d->seed[b], TG_BEGIN) };
}

static inline double dream_log_sum_exp(const dream *d, uint64_t place)
{
    double most = -INFINITY, sum = 0;
    for (int v = 0; v < d->V; v++) most = fmax(most, (double)dream_logit(d, place, v));
    for (int v = 0; v < d->V; v++) sum += exp((double)dream_logit(d, place, v) - most);
    return most + log(sum);
}

static inline prefix prefix_with(const dream *d, int b, const prefix *x, int word)
{
    prefix y = *x;
    tg_real a[DREAM_SOURCE];
    dream_attention(d, x->place, b, a);
    for (int s = 0; s < d->S; s++) y.coverage[s] += (double)a[s];
    y.p += (double)dream_logit(d, x->place, word) - dream_log_sum_exp(d, x->place);
    y.word[y.n++] = word;
    y.place = dream_place(x->place, word);
    return y;
}

/* The formulas, written out once more. alpha and beta as they are, no defaults. */
static inline double prefix_score(const dream *d, int b, const prefix *x, tg_length_normalization k,
                                  double alpha, double beta)
{
    double cover = 0;
    for (int s = 0; s < d->source_lengths[b]; s++)
        cover += log(x->coverage[s] > 1 ? 1 : x->coverage[s] < FLT_MIN ? FLT_MIN : x->coverage[s]);
    return x->p / (k == TG_LENGTH_AVERAGE ? exp(alpha * log(x->n))
                   : k == TG_LENGTH_WU    ? exp(alpha * log((5.0 + x->n) / 6.0))
                                          : 1) +
           beta * cover;
}

static inline int by_falling_score(const void *a, const void *b)
{
    const prefix *x = a, *y = b;
    return (x->score < y->score) - (x->score > y->score);
}

/* ---- all there is ---- */

typedef struct bag {
    const dream *d;
    int b, longest, n;
    tg_length_normalization k;
    double alpha, beta;
    prefix *x;
} bag;

static inline void bag_put(bag *all, prefix x)
{
    if (!(all->n & (all->n - 1))) /* a power of two, or none: full */
        all->x = realloc(all->x, (size_t)(all->n ? 2 * all->n : 1) * sizeof *all->x);
    x.score = prefix_score(all->d, all->b, &x, all->k, all->alpha, all->beta);
    all->x[all->n++] = x;
}

static inline void bag_everything(bag *all, const prefix *x)
{
    for (int v = 0; v < all->d->V; v++) {
        if (v == TG_PAD || v == TG_BEGIN) continue;
        const prefix y = prefix_with(all->d, all->b, x, v);
        if (v == TG_END || y.n == all->longest)
            bag_put(all, y);
        else
            bag_everything(all, &y);
    }
}

/* ---- a beam that goes on to the longest length, come what may ---- */

typedef struct offer {
    int parent, word;
    double p;
    tg_real logit;
} offer;

static inline int by_rank(const void *a, const void *b)
{
    const offer *x = a, *y = b;
    if (x->parent == y->parent && x->logit != y->logit) return x->logit < y->logit ? 1 : -1;
    if (x->parent == y->parent) return x->word - y->word;
    if (x->p != y->p) return x->p < y->p ? 1 : -1;
    return x->parent - y->parent;
}

static inline void bag_beam(bag *all, int beam)
{
    const dream *d = all->d;
    prefix *live = malloc((size_t)beam * sizeof *live), *next = malloc((size_t)beam * sizeof *next);
    offer *o = malloc((size_t)beam * (size_t)d->V * sizeof *o);
    int n = 1;
    live[0] = prefix_of(d, all->b);
    for (int t = 1; t <= all->longest && n; t++) {
        int offers = 0, open = 0;
        for (int r = 0; r < n; r++) {
            const double all_of_it = dream_log_sum_exp(d, live[r].place);
            for (int v = 0; v < d->V; v++) {
                const tg_real x = dream_logit(d, live[r].place, v);
                if (v != TG_PAD && v != TG_BEGIN)
                    o[offers++] = (offer){ r, v, live[r].p + ((double)x - all_of_it), x };
            }
        }
        qsort(o, (size_t)offers, sizeof *o, by_rank);
        for (int k = 0; k < offers && k < 2 * beam - 1; k++) {
            const prefix y = prefix_with(d, all->b, &live[o[k].parent], o[k].word);
            if (o[k].word == TG_END) bag_put(all, y);
            if (o[k].word == TG_END || open == beam) continue;
            if (t == all->longest) bag_put(all, y);
            next[open++] = y;
        }
        memcpy(live, next, (size_t)open * sizeof *live);
        n = open;
    }
    free(live);
    free(next);
    free(o);
}

/* ---- comparing ---- */

static inline bool same_words(const beam_hypothesis *h, const prefix *x)
{
    return h->length == x->n && !memcmp(h->ids, x->word, (size_t)x->n * sizeof *h->ids);
}

/* Where a has the largest of n numbers, the first of equal ones. */
static inline int most_of(const tg_real *a, int n)
{
    int most = 0;
    for (int s = 1; s < n; s++)
        if (a[s] > a[most]) most = s;
    return most;
}

/* What a hypothesis says of itself is true. */
static inline void check_hypothesis(const dream *d, int b, const beam_hypothesis *h, int longest,
                                    const bag *how)
{
    prefix x = prefix_of(d, b);
    tg_real a[DREAM_SOURCE];
    ck_assert(h->length >= 1 && h->length <= longest);
    for (int t = 0; t < h->length; t++) {
        const int word = h->ids[t];
        ck_assert(word >= 0 && word < d->V && word != TG_PAD && word != TG_BEGIN);
        ck_assert(word != TG_END || t == h->length - 1);
        dream_attention(d, x.place, b, a);
        if (h->attention) ck_assert_mem_eq(h->attention + t * d->S, a, (size_t)d->S * sizeof *a);
        ck_assert_int_eq(h->looked[t], most_of(a, d->source_lengths[b] - 1));
        x = prefix_with(d, b, &x, word);
    }
    ck_assert_int_eq(h->cut, h->ids[h->length - 1] != TG_END);
    ck_assert(!h->cut || h->length == longest);
    ck_assert_double_eq_tol(h->log_probability, x.p, 1e-5);
    ck_assert_double_eq_tol(h->score, prefix_score(d, b, &x, how->k, how->alpha, how->beta), 1e-5);
}

/* In order, nothing twice, and true. */
static inline void check_list(const bag *how, const beam_results *found, int b)
{
    const beam_hypothesis *h = found->best[b];
    for (int k = 0; k < found->count[b]; k++) {
        check_hypothesis(how->d, b, &h[k], how->longest, how);
        ck_assert(!k || h[k].score <= h[k - 1].score);
        for (int j = 0; j < k; j++)
            ck_assert(h[j].length != h[k].length ||
                      memcmp(h[j].ids, h[k].ids, (size_t)h[k].length * sizeof(int)));
    }
}

/* The n best of the bag and what was found have the same scores, and nothing is there twice. Returns how many
 * are not the same words: neighbours whose scores differ by less than rounding. */
static inline int compare(const bag *all, const beam_results *found, int b, int nbest)
{
    int others = 0;
    const beam_hypothesis *h = found->best[b];
    check_list(all, found, b);
    qsort(all->x, (size_t)all->n, sizeof *all->x, by_falling_score);
    ck_assert_int_eq(found->count[b], all->n < nbest ? all->n : nbest);
    for (int k = 0; k < found->count[b]; k++) {
        ck_assert_double_eq_tol(h[k].score, all->x[k].score, 1e-5);
        others += !same_words(&h[k], &all->x[k]);
    }
    return others;
}

#endif
