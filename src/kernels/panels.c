/* kernels/panels.c -- see panels.h; the product is in simd/product.c. */
#include "kernels/panels.h"

#include <assert.h>
#include <string.h>

#include "core/context.h"
#include "core/team.h"
#include "kernels/simd/table.h"

static int panels_of(int n) { return tg__pieces(n, tg__simd()->product->panel_columns); }

size_t tg__panels_room(int k, int n)
{
    return (size_t)k * (size_t)panels_of(n) * (size_t)tg__simd()->product->panel_columns;
}

/* ---- packing ---- */

typedef struct packing {
    const matrix *m;
} packing;

/* Of a piece, so many that it is worth handing out. */
static int piece_columns(const matrix *m)
{
    const int width = tg__simd()->product->panel_columns;
    return width * tg__pieces(256, m->k);
}
static int pieces_of(const matrix *m) { return m->panels ? tg__pieces(m->n, piece_columns(m)) : 0; }

static void pack_piece(void *argument, int piece)
{
    const matrix *m = ((const packing *)argument)->m;
    while (piece >= pieces_of(m)) piece -= pieces_of(m++);
    const int most = piece_columns(m), j = piece * most;
    tg__simd()->product->pack_panels(m->b == TRANSPOSED, m->k, m->n - j < most ? m->n - j : most,
                                     m->b == NORMAL ? m->B + j : m->B + (size_t)j * (size_t)m->stride,
                                     m->stride, m->panels + (size_t)j * (size_t)m->k);
}

void tg__matrices_pack_by(tg_context *cx, int threads, int count, const matrix m[])
{
    packing p = { m };
    int pieces = 0;
    for (int i = 0; i < count; i++) pieces += pieces_of(&m[i]);
    tg__team_run_by(cx, threads, pieces, pack_piece, &p);
}

void tg__matrices_pack(tg_context *cx, bool shared, int count, const matrix m[])
{
    tg__matrices_pack_by(cx, shared ? cx->threads : 1, count, m);
}

/* ---- products ---- */

void tg__panels_product(int m, int n, int k, const tg_real *A, int A_stride, const tg_real *panels, int keep,
                        tg_real *C, int C_stride)
{
    tg__simd()->product->panel_product(m, n, k, A, A_stride, panels, keep, C, C_stride);
}

size_t tg__left_room(int rows, int k)
{
    const product_table *simd = tg__simd()->product;
    return rows < simd->strip_pays
               ? 0
               : (size_t)tg__pieces(rows, simd->strip_rows) * (size_t)simd->strip_lanes * (size_t)k;
}

left_matrix tg__left(int rows, int k, const tg_real *A, int stride, tg_real *room)
{
    const product_table *simd = tg__simd()->product;
    if (!room || rows < simd->strip_pays) return (left_matrix){ A, stride };
    simd->pack_strips(false, rows, k, A, stride, (size_t)simd->strip_lanes * (size_t)k, room);
    return (left_matrix){ room, 0 };
}

void tg__matrix_product_columns(const matrix *m, int first, int end, int rows, left_matrix A, int keep,
                                tg_real *C, int C_stride)
{
    const tg_real *B = m->b == NORMAL ? m->B + first : m->B + (size_t)first * (size_t)m->stride;
    const int n = end - first;
    C += first;
    if (m->panels)
        tg__panels_product(rows, n, m->k, A.A, A.stride, m->panels + (size_t)first * (size_t)m->k, keep, C,
                           C_stride);
    else if (rows == 1 && m->b == NORMAL)
        tg__simd()->product->row_product(n, m->k, A.A, B, m->stride, keep, C);
    else
        tg__matmul_piece(NORMAL, m->b, rows, n, m->k, A.A, A.stride, B, m->stride, keep, C, C_stride);
}

void tg__matrix_product(const matrix *m, int rows, const tg_real *A, int A_stride, int keep, tg_real *C,
                        int C_stride)
{
    tg__matrix_product_columns(m, 0, m->n, rows, (left_matrix){ A, A_stride }, keep, C, C_stride);
}

typedef struct wide_product {
    const matrix *m;
    int rows, row_pieces, panels, panel_pieces;
    const tg_real *A, *bias;
    int A_stride, C_stride;
    tg_real *C;
} wide_product;

static void wide_product_piece(void *argument, int piece)
{
    const wide_product *p = argument;
    const int columns = tg__simd()->product->panel_columns, r = piece % p->row_pieces,
              c = piece / p->row_pieces;
    const int i = (int)tg__piece_start(p->rows, p->row_pieces, r),
              i_end = (int)tg__piece_start(p->rows, p->row_pieces, r + 1),
              j = columns * (int)tg__piece_start(p->panels, p->panel_pieces, c),
              j_end = columns * (int)tg__piece_start(p->panels, p->panel_pieces, c + 1);
    const int n = (j_end < p->m->n ? j_end : p->m->n) - j;
    tg_real *C = p->C + (size_t)i * (size_t)p->C_stride + j;
    for (int k = 0; p->bias && k < i_end - i; k++)
        memcpy(C + (size_t)k * (size_t)p->C_stride, p->bias + j, (size_t)n * sizeof *C);
    tg__panels_product(i_end - i, n, p->m->k, p->A + (size_t)i * (size_t)p->A_stride, p->A_stride,
                       p->m->panels + (size_t)j * (size_t)p->m->k, p->bias != NULL, C, p->C_stride);
}

void tg__matrix_product_all(tg_context *cx, const matrix *m, int rows, const tg_real *A, int A_stride,
                            const tg_real *bias, tg_real *C, int C_stride)
{
    assert(m->panels);
    wide_product p = { .m = m,
                       .rows = rows,
                       .row_pieces = tg__pieces(rows, 96),
                       .panels = panels_of(m->n),
                       .A = A,
                       .bias = bias,
                       .A_stride = A_stride,
                       .C_stride = C_stride,
                       .C = C };
    /* a piece is worth handing out from about a quarter of a million multiply-adds on */
    const double work = (double)rows * m->n * m->k / 250000;
    p.panel_pieces = work < 1 ? 1 : work < p.panels ? (int)work : p.panels;
    if (p.panel_pieces > 16) p.panel_pieces = 16;
    tg__team_run(cx, p.row_pieces * p.panel_pieces, wide_product_piece, &p);
}
