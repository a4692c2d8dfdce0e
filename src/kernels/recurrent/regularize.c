/* kernels/recurrent/regularize.c -- see regularize.h. (Functions with clones must be static: the linker would export them.) */
#include "kernels/recurrent/regularize.h"

#include <math.h>

#include "core/clones.h"

CLONED static void mask_rows(int rows, int n, const tg_real *x, size_t x_stride, const tg_real *mask,
                             size_t mask_stride, tg_real *y, size_t y_stride)
{
    for (; rows > 0; rows--, x += x_stride, mask += mask_stride, y += y_stride)
        for (int j = 0; j < n; j++) y[j] = x[j] * mask[j];
}
void tg__mask_rows(int rows, int n, const tg_real *x, size_t x_stride, const tg_real *mask,
                   size_t mask_stride, tg_real *y, size_t y_stride)
{
    mask_rows(rows, n, x, x_stride, mask, mask_stride, y, y_stride);
}

CLONED static void add_masked_rows(int rows, int n, const tg_real *x, size_t x_stride, const tg_real *mask,
                                   size_t mask_stride, tg_real *y, size_t y_stride)
{
    for (; rows > 0; rows--, x += x_stride, mask += mask_stride, y += y_stride)
        for (int j = 0; j < n; j++) y[j] += x[j] * mask[j];
}
void tg__add_masked_rows(int rows, int n, const tg_real *x, size_t x_stride, const tg_real *mask,
                         size_t mask_stride, tg_real *y, size_t y_stride)
{
    add_masked_rows(rows, n, x, x_stride, mask, mask_stride, y, y_stride);
}

CLONED static void zoneout_rows(int rows, int n, const tg_real *mask, size_t mask_stride,
                                const tg_real *before, size_t before_stride, tg_real *y, size_t y_stride)
{
    for (; rows > 0; rows--, mask += mask_stride, before += before_stride, y += y_stride)
        for (int j = 0; j < n; j++) y[j] = mask[j] != 0 ? before[j] : y[j];
}
void tg__zoneout_rows(int rows, int n, const tg_real *mask, size_t mask_stride, const tg_real *before,
                      size_t before_stride, tg_real *y, size_t y_stride)
{
    zoneout_rows(rows, n, mask, mask_stride, before, before_stride, y, y_stride);
}

CLONED static void zoneout_rows_backward(int rows, int n, const tg_real *mask, size_t mask_stride, tg_real *d,
                                         tg_real *retained, size_t d_stride)
{
    for (; rows > 0; rows--, mask += mask_stride, d += d_stride, retained += d_stride)
        for (int j = 0; j < n; j++) {
            retained[j] = mask[j] != 0 ? d[j] : 0;
            d[j] = mask[j] != 0 ? 0 : d[j];
        }
}
void tg__zoneout_rows_backward(int rows, int n, const tg_real *mask, size_t mask_stride, tg_real *d,
                               tg_real *retained, size_t d_stride)
{
    zoneout_rows_backward(rows, n, mask, mask_stride, d, retained, d_stride);
}

/* Sums in LANES interleaved parts: one order of addition for every instruction set. */
enum { LANES = 16 };

CLONED static tg_real mean_of_products(int n, const tg_real *a, const tg_real *b)
{
    tg_real lane[LANES] = { 0 }, sum = 0;
    int j = 0;
    for (; j + LANES <= n; j += LANES)
        for (int k = 0; k < LANES; k++) lane[k] += a[j + k] * b[j + k];
    for (; j < n; j++) lane[0] += a[j] * b[j];
    for (int k = 0; k < LANES; k++) sum += lane[k];
    return sum / (tg_real)n;
}

CLONED static tg_real mean(int n, const tg_real *x)
{
    tg_real lane[LANES] = { 0 }, sum = 0;
    int j = 0;
    for (; j + LANES <= n; j += LANES)
        for (int k = 0; k < LANES; k++) lane[k] += x[j + k];
    for (; j < n; j++) lane[0] += x[j];
    for (int k = 0; k < LANES; k++) sum += lane[k];
    return sum / (tg_real)n;
}

CLONED static void subtract(int n, tg_real c, tg_real *x)
{
    for (int j = 0; j < n; j++) x[j] -= c;
}

CLONED static void multiply_by(int n, tg_real c, tg_real *x)
{
    for (int j = 0; j < n; j++) x[j] *= c;
}

void tg__normalize_rows(int rows, int columns, int H, tg_real *x, size_t x_stride, tg_real *scale,
                        size_t scale_stride)
{
    const double EPSILON = 1e-5;
    for (int i = 0; i < rows; i++)
        for (int k = 0; k < columns; k++) {
            tg_real *column = x + (size_t)i * x_stride + (size_t)k * (size_t)H;
            subtract(H, mean(H, column), column);
            const double variance = (double)mean_of_products(H, column, column);
            const tg_real s = (tg_real)(1 / sqrt(variance + EPSILON));
            multiply_by(H, s, column);
            scale[(size_t)i * scale_stride + (size_t)k] = s;
        }
}

/* With g = gain * d:  dx = scale ( g - mean(g) - x mean(g * x) ) */
CLONED static void normalize_backward(int n, const tg_real *gain, const tg_real *x, tg_real scale,
                                      const tg_real *d, tg_real *dx)
{
    for (int j = 0; j < n; j++) dx[j] = gain[j] * d[j];
    const tg_real m = mean(n, dx), m_x = mean_of_products(n, dx, x);
    for (int j = 0; j < n; j++) dx[j] = scale * (dx[j] - m - x[j] * m_x);
}

void tg__normalize_rows_backward(int rows, int columns, int H, const tg_real *gain, const tg_real *x,
                                 size_t x_stride, const tg_real *scale, size_t scale_stride, const tg_real *d,
                                 size_t d_stride, tg_real *dx, size_t dx_stride)
{
    for (size_t i = 0; i < (size_t)rows; i++)
        for (size_t k = 0; k < (size_t)columns; k++) {
            const size_t column = k * (size_t)H;
            normalize_backward(H, gain + column, x + i * x_stride + column, scale[i * scale_stride + k],
                               d + i * d_stride + column, dx + i * dx_stride + column);
        }
}

CLONED static void scale_rows(int rows, int n, const tg_real *gain, const tg_real *x, size_t x_stride,
                              bool add, tg_real *y, size_t y_stride)
{
    for (; rows > 0; rows--, x += x_stride, y += y_stride)
        for (int j = 0; j < n; j++) y[j] = add ? y[j] + gain[j] * x[j] : gain[j] * x[j];
}
void tg__scale_rows(int rows, int n, const tg_real *gain, const tg_real *x, size_t x_stride, bool add,
                    tg_real *y, size_t y_stride)
{
    scale_rows(rows, n, gain, x, x_stride, add, y, y_stride);
}

CLONED static void add_products_of_rows(int rows, int n, const tg_real *a, size_t a_stride, const tg_real *b,
                                        size_t b_stride, tg_real *sum)
{
    for (; rows > 0; rows--, a += a_stride, b += b_stride)
        for (int j = 0; j < n; j++) sum[j] += a[j] * b[j];
}
void tg__add_products_of_rows(int rows, int n, const tg_real *a, size_t a_stride, const tg_real *b,
                              size_t b_stride, tg_real *sum)
{
    add_products_of_rows(rows, n, a, a_stride, b, b_stride, sum);
}
