/* layers/layer.c -- see layer.h. */
#include "layers/layer.h"

bool tg__layer_ready(tg_params *ps, tg_tape *t, const char *who)
{
    if (!tg__tape_ready(t, who)) return false;
    if (!ps)
        tg_context_fail(t->cx, TG_ERR_STATE,
                        "%s: this layer could not be made (its context was in error then)", who);
    else if (ps->cx != t->cx)
        tg_context_fail(t->cx, TG_ERR_STATE,
                        "%s: layer and tape belong to different contexts: see tg_params_share", who);
    else if (tg__params_freeze(ps) && ps->source && t->mode == TG_TRAIN)
        tg_context_fail(t->cx, TG_ERR_STATE,
                        "%s: the parameters are shared, and read only: begin the tape with TG_EVAL", who);
    return t->cx->status == TG_OK;
}
