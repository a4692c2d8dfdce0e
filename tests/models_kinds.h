/* tests/models_kinds.h -- encoder-decoders of every kind: each attention, with what goes with it. */
#ifndef MODELS_KINDS_H
#define MODELS_KINDS_H

#include "models_fixture.h"

static const tg_encoder_decoder_config kinds[] = {
    { .attention = TG_ATTENTION_ADDITIVE },
    { .attention = TG_ATTENTION_ADDITIVE,
      .cell = TG_GRU_RESET_AFTER,
      .layers = 2,
      .coverage = true,
      .readout = TG_NO_READOUT },
    { .attention = TG_ATTENTION_ADDITIVE, .bidirectional = true, .tying = TG_TIE_TARGET },
    { .attention = TG_ATTENTION_DOT, .cell = TG_GRU_RESET_AFTER },
    { .attention = TG_ATTENTION_DOT,
      .layers = 2,
      .bidirectional = true,
      .input_feeding = true,
      .coverage = true,
      .readout = 9 },
    { .attention = TG_ATTENTION_GENERAL,
      .cell = TG_GRU_RESET_AFTER,
      .layers = 2,
      .bidirectional = true,
      .coverage = true },
    { .attention = TG_ATTENTION_GENERAL, .input_feeding = true, .tying = TG_TIE_ALL },
    { .attention = TG_ATTENTION_GENERAL,
      .cell = TG_GRU_RESET_AFTER,
      .layers = 3,
      .input_feeding = true,
      .tying = TG_TIE_TARGET },
    { .bidirectional = true, .layers = 2 },
    { .cell = TG_GRU_RESET_AFTER, .tying = TG_TIE_TARGET },
/* every cell, with a layer below the one that attends, and without attention */
#define TG_CELL(enumerator, file, name)                                                                      \
    { .cell = enumerator, .attention = TG_ATTENTION_ADDITIVE, .layers = 2 },                                 \
        { .cell = enumerator, .attention = TG_ATTENTION_DOT, .input_feeding = true },                        \
        { .cell = enumerator },
#include <tidegate/cells.def>
#undef TG_CELL
};
enum { KINDS = sizeof kinds / sizeof *kinds, KIND_V = 13 };

/* A small model of kind k. */
static inline small_model small_model_kind(int k, uint64_t seed)
{
    tg_encoder_decoder_config c = kinds[k];
    c.source_vocabulary = c.target_vocabulary = KIND_V;
    c.embed = 6, c.hidden = 8;
    return small_model_of(tg_context_new(&(tg_context_config){ .seed = seed }), c);
}

#endif
