/* params/clip.c -- the norm of the gradient, and clipping by it or by value. */
#include <math.h>

#include "params/pieces.h"

typedef struct clip {
    tg_real *g;
    tg_real factor, limit;
} clip;

static void scale_range(void *argument, const param_range *r)
{
    const clip *c = argument;
    if (r->b->flags.frozen) return;
    for (size_t i = r->first; i < r->first + r->n; i++) c->g[i] *= c->factor;
}

/* A gradient that is not finite stays as it is, so that the optimizer refuses the step. */
static void limit_range(void *argument, const param_range *r)
{
    const clip *c = argument;
    const tg_real limit = c->limit;
    if (r->b->flags.frozen) return;
    for (size_t i = r->first; i < r->first + r->n; i++) {
        const tg_real g = c->g[i];
        if (fabs((double)g) > (double)limit && isfinite(g)) c->g[i] = g > 0 ? limit : -limit;
    }
}

tg_real tg_params_gradient_norm(tg_params *ps)
{
    if (ps->cx->status) return (tg_real)NAN;
    return (tg_real)sqrt(tg__params_gradient_square(ps));
}

tg_real tg_params_clip_norm(tg_params *ps, tg_real max_norm)
{
    if (ps->cx->status) return (tg_real)NAN;
    if (!(max_norm > 0)) {
        tg_context_fail(ps->cx, TG_ERR_ARGUMENT, "tg_params_clip_norm: max_norm is %g, must be positive",
                        (double)max_norm);
        return (tg_real)NAN;
    }
    const double norm = sqrt(tg__params_gradient_square(ps));
    const double factor = (double)max_norm / (norm + 1e-6);
    if (ps->gradient && factor < 1 &&
        isfinite(norm)) /* left alone otherwise: the step will say which one is not finite */
        tg__params_walk(ps, scale_range, &(clip){ .g = ps->gradient, .factor = (tg_real)factor });
    return (tg_real)norm;
}

void tg_params_clip_value(tg_params *ps, tg_real limit)
{
    if (ps->cx->status) return;
    if (!(limit > 0)) {
        tg_context_fail(ps->cx, TG_ERR_ARGUMENT, "tg_params_clip_value: the limit is %g, must be positive",
                        (double)limit);
        return;
    }
    if (ps->gradient) tg__params_walk(ps, limit_range, &(clip){ .g = ps->gradient, .limit = limit });
}
