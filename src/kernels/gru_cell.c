/* kernels/gru_cell.c -- the equations are in gru_cell.h, the element-wise half in simd/kernels.c; gradients:
 * docs/gradients.md. */
#include "kernels/gru_cell.h"

#include "core/clones.h"
#include "core/context.h"

static matrix packed(tg_context *cx, transposed direction, int k, int n, const tg_real *W, int stride,
                     tg_real **room)
{
    const matrix m = tg__matrix(cx, direction, k, n, W, stride, *room);
    if (*room) *room += tg__panels_room(k, n);
    return m;
}

size_t tg__gru_cell_room(int H)
{
    const size_t forward = 3 * tg__panels_room(H, H),
                 backward = tg__panels_room(2 * H, H) + tg__panels_room(H, H);
    return forward > backward ? forward : backward;
}

gru_cell tg__gru_cell(tg_context *cx, transposed direction, int H, bool reset_after, gru_weights w,
                      tg_real *room)
{
    gru_cell c = { .H = H, .reset_after = reset_after, .w = w };
    if (direction == NORMAL) {
        c.z = packed(cx, NORMAL, H, H, w.W_h, 3 * H, &room);
        c.r = packed(cx, NORMAL, H, H, w.W_h + H, 3 * H, &room);
    } else {
        c.zr = packed(cx, TRANSPOSED, 2 * H, H, w.W_h, 3 * H, &room);
    }
    c.g = packed(cx, direction, H, H, w.W_h + 2 * H, 3 * H, &room);
    return c;
}

gru_strips tg__gru_strips(tg_context *cx, const gru_cell *c, int workers, int rows)
{
    gru_strips s = { .each = tg__left_room(rows, 2 * c->H) };
    if (!c->g.panels || !s.each) return s;
    tg__arena_reset(&cx->packed);
    s.all = tg__arena_take(&cx->packed, (size_t)workers * s.each * sizeof *s.all);
    return s;
}

/* The part's rows of A (.,k), for products; strides are those of an array's rows. */
static left_matrix rows_of(gru_part p, gru_step s, int k, const tg_real *A, int stride)
{
    return tg__left(p.rows, k, A, p.step * stride, s.strips);
}

/* C += A m, or C = A m, of the part's rows and units. */
static void product(const matrix *m, gru_part p, left_matrix A, int keep, tg_real *C, int C_stride)
{
    tg__matrix_product_columns(m, p.first, p.end, p.rows, A, keep, C, p.step * C_stride);
}

/* The units of a part a block at a time: what a product gives is still in the cache when it is used. A matrix that is
 * not packed is multiplied at once. */
enum { BLOCK_PANELS = 4 };
static bool next_block(const gru_cell *c, gru_part all, gru_part *block)
{
    const int most = c->g.panels ? BLOCK_PANELS * tg__simd()->panel_columns : c->H;
    block->first = block->end;
    block->end = all.end - block->first < most ? all.end : block->first + most;
    return block->first < all.end;
}
static gru_part no_block(gru_part p)
{
    p.end = p.first;
    return p;
}

void tg__gru_forward_phase(const gru_cell *c, int phase, gru_part all, gru_step s)
{
    const int H = c->H;
    const size_t h_stride = (size_t)s.h_stride, y_stride = (size_t)s.y_stride;
    const left_matrix A =
        phase == 0 ? rows_of(all, s, H, s.h_before, s.h_stride) : rows_of(all, s, H, s.rh, H);
    for (gru_part p = no_block(all); next_block(c, all, &p);) {
        if (phase == 0) { /* z and r:  + h(t-1) W_hz, + h(t-1) W_hr */
            product(&c->z, p, A, 1, s.gates, 3 * H);
            product(&c->r, p, A, 1, s.gates + H, 3 * H);
        }
        if (c->reset_after) { /* q = h(t-1) W_hg */
            product(&c->g, p, A, 0, s.q, H);
            tg__simd()->gru_output_reset_after(p, c->w.b, c->w.b_h, s.gates, s.q, s.h_before, h_stride, s.y,
                                               y_stride);
        } else if (phase == 0) {
            tg__simd()->gru_update_and_reset(p, c->w.b, s.h_before, h_stride, s.gates, s.rh);
        } else { /* g:  + (r * h(t-1)) W_hg */
            product(&c->g, p, A, 1, s.gates + 2 * H, 3 * H);
            tg__simd()->gru_output(p, c->w.b, s.gates, s.h_before, h_stride, s.y, y_stride);
        }
    }
}

CLONED static void add_received(gru_part p, gru_step s)
{
    for (size_t i = 0; i < (size_t)p.rows * (size_t)p.step; i += (size_t)p.step) {
        const tg_real *dy = s.dy + i * (size_t)s.y_stride;
        tg_real *dh = s.dh + i * (size_t)p.H;
        for (int j = p.first; j < p.end; j++) dh[j] += dy[j];
    }
}

void tg__gru_backward_phase(const gru_cell *c, int phase, gru_part all, gru_step s)
{
    const int H = c->H;
    const size_t h_stride = (size_t)s.h_stride;
    if (phase == 0 && s.dy) add_received(all, s);
    if (c->reset_after) {
        tg__simd()->gru_backward_reset_after(all, s.h_before, h_stride, s.gates, s.q, s.dh);
    } else if (phase == 0) {
        tg__simd()->gru_backward_output(all, s.h_before, h_stride, s.gates, s.dh);
    } else {
        const left_matrix dg = rows_of(all, s, H, s.gates + 2 * H, 3 * H);
        for (gru_part p = no_block(all); next_block(c, all, &p);) { /* d(r * h(t-1)) = dg W_hg' */
            product(&c->g, p, dg, 0, s.drh, H);
            tg__simd()->gru_backward_reset(p, s.h_before, h_stride, s.drh, s.gates, s.dh);
        }
    }
}

void tg__gru_backward_products(const gru_cell *c, gru_part p, gru_step s)
{
    const int H = c->H;
    /* dh(t-1) += dz W_hz' + dr W_hr' */
    product(&c->zr, p, rows_of(p, s, 2 * H, s.gates, 3 * H), 1, s.dh, H);
    /* dh(t-1) += dq W_hg' */
    if (c->reset_after) product(&c->g, p, rows_of(p, s, H, s.q, H), 1, s.dh, H);
}

void tg__gru_step(const gru_cell *c, int rows, gru_step s)
{
    const gru_part whole = { .rows = rows, .step = 1, .H = c->H, .first = 0, .end = c->H };
    for (int phase = 0; phase < tg__gru_phases(c); phase++) tg__gru_forward_phase(c, phase, whole, s);
}

void tg__gru_step_backward(const gru_cell *c, int rows, gru_step s)
{
    const gru_part whole = { .rows = rows, .step = 1, .H = c->H, .first = 0, .end = c->H };
    for (int phase = 0; phase < tg__gru_phases(c); phase++) tg__gru_backward_phase(c, phase, whole, s);
    tg__gru_backward_products(c, whole, s);
}
