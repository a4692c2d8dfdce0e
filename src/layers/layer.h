/* layers/layer.h -- what every layer checks before it runs. */
#ifndef LAYERS_LAYER_H
#define LAYERS_LAYER_H

#include <tidegate/layers.h>

#include "params/params.h"

/* True if a layer over ps may run on t: both in good state, the set frozen, not read-only in training.
 * ps is NULL for a layer that was made while its context was in error. False: the context remembers. */
bool tg__layer_ready(tg_params *ps, tg_tape *t, const char *who);

/* W (V,E); NULL: the layer could not be made. */
tg_tensor *tg__embedding_table(const tg_embedding *l);

#endif
