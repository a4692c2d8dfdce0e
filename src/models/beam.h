/* models/beam.h -- beam search over any model of the next token; the rules stand in tidegate/decoding.h.
 *
 * Letters: B sentences, S source positions (padded), V vocabulary, n rows: the hypotheses of all sentences
 * that are not done, those of a sentence side by side, the sentences in order. */
#ifndef MODELS_BEAM_H
#define MODELS_BEAM_H

#include <tidegate/decoding.h>

#include "core/context.h"

/* ---- what is searched ---- */

typedef struct beam_model {
    void *user;
    int V; /* with the special tokens */

    /* One step of n rows. Row r goes on from where row from[r] of the PREVIOUS call stood, and has just read
     * word[r]. In the first call n = B, from[r] = r is the sentence, and word[r] = TG_BEGIN.
     * Sets *logits to (n,V), the next token's log-probabilities but for a constant of each row, and, unless
     * attention is NULL, *attention to (n,S): how much the next token looks at each source position, at
     * least 0, and 0 at padding. Both are borrowed until the next call. A failure ends the search with its
     * status; the sentence about it is the model's. */
    tg_status (*step)(void *user, int n, const int from[], const int word[], const tg_real **logits,
                      const tg_real **attention);

    /* The same for the most probable tokens alone, best (n), <pad> and <s> left out, the first of equal ones; below 0:
     * ~v, v the first token whose logit is not finite. NULL: the model has only the other. */
    tg_status (*step_best)(void *user, int n, const int from[], const int word[], int best[],
                           const tg_real **attention);
} beam_model;

typedef struct beam_task {
    const char *who; /* begins every message */
    int B, S;
    const int *source_lengths; /* (B), in 1..S, </s> included */
    const int *max_length;     /* (B), at least 1: tokens of each result; NULL: as the config says */
    bool keep_attention;       /* wanted in the results: all of it, */
    bool keep_looked;          /* and only where each token looked most, which takes little memory */
    const int *number;         /* (B): of each sentence, for messages about it; NULL: its place */

    /* For tests. A hypothesis that cannot matter any more is dropped at once, which saves rows; true: not
     * before all hypotheses of the sentence are such. The results are the same: the better log P has the
     * better bound, so what comes from hopeless hypotheses ranks behind all that is not hopeless, and takes
     * no place from it. */
    bool keep_hopeless;
} beam_task;

/* ---- what is found ---- */

typedef struct beam_hypothesis {
    int length;               /* tokens, </s> included */
    const int *ids;           /* (length); the last is TG_END unless it was cut */
    bool cut;                 /* at the longest length, without </s> */
    double score;             /* see tidegate/decoding.h */
    double log_probability;   /* log P */
    const tg_real *attention; /* (length,S), or NULL */
    const int *looked; /* (length): the source token that each token paid most attention to, of equal ones the
                               * first; </s> left out, unless there is no other. Or NULL */
} beam_hypothesis;

typedef struct beam_results {
    int *count;             /* (B): at least 1; less than nbest where there are no more */
    beam_hypothesis **best; /* (B): a sentence's, best first */
    arena memory;
} beam_results;

/* config as the user gave it (NULL: all defaults). Wrong settings, lengths out of range, or no attention
 * from a model where it is needed: TG_ERR_ARGUMENT. A logit that is not finite, or attention that is not or
 * is below 0: TG_ERR_NUMBER with sentence, hypothesis and word, from 0. Memory is taken before the first step
 * and after the last alone; most of it: 8 bytes, with keep_looked 12, and with keep_attention S numbers more, for
 * each of the sum_b (max_length[b] beam) rows there can be. On failure *found is empty. */
tg_status tg__beam_search(tg_context *cx, const beam_model *m, const tg_decoding_config *config,
                          const beam_task *task, beam_results *found) TG_MUST_CHECK;
void tg__beam_results_free(beam_results *found); /* before the context is freed */

/* ---- settings ---- */

/* Puts the defaults where *c has zeros, and zeros for TG_ZERO (so settle once); max_length stays 0. */
tg_status tg__decoding_settle(tg_context *cx, const char *who, tg_decoding_config *c);

/* Can the task be done, with a settled configuration? TG_ERR_ARGUMENT if not. */
tg_status tg__beam_check(tg_context *cx, const beam_model *m, const beam_task *k,
                         const tg_decoding_config *c);

/* norm(L) of a settled configuration; does not fall with L. */
double tg__length_norm(const tg_decoding_config *c, int L);

/* ---- the best tokens of each row ---- */

typedef struct beam_candidates {
    int V, K;     /* the best K tokens of each row, which are at most V less <pad> and <s> */
    int *id;      /* (rows,K): by falling probability, equal ones by rising id */
    double *gain; /* (rows,K): their log-probabilities, never above 0 */
    int *bad;     /* (rows): the first token whose logit is not finite, or -1 */
} beam_candidates;

/* logits (n,V) -> the first n rows of *k. */
void tg__beam_candidates(tg_context *cx, beam_candidates *k, int n, const tg_real *logits);

#endif
