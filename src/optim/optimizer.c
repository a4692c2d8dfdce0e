/* optim/optimizer.c -- what all update rules share: settings, moments, the step and its refusal. */
#include "optim/optimizer.h"

#include <float.h>
#include <stdio.h>
#include <string.h>

#include "params/pieces.h"

struct tg_optimizer {
    tg_params *ps;
    tg_context *cx;
    const optimizer_rule *rule;
    bool usable; /* false: made while the context was in error */
    tg_real lr;
    tg_real setting[OPTIMIZER_MOST_SETTINGS];
    tg_real *moment[OPTIMIZER_MOST_MOMENTS]; /* (ps->flat) each */
    int64_t steps;
};

static tg_optimizer nil_optimizer = { .cx = &tg__context_nil, .rule = &tg__sgd };

static const optimizer_rule *const by_name[] = { &tg__sgd,  &tg__sgd_momentum, &tg__sgd_nesterov,
                                                 &tg__adam, &tg__adamw,        &tg__rmsprop };

/* ---- making one ---- */

static bool within(tg_real x, const optimizer_setting *s)
{
    return isfinite(x) && x >= 0 && (s->bound != BELOW_ONE || x < 1) && (s->bound != POSITIVE || x > 0);
}

static bool resolve(tg_optimizer *o, const char *who, tg_real lr, const tg_real setting[])
{
    static const char *const wish[] = { [ANY_SIZE] = "finite and not negative",
                                        [BELOW_ONE] = "at least 0 and below 1",
                                        [POSITIVE] = "finite and positive" };
    const optimizer_setting rate = { "lr", o->rule->rate, ANY_SIZE };
    o->lr = tg__setting(lr, rate.standard);
    if (!within(o->lr, &rate)) {
        tg_context_fail(o->cx, TG_ERR_ARGUMENT, "%s: lr is %g, must be %s", who, (double)o->lr,
                        wish[ANY_SIZE]);
        return false;
    }
    for (int k = 0; o->rule->setting[k].name; k++) {
        const optimizer_setting *s = &o->rule->setting[k];
        o->setting[k] = tg__setting(setting[k], s->standard);
        if (within(o->setting[k], s)) continue;
        tg_context_fail(o->cx, TG_ERR_ARGUMENT, "%s: %s is %g, must be %s", who, s->name,
                        (double)o->setting[k], wish[s->bound]);
        return false;
    }
    return true;
}

/* The optimizer itself is there even if the context is in error, so that later steps can say why. */
static tg_optimizer *take(tg_context *cx)
{
    if (cx == &tg__context_nil) return &nil_optimizer;
    const tg_status status = cx->status;
    cx->status = TG_OK;
    tg_optimizer *o = tg__arena_zeroed(&cx->own, sizeof *o);
    if (status) cx->status = status;
    return o ? o : &nil_optimizer;
}

tg_optimizer *tg__optimizer_new(tg_params *ps, const char *who, const optimizer_rule *rule, tg_real lr,
                                const tg_real setting[])
{
    ps = tg__params_or_nil(ps);
    tg_optimizer *o = take(ps->cx);
    if (o == &nil_optimizer) return o;
    *o = (tg_optimizer){ .ps = ps, .cx = ps->cx, .rule = rule };
    if (!resolve(o, who, lr, setting) || !tg__params_freeze(ps)) return o;
    if (!ps->gradient) {
        tg_context_fail(o->cx, TG_ERR_STATE, "%s: the parameter set is shared, and read only", who);
        return o;
    }
    for (int k = 0; rule->moment[k]; k++) {
        o->moment[k] = tg__arena_zeroed(&ps->memory, tg__bytes(ps->flat, sizeof(tg_real)));
        if (!o->moment[k]) return o;
    }
    o->usable = true;
    return o;
}

static const optimizer_rule *rule_named(const char *name)
{
    for (size_t i = 0; name && i < sizeof by_name / sizeof *by_name; i++)
        if (!strcmp(by_name[i]->name, name)) return by_name[i];
    return NULL;
}

tg_optimizer *tg_optimizer_new(tg_params *ps, const char *name, tg_real lr, tg_real weight_decay)
{
    const tg_real setting[OPTIMIZER_MOST_SETTINGS] = { weight_decay };
    const optimizer_rule *rule = rule_named(name);
    if (rule) return tg__optimizer_new(ps, "tg_optimizer_new", rule, lr, setting);
    char known[128] = "";
    size_t used = 0;
    for (size_t i = 0; i < sizeof by_name / sizeof *by_name; i++)
        used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", i ? ", " : "", by_name[i]->name);
    ps = tg__params_or_nil(ps);
    tg_context_fail(ps->cx, TG_ERR_ARGUMENT, "tg_optimizer_new: there is no optimizer '%s'; there are: %s",
                    name ? name : "(NULL)", known);
    return tg__optimizer_new(ps, "tg_optimizer_new", &tg__sgd, lr, setting);
}

/* ---- a step ---- */

/* The largest norm of gradients with which no moment overflows. Momentum adds up gradients to at most 1 / (1 - momentum)
 * times the largest. */
static double largest_norm(const optimizer_rule *rule)
{
    const double most = TG_DOUBLE ? DBL_MAX : (double)FLT_MAX;
    switch (rule->keeps) {
    case NO_SUMS: break;
    case SUMS: return most / 1e4;
    case SUMS_OF_SQUARES: return sqrt(most);
    }
    return DBL_MAX;
}

/* The first gradient, by names in order and then by element, that is not finite; moves nothing. */
static tg_status refuse(tg_optimizer *o, double norm)
{
    const tg_params *ps = o->ps;
    for (int i = 0; i < ps->views; i++) {
        const param_view *v = &ps->view[i];
        const size_t width = (size_t)v->width, stride = (size_t)tg__columns(&v->block->x);
        const tg_real *g = ps->gradient + v->block->offset + v->column;
        if (v->block->flags.frozen) continue;
        for (size_t k = 0, rows = tg__rows(&v->block->x); k < rows; k++) {
            const size_t j = tg__first_nonfinite(g + k * stride, width);
            if (j < width)
                return tg_context_note(
                    o->cx, TG_ERR_NUMBER,
                    "tg_optimizer_step: the gradient of '%s' is %g at element %zu of %zu: nothing was moved",
                    v->name, (double)g[k * stride + j], k * width + j, rows * width);
        }
    }
    return tg_context_note(
        o->cx, TG_ERR_NUMBER,
        "tg_optimizer_step: the gradients are finite, but their norm %g is too large to %s, as "
        "%s does: nothing was moved",
        norm, o->rule->keeps == SUMS ? "add up" : "square", o->rule->name);
}

typedef struct job {
    const tg_optimizer *o;
    int64_t t;
} job;

static void update_range(void *argument, const param_range *r)
{
    const job *j = argument;
    const tg_optimizer *o = j->o;
    const tg_parameter_flags *f = &r->b->flags;
    tg_real *p = o->ps->value + r->first, *g = o->ps->gradient + r->first;
    tg_real *moment[OPTIMIZER_MOST_MOMENTS] = { NULL };
    if (f->frozen) {
        memset(g, 0, r->n * sizeof *g);
        return;
    }
    for (int k = 0; o->rule->moment[k]; k++) moment[k] = o->moment[k] + r->first;
    const optimizer_update u = { .rate = (tg_real)((double)o->lr * (double)f->rate_scale),
                                 .decay = f->no_decay ? 0 : o->setting[0],
                                 .setting = o->setting,
                                 .t = j->t };
    o->rule->update(&u, r->n, p, g, moment);
}

tg_status tg_optimizer_step(tg_optimizer *o)
{
    if (!o) return TG_ERR_ARGUMENT;
    tg_context *cx = o->cx;
    if (cx->status) {
        if (o->ps) tg_params_zero_gradients(o->ps);
        return cx->status;
    }
    if (!o->usable)
        return tg_context_note(
            cx, TG_ERR_STATE,
            "tg_optimizer_step: this optimizer (%s) was made while its context was in error", o->rule->name);
    if (!o->ps->gradient)
        return tg_context_note(cx, TG_ERR_STATE,
                               "tg_optimizer_step: the parameters of this optimizer (%s) are gone",
                               o->rule->name);

    const double norm = tg__params_gradient_norm(o->ps);
    const tg_status s = norm <= largest_norm(o->rule) ? TG_OK : refuse(o, norm);
    if (s)
        tg_params_zero_gradients(o->ps);
    else
        tg__params_walk(o->ps, update_range, &(job){ o, ++o->steps });
    tg_context_set_step(cx, cx->step + 1);
    return s;
}

const char *tg_optimizer_name(const tg_optimizer *o) { return o ? o->rule->name : "none"; }
tg_real tg_optimizer_rate(const tg_optimizer *o) { return o ? o->lr : 0; }
int64_t tg_optimizer_steps(const tg_optimizer *o) { return o ? o->steps : 0; }

void tg_optimizer_set_rate(tg_optimizer *o, tg_real lr)
{
    if (lr == TG_ZERO) lr = 0;
    if (!o || o == &nil_optimizer || o->cx->status) return;
    if (isfinite(lr) && lr >= 0)
        o->lr = lr;
    else
        tg_context_fail(o->cx, TG_ERR_ARGUMENT,
                        "tg_optimizer_set_rate: lr is %g, must be finite and not negative", (double)lr);
}

/* ---- for checkpoints ---- */

int tg__optimizer_moments(const tg_optimizer *o)
{
    int n = 0;
    while (o->rule->moment[n]) n++;
    return n;
}

int tg__optimizer_settings(const tg_optimizer *o)
{
    int n = 0;
    while (o->rule->setting[n].name) n++;
    return n;
}

const char *tg__optimizer_moment_name(const tg_optimizer *o, int k) { return o->rule->moment[k]; }
tg_real *tg__optimizer_moment(tg_optimizer *o, int k) { return o->moment[k]; }
const char *tg__optimizer_setting_name(const tg_optimizer *o, int k) { return o->rule->setting[k].name; }
double tg__optimizer_setting(const tg_optimizer *o, int k) { return (double)o->setting[k]; }
tg_params *tg__optimizer_params(const tg_optimizer *o) { return o->ps; }

void tg__optimizer_restore(tg_optimizer *o, int64_t steps, double lr)
{
    if (o == &nil_optimizer) return;
    o->steps = steps;
    o->lr = (tg_real)lr;
}
