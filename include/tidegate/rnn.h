/* tidegate/rnn.h -- the recurrent layer: cell, number of layers and directions are in its configuration. */
#ifndef TIDEGATE_RNN_H
#define TIDEGATE_RNN_H

#include "params.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The cells. The equations of each are at the top of its file in src/kernels/recurrent/cells. Input weights are initialized
 * by Glorot, each gate's recurrent weights orthogonal on their own, and biases as the cell says. */
typedef enum tg_cell {
#define TG_CELL(enumerator, file, name) enumerator,
#include "cells.def"
#undef TG_CELL
    TG_CELLS /* how many there are */
} tg_cell;
TG_API const char *tg_cell_name(tg_cell cell); /* "gru", "gru-reset-after", ...; "unknown cell" */

typedef struct tg_rnn_config {
    tg_cell cell;
    int layers;         /* default 1 */
    bool bidirectional; /* the output is then (T,B,2H): forward, then reverse */
    tg_real dropout;    /* on the outputs between layers */

    /* Inside the cell; all off by default. The first three act in training alone, with rates in [0, 1) and masks that are
     * functions of the seed, the layer's name and the step. In evaluation a zoned-out cell is the plain one, without the
     * expectation that Krueger et al. take there. */
    tg_real zoneout,
        zoneout_c;         /* each unit of h, of c, keeps its value of the step before (Krueger et al. 2017,
                                 * arXiv:1606.01305); zoneout_c: of cells that have c */
    tg_real state_dropout; /* on h(t-1) in the recurrent products, with one mask for all steps of a run (Gal &
                                 * Ghahramani 2016, arXiv:1512.05287) */
    bool layer_norm; /* each gate's x(t) W_x and h(t-1) W_h, normalized apart over the units and multiplied by
                                 * gains, "<layer>/.../gain_x<gate>" and "gain_h<gate>", ones at first (Ba et al. 2016,
                                 * arXiv:1607.06450) */
} tg_rnn_config;

typedef struct tg_rnn tg_rnn;

/* The states of a layer's cells, each (layers * directions, B, H): layer 0 forward, layer 0 reverse, layer 1 forward, ... A
 * reverse direction reads a row from its last valid step to its first: its state in is the one before the last step, its state
 * out the one after the first. */
typedef struct tg_state {
    tg_tensor *h; /* the output */
    tg_tensor *c; /* of cells that have a second state (the LSTM's cell state); otherwise NULL */
} tg_state;

TG_API tg_rnn *tg_rnn_new(tg_params *ps, const char *name, int I, int H, const tg_rnn_config *config);

/* What a layer is: for exporters, and for who was handed one. Its parameters are "<name>/layer<l>/forward/W_x<gate>", ... and
 * "/reverse/", as many gates as the cell has. */
typedef struct tg_rnn_info {
    const char *name, *cell; /* cell: as in tg_cell_name() */
    int input, hidden, layers, directions;
    tg_rnn_config config; /* with the defaults filled in */
    int gates, states;
    const char *gate[4], *state[2]; /* letters of the gates, in their order in memory; names of the states */
} tg_rnn_info;
/* All is zero, and cell is "", for NULL and for a layer that could not be made. */
TG_API tg_rnn_info tg_rnn_describe(const tg_rnn *l);

/* x (T,B,I) -> (T,B,H*directions), the last layer's outputs.
 *
 * lengths (B), or NULL for all T: the output at t >= lengths[b] is 0, gradient arriving there is
 * ignored, and what x holds there is not read. The state after a row of length 0 is the state before it. A length < 0 or
 * > T is TG_ERR_ARGUMENT.
 * in: the states before, of all layers and directions (another shape is TG_ERR_SHAPE), or NULL for zeros; they are left
 * alone, and receive a gradient if they were made on the tape. out: where to put the states after (on the tape), or NULL;
 * may be in. */
TG_API tg_tensor *tg_rnn_run(tg_rnn *l, tg_tape *t, tg_tensor *x, const int lengths[], const tg_state *in,
                             tg_state *out);
/* One step: x (B,I) -> (B,H). Only for layers of one direction. */
TG_API tg_tensor *tg_rnn_step(tg_rnn *l, tg_tape *t, tg_tensor *x, const tg_state *in, tg_state *out);

/* Zeros for a batch of B, in context memory, for layers of one direction or two: what truncated BPTT and streaming carry. */
TG_API tg_state tg_state_new(tg_context *cx, const tg_rnn *l, int B);
/* Values of src (on a tape) into dst (from tg_state_new), after a step that succeeded. Other shapes:
 * the context remembers. */
TG_API void tg_state_keep(tg_state *dst, const tg_state *src);

#ifdef __cplusplus
}
#endif
#endif
