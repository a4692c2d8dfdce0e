/* params/clip.c -- the norm of the gradient, and clipping by it or by value. */
#include <float.h>
#include <math.h>

#include "params/pieces.h"

typedef struct clip {
    tg_real *g;
    tg_real limit;
    double factor;
} clip;

static void scale_range(void *argument, const param_range *r)
{
    const clip *c = argument;
    const tg_real factor = (tg_real)c->factor;
    if (r->b->flags.frozen) return;
    for (size_t i = r->first; i < r->first + r->n; i++) c->g[i] *= factor;
}

/* By a factor that is no normal number of tg_real, and would lose its digits, or all of itself, there. */
static void scale_range_in_double(void *argument, const param_range *r)
{
    const clip *c = argument;
    if (r->b->flags.frozen) return;
    for (size_t i = r->first; i < r->first + r->n; i++) c->g[i] = (tg_real)((double)c->g[i] * c->factor);
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

double tg_params_gradient_norm(tg_params *ps)
{
    return !ps || ps->cx->status ? (double)NAN : tg__params_gradient_norm(ps);
}

double tg_params_clip_norm(tg_params *ps, tg_real max_norm)
{
    const double smallest = TG_DOUBLE ? DBL_MIN : (double)FLT_MIN;
    if (!ps || ps->cx->status) return (double)NAN;
    if (!(max_norm > 0)) {
        tg_context_fail(ps->cx, TG_ERR_ARGUMENT, "tg_params_clip_norm: max_norm is %g, must be positive",
                        (double)max_norm);
        return (double)NAN;
    }
    const double norm = tg__params_gradient_norm(ps);
    clip c = { .g = ps->gradient, .factor = (double)max_norm / (norm + 1e-6) };
    if (ps->gradient && c.factor < 1 &&
        isfinite(norm)) /* left alone otherwise: the step will say which one is not finite */
        tg__params_walk(ps, c.factor < smallest ? scale_range_in_double : scale_range, &c);
    return norm;
}

void tg_params_clip_value(tg_params *ps, tg_real limit)
{
    if (!ps || ps->cx->status) return;
    if (!(limit > 0)) {
        tg_context_fail(ps->cx, TG_ERR_ARGUMENT, "tg_params_clip_value: the limit is %g, must be positive",
                        (double)limit);
        return;
    }
    if (ps->gradient) tg__params_walk(ps, limit_range, &(clip){ .g = ps->gradient, .limit = limit });
}
