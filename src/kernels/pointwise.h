/* kernels/pointwise.h -- y[i] = f(x[i]) with vectors. x and y may be the same.
 *
 * Largest errors in float, over 17 million floats: exp 2 ulp, sigmoid 4 ulp, tanh 4 ulp (8 without fused
 * multiply-add). Where the exact value of exp or sigmoid is less than the smallest normal number
 * (x < -87.336) the result is 0. A NaN gives a NaN. The double build calls libm. */
#ifndef KERNELS_POINTWISE_H
#define KERNELS_POINTWISE_H

#include <tidegate/core.h>

void tg__sigmoid(size_t n, const tg_real *x, tg_real *y);
void tg__tanh(size_t n, const tg_real *x, tg_real *y);

/* z[i] = x[i] * y[i], by the team; z may be x or y. */
void tg__multiply(tg_context *cx, size_t n, const tg_real *x, const tg_real *y, tg_real *z);

/* y[i] += x[i], by the team. */
void tg__add(tg_context *cx, size_t n, const tg_real *x, tg_real *y);
/* The same on at most `threads` workers, of which the caller is one. */
void tg__add_by(tg_context *cx, int threads, size_t n, const tg_real *x, tg_real *y);

#endif
