/* kernels/simd/kernels.c -- the element-wise halves of the kernels, compiled once for each
 * instruction set. The equations stand in kernels/gru.c, beside the products. */
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

/* ---- GRU ----
 *
 * Gates of a row lie side by side, in the order z r g: (3H). */

/* Row i of the part, in an array of that many numbers a row. */
INLINE size_t row_of(gru_part p, int i, size_t width) { return (size_t)i * (size_t)p.step * width; }

/* Goes through the part: i counts its rows, j its vectors of units, n is how many units are left. */
#define EACH_ROW(p)                                                                                          \
    const size_t H = (size_t)(p).H;                                                                          \
    for (int i = 0; i < (p).rows; i++)
#define EACH_VECTOR(p) for (int j = (p).first, n = (p).end - j; j < (p).end; j += VL, n -= VL)

/* z = sigmoid(gates_z + b_z), r = sigmoid(gates_r + b_r), rh = r * h */
static void gru_update_and_reset(gru_part p, const tg_real *b, const tg_real *h, size_t h_stride,
                                 tg_real *gates, tg_real *rh)
{
    EACH_ROW(p)
    {
        const tg_real *before = h + row_of(p, i, h_stride);
        tg_real *z_row = gates + row_of(p, i, 3 * H), *r_row = z_row + H, *rh_row = rh + row_of(p, i, H);
        EACH_VECTOR(p)
        {
            const vec z = sigmoid_(load(z_row + j, n) + load(b + j, n));
            const vec r = sigmoid_(load(r_row + j, n) + load(b + H + j, n));
            store(z_row + j, n, z);
            store(r_row + j, n, r);
            store(rh_row + j, n, r * load(before + j, n));
        }
    }
}

/* g = tanh(gates_g + b_g), y = z * h + (1 - z) * g = g + z * (h - g) */
static void gru_output(gru_part p, const tg_real *b, tg_real *gates, const tg_real *h, size_t h_stride,
                       tg_real *y, size_t y_stride)
{
    EACH_ROW(p)
    {
        const tg_real *before = h + row_of(p, i, h_stride), *z_row = gates + row_of(p, i, 3 * H);
        tg_real *g_row = gates + row_of(p, i, 3 * H) + 2 * H, *y_row = y + row_of(p, i, y_stride);
        EACH_VECTOR(p)
        {
            const vec z = load(z_row + j, n), g = tanh_(load(g_row + j, n) + load(b + 2 * H + j, n));
            store(g_row + j, n, g);
            store(y_row + j, n, fma_(z, load(before + j, n) - g, g));
        }
    }
}

/* q += b_hg, z and r with both biases, g = tanh(gates_g + b_g + r * q), y as above */
static void gru_output_reset_after(gru_part p, const tg_real *b, const tg_real *b_h, tg_real *gates,
                                   tg_real *q, const tg_real *h, size_t h_stride, tg_real *y, size_t y_stride)
{
    EACH_ROW(p)
    {
        const tg_real *before = h + row_of(p, i, h_stride);
        tg_real *z_row = gates + row_of(p, i, 3 * H), *r_row = z_row + H, *g_row = r_row + H,
                *q_row = q + row_of(p, i, H), *y_row = y + row_of(p, i, y_stride);
        EACH_VECTOR(p)
        {
            const vec z = sigmoid_(load(z_row + j, n) + load(b + j, n) + load(b_h + j, n));
            const vec r = sigmoid_(load(r_row + j, n) + load(b + H + j, n) + load(b_h + H + j, n));
            const vec hq = load(q_row + j, n) + load(b_h + 2 * H + j, n);
            const vec g = tanh_(fma_(r, hq, load(g_row + j, n) + load(b + 2 * H + j, n)));
            store(z_row + j, n, z);
            store(r_row + j, n, r);
            store(g_row + j, n, g);
            store(q_row + j, n, hq);
            store(y_row + j, n, fma_(z, load(before + j, n) - g, g));
        }
    }
}

/* dz = dh * (h_before - g) * z * (1 - z)      before the sigmoid
 * dg = dh * (1 - z) * (1 - g * g)             before the tanh
 * dh = dh * z                                 the part that goes straight to h(t-1) */
static void gru_backward_output(gru_part p, const tg_real *h_before, size_t h_stride, tg_real *gates,
                                tg_real *dh)
{
    EACH_ROW(p)
    {
        const tg_real *before = h_before + row_of(p, i, h_stride);
        tg_real *z_row = gates + row_of(p, i, 3 * H), *g_row = z_row + 2 * H, *dh_row = dh + row_of(p, i, H);
        EACH_VECTOR(p)
        {
            const vec z = load(z_row + j, n), g = load(g_row + j, n), d = load(dh_row + j, n);
            const vec dz = d * (load(before + j, n) - g) * z * (1 - z);
            const vec dg = d * (1 - z) * (1 - g * g);
            store(z_row + j, n, dz);
            store(g_row + j, n, dg);
            store(dh_row + j, n, d * z);
        }
    }
}

/* drh = dg W_hg' is given.   dr = drh * h_before * r * (1 - r),   dh += drh * r */
static void gru_backward_reset(gru_part p, const tg_real *h_before, size_t h_stride, const tg_real *drh,
                               tg_real *gates, tg_real *dh)
{
    EACH_ROW(p)
    {
        const tg_real *before = h_before + row_of(p, i, h_stride), *drh_row = drh + row_of(p, i, H);
        tg_real *r_row = gates + row_of(p, i, 3 * H) + H, *dh_row = dh + row_of(p, i, H);
        EACH_VECTOR(p)
        {
            const vec r = load(r_row + j, n), d = load(drh_row + j, n);
            const vec dr = d * load(before + j, n) * r * (1 - r);
            store(r_row + j, n, dr);
            store(dh_row + j, n, fma_(d, r, load(dh_row + j, n)));
        }
    }
}

/* dz and dg as above; dr = dg * q * r * (1 - r);  q becomes dq = dg * r;  dh = dh * z */
static void gru_backward_reset_after(gru_part p, const tg_real *h_before, size_t h_stride, tg_real *gates,
                                     tg_real *q, tg_real *dh)
{
    EACH_ROW(p)
    {
        const tg_real *before = h_before + row_of(p, i, h_stride);
        tg_real *z_row = gates + row_of(p, i, 3 * H), *r_row = z_row + H, *g_row = r_row + H,
                *q_row = q + row_of(p, i, H), *dh_row = dh + row_of(p, i, H);
        EACH_VECTOR(p)
        {
            const vec z = load(z_row + j, n), r = load(r_row + j, n), g = load(g_row + j, n);
            const vec d = load(dh_row + j, n), hq = load(q_row + j, n);
            const vec dz = d * (load(before + j, n) - g) * z * (1 - z);
            const vec dg = d * (1 - z) * (1 - g * g);
            const vec dr = dg * hq * r * (1 - r);
            store(z_row + j, n, dz);
            store(r_row + j, n, dr);
            store(g_row + j, n, dg);
            store(q_row + j, n, dg * r);
            store(dh_row + j, n, d * z);
        }
    }
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

const simd_table NAME(SIMD) = {
    .name = STRING(SIMD),
    .argmax = &ARGMAX(SIMD),
    .product = &PRODUCT(SIMD),
    .exp = exp_all,
    .exp_minus = exp_minus,
    .sigmoid = sigmoid_all,
    .tanh = tanh_all,
    .multiply_adds = multiply_adds,
    .read_all = read_all,
    .gru_update_and_reset = gru_update_and_reset,
    .gru_output = gru_output,
    .gru_output_reset_after = gru_output_reset_after,
    .gru_backward_output = gru_backward_output,
    .gru_backward_reset = gru_backward_reset,
    .gru_backward_reset_after = gru_backward_reset_after,
    .attention_additive = attention_additive,
    .attention_additive_backward = attention_additive_backward,
    .attention_dot = attention_dot,
    .attention_sum = attention_sum,
    .attention_spread = attention_spread,
};
