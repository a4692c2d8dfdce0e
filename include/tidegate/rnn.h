/* tidegate/rnn.h -- the recurrent layer: cell, number of layers and directions are in its configuration. */
#ifndef TIDEGATE_RNN_H
#define TIDEGATE_RNN_H

#include "params.h"

#ifdef __cplusplus
extern "C" {
#endif

/* TG_GRU (Cho et al. 2014, arXiv:1406.1078, eq. 5-8: the reset gate acts BEFORE the product), row
 * vectors, * element by element:
 *
 *     z(t) = sigmoid( x(t) W_xz + h(t-1) W_hz + b_z )
 *     r(t) = sigmoid( x(t) W_xr + h(t-1) W_hr + b_r )
 *     g(t) = tanh( x(t) W_xg + ( r(t) * h(t-1) ) W_hg + b_g )
 *     h(t) = z(t) * h(t-1) + ( 1 - z(t) ) * g(t)
 *
 * TG_GRU_RESET_AFTER (cuDNN, PyTorch, Keras' default): the reset gate acts AFTER the product, and
 * there is a second set of biases, added to h(t-1) W_h.:
 *
 *     g(t) = tanh( x(t) W_xg + b_g + r(t) * ( h(t-1) W_hg + b_hg ) )
 *
 * The two cannot be converted into each other. Input weights are initialized by Glorot, each gate's
 * recurrent weights orthogonal on their own, biases zero.                                      */
typedef enum tg_cell { TG_GRU, TG_GRU_RESET_AFTER } tg_cell;
TG_API const char *tg_cell_name(tg_cell cell); /* "gru", "gru-reset-after" */

typedef struct tg_rnn_config {
    tg_cell cell;
    int layers;         /* default 1 */
    bool bidirectional; /* the output is then (T,B,2H): forward, then reverse */
    tg_real dropout;    /* on the outputs between layers */
} tg_rnn_config;

typedef struct tg_rnn tg_rnn;

/* h is (layers * directions, B, H): layer 0 forward, layer 0 reverse, layer 1 forward, ... A reverse direction
 * reads a row from its last valid step to its first: its state in is the one before the last step, its state out the one
 * after the first. */
typedef struct tg_state {
    tg_tensor *h;
} tg_state;

TG_API tg_rnn *tg_rnn_new(tg_params *ps, const char *name, int I, int H, const tg_rnn_config *config);

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
