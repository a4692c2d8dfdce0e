/* layers/recurrent_parameters.h -- the parameters of a recurrent cell, as every layer that has one declares and uses them. */
#ifndef LAYERS_RECURRENT_PARAMETERS_H
#define LAYERS_RECURRENT_PARAMETERS_H

#include "kernels/recurrent/plan.h"
#include "params/params.h"

/* One matrix for all gates of a cell, side by side: W_x (I,gates*H), W_h (H,recurrent*H), b (gates*H), b_h (recurrent*H). What
 * the cell does not have is NULL. */
typedef struct recurrent_parameters {
    tg_tensor *W_x, *W_h, *b, *b_h, *gain_x, *gain_h;
} recurrent_parameters;
enum { RECURRENT_TENSORS = 6 };

/* Each gate is a view: "<path>/W_xz", "<path>/W_hz", "<path>/b_z", with the letters of the cell. Input weights are initialized
 * by Glorot, each gate's recurrent weights orthogonal on their own, biases as the cell says; with normalization there are gains, ones. On failure the context is in
 * error. */
recurrent_parameters tg__declare_recurrent(tg_params *ps, const char *path, const recurrent_cell *cell,
                                           bool normalizes, int I, int H);

recurrent_weights tg__recurrent_weights(const recurrent_parameters *p);
recurrent_gradients tg__recurrent_weight_gradients(const recurrent_parameters *p);
/* All tensors, for the tape: some may be NULL. */
void tg__recurrent_tensors(const recurrent_parameters *p, tg_tensor *tensor[RECURRENT_TENSORS]);

#endif
