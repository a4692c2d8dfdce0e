/* models/encoder_decoder.h -- the model from inside: for decoding, and for the translator. */
#ifndef MODELS_ENCODER_DECODER_H
#define MODELS_ENCODER_DECODER_H

#include <tidegate/attention_rnn.h>
#include <tidegate/linear.h>
#include <tidegate/losses.h>
#include <tidegate/translator.h>

#include "core/check.h"
#include "kernels/recurrent/cell.h"

enum { MOST_LAYERS = 32 };

struct tg_encoder_decoder {
    tg_params *ps; /* NULL: made while its context was in error */
    tg_encoder_decoder_config config;
    int M; /* size of the memory, and of the summary c */
    tg_embedding *source_embedding, *target_embedding;
    tg_rnn *encoder;
    tg_linear *bridge[MOST_LAYERS][CELL_STATES];
    tg_rnn *decoder;           /* with attention its layers but the last; NULL: there are none */
    tg_attention_rnn *attends; /* its last layer; NULL: no attention */
    tg_linear *readout;        /* NULL: none, or within `attends` */
    tg_linear *output;
    tg_encoder_decoder **of_worker; /* (workers): each NULL until it is needed */
    int workers;
    arena packed;  /* the weights as decoding multiplies with them */
    tg_tape *kept; /* what decoding carries from step to step */
    tg_tape *own;  /* for callers that have none */
};

/* Puts the defaults where *c has zeros, and looks at every setting. What is wrong goes to report (one of
 * tg_context_fail, tg_context_note) with `status` and a sentence that begins with who. */
tg_status tg__encoder_decoder_settle(tg_context *cx, context_report *report, tg_status status,
                                     const char *who, tg_encoder_decoder_config *c);

/* The model as one of the context's workers may use it while others use theirs: the same parameters, but a context of one
 * thread, tapes and room of its own. worker: from 0. Made at the first call, and lives with the model. Not to be called
 * by a worker. NULL: there is no memory for it, which the context does not mind. */
tg_encoder_decoder *tg__encoder_decoder_of_worker(tg_encoder_decoder *m, int worker);

/* Lengths (B) in 0..T, NULL: all T; and ids (T,B) of words wherever they count. side: "source" or "target". */
tg_status tg__words_check(tg_context *cx, context_report *report, const char *who, const char *side, int T,
                          int B, const int *lengths, const int *ids, int V);

/* May the model be given this batch in cx? Looks at everything that a caller can get wrong, but for target_out. */
tg_status tg__encoder_decoder_check(const tg_encoder_decoder *m, tg_context *cx, context_report *report,
                                    const char *who, const tg_pair_batch *batch);

/* Is the translator whole, and its context not in error? */
tg_status tg__translator_check(const tg_translator *tr, const char *who);

/* What the encoder makes of a batch. */
typedef struct encoded {
    tg_tensor *memory;  /* (S,B,M) */
    tg_tensor *summary; /* c (B,M) */
} encoded;
encoded tg__encoder_decoder_encode(tg_encoder_decoder *m, tg_tape *t, const int *source, const int *lengths,
                                   int S, int B);

/* s_l(0) of decoder layer l: (B,H). */
tg_tensor *tg__encoder_decoder_bridge(tg_encoder_decoder *m, tg_tape *t, int layer, int state,
                                      tg_tensor *summary);

/* The sum of the cross entropy of a batch, on a tape that is begun anew in TG_EVAL. The logits are made for some tokens
 * at a time: memory does not grow with tokens times words. */
tg_status tg__encoder_decoder_loss_sum(tg_encoder_decoder *m, tg_tape *t, const tg_pair_batch *batch,
                                       double *sum);

#endif
