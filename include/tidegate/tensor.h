/* tidegate/tensor.h -- dense row-major arrays.
 *
 * Shapes in comments are (outer, ..., inner). Letters, the same everywhere: T time, S source time,
 * B batch, I input, H hidden, V vocabulary, E embedding, D other, L layers. Sequences are
 * time-major: (T,B,D).                                                                         */
#ifndef TIDEGATE_TENSOR_H
#define TIDEGATE_TENSOR_H

#include "core.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { TG_MAX_RANK = 4 };

typedef struct tg_tensor {
    int rank;             /* 0: one number */
    int dim[TG_MAX_RANK]; /* dim[rank-1] is contiguous */
    tg_real *data;
    tg_real *grad; /* same shape; NULL: no gradient flows here */
    tg_context *cx;
} tg_tensor;

/* Zeros, without a gradient; lives as long as the context. */
TG_API tg_tensor *tg_tensor_new(tg_context *cx, int rank, const int dim[]);
TG_API size_t tg_tensor_size(const tg_tensor *x); /* elements */

/* data <- src, any numbers, NaN too. Fails (the context remembers) unless x has exactly n elements. */
TG_API void tg_tensor_set(tg_tensor *x, const tg_real *src, size_t n);
/* Values only; fails (the context remembers) unless the shapes are equal. */
TG_API void tg_tensor_copy(tg_tensor *dst, const tg_tensor *src);

#ifdef __cplusplus
}
#endif
#endif
