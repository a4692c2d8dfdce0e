/* kernels/attention_gru.h -- a gated recurrent unit that attends to a memory at every step.
 *
 * x(t) (I), h(t) (H), memory rows m_s (M), a and c of kernels/attention.h, GRU of kernels/gru.h.
 *
 * Attending BEFORE the step (Bahdanau et al. 2015, arXiv:1409.0473):
 *
 *     a(t), c(t) = attention( h(t-1) W_q )
 *     h(t)       = GRU( [ x(t) ; c(t) ], h(t-1) )
 *
 * AFTER it (Luong et al. 2015, arXiv:1508.04025, eq. 5; section 3.3 for the feeding of u):
 *
 *     h(t)       = GRU( [ x(t) ; u(t-1) ], h(t-1) )           without feeding: GRU( x(t), h(t-1) )
 *     a(t), c(t) = attention( h(t) )
 *     u(t)       = tanh( [ h(t) ; c(t) ] W_u + b_u )           the attentional vector, (R)
 *
 * W_x (I+F,3H) has the rows of x first, then those of what is fed, of size F: M, R or 0.
 *
 * The sweep goes step by step through blocks of rows, which do not meet (kernels/gru.c); the input side,
 * and the gradients of all weights, are one product each over the whole sequence. */
#ifndef KERNELS_ATTENTION_GRU_H
#define KERNELS_ATTENTION_GRU_H

#include "kernels/attention.h"
#include "kernels/gru.h"

typedef struct attention_gru_shape {
    int I, H, M, R; /* R: of the attentional vector; 0: attends before the step */
    bool feeds;     /* u(t-1) is fed; R > 0 only */
    bool reset_after;
} attention_gru_shape;

/* Size of what is fed beside x. */
static inline int tg__attention_gru_fed(attention_gru_shape s) { return s.R ? (s.feeds ? s.R : 0) : s.M; }

typedef struct attention_gru_weights {
    gru_weights gru;          /* W_x (I+F,3H), ... */
    const tg_real *W_q;       /* (H,D): before; otherwise NULL, and D is H */
    const tg_real *W_u, *b_u; /* (H+M,R), (R): after */
} attention_gru_weights;

typedef struct attention_gru_gradients { /* all ADDED to */
    gru_gradients gru;
    tg_real *W_q, *W_u, *b_u;
} attention_gru_gradients;

/* The weights as one direction of the sweep multiplies with them. */
typedef struct attention_gru {
    attention_gru_shape s;
    attention_gru_weights w;
    gru_cell cell;
    matrix W_f, W_q, W_uh, W_uc; /* of what is fed; the rows of W_u for h and for c; or their transposes */
} attention_gru;

/* direction: NORMAL forward, TRANSPOSED backward. room: tg__attention_gru_room elements, or NULL: the
 * weights are not packed (which does not pay for one step). D: columns of W_q. */
attention_gru tg__attention_gru(tg_context *cx, transposed direction, attention_gru_shape s, int D,
                                attention_gru_weights w, tg_real *room);
size_t tg__attention_gru_room(attention_gru_shape s, int D);

/* Arrays of a sweep, in packed order of tokens (kernels/sequence.h), N of them. */
typedef struct attention_gru_run {
    const sequence *sequence;
    const int *sentence; /* (B): which sentence of the memory a packed row looks at */
    attention_memory memory;

    tg_real *h;        /* (B,H): the state before, set to the state after */
    tg_real *u;        /* (B,R): with feeding; likewise */
    tg_real *coverage; /* (B,S): with coverage; likewise */

    gru_saved saved;          /* gates: x W_x on entry */
    tg_real *y, *c;           /* (N,H), (N,M): set */
    tg_real *a;               /* (N,S): set */
    tg_real *query;           /* (N,D): set; before only */
    tg_real *attentional;     /* (N,R): set; after only */
    tg_real *coverage_before; /* (N,S): set; with coverage */
} attention_gru_run;

void tg__attention_gru_forward(tg_context *cx, const attention_gru *m, const attention_gru_run *r);

/* What arrives at the outputs, and room for the way back. */
typedef struct attention_gru_backward {
    const tg_real *dy, *dc, *dattentional; /* as y, c, attentional; dattentional: after only */
    const tg_real *h_before;               /* (N,H) */
    tg_real *dh, *du;                      /* (B,H), (B,R): gradient of the state after, set to that before */
    tg_real *dcoverage;                    /* (B,S): zeros on entry; with coverage */
    tg_real *dquery;                       /* (N,D): set; before only */
    tg_real *dpre;                         /* (N,R): set to the gradient before tanh; after only */
    tg_real *drh;                          /* (B,H) */
    tg_real *dcontext, *scratch;           /* (B,M), (B,S) */
    attention_gradients d;                 /* v and w: one (D) for each of tg__sweep_blocks(B) blocks */
} attention_gru_backward;

/* saved.gates and saved.q become gradients, as in kernels/gru.h. Weight gradients are left to the caller,
 * who has all that they are made of. */
void tg__attention_gru_backward(tg_context *cx, const attention_gru *m, const attention_gru_run *r,
                                const attention_gru_backward *b);

#endif
