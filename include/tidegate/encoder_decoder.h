/* tidegate/encoder_decoder.h -- a sequence in, a sequence out (Cho et al. 2014, arXiv:1406.1078).
 *
 *     c    = the encoder's state after the last source token           the summary, (B,H)
 *     s(0) = tanh( c W_0 + b_0 )                                       one for each decoder layer
 *     s(t) = GRU( [ embed(y(t-1)) ; c ], s(t-1) )                      c is fed into every step
 *     p(y(t)) = softmax( s(t) W + b )
 */
#ifndef TIDEGATE_ENCODER_DECODER_H
#define TIDEGATE_ENCODER_DECODER_H

#include "checkpoint.h"
#include "data.h"
#include "losses.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tg_encoder_decoder tg_encoder_decoder;

typedef struct tg_encoder_decoder_config {
    int source_vocabulary, target_vocabulary; /* sizes */
    int embed;                                /* E; 0: 128 */
    int hidden;                               /* H; 0: 256 */
    int layers;                               /* of encoder and decoder each; 0: 1 */
    tg_cell cell;
    tg_real dropout; /* on embeddings, between layers and before the output */
} tg_encoder_decoder_config;

/* Parameters "source_embedding", "encoder", "bridge", "target_embedding", "decoder", "output". */
TG_API tg_encoder_decoder *tg_encoder_decoder_new(tg_params *ps, const tg_encoder_decoder_config *config);

/* Teacher forcing: logits (T,B,V) of every target token given the true ones before it. */
TG_API tg_tensor *tg_encoder_decoder_logits(tg_encoder_decoder *m, tg_tape *t, const tg_pair_batch *batch);
/* Their mean cross entropy, in nats a target token (</s> counts). */
TG_API tg_tensor *tg_encoder_decoder_loss(tg_encoder_decoder *m, tg_tape *t, const tg_pair_batch *batch,
                                          tg_real label_smoothing);

/* Greedy decoding: from <s>, always the most probable token (never <pad> or <s>), until </s> or
 * max_length tokens. source (S,B), lengths (B). out (max_length,B): ids, </s> included, then TG_PAD.
 * log_probability (B), or NULL: the sum over the tokens, </s> included. Begins t anew, in TG_EVAL. */
TG_API tg_status tg_encoder_decoder_greedy(tg_encoder_decoder *m, tg_tape *t, int S, int B,
                                           const int source[], const int lengths[], int max_length, int out[],
                                           double log_probability[]) TG_MUST_CHECK;

/* ---- with its vocabularies: plain sentences in, plain sentences out ---- */

typedef struct tg_translator {
    tg_params *params;
    tg_encoder_decoder *model;
    tg_vocabulary *source, *target;
    tg_encoder_decoder_config config;
} tg_translator; /* lives as long as the context */

/* A new model over two frozen vocabularies, whose sizes it takes. They may be one and the
 * same, and are so again when it is read back. */
TG_API tg_status tg_translator_new(tg_context *cx, tg_vocabulary *source, tg_vocabulary *target,
                                   const tg_encoder_decoder_config *config, tg_translator *tr) TG_MUST_CHECK;
/* Its configuration and vocabularies ("model/...", "vocabulary/..."), and back: the parameters are
 * then made, but not loaded. */
TG_API tg_status tg_translator_put(const tg_translator *tr, tg_archive *a);
TG_API tg_status tg_translator_get(tg_context *cx, const tg_archive *a, tg_translator *tr) TG_MUST_CHECK;
/* From a checkpoint, ready to translate. */
TG_API tg_status tg_translator_open(tg_context *cx, const char *path, tg_translator *tr) TG_MUST_CHECK;

/* n sentences (0-terminated UTF-8) -> translation[i], each to be freed with free(). Longest outputs are
 * max_length tokens; 0: twice the source and ten. ASCII white space around a
 * sentence is cut, as in training; an empty sentence gives an empty translation. */
TG_API tg_status tg_translator_translate(tg_translator *tr, int n, const char *const sentence[],
                                         int max_length, char *translation[]) TG_MUST_CHECK;

/* Mean cross entropy, teacher-forced, in nats a target token, over all pairs. */
TG_API tg_status tg_translator_loss(tg_translator *tr, tg_batches *data, double *loss) TG_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
