/* kernels/recurrent/step.h -- executes one step of any cell, forward or backward, for some rows and units, by the calling
 * thread. It works for every cell alike, from its description (cell.h).
 *
 * What is switched on inside a cell (regularization, layer normalization) is done here, once for all cells:
 *
 *     variational dropout     h(t-1) * mask takes the place of h(t-1) in the products       Gal & Ghahramani 2016
 *     zoneout                 s(t) <- mask s(t-1) + ( 1 - mask ) s(t), mask 0 or 1          Krueger et al. 2017
 *     layer normalization     each gate's x(t) W_x, and each column of the recurrent        Ba et al. 2016
 *                             products, is replaced by gain * ( x - mean ) / deviation      */
#ifndef KERNELS_RECURRENT_STEP_H
#define KERNELS_RECURRENT_STEP_H

#include "kernels/panels.h"
#include "kernels/recurrent/cell.h"

/* W_x (I+F,gates*H), W_h (H,recurrent*H), b (gates*H), b_h (recurrent*H) or NULL. With layer normalization the gains of both
 * sides, (gates*H) and (recurrent*H); otherwise NULL. */
typedef struct recurrent_weights {
    const tg_real *W_x, *W_h, *b, *b_h, *gain_x, *gain_h;
} recurrent_weights;

/* The recurrent weights as one direction of a sweep multiplies with them. */
typedef struct step_weights {
    const recurrent_cell *cell;
    int H;
    bool packed;
    recurrent_weights w;
    matrix column[CELL_GATES];                  /* forward: the columns of W_h, (H,H) each */
    matrix product[CELL_PHASES][CELL_PRODUCTS]; /* forward: all columns of a product, as they stand;
                                                     backward: their transpose, (columns*H,H) */
} step_weights;

/* room: tg__step_weights_room elements, into which tg__step_weights_pack packs; NULL: the weights are read as they stand. */
step_weights tg__step_weights(transposed direction, const recurrent_cell *cell, int H, recurrent_weights w,
                              tg_real *room);
void tg__step_weights_pack(tg_context *cx, int threads, const step_weights *w);
size_t tg__step_weights_room(const recurrent_cell *cell, int H);

/* Some rows of one step. All arrays begin at the first of the rows; cell says where the rows are. */
typedef struct step_rows {
    cell_step cell;
    tg_real
        *packing; /* scratch: tg__step_packing_room elements, for all row sets of a call together; or NULL */
    const tg_real *dy; /* backward: the gradient that arrives at y, with y_stride; or NULL */
    tg_real *dkept;    /* backward, scratch: (rows,H) */
    /* variational dropout: (rows,H), stride of mask; h(t-1) * mask: stored forward, read by the weights' gradients */
    const tg_real *hidden_mask;
    size_t hidden_mask_stride;
    tg_real *hidden;
    /* zoneout: for each state (rows,H), or NULL; retained: scratch of the backward pass */
    const tg_real *zoneout[CELL_STATES];
    size_t zoneout_stride;
    tg_real *retained[CELL_STATES];
    /* layer normalization: normalized sums, (rows,gates*H) and (rows,recurrent*H), and 1 / deviation, (rows,gates) and
     * (rows,recurrent); backward also the gradients of the sums before it, which are set */
    tg_real *norm_x, *norm_h, *scale_x, *scale_h, *dsum_x, *dsum_h;
} step_rows;

/* Elements of scratch for `rows` rows in at most `sets` row sets. 0: products read the rows as they stand. */
size_t tg__step_packing_room(const recurrent_cell *cell, int H, int rows, int sets);

/* One phase of a step, for `sets` row sets that have the same units: a block of weights is used for all of them while it is
 * in the cache. Phases go 0 ... cell->phases-1, also backward. All units of a row must have finished a phase before the next
 * one begins. With layer
 * normalization or a mask on h one caller must have all units of its rows. */
enum { MOST_ROW_SETS = 2 * 2 };
void tg__step_forward(const step_weights *w, int phase, int sets, const step_rows s[]);
void tg__step_backward(const step_weights *w, int phase, int sets, const step_rows s[]);
/* After all backward phases: adds to d[0] what goes back to h(t-1) through the products, and to all d what zoneout retained. */
void tg__step_backward_products(const step_weights *w, int sets, const step_rows s[]);

#endif
