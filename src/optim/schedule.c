/* optim/schedule.c -- the learning rate as a function of the step.
 *
 * During the warm-up the rate rises linearly, (s+1) / warmup of the base; the kind then counts its steps
 * from the end of the warm-up. The inverse square root alone counts from 0, so that it joins the rise at
 * its top: lr sqrt(warmup) / sqrt(s), as in fairseq. A run that goes on with another period keeps the
 * periods that have passed and counts on from there, so that the rate does not jump. */
#include <math.h>
#include <string.h>

#include "optim/optimizer.h"

static double gamma_of(const tg_schedule *s, double standard)
{
    return (double)tg__setting(s->gamma, standard);
}
static double min_of(const tg_schedule *s) { return (double)tg__setting(s->min, 0); }

static int64_t warmup_of(const tg_schedule *s) { return s->warmup > 0 ? s->warmup : 0; }

/* How many periods have passed after the warm-up. Of the cosine 1 is the end. */
static double periods(const tg_schedule *s, int64_t at)
{
    const int64_t warmup = warmup_of(s), start = s->from > warmup ? s->from : warmup;
    const double steps = at > start ? (double)(at - start) : 0;
    if (s->pace > 0) return s->done + steps * s->pace;
    return s->period > 0 ? s->done + steps / (double)s->period : 0;
}

/* Each: the rate at step `at`, but for the warm-up. A period of 0 that nobody filled in leaves the base. */

static double constant(const tg_schedule *s, double lr, int64_t at)
{
    (void)s, (void)at;
    return lr;
}

static double step(const tg_schedule *s, double lr, int64_t at)
{
    return lr * pow(gamma_of(s, 0.1), floor(periods(s, at)));
}

static double exponential(const tg_schedule *s, double lr, int64_t at)
{
    return lr * pow(gamma_of(s, 0.5), periods(s, at));
}

static double cosine(const tg_schedule *s, double lr, int64_t at)
{
    const double min = min_of(s), pi = 3.141592653589793, x = periods(s, at);
    return x >= 1 ? min : min + (lr - min) * (1 + cos(pi * x)) / 2;
}

static double inverse_sqrt(const tg_schedule *s, double lr, int64_t at)
{
    const int64_t warmup = warmup_of(s) > 1 ? warmup_of(s) : 1;
    return at > warmup ? lr * sqrt((double)warmup) / sqrt((double)at) : lr;
}

static double plateau(const tg_schedule *s, double lr, int64_t at)
{
    const double min = min_of(s);
    (void)at;
    return s->drops > 0 ? fmax(lr * pow(gamma_of(s, 0.1), s->drops), fmin(min, lr)) : lr;
}

static const struct {
    const char *name;
    double (*rate)(const tg_schedule *s, double lr, int64_t at);
    bool periodic; /* it goes by the period */
} kinds[] = {
    [TG_CONSTANT] = { "constant", constant },
    [TG_STEP] = { "step", step, true },
    [TG_EXPONENTIAL] = { "exponential", exponential, true },
    [TG_COSINE] = { "cosine", cosine, true },
    [TG_INVERSE_SQRT] = { "inverse_sqrt", inverse_sqrt },
    [TG_PLATEAU] = { "plateau", plateau },
};
enum { KINDS = sizeof kinds / sizeof *kinds };

tg_real tg_schedule_rate(const tg_schedule *s, int64_t at)
{
    if (!s) return 0;
    const double lr = (double)tg__setting(s->lr, 0);
    const int64_t warmup = warmup_of(s), step = at > 0 ? at : 0;
    const double rise = step < warmup ? (double)(step + 1) / (double)warmup : 1;
    return (tg_real)(rise * ((unsigned)s->kind < KINDS ? kinds[s->kind].rate(s, lr, step) : lr));
}

void tg_schedule_validated(tg_schedule *s, double valid_loss)
{
    if (!s) return;
    const int patience = s->patience > 0 ? s->patience : s->patience < 0 ? 0 : TG__PLATEAU_PATIENCE;
    if (s->kind != TG_PLATEAU) return;
    const bool better = isfinite(valid_loss) && (!s->seen || valid_loss < s->best - 1e-4 * fabs(s->best));
    if (better) {
        s->best = valid_loss;
        s->seen = true;
        s->bad = 0;
    } else if (++s->bad > patience) {
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
        int64_t value, least;
    } counts[] = { { "warmup", s->warmup, 0 }, { "period", s->period, 0 }, { "patience", s->patience, -1 } };
    if ((unsigned)s->kind >= KINDS)
        return tg_context_note(cx, TG_ERR_ARGUMENT, "%s: there is no schedule of kind %d", who, (int)s->kind);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (!(isfinite(numbers[i].value) && (numbers[i].value >= 0 || numbers[i].value == TG_ZERO)))
            return tg_context_note(cx, TG_ERR_ARGUMENT,
                                   "%s: the schedule's %s is %g, must be finite and not negative", who,
                                   numbers[i].name, (double)numbers[i].value);
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        if (counts[i].value < counts[i].least)
            return tg_context_note(cx, TG_ERR_ARGUMENT,
                                   "%s: the schedule's %s is %lld, must be at least %lld", who,
                                   counts[i].name, (long long)counts[i].value, (long long)counts[i].least);
    return TG_OK;
}

/* ---- going on with a run ---- */

void tg__schedule_recall(tg_schedule *s, const tg_schedule *memory)
{
    s->best = memory->best;
    s->bad = memory->bad;
    s->drops = memory->drops;
    s->seen = memory->seen;
    s->from = memory->from;
    s->done = memory->done;
    s->pace = memory->pace;
}

bool tg__schedule_is_periodic(const tg_schedule *s)
{
    return (unsigned)s->kind < KINDS && kinds[s->kind].periodic;
}

bool tg__schedule_has_ended(const tg_schedule *s, int64_t at)
{
    return s->kind == TG_COSINE && periods(s, at) >= 1;
}

bool tg__schedule_follow(tg_schedule *s, const tg_schedule *old, int64_t at, int64_t end)
{
    const bool same_kind = s->kind == old->kind;
    tg__schedule_recall(s, old);
    if (!tg__schedule_is_periodic(s)) return false;
    const bool restart = !same_kind || (tg__schedule_has_ended(old, at) && s->lr != old->lr);
    if (!restart && s->period == old->period && warmup_of(s) == warmup_of(old)) return false;
    s->done = restart ? 0 : periods(old, at);
    s->from = at;
    s->pace = 0;
    if (s->kind != TG_COSINE) return true;
    const int64_t start = at > warmup_of(s) ? at : warmup_of(s);
    if (s->done < 1 && end > start) s->pace = (1 - s->done) / (double)(end - start);
    return true;
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
