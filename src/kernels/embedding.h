/* kernels/embedding.h -- rows of a table, by number. */
#ifndef KERNELS_EMBEDDING_H
#define KERNELS_EMBEDDING_H

#include <tidegate/core.h>

/* y (n,E): row ids[i] of W (V,E); zeros where ids[i] < 0. */
void tg__embedding_forward(tg_context *cx, int n, int E, const int *ids, const tg_real *W, tg_real *y);

/* dW[ids[i]] += dy[i], for i = 0 ... n-1 in order; touches only the rows that were used. */
void tg__embedding_backward(tg_context *cx, int n, int E, const int *ids, const tg_real *dy, tg_real *dW);

#endif
