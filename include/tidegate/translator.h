/* tidegate/translator.h -- an encoder-decoder with its vocabularies, from plain sentences to plain sentences. */
#ifndef TIDEGATE_TRANSLATOR_H
#define TIDEGATE_TRANSLATOR_H

#include "decoding.h"
#include "encoder_decoder.h"

#ifdef __cplusplus
extern "C" {
#endif

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

/* One of the best translations of a sentence. */
typedef struct tg_translation {
    char *text;                    /* NULL: there is none of this rank */
    double score, log_probability; /* see decoding.h */
    bool cut;                      /* at the longest length */
    int S, T;                /* tokens of the source, and of the translation, with </s> (if it is not cut) */
    char **source, **target; /* (S), (T): their texts */
    tg_real *
        attention; /* (T,S): where the decoder looked for each token. NULL: the model has no attention, nobody
                         * asked (no_attention), or that would be more than a GiB */
} tg_translation;
TG_API void tg_translation_free(tg_translation *x); /* what is in it; then all is zero */

/* n sentences (0-terminated UTF-8) -> best[i * nbest + k], the k-th best translation of sentence i, nbest as in config
 * (NULL: all defaults, which is greedy). ASCII white space around a sentence is cut, as in training; an empty sentence
 * gives one empty translation. On failure all are zero. */
TG_API tg_status tg_translator_search(tg_translator *tr, int n, const char *const sentence[],
                                      const tg_decoding_config *config, tg_translation best[]) TG_MUST_CHECK;

/* Greedily, and the texts alone: translation[i], each to be freed with free(). max_length as in tg_decoding_config. */
TG_API tg_status tg_translator_translate(tg_translator *tr, int n, const char *const sentence[],
                                         int max_length, char *translation[]) TG_MUST_CHECK;

/* Mean cross entropy, teacher-forced, in nats a target token, over all pairs. */
TG_API tg_status tg_translator_loss(tg_translator *tr, tg_batches *data, double *loss) TG_MUST_CHECK;
/* The same, free-running: the decoder reads its own most probable words in place of the true ones (as
 * tg_encoder_decoder_sample() with probability 1), and is asked for the true one at each place. */
TG_API tg_status tg_translator_loss_free_running(tg_translator *tr, tg_batches *data,
                                                 double *loss) TG_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
