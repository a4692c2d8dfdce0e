/* models/encoder_decoder.h -- what the translator needs of the model beside its public face. */
#ifndef MODELS_ENCODER_DECODER_H
#define MODELS_ENCODER_DECODER_H

#include <tidegate/encoder_decoder.h>

/* Puts the defaults where *c has zeros, and looks at every setting. What is wrong goes to report (one of
 * tg_context_fail, tg_context_note) with `status` and a sentence that begins with who. */
typedef tg_status encoder_decoder_report(tg_context *cx, tg_status status, const char *format, ...);
tg_status tg__encoder_decoder_settle(tg_context *cx, encoder_decoder_report *report, tg_status status,
                                     const char *who, tg_encoder_decoder_config *c);

/* A tape of the model's own, for those who have none. */
tg_tape *tg__encoder_decoder_tape(tg_encoder_decoder *m);

#endif
