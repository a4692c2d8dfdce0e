/* tidegate/tape.h -- record a forward pass, then run it backward.
 *
 * Ops compute at once and append themselves, so the recorded order is already topological and
 * backward is one loop from the end. Tensors made by ops live on the tape until the next
 * tg_tape_begin(), which forgets them all and keeps the memory: in the steady state a training
 * step allocates nothing. While training, an op refuses a tensor whose gradient belongs to another tape: it would not
 * arrive there; tg_detach() it on its own tape first. A tensor kept past tg_tape_begin() is stale; a build with
 * -Ddebug_arena=true lets the address sanitizer catch it.                                     */
#ifndef TIDEGATE_TAPE_H
#define TIDEGATE_TAPE_H

#include "tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tg_tape tg_tape;

/* TG_EVAL: inference. Nothing is recorded, dropout is off, and a recurrent or attention layer keeps its outputs alone: what
 * it works with is given back at the end of its run. */
typedef enum tg_mode { TG_TRAIN, TG_EVAL } tg_mode;

TG_API tg_tape *tg_tape_new(tg_context *cx); /* never NULL */
TG_API void tg_tape_begin(tg_tape *t, tg_mode mode);

/* Gradients of loss (one number, made on this tape) with respect to everything it came from,
 * ADDED to the parameters' gradients. Ops that the loss does not depend on are not run: whatever they hold
 * reaches nothing.
 *
 * Consumes the tape: a second call is TG_ERR_STATE, and so are a tape that has not begun, or in TG_EVAL, and a loss that
 * depends on nothing with a gradient. A loss that is not finite is TG_ERR_NUMBER, one that is not one number TG_ERR_SHAPE;
 * no gradient is touched then. Reports whatever the context already remembers. */
TG_API tg_status tg_tape_backward(tg_tape *t, tg_tensor *loss) TG_MUST_CHECK;

/* The same for several tensors of any shape: dy[k] (as large as y[k]) is the gradient arriving at
 * y[k] from outside the tape. */
TG_API tg_status tg_tape_backward_from(tg_tape *t, int n, tg_tensor *const y[],
                                       const tg_real *const dy[]) TG_MUST_CHECK;

TG_API tg_context *tg_tape_context(const tg_tape *t);
TG_API tg_mode tg_tape_mode(const tg_tape *t);
TG_API int tg_tape_length(const tg_tape *t);   /* ops recorded */
TG_API size_t tg_tape_bytes(const tg_tape *t); /* most memory in use at a time, since the tape was made */

/* User data enters here: a tensor on the tape with a copy of src (all of its elements), checked for
 * rank, dimensions and finite values. It carries a gradient when training (see tensor.grad). */
TG_API tg_tensor *tg_input(tg_tape *t, int rank, const int dim[], const tg_real *src);
/* src (B,T,D), as most arrays come, to (T,B,D). Targets beside it that are (B,T,..), too, need batch_first in the loss's
 * config, and ids (B,T) tg_embedding_run_batch_first(). */
TG_API tg_tensor *tg_input_batch_first(tg_tape *t, int B, int T, int D, const tg_real *src);
/* Rows of different lengths, (B): src (T,B,D), or (B,T,D) with batch_first, to (T,B,D). What lies beyond a row's length may
 * be anything, NaN too: it is not read, and is 0 in the tensor. */
TG_API tg_tensor *tg_input_padded(tg_tape *t, int T, int B, int D, const tg_real *src, const int lengths[],
                                  bool batch_first);

#ifdef __cplusplus
}
#endif
#endif
