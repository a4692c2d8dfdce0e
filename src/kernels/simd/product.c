/* kernels/simd/product.c -- products with packed matrices, compiled once for each instruction set.
 *
 * A tile of C stays in registers while the micro-kernel (function `tile`) runs down k:
 *
 *                            panel 0    panel 1    panel 2
 *                          +----------+----------+----------+
 *            B (k,n)     k | 2 vectors| 2 vectors|          |   a panel is stored row after row,
 *                          | wide     | wide     |          |   the last one padded with zeros
 *                          +----------+----------+----------+
 *
 *                 k
 *            +---------+   +----------+----------+----------+
 *   strip 0  | up to   |   |   tile   |   tile   |          |
 *            | 14 rows |   |          |          |          |   for each p < k:
 *            +---------+   +----------+----------+----------+     b0, b1 = row p of the panel
 *   strip 1  |         |   |          |          |          |     for each row i of the tile:
 *            |         |   |          |          |          |       a = broadcast A[i][p]
 *            +---------+   +----------+----------+----------+       sum[i][0] += a b0, sum[i][1] += a b1
 *              A (m,k)                 C (m,n)
 *
 * A strip is stored column after column, so that the numbers of A that a step of p needs are neighbours.
 * (BLIS calls strips and panels micro-panels of A and B, and a tile a micro-tile of MR x NR.) With few rows
 * packing A does not pay: then it is read as it is, and if few accumulators are needed, a tile is several
 * panels wide: there must be enough of them to hide the latency of multiply-adds.
 *
 * k is cut into blocks of DEPTH. A number of C is one chain of fused multiply-adds for each block, and the
 * blocks' sums are added in order. So its bits depend on k alone, and a row alone has the same bits as in a
 * batch. */
#include "kernels/simd/table.h"
#include "kernels/simd/vector.h"

/* What differs between instruction sets:
 *
 *   TILE_ROWS        the most rows of a tile; the registers hold TILE_ROWS * 2 accumulators, 2 vectors of B
 *                    and 1 of A
 *   PACK_ROWS        A is packed in strips if it has at least so many rows
 *   GROUP            so many panels, which stay in the L2 cache, are multiplied with all strips before the
 *                    next panels; 1: the panel stays in the L1 cache instead
 *   UNPACKED_GROUP   the same if A is not packed yet; it is packed again for each group
 *   TWO_PANEL_ROWS   a tile with at most so many rows has two panels
 *   ONE_ROW_PANELS   panels of a tile with one row
 *   MOST_PANELS      the same if B is not packed: memory delivers long rows faster */
#if defined(SIMD_AVX512)
enum { TILE_ROWS = 14, PACK_ROWS = 8, GROUP = 4, UNPACKED_GROUP = 16 };
#elif defined(SIMD_AVX2)
enum { TILE_ROWS = 6, PACK_ROWS = TILE_ROWS + 1, GROUP = 1, UNPACKED_GROUP = 1 };
#elif defined(SIMD_NEON)
enum { TILE_ROWS = 8, PACK_ROWS = TILE_ROWS + 1, GROUP = 1, UNPACKED_GROUP = 1 };
#else
enum { TILE_ROWS = 4, PACK_ROWS = TILE_ROWS + 1, GROUP = 1, UNPACKED_GROUP = 1 };
#endif
enum {
    TWO_PANEL_ROWS = VECTOR_BYTES == 64 ? 7 : 2,
    ONE_ROW_PANELS = 4,
    MOST_PANELS = VECTOR_BYTES == 64 ? 8 : ONE_ROW_PANELS
};

enum {
    WIDTH = 2 * VL,                         /* columns of a panel */
    LANES = (TILE_ROWS + VL - 1) / VL * VL, /* a column of a strip is padded to whole vectors */
    /* the block of k: a strip takes 32 KiB of the L1 cache, or with GROUP 1 a panel 24 KiB */
    DEPTH = GROUP > 1 ? 32 * 1024 / VECTOR_BYTES : 24 * 1024 / (2 * VECTOR_BYTES),
    CACHE_LINE = 64 / (int)sizeof(tg_real)
};

/* ---- the choice between AMD and Intel ----
 *
 * AMD (measured on Zen 5): the hardware prefetcher follows the rows of a matrix, so software prefetching
 * gains nothing. A multiply-add with a broadcast memory operand costs a whole vector load, of which there are
 * two in a cycle; a separate broadcast does not. Intel (measured on Emerald Rapids): the limit is the number
 * of instructions; a memory operand saves one. */
#ifdef SIMD_AVX512
static bool prefetches_rows_itself(void) { return __builtin_cpu_is("amd"); }
static bool gains_by_memory_operands(void) { return !__builtin_cpu_is("amd"); }
#else
static bool prefetches_rows_itself(void) { return false; }
static bool gains_by_memory_operands(void) { return false; }
#endif

/* ---- packing ---- */

/* A panel or strip of B (k,columns), `lanes` wide, a multiple of VL: the rows of B, padded with zeros. */
INLINE void copy_rows(const int lanes, int k, int columns, const tg_real *B, size_t stride, tg_real *to)
{
    for (int i = 0; i < k; i++, B += stride, to += lanes)
#pragma GCC unroll 4
        for (int j = 0; j < lanes; j += VL)
            store(to + j, VL,
                  columns >= j + VL ? load(B + j, VL) : load_part(B + j, columns > j ? columns - j : 0));
}

/* The same of the transpose of B (columns,k). */
INLINE void copy_transposed(const int lanes, int k, int columns, const tg_real *B, size_t stride, tg_real *to)
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
            copy_transposed(WIDTH, k, n - j, B + (size_t)j * (size_t)stride, (size_t)stride, panels);
        else
            copy_rows(WIDTH, k, n - j, B + j, (size_t)stride, panels);
}

/* The first row of strip t of m rows: as few strips as possible, of equal heights as nearly as possible. */
INLINE int strip_start(int m, int t)
{
    const int strips = (m + TILE_ROWS - 1) / TILE_ROWS;
    return m / strips * t + (t < m % strips ? t : m % strips);
}

static void pack_strips(bool transposed, int m, int k, const tg_real *A, int stride, size_t apart,
                        tg_real *strips)
{
    enum {
        CACHED_ROWS = 16
    }; /* of the transpose of A, which stay in the L1 cache until all strips have their parts */
    const int count = (m + TILE_ROWS - 1) / TILE_ROWS, height = m / count,
              higher = m % count; /* the first strips are one row higher: as strip_start has it */
    const int block = transposed ? CACHED_ROWS : k;
    for (int p = 0; p < k; p += block) {
        const int depth = k - p < block ? k - p : block;
        for (int i = 0, t = 0, rows; t < count; i += rows, t++) {
            tg_real *to = strips + (size_t)t * apart + (size_t)p * LANES;
            rows = height + (t < higher);
            if (transposed)
                copy_rows(LANES, depth, rows, A + (size_t)p * (size_t)stride + i, (size_t)stride, to);
            else
                copy_transposed(LANES, depth, rows, A + (size_t)i * (size_t)stride, (size_t)stride, to);
        }
    }
}

/* ---- the micro-kernel ---- */

/* How an operand is stored and read: packed in strips or panels, or unpacked, row by row with a stride.
 * A, PACKED_OPERANDS: packed, and most numbers are memory operands of multiply-adds.
 * B, UNPACKED_NO_PREFETCH: unpacked, and the processor prefetches it itself. */
typedef enum storage { UNPACKED, PACKED, PACKED_OPERANDS, UNPACKED_NO_PREFETCH } storage;
INLINE bool is_packed(const storage s) { return s == PACKED || s == PACKED_OPERANDS; }

/* The right-hand side of a tile, and what to prefetch on the way: of a packed matrix one cache line for each
 * p, of an unpacked one a whole row of the tile. */
typedef struct right_side_of_tile {
    const tg_real *B, *prefetch;
    size_t row_stride, panel_stride;
} right_side_of_tile;

/* C (rows, panels * WIDTH) = A (rows,k) B + keep * C. Only n columns of C exist. */
INLINE void tile(const int rows, const int panels, const storage a, const storage b, int n, int k,
                 const tg_real *A, size_t stride, right_side_of_tile r, int keep, tg_real *C, int C_stride)
{
    const int lines = b == PACKED ? 1 : b == UNPACKED ? panels * WIDTH / CACHE_LINE : 0;
    const size_t step = is_packed(a) ? LANES : 1, row_stride = b == PACKED ? WIDTH : r.row_stride,
                 prefetch_step = b == PACKED ? CACHE_LINE : r.row_stride;
    const tg_real *B = r.B, *prefetch = r.prefetch;
    /* A multiply-add with a broadcast memory operand saves an instruction. The compiler makes one of a number
     * that is used once; here each is used for two vectors of B. So the second use reads through a copy of
     * the pointer, which the compiler is kept from seeing through. If all rows did so, the load ports would
     * be the limit. */
    const int operand_rows = a == PACKED_OPERANDS ? rows * 5 / 7 : 0;
    const tg_real *A_copy = A;
    __asm__("" : "+r"(A_copy));
    vec sum[TILE_ROWS][2 * MOST_PANELS];
#pragma GCC unroll 14
    for (int i = 0; i < rows; i++) { /* C arrives while the sums are computed */
#pragma GCC unroll 16
        for (int v = 0; v < 2 * panels; v++) sum[i][v] = all(0);
        __builtin_prefetch(C + (size_t)i * (size_t)C_stride, 1);
        __builtin_prefetch(C + (size_t)i * (size_t)C_stride + WIDTH - 1, 1);
    }
    /* unrolled, so that the other thread of a core gets more of the instruction slots */
#pragma GCC unroll 4
    for (int p = 0; p < k; p++, A += step, A_copy += step, B += row_stride, prefetch += prefetch_step) {
        vec x[2 * MOST_PANELS];
#pragma GCC unroll 16
        for (int v = 0; v < 2 * panels; v++)
            x[v] = load(B + (size_t)(v / 2) * r.panel_stride + v % 2 * VL, VL);
#pragma GCC unroll 16
        for (int l = 0; l < lines; l++) {
            if (b == UNPACKED) /* needed soon: into the L1 cache; a panel into the L2 cache */
                __builtin_prefetch(prefetch + l * CACHE_LINE, 0, 3);
            else
                __builtin_prefetch(prefetch + l * CACHE_LINE, 0, 2);
        }
#pragma GCC unroll 14
        for (int i = 0; i < rows; i++) {
            const tg_real *at = A + (is_packed(a) ? (size_t)i : (size_t)i * stride);
            if (i < operand_rows) {
#pragma GCC unroll 16
                for (int v = 0; v < 2 * panels; v++)
                    sum[i][v] = fma_(all((v % 2 ? A_copy : A)[i]), x[v], sum[i][v]);
            } else {
                const vec y = all(*at);
#pragma GCC unroll 16
                for (int v = 0; v < 2 * panels; v++) sum[i][v] = fma_(y, x[v], sum[i][v]);
            }
        }
    }
    if (n >= panels * WIDTH) {
#pragma GCC unroll 14
        for (int i = 0; i < rows; i++, C += C_stride)
#pragma GCC unroll 16
            for (int v = 0; v < 2 * panels; v++)
                store(C + v * VL, VL, keep ? sum[i][v] + load(C + v * VL, VL) : sum[i][v]);
        return;
    }
#pragma GCC unroll 14
    for (int i = 0; i < rows; i++, C += C_stride) /* the last panel, which is padded */
#pragma GCC unroll 16
        for (int v = 0; v < 2 * panels; v++)
            if (n > v * VL)
                store(C + v * VL, n - v * VL, keep ? sum[i][v] + load(C + v * VL, n - v * VL) : sum[i][v]);
}

/* ---- the tile's size ---- */

INLINE int panels_for(int rows) { return rows == 1 ? ONE_ROW_PANELS : rows <= TWO_PANEL_ROWS ? 2 : 1; }

enum {
    FEWEST_OPERAND_ROWS = 7
}; /* of a tile with PACKED_OPERANDS: lower ones are rare, and each is much code */

INLINE bool tile_exists(const storage a, const int rows, const int panels)
{
    if (panels > MOST_PANELS) return false;
    if (is_packed(a)) return panels == 1 && rows <= TILE_ROWS && (a == PACKED || rows >= FEWEST_OPERAND_ROWS);
    return rows <= (panels >= ONE_ROW_PANELS ? 1 : panels == 2 ? TWO_PANEL_ROWS : PACK_ROWS - 1);
}

/* Calls `tile` with constant sizes, so that the compiler keeps its sums in registers. */
INLINE void tile_of_size(int rows, int panels, const storage a, const storage b, int n, int k,
                         const tg_real *A, size_t stride, right_side_of_tile r, int keep, tg_real *C,
                         int C_stride)
{
    switch (16 * panels + rows) {
#define SIZE(m, p)                                                                                           \
    case 16 * p + m:                                                                                         \
        if (tile_exists(a, m, p))                                                                            \
            tile(tile_exists(a, m, p) ? m : 1, p <= MOST_PANELS ? p : 1, a, b, n, k, A, stride, r, keep, C,  \
                 C_stride);                                                                                  \
        break
        SIZE(1, 8);
        SIZE(1, 4);
        SIZE(1, 2);
        SIZE(2, 2);
        SIZE(3, 2);
        SIZE(4, 2);
        SIZE(5, 2);
        SIZE(6, 2);
        SIZE(7, 2);
        SIZE(1, 1);
        SIZE(2, 1);
        SIZE(3, 1);
        SIZE(4, 1);
        SIZE(5, 1);
        SIZE(6, 1);
        SIZE(7, 1);
        SIZE(8, 1);
        SIZE(9, 1);
        SIZE(10, 1);
        SIZE(11, 1);
        SIZE(12, 1);
        SIZE(13, 1);
        SIZE(14, 1);
#undef SIZE
    }
}

/* Tiles side by side, over n columns. */
INLINE void tiles_of_a_row(int rows, int panels, const storage a, const storage b, int n, int k,
                           const tg_real *A, size_t stride, right_side_of_tile r, int keep, tg_real *C,
                           int C_stride)
{
    for (int j = 0; j < n; j += panels * WIDTH) {
        while (panels > 1 && n - j < panels * WIDTH) panels /= 2;
        tile_of_size(rows, panels, a, b, n - j, k, A, stride, r, keep, C + j, C_stride);
        r.B += (size_t)panels * r.panel_stride;
        r.prefetch += (size_t)panels * r.panel_stride;
    }
}

/* ---- products ---- */

static void strip_product(bool operands, int rows, int n, int k, const tg_real *strip, right_side_of_tile r,
                          int keep, tg_real *C, int C_stride)
{
    if (operands && rows >= FEWEST_OPERAND_ROWS)
        tiles_of_a_row(rows, 1, PACKED_OPERANDS, PACKED, n, k, strip, 0, r, keep, C, C_stride);
    else
        tiles_of_a_row(rows, 1, PACKED, PACKED, n, k, strip, 0, r, keep, C, C_stride);
}

static void unpacked_product(int rows, int n, int k, const tg_real *A, size_t stride, right_side_of_tile r,
                             int keep, tg_real *C, int C_stride)
{
    tiles_of_a_row(rows, panels_for(rows), UNPACKED, PACKED, n, k, A, stride, r, keep, C, C_stride);
}

static void panel_product(int m, int n, int k, const tg_real *A, int A_stride, const tg_real *panels,
                          int keep, tg_real *C, int C_stride)
{
    const size_t panel = (size_t)k * WIDTH, stride = (size_t)A_stride;
    const bool strips = !A_stride, operands = gains_by_memory_operands();
    const int count = (m + TILE_ROWS - 1) / TILE_ROWS;
    const int group = m <= TWO_PANEL_ROWS ? n : (strips ? GROUP : UNPACKED_GROUP) * WIDTH;
    _Alignas(64) tg_real packed[PACK_ROWS <= TILE_ROWS ? DEPTH * LANES : 1];
    for (int j = 0; j < n; j += group)
        for (int p = 0; p < k; p += DEPTH) {
            const int depth = k - p < DEPTH ? k - p : DEPTH, columns = n - j < group ? n - j : group;
            right_side_of_tile r = { .B = panels + (size_t)j * (size_t)k + (size_t)p * WIDTH,
                                     .row_stride = WIDTH,
                                     .panel_stride = panel };
            const tg_real *next =
                p + DEPTH < k ? r.B + DEPTH * WIDTH : panels + (size_t)(j + group) * (size_t)k;
            for (int t = 0; t < count; t++) {
                /* each strip prefetches a part of the block that comes next, until that is complete */
                const int i = strip_start(m, t), rows = strip_start(m, t + 1) - i,
                          prefetched = t * CACHE_LINE;
                const tg_real *a = strips ? A + (size_t)t * LANES * (size_t)k + (size_t)p * LANES
                                          : A + (size_t)i * stride + p;
                tg_real *to = C + (size_t)i * (size_t)C_stride + j;
                r.prefetch = prefetched < WIDTH ? next + prefetched * depth : r.B;
                if (strips) {
                    strip_product(operands, rows, columns, depth, a, r, keep || p, to, C_stride);
                } else if (PACK_ROWS <= TILE_ROWS && m >= PACK_ROWS) {
                    copy_transposed(LANES, depth, rows, a, stride, packed);
                    strip_product(operands, rows, columns, depth, packed, r, keep || p, to, C_stride);
                } else {
                    unpacked_product(rows, columns, depth, a, stride, r, keep || p, to, C_stride);
                }
            }
        }
}

static void row_product(int n, int k, const tg_real *x, const tg_real *B, int stride, int keep, tg_real *y)
{
    enum { PREFETCHED_ROWS = 4 }; /* how far ahead */
    const size_t row = (size_t)stride;
    const int whole = n / WIDTH * WIDTH;
    const bool prefetch = !prefetches_rows_itself();
    for (int p = 0; p < k; p += DEPTH, x += DEPTH, B += DEPTH * row, keep = 1) {
        const int depth = k - p < DEPTH ? k - p : DEPTH;
        const right_side_of_tile r = {
            .B = B, .prefetch = B + PREFETCHED_ROWS * row, .row_stride = row, .panel_stride = WIDTH
        };
        if (prefetch)
            tiles_of_a_row(1, MOST_PANELS, UNPACKED, UNPACKED, whole, depth, x, 0, r, keep, y, 0);
        else
            tiles_of_a_row(1, MOST_PANELS, UNPACKED, UNPACKED_NO_PREFETCH, whole, depth, x, 0, r, keep, y, 0);
        for (int j = whole; j < n; j += VL) { /* less than a panel */
            vec sum = all(0);
            for (int i = 0; i < depth; i++) sum = fma_(all(x[i]), load(B + (size_t)i * row + j, n - j), sum);
            store(y + j, n - j, keep ? sum + load(y + j, n - j) : sum);
        }
    }
}

#define JOIN(a, b)    a##b
#define NAME(variant) JOIN(tg__product_, variant)

const product_table NAME(SIMD) = {
    .panel_columns = WIDTH,
    .pack_panels = pack_panels,
    .strip_rows = TILE_ROWS,
    .strip_lanes = LANES,
    .strip_pays = PACK_ROWS,
    .pack_strips = pack_strips,
    .panel_product = panel_product,
    .row_product = row_product,
    .depth = DEPTH,
    .packed_depth = GROUP > 1 ? DEPTH : 4 * DEPTH,
    .large_products = VECTOR_BYTES > 16,
};
