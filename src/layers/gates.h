/* layers/gates.h -- the parameters of a gated recurrent unit, as every layer that has one declares them. */
#ifndef LAYERS_GATES_H
#define LAYERS_GATES_H

#include "params/params.h"

typedef enum gates { GATES_INPUT, GATES_RECURRENT, GATES_BIAS, GATES_RECURRENT_BIAS } gates;

/* The three gates z r g side by side: (rows,3H), views "W_xz", "W_xr", "W_xg", or "W_h.", "b_.", "b_h."; biases, with rows 0,
 * are (3H). Input weights are initialized by Glorot, each gate's recurrent weights orthogonal on their own,
 * biases zero. NULL: the context is in error. */
tg_tensor *tg__declare_gates(tg_params *ps, const char *path, gates which, int rows, int H);

#endif
