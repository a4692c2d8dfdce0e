/* models/decoding.c -- what may be asked of decoding, and what length does to a score. */
#include <limits.h>
#include <math.h>

#include <tidegate/vocabulary.h>

#include "models/beam.h"

enum { MOST_BEAM = 10000 };

static const double most_alpha = 10;

static const tg_real standard_alpha[] = {
    [TG_LENGTH_AVERAGE] = 1,
    [TG_LENGTH_WU] = (tg_real)0.6,
    [TG_LENGTH_NONE] = 0,
};

double tg__length_norm(const tg_decoding_config *c, int L)
{
    switch (c->normalization) {
    case TG_LENGTH_AVERAGE: return pow(L, (double)c->alpha);
    case TG_LENGTH_WU: return pow((5.0 + L) / 6.0, (double)c->alpha);
    case TG_LENGTH_NONE: break;
    }
    return 1;
}

static tg_status settle_numbers(tg_context *cx, const char *who, tg_decoding_config *c)
{
    if (c->alpha == 0) c->alpha = standard_alpha[c->normalization];
    if (c->alpha == TG_ZERO) c->alpha = 0;
    if (c->coverage_penalty == TG_ZERO) c->coverage_penalty = 0;
    if (!(c->alpha >= 0 && (double)c->alpha <= most_alpha))
        return tg_context_note(cx, TG_ERR_ARGUMENT, "%s: alpha is %g, must be in 0..%g", who,
                               (double)c->alpha, most_alpha);
    if (!(c->coverage_penalty >= 0 && isfinite(c->coverage_penalty)))
        return tg_context_note(cx, TG_ERR_ARGUMENT,
                               "%s: coverage_penalty is %g, must be finite, and at least 0", who,
                               (double)c->coverage_penalty);
    return TG_OK;
}

tg_status tg__decoding_settle(tg_context *cx, const char *who, tg_decoding_config *c)
{
    const unsigned known = sizeof standard_alpha / sizeof *standard_alpha;
    if (c->beam == 0) c->beam = 1;
    if (c->nbest == 0) c->nbest = 1;
    if (c->beam < 1 || c->beam > MOST_BEAM)
        return tg_context_note(cx, TG_ERR_ARGUMENT, "%s: beam is %d, must be in 1..%d", who, c->beam,
                               MOST_BEAM);
    if (c->nbest < 1 || c->nbest > c->beam)
        return tg_context_note(cx, TG_ERR_ARGUMENT, "%s: nbest is %d, must be in 1..%d, the beam", who,
                               c->nbest, c->beam);
    if (c->max_length < 0)
        return tg_context_note(cx, TG_ERR_ARGUMENT, "%s: max_length is %d, must be at least 0", who,
                               c->max_length);
    if ((unsigned)c->normalization >= known)
        return tg_context_note(cx, TG_ERR_ARGUMENT, "%s: normalization is %d, which names none", who,
                               (int)c->normalization);
    return settle_numbers(cx, who, c);
}

static tg_status check_lengths(tg_context *cx, const beam_task *k)
{
    for (int b = 0; b < k->B; b++) {
        const int tokens = k->source_lengths[b];
        if (tokens < 1 || tokens > k->S || tokens > (INT_MAX - 10) / 2)
            return tg_context_note(cx, TG_ERR_ARGUMENT,
                                   "%s: sentence %d has source length %d, must be in 1..%d", k->who, b,
                                   tokens, k->S);
        if (k->max_length && k->max_length[b] < 1)
            return tg_context_note(cx, TG_ERR_ARGUMENT,
                                   "%s: sentence %d has max_length %d, must be at least 1", k->who, b,
                                   k->max_length[b]);
    }
    return TG_OK;
}

tg_status tg__beam_check(tg_context *cx, const beam_model *m, const beam_task *k, const tg_decoding_config *c)
{
    if (m->V < TG_SPECIAL_TOKENS || k->B < 1 || k->S < 1)
        return tg_context_note(cx, TG_ERR_ARGUMENT,
                               "%s: %d tokens, %d sentences, %d source positions: must be at least %d, 1, 1",
                               k->who, m->V, k->B, k->S, TG_SPECIAL_TOKENS);
    if (k->B > INT_MAX / c->beam)
        return tg_context_note(cx, TG_ERR_ARGUMENT, "%s: %d sentences with a beam of %d are too many", k->who,
                               k->B, c->beam);
    return check_lengths(cx, k);
}
