/* kernels/gru.h -- gated recurrent unit over a whole (packed) sequence, one layer, one direction.
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
 * Derivation of the gradients: docs/gradients.md.                                              */
#ifndef KERNELS_GRU_H
#define KERNELS_GRU_H

#include "kernels/panels.h"
#include "kernels/sequence.h"

typedef struct gru_shape {
    const sequence *sequence;
    int I, H;
    bool reset_after;
    bool reverse; /* from each row's last valid step to its first */
    int y_stride; /* H, or 2H where two directions share the output */
} gru_shape;

typedef struct gru_weights {
    const tg_real *W_x, *W_h, *b, *b_h; /* b_h: reset-after only */
} gru_weights;

typedef struct gru_gradients { /* all ADDED to */
    tg_real *W_x, *W_h, *b, *b_h;
} gru_gradients;

/* What forward leaves for backward, all in packed order. */
typedef struct gru_saved {
    tg_real *gates; /* (tokens,3H): z r g; backward turns them into the gradients before activation */
    tg_real *q;     /* (tokens,H): reset-after only; backward turns it into its gradient */
} gru_saved;

/* x (tokens,I); h (B,H), in packed order of rows: the state before, set to the state after;
 * y (tokens,H) with y_stride: set; scratch (B,H); panels: tg__gru_panels_room elements. */
void tg__gru_forward(tg_context *cx, gru_shape s, gru_weights w, const tg_real *x, tg_real *h, tg_real *y,
                     gru_saved saved, tg_real *scratch, tg_real *panels);

/* Room for the packed recurrent weights, forward or backward; 0 where packing does not pay. */
size_t tg__gru_panels_room(gru_shape s);

/* dy (tokens,H) with y_stride: the gradient of y. dh (B,H): the gradient of the state after, set to the
 * gradient of the state before. h0 (B,H): the state before. dx (tokens,I): ADDED to, or NULL.
 * scratch: tg__gru_backward_scratch elements. */
void tg__gru_backward(tg_context *cx, gru_shape s, gru_weights w, gru_gradients d, const tg_real *x,
                      const tg_real *h0, const tg_real *y, const tg_real *dy, gru_saved saved, tg_real *dh,
                      tg_real *dx, tg_real *scratch, tg_real *panels);
size_t tg__gru_backward_scratch(gru_shape s);

/* ---- the cell alone, for sweeps that do something else between the steps ---- */

typedef struct
    gru_cell { /* ready for one direction of the sweep: forward (NORMAL) or backward (TRANSPOSED) */
    int H;
    bool reset_after;
    gru_weights w;
    matrix zr, g; /* W_hz and W_hr side by side, W_hg; or their transposes */
} gru_cell;

/* room: tg__gru_cell_room elements, or NULL: the recurrent weights are not packed. */
gru_cell tg__gru_cell(tg_context *cx, transposed direction, int H, bool reset_after, gru_weights w,
                      tg_real *room);
size_t tg__gru_cell_room(int H);

/* One step of `rows` rows. gates (rows,3H): the input side, x W_x, on entry; z r g on return. h (rows,H):
 * h(t-1) on entry, h(t) on return, and copied to y with y_stride. q (rows,H): reset-after only. rh (rows,H). */
void tg__gru_step(const gru_cell *c, int rows, tg_real *h, tg_real *gates, tg_real *q, tg_real *rh,
                  tg_real *y, int y_stride);

/* dh (rows,H): dL/dh(t) on entry, dL/dh(t-1) on return. gates, q: as tg__gru_step left them; on return the
 * gradients before sigmoid and tanh, and that of q. rh (rows,H): set to r * h(t-1). drh (rows,H): scratch. */
void tg__gru_step_backward(const gru_cell *c, int rows, const tg_real *h_before, tg_real *dh, tg_real *gates,
                           tg_real *q, tg_real *rh, tg_real *drh);

/* After the sweep, with what its N tokens left: dW_h, db, db_h. */
void tg__gru_recurrent_gradients(tg_context *cx, int N, int H, bool reset_after, const tg_real *h_before,
                                 const tg_real *rh, gru_saved saved, gru_gradients d);

/* Blocks of rows that a sweep over B rows is cut into, which do not meet: at most 32 rows each, at least
 * two blocks where there are 16 rows. A function of B alone. */
int tg__sweep_blocks(int B);

/* Does packing pay? It costs about one step: not for one step, nor for one row, which reads every weight
 * but once a step. */
bool tg__sweep_packs(const sequence *q);

/* Rows of block [first, last) that run at step t. */
int tg__sweep_rows(const sequence *q, int t, int first, int last);

#endif
