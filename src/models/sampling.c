/* models/sampling.c -- scheduled sampling: the decoder gets used to its own words. */
#include <math.h>
#include <string.h>

#include "data/data.h"
#include "models/decoder.h"
#include "params/params.h"

double tg_sampling_rate(tg_sampling_schedule schedule, double rate, double done)
{
    const double x = fmin(fmax(done, 0), 1);
    switch (schedule) {
    case TG_SAMPLING_NONE: return 0;
    case TG_SAMPLING_CONSTANT: return rate;
    case TG_SAMPLING_LINEAR: return rate * x;
    case TG_SAMPLING_EXPONENTIAL: return rate * (1 - pow(0.01, x));
    case TG_SAMPLING_INVERSE_SIGMOID: return rate / (1 + exp(5 - 10 * x));
    }
    return 0;
}

/* Step k of the rows that are still longer than k + 1: their words at k + 1 are chosen. */
static tg_status choose(tg_encoder_decoder *m, decoder *d, const tg_pair_batch *batch, int k,
                        double probability, int *row, int *from, int *word, int *n, int mixed[])
{
    const tg_context *cx = m->ps->cx;
    const tg_real *logits;
    const tg_status s = tg__decoder_step(d, *n, from, word, &logits, NULL);
    const int B = batch->B, V = m->config.target_vocabulary;
    int running = 0;
    for (int r = 0; r < *n && !s; r++) {
        const int b = row[r], at = (k + 1) * B + b;
        if (k + 2 > batch->target_lengths[b]) continue;
        if (tg_random_uniform(cx, "scheduled sampling", tg_context_step(cx), (uint64_t)at) < probability)
            mixed[at] = tg__best_word(logits + (size_t)r * (size_t)V, V);
        row[running] = b, from[running] = r, word[running++] = mixed[at];
    }
    *n = running;
    return s;
}

tg_status tg_encoder_decoder_sample(tg_encoder_decoder *m, const tg_pair_batch *batch, double probability,
                                    int mixed[])
{
    tg_context *cx = m && m->ps ? m->ps->cx : NULL;
    if (!cx) return m ? TG_ERR_STATE : TG_ERR_ARGUMENT;
    if (cx->status) return cx->status;
    tg_status s = tg__encoder_decoder_check(m, cx, tg_context_note, "tg_encoder_decoder_sample", batch);
    if (s || (s = MISSING(cx, ARG(mixed)))) return s;
    if (!(probability >= 0 && probability <= 1))
        return tg_context_note(cx, TG_ERR_ARGUMENT,
                               "tg_encoder_decoder_sample: the probability is %g, must be in 0..1",
                               probability);
    const int B = batch->B;
    memcpy(mixed, batch->target_in, (size_t)batch->T * (size_t)B * sizeof *mixed);
    if (probability == 0) return TG_OK;
    decoder *d = tg__decoder_begin(tg__decoder_pack(m, 0), m->own, batch->S, B, batch->source,
                                   batch->source_lengths, B);
    int *room = d ? tg__tape_take(m->kept, 3 * (size_t)B * sizeof *room) : NULL;
    if (!room) return tg__status_taken(cx);
    int *row = room, *from = room + B, *word = room + 2 * (size_t)B, n = B;
    for (int b = 0; b < B; b++) row[b] = from[b] = b, word[b] = TG_BEGIN;
    for (int k = 0; k + 1 < batch->T && n && !s; k++)
        s = choose(m, d, batch, k, probability, row, from, word, &n, mixed);
    return s;
}
