/* kernels/pointwise.h -- y[i] = f(x[i]) with vectors. x and y may be the same.
 *
 * Largest errors in float, over 17 million floats: exp 2 ulp, sigmoid 4 ulp, tanh 4 ulp (8 without fused
 * multiply-add); results below the smallest normal number may be 0. The double build takes libm's. NaN stays NaN. */
#ifndef KERNELS_POINTWISE_H
#define KERNELS_POINTWISE_H

#include <tidegate/core.h>

void tg__sigmoid(size_t n, const tg_real *x, tg_real *y);
void tg__tanh(size_t n, const tg_real *x, tg_real *y);

/* y[i] += x[i], by the team. */
void tg__add(tg_context *cx, size_t n, const tg_real *x, tg_real *y);

#endif
