/* optim/schedule.c -- the learning rate as a function of the step.
 *
 * During the warm-up the rate rises linearly, (s+1) / warmup of the base; the kind then counts its steps
 * from the end of the warm-up. The inverse square root alone counts from 0, so that it joins the rise at
 * its top: lr sqrt(warmup) / sqrt(s), as in fairseq. */
#include <math.h>
#include <string.h>

#include "optim/optimizer.h"

static double gamma_of(const tg_schedule *s, double standard)
{
    return (double)tg__setting(s->gamma, standard);
}
static double min_of(const tg_schedule *s) { return (double)tg__setting(s->min, 0); }

/* Each: the rate `steps` steps after the warm-up. A period of 0 that nobody filled in leaves the base. */

static double constant(const tg_schedule *s, double lr, int64_t steps)
{
    (void)s, (void)steps;
    return lr;
}

static double step(const tg_schedule *s, double lr, int64_t steps)
{
    return s->period > 0 ? lr * pow(gamma_of(s, 0.1), (double)(steps / s->period)) : lr;
}

static double exponential(const tg_schedule *s, double lr, int64_t steps)
{
    return s->period > 0 ? lr * pow(gamma_of(s, 0.5), (double)steps / (double)s->period) : lr;
}

static double cosine(const tg_schedule *s, double lr, int64_t steps)
{
    const double min = min_of(s), pi = 3.141592653589793;
    if (s->period <= 0) return lr;
    return steps >= s->period ? min
                              : min + (lr - min) * (1 + cos(pi * (double)steps / (double)s->period)) / 2;
}

static double inverse_sqrt(const tg_schedule *s, double lr, int64_t steps)
{
    const int64_t warmup = s->warmup > 1 ? s->warmup : 1, at = s->warmup > 0 ? steps + s->warmup : steps;
    return at > warmup ? lr * sqrt((double)warmup) / sqrt((double)at) : lr;
}

static double plateau(const tg_schedule *s, double lr, int64_t steps)
{
    const double min = min_of(s);
    (void)steps;
    return s->drops > 0 ? fmax(lr * pow(gamma_of(s, 0.1), s->drops), fmin(min, lr)) : lr;
}

static const struct {
    const char *name;
    double (*rate)(const tg_schedule *s, double lr, int64_t steps);
} kinds[] = {
    [TG_CONSTANT] = { "constant", constant },
    [TG_STEP] = { "step", step },
    [TG_EXPONENTIAL] = { "exponential", exponential },
    [TG_COSINE] = { "cosine", cosine },
    [TG_INVERSE_SQRT] = { "inverse_sqrt", inverse_sqrt },
    [TG_PLATEAU] = { "plateau", plateau },
};
enum { KINDS = sizeof kinds / sizeof *kinds };

tg_real tg_schedule_rate(const tg_schedule *s, int64_t at)
{
    if (!s) return 0;
    const double lr = (double)tg__setting(s->lr, 0);
    const int64_t warmup = s->warmup > 0 ? s->warmup : 0, after = at > warmup ? at - warmup : 0;
    const double rise = at < warmup ? (double)(at + 1) / (double)warmup : 1;
    return (tg_real)(rise * ((unsigned)s->kind < KINDS ? kinds[s->kind].rate(s, lr, after) : lr));
}

void tg_schedule_validated(tg_schedule *s, double valid_loss)
{
    if (!s) return;
    const int patience = s->patience > 0 ? s->patience : 10;
    if (s->kind != TG_PLATEAU) return;
    const bool better = isfinite(valid_loss) && (!s->seen || valid_loss < s->best - 1e-4 * fabs(s->best));
    if (better) {
        s->best = valid_loss;
        s->seen = true;
        s->bad = 0;
    } else if (++s->bad >= patience) {
        s->drops++;
        s->bad = 0;
    }
}

tg_status tg__schedule_check(tg_context *cx, const char *who, const tg_schedule *s)
{
    const struct {
        const char *name;
        tg_real value;
    } numbers[] = { { "lr", s->lr }, { "gamma", s->gamma }, { "min", s->min } };
    const struct {
        const char *name;
        int64_t value;
    } counts[] = { { "warmup", s->warmup }, { "period", s->period }, { "patience", s->patience } };
    if ((unsigned)s->kind >= KINDS)
        return tg_context_note(cx, TG_ERR_ARGUMENT, "%s: there is no schedule of kind %d", who, (int)s->kind);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (!(isfinite(numbers[i].value) && (numbers[i].value >= 0 || numbers[i].value == TG_ZERO)))
            return tg_context_note(cx, TG_ERR_ARGUMENT,
                                   "%s: the schedule's %s is %g, must be finite and not negative", who,
                                   numbers[i].name, (double)numbers[i].value);
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        if (counts[i].value < 0)
            return tg_context_note(cx, TG_ERR_ARGUMENT, "%s: the schedule's %s is %lld, must not be negative",
                                   who, counts[i].name, (long long)counts[i].value);
    return TG_OK;
}

const char *tg_schedule_name(tg_schedule_kind kind)
{
    return (unsigned)kind < KINDS ? kinds[kind].name : "unknown";
}

bool tg_schedule_kind_named(const char *name, tg_schedule_kind *kind)
{
    for (int k = 0; name && kind && k < KINDS; k++)
        if (!strcmp(kinds[k].name, name)) {
            *kind = (tg_schedule_kind)k;
            return true;
        }
    return false;
}
