/* tools/tidegate/decoding.c -- see decoding.h. */
#include "decoding.h"

bool decoding_fits(const decoding_settings *s, const char *model, const tg_translator *tr)
{
    if (s->keep_unknown && tr->config.attention == TG_ATTENTION_NONE)
        tell("%s: a model without attention: <unk> stays, with --keep-unknown and without", model);
    if (s->coverage_penalty == 0 || tr->config.attention != TG_ATTENTION_NONE) return true;
    return fail("%s: a model without attention: --coverage-penalty has nothing to go by", model), false;
}

tg_decoding_config decoding_config(const decoding_settings *s)
{
    return (tg_decoding_config){ .beam = (int)s->beam,
                                 .max_length = (int)s->max_length,
                                 .normalization = (tg_length_normalization)s->normalization,
                                 .alpha = (tg_real)s->alpha,
                                 .coverage_penalty = (tg_real)s->coverage_penalty,
                                 .keep_unknown = s->keep_unknown };
}
