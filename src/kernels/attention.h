/* kernels/attention.h -- attention of one query to a memory of S rows.
 *
 *     additive (Bahdanau et al. 2015, arXiv:1409.0473, A.1.2)   e_s = v . tanh( q + k_s + coverage_s w )
 *     dot      (Luong et al. 2015, arXiv:1508.04025, eq. 8)     e_s = q . ( k_s + coverage_s w )
 *
 *     a   = softmax(e) over the first `length` rows; 0 for the others
 *     c   = sum_s a_s m_s
 *
 * q (D) is the projected query, k_s (D) the key of memory row m_s (M). Luong's general score is the dot score
 * of projected keys, k_s = m_s W. Coverage is optional: the sum of row s's weights a_s over the queries
 * before (Tu et al. 2016, arXiv:1601.04811, with one value a row). */
#ifndef KERNELS_ATTENTION_H
#define KERNELS_ATTENTION_H

#include <tidegate/core.h>

typedef struct attention_memory { /* of B sentences */
    int S, B, D, M;
    const int *lengths;    /* (B): how many rows of a sentence are not padding */
    const tg_real *memory; /* (S,B,M) */
    const tg_real *keys;   /* (S,B,D) */
    const tg_real *v;      /* (D); NULL: dot */
    const tg_real *w;      /* (D); NULL: no coverage */
} attention_memory;

/* Computes a (S) and c (M) of query q (D) of sentence b. coverage (S): before this query; NULL without w. */
void tg__attention_look(const attention_memory *x, int b, const tg_real *q, const tg_real *coverage,
                        tg_real *a, tg_real *c);

typedef struct attention_gradients { /* all ADDED to */
    tg_real *memory, *keys;          /* (S,B,M), (S,B,D); memory may be NULL */
    tg_real *v, *w;                  /* (D) */
} attention_gradients;

/* The gradients of tg__attention_look. dc (M): the gradient of c. dcoverage (S), only with w: on entry the
 * gradient of the coverage AFTER this query, on return that of the coverage before it. dq (D) and d are ADDED
 * to. scratch (S). */
void tg__attention_look_backward(const attention_memory *x, int b, const tg_real *q, const tg_real *coverage,
                                 const tg_real *a, const tg_real *dc, attention_gradients d,
                                 tg_real *dcoverage, tg_real *dq, tg_real *scratch);

#endif
