/* kernels/matmul.c -- matrix products by the team: our own with AVX2 and AVX-512, else OpenBLAS.
 *
 * Our own product packs B in panels, one block of k at a time. (OpenBLAS, called for each piece of work,
 * would pack both operands in each call.) If A has many rows, the workers share its rows, and A is packed as
 * it is read. If A has few rows or is transposed, it is packed in strips first, and the workers share the
 * columns of B: then each panel is read by the worker that packed it. Data that another core wrote take five
 * times as long to read as data in the core's own cache. The order of summation depends on k alone, so the
 * bits do not depend on how the work is divided. */
#include "kernels/matmul.h"

#include <string.h>

#include "core/clones.h"
#include "core/context.h"
#include "core/team.h"
#include "kernels/panels.h"
#include "kernels/simd/table.h"

typedef struct matmul_task {
    int threads;
    transposed a, b;
    int m, n, k;
    int rows, columns; /* pieces of work: rows x columns of them */
    int most_pieces;   /* more would be too small */
    const tg_real *A, *B, *bias;
    int A_stride, B_stride, keep;
    tg_real *C;
    int C_stride;
    tg_real *strips, *panels; /* of a block, packed; strips NULL: A is not packed beforehand */
} matmul_task;

typedef struct span {
    int start, end;
} span;

/* The range of piece number `piece`, when 0..n is cut into `pieces`; all but the last end at multiples of
 * unit. */
static span span_of(int n, int pieces, int unit, int piece)
{
    const int units = tg__pieces(n, unit), start = unit * (int)tg__piece_start(units, pieces, piece),
              end = unit * (int)tg__piece_start(units, pieces, piece + 1);
    return (span){ start, end < n ? end : n };
}

/* Where element (i,j) of op(A) is. */
static const tg_real *operand_at(transposed stored, const tg_real *A, int stride, int i, int j)
{
    return stored == NORMAL ? A + (size_t)i * (size_t)stride + j : A + (size_t)j * (size_t)stride + i;
}

static void start_from_bias(const matmul_task *p, int rows, span columns, tg_real *C)
{
    for (int row = 0; row < rows; row++)
        memcpy(C + (size_t)row * (size_t)p->C_stride, p->bias + columns.start,
               (size_t)(columns.end - columns.start) * sizeof *C);
}

/* ---- our own product ---- */

enum { M_BLOCK = 2048, N_BLOCK = 2048, PIECE_ROWS = 96, PIECE_COLUMNS = 512, MANY_PIECES = 32 };

static tg_real *panel(const matmul_task *p, int column) { return p->panels + (size_t)column * (size_t)p->k; }
/* The strip that begins with this row, a multiple of strip_rows. */
static tg_real *strip(const matmul_task *p, int row)
{
    const product_table *simd = tg__simd()->product;
    return p->strips + (size_t)(row / simd->strip_rows) * (size_t)simd->strip_lanes * (size_t)p->k;
}

static span row_span(const matmul_task *p, int piece)
{
    return span_of(p->m, p->rows, tg__simd()->product->strip_rows, piece);
}
static span column_span(const matmul_task *p, int piece)
{
    return span_of(p->n, p->columns, tg__simd()->product->panel_columns, piece);
}

static void pack_row_block(void *argument, int piece)
{
    const matmul_task *p = argument;
    const span rows = row_span(p, piece);
    tg__simd()->product->pack_strips(
        p->a == TRANSPOSED, rows.end - rows.start, p->k, operand_at(p->a, p->A, p->A_stride, rows.start, 0),
        p->A_stride, (size_t)tg__simd()->product->strip_lanes * (size_t)p->k, strip(p, rows.start));
}

static void pack_column_block(void *argument, int piece)
{
    const matmul_task *p = argument;
    const span columns = column_span(p, piece);
    tg__simd()->product->pack_panels(p->b == TRANSPOSED, p->k, columns.end - columns.start,
                                     operand_at(p->b, p->B, p->B_stride, 0, columns.start), p->B_stride,
                                     panel(p, columns.start));
}

static void multiply_spans(const matmul_task *p, span rows, span columns)
{
    tg_real *C = p->C + (size_t)rows.start * (size_t)p->C_stride + columns.start;
    if (p->bias) start_from_bias(p, rows.end - rows.start, columns, C);
    tg__simd()->product->panel_product(
        rows.end - rows.start, columns.end - columns.start, p->k,
        p->strips ? strip(p, rows.start) : operand_at(p->a, p->A, p->A_stride, rows.start, 0),
        p->strips ? 0 : p->A_stride, panel(p, columns.start), p->bias ? 1 : p->keep, C, p->C_stride);
}

static void grid_piece(void *argument, int piece)
{
    const matmul_task *p = argument;
    multiply_spans(p, row_span(p, piece / p->columns), column_span(p, piece % p->columns));
}

static void column_block_piece(void *argument, int piece)
{
    const matmul_task *p = argument;
    pack_column_block(argument, piece);
    for (int rows = 0; rows < p->rows; rows++) multiply_spans(p, row_span(p, rows), column_span(p, piece));
}

static int smaller(int n, int most) { return n < most ? n : most; }

/* Multiplies one block of A with one of B. With A in strips and enough columns, a piece of work is some
 * columns: its worker packs their panels, and multiplies all rows with them. Otherwise all panels are packed
 * first, and a piece of work is a rectangle of C. */
static void multiply_block(tg_context *cx, matmul_task *p, bool pack_A)
{
    enum { ENOUGH_COLUMN_PIECES = 4 };
    const int panels = tg__pieces(p->n, tg__simd()->product->panel_columns);
    p->rows = tg__pieces(p->m, PIECE_ROWS);
    if (p->strips) p->rows = smaller(p->rows, p->most_pieces);
    if (pack_A) tg__team_run_by(cx, p->threads, p->rows, pack_row_block, p);
    p->columns = smaller(tg__pieces(panels, 2), p->most_pieces);
    if (p->strips && p->columns >= smaller(ENOUGH_COLUMN_PIECES, p->most_pieces)) {
        tg__team_run_by(cx, p->threads, p->columns, column_block_piece, p);
        return;
    }
    p->columns = smaller(panels, MANY_PIECES);
    tg__team_run_by(cx, p->threads, p->columns, pack_column_block, p);
    p->columns = tg__pieces(p->n, PIECE_COLUMNS);
    tg__team_run_by(cx, p->threads, p->rows * p->columns, grid_piece, p);
}

static size_t packed_bytes(int n, int width, int lanes, int k)
{
    return (size_t)tg__pieces(n, width) * (size_t)lanes * (size_t)k * sizeof(tg_real);
}

static void multiply_packed(tg_context *cx, const matmul_task *all)
{
    enum { FEW_ROWS = 4 * PIECE_ROWS }; /* too few for the workers to share the rows */
    const product_table *simd = tg__simd()->product;
    const int m_blocks = tg__pieces(all->m, M_BLOCK), n_blocks = tg__pieces(all->n, N_BLOCK),
              k_blocks = tg__pieces(all->k, simd->packed_depth), k_most = smaller(all->k, simd->packed_depth);
    /* multiply-adds of a piece: with fewer, fetching the operands from another core's cache takes longer */
    const double worth_sharing = 65536.0 * simd->panel_columns,
                 pieces = (double)all->m * all->n * all->k / worth_sharing;
    arena *room = &cx->matmul_scratch;
    tg__arena_reset(room);
    matmul_task p = *all;
    p.most_pieces = pieces < 1 ? 1 : pieces < MANY_PIECES ? (int)pieces : MANY_PIECES;
    if (all->a == TRANSPOSED || all->m < FEW_ROWS)
        p.strips = tg__arena_take(
            room, packed_bytes(smaller(all->m, M_BLOCK), simd->strip_rows, simd->strip_lanes, k_most));
    p.panels = tg__arena_take(
        room, packed_bytes(smaller(all->n, N_BLOCK), simd->panel_columns, simd->panel_columns, k_most));
    if (room->cx->status) return;
    for (int i = 0; i < m_blocks; i++)
        for (int h = 0; h < k_blocks; h++)
            for (int j = 0; j < n_blocks; j++) {
                const span rows = span_of(all->m, m_blocks, simd->strip_rows, i),
                           columns = span_of(all->n, n_blocks, simd->panel_columns, j),
                           depth = span_of(all->k, k_blocks, simd->depth, h);
                p.m = rows.end - rows.start, p.n = columns.end - columns.start, p.k = depth.end - depth.start;
                p.A = operand_at(all->a, all->A, all->A_stride, rows.start, depth.start);
                p.B = operand_at(all->b, all->B, all->B_stride, depth.start, columns.start);
                p.C = all->C + (size_t)rows.start * (size_t)all->C_stride + columns.start;
                p.bias = all->bias && !h ? all->bias + columns.start : NULL;
                p.keep = all->keep || h;
                multiply_block(cx, &p, p.strips && !j);
            }
}

/* ---- OpenBLAS ---- */

static void blas_piece(void *argument, int piece)
{
    const matmul_task *p = argument;
    const span rows = span_of(p->m, p->rows, 1, piece / p->columns),
               columns = span_of(p->n, p->columns, 1, piece % p->columns);
    tg_real *C = p->C + (size_t)rows.start * (size_t)p->C_stride + columns.start;
    if (p->bias) start_from_bias(p, rows.end - rows.start, columns, C);
    tg__matmul_piece(p->a, p->b, rows.end - rows.start, columns.end - columns.start, p->k,
                     operand_at(p->a, p->A, p->A_stride, rows.start, 0), p->A_stride,
                     operand_at(p->b, p->B, p->B_stride, 0, columns.start), p->B_stride,
                     p->bias ? 1 : p->keep, C, p->C_stride);
}

/* Cuts C into at most MOST_PIECES nearly square pieces of PIECE multiply-adds or more: OpenBLAS packs the
 * operands of each piece, and a square shares most. The pieces depend on (m,n,k) alone, since OpenBLAS' bits
 * depend on the sizes. */
static void multiply_with_blas(tg_context *cx, matmul_task *p)
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

static void single_row_piece(void *argument, int piece)
{
    const matmul_task *p = argument;
    const span columns = span_of(p->n, p->columns, 2 * tg__simd()->product->panel_columns, piece);
    tg_real *C = p->C + columns.start;
    if (p->bias) start_from_bias(p, 1, columns, C);
    tg__simd()->product->row_product(columns.end - columns.start, p->k, p->A, p->B + columns.start,
                                     p->B_stride, p->bias ? 1 : p->keep, C);
}

/* Memory is the limit, which B is read from once: each worker reads some of the columns. */
static void multiply_single_row(tg_context *cx, matmul_task *p)
{
    const int WORTH_SHARING = 65536; /* elements of B */
    p->columns = tg__pieces((int64_t)p->k * p->n, WORTH_SHARING);
    if (p->columns > MANY_PIECES) p->columns = MANY_PIECES;
    tg__team_run_by(cx, p->threads, p->columns, single_row_piece, p);
}

void tg__matmul_by(tg_context *cx, int threads, transposed a, transposed b, int m, int n, int k,
                   const tg_real *A, int A_stride, const tg_real *B, int B_stride, const tg_real *bias,
                   int keep, tg_real *C, int C_stride)
{
    const double WORTH_PACKING =
        b == TRANSPOSED ? 2e5 : 1e6; /* multiply-adds; less with B transposed, where OpenBLAS is slower */
    if (m <= 0 || n <= 0) return;
    matmul_task p = { .threads = threads,
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
        multiply_single_row(cx, &p);
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

CLONED static void sum_matrix_rows(int m, int n, size_t stride, const tg_real *row, tg_real *restrict sum)
{
    int i = 0;
    for (; i + 4 <= m; i += 4, row += 4 * stride) /* four rows at a time: their memory latencies overlap */
        for (int j = 0; j < n; j++)
            sum[j] = sum[j] + row[j] + row[stride + (size_t)j] + row[2 * stride + (size_t)j] +
                     row[3 * stride + (size_t)j];
    for (; i < m; i++, row += stride)
        for (int j = 0; j < n; j++) sum[j] += row[j];
}

void tg__add_rows_piece(int m, int n, const tg_real *A, int A_stride, tg_real *sum)
{
    sum_matrix_rows(m, n, (size_t)A_stride, A, sum);
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
