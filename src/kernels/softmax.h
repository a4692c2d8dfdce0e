/* kernels/softmax.h -- the parts of a softmax over one row, x (n):
 *
 *     M = max_j x_j,   Z = sum_j exp(x_j - M),   p_j = exp(x_j - M) / Z,   log p_j = x_j - M - log Z
 *
 * Stable for any finite x. exp in tg_real, Z summed in double. */
#ifndef KERNELS_SOFTMAX_H
#define KERNELS_SOFTMAX_H

#include <tidegate/core.h>

tg_real tg__maximum(size_t n, const tg_real *x);           /* M */
double tg__sum_exp(size_t n, const tg_real *x, tg_real M); /* Z */

/* y = exp(x - M), no x above M. The difference of two finite numbers can be -infinity: y is 0. */
void tg__exp_minus(size_t n, const tg_real *x, tg_real M, tg_real *y);

#endif
