/* kernels/simd/argmax.c -- upper and lower bounds of the numbers of a matrix product, from a product of small
 * integers; the formulas and letters are those of kernels/argmax.h. */
#include "kernels/simd/bytes.h"
#include "kernels/simd/table.h"

#define JOIN(a, b)    a##b
#define NAME(variant) JOIN(tg__argmax_, variant)

#if defined(SIMD_AVX512) || defined(SIMD_AVX2)

/* ---- quantization ---- */

typedef int8_t bytes __attribute__((vector_size(VL)));

/* Numbers so small that their squares, or a product of two scales, would underflow are all rounded to 0. */
static quantized_row quantize_tiny_row(int n, const tg_real *x, tg_real largest, int8_t *q)
{
    const tg_real unit = largest > 0 ? 1 / largest : 0;
    tg_real sum = 0;
    for (int i = 0; i < n; i++) sum += (x[i] * unit) * (x[i] * unit);
    const tg_real length = largest * sqrtf(sum);
    memset(q, 0, (size_t)n);
    return (quantized_row){ 0, length, length };
}

static quantized_row quantize(int n, const tg_real *x, int8_t *q)
{
    const tg_real TINY = 1e-13f,
                  magic = 12582912.0f; /* 1.5 2^23: adding it leaves the integer in the low bits */
    vec most = all(0), length = all(0), error = all(0);
    for (int i = 0; i < n; i += VL) {
        const vec a = magnitude(load(x + i, n - i));
        most = blend(a > most, a, most);
    }
    tg_real largest = 0, sums[2] = { 0 };
    for (int lane = 0; lane < VL; lane++) largest = most[lane] > largest ? most[lane] : largest;
    if (largest < TINY) return quantize_tiny_row(n, x, largest, q);
    const tg_real scale = largest / BYTE_MOST, inverse = 1 / scale;
    for (int i = 0; i < n; i += VL) {
        const vec v = load(x + i, n - i), shifted = fma_(v, all(inverse), all(magic)),
                  rounded = shifted - all(magic);
        const vec e = v - all(scale) * rounded;
        const ivec integer = (ivec)shifted - (ivec)all(magic);
        length = fma_(v, v, length);
        error = fma_(e, e, error);
        const bytes narrow = __builtin_convertvector(integer, bytes);
        memcpy(q + i, &narrow, (size_t)(n - i < VL ? n - i : VL));
    }
    for (int lane = 0; lane < VL; lane++) sums[0] += length[lane], sums[1] += error[lane];
    return (quantized_row){ scale, sqrtf(sums[0]), sqrtf(sums[1]) };
}

static void transpose_columns(int k, int n, const tg_real *B, size_t stride, tg_real *columns)
{
    for (int j = 0; j < n; j += VL)
        for (int i = 0; i < k; i += VL) {
            vec x[VL];
            for (int r = 0; r < VL; r++)
                x[r] = i + r < k ? load(B + (size_t)(i + r) * stride + j, n - j) : all(0);
            transpose(x);
            for (int r = 0; r < VL && j + r < n; r++)
                store(columns + (size_t)(j + r) * (size_t)k + i, k - i, x[r]);
        }
}

/* ---- bounds ---- */

/* What belongs to a vector of columns. */
typedef struct column_lanes {
    ivec offset;
    vec scale, length, error, bias;
    vec rounding; /* at most the rounding error of adding the bias, in a bound and in the exact number */
} column_lanes;

INLINE column_lanes load_columns(const quantized_columns *w, int j)
{
    column_lanes c = { .scale = load(w->scale + j, VL),
                       .length = load(w->length + j, VL),
                       .error = load(w->error + j, VL),
                       .bias = load(w->bias + j, VL) };
    memcpy(&c.offset, w->offset + j, sizeof c.offset);
    c.rounding = magnitude(c.bias) * all(2.4e-7f);
    return c;
}

/* The bounds of `rows` rows and the panel at column j. lower: each lane's largest lower bound so far. */
INLINE void bounds_tile(const int rows, const quantized_columns *w, int j, int n, const uint8_t *x,
                        const quantized_row *row, tg_real *upper, size_t stride, vec *lower)
{
    ivec sum[BYTE_ROWS][2];
    byte_tile(rows, w->k, x, w->panels + (size_t)j * (size_t)w->k, sum);
#pragma GCC unroll 2
    for (int v = 0; v < 2; v++) {
        const column_lanes c = load_columns(w, j + v * VL);
        const int left = n - j - v * VL;
        if (left <= 0) return;
#pragma GCC unroll 8
        for (int i = 0; i < rows; i++) {
            const vec product = __builtin_convertvector(sum[i][v] - c.offset, vec),
                      middle = fma_(product, all(row[i].scale) * c.scale, c.bias),
                      radius =
                          fma_(all(row[i].error), c.length, fma_(all(row[i].length), c.error, c.rounding)),
                      low = middle - radius;
            store(upper + (size_t)i * stride + j + v * VL, left, middle + radius);
            lower[i] = blend(low > lower[i], low, lower[i]);
        }
    }
}

static tg_real largest_lane(vec x)
{
    tg_real most = x[0];
    for (int lane = 1; lane < VL; lane++) most = x[lane] > most ? x[lane] : most;
    return most;
}

static void bounds(const quantized_columns *w, int n, int rows, const uint8_t *x, const quantized_row *row,
                   tg_real *upper, size_t stride, tg_real lower[])
{
    vec most[ARGMAX_ROWS];
    for (int i = 0; i < rows; i++) most[i] = all(-INFINITY);
    for (int j = 0; j < n; j += BYTE_COLUMNS)
        for (int i = 0, height; i < rows; i += height) {
            const uint8_t *xi = x + (size_t)i * (size_t)w->k;
            tg_real *to = upper + (size_t)i * stride;
            const int left = rows - i;
            height = left >= BYTE_ROWS ? BYTE_ROWS : left >= 4 ? 4 : left >= 2 ? 2 : 1;
            switch (height) {
            case 1: bounds_tile(1, w, j, n, xi, row + i, to, stride, most + i); break;
            case 2: bounds_tile(2, w, j, n, xi, row + i, to, stride, most + i); break;
            case 4: bounds_tile(4, w, j, n, xi, row + i, to, stride, most + i); break;
            default: bounds_tile(BYTE_ROWS, w, j, n, xi, row + i, to, stride, most + i);
            }
        }
    for (int i = 0; i < rows; i++) lower[i] = largest_lane(most[i]);
}

/* ---- candidates ---- */

INLINE unsigned bits_of_lanes(ivec mask)
{
#if defined(SIMD_AVX512)
    return (unsigned)_mm512_movepi32_mask((__m512i)mask);
#else
    return (unsigned)_mm256_movemask_ps((__m256)mask);
#endif
}

static int columns_at_least(int n, const tg_real *x, tg_real least, int most, int column[])
{
    int count = 0;
    for (int j = 0; j < n; j += VL) {
        unsigned found = bits_of_lanes((ivec)(load(x + j, n - j) >= all(least)));
        if (n - j < VL) found &= (1u << (n - j)) - 1;
        for (; found && count <= most; found &= found - 1) column[count++] = j + __builtin_ctz(found);
    }
    return count;
}

/* One chain of multiply-adds for each `depth` of k, added to y in order, as panel_product computes a number.
 * Several columns at a time hide the latency of a multiply-add. */
static void dot_products(int k, int depth, const tg_real *x, const tg_real *const w[ARGMAX_CHAINS],
                         tg_real y[ARGMAX_CHAINS])
{
    for (int p = 0; p < k;) {
        tg_real sum[ARGMAX_CHAINS] = { 0 };
        for (const int end = k - p < depth ? k : p + depth; p < end; p++)
#pragma GCC unroll 4
            for (int i = 0; i < ARGMAX_CHAINS; i++) sum[i] = __builtin_fmaf(x[p], w[i][p], sum[i]);
        for (int i = 0; i < ARGMAX_CHAINS; i++) y[i] += sum[i];
    }
}

const argmax_table NAME(SIMD) = {
    .panel_columns = BYTE_COLUMNS,
    .k_unit = BYTE_STEP,
    .zero_point = BYTE_ZERO,
    .quantize = quantize,
    .transpose_columns = transpose_columns,
    .bounds = bounds,
    .columns_at_least = columns_at_least,
    .dot_products = dot_products,
};

#else

const argmax_table NAME(SIMD) = { 0 };

#endif
