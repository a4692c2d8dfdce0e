/* kernels/matmul.c -- matrix products by the team: our own where there are vectors for it, else OpenBLAS.
 *
 * Our own packs B in panels, a block at a time (OpenBLAS called piece by piece packs both operands anew in each). Many rows
 * of A are shared out among the workers as they stand. Few rows, and A transposed, are packed in strips first, and the
 * columns are shared out: then nobody but the worker that packed a panel reads it, and what one core wrote is read by
 * another five times as slowly as from its own cache. The order in which a number of C is summed depends on k alone: so
 * the grid of pieces could be anything without changing a bit. */
#include "kernels/matmul.h"

#include <string.h>

#include "core/clones.h"
#include "core/context.h"
#include "core/team.h"
#include "kernels/panels.h"
#include "kernels/simd/table.h"

typedef struct product {
    int threads;
    transposed a, b;
    int m, n, k, rows, columns; /* the grid of pieces: rows x columns */
    int most;                   /* pieces that are worth sharing out */
    const tg_real *A, *B, *bias;
    int A_stride, B_stride, keep;
    tg_real *C;
    int C_stride;
    tg_real *strips, *panels; /* of a block, packed; strips NULL: A is read as it stands */
} product;

typedef struct span {
    int start, end;
} span;

/* Part `piece` of 0..n cut into pieces; all but the last end at multiples of unit. */
static span part(int n, int pieces, int unit, int piece)
{
    const int units = tg__pieces(n, unit), start = unit * (int)tg__piece_start(units, pieces, piece),
              end = unit * (int)tg__piece_start(units, pieces, piece + 1);
    return (span){ start, end < n ? end : n };
}

static const tg_real *element(transposed stored, const tg_real *A, int stride, int i, int j)
{
    return stored == NORMAL ? A + (size_t)i * (size_t)stride + j : A + (size_t)j * (size_t)stride + i;
}

static void start_from_bias(const product *p, int rows, span columns, tg_real *C)
{
    for (int row = 0; row < rows; row++)
        memcpy(C + (size_t)row * (size_t)p->C_stride, p->bias + columns.start,
               (size_t)(columns.end - columns.start) * sizeof *C);
}

/* ---- our own ---- */

enum { M_BLOCK = 2048, N_BLOCK = 2048, PIECE_ROWS = 96, PIECE_COLUMNS = 512, MANY_PIECES = 32 };

static tg_real *panel(const product *p, int column) { return p->panels + (size_t)column * (size_t)p->k; }
/* row: where a piece of rows begins, a multiple of strip_rows. */
static tg_real *strip(const product *p, int row)
{
    const product_table *simd = tg__simd()->product;
    return p->strips + (size_t)(row / simd->strip_rows) * (size_t)simd->strip_lanes * (size_t)p->k;
}

static span rows_of(const product *p, int piece)
{
    return part(p->m, p->rows, tg__simd()->product->strip_rows, piece);
}
static span columns_of(const product *p, int piece)
{
    return part(p->n, p->columns, tg__simd()->product->panel_columns, piece);
}

static void pack_rows(void *argument, int piece)
{
    const product *p = argument;
    const span rows = rows_of(p, piece);
    tg__simd()->product->pack_strips(
        p->a == TRANSPOSED, rows.end - rows.start, p->k, element(p->a, p->A, p->A_stride, rows.start, 0),
        p->A_stride, (size_t)tg__simd()->product->strip_lanes * (size_t)p->k, strip(p, rows.start));
}

static void pack_columns(void *argument, int piece)
{
    const product *p = argument;
    const span columns = columns_of(p, piece);
    tg__simd()->product->pack_panels(p->b == TRANSPOSED, p->k, columns.end - columns.start,
                                     element(p->b, p->B, p->B_stride, 0, columns.start), p->B_stride,
                                     panel(p, columns.start));
}

static void multiply_piece(const product *p, span rows, span columns)
{
    tg_real *C = p->C + (size_t)rows.start * (size_t)p->C_stride + columns.start;
    if (p->bias) start_from_bias(p, rows.end - rows.start, columns, C);
    tg__simd()->product->panel_product(
        rows.end - rows.start, columns.end - columns.start, p->k,
        p->strips ? strip(p, rows.start) : element(p->a, p->A, p->A_stride, rows.start, 0),
        p->strips ? 0 : p->A_stride, panel(p, columns.start), p->bias ? 1 : p->keep, C, p->C_stride);
}

static void piece_of_grid(void *argument, int piece)
{
    const product *p = argument;
    multiply_piece(p, rows_of(p, piece / p->columns), columns_of(p, piece % p->columns));
}

static void piece_of_columns(void *argument, int piece)
{
    const product *p = argument;
    pack_columns(argument, piece);
    for (int rows = 0; rows < p->rows; rows++) multiply_piece(p, rows_of(p, rows), columns_of(p, piece));
}

static int at_most(int n, int most) { return n < most ? n : most; }

/* A block of C, of all k that the packed blocks hold: pieces of columns, whose panels are packed by whoever multiplies with
 * them; or, with many rows as they stand and with few columns, a grid of pieces that share all panels. */
static void multiply_block(tg_context *cx, product *p, bool pack_A)
{
    enum { COLUMNS_ENOUGH = 4 }; /* pieces */
    const int panels = tg__pieces(p->n, tg__simd()->product->panel_columns);
    p->rows = tg__pieces(p->m, PIECE_ROWS);
    if (p->strips) p->rows = at_most(p->rows, p->most);
    if (pack_A) tg__team_run_by(cx, p->threads, p->rows, pack_rows, p);
    p->columns = at_most(tg__pieces(panels, 2), p->most);
    if (p->strips && p->columns >= at_most(COLUMNS_ENOUGH, p->most)) {
        tg__team_run_by(cx, p->threads, p->columns, piece_of_columns, p);
        return;
    }
    p->columns = at_most(panels, MANY_PIECES);
    tg__team_run_by(cx, p->threads, p->columns, pack_columns, p);
    p->columns = tg__pieces(p->n, PIECE_COLUMNS);
    tg__team_run_by(cx, p->threads, p->rows * p->columns, piece_of_grid, p);
}

static size_t slices_room(int n, int width, int lanes, int k)
{
    return (size_t)tg__pieces(n, width) * (size_t)lanes * (size_t)k * sizeof(tg_real);
}

static void multiply_packed(tg_context *cx, const product *all)
{
    enum { FEW_ROWS = 4 * PIECE_ROWS }; /* too few to share panels out by rows */
    const product_table *simd = tg__simd()->product;
    const int m_blocks = tg__pieces(all->m, M_BLOCK), n_blocks = tg__pieces(all->n, N_BLOCK),
              k_blocks = tg__pieces(all->k, simd->packed_depth), k_most = at_most(all->k, simd->packed_depth);
    /* multiply-adds of a piece, so that it takes longer than to bring its operands over from another core */
    const double worth_sharing = 65536.0 * simd->panel_columns,
                 pieces = (double)all->m * all->n * all->k / worth_sharing;
    arena *room = &cx->packed;
    tg__arena_reset(room);
    product p = *all;
    p.most = pieces < 1 ? 1 : pieces < MANY_PIECES ? (int)pieces : MANY_PIECES;
    if (all->a == TRANSPOSED || all->m < FEW_ROWS)
        p.strips = tg__arena_take(
            room, slices_room(at_most(all->m, M_BLOCK), simd->strip_rows, simd->strip_lanes, k_most));
    p.panels = tg__arena_take(
        room, slices_room(at_most(all->n, N_BLOCK), simd->panel_columns, simd->panel_columns, k_most));
    if (room->cx->status) return;
    for (int i = 0; i < m_blocks; i++)
        for (int h = 0; h < k_blocks; h++)
            for (int j = 0; j < n_blocks; j++) {
                const span rows = part(all->m, m_blocks, simd->strip_rows, i),
                           columns = part(all->n, n_blocks, simd->panel_columns, j),
                           depth = part(all->k, k_blocks, simd->depth, h);
                p.m = rows.end - rows.start, p.n = columns.end - columns.start, p.k = depth.end - depth.start;
                p.A = element(all->a, all->A, all->A_stride, rows.start, depth.start);
                p.B = element(all->b, all->B, all->B_stride, depth.start, columns.start);
                p.C = all->C + (size_t)rows.start * (size_t)all->C_stride + columns.start;
                p.bias = all->bias && !h ? all->bias + columns.start : NULL;
                p.keep = all->keep || h;
                multiply_block(cx, &p, p.strips && !j);
            }
}

/* ---- OpenBLAS ---- */

static void blas_piece(void *argument, int piece)
{
    const product *p = argument;
    const span rows = part(p->m, p->rows, 1, piece / p->columns),
               columns = part(p->n, p->columns, 1, piece % p->columns);
    tg_real *C = p->C + (size_t)rows.start * (size_t)p->C_stride + columns.start;
    if (p->bias) start_from_bias(p, rows.end - rows.start, columns, C);
    tg__matmul_piece(p->a, p->b, rows.end - rows.start, columns.end - columns.start, p->k,
                     element(p->a, p->A, p->A_stride, rows.start, 0), p->A_stride,
                     element(p->b, p->B, p->B_stride, 0, columns.start), p->B_stride, p->bias ? 1 : p->keep,
                     C, p->C_stride);
}

/* Pieces of about PIECE multiply-adds or more, at most MOST_PIECES, near to squares: each piece packs
 * its operands anew. The grid is a function of (m, n, k) alone. */
static void multiply_with_blas(tg_context *cx, product *p)
{
    enum { MOST_PIECES = 16, SMALLEST_SIDE = 24 };
    const double PIECE = 1e6;
    double work = (double)p->m * p->n * p->k;
    if (!tg__blas_ready(cx)) return;
    p->rows = p->columns = 1;
    while (p->rows * p->columns < MOST_PIECES && work > 2 * PIECE) {
        const int height = p->m / p->rows, width = p->n / p->columns;
        if (height >= width && height >= 2 * SMALLEST_SIDE)
            p->rows *= 2;
        else if (width >= 2 * SMALLEST_SIDE)
            p->columns *= 2;
        else
            break;
        work /= 2;
    }
    tg__team_run_by(cx, p->threads, p->rows * p->columns, blas_piece, p);
}

/* ---- one row ---- */

static void row_piece(void *argument, int piece)
{
    const product *p = argument;
    const span columns = part(p->n, p->columns, 2 * tg__simd()->product->panel_columns, piece);
    tg_real *C = p->C + columns.start;
    if (p->bias) start_from_bias(p, 1, columns, C);
    tg__simd()->product->row_product(columns.end - columns.start, p->k, p->A, p->B + columns.start,
                                     p->B_stride, p->bias ? 1 : p->keep, C);
}

/* Bound by reading B once: each worker reads some columns. */
static void multiply_row(tg_context *cx, product *p)
{
    const int WORTH_SHARING = 65536; /* numbers of B in a piece */
    p->columns = tg__pieces((int64_t)p->k * p->n, WORTH_SHARING);
    if (p->columns > MANY_PIECES) p->columns = MANY_PIECES;
    tg__team_run_by(cx, p->threads, p->columns, row_piece, p);
}

void tg__matmul_by(tg_context *cx, int threads, transposed a, transposed b, int m, int n, int k,
                   const tg_real *A, int A_stride, const tg_real *B, int B_stride, const tg_real *bias,
                   int keep, tg_real *C, int C_stride)
{
    const double WORTH_PACKING =
        b == TRANSPOSED ? 2e5 : 1e6; /* multiply-adds; OpenBLAS is slower with B transposed */
    if (m <= 0 || n <= 0) return;
    product p = { .threads = threads,
                  .a = a,
                  .b = b,
                  .m = m,
                  .n = n,
                  .k = k,
                  .A = A,
                  .B = B,
                  .bias = bias,
                  .A_stride = A_stride,
                  .B_stride = B_stride,
                  .keep = keep,
                  .C = C,
                  .C_stride = C_stride };
    const product_table *simd = tg__simd()->product;
    if (m == 1 && a == NORMAL && b == NORMAL)
        multiply_row(cx, &p);
    else if (simd->large_products && m >= simd->strip_rows && n >= simd->panel_columns &&
             (double)m * n * k >= WORTH_PACKING)
        multiply_packed(cx, &p);
    else
        multiply_with_blas(cx, &p);
}

void tg__matmul(tg_context *cx, transposed a, transposed b, int m, int n, int k, const tg_real *A,
                int A_stride, const tg_real *B, int B_stride, const tg_real *bias, int keep, tg_real *C,
                int C_stride)
{
    tg__matmul_by(cx, cx->threads, a, b, m, n, k, A, A_stride, B, B_stride, bias, keep, C, C_stride);
}

/* ---- sums ---- */

typedef struct row_sum {
    int m, n, pieces, stride;
    const tg_real *A;
    tg_real *sum;
} row_sum;

CLONED static void add_rows(int m, int n, size_t stride, const tg_real *row, tg_real *restrict sum)
{
    int i = 0;
    for (; i + 4 <= m; i += 4, row += 4 * stride) /* four at a time: memory is waited for once */
        for (int j = 0; j < n; j++)
            sum[j] = sum[j] + row[j] + row[stride + (size_t)j] + row[2 * stride + (size_t)j] +
                     row[3 * stride + (size_t)j];
    for (; i < m; i++, row += stride)
        for (int j = 0; j < n; j++) sum[j] += row[j];
}

void tg__add_rows_piece(int m, int n, const tg_real *A, int A_stride, tg_real *sum)
{
    add_rows(m, n, (size_t)A_stride, A, sum);
}

static void row_sum_piece(void *argument, int piece)
{
    const row_sum *s = argument;
    const int first = (int)tg__piece_start(s->n, s->pieces, piece),
              end = (int)tg__piece_start(s->n, s->pieces, piece + 1);
    tg__add_rows_piece(s->m, end - first, s->A + first, s->stride, s->sum + first);
}

void tg__add_rows_by(tg_context *cx, int threads, int m, int n, const tg_real *A, int A_stride, tg_real *sum)
{
    row_sum s = { m, n, (double)m * n > 32768 ? tg__pieces(n, 1024) : 1, A_stride, A, sum };
    tg__team_run_by(cx, threads, s.pieces, row_sum_piece, &s);
}

void tg__add_rows(tg_context *cx, int m, int n, const tg_real *A, int A_stride, tg_real *sum)
{
    tg__add_rows_by(cx, cx->threads, m, n, A, A_stride, sum);
}
