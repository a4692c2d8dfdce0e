/* kernels/gru_cell.h -- one step of a gated recurrent unit, for some rows of the batch and some units.
 *
 * Row vectors, * element by element. reset BEFORE the product (Cho et al. 2014, eq. 5-8):
 *
 *     z(t) = sigmoid( x(t) W_xz + h(t-1) W_hz + b_z )
 *     r(t) = sigmoid( x(t) W_xr + h(t-1) W_hr + b_r )
 *     g(t) = tanh( x(t) W_xg + ( r(t) * h(t-1) ) W_hg + b_g )
 *     h(t) = z(t) * h(t-1) + ( 1 - z(t) ) * g(t)
 *
 * reset AFTER the product (cuDNN, PyTorch), with a second set of biases:
 *
 *     z, r as above, + b_hz, + b_hr
 *     q(t) = h(t-1) W_hg + b_hg
 *     g(t) = tanh( x(t) W_xg + b_g + r(t) * q(t) )
 *
 * The gates lie side by side in memory, in the order z r g: W_x (I,3H), W_h (H,3H), b, b_h (3H).
 *
 * A step is cut into phases where a product needs all units of what came before it; within a phase
 * each unit goes its own way, so units can be shared out. */
#ifndef KERNELS_GRU_CELL_H
#define KERNELS_GRU_CELL_H

#include "kernels/panels.h"
#include "kernels/simd/table.h"

typedef struct gru_weights {
    const tg_real *W_x, *W_h, *b, *b_h; /* b_h: reset-after only */
} gru_weights;

typedef struct gru_cell {
    int H;
    bool reset_after;
    gru_weights w;
    matrix z, r, g; /* forward: W_hz, W_hr, W_hg; backward g and */
    matrix zr;      /* W_hz and W_hr side by side: forward as they stand; backward transposed */
} gru_cell;

/* For one direction of the sweep: forward (NORMAL) or backward (TRANSPOSED). room: tg__gru_cell_room elements, into which the
 * recurrent weights are to be packed before they are used; or NULL: they are not. */
gru_cell tg__gru_cell(transposed direction, int H, bool reset_after, gru_weights w, tg_real *room);
void tg__gru_cell_pack(tg_context *cx, bool shared, const gru_cell *c);
size_t tg__gru_cell_room(int H);

/* Scratch of the workers of a sweep, for gru_step's strips, `each` elements for a worker, enough for `rows` rows in so
 * many lots; until the next product by the team, which packs in the same place. NULL where there is nothing to pack. */
typedef struct gru_strips {
    tg_real *all;
    size_t each;
} gru_strips;
gru_strips tg__gru_strips(tg_context *cx, const gru_cell *c, int workers, int rows, int lots);
static inline tg_real *tg__gru_strips_of(gru_strips s, int worker)
{
    return s.all ? s.all + (size_t)worker * s.each : NULL;
}

/* Some rows of one step and, the same for all lots of a call, some units; the arrays, each at the first of the rows. */
typedef struct gru_step {
    gru_part part;           /* first is a multiple of tg__simd()->product->panel_columns */
    const tg_real *h_before; /* h(t-1), with h_stride */
    tg_real *y;              /* h(t), with y_stride; forward only */
    int h_stride, y_stride;
    tg_real *gates; /* (rows,3H): x W_x before, z r g after; backward: then the gradients before activation */
    tg_real *q;     /* (rows,H): reset-after only; backward: then its gradient */
    tg_real *rh;    /* (rows,H): r * h(t-1); reset-before only, forward only */
    const tg_real *dy; /* dL/dy(t), with y_stride, added to dh; or NULL; backward only */
    tg_real *dh, *drh; /* (rows,H): dL/dh(t), then dL/dh(t-1); scratch; backward only */
    tg_real *strips;   /* the worker's scratch for all lots of a call, or NULL */
} gru_step;

/* Phase 0, and 1 with reset before, of so many lots of rows, which take the weights by turns while these are in the
 * cache. */
enum { GRU_PHASES_RESET_BEFORE = 2, GRU_PHASES_RESET_AFTER = 1, GRU_MOST_LOTS = 4 };
static inline int tg__gru_phases(const gru_cell *c)
{
    return c->reset_after ? GRU_PHASES_RESET_AFTER : GRU_PHASES_RESET_BEFORE;
}
void tg__gru_forward_phase(const gru_cell *c, int phase, int lots, const gru_step s[]);

/* The same backward, and after all phases what goes through the products to h(t-1). */
void tg__gru_backward_phase(const gru_cell *c, int phase, int lots, const gru_step s[]);
void tg__gru_backward_products(const gru_cell *c, int lots, const gru_step s[]);

/* A whole step of all units of `rows` rows, by the calling thread. */
void tg__gru_step(const gru_cell *c, int rows, gru_step s);
void tg__gru_step_backward(const gru_cell *c, int rows, gru_step s);

#endif
