/* kernels/recurrent/gradients.h -- the gradients of a recurrent layer's weights and biases, from those of its sums; for any cell,
 * with or without attention. Derived in docs/gradients.md. */
#ifndef KERNELS_RECURRENT_GRADIENTS_H
#define KERNELS_RECURRENT_GRADIENTS_H

#include "kernels/recurrent/plan.h"

typedef struct recurrent_operands {
    const tg_real *x, *fed; /* (tokens,I), (tokens,F), packed order; fed may be NULL */
    const tg_real *before,
        *y; /* h before (B,H), rows in packed order; outputs (tokens,H) with y_stride, packed order */
} recurrent_operands;

/* After a backward sweep, which left the gradients of the sums in the plan's gates and kept columns; with layer normalization
 * dsum_x and dsum_h are the gradients before it, otherwise NULL. dw: ADDED to. */
void tg__recurrent_gradients(tg_context *cx, arena *memory, const recurrent_plan *p, const tg_real *dsum_x,
                             const tg_real *dsum_h, recurrent_gradients dw, recurrent_operands operands);

#endif
