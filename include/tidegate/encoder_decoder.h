/* tidegate/encoder_decoder.h -- a sequence in, a sequence out.
 *
 * The encoder reads the source x(1..S). m(1..S) are the outputs of its last layer, (S,B,M), and c is the last state of
 * that layer, (B,M); with two directions both are [ forward ; reverse ]. Each decoder layer starts from
 * s(0) = tanh( c W_0 + b_0 ), with a W_0 and b_0 of its own (the LSTM: a second pair for its
 * cell state). cell() is a step of the recurrent cell. y(t-1) is the embedding of the target token before. The
 * equations of one decoder layer follow; [ a ; b ] are two vectors side by side.
 *
 * Without attention (Cho et al. 2014, arXiv:1406.1078)
 *
 *     s(t) = cell( [ y(t-1) ; c ], s(t-1) )                          c is fed into every step
 *     p(t) = softmax( s(t) W + b )                                  no readout
 *     or u(t) = tanh( s(t) W_u + b_u ),  p(t) = softmax( u(t) W + b )
 *
 * with additive attention (Bahdanau et al. 2015, arXiv:1409.0473)
 *
 *     a(t), c(t) = attention( s(t-1) ; m )
 *     s(t) = cell( [ y(t-1) ; c(t) ], s(t-1) )
 *     u(t) = tanh( [ s(t) ; c(t) ; y(t-1) ] W_u + b_u )             the readout
 *     p(t) = softmax( u(t) W + b )
 *     or without a readout p(t) = softmax( [ s(t) ; c(t) ; y(t-1) ] W + b )
 *
 * and with dot or general attention (Luong et al. 2015, arXiv:1508.04025)
 *
 *     s(t) = cell( [ y(t-1) ; u(t-1) ], s(t-1) )                     u(t-1) with input feeding, u(0) = 0
 *     a(t), c(t) = attention( s(t) ; m )
 *     u(t) = tanh( [ s(t) ; c(t) ] W_u + b_u )
 *     p(t) = softmax( u(t) W + b )
 *
 * Several decoder layers: layer 0 reads y(t-1), and each further layer the output of the layer below it in place of
 * y(t-1). Without attention c is fed into layer 0 alone. With attention the last layer attends, and c(t) or u(t-1) is fed
 * into that layer alone. s(t) in the readout and in p(t) is the last layer's; y(t-1) in the readout is the embedding.
 *
 * Dropout is applied to x and y(t-1), to the outputs of each encoder and decoder layer that another layer reads, to m as
 * attention reads it, and to what W multiplies. */
#ifndef TIDEGATE_ENCODER_DECODER_H
#define TIDEGATE_ENCODER_DECODER_H

#include "attention.h"
#include "batches.h"
#include "rnn.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tg_encoder_decoder tg_encoder_decoder;

/* Which weights are one (Press & Wolf 2017, arXiv:1608.05859). The readout then has the size of the embedding. */
typedef enum tg_tying {
    TG_TIE_NONE,
    TG_TIE_TARGET, /* W is the transpose of the target embedding */
    TG_TIE_ALL     /* and the source embedding is the target embedding: both sides have one vocabulary */
} tg_tying;
TG_API const char *tg_tying_name(tg_tying tying); /* "none", "target", "all" */

enum { TG_NO_READOUT = -1 };

typedef struct tg_encoder_decoder_config {
    int source_vocabulary, target_vocabulary; /* sizes */
    int embed;                                /* E; 0: 128 */
    int hidden;                               /* H; 0: 256 */
    int layers;                               /* of encoder and decoder each; 0: 1 */
    tg_cell cell;
    tg_real dropout; /* on embeddings, between layers, on the memory and before the output */

    bool bidirectional; /* the encoder: M is 2H (of dot attention H: each direction has H/2) */
    tg_attention_kind attention;
    bool input_feeding; /* dot and general */
    bool coverage;      /* see attention.h */
    int readout; /* size of u. 0: E, or no readout if there is neither attention nor tying. TG_NO_READOUT: none, which
                  * dot and general attention and tying do not allow */
    tg_tying tying;
} tg_encoder_decoder_config;

/* Its parameters; those of layers have the names and shapes that rnn.h and attention_rnn.h say, and l counts layers from 0:
 *
 *     source_embedding/W          (source vocabulary,E); not with TG_TIE_ALL
 *     target_embedding/W          (target vocabulary,E)
 *     encoder/...                 a tg_rnn
 *     bridge/layer<l>/W, b        W_0 (M,H) and b_0 (H) of decoder layer l
 *     bridge_c/layer<l>/W, b      the same for the state c, of cells that have it
 *     decoder/...                 a tg_rnn of all layers; with attention, of all but the last
 *     decoder/layer<last>/...     with attention: a tg_attention_rnn, which has W_u and b_u of dot and general
 *     readout/W, b                W_u and b_u without attention, and of additive attention; if there is a readout
 *     output/W, b                 W and b; with tying there is no output/W
 */
TG_API tg_encoder_decoder *tg_encoder_decoder_new(tg_params *ps, const tg_encoder_decoder_config *config);

/* Batches that are put together by hand: pair and target_tokens are not looked at. Within its length each row has ids of
 * the vocabulary in source and target_in; target_out may have -1, which is not counted. */

/* Teacher forcing: logits (T,B,V) of every target token given the true ones before it. */
TG_API tg_tensor *tg_encoder_decoder_logits(tg_encoder_decoder *m, tg_tape *t, const tg_pair_batch *batch);
/* Their mean cross entropy, in nats a target token (</s> counts). Padding costs nothing in the output layer. */
TG_API tg_tensor *tg_encoder_decoder_loss(tg_encoder_decoder *m, tg_tape *t, const tg_pair_batch *batch,
                                          tg_real label_smoothing);

/* Scheduled sampling (Bengio et al. 2015, arXiv:1506.03099): what the decoder reads in place of batch->target_in. Each
 * token but <s> is, with this probability and on its own, the word that the decoder itself finds most probable after all
 * that it has read before, and otherwise the true one. mixed: (T,B). The words are chosen by the model as it translates,
 * without dropout, in passes of its own; no gradient flows through the choice. A function of the seed and the
 * context's step. */
TG_API tg_status tg_encoder_decoder_sample(tg_encoder_decoder *m, const tg_pair_batch *batch,
                                           double probability, int mixed[]) TG_MUST_CHECK;

/* How that probability grows to `rate` in the course of a run, done in 0..1:
 * constant p = rate; linear p = rate done; exponential p = rate (1 - 0.01^done); inverse sigmoid
 * p = rate / (1 + exp(5 - 10 done)). */
typedef enum tg_sampling_schedule {
    TG_SAMPLING_NONE,
    TG_SAMPLING_CONSTANT,
    TG_SAMPLING_LINEAR,
    TG_SAMPLING_EXPONENTIAL,
    TG_SAMPLING_INVERSE_SIGMOID
} tg_sampling_schedule;
TG_API double tg_sampling_rate(tg_sampling_schedule schedule, double rate, double done);

/* Greedy decoding: from <s>, always the most probable token (never <pad> or <s>), until </s> or
 * max_length tokens. source (S,B), lengths (B) or NULL for all S. out (max_length,B): ids, </s> included, then TG_PAD.
 * log_probability (B), or NULL: the sum over the tokens, </s> included; the tokens are the same with it and without.
 * TG_ERR_NUMBER: the model gives a number that is not finite for some token. Begins t anew, in TG_EVAL. */
TG_API tg_status tg_encoder_decoder_greedy(tg_encoder_decoder *m, tg_tape *t, int S, int B,
                                           const int source[], const int lengths[], int max_length, int out[],
                                           double log_probability[]) TG_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
