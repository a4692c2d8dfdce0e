/* layers/layer.c -- see layer.h. */
#include "layers/layer.h"

bool tg__layer_ready(tg_params *ps, const char *name, tg_tape *t, const char *who)
{
    return tg__params_ready(ps, t, who, "layer", name);
}
