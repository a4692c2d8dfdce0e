/* kernels/gru_cell.c -- the equations are in gru_cell.h, the element-wise half in simd/kernels.c; gradients:
 * docs/gradients.md. */
#include "kernels/gru_cell.h"

#include "core/clones.h"
#include "core/context.h"

static matrix to_pack(transposed direction, int k, int n, const tg_real *W, int stride, tg_real **room)
{
    const matrix m = tg__matrix(direction, k, n, W, stride, *room);
    if (*room) *room += tg__panels_room(k, n);
    return m;
}

size_t tg__gru_cell_room(int H)
{
    const size_t forward = 3 * tg__panels_room(H, H),
                 backward = tg__panels_room(2 * H, H) + tg__panels_room(H, H);
    return forward > backward ? forward : backward;
}

gru_cell tg__gru_cell(transposed direction, int H, bool reset_after, gru_weights w, tg_real *room)
{
    gru_cell c = { .H = H, .reset_after = reset_after, .w = w };
    if (direction == NORMAL) {
        c.zr = tg__matrix(NORMAL, H, 2 * H, w.W_h, 3 * H, NULL);
        c.z = to_pack(NORMAL, H, H, w.W_h, 3 * H, &room);
        c.r = to_pack(NORMAL, H, H, w.W_h + H, 3 * H, &room);
    } else {
        c.zr = to_pack(TRANSPOSED, 2 * H, H, w.W_h, 3 * H, &room);
    }
    c.g = to_pack(direction, H, H, w.W_h + 2 * H, 3 * H, &room);
    return c;
}

void tg__gru_cell_pack(tg_context *cx, bool shared, const gru_cell *c)
{
    tg__matrices_pack(cx, shared, 4, (const matrix[]){ c->z, c->r, c->zr, c->g });
}

gru_strips tg__gru_strips(tg_context *cx, const gru_cell *c, int workers, int rows, int lots)
{
    const size_t strip = (size_t)tg__simd()->product->strip_lanes * 2 * (size_t)c->H;
    gru_strips s = { .each = tg__left_room(rows, 2 * c->H) };
    if (!c->g.panels || !s.each) return s;
    s.each += (size_t)(lots - 1) * strip; /* what one lot leaves of its last strip is not the next one's */
    tg__arena_reset(&cx->packed);
    s.all = tg__arena_take(&cx->packed, (size_t)workers * s.each * sizeof *s.all);
    return s;
}

/* A (.,k) of each lot's rows, for products; stride is that of an array's rows. */
typedef struct lefts {
    left_matrix of[GRU_MOST_LOTS];
    tg_real *room;
} lefts;
static void take_rows(lefts *A, int lot, const gru_step *s, int k, const tg_real *array, int stride)
{
    A->of[lot] = tg__left(s->part.rows, k, array, s->part.step * stride, A->room);
    if (A->room) A->room += tg__left_room(s->part.rows, k);
}

/* C += A m, or C = A m, of the part's rows and units. */
static void product(const matrix *m, gru_part p, left_matrix A, int keep, tg_real *C, int C_stride)
{
    tg__matrix_product_columns(m, p.first, p.end, p.rows, A, keep, C, p.step * C_stride);
}

/* The units of a part a block at a time: what a product gives is still in the cache when it is used, and so are the
 * weights for the lots that come next. A matrix that is not packed is multiplied at once. */
enum { BLOCK_PANELS = 4 };
typedef struct block {
    int first, end;
} block;
static bool next_block(const gru_cell *c, gru_part all, block *b)
{
    const int most = c->g.panels ? BLOCK_PANELS * tg__simd()->product->panel_columns : c->H;
    b->first = b->end;
    b->end = all.end - b->first < most ? all.end : b->first + most;
    return b->first < all.end;
}
static block no_block(gru_part all) { return (block){ all.first, all.first }; }
static gru_part of_block(gru_part p, block b)
{
    p.first = b.first, p.end = b.end;
    return p;
}

static void forward_block(const gru_cell *c, int phase, gru_part p, left_matrix A, const gru_step *s)
{
    const int H = c->H;
    const size_t h_stride = (size_t)s->h_stride, y_stride = (size_t)s->y_stride;
    if (phase == 0) { /* z and r:  + h(t-1) W_hz, + h(t-1) W_hr */
        if (!c->z.panels && p.first == 0 && p.end == H) {
            tg__matrix_product(&c->zr, p.rows, A.A, A.stride, 1, s->gates, p.step * 3 * H);
        } else {
            product(&c->z, p, A, 1, s->gates, 3 * H);
            product(&c->r, p, A, 1, s->gates + H, 3 * H);
        }
    }
    if (c->reset_after) { /* q = h(t-1) W_hg */
        product(&c->g, p, A, 0, s->q, H);
        tg__simd()->gru_output_reset_after(p, c->w.b, c->w.b_h, s->gates, s->q, s->h_before, h_stride, s->y,
                                           y_stride);
    } else if (phase == 0) {
        tg__simd()->gru_update_and_reset(p, c->w.b, s->h_before, h_stride, s->gates, s->rh);
    } else { /* g:  + (r * h(t-1)) W_hg */
        product(&c->g, p, A, 1, s->gates + 2 * H, 3 * H);
        tg__simd()->gru_output(p, c->w.b, s->gates, s->h_before, h_stride, s->y, y_stride);
    }
}

void tg__gru_forward_phase(const gru_cell *c, int phase, int lots, const gru_step s[])
{
    const int H = c->H;
    lefts A = { .room = s->strips };
    for (int i = 0; i < lots; i++)
        if (phase == 0)
            take_rows(&A, i, &s[i], H, s[i].h_before, s[i].h_stride);
        else
            take_rows(&A, i, &s[i], H, s[i].rh, H);
    for (block b = no_block(s->part); next_block(c, s->part, &b);)
        for (int i = 0; i < lots; i++) forward_block(c, phase, of_block(s[i].part, b), A.of[i], &s[i]);
}

CLONED static void add_received(gru_part p, const gru_step *s)
{
    for (size_t i = 0; i < (size_t)p.rows * (size_t)p.step; i += (size_t)p.step) {
        const tg_real *dy = s->dy + i * (size_t)s->y_stride;
        tg_real *dh = s->dh + i * (size_t)p.H;
        for (int j = p.first; j < p.end; j++) dh[j] += dy[j];
    }
}

void tg__gru_backward_phase(const gru_cell *c, int phase, int lots, const gru_step s[])
{
    const int H = c->H;
    lefts dg = { .room = s->strips };
    for (int i = 0; i < lots; i++) {
        const size_t h_stride = (size_t)s[i].h_stride;
        if (phase == 0 && s[i].dy) add_received(s[i].part, &s[i]);
        if (c->reset_after)
            tg__simd()->gru_backward_reset_after(s[i].part, s[i].h_before, h_stride, s[i].gates, s[i].q,
                                                 s[i].dh);
        else if (phase == 0)
            tg__simd()->gru_backward_output(s[i].part, s[i].h_before, h_stride, s[i].gates, s[i].dh);
        else
            take_rows(&dg, i, &s[i], H, s[i].gates + 2 * H, 3 * H);
    }
    if (phase == 0) return;
    for (block b = no_block(s->part); next_block(c, s->part, &b);)
        for (int i = 0; i < lots; i++) { /* d(r * h(t-1)) = dg W_hg' */
            const gru_part p = of_block(s[i].part, b);
            product(&c->g, p, dg.of[i], 0, s[i].drh, H);
            tg__simd()->gru_backward_reset(p, s[i].h_before, (size_t)s[i].h_stride, s[i].drh, s[i].gates,
                                           s[i].dh);
        }
}

static void add_product(const gru_cell *c, const matrix *m, int lots, const gru_step s[], const lefts *A)
{
    for (block b = no_block(s->part); next_block(c, s->part, &b);)
        for (int i = 0; i < lots; i++) product(m, of_block(s[i].part, b), A->of[i], 1, s[i].dh, c->H);
}

void tg__gru_backward_products(const gru_cell *c, int lots, const gru_step s[])
{
    const int H = c->H;
    lefts A = { .room = s->strips };
    for (int i = 0; i < lots; i++) take_rows(&A, i, &s[i], 2 * H, s[i].gates, 3 * H);
    add_product(c, &c->zr, lots, s, &A); /* dh(t-1) += dz W_hz' + dr W_hr' */
    if (!c->reset_after) return;
    lefts q = { .room = s->strips };
    for (int i = 0; i < lots; i++) take_rows(&q, i, &s[i], H, s[i].q, H);
    add_product(c, &c->g, lots, s, &q); /* dh(t-1) += dq W_hg' */
}

static gru_step whole(const gru_cell *c, int rows, gru_step s)
{
    s.part = (gru_part){ .rows = rows, .step = 1, .H = c->H, .first = 0, .end = c->H };
    return s;
}

void tg__gru_step(const gru_cell *c, int rows, gru_step s)
{
    s = whole(c, rows, s);
    for (int phase = 0; phase < tg__gru_phases(c); phase++) tg__gru_forward_phase(c, phase, 1, &s);
}

void tg__gru_step_backward(const gru_cell *c, int rows, gru_step s)
{
    s = whole(c, rows, s);
    for (int phase = 0; phase < tg__gru_phases(c); phase++) tg__gru_backward_phase(c, phase, 1, &s);
    tg__gru_backward_products(c, 1, &s);
}
