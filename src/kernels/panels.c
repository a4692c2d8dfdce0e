/* kernels/panels.c -- see panels.h. */
#include "kernels/panels.h"

#include <assert.h>
#include <string.h>

#include "core/context.h"
#include "core/team.h"
#include "kernels/simd/table.h"

size_t tg__panels_room(int k, int n)
{
    const matrix_format *format = &tg__format_real;
    const int width = format->panel_columns();
    const size_t bytes = (size_t)tg__pieces(n, width) * (size_t)width * format->column_bytes(k);
    return (bytes + sizeof(tg_real) - 1) / sizeof(tg_real);
}

/* Where the panel that begins with this column is. */
static void *panel_of(const matrix *m, int column)
{
    return (char *)m->panels + (size_t)column * m->format->column_bytes(m->k);
}

static const tg_real *column_of(const matrix *m, int column)
{
    return m->b == NORMAL ? m->B + column : m->B + (size_t)column * (size_t)m->stride;
}

/* ---- packing ---- */

/* Columns in a piece of work: whole panels, and enough numbers that waking another thread pays. */
static int piece_columns(const matrix *m) { return m->format->panel_columns() * tg__pieces(256, m->k); }
static int pieces_of(const matrix *m) { return m->panels ? tg__pieces(m->n, piece_columns(m)) : 0; }

typedef struct packing {
    const matrix *m; /* whose pieces are numbered one matrix after the other */
} packing;

static void pack_matrix_piece(void *argument, int piece)
{
    const matrix *m = ((const packing *)argument)->m;
    while (piece >= pieces_of(m)) piece -= pieces_of(m++);
    const int most = piece_columns(m), first = piece * most;
    m->format->pack(m->b, m->k, m->n - first < most ? m->n - first : most, column_of(m, first), m->stride,
                    panel_of(m, first));
}

void tg__matrices_pack_by(tg_context *cx, int threads, int count, const matrix m[])
{
    int pieces = 0;
    for (int i = 0; i < count; i++) pieces += pieces_of(&m[i]);
    tg__team_run_by(cx, threads, pieces, pack_matrix_piece, &(packing){ m });
}

void tg__matrices_pack(tg_context *cx, bool shared, int count, const matrix m[])
{
    tg__matrices_pack_by(cx, shared ? cx->threads : 1, count, m);
}

size_t tg__left_room(int rows, int k)
{
    const product_table *simd = tg__simd()->product;
    if (rows < simd->strip_pays) return 0;
    return (size_t)tg__pieces(rows, simd->strip_rows) * (size_t)simd->strip_lanes * (size_t)k;
}

left_matrix tg__left(int rows, int k, const tg_real *A, int stride, tg_real *room)
{
    const product_table *simd = tg__simd()->product;
    if (!room || rows < simd->strip_pays) return (left_matrix){ A, stride };
    simd->pack_strips(false, rows, k, A, stride, (size_t)simd->strip_lanes * (size_t)k, room);
    return (left_matrix){ room, 0 };
}

/* ---- products ---- */

void tg__matrix_product_columns(const matrix *m, int first, int end, int rows, left_matrix A, int keep,
                                tg_real *C, int C_stride)
{
    const int n = end - first;
    C += first;
    if (m->panels)
        m->format->product(rows, n, m->k, A, panel_of(m, first), keep, C, C_stride);
    else if (rows == 1 && m->b == NORMAL)
        tg__simd()->product->row_product(n, m->k, A.A, column_of(m, first), m->stride, keep, C);
    else
        tg__matmul_piece(NORMAL, m->b, rows, n, m->k, A.A, A.stride, column_of(m, first), m->stride, keep, C,
                         C_stride);
}

void tg__matrix_product(const matrix *m, int rows, const tg_real *A, int A_stride, int keep, tg_real *C,
                        int C_stride)
{
    tg__matrix_product_columns(m, 0, m->n, rows, (left_matrix){ A, A_stride }, keep, C, C_stride);
}

/* A product whose result is cut into row_blocks x column_blocks pieces of work. */
typedef struct shared_product {
    const matrix *m;
    int rows, row_blocks, panels, column_blocks;
    const tg_real *A, *bias;
    int A_stride, C_stride;
    tg_real *C;
} shared_product;

static void shared_product_piece(void *argument, int piece)
{
    const shared_product *p = argument;
    const int width = p->m->format->panel_columns(), r = piece % p->row_blocks, c = piece / p->row_blocks;
    const int i = (int)tg__piece_start(p->rows, p->row_blocks, r),
              rows = (int)tg__piece_start(p->rows, p->row_blocks, r + 1) - i,
              j = width * (int)tg__piece_start(p->panels, p->column_blocks, c),
              last = width * (int)tg__piece_start(p->panels, p->column_blocks, c + 1),
              end = last < p->m->n ? last : p->m->n;
    const left_matrix A = { p->A + (size_t)i * (size_t)p->A_stride, p->A_stride };
    tg_real *C = p->C + (size_t)i * (size_t)p->C_stride;
    for (int row = 0; p->bias && row < rows; row++)
        memcpy(C + (size_t)row * (size_t)p->C_stride + j, p->bias + j, (size_t)(end - j) * sizeof *C);
    tg__matrix_product_columns(p->m, j, end, rows, A, p->bias != NULL, C, p->C_stride);
}

void tg__matrix_product_all(tg_context *cx, const matrix *m, int rows, const tg_real *A, int A_stride,
                            const tg_real *bias, tg_real *C, int C_stride)
{
    enum { BLOCK_ROWS = 96, MOST_COLUMN_BLOCKS = 16 };
    const double WORTH_SHARING = 250000; /* multiply-adds of a block of columns */
    assert(m->panels);
    shared_product p = { .m = m,
                         .rows = rows,
                         .row_blocks = tg__pieces(rows, BLOCK_ROWS),
                         .panels = tg__pieces(m->n, m->format->panel_columns()),
                         .A = A,
                         .bias = bias,
                         .A_stride = A_stride,
                         .C_stride = C_stride,
                         .C = C };
    const double blocks = (double)rows * m->n * m->k / WORTH_SHARING;
    p.column_blocks = blocks < 1 ? 1 : blocks < p.panels ? (int)blocks : p.panels;
    if (p.column_blocks > MOST_COLUMN_BLOCKS) p.column_blocks = MOST_COLUMN_BLOCKS;
    tg__team_run(cx, p.row_blocks * p.column_blocks, shared_product_piece, &p);
}
