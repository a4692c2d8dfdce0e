/* tidegate/layers.h -- embedding, linear, the one recurrent layer, and attention.
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
/* The same for ids (B,T), as most arrays are -> (T,B,E). Targets beside them: see batch_first in losses.h. */
TG_API tg_tensor *tg_embedding_run_batch_first(tg_embedding *l, tg_tape *t, const int ids[], int B, int T);

/* ---- linear: y = x W + b, W (I,O) Glorot, b (O) zeros ---- */
typedef struct tg_linear tg_linear;
typedef struct tg_linear_config {
    bool no_bias;
    tg_embedding
        *tied; /* W is the transpose of this embedding's (O,I), and not a parameter of its own; or NULL */
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

/* ---- attention: which rows of a memory a query looks at ----
 *
 * For a query q(t) (Q) and memory rows m_s (M), s below the row's length:
 *
 *     additive (Bahdanau et al. 2015, arXiv:1409.0473, A.1.2)    e_s = v . tanh( q(t) W_q + k_s ),   k_s = m_s W_k
 *     dot      (Luong et al. 2015, arXiv:1508.04025, eq. 8)      e_s = q(t) . k_s,                   k_s = m_s
 *     general                                                    e_s = q(t) . k_s,                   k_s = m_s W_k
 *     a(t) = softmax(e),   c(t) = sum_s a_s(t) m_s
 *
 * With coverage (Tu et al. 2016, arXiv:1601.04811, the linguistic coverage of one value a row), k_s is replaced by
 * k_s + ( a_s(1) + ... + a_s(t-1) ) w: what was looked at already can be told from what was not. */
typedef enum tg_attention_kind {
    TG_ATTENTION_NONE,
    TG_ATTENTION_ADDITIVE,
    TG_ATTENTION_DOT, /* Q must be M */
    TG_ATTENTION_GENERAL
} tg_attention_kind;
TG_API const char *tg_attention_kind_name(tg_attention_kind kind); /* "none", "additive", "dot", "general" */

typedef struct tg_attention_config {
    tg_attention_kind kind; /* not TG_ATTENTION_NONE */
    int units;              /* D of additive: columns of W_q and W_k; 0: Q */
    bool coverage;
} tg_attention_config;

/* What is attended to, with its keys, which are made once. */
typedef struct tg_memory {
    tg_tensor *rows;    /* (S,B,M) */
    tg_tensor *keys;    /* (S,B,D); D is Q for dot and general */
    const int *lengths; /* (B): rows that are real, the others may hold anything; borrowed; NULL: all */
} tg_memory;

/* Parameters "<layer>/W_q" (Q,D), "<layer>/W_k" (M,D), Glorot; "<layer>/v" (D), U(-1/sqrt(D), 1/sqrt(D)); "<layer>/w" (D),
 * zeros: those that the kind has. */
typedef struct tg_attention tg_attention;
TG_API tg_attention *tg_attention_new(tg_params *ps, const char *name, int Q, int M,
                                      const tg_attention_config *config);
TG_API tg_memory tg_attention_memory(tg_attention *l, tg_tape *t, tg_tensor *rows, const int lengths[]);
/* T queries each, in order: query (T,B,Q) -> c (T,B,M). weights: where to put a (T,B,S), which has no
 * gradient, or NULL. A row of length 0 gets zeros. */
TG_API tg_tensor *tg_attention_run(tg_attention *l, tg_tape *t, tg_tensor *query, const tg_memory *memory,
                                   tg_tensor **weights);

/* ---- a recurrent layer that attends at every step ----
 *
 * additive attends before the step, with the state before (Bahdanau et al. 2015):
 *
 *     a(t), c(t) = attention( h(t-1) )
 *     h(t)       = GRU( [ x(t) ; c(t) ], h(t-1) )
 *
 * dot and general attend after it (Luong et al. 2015, eq. 5), and, with input feeding, tell the next
 * step what they saw (section 3.3):
 *
 *     h(t)       = GRU( [ x(t) ; u(t-1) ], h(t-1) )         without input feeding: GRU( x(t), h(t-1) )
 *     a(t), c(t) = attention( h(t) )
 *     u(t)       = tanh( [ h(t) ; c(t) ] W_u + b_u )
 */
typedef struct tg_attention_rnn_config {
    tg_cell cell;
    tg_attention_config attention;
    int attentional;    /* R, size of u(t); dot and general only; 0: H */
    bool input_feeding; /* dot and general only: additive feeds its context anyway */
} tg_attention_rnn_config;

/* Parameters as a recurrent layer of one direction, "<layer>/forward/W_xz", ..., whose rows of W_x. are those
 * of x and then of what is fed; "<layer>/attention/..."; "<layer>/W_u" (H+M,R) and "<layer>/b_u" (R). */
typedef struct tg_attention_rnn tg_attention_rnn;
TG_API tg_attention_rnn *tg_attention_rnn_new(tg_params *ps, const char *name, int I, int H, int M,
                                              const tg_attention_rnn_config *config);
TG_API tg_memory tg_attention_rnn_memory(tg_attention_rnn *l, tg_tape *t, tg_tensor *rows,
                                         const int lengths[]);

/* What is carried from step to step; a member that is NULL is zeros. */
typedef struct tg_attention_state {
    tg_tensor *h;           /* (B,H) */
    tg_tensor *attentional; /* (B,R): u, with input feeding; otherwise NULL */
    tg_tensor *coverage;    /* (B,S): with coverage; otherwise NULL */
} tg_attention_state;

typedef struct tg_attended {
    tg_tensor *output;      /* h (T,B,H) */
    tg_tensor *context;     /* c (T,B,M) */
    tg_tensor *attentional; /* u (T,B,R); NULL for additive */
    tg_tensor *weights;     /* a (T,B,S), without a gradient */
} tg_attended;

/* x (T,B,I); lengths (B), or NULL for all T, as tg_rnn_run has them; in: the state before, or NULL for zeros; out:
 * where to put the state after, or NULL. One op for the whole sequence. */
TG_API tg_attended tg_attention_rnn_run(tg_attention_rnn *l, tg_tape *t, tg_tensor *x, const int lengths[],
                                        const tg_memory *memory, const tg_attention_state *in,
                                        tg_attention_state *out);

#ifdef __cplusplus
}
#endif
#endif
