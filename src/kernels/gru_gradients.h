/* kernels/gru_gradients.h -- the gradients of a GRU's weights and biases, from those of its gates before activation.
 * Derived in docs/gradients.md. */
#ifndef KERNELS_GRU_GRADIENTS_H
#define KERNELS_GRU_GRADIENTS_H

#include "kernels/gru.h"

/* dW_h, from the gradients of N tokens and the states before them, h_before (N,H). */
void tg__gru_recurrent_gradients(tg_context *cx, int N, int H, bool reset_after, const tg_real *h_before,
                                 gru_saved saved, gru_gradients d);
/* db, db_h, from all N tokens. */
void tg__gru_bias_gradients(tg_context *cx, int N, int H, bool reset_after, gru_saved saved, gru_gradients d);

/* All gradients, of a whole sequence whose saved arrays are in the order of parts; arguments as for tg__gru_backward.
 * scratch: tg__gru_gradients_scratch elements. */
void tg__gru_gradients(tg_context *cx, gru_shape s, gru_gradients d, const tg_real *x, const tg_real *h0,
                       const tg_real *y, gru_saved saved, tg_real *scratch);
size_t tg__gru_gradients_scratch(gru_shape s);

#endif
