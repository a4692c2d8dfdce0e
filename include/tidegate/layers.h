/* tidegate/layers.h -- embedding, linear, and the one recurrent layer.
 *
 * A layer is made in a parameter set, which owns it; its parameters are "<layer>/<weight>".
 * _run records one op on the tape. A layer made while the context was in error keeps failing with
 * a sentence.                                                                                  */
#ifndef TIDEGATE_LAYERS_H
#define TIDEGATE_LAYERS_H

#include "params.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- embedding: row ids[i] of W (V,E), initialized N(0, 0.1^2) ---- */
typedef struct tg_embedding tg_embedding;
TG_API tg_embedding *tg_embedding_new(tg_params *ps, const char *name, int V, int E);
/* ids (T,B), each in [0, V) or < 0 for padding, which gives zeros -> (T,B,E). ids are copied. */
TG_API tg_tensor *tg_embedding_run(tg_embedding *l, tg_tape *t, const int ids[], int T, int B);

/* ---- linear: y = x W + b, W (I,O) Glorot, b (O) zeros ---- */
typedef struct tg_linear tg_linear;
typedef struct tg_linear_config {
    bool no_bias;
} tg_linear_config;
TG_API tg_linear *tg_linear_new(tg_params *ps, const char *name, int I, int O,
                                const tg_linear_config *config);
TG_API tg_tensor *tg_linear_run(tg_linear *l, tg_tape *t, tg_tensor *x); /* (...,I) -> (...,O) */

/* ---- recurrent: cell, layers and directions in its config ----
 *
 * TG_GRU (Cho et al. 2014, arXiv:1406.1078, eq. 5-8: the reset gate acts BEFORE the product), row
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

/* h is (layers * directions, B, H), layer 0 forward, layer 0 reverse, layer 1 forward, ... */
typedef struct tg_state {
    tg_tensor *h;
} tg_state;

TG_API tg_rnn *tg_rnn_new(tg_params *ps, const char *name, int I, int H, const tg_rnn_config *config);

/* x (T,B,I) -> (T,B,H*directions), the last layer's outputs.
 *
 * lengths (B), or NULL for all T: the output at t >= lengths[b] is 0, gradient arriving there is
 * ignored, the state is carried, the reverse direction starts at the row's last valid step, length
 * 0 gives state out = state in. A length < 0 or > T is an error.
 * in: the state before the first step, or NULL for zeros; it is left alone, and receives a gradient
 * if it was made on the tape. out: where to put the state after the last step (on the tape), or NULL. */
TG_API tg_tensor *tg_rnn_run(tg_rnn *l, tg_tape *t, tg_tensor *x, const int lengths[], const tg_state *in,
                             tg_state *out);
/* One step: x (B,I) -> (B,H). Only for layers of one direction. */
TG_API tg_tensor *tg_rnn_step(tg_rnn *l, tg_tape *t, tg_tensor *x, const tg_state *in, tg_state *out);

/* Zeros for a batch of B, in context memory: what truncated BPTT and streaming carry. */
TG_API tg_state tg_state_new(tg_context *cx, const tg_rnn *l, int B);
/* Values of src (on a tape) into dst (from tg_state_new), after a step that succeeded. Other shapes:
 * the context remembers. */
TG_API void tg_state_keep(tg_state *dst, const tg_state *src);

#ifdef __cplusplus
}
#endif
#endif
