/* kernels/recurrent/input.h -- the input side of a recurrent layer: one product for all tokens, between x in packed order and the
 * gates in shard order, so that the tokens of a shard are computed by the workers that use them (plan.h). */
#ifndef KERNELS_RECURRENT_INPUT_H
#define KERNELS_RECURRENT_INPUT_H

#include "kernels/recurrent/plan.h"

/* dx (tokens,I), set or added to = dgates (tokens,gates*H), in shard order, times the transpose of W_x's rows of x. */
void tg__recurrent_input_backward(tg_context *cx, arena *memory, const recurrent_plan *p, const tg_real *W_x,
                                  const tg_real *dgates, bool add, tg_real *dx);

#endif
