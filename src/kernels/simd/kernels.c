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

/* ---- products with packed matrices ----
 *
 * A tile of the result, up to TILE rows of A times one panel of two vectors, stays in registers while k
 * runs; each number of the result is one chain of fused multiply-adds in the order of k, whatever the
 * tile's height, so a row alone gives the same bits as in a batch. */
#if defined(SIMD_AVX512)
enum { TILE = 12 };
#elif defined(SIMD_AVX2)
enum { TILE = 6 };
#else
enum { TILE = 4 };
#endif
enum { WIDTH = 2 * VL, LANES = (TILE + VL - 1) / VL * VL }; /* a strip's column takes LANES */

/* One slice of a matrix B (k,columns), `lanes` wide, a multiple of VL: its rows, filled up with zeros. */
INLINE void pack_rows(const int lanes, int k, int columns, const tg_real *B, size_t stride, tg_real *to)
{
    for (int i = 0; i < k; i++, B += stride, to += lanes)
#pragma GCC unroll 4
        for (int j = 0; j < lanes; j += VL)
            store(to + j, VL,
                  columns >= j + VL ? load(B + j, VL) : load_part(B + j, columns > j ? columns - j : 0));
}

/* The same of the transpose of what is stored, (columns,k). */
INLINE void pack_columns(const int lanes, int k, int columns, const tg_real *B, size_t stride, tg_real *to)
{
    for (int j = 0; j < lanes; j += VL, B += VL * stride)
        for (int i = 0; i < k; i += VL) {
            vec x[VL];
#pragma GCC unroll 16
            for (int r = 0; r < VL; r++)
                x[r] = j + r < columns ? load(B + (size_t)r * stride + i, k - i) : all(0);
            transpose(x);
#pragma GCC unroll 16
            for (int r = 0; r < VL; r++)
                if (r < k - i) store(to + (size_t)(i + r) * (size_t)lanes + j, VL, x[r]);
        }
}

static void pack_panels(bool transposed, int k, int n, const tg_real *B, int stride, tg_real *panels)
{
    for (int j = 0; j < n; j += WIDTH, panels += (size_t)k * WIDTH)
        if (transposed)
            pack_columns(WIDTH, k, n - j, B + (size_t)j * (size_t)stride, (size_t)stride, panels);
        else
            pack_rows(WIDTH, k, n - j, B + j, (size_t)stride, panels);
}

static void pack_strips(bool transposed, int m, int k, const tg_real *A, int stride, tg_real *strips)
{
    for (int i = 0; i < m; i += TILE, strips += (size_t)k * LANES)
        if (transposed)
            pack_rows(LANES, k, m - i, A + i, (size_t)stride,
                      strips); /* and the rows after them: nobody reads those */
        else
            pack_columns(LANES, k, m - i < TILE ? m - i : TILE, A + (size_t)i * (size_t)stride,
                         (size_t)stride, strips);
}

/* C (rows,WIDTH), of which n columns are there. Element (i,p) of A lies at i * row + p * step. */
INLINE void tile(const int rows, int n, int k, const tg_real *A, size_t row, size_t step,
                 const tg_real *panel, size_t ahead, int keep, tg_real *C, int C_stride)
{
    vec sum[TILE][2];
#pragma GCC unroll 12
    for (int i = 0; i < rows; i++) { /* C arrives while the sums are made */
        sum[i][0] = sum[i][1] = all(0);
        __builtin_prefetch(C + (size_t)i * (size_t)C_stride, 1);
        __builtin_prefetch(C + (size_t)i * (size_t)C_stride + WIDTH - 1, 1);
    }
#pragma GCC unroll 4 /* leaves room for others on a core that two threads share: fewer instructions for each sum */
    for (int p = 0; p < k; p++, panel += WIDTH, A += step) {
        const vec b0 = load(panel, VL), b1 = load(panel + VL, VL);
        for (size_t line = 0; ahead && line < WIDTH * sizeof *panel; line += 64)
            __builtin_prefetch((const char *)(panel + ahead) + line, 0, 2);
#pragma GCC unroll 12
        for (int i = 0; i < rows; i++) {
            const vec a = all(A[(size_t)i * row]);
            sum[i][0] = fma_(a, b0, sum[i][0]);
            sum[i][1] = fma_(a, b1, sum[i][1]);
        }
    }
    if (n >= WIDTH) {
#pragma GCC unroll 12
        for (int i = 0; i < rows; i++, C += C_stride) {
            store(C, VL, keep ? sum[i][0] + load(C, VL) : sum[i][0]);
            store(C + VL, VL, keep ? sum[i][1] + load(C + VL, VL) : sum[i][1]);
        }
        return;
    }
    tg_real last[TILE][WIDTH]; /* the panel that is not full */
#pragma GCC unroll 12
    for (int i = 0; i < rows; i++) {
        store(last[i], VL, sum[i][0]);
        store(last[i] + VL, VL, sum[i][1]);
    }
    for (int i = 0; i < rows; i++, C += C_stride)
        for (int j = 0; j < n; j++) C[j] = keep ? last[i][j] + C[j] : last[i][j];
}

/* The tile of that height, so that the compiler keeps its sums in registers. */
INLINE void tile_of(int rows, int n, int k, const tg_real *A, size_t row, size_t step, const tg_real *panel,
                    size_t ahead, int keep, tg_real *C, int C_stride)
{
    switch (rows) {
#define ROWS(r)                                                                                              \
    case r:                                                                                                  \
        if (r <= TILE) tile(r <= TILE ? r : 1, n, k, A, row, step, panel, ahead, keep, C, C_stride);         \
        break;
        ROWS(1)
        ROWS(2) ROWS(3) ROWS(4) ROWS(5) ROWS(6) ROWS(7) ROWS(8) ROWS(9) ROWS(10) ROWS(11) ROWS(12)
#undef ROWS
    }
}

static void panel_product(int m, int n, int k, const tg_real *A, int A_stride, const tg_real *B, int keep,
                          tg_real *C, int C_stride)
{
    const int tiles = (m + TILE - 1) / TILE;
    const size_t panel = (size_t)k * WIDTH; /* fetched while the one before it is multiplied */
    for (int j = 0; j < n; j += WIDTH, B += panel)
        for (int t = 0, i = 0; t < tiles; t++) { /* as equal in height as can be */
            const int rows = m / tiles + (t < m % tiles);
            tile_of(rows, n - j, k, A + (size_t)i * (size_t)A_stride, (size_t)A_stride, 1, B, panel, keep,
                    C + (size_t)i * (size_t)C_stride + j, C_stride);
            i += rows;
        }
}

/* DEPTH of a panel stays in the first cache (24 KiB) while the strips pass by. */
enum { DEPTH = 24 * 1024 / (2 * VECTOR_BYTES) };

/* Part i of n of what is read next, into the second cache. */
INLINE void fetch(const tg_real *x, int bytes, int i, int n)
{
    enum { LINE = 64 };
    const int part = (bytes / LINE + n) / n * LINE, end = (i + 1) * part < bytes ? (i + 1) * part : bytes;
    for (int line = i * part; line < end; line += LINE) __builtin_prefetch((const char *)x + line, 0, 2);
}

static void packed_product(int m, int n, int k, const tg_real *strips, const tg_real *panels, int keep,
                           tg_real *C, int C_stride)
{
    const int tiles = (m + TILE - 1) / TILE;
    for (int p = 0; p < k; p += DEPTH) {
        const int depth = k - p < DEPTH ? k - p : DEPTH;
        for (int j = 0; j < n; j += WIDTH) {
            const tg_real *panel = panels + (size_t)j * (size_t)k + (size_t)p * WIDTH;
            for (int i = 0; i < tiles; i++) {
                fetch(panel + (size_t)k * WIDTH, depth * WIDTH * (int)sizeof *panel, i, tiles);
                tile_of(m - i * TILE < TILE ? m - i * TILE : TILE, n - j, depth,
                        strips + (size_t)i * (size_t)k * LANES + (size_t)p * LANES, 1, LANES, panel, 0,
                        keep || p, C + (size_t)i * TILE * (size_t)C_stride + j, C_stride);
            }
        }
    }
}

/* ---- GRU ---- */

/* z = sigmoid(gates_z + b_z), r = sigmoid(gates_r + b_r), rh = r * h */
static void gru_update_and_reset(int rows, int H, const tg_real *b, const tg_real *h, tg_real *gates,
                                 tg_real *rh)
{
    for (int i = 0; i < rows; i++, gates += 3 * H, h += H, rh += H)
        for (int j = 0; j < H; j += VL) {
            const int n = H - j;
            const vec z = sigmoid_(load(gates + j, n) + load(b + j, n));
            const vec r = sigmoid_(load(gates + H + j, n) + load(b + H + j, n));
            store(gates + j, n, z);
            store(gates + H + j, n, r);
            store(rh + j, n, r * load(h + j, n));
        }
}

/* g = tanh(gates_g + b_g), h = z * h + (1 - z) * g = g + z * (h - g); y = h */
static void gru_output(int rows, int H, const tg_real *b, tg_real *gates, tg_real *h, tg_real *y,
                       int y_stride)
{
    for (int i = 0; i < rows; i++, gates += 3 * H, h += H, y += y_stride)
        for (int j = 0; j < H; j += VL) {
            const int n = H - j;
            const vec z = load(gates + j, n), g = tanh_(load(gates + 2 * H + j, n) + load(b + 2 * H + j, n));
            const vec new_h = fma_(z, load(h + j, n) - g, g);
            store(gates + 2 * H + j, n, g);
            store(h + j, n, new_h);
            store(y + j, n, new_h);
        }
}

/* q += b_hg, z and r with both biases, g = tanh(gates_g + b_g + r * q), h and y as above */
static void gru_output_reset_after(int rows, int H, const tg_real *b, const tg_real *b_h, tg_real *gates,
                                   tg_real *q, tg_real *h, tg_real *y, int y_stride)
{
    for (int i = 0; i < rows; i++, gates += 3 * H, q += H, h += H, y += y_stride)
        for (int j = 0; j < H; j += VL) {
            const int n = H - j;
            const vec z = sigmoid_(load(gates + j, n) + load(b + j, n) + load(b_h + j, n));
            const vec r = sigmoid_(load(gates + H + j, n) + load(b + H + j, n) + load(b_h + H + j, n));
            const vec hq = load(q + j, n) + load(b_h + 2 * H + j, n);
            const vec g = tanh_(fma_(r, hq, load(gates + 2 * H + j, n) + load(b + 2 * H + j, n)));
            const vec new_h = fma_(z, load(h + j, n) - g, g);
            store(gates + j, n, z);
            store(gates + H + j, n, r);
            store(gates + 2 * H + j, n, g);
            store(q + j, n, hq);
            store(h + j, n, new_h);
            store(y + j, n, new_h);
        }
}

/* dz = dh * (h_before - g) * z * (1 - z)      before the sigmoid
 * dg = dh * (1 - z) * (1 - g * g)             before the tanh
 * dh = dh * z                                 the part that goes straight to h(t-1) */
static void gru_backward_output(int rows, int H, const tg_real *h_before, tg_real *gates, tg_real *dh)
{
    for (int i = 0; i < rows; i++, h_before += H, gates += 3 * H, dh += H)
        for (int j = 0; j < H; j += VL) {
            const int n = H - j;
            const vec z = load(gates + j, n), g = load(gates + 2 * H + j, n), d = load(dh + j, n);
            const vec dz = d * (load(h_before + j, n) - g) * z * (1 - z);
            const vec dg = d * (1 - z) * (1 - g * g);
            store(gates + j, n, dz);
            store(gates + 2 * H + j, n, dg);
            store(dh + j, n, d * z);
        }
}

/* drh = dg W_hg' is given.   dr = drh * h_before * r * (1 - r),   dh += drh * r,   rh = r * h_before */
static void gru_backward_reset(int rows, int H, const tg_real *h_before, const tg_real *drh, tg_real *gates,
                               tg_real *dh, tg_real *rh)
{
    for (int i = 0; i < rows; i++, h_before += H, drh += H, gates += 3 * H, dh += H, rh += H)
        for (int j = 0; j < H; j += VL) {
            const int n = H - j;
            const vec r = load(gates + H + j, n), before = load(h_before + j, n), d = load(drh + j, n);
            const vec dr = d * before * r * (1 - r);
            store(gates + H + j, n, dr);
            store(dh + j, n, fma_(d, r, load(dh + j, n)));
            store(rh + j, n, r * before);
        }
}

/* dz and dg as above; dr = dg * q * r * (1 - r);  q becomes dq = dg * r;  dh = dh * z */
static void gru_backward_reset_after(int rows, int H, const tg_real *h_before, tg_real *gates, tg_real *q,
                                     tg_real *dh)
{
    for (int i = 0; i < rows; i++, h_before += H, gates += 3 * H, q += H, dh += H)
        for (int j = 0; j < H; j += VL) {
            const int n = H - j;
            const vec z = load(gates + j, n), r = load(gates + H + j, n), g = load(gates + 2 * H + j, n);
            const vec d = load(dh + j, n), hq = load(q + j, n);
            const vec dz = d * (load(h_before + j, n) - g) * z * (1 - z);
            const vec dg = d * (1 - z) * (1 - g * g);
            const vec dr = dg * hq * r * (1 - r);
            store(gates + j, n, dz);
            store(gates + H + j, n, dr);
            store(gates + 2 * H + j, n, dg);
            store(q + j, n, dg * r);
            store(dh + j, n, d * z);
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
#define TEXT(x)         #x
#define STRING(x)       TEXT(x)

const simd_table NAME(SIMD) = {
    .name = STRING(SIMD),
    .argmax = &ARGMAX(SIMD),
    .exp = exp_all,
    .exp_minus = exp_minus,
    .sigmoid = sigmoid_all,
    .tanh = tanh_all,
    .panel_columns = WIDTH,
    .pack_panels = pack_panels,
    .strip_rows = TILE,
    .strip_lanes = LANES,
    .pack_strips = pack_strips,
    .panel_product = panel_product,
    .depth = DEPTH,
    .packed_product = VECTOR_BYTES > 16 ? packed_product : NULL,
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
