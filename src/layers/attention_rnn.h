/* layers/attention_rnn.h -- the layer from inside, for decoding, which keeps packed weights between steps. */
#ifndef LAYERS_ATTENTION_RNN_H
#define LAYERS_ATTENTION_RNN_H

#include "kernels/recurrent/attending.h"
#include "layers/attention.h"
#include "layers/recurrent_parameters.h"

struct tg_attention_rnn {
    tg_params *ps;
    const char *name;
    tg_attention_rnn_config config;
    attending_shape s;
    tg_attention *attention;
    recurrent_parameters cell;
    tg_tensor *W_u, *b_u; /* dot and general only */
};

attending_weights tg__attention_rnn_weights(const tg_attention_rnn *l);

#endif
