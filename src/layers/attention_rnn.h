/* layers/attention_rnn.h -- the layer from inside, for decoding, which keeps packed weights between steps. */
#ifndef LAYERS_ATTENTION_RNN_H
#define LAYERS_ATTENTION_RNN_H

#include "kernels/attention_gru.h"
#include "layers/attention.h"

struct tg_attention_rnn {
    tg_params *ps;
    const char *name;
    tg_attention_rnn_config config;
    attention_gru_shape s;
    tg_attention *attention;
    tg_tensor *W_x, *W_h, *b, *b_h; /* gates z r g; b_h: reset-after only */
    tg_tensor *W_u, *b_u;           /* dot and general only */
};

attention_gru_weights tg__attention_rnn_weights(const tg_attention_rnn *l);

#endif
