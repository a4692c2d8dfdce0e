/* kernels/simd/kernels.c -- element-wise functions and attention, compiled once for each instruction set. Those of the recurrent
 * cells are in kernels/recurrent/cells/. */
#include "kernels/recurrent/cell.h"
#include "kernels/simd/table.h"
#include "kernels/simd/vector.h"

#define POINTWISE(name, f)                                                                                   \
    static void name(size_t n, const tg_real *x, tg_real *y)                                                 \
    {                                                                                                        \
        for (size_t i = 0; i < n; i += VL) {                                                                 \
            const int left = n - i < VL ? (int)(n - i) : VL;                                                 \
            store(y + i, left, f(load(x + i, left)));                                                        \
        }                                                                                                    \
    }
POINTWISE(exp_all, exp_)
POINTWISE(sigmoid_all, sigmoid_)
POINTWISE(tanh_all, tanh_)

static void exp_minus(size_t n, const tg_real *x, tg_real M, tg_real *y)
{
    for (size_t i = 0; i < n; i += VL) {
        const int left = n - i < VL ? (int)(n - i) : VL;
        store(y + i, left, exp_nonpositive(load(x + i, left) - all(M)));
    }
}

/* ---- what the processor can do ---- */

static double multiply_adds(int rounds, tg_real *total)
{
    enum {
        CHAINS = VECTOR_BYTES == 64 ? 24 : 12
    }; /* more than the latency of two multipliers, fewer than registers */
    vec x[CHAINS], sum = all(0);
    const vec a = all((tg_real)0.999), b = all((tg_real)0.001);
#pragma GCC unroll 24
    for (int i = 0; i < CHAINS; i++) x[i] = all((tg_real)i);
    for (int k = 0; k < rounds; k++)
#pragma GCC unroll 24
        for (int i = 0; i < CHAINS; i++) x[i] = fma_(x[i], a, b);
#pragma GCC unroll 24
    for (int i = 0; i < CHAINS; i++) sum += x[i];
    *total = sum[0];
    return (double)rounds * CHAINS * VL;
}

static tg_real read_all(size_t n, const tg_real *x)
{
    enum { LOADS = 8 };
    vec sum[LOADS];
    size_t i = 0;
    for (int k = 0; k < LOADS; k++) sum[k] = all(0);
    for (; i + LOADS * VL <= n; i += LOADS * VL)
#pragma GCC unroll 16
        for (size_t k = 0; k < LOADS; k++) sum[k] += load(x + i + k * VL, VL);
    for (int k = 1; k < LOADS; k++) sum[0] += sum[k];
    return sum[0][0];
}

/* ---- attention ---- */

INLINE tg_real total(vec x)
{
    tg_real sum = 0;
    for (int i = 0; i < VL; i++) sum += x[i];
    return sum;
}

/* e_s = v . tanh(q + k_s + coverage_s w) */
static void attention_additive(int S, int D, const tg_real *q, const tg_real *keys, size_t stride,
                               const tg_real *v, const tg_real *coverage, const tg_real *w, tg_real *e)
{
    for (int s = 0; s < S; s++, keys += stride) {
        const vec covered = all(coverage ? coverage[s] : 0);
        vec sum = all(0);
        for (int j = 0; j < D; j += VL) {
            const int n = D - j;
            vec x = load(q + j, n) + load(keys + j, n);
            if (w) x = fma_(covered, load(w + j, n), x);
            sum = fma_(load(v + j, n), tanh_(x), sum);
        }
        e[s] = total(sum);
    }
}

/* With x = q + k_s + coverage_s w, dx = de_s v (1 - tanh(x)^2), tanh computed anew. */
static void attention_additive_backward(int S, int D, const tg_real *de, const tg_real *q,
                                        const tg_real *keys, size_t stride, const tg_real *v,
                                        const tg_real *coverage, const tg_real *w, tg_real *dq,
                                        tg_real *dkeys, tg_real *dv, tg_real *dw, tg_real *dcoverage)
{
    for (int s = 0; s < S; s++, keys += stride, dkeys += stride) {
        const vec covered = all(coverage ? coverage[s] : 0), d = all(de[s]);
        vec sum = all(0);
        for (int j = 0; j < D; j += VL) {
            const int n = D - j;
            vec x = load(q + j, n) + load(keys + j, n);
            if (w) x = fma_(covered, load(w + j, n), x);
            const vec y = tanh_(x), dx = d * load(v + j, n) * (1 - y * y);
            store(dv + j, n, fma_(d, y, load(dv + j, n)));
            store(dq + j, n, load(dq + j, n) + dx);
            store(dkeys + j, n, load(dkeys + j, n) + dx);
            if (!w) continue;
            store(dw + j, n, fma_(covered, dx, load(dw + j, n)));
            sum = fma_(dx, load(w + j, n), sum);
        }
        if (w) dcoverage[s] += total(sum);
    }
}

/* e_s = q . k_s */
static void attention_dot(int S, int D, const tg_real *q, const tg_real *keys, size_t stride, tg_real *e)
{
    for (int s = 0; s < S; s++, keys += stride) {
        vec sum = all(0);
        for (int j = 0; j < D; j += VL) sum = fma_(load(q + j, D - j), load(keys + j, D - j), sum);
        e[s] = total(sum);
    }
}

static void attention_sum(int S, int M, const tg_real *a, const tg_real *memory, size_t stride, tg_real *c)
{
    memset(c, 0, (size_t)M * sizeof *c);
    for (int s = 0; s < S; s++, memory += stride)
        for (int j = 0; j < M; j += VL)
            store(c + j, M - j, fma_(all(a[s]), load(memory + j, M - j), load(c + j, M - j)));
}

static void attention_spread(int S, int M, const tg_real *a, const tg_real *dc, tg_real *dmemory,
                             size_t stride)
{
    for (int s = 0; s < S; s++, dmemory += stride)
        for (int j = 0; j < M; j += VL)
            store(dmemory + j, M - j, fma_(all(a[s]), load(dc + j, M - j), load(dmemory + j, M - j)));
}

#define JOIN(a, b)      a##b
#define NAME(variant)   JOIN(tg__simd_, variant)
#define ARGMAX(variant) JOIN(tg__argmax_, variant)
#if defined(SIMD_AVX512VNNI)
#define PRODUCT(variant) tg__product_avx512 /* of numbers; what differs are integers */
#else
#define PRODUCT(variant) JOIN(tg__product_, variant)
#endif
#define TEXT(x)   #x
#define STRING(x) TEXT(x)

/* The descriptions of the cells that are compiled for this instruction set, in the order of enum tg_cell. */
#define CELL_OF(file, variant)          JOIN(tg__cell_##file##_, variant)
#define TG_CELL(enumerator, file, name) extern const recurrent_cell CELL_OF(file, SIMD);
#include <tidegate/cells.def>
#undef TG_CELL
static const recurrent_cell *const cells[] = {
#define TG_CELL(enumerator, file, name) &CELL_OF(file, SIMD),
#include <tidegate/cells.def>
#undef TG_CELL
};

const simd_table NAME(SIMD) = {
    .name = STRING(SIMD),
    .argmax = &ARGMAX(SIMD),
    .product = &PRODUCT(SIMD),
    .cells = cells,
    .exp = exp_all,
    .exp_minus = exp_minus,
    .sigmoid = sigmoid_all,
    .tanh = tanh_all,
    .multiply_adds = multiply_adds,
    .read_all = read_all,
    .attention_additive = attention_additive,
    .attention_additive_backward = attention_additive_backward,
    .attention_dot = attention_dot,
    .attention_sum = attention_sum,
    .attention_spread = attention_spread,
};
