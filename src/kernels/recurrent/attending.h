/* kernels/recurrent/attending.h -- what a recurrent layer that attends to a memory computes between the steps of its cell.
 *
 * x(t) (I), h(t) (H), memory rows m_s (M), a and c of kernels/attention.h; cell() is a step of any cell.
 *
 * Attending BEFORE the step (Bahdanau et al. 2015, arXiv:1409.0473):
 *
 *     a(t), c(t) = attention( h(t-1) W_q )
 *     h(t)       = cell( [ x(t) ; c(t) ], h(t-1) )
 *
 * AFTER it (Luong et al. 2015, arXiv:1508.04025, eq. 5; section 3.3 for the feeding of u):
 *
 *     h(t)       = cell( [ x(t) ; u(t-1) ], h(t-1) )           without feeding: cell( x(t), h(t-1) )
 *     a(t), c(t) = attention( h(t) )
 *     u(t)       = tanh( [ h(t) ; c(t) ] W_u + b_u )           the attentional vector, (R)
 *
 * W_x (I+F,gates*H) has the rows of x first, then those of what is fed, of size F: M, R or 0. */
#ifndef KERNELS_RECURRENT_ATTENDING_H
#define KERNELS_RECURRENT_ATTENDING_H

#include "kernels/attention.h"
#include "kernels/recurrent/plan.h"

typedef struct attending_shape {
    int I, H, M, R; /* R: of the attentional vector; 0: attends before the step */
    bool feeds;     /* u(t-1) is fed; R > 0 only */
    const recurrent_cell *cell;
} attending_shape;

/* Size of what is fed beside x. */
static inline int tg__attending_fed(attending_shape s) { return s.R ? (s.feeds ? s.R : 0) : s.M; }

typedef struct attending_weights {
    recurrent_weights cell;   /* W_x (I+F,gates*H), ... */
    const tg_real *W_q;       /* (H,D): before; otherwise NULL, and D is H */
    const tg_real *W_u, *b_u; /* (H+M,R), (R): after */
} attending_weights;

/* The weights as one direction of the sweep multiplies with them, but for those of the cell. */
typedef struct attending_matrices {
    attending_shape s;
    attending_weights w;
    matrix W_f, W_q, W_uh, W_uc; /* of what is fed; the rows of W_u for h and for c; or their transposes */
} attending_matrices;

/* direction: NORMAL forward, TRANSPOSED backward. room: tg__attending_room elements, or NULL: the weights are not packed (which
 * does not pay for one step). D: columns of W_q. */
attending_matrices tg__attending_matrices(tg_context *cx, transposed direction, attending_shape s, int D,
                                          attending_weights w, tg_real *room);
size_t tg__attending_room(attending_shape s, int D);

/* Arrays of a run, in packed order of tokens (sequence.h), N of them. */
typedef struct attending_run {
    const attending_matrices *m;
    const int *sentence; /* (B): which sentence of the memory a packed row looks at */
    attention_memory memory;

    tg_real *u;        /* (B,R): with feeding; the state before, set to the state after */
    tg_real *coverage; /* (B,S): with coverage; likewise */

    tg_real *y, *c;           /* (N,H) of the cell, (N,M): set */
    tg_real *a;               /* (N,S): set */
    tg_real *query;           /* (N,D): set; before only */
    tg_real *attentional;     /* (N,R): set; after only */
    tg_real *coverage_before; /* (N,S): set; with coverage */
} attending_run;

/* The hooks of the forward sweep of a hooked plan (plan.h), whose y is r->y. */
sweep_hooks tg__attending_forward(attending_run *r);

/* What arrives at the outputs, and room for the way back. */
typedef struct attending_backward {
    const attending_run *r;
    const tg_real *dc, *dattentional; /* as c, attentional; dattentional: after only */
    tg_real *du;                      /* (B,R): gradient of the state after, set to that before */
    tg_real *dcoverage;               /* (B,S): zeros on entry; with coverage */
    tg_real *dquery;                  /* (N,D): set; before only */
    tg_real *dpre;                    /* (N,R): set to the gradient before tanh; after only */
    tg_real *dcontext, *scratch;      /* (B,M), (B,S) */
    attention_gradients d;            /* v and w: one (D) for each row group of the plan's backward sweep */
} attending_backward;

/* The hooks of the backward sweep; r->m has the transposed weights. The gradients of the weights are left to the caller, who has
 * all that they are made of. */
sweep_hooks tg__attending_backward(attending_backward *b);

#endif
