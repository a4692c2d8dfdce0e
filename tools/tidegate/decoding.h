/* tools/tidegate/decoding.h -- options of the commands that translate: how they search. */
#ifndef DECODING_H
#define DECODING_H

#include "options.h"
#include "program.h"

typedef struct decoding_settings {
    int64_t beam, max_length;
    int normalization; /* a tg_length_normalization */
    double alpha, coverage_penalty;
    bool keep_unknown;
} decoding_settings;

/* Rows of an option table, for the member `decoding` of a command's struct. */
#define DECODING_AT(settings, field) offsetof(settings, decoding.field)
/* clang-format off */
#define DECODING_OPTIONS(settings)                                                                                    \
    { "beam", OPTION_INTEGER, DECODING_AT(settings, beam), "1", 1, 10000, NULL,                                       \
      "hypotheses that the search follows; 1: greedy" },                                                              \
    { "normalization", OPTION_CHOICE, DECODING_AT(settings, normalization), "average", 0, 0, "average|wu|none",       \
      "how a hypothesis' length L counts in its score: average (log P / L^alpha), wu (log P / ((5+L)/6)^alpha), "     \
      "or not", 0, "beam >1" },                                                                                          \
    { "alpha", OPTION_NUMBER, DECODING_AT(settings, alpha), NULL, 0, 10, NULL,                                        \
      "see --normalization; 0: the default (1, of wu 0.6)", 0, "beam >1, normalization average|wu" },                    \
    { "coverage-penalty", OPTION_NUMBER, DECODING_AT(settings, coverage_penalty), "0", 0, 1000, NULL,                 \
      "weight of what Wu et al. (2016) subtract for source words that were not looked at", 0, "beam >1" },               \
    { "max-length", OPTION_INTEGER, DECODING_AT(settings, max_length), "0", 0, 1e6, NULL,                             \
      "longest translation (tokens); 0: twice the source and ten" },                                                  \
    { "keep-unknown", OPTION_FLAG, DECODING_AT(settings, keep_unknown), NULL, 0, 0, NULL,                             \
      "leave <unk>; otherwise the source word that was most attended to takes its place" }
/* clang-format on */

/* Can this model be searched so? Otherwise false, and the reason was said. Tells what does nothing. */
bool decoding_fits(const decoding_settings *s, const char *model, const tg_translator *tr);

tg_decoding_config decoding_config(const decoding_settings *s);

#endif
