/* ops/dropout.h -- masks, for the layers that drop inside. */
#ifndef OPS_DROPOUT_H
#define OPS_DROPOUT_H

#include "tensor/tape.h"

/* mask (n) <- 0 with probability p (0 <= p < 1), else 1 / (1 - p): a function of the seed, the stream's name,
 * the context's step, draw (its place: see tg__tape_draw) and the element's index alone. */
void tg__dropout_mask(tg_context *cx, const char *stream, uint64_t draw, tg_real p, size_t n, tg_real *mask);

#endif
