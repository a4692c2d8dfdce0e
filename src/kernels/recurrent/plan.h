/* kernels/recurrent/plan.h -- a recurrent layer of one direction over a batch of sequences.
 *
 *     plan        decides, from the sizes, the threads and one table of machine numbers, how the work is shared out, and takes
 *                 the memory that lasts from the forward to the backward pass
 *     forward     gates = x W_x, one product for all tokens; then the sweep, step by step (step.h)
 *     backward    the sweep in the other direction; then the gradients of weights, biases and input (gradients.c)
 *
 * Scratch memory is taken from the same arena and given back at the end of each call. No result depends on the number of
 * threads: each number is a sum in one order, made by one worker. */
#ifndef KERNELS_RECURRENT_PLAN_H
#define KERNELS_RECURRENT_PLAN_H

#include "core/context.h"
#include "kernels/recurrent/sequence.h"
#include "kernels/recurrent/step.h"

typedef struct recurrent_shape {
    const recurrent_cell *cell;
    const sequence *sequence;
    int I, F, H;     /* sizes of x, of what is fed beside it at each step (W_x has I + F rows), and of h */
    bool reverse;    /* from the last valid step of each row to its first */
    bool hooked;     /* something else is computed between the steps (sweep_hooks) */
    bool normalizes; /* layer normalization: the weights have gains */
    int y_stride;    /* H, or 2H where two directions share the output */
} recurrent_shape;

/* Masks of regularization, or NULL; rows in packed order. */
typedef struct recurrent_masks {
    const tg_real *hidden;               /* (B,H): h(t-1) is multiplied with it in the recurrent products */
    const tg_real *zoneout[CELL_STATES]; /* (tokens,H): 1 keeps the state before, 0 takes the new one */
} recurrent_masks;

/* The workers of a sweep: row_groups * unit_groups. A worker has some rows of the batch and some units of each. */
typedef struct sweep_layout {
    int row_groups, unit_groups;
    bool packs; /* the recurrent weights are packed first */
} sweep_layout;

typedef struct recurrent_plan {
    recurrent_shape shape;
    recurrent_masks masks;
    sequence sequence; /* that of the shape, cut into shards */
    int threads;
    sweep_layout forward, backward;
    int gradient_sums; /* the gradients of weights are sums over the tokens of a shard each, or one sum over all */
    /* From forward to backward, in shard order of tokens: (tokens, columns * H), and (tokens, columns) for the scales. */
    tg_real *gates, *kept;
    tg_real *hidden;                              /* (tokens,H): with a mask */
    tg_real *norm_x, *norm_h, *scale_x, *scale_h; /* with layer normalization */
} recurrent_plan;

/* NULL: out of memory, the context is in error. s.sequence must outlive the plan. */
recurrent_plan *tg__recurrent_plan(tg_context *cx, arena *memory, recurrent_shape s, recurrent_masks masks);

/* For tests: from so many multiply-adds on, work is shared out and cut into shards, while this is positive. */
extern double tg__recurrent_sharing_override;

/* Rows of one step between whose element-wise work a hook runs; they lie side by side in packed order. */
typedef struct hook_rows {
    int group;              /* of rows: 0 ... row_groups-1 */
    int first, rows, token; /* first of the batch's rows; token: of the first row, in packed order */
    tg_real *gates; /* (rows,gates*H): forward x W_x so far; backward the gradient of the input side's sums */
    const tg_real *h_before; /* (rows,H), with h_stride H */
    tg_real *dh;             /* (rows,H); backward */
} hook_rows;

/* Called in the order of a step, forward: before, the cell, after; backward: before the cell's gradients are computed and
 * after its products. Hooked plans have their rows in contiguous groups, which never meet. */
typedef struct sweep_hooks {
    void *user;
    void (*before)(void *user, const hook_rows *r);
    void (*after)(void *user, const hook_rows *r);
} sweep_hooks;

/* x (tokens,I), y (tokens,H) with y_stride: packed order. before, after: for each state (B,H), rows in packed order; after is
 * set, and may be before. */
void tg__recurrent_forward(tg_context *cx, arena *memory, recurrent_plan *p, recurrent_weights w,
                           const tg_real *x, const tg_real *const before[], tg_real *y,
                           tg_real *const after[], const sweep_hooks *hooks);

/* Its two halves, for who has gates = x W_x already, and packed weights (tg__step_weights NORMAL). */
void tg__recurrent_input(tg_context *cx, arena *memory, recurrent_plan *p, const tg_real *W_x,
                         const tg_real *x);
void tg__recurrent_sweep(tg_context *cx, arena *memory, recurrent_plan *p, const step_weights *w,
                         const tg_real *const before[], tg_real *y, tg_real *const after[],
                         const sweep_hooks *hooks);

typedef struct recurrent_gradients { /* all ADDED to; shapes as the weights */
    tg_real *W_x, *W_h, *b, *b_h, *gain_x, *gain_h;
} recurrent_gradients;

/* dy (tokens,H) with y_stride: the gradient of y. d: for each state (B,H), the gradient of the state after, set to that of the
 * state before. dx (tokens,I): set, or with add_dx added to; or NULL. fed (tokens,F): what was fed beside x, or NULL; its
 * gradient is the hooks' matter. */
void tg__recurrent_backward(tg_context *cx, arena *memory, recurrent_plan *p, recurrent_weights w,
                            recurrent_gradients dw, const tg_real *x, const tg_real *fed,
                            const tg_real *const before[], const tg_real *y, const tg_real *dy,
                            tg_real *const d[], bool add_dx, tg_real *dx, const sweep_hooks *hooks);

#endif
