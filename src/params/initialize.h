/* params/initialize.h -- how a parameter's values start. */
#ifndef PARAMS_INITIALIZE_H
#define PARAMS_INITIALIZE_H

#include "params/params.h"

/* Is this a valid initializer? If not, the context is in error, with a sentence that names the parameter. */
bool tg__initializer_holds(tg_context *cx, const char *name, tg_init init);

/* Sets the view's values in ps->value: a function of the context's seed and of the view's name, shape and
 * initializer alone. False: the context is in error. */
bool tg__initialize(tg_params *ps, const param_view *v);

#endif
