/* kernels/softmax.c -- see softmax.h. Sums and maxima are kept in LANES separate parts, so that the compiler
 * can vectorize them without changing the order of summation. */
#include "kernels/softmax.h"

#include "kernels/simd/table.h"

enum { CHUNK = 1024, LANES = 8 };

tg_real tg__maximum(size_t n, const tg_real *x)
{
    tg_real most[LANES], M = x[0];
    size_t j = 0;
    for (int k = 0; k < LANES; k++) most[k] = M;
    for (; j + LANES <= n; j += LANES)
        for (int k = 0; k < LANES; k++) most[k] = most[k] > x[j + k] ? most[k] : x[j + k];
    for (; j < n; j++) most[0] = most[0] > x[j] ? most[0] : x[j];
    for (int k = 0; k < LANES; k++) M = M > most[k] ? M : most[k];
    return M;
}

static double sum_in_lanes(size_t n, const tg_real *x)
{
    double sum[LANES] = { 0 }, all = 0;
    size_t j = 0;
    for (; j + LANES <= n; j += LANES)
        for (int k = 0; k < LANES; k++) sum[k] += (double)x[j + k];
    for (; j < n; j++) sum[0] += (double)x[j];
    for (int k = 0; k < LANES; k++) all += sum[k];
    return all;
}

void tg__exp_minus(size_t n, const tg_real *x, tg_real M, tg_real *y) { tg__simd()->exp_minus(n, x, M, y); }

double tg__sum_exp(size_t n, const tg_real *x, tg_real M)
{
    tg_real e[CHUNK];
    double Z = 0;
    for (size_t j = 0; j < n; j += CHUNK) {
        const size_t part = n - j < CHUNK ? n - j : CHUNK;
        tg__exp_minus(part, x + j, M, e);
        Z += sum_in_lanes(part, e);
    }
    return Z;
}
