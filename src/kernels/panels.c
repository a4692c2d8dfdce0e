/* kernels/panels.c -- see panels.h; the product is in simd/kernels.c. */
#include "kernels/panels.h"

#include "core/team.h"
#include "kernels/simd/table.h"

static int panels_of(int n) { return tg__pieces(n, tg__simd()->panel_columns); }

size_t tg__panels_room(int k, int n)
{
    return (size_t)k * (size_t)panels_of(n) * (size_t)tg__simd()->panel_columns;
}

typedef struct packing {
    transposed b;
    int k, n, stride;
    const tg_real *B;
    tg_real *panels;
} packing;

static void pack_panel(void *argument, int piece)
{
    const packing *p = argument;
    const int columns = tg__simd()->panel_columns, j0 = piece * columns,
              j1 = j0 + columns < p->n ? j0 + columns : p->n;
    tg_real *to = p->panels + (size_t)piece * (size_t)columns * (size_t)p->k;
    for (int i = 0; i < p->k; i++, to += columns) {
        for (int j = j0; j < j1; j++)
            to[j - j0] = p->b == NORMAL ? p->B[(size_t)i * (size_t)p->stride + (size_t)j]
                                        : p->B[(size_t)j * (size_t)p->stride + (size_t)i];
        for (int j = j1; j < j0 + columns; j++) to[j - j0] = 0;
    }
}

void tg__panels_pack(tg_context *cx, transposed b, int k, int n, const tg_real *B, int B_stride,
                     tg_real *panels)
{
    packing p = { b, k, n, B_stride, B, panels };
    tg__team_run(cx, panels_of(n), pack_panel, &p);
}

void tg__panels_product(int m, int n, int k, const tg_real *A, int A_stride, const tg_real *panels, int keep,
                        tg_real *C, int C_stride)
{
    tg__simd()->panel_product(m, n, k, A, A_stride, panels, keep, C, C_stride);
}

matrix tg__matrix(tg_context *cx, transposed b, int k, int n, const tg_real *B, int B_stride, tg_real *room)
{
    if (room) tg__panels_pack(cx, b, k, n, B, B_stride, room);
    return (matrix){ b, k, n, B, B_stride, room };
}

void tg__matrix_product(const matrix *m, int rows, const tg_real *A, int A_stride, int keep, tg_real *C,
                        int C_stride)
{
    if (m->panels)
        tg__panels_product(rows, m->n, m->k, A, A_stride, m->panels, keep, C, C_stride);
    else
        tg__matmul_piece(NORMAL, m->b, rows, m->n, m->k, A, A_stride, m->B, m->stride, keep, C, C_stride);
}
