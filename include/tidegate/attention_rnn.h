/* tidegate/attention_rnn.h -- a recurrent layer that attends at every step. */
#ifndef TIDEGATE_ATTENTION_RNN_H
#define TIDEGATE_ATTENTION_RNN_H

#include "attention.h"
#include "rnn.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Additive attention attends before the step, with the state before (Bahdanau et al. 2015):
 *
 *     a(t), c(t) = attention( h(t-1) )
 *     h(t)       = cell( [ x(t) ; c(t) ], h(t-1) )
 *
 * Dot and general attention attend after it (Luong et al. 2015, eq. 5), and, with input feeding, tell the next
 * step what they saw (section 3.3):
 *
 *     h(t)       = cell( [ x(t) ; u(t-1) ], h(t-1) )        without input feeding: cell( x(t), h(t-1) )
 *     a(t), c(t) = attention( h(t) )
 *     u(t)       = tanh( [ h(t) ; c(t) ] W_u + b_u )
 */
typedef struct tg_attention_rnn_config {
    tg_cell cell;
    tg_attention_config attention;
    int attentional;    /* R, size of u(t); dot and general only; 0: H */
    bool input_feeding; /* dot and general only: additive feeds its context anyway */
} tg_attention_rnn_config;

/* Parameters as a recurrent layer of one direction, "<layer>/forward/W_x<gate>", ..., whose rows of W_x. are those
 * of x and then of what is fed; "<layer>/attention/..."; "<layer>/W_u" (H+M,R) and "<layer>/b_u" (R). */
typedef struct tg_attention_rnn tg_attention_rnn;
TG_API tg_attention_rnn *tg_attention_rnn_new(tg_params *ps, const char *name, int I, int H, int M,
                                              const tg_attention_rnn_config *config);
TG_API tg_memory tg_attention_rnn_memory(tg_attention_rnn *l, tg_tape *t, tg_tensor *rows,
                                         const int lengths[]);

/* What is carried from step to step; a member that is NULL is zeros. */
typedef struct tg_attention_state {
    tg_tensor *h, *c;       /* (B,H): the cell's; c: of cells that have it */
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
