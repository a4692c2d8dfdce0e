/* tidegate/ops.h -- what a model author composes between layers.
 *
 * Every op takes the tape first and returns a tensor on it, never NULL; on a wrong shape the
 * context remembers the sentence and the result is harmless. Gradients ADD up where a tensor is
 * used more than once. x and y may be the same tensor.                                         */
#ifndef TIDEGATE_OPS_H
#define TIDEGATE_OPS_H

#include "tape.h"

#ifdef __cplusplus
extern "C" {
#endif

/* -- pointwise -- */
TG_API tg_tensor *tg_add(tg_tape *t, tg_tensor *x, tg_tensor *y);      /* x + y, same shape */
TG_API tg_tensor *tg_subtract(tg_tape *t, tg_tensor *x, tg_tensor *y); /* x - y, same shape */
TG_API tg_tensor *tg_multiply(tg_tape *t, tg_tensor *x, tg_tensor *y); /* x * y, same shape */
TG_API tg_tensor *tg_scale(tg_tape *t, tg_tensor *x, tg_real factor);  /* factor * x */
TG_API tg_tensor *tg_sigmoid(tg_tape *t, tg_tensor *x);                /* 1 / (1 + exp(-x)) */
TG_API tg_tensor *tg_tanh(tg_tape *t, tg_tensor *x);
TG_API tg_tensor *tg_relu(tg_tape *t, tg_tensor *x); /* max(0, x); the derivative at 0 is 0 */

/* Inverted dropout (Srivastava et al. 2014): while training each element is zeroed with
 * probability p and the others are scaled by 1 / (1 - p); x itself in TG_EVAL. 0 <= p < 1.
 *
 * The mask is a function of the context's seed and step, of its place in the step, and of the layer's name if a layer drops
 * inside. The place is two numbers: how many backward passes the context had run in this step when the tape was begun,
 * and how many masks the tape has drawn since. Which tape it is does not matter. So a step that is begun again, on this
 * tape or another, has the same masks; the second of two passes whose gradients add up has others than the first; two
 * tapes that are both begun before backward share masks place by place. Passes in TG_EVAL, and passes that are not
 * run backward, change nothing. tg_context_set_step() begins the count of passes anew. */
TG_API tg_tensor *tg_dropout(tg_tape *t, tg_tensor *x, tg_real p);

/* -- reductions, to one number -- */
TG_API tg_tensor *tg_sum(tg_tape *t, tg_tensor *x);
TG_API tg_tensor *tg_mean(tg_tape *t, tg_tensor *x);

/* -- shape; _reshape, _row and _rows are views: they copy nothing, and share their gradient -- */
TG_API tg_tensor *tg_reshape(tg_tape *t, tg_tensor *x, int rank, const int dim[]);
TG_API tg_tensor *tg_row(tg_tape *t, tg_tensor *x, int i); /* (N,...) -> (...); i < 0: from the end */
TG_API tg_tensor *tg_rows(tg_tape *t, tg_tensor *x, int first, int n);    /* (N,...) -> (n,...) */
TG_API tg_tensor *tg_stack(tg_tape *t, int n, tg_tensor *const x[]);      /* n of (...) -> (n,...) */
TG_API tg_tensor *tg_concatenate(tg_tape *t, tg_tensor *x, tg_tensor *y); /* (...,P),(...,Q) -> (...,P+Q) */
TG_API tg_tensor *tg_repeat(tg_tape *t, tg_tensor *x, int n);             /* (...) -> (n,...), n copies */
/* The last valid step of each row: (T,B,D), lengths (B) -> (B,D). A row of length 0 gives zeros. */
TG_API tg_tensor *tg_last(tg_tape *t, tg_tensor *x, const int lengths[]);
/* The real steps alone: (T,B,D), lengths (B) -> (N,D), N the sum of the lengths, which must not be 0, by time and then by
 * row. A view where all lengths are T. */
TG_API tg_tensor *tg_pack(tg_tape *t, tg_tensor *x, const int lengths[]);
TG_API tg_tensor *tg_detach(tg_tape *t, tg_tensor *x); /* the value; no gradient flows back */

#ifdef __cplusplus
}
#endif
#endif
