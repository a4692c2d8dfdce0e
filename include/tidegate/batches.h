/* tidegate/batches.h -- batches of pairs that are a function of seed and epoch. */
#ifndef TIDEGATE_BATCHES_H
#define TIDEGATE_BATCHES_H

#include "pairs.h"
#include "vocabulary.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Sequences are time-major; beyond a row's length the ids are TG_PAD in source and target_in, and -1 in
 * target_out, where cross entropy ignores them. */
typedef struct tg_pair_batch {
    int B, S, T;               /* rows, longest source + 1, longest target + 1 */
    const int *source;         /* (S,B): tokens, </s> */
    const int *source_lengths; /* (B), </s> included */
    const int *target_in;      /* (T,B): <s>, tokens */
    const int *target_out;     /* (T,B): tokens, </s> */
    const int *target_lengths; /* (B), </s> included */
    const int *pair;           /* (B): which pair of the file each row is */
    int64_t target_tokens;     /* sum of target_lengths */
} tg_pair_batch;

typedef struct tg_batches tg_batches; /* lives as long as the context */

typedef struct tg_batches_config {
    int batch;     /* rows; 0: 64 */
    bool in_order; /* false: shuffled anew each epoch; true: in the file's order */
} tg_batches_config;

/* Batches of sentences of similar length. Which pairs are in batch k of epoch e, and in which
 * order, is a function of the context's seed, e and k alone, so a position is enough to go on.
 * Every pair is in one batch of each epoch; the one batch that may have fewer rows can be any.
 *
 * The order of epoch e: tg_random_permutation("batches", e) of all pairs is cut into windows of 64 batches. Each
 * window is sorted by the tokens of the source, then of the target, and otherwise keeps its order. The whole is cut
 * into batches, and batch k is number order[k] of them, order = tg_random_permutation("batch order", e).
 *
 * The texts are encoded here, once: pairs and vocabularies are not looked at again. */
TG_API tg_batches *tg_batches_new(tg_context *cx, const tg_pairs *pairs, const tg_vocabulary *source,
                                  const tg_vocabulary *target, const tg_batches_config *config);
TG_API int64_t tg_batches_count(const tg_batches *b); /* a pass over the data */
/* Fills *batch, which borrows from b until the next call. Allocates nothing. Out of range (e below 0, k
 * outside of 0..count-1): the context fails, and B = S = T = 0. */
TG_API void tg_batches_get(tg_batches *b, int64_t epoch, int64_t k, tg_pair_batch *batch);

#ifdef __cplusplus
}
#endif
#endif
