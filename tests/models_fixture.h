/* tests/models_fixture.h -- a small encoder-decoder whose weights are large enough to say different things. */
#ifndef MODELS_FIXTURE_H
#define MODELS_FIXTURE_H

#include <math.h>
#include <stdio.h>
#include <string.h>

#include <tidegate/tidegate.h>

#include "check_main.h"

typedef struct small_model {
    tg_context *cx;
    tg_params *ps;
    tg_encoder_decoder *m;
    tg_tape *t;
    tg_encoder_decoder_config config;
} small_model;

/* Every value of the set: itself and something in (-scale, scale), a function of the seed. */
static inline void shake(tg_params *ps, const tg_context *cx, double scale)
{
    for (int i = 0; i < tg_params_count(ps); i++) {
        tg_parameter_info info;
        tg_params_info(ps, i, &info);
        tg_real *x = malloc(info.size * sizeof *x);
        ck_assert_int_eq(tg_params_get(ps, info.name, x, info.size), TG_OK);
        for (size_t k = 0; k < info.size; k++)
            x[k] += (tg_real)(scale * (2 * tg_random_uniform(cx, "shake", i, k) - 1));
        ck_assert_int_eq(tg_params_set(ps, info.name, x, info.size), TG_OK);
        free(x);
    }
}

static inline small_model small_model_of(tg_context *cx, tg_encoder_decoder_config config)
{
    small_model s = { .cx = cx, .ps = tg_params_new(cx), .config = config };
    s.m = tg_encoder_decoder_new(s.ps, &s.config);
    s.t = tg_tape_new(s.cx);
    shake(s.ps, s.cx, 0.7);
    ck_assert_msg(tg_context_ok(s.cx), "%s", tg_context_message(s.cx));
    return s;
}

static inline small_model small_model_new(uint64_t seed, tg_cell cell, int layers, tg_real dropout)
{
    return small_model_of(tg_context_new(&(tg_context_config){ .seed = seed }),
                          (tg_encoder_decoder_config){ .source_vocabulary = 11,
                                                       .target_vocabulary = 13,
                                                       .embed = 5,
                                                       .hidden = 7,
                                                       .layers = layers,
                                                       .cell = cell,
                                                       .dropout = dropout });
}

/* Ragged on both sides: rows of S 1..6, T 1..5 tokens, </s> included. */
enum { RAGGED_B = 4, RAGGED_S = 6, RAGGED_T = 5 };

typedef struct ragged {
    int source[RAGGED_S * RAGGED_B], source_lengths[RAGGED_B];
    int target_in[RAGGED_T * RAGGED_B], target_out[RAGGED_T * RAGGED_B], target_lengths[RAGGED_B];
    tg_pair_batch batch;
} ragged;

static inline void ragged_make(ragged *r, const tg_context *cx, int source_vocabulary, int target_vocabulary)
{
    static const int S[RAGGED_B] = { 3, RAGGED_S, 1, 4 }, T[RAGGED_B] = { RAGGED_T, 2, 1, 4 };
    const int B = RAGGED_B;
    int64_t tokens = 0;
    for (int b = 0; b < B; b++) {
        for (int k = 0; k < RAGGED_S; k++) {
            const int word =
                TG_UNKNOWN + (int)(tg_random_uniform(cx, "source", b, (uint64_t)k) * (source_vocabulary - 1));
            r->source[k * B + b] = k + 1 < S[b] ? word : k + 1 == S[b] ? TG_END : TG_PAD;
        }
        for (int k = 0; k < RAGGED_T; k++) {
            const int word =
                TG_END + (int)(tg_random_uniform(cx, "target", b, (uint64_t)k) * (target_vocabulary - 3));
            r->target_out[k * B + b] = k + 1 < T[b] ? word : k + 1 == T[b] ? TG_END : -1;
            r->target_in[k * B + b] = !k ? TG_BEGIN : k < T[b] ? r->target_out[(k - 1) * B + b] : TG_PAD;
        }
        r->source_lengths[b] = S[b];
        r->target_lengths[b] = T[b];
        tokens += T[b];
    }
    r->batch = (tg_pair_batch){ .B = B,
                                .S = RAGGED_S,
                                .T = RAGGED_T,
                                .source = r->source,
                                .source_lengths = r->source_lengths,
                                .target_in = r->target_in,
                                .target_out = r->target_out,
                                .target_lengths = r->target_lengths,
                                .target_tokens = tokens };
}

static inline double log_softmax_of(const tg_real *x, int V, int v)
{
    double most = x[0], sum = 0;
    for (int k = 1; k < V; k++) most = x[k] > most ? (double)x[k] : most;
    for (int k = 0; k < V; k++) sum += exp((double)x[k] - most);
    return (double)x[v] - most - log(sum);
}

#endif
