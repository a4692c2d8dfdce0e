/* kernels/attention.c -- see attention.h; the loops over columns are vector code in simd/kernels.c. */
#include "kernels/attention.h"

#include <string.h>

#include "kernels/simd/table.h"
#include "kernels/softmax.h"

typedef struct sentence_place { /* where a sentence's rows are in the arrays (S,B,M) and (S,B,D) */
    int length;
    size_t memory, keys; /* the first row */
    size_t memory_stride, keys_stride;
} sentence_place;

static sentence_place sentence_of(const attention_memory *x, int b)
{
    const size_t B = (size_t)x->B, M = (size_t)x->M, D = (size_t)x->D;
    return (sentence_place){ x->lengths[b], (size_t)b * M, (size_t)b * D, B * M, B * D };
}

static tg_real dot_product(int n, const tg_real *x, const tg_real *y)
{
    tg_real e;
    tg__simd()->attention_dot(1, n, x, y, 0, &e);
    return e;
}

static void softmax_in_place(int n, tg_real *e)
{
    tg_real sum = 0;
    tg__exp_minus((size_t)n, e, tg__maximum((size_t)n, e), e);
    for (int s = 0; s < n; s++) sum += e[s];
    for (int s = 0; s < n; s++) e[s] /= sum;
}

void tg__attention_look(const attention_memory *x, int b, const tg_real *q, const tg_real *coverage,
                        tg_real *a, tg_real *c)
{
    const simd_table *simd = tg__simd();
    const sentence_place p = sentence_of(x, b);
    memset(a + p.length, 0, (size_t)(x->S - p.length) * sizeof *a);
    if (x->v) {
        simd->attention_additive(p.length, x->D, q, x->keys + p.keys, p.keys_stride, x->v, coverage, x->w, a);
    } else {
        simd->attention_dot(p.length, x->D, q, x->keys + p.keys, p.keys_stride, a);
        const tg_real qw = x->w ? dot_product(x->D, q, x->w) : 0;
        for (int s = 0; x->w && s < p.length; s++) a[s] += coverage[s] * qw;
    }
    if (p.length) softmax_in_place(p.length, a);
    simd->attention_sum(p.length, x->M, a, x->memory + p.memory, p.memory_stride, c);
}

/* The gradients of the dot score, from that of e: adds to dq, dkeys, dw and dcoverage. */
static void dot_backward(const attention_memory *x, sentence_place p, const tg_real *de, const tg_real *q,
                         const tg_real *coverage, attention_gradients d, tg_real *dcoverage, tg_real *dq)
{
    const simd_table *simd = tg__simd();
    tg_real covered = 0;               /* sum_s de_s coverage_s */
    for (int s = 0; s < p.length; s++) /* dq += de_s k_s */
        simd->attention_spread(1, x->D, &de[s], x->keys + p.keys + (size_t)s * p.keys_stride, dq, 0);
    simd->attention_spread(p.length, x->D, de, q, d.keys + p.keys, p.keys_stride);
    if (!x->w) return;
    const tg_real qw = dot_product(x->D, q, x->w);
    for (int s = 0; s < p.length; s++) {
        dcoverage[s] += de[s] * qw;
        covered += de[s] * coverage[s];
    }
    simd->attention_spread(1, x->D, &covered, x->w, dq, 0);
    simd->attention_spread(1, x->D, &covered, q, d.w, 0);
}

void tg__attention_look_backward(const attention_memory *x, int b, const tg_real *q, const tg_real *coverage,
                                 const tg_real *a, const tg_real *dc, attention_gradients d,
                                 tg_real *dcoverage, tg_real *dq, tg_real *scratch)
{
    const simd_table *simd = tg__simd();
    const sentence_place p = sentence_of(x, b);
    tg_real *de = scratch, mean = 0;
    /* da_s = dc . m_s plus the gradient of the coverage after this query; then through the softmax */
    simd->attention_dot(p.length, x->M, dc, x->memory + p.memory, p.memory_stride, de);
    for (int s = 0; x->w && s < p.length; s++) de[s] += dcoverage[s];
    for (int s = 0; s < p.length; s++) mean += a[s] * de[s];
    for (int s = 0; s < p.length; s++) de[s] = a[s] * (de[s] - mean);
    if (d.memory) simd->attention_spread(p.length, x->M, a, dc, d.memory + p.memory, p.memory_stride);
    if (x->v)
        simd->attention_additive_backward(p.length, x->D, de, q, x->keys + p.keys, p.keys_stride, x->v,
                                          coverage, x->w, dq, d.keys + p.keys, d.v, d.w, dcoverage);
    else
        dot_backward(x, p, de, q, coverage, d, dcoverage, dq);
}
