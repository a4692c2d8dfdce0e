/* models/decoder.h -- the decoder, a step at a time, for many hypotheses of many sentences together. */
#ifndef MODELS_DECODER_H
#define MODELS_DECODER_H

#include "models/encoder_decoder.h"

/* The weights as the steps multiply with them: made once for any number of batches, for as long as they do not change.
 * words_of: so many sentences will be asked for their words alone (tg__decoder_step_words), 0: none, which says whether
 * it is worth while to prepare for it. Live with the model, until the next. NULL: the context is in error. */
typedef struct decoder_weights decoder_weights;
decoder_weights *tg__decoder_pack(tg_encoder_decoder *m, int words_of);

/* The same for a model that has the same parameters (tg__encoder_decoder_of_worker), which uses what w has packed, while w
 * lives and nobody packs anew. NULL: that model's context is in error. */
decoder_weights *tg__decoder_share(const decoder_weights *w, tg_encoder_decoder *m);

/* Reads the sources, (S,B) with lengths (B); each step then has at most most_rows >= B rows. Lives on the model's tape
 * `kept`, until the next. t is begun anew at each step. NULL: the context is in error, or w is NULL. */
typedef struct decoder decoder;
decoder *tg__decoder_begin(decoder_weights *w, tg_tape *t, int S, int B, const int source[],
                           const int lengths[], int most_rows);

/* One step of n rows. Row r goes on from where row from[r] of the step before stood (at the first step: from the start
 * of sentence from[r]), and reads word[r] (TG_BEGIN at the first). *logits (n,V): of each row's next word. *attention
 * (n,S), or NULL for a model without: what it looked at for this. Both are borrowed until the next step. A row gives the
 * same numbers in any company. Allocates nothing once the tapes have grown. */
tg_status tg__decoder_step(decoder *d, int n, const int from[], const int word[], const tg_real **logits,
                           const tg_real **attention);

/* The same for the most probable words alone, best (n), as tg__best_word() finds them; below 0, for a row with logits
 * that are not finite: ~v, v the first of them. Faster: most logits need not be computed. */
tg_status tg__decoder_step_words(decoder *d, int n, const int from[], const int word[], int best[],
                                 const tg_real **attention);

/* The most probable word of a row of logits, the first of equal ones, that is neither <pad> nor <s>. */
int tg__best_word(const tg_real *logits, int V);

#endif
