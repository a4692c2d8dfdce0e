/* layers/layer.h -- what every layer checks before it runs. */
#ifndef LAYERS_LAYER_H
#define LAYERS_LAYER_H

#include <tidegate/attention_rnn.h>
#include <tidegate/linear.h>

#include "kernels/argmax.h"
#include "kernels/panels.h"
#include "params/params.h"

/* True if the layer of this name over ps may run on t: both in good state, the set frozen, not read-only in training.
 * ps is NULL for a layer that was made while its context was in error. False: the context remembers. */
bool tg__layer_ready(tg_params *ps, const char *name, tg_tape *t, const char *who);

/* The weights of a linear layer, packed into room of tg__linear_room elements; and its bias, or NULL. */
size_t tg__linear_room(const tg_linear *l);
matrix tg__linear_matrix(const tg_linear *l, tg_context *cx, tg_real *room);
const tg_real *tg__linear_bias(const tg_linear *l);

/* For finding the largest of a row's numbers, without those in excluded[0..count-1]; see kernels/argmax.h. */
argmax_matrix tg__linear_argmax(const tg_linear *l, arena *room, int count, const int excluded[]);

/* W (V,E); NULL: the layer could not be made. */
tg_tensor *tg__embedding_table(const tg_embedding *l);
tg_params *tg__embedding_params(const tg_embedding *l);
/* True if tg_embedding_run() takes these ids. */
bool tg__embedding_ids_hold(const tg_embedding *l, tg_tape *t, const int ids[], int T, int B);

/* State k of a cell, as tg_state and the checkpoint name it. */
static inline const char *tg__state_name(int k) { return k ? "c" : "h"; }

#endif
