/* kernels/simd/argmax.c -- products of small integers, and the intervals they stand for; see kernels/argmax.h.
 *
 * A panel is of two vectors' columns. For each 4 of k it has two vectors, the first and the second one's columns; the 4
 * bytes of a column lie side by side. The integers of a row are stored plus ZERO, because the processor multiplies
 * unsigned by signed bytes. AVX-512 VNNI adds four such products to 32 bits in one instruction, and takes integers of 8
 * bits; elsewhere they have 7, because two products are added in 16 bits, twice (4 * 127 * 63 < 2^15), and then in 32. */
#include "kernels/simd/table.h"
#include "kernels/simd/vector.h"

#define JOIN(a, b)    a##b
#define NAME(variant) JOIN(tg__argmax_, variant)

#if defined(SIMD_AVX512VNNI)
enum { TILE = 8, STEP = 4, LEVELS = 127, ZERO = 128 };
INLINE ivec add_products(ivec sum, ivec a, ivec b)
{
    return (ivec)_mm512_dpbusd_epi32((__m512i)sum, (__m512i)a, (__m512i)b);
}
#elif defined(SIMD_AVX512)
INLINE ivec multiply_bytes(ivec a, ivec b) { return (ivec)_mm512_maddubs_epi16((__m512i)a, (__m512i)b); }
INLINE ivec add_shorts(ivec a, ivec b) { return (ivec)_mm512_add_epi16((__m512i)a, (__m512i)b); }
INLINE ivec add_pairs(ivec a) { return (ivec)_mm512_madd_epi16((__m512i)a, _mm512_set1_epi16(1)); }
#elif defined(SIMD_AVX2)
INLINE ivec multiply_bytes(ivec a, ivec b) { return (ivec)_mm256_maddubs_epi16((__m256i)a, (__m256i)b); }
INLINE ivec add_shorts(ivec a, ivec b) { return (ivec)_mm256_add_epi16((__m256i)a, (__m256i)b); }
INLINE ivec add_pairs(ivec a) { return (ivec)_mm256_madd_epi16((__m256i)a, _mm256_set1_epi16(1)); }
#endif

#if defined(SIMD_AVX512) || defined(SIMD_AVX2)

enum { WIDTH = 2 * VL, DEEP = VECTOR_BYTES };
#if !defined(SIMD_AVX512VNNI)
enum { TILE = 4, STEP = 8, LEVELS = 63, ZERO = 64 };
INLINE ivec add_products(ivec sum, ivec a, ivec b) { return sum + add_pairs(multiply_bytes(a, b)); }
#endif

INLINE ivec load_bytes(const void *p)
{
    ivec x;
    memcpy(&x, p, sizeof x);
    return x;
}

INLINE ivec all_bytes(const uint8_t *p)
{
    int32_t four;
    memcpy(&four, p, sizeof four);
    return (ivec){ 0 } + four;
}

/* A vector's columns: STEP of k, which lie WIDTH columns apart in the panel. */
INLINE ivec add_step(ivec sum, const uint8_t *x, const int8_t *panel)
{
#if defined(SIMD_AVX512VNNI)
    return add_products(sum, all_bytes(x), load_bytes(panel));
#else
    return sum + add_pairs(add_shorts(multiply_bytes(all_bytes(x), load_bytes(panel)),
                                      multiply_bytes(all_bytes(x + 4), load_bytes(panel + 4 * WIDTH))));
#endif
}

/* A vector of columns. */
typedef struct lanes {
    ivec offset;
    vec scale, length, error, rest, bias,
        rounding; /* rounding: when the bias is added, here and in the exact number */
} lanes;

INLINE lanes lanes_of(const rounded_columns *w, int j)
{
    lanes c = { .scale = load(w->scale + j, VL),
                .length = load(w->length + j, VL),
                .error = load(w->error + j, VL),
                .rest = load(w->rest + j, VL),
                .bias = load(w->bias + j, VL) };
    memcpy(&c.offset, w->offset + j, sizeof c.offset);
    c.rounding = magnitude(c.bias) * all(2.4e-7f);
    return c;
}

INLINE vec upper_end(lanes c, const rounded_row *row, ivec product)
{
    const vec middle =
        fma_(__builtin_convertvector(product - c.offset, vec), all(row->scale) * c.scale, c.bias);
    return middle + fma_(all(row->error), c.length,
                         fma_(all(row->length), c.error, fma_(all(row->rest), c.rest, c.rounding)));
}

/* The highest upper end of each lane so far, and the first column of its vector. */
typedef struct highest {
    vec end;
    ivec column;
} highest;

INLINE void tile(const int rows, const rounded_columns *w, int j, int n, const uint8_t *x,
                 const rounded_row *row, tg_real *upper, size_t stride, highest *most)
{
    const int k = w->k;
    const int8_t *panel = w->q + (size_t)j * (size_t)k;
    ivec sum[TILE][2];
#pragma GCC unroll 8
    for (int i = 0; i < rows; i++) sum[i][0] = sum[i][1] = (ivec){ 0 };
    for (int p = 0; p < k; p += STEP, panel += STEP * WIDTH) {
        for (int line = 0; line < STEP * WIDTH; line += 64) /* the next panel */
            __builtin_prefetch(panel + (size_t)k * WIDTH + line, 0, 2);
#pragma GCC unroll 8
        for (int i = 0; i < rows; i++) {
            const uint8_t *xi = x + (size_t)i * (size_t)k + p;
            sum[i][0] = add_step(sum[i][0], xi, panel);
            sum[i][1] = add_step(sum[i][1], xi, panel + 4 * VL);
        }
    }
#pragma GCC unroll 2
    for (int v = 0; v < 2; v++) {
        const lanes c = lanes_of(w, j + v * VL);
        const int left = n - j - v * VL;
        if (left <= 0) return;
#pragma GCC unroll 8
        for (int i = 0; i < rows; i++) {
            const vec end = upper_end(c, &row[i], sum[i][v]);
            const ivec higher = (ivec)(end > most[i].end);
            store(upper + (size_t)i * stride + j + v * VL, left, end);
            most[i].end = choose(higher, end, most[i].end);
            most[i].column = (higher & ((ivec){ 0 } + (j + v * VL))) | (~higher & most[i].column);
        }
    }
}

static int highest_column(highest most)
{
    int best = 0;
    for (int lane = 1; lane < VL; lane++)
        if (most.end[lane] > most.end[best]) best = lane;
    return most.column[best] + best;
}

static void upper_ends(const rounded_columns *w, int n, int rows, const uint8_t *x, const rounded_row *row,
                       tg_real *upper, size_t stride, int column[])
{
    highest most[ARGMAX_ROWS];
    for (int i = 0; i < rows; i++) most[i] = (highest){ all(-INFINITY), { 0 } };
    for (int j = 0; j < n; j += WIDTH)
        for (int i = 0, height; i < rows; i += height) {
            const uint8_t *xi = x + (size_t)i * (size_t)w->k;
            tg_real *to = upper + (size_t)i * stride;
            const int left = rows - i;
            height = left >= TILE ? TILE : left >= 4 ? 4 : left >= 2 ? 2 : 1;
            switch (height) {
            case 1: tile(1, w, j, n, xi, row + i, to, stride, most + i); break;
            case 2: tile(2, w, j, n, xi, row + i, to, stride, most + i); break;
            case 4: tile(4, w, j, n, xi, row + i, to, stride, most + i); break;
            default: tile(TILE, w, j, n, xi, row + i, to, stride, most + i);
            }
        }
    for (int i = 0; i < rows; i++) column[i] = highest_column(most[i]);
}

/* As many chains of products as hide how long one takes. */
INLINE void some_dots(const int n, int k, const uint8_t *x, const int8_t *q, const int column[],
                      int32_t product[])
{
    ivec sum[8] = { 0 };
    const int8_t *at[8];
#pragma GCC unroll 8
    for (int i = 0; i < n; i++) at[i] = q + (size_t)column[i] * (size_t)k;
    for (int p = 0; p < k; p += VECTOR_BYTES) {
        const ivec a = load_bytes(x + p);
#pragma GCC unroll 8
        for (int i = 0; i < n; i++) sum[i] = add_products(sum[i], a, load_bytes(at[i] + p));
    }
#pragma GCC unroll 8
    for (int i = 0; i < n; i++) {
        int32_t all = 0;
        for (int lane = 0; lane < VL; lane++) all += sum[i][lane];
        product[i] = all;
    }
}

static void dots(int k, const uint8_t *x, const int8_t *q, int n, const int column[], int32_t product[])
{
    for (int height; n > 0; n -= height, column += height, product += height) {
        height = n >= 8 ? 8 : n >= 4 ? 4 : n >= 2 ? 2 : 1;
        switch (height) {
        case 1: some_dots(1, k, x, q, column, product); break;
        case 2: some_dots(2, k, x, q, column, product); break;
        case 4: some_dots(4, k, x, q, column, product); break;
        default: some_dots(8, k, x, q, column, product);
        }
    }
}

INLINE unsigned which(ivec set)
{
#if defined(SIMD_AVX512)
    return (unsigned)_mm512_movepi32_mask((__m512i)set);
#else
    return (unsigned)_mm256_movemask_ps((__m256)set);
#endif
}

static bool any_at_least(int n, const tg_real *x, tg_real least)
{
    ivec found = { 0 };
    int j = 0;
    for (; j + VL <= n; j += VL) found |= (ivec)(load(x + j, VL) >= all(least));
    bool any = which(found);
    for (; j < n; j++) any |= x[j] >= least;
    return any;
}

static int columns_at_least(int first, int end, const tg_real *x, tg_real least, int column[])
{
    int n = 0;
    for (int j = first; j < end; j += VL) {
        unsigned found = which((ivec)(load(x + j, end - j) >= all(least)));
        if (end - j < VL) found &= (1u << (end - j)) - 1;
        for (; found; found &= found - 1) column[n++] = j + __builtin_ctz(found);
    }
    return n;
}

static void copy_columns(int k, int n, const tg_real *B, size_t stride, tg_real *columns)
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

typedef int8_t bytes __attribute__((vector_size(VL)));

/* Numbers so small that their squares, or a product of two factors r s_j, would vanish are all rounded to 0. */
static rounded_row round_tiny_row(int n, const tg_real *x, tg_real largest, int8_t *q)
{
    const tg_real unit = largest > 0 ? 1 / largest : 0;
    tg_real sum = 0;
    for (int i = 0; i < n; i++) sum += (x[i] * unit) * (x[i] * unit);
    const tg_real length = largest * sqrtf(sum);
    memset(q, 0, (size_t)n);
    return (rounded_row){ 0, length, length, 0 };
}

static rounded_row round_row(int n, const tg_real *x, int8_t *q)
{
    const tg_real TINY = 1e-13f,
                  magic = 12582912.0f; /* 1.5 2^23: adding it leaves the integer in the low bits */
    vec most = all(0), length = all(0), error = all(0);
    for (int i = 0; i < n; i += VL) {
        const vec a = magnitude(load(x + i, n - i));
        most = choose(a > most, a, most);
    }
    tg_real largest = 0, sums[2] = { 0 };
    for (int lane = 0; lane < VL; lane++) largest = most[lane] > largest ? most[lane] : largest;
    if (largest < TINY) return round_tiny_row(n, x, largest, q);
    const tg_real scale = largest / LEVELS, inverse = 1 / scale;
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
    return (rounded_row){ scale, sqrtf(sums[0]), sqrtf(sums[1]), 0 };
}

/* As panel_product computes a number: one chain for each `depth` of k, added to the bias in order. Several
 * columns at a time, since a chain waits for each of its sums. */
static void chains(int k, int depth, const tg_real *x, const tg_real *const w[ARGMAX_CHAINS],
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

const argmax_table NAME(SIMD) = { WIDTH,        DEEP,      ZERO,         upper_ends,       dots,
                                  copy_columns, round_row, any_at_least, columns_at_least, chains };

#else

const argmax_table NAME(SIMD) = { 0 };

#endif
