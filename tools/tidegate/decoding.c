/* tools/tidegate/decoding.c -- see decoding.h. */
#include "decoding.h"

tg_decoding_config decoding_config(const decoding_settings *s)
{
    return (tg_decoding_config){ .beam = (int)s->beam,
                                 .max_length = (int)s->max_length,
                                 .normalization = (tg_length_normalization)s->normalization,
                                 .alpha = (tg_real)s->alpha,
                                 .coverage_penalty = (tg_real)s->coverage_penalty,
                                 .keep_unknown = s->keep_unknown };
}
