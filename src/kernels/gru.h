/* kernels/gru.h -- gated recurrent unit over a whole (packed) sequence, one layer, one direction. The equations of a step
 * are in gru_cell.h, the design of the sweep in docs/kernels.md. */
#ifndef KERNELS_GRU_H
#define KERNELS_GRU_H

#include "kernels/gru_cell.h"
#include "kernels/sequence.h"

typedef struct gru_shape {
    const sequence *sequence;
    int I, H;
    bool reset_after;
    bool reverse; /* from each row's last valid step to its first */
    int y_stride; /* H, or 2H where two directions share the output */
} gru_shape;

typedef struct gru_gradients { /* all ADDED to */
    tg_real *W_x, *W_h, *b, *b_h;
} gru_gradients;

/* What forward leaves for backward, in the order of parts (kernels/sequence.h); of a layer that attends, in packed
 * order. */
typedef struct gru_saved {
    tg_real *gates; /* (tokens,3H): z r g; backward turns them into the gradients before activation */
    tg_real *q;     /* (tokens,H): reset-after only; backward turns it into its gradient */
    tg_real *rh;    /* (tokens,H): r * h(t-1), reset-before only */
} gru_saved;

/* So many parts (kernels/sequence.h) a batch is best made in. */
int tg__gru_parts(gru_shape s);
/* For tests: from so many multiply-adds on a batch is shared out and made in parts, while this is positive. */
extern double tg__gru_sharing_override;

typedef struct gru_input {
    const tg_real *x; /* (tokens,I) */
    const int *row;   /* (tokens), or NULL; otherwise x is (rows,I), and a token has the row that this says */
    int rows;
} gru_input;

/* h0 (B,H): the state before, h_end (B,H): set to the state after, both in packed order of rows;
 * y (tokens,H) with y_stride: set; panels: tg__gru_panels_room elements. */
void tg__gru_forward(tg_context *cx, gru_shape s, gru_weights w, gru_input x, const tg_real *h0,
                     tg_real *h_end, tg_real *y, gru_saved saved, tg_real *panels);

/* Room for the packed recurrent weights, forward or backward; 0 where packing does not pay. */
size_t tg__gru_panels_room(gru_shape s);

/* dy (tokens,H) with y_stride: the gradient of y. dh (B,H): the gradient of the state after, set to the
 * gradient of the state before. h0 (B,H): the state before. dx (tokens,I): ADDED to if add_dx, otherwise set; or NULL.
 * scratch: tg__gru_backward_scratch elements. */
void tg__gru_backward(tg_context *cx, gru_shape s, gru_weights w, gru_gradients d, const tg_real *x,
                      const tg_real *h0, const tg_real *y, const tg_real *dy, gru_saved saved, tg_real *dh,
                      bool add_dx, tg_real *dx, tg_real *scratch, tg_real *panels);
size_t tg__gru_backward_scratch(gru_shape s);

/* ---- for sweeps that do something else between the steps ---- */

/* Blocks of rows that a sweep over B rows is cut into, which do not meet: at most 32 rows each, at least
 * two blocks where there are 16 rows. A function of B alone. */
int tg__sweep_blocks(int B);

/* Does packing pay? It costs about one step of one row: not for that alone. */
bool tg__sweep_packs(const sequence *q);

/* Rows of block [first, last) that run at step t. */
int tg__sweep_rows(const sequence *q, int t, int first, int last);

#endif
