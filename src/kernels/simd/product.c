/* kernels/simd/product.c -- products with packed matrices, compiled once for each instruction set.
 *
 * A tile of the result, up to TILE rows of A times one panel of two vectors, stays in registers while k runs, DEPTH of k
 * at a time. A number of the result is one chain of fused multiply-adds for each DEPTH of k, added up in order, whatever
 * the tile's height: so a row alone gives the same bits as in a batch. */
#include "kernels/simd/table.h"
#include "kernels/simd/vector.h"

#if defined(SIMD_AVX512)
enum { TILE = 14, PACK_ROWS = 8, GROUP = 4, STANDING_GROUP = 16 };
#elif defined(SIMD_AVX2)
enum { TILE = 6, PACK_ROWS = TILE + 1, GROUP = 1, STANDING_GROUP = 1 };
#elif defined(SIMD_NEON)
enum { TILE = 8, PACK_ROWS = TILE + 1, GROUP = 1, STANDING_GROUP = 1 };
#else
enum { TILE = 4, PACK_ROWS = TILE + 1, GROUP = 1, STANDING_GROUP = 1 };
#endif
enum { ROW_PANELS = 4, MOST_PANELS = VECTOR_BYTES == 64 ? 8 : ROW_PANELS };
enum { WIDTH = 2 * VL, LANES = (TILE + VL - 1) / VL * VL }; /* a strip's column takes LANES */
/* With GROUP 1 a DEPTH of the panel stays in the first cache (24 KiB) while the rows pass by; otherwise a strip of rows
 * stays there (32 KiB), and a GROUP of panels in the second cache; a larger one where A stands, since each packs it anew. */
enum { DEPTH = GROUP > 1 ? 32 * 1024 / VECTOR_BYTES : 24 * 1024 / (2 * VECTOR_BYTES) };

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

/* Row 0 of strip t of m rows. */
INLINE int strip_start(int m, int t)
{
    const int strips = (m + TILE - 1) / TILE;
    return m / strips * t + (t < m % strips ? t : m % strips);
}

/* Rows of what is stored transposed are dealt out so many at a time: however far apart they lie, the first cache keeps them
 * until the last strip has its part. */
enum { ROWS_AT_ONCE = 16 };

static void pack_strips(bool transposed, int m, int k, const tg_real *A, int stride, size_t apart,
                        tg_real *strips)
{
    const int count = (m + TILE - 1) / TILE, height = m / count,
              higher = m % count; /* as strip_start has it */
    const int block = transposed ? ROWS_AT_ONCE : k;
    for (int p = 0; p < k; p += block) {
        const int depth = k - p < block ? k - p : block;
        for (int i = 0, t = 0, rows; t < count; i += rows, t++) {
            tg_real *to = strips + (size_t)t * apart + (size_t)p * LANES;
            rows = height + (t < higher);
            if (transposed)
                pack_rows(LANES, depth, rows, A + (size_t)p * (size_t)stride + i, (size_t)stride, to);
            else
                pack_columns(LANES, depth, rows, A + (size_t)i * (size_t)stride, (size_t)stride, to);
        }
    }
}

/* A matrix as it stands, or packed: in a strip the rows of A lie side by side, LANES apart in k. Numbers of a READ_STRIP are
 * read by the multiply-adds themselves, as many as pays. UNFETCHED stands, too, and nothing of it is fetched ahead. */
typedef enum form { STANDING, STRIP, READ_STRIP, UNFETCHED } form;
INLINE bool packed_form(const form f) { return f == STRIP || f == READ_STRIP; }
enum { LINE = 64 / (int)sizeof(tg_real) }; /* of the cache */

/* Panels: row p of one is at p * width, and they are `apart` from each other. What comes `next` is fetched on the way,
 * a line for each k; of a matrix as it stands, all lines of a row. */
typedef struct right {
    const tg_real *at, *next;
    size_t width, apart;
} right;

/* C (rows, panels * WIDTH), of which n columns are there. */
INLINE void tile(const int rows, const int panels, const form a, const form b, int n, int k, const tg_real *A,
                 size_t stride, right r, int keep, tg_real *C, int C_stride)
{
    const int lines = b == STRIP ? 1 : b == STANDING ? panels * WIDTH / LINE : 0;
    const size_t step = packed_form(a) ? LANES : 1, width = b == STRIP ? WIDTH : r.width,
                 next_step = b == STRIP ? LINE : r.width;
    const tg_real *B = r.at, *next = r.next;
    /* Numbers that are read by the multiply-add itself, and repeated for all lanes, save an instruction each. The compiler
     * does so with a number that is needed once: so each vector of B has a pointer of its own. All of them would be more
     * reads than the processor can. */
    const int direct = a == READ_STRIP ? rows * 5 / 7 : 0;
    const tg_real *again = A;
    __asm__("" : "+r"(again));
    vec sum[TILE][2 * MOST_PANELS];
#pragma GCC unroll 14
    for (int i = 0; i < rows; i++) { /* C arrives while the sums are made */
#pragma GCC unroll 16
        for (int v = 0; v < 2 * panels; v++) sum[i][v] = all(0);
        __builtin_prefetch(C + (size_t)i * (size_t)C_stride, 1);
        __builtin_prefetch(C + (size_t)i * (size_t)C_stride + WIDTH - 1, 1);
    }
    /* four k at a time: fewer instructions for each sum leave room for others on a core that two threads share */
#pragma GCC unroll 4
    for (int p = 0; p < k; p++, A += step, again += step, B += width, next += next_step) {
        vec x[2 * MOST_PANELS];
#pragma GCC unroll 16
        for (int v = 0; v < 2 * panels; v++) x[v] = load(B + (size_t)(v / 2) * r.apart + v % 2 * VL, VL);
#pragma GCC unroll 16
        for (int l = 0; l < lines; l++) {
            if (b == STANDING) /* soon, so into the first cache; a panel waits in the second */
                __builtin_prefetch(next + l * LINE, 0, 3);
            else
                __builtin_prefetch(next + l * LINE, 0, 2);
        }
#pragma GCC unroll 14
        for (int i = 0; i < rows; i++) {
            const tg_real *at = A + (packed_form(a) ? (size_t)i : (size_t)i * stride);
            if (i < direct) {
#pragma GCC unroll 16
                for (int v = 0; v < 2 * panels; v++)
                    sum[i][v] = fma_(all((v % 2 ? again : A)[i]), x[v], sum[i][v]);
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
    for (int i = 0; i < rows; i++, C += C_stride) /* the panel that is not full */
#pragma GCC unroll 16
        for (int v = 0; v < 2 * panels; v++)
            if (n > v * VL)
                store(C + v * VL, n - v * VL, keep ? sum[i][v] + load(C + v * VL, n - v * VL) : sum[i][v]);
}

/* What processors differ in. AMD's (measured with Zen 5) guess which row of a matrix comes next, so that fetching it is for
 * nothing; and a number that a multiply-add reads counts there as a whole vector, of which a cycle reads two, while one that
 * an instruction of its own reads and repeats does not. Intel's (Emerald Rapids) are short of instructions instead. */
#ifdef SIMD_AVX512
static bool guesses_rows(void) { return __builtin_cpu_is("amd"); }
static bool reads_to_multiply(void) { return !__builtin_cpu_is("amd"); }
#else
static bool guesses_rows(void) { return false; }
static bool reads_to_multiply(void) { return false; }
#endif

/* So many panels at once: few rows have too few sums in one panel to keep the multipliers busy. A row times a matrix as it
 * stands takes as many as there are registers for: the longer what is read side by side, the faster it comes. */
enum {
    TWO_PANELS = VECTOR_BYTES == 64 ? 7 : 2
}; /* up to so many rows there are registers for a second one */
INLINE int panels_for(int rows) { return rows == 1 ? ROW_PANELS : rows <= TWO_PANELS ? 2 : 1; }
enum { FEWEST_READ = 7 }; /* rows of a READ_STRIP: lower ones are rare, and each height is much code */
INLINE bool exists(const form a, const int rows, const int panels)
{
    if (panels > MOST_PANELS) return false;
    if (packed_form(a)) return panels == 1 && rows <= TILE && (a == STRIP || rows >= FEWEST_READ);
    return rows <= (panels >= ROW_PANELS ? 1 : panels == 2 ? TWO_PANELS : PACK_ROWS - 1);
}

/* The tile of that size, so that the compiler keeps its sums in registers. */
INLINE void tile_of(int rows, int panels, const form a, const form b, int n, int k, const tg_real *A,
                    size_t stride, right r, int keep, tg_real *C, int C_stride)
{
    switch (16 * panels + rows) {
#define SIZE(m, p)                                                                                           \
    case 16 * p + m:                                                                                         \
        if (exists(a, m, p))                                                                                 \
            tile(exists(a, m, p) ? m : 1, p <= MOST_PANELS ? p : 1, a, b, n, k, A, stride, r, keep, C,       \
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
INLINE void tiles(int rows, int at_once, const form a, const form b, int n, int k, const tg_real *A,
                  size_t stride, right r, int keep, tg_real *C, int C_stride)
{
    for (int j = 0; j < n; j += at_once * WIDTH) {
        while (at_once > 1 && n - j < at_once * WIDTH) at_once /= 2;
        tile_of(rows, at_once, a, b, n - j, k, A, stride, r, keep, C + j, C_stride);
        r.at += (size_t)at_once * r.apart;
        r.next += (size_t)at_once * r.apart;
    }
}
static void strip_product(int rows, int n, int k, const tg_real *strip, right r, int keep, tg_real *C,
                          int C_stride)
{
    if (reads_to_multiply() && rows >= FEWEST_READ)
        tiles(rows, 1, READ_STRIP, STRIP, n, k, strip, 0, r, keep, C, C_stride);
    else
        tiles(rows, 1, STRIP, STRIP, n, k, strip, 0, r, keep, C, C_stride);
}
static void standing_product(int rows, int n, int k, const tg_real *A, size_t stride, right r, int keep,
                             tg_real *C, int C_stride)
{
    tiles(rows, panels_for(rows), STANDING, STRIP, n, k, A, stride, r, keep, C, C_stride);
}

static void panel_product(int m, int n, int k, const tg_real *A, int A_stride, const tg_real *panels,
                          int keep, tg_real *C, int C_stride)
{
    const size_t panel = (size_t)k * WIDTH, stride = (size_t)A_stride;
    const bool strips = !A_stride;
    const int heights = (m + TILE - 1) / TILE;
    const int group = m <= TWO_PANELS ? n : (strips ? GROUP : STANDING_GROUP) * WIDTH;
    _Alignas(64) tg_real packed[PACK_ROWS <= TILE ? DEPTH * LANES : 1];
    for (int j = 0; j < n; j += group)
        for (int p = 0; p < k; p += DEPTH) {
            const int depth = k - p < DEPTH ? k - p : DEPTH, columns = n - j < group ? n - j : group;
            right r = { .at = panels + (size_t)j * (size_t)k + (size_t)p * WIDTH,
                        .width = WIDTH,
                        .apart = panel };
            const tg_real *next =
                p + DEPTH < k ? r.at + DEPTH * WIDTH : panels + (size_t)(j + group) * (size_t)k;
            for (int t = 0; t < heights; t++) {
                const int i = strip_start(m, t), rows = strip_start(m, t + 1) - i,
                          fetched = t * LINE; /* of what the panel gives next: a line for each k */
                const tg_real *a = strips ? A + (size_t)t * LANES * (size_t)k + (size_t)p * LANES
                                          : A + (size_t)i * stride + p;
                tg_real *to = C + (size_t)i * (size_t)C_stride + j;
                r.next = fetched < WIDTH ? next + fetched * depth : r.at;
                if (strips) {
                    strip_product(rows, columns, depth, a, r, keep || p, to, C_stride);
                } else if (PACK_ROWS <= TILE && m >= PACK_ROWS) {
                    pack_columns(LANES, depth, rows, a, stride, packed);
                    strip_product(rows, columns, depth, packed, r, keep || p, to, C_stride);
                } else {
                    standing_product(rows, columns, depth, a, stride, r, keep || p, to, C_stride);
                }
            }
        }
}

enum { AHEAD = 4 }; /* rows to fetch ahead: they lie apart, and most processors do not guess the next */
static void row_product(int n, int k, const tg_real *x, const tg_real *B, int stride, int keep, tg_real *y)
{
    const size_t width = (size_t)stride;
    const int whole = n / WIDTH * WIDTH;
    for (int p = 0; p < k; p += DEPTH, x += DEPTH, B += DEPTH * width, keep = 1) {
        const int depth = k - p < DEPTH ? k - p : DEPTH;
        const right r = { .at = B, .next = B + AHEAD * width, .width = width, .apart = WIDTH };
        if (guesses_rows())
            tiles(1, MOST_PANELS, STANDING, UNFETCHED, whole, depth, x, 0, r, keep, y, 0);
        else
            tiles(1, MOST_PANELS, STANDING, STANDING, whole, depth, x, 0, r, keep, y, 0);
        for (int j = whole; j < n; j += VL) { /* less than a panel */
            vec sum = all(0);
            for (int i = 0; i < depth; i++)
                sum = fma_(all(x[i]), load(B + (size_t)i * width + j, n - j), sum);
            store(y + j, n - j, keep ? sum + load(y + j, n - j) : sum);
        }
    }
}

#define JOIN(a, b)    a##b
#define NAME(variant) JOIN(tg__product_, variant)

const product_table NAME(SIMD) = {
    .panel_columns = WIDTH,
    .pack_panels = pack_panels,
    .strip_rows = TILE,
    .strip_lanes = LANES,
    .strip_pays = PACK_ROWS,
    .pack_strips = pack_strips,
    .panel_product = panel_product,
    .row_product = row_product,
    .depth = DEPTH,
    .packed_depth = GROUP > 1 ? DEPTH : 4 * DEPTH,
    .large_products = VECTOR_BYTES > 16,
};
