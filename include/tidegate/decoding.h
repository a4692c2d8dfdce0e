/* tidegate/decoding.h -- from the probabilities of the next token to the best sentences: beam search.
 *
 * A hypothesis is the beginning of a result; log P is the sum of the log-probabilities of its tokens, each
 * by the softmax over the whole vocabulary. At first there is one, the empty one. In each step every
 * hypothesis of a sentence is continued by every token but <pad> and <s>, which are never chosen; the
 * probability that the model gives these two is not distributed over the others. Of these candidates the best
 * 2 beam - 1 by log P count: those that end in </s> are finished, of the others the best `beam` go on. Finished
 * ones are compared by
 *
 *     score = log P / norm(L) + beta sum_s log( min( sum_t a_ts, 1 ) )
 *
 * where L is their number of tokens, </s> included, and a_ts the attention that token t pays to source
 * position s (Wu et al. 2016, arXiv:1609.08144, eq. 14). A hypothesis of max_length tokens is finished, too,
 * as it stands.
 *
 * A sentence is done when no hypothesis can get ahead of the nbest-th finished one any more, whatever length
 * it may still reach: norm does not fall with L and the coverage term is at most 0, so the score of what goes
 * on stays below log P / norm(max_length). Until then a short result does not end the search for a longer,
 * better one.
 *
 * Of equal candidates the one of the better hypothesis comes first, then the one with the lower id; of equal
 * scores the one that was finished first. So the result is a function of the probabilities alone, and a beam
 * of one is greedy decoding. A beam that holds all hypotheses there are is exhaustive search.           */
#ifndef TIDEGATE_DECODING_H
#define TIDEGATE_DECODING_H

#include "core.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum tg_length_normalization {
    TG_LENGTH_AVERAGE, /* norm(L) = L^alpha, alpha 1 by default: the mean of the tokens' log-probabilities */
    TG_LENGTH_WU,      /* norm(L) = ((5+L)/6)^alpha, alpha 0.6 by default; Wu et al. 2016 */
    TG_LENGTH_NONE     /* norm(L) = 1: the most probable result, which favours short ones */
} tg_length_normalization;

typedef struct tg_decoding_config {
    int beam;       /* hypotheses of a sentence that go on, at most 10000; 0: 1, greedy decoding */
    int nbest;      /* results for a sentence, best first; 0: 1; at most beam */
    int max_length; /* tokens of a result, </s> included; 0: twice the source, without its </s>, and ten */
    tg_length_normalization normalization;
    tg_real alpha; /* of norm: in 0..10; 0: the default, TG_ZERO: 0 */
    /* beta, at least 0, over the source's tokens, </s> included; needs attention. A position that got less
     * than FLT_MIN (1.2e-38, below which attention in float is flushed to 0) counts as if it had got that. */
    tg_real coverage_penalty;
    /* A translator puts in the place of <unk> the source word that was most attended to. true: it leaves it. */
    bool keep_unknown;
    /* Nobody asks for scores. With a beam of one they then mean nothing, and the same results come faster, since most
     * probabilities need not be computed. */
    bool unscored;
    /* true: translations come without `attention`. They then take memory in proportion to the number of tokens, not
     * to the product of source and target tokens. */
    bool no_attention;
} tg_decoding_config;

#ifdef __cplusplus
}
#endif
#endif
