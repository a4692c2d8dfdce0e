/* kernels/pointwise.c -- see pointwise.h; the work is in simd/kernels.c. */
#include "kernels/pointwise.h"

#include "kernels/simd/table.h"

void tg__sigmoid(size_t n, const tg_real *x, tg_real *y) { tg__simd()->sigmoid(n, x, y); }
void tg__tanh(size_t n, const tg_real *x, tg_real *y) { tg__simd()->tanh(n, x, y); }
