/* tidegate/attention.h -- which rows of a memory a query looks at. */
#ifndef TIDEGATE_ATTENTION_H
#define TIDEGATE_ATTENTION_H

#include "params.h"

#ifdef __cplusplus
extern "C" {
#endif

/* For a query q(t) (Q) and memory rows m_s (M), s below the row's length:
 *
 *     additive (Bahdanau et al. 2015, arXiv:1409.0473, A.1.2)    e_s = v . tanh( q(t) W_q + k_s ),   k_s = m_s W_k
 *     dot      (Luong et al. 2015, arXiv:1508.04025, eq. 8)      e_s = q(t) . k_s,                   k_s = m_s
 *     general                                                    e_s = q(t) . k_s,                   k_s = m_s W_k
 *     a(t) = softmax(e),   c(t) = sum_s a_s(t) m_s
 *
 * With coverage (Tu et al. 2016, arXiv:1601.04811, the linguistic coverage of one value a row), k_s is replaced by
 * k_s + ( a_s(1) + ... + a_s(t-1) ) w: what was looked at already can be told from what was not. */
typedef enum tg_attention_kind {
    TG_ATTENTION_NONE,
    TG_ATTENTION_ADDITIVE,
    TG_ATTENTION_DOT, /* Q must be M */
    TG_ATTENTION_GENERAL
} tg_attention_kind;
TG_API const char *tg_attention_kind_name(tg_attention_kind kind); /* "none", "additive", "dot", "general" */

typedef struct tg_attention_config {
    tg_attention_kind kind; /* not TG_ATTENTION_NONE */
    int units;              /* D of additive: columns of W_q and W_k; 0: Q */
    bool coverage;
} tg_attention_config;

/* What is attended to, with its keys, which are made once. */
typedef struct tg_memory {
    tg_tensor *rows;    /* (S,B,M) */
    tg_tensor *keys;    /* (S,B,D); D is Q for dot and general */
    const int *lengths; /* (B): rows that are real, the others may hold anything; borrowed; NULL: all */
} tg_memory;

/* Parameters "<layer>/W_q" (Q,D), "<layer>/W_k" (M,D), Glorot; "<layer>/v" (D), U(-1/sqrt(D), 1/sqrt(D)); "<layer>/w" (D),
 * zeros: those that the kind has. */
typedef struct tg_attention tg_attention;
TG_API tg_attention *tg_attention_new(tg_params *ps, const char *name, int Q, int M,
                                      const tg_attention_config *config);
TG_API tg_memory tg_attention_memory(tg_attention *l, tg_tape *t, tg_tensor *rows, const int lengths[]);
/* T queries each, in order: query (T,B,Q) -> c (T,B,M). weights: where to put a (T,B,S), which has no
 * gradient, or NULL. A row of length 0 gets zeros. */
TG_API tg_tensor *tg_attention_run(tg_attention *l, tg_tape *t, tg_tensor *query, const tg_memory *memory,
                                   tg_tensor **weights);

#ifdef __cplusplus
}
#endif
#endif
