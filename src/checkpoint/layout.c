/* checkpoint/layout.c -- where everything stands in a checkpoint. */
#include "checkpoint/layout.h"

#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/check.h"
#include "optim/optimizer.h"
#include "tensor/archive.h"

const field tg__progress_field[] = {
    { "training/step", FIELD_INT64, offsetof(tg_progress, step) },
    { "training/epoch", FIELD_INT64, offsetof(tg_progress, epoch) },
    { "training/position", FIELD_INT64, offsetof(tg_progress, position) },
    { "training/skipped", FIELD_INT64, offsetof(tg_progress, skipped) },
    { "training/bad_streak", FIELD_INT, offsetof(tg_progress, bad_streak) },
    { "training/validated", FIELD_BOOL, offsetof(tg_progress, validated) },
    { "training/best", FIELD_DOUBLE, offsetof(tg_progress, best), ANY_NUMBER },
    { "training/best_step", FIELD_INT64, offsetof(tg_progress, best_step) },
    { "training/waited", FIELD_INT, offsetof(tg_progress, waited) },
    { "training/last_valid", FIELD_DOUBLE, offsetof(tg_progress, last_valid), ANY_NUMBER },
    { "training/sum_loss", FIELD_DOUBLE, offsetof(tg_progress, sum_loss), ANY_SIGN },
    { "training/sum_units", FIELD_DOUBLE, offsetof(tg_progress, sum_units) },
    { "training/sum_norm", FIELD_DOUBLE, offsetof(tg_progress, sum_norm) },
    { "training/sum_steps", FIELD_INT64, offsetof(tg_progress, sum_steps) },
    { NULL },
};

/* beside "training/schedule/kind", a name */
const field tg__schedule_field[] = {
    { "training/schedule/lr", FIELD_REAL, offsetof(tg_schedule, lr), ANY_SIGN },
    { "training/schedule/warmup", FIELD_INT64, offsetof(tg_schedule, warmup), ANY_NUMBER },
    { "training/schedule/period", FIELD_INT64, offsetof(tg_schedule, period), ANY_NUMBER },
    { "training/schedule/gamma", FIELD_REAL, offsetof(tg_schedule, gamma), ANY_SIGN },
    { "training/schedule/min", FIELD_REAL, offsetof(tg_schedule, min), ANY_SIGN },
    { "training/schedule/patience", FIELD_INT, offsetof(tg_schedule, patience), ANY_NUMBER },
    { "training/schedule/best", FIELD_DOUBLE, offsetof(tg_schedule, best), ANY_SIGN },
    { "training/schedule/bad", FIELD_INT, offsetof(tg_schedule, bad) },
    { "training/schedule/drops", FIELD_INT, offsetof(tg_schedule, drops) },
    { "training/schedule/seen", FIELD_BOOL, offsetof(tg_schedule, seen) },
    { "training/schedule/from", FIELD_INT64, offsetof(tg_schedule, from), .optional = true },
    { "training/schedule/done", FIELD_DOUBLE, offsetof(tg_schedule, done), .optional = true },
    { "training/schedule/pace", FIELD_DOUBLE, offsetof(tg_schedule, pace), .optional = true },
    { NULL },
};

tg_status tg__field_check(tg_context *cx, const char *file, const field *f, int64_t integer, double number)
{
    const int64_t largest = f->kind == FIELD_BOOL  ? 1
                            : f->kind == FIELD_INT ? INT_MAX / (f->range == ANY_NUMBER ? 1 : 2)
                                                   : INT64_MAX / (f->range == ANY_NUMBER ? 1 : 4);
    const bool is_number = tg__field_is_number(f);
    const double rounded = f->kind == FIELD_REAL ? (double)(tg_real)number : number;
    const bool fits =
        is_number ? (f->range == ANY_NUMBER || isfinite(rounded)) && !(f->range == AS_COUNTED && number < 0)
                  : integer <= largest && integer >= (f->range == AS_COUNTED ? 0 : -largest);
    if (fits) return TG_OK;
    if (is_number)
        return tg_context_note(cx, TG_ERR_FORMAT, "%.300s: '%s' is %g, out of its range", file, f->path,
                               number);
    return tg_context_note(cx, TG_ERR_FORMAT, "%.300s: '%s' is %lld, out of its range", file, f->path,
                           (long long)integer);
}

path_text tg__path(const char *format, ...)
{
    path_text path;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(path.s, sizeof path.s, format, arguments);
    va_end(arguments);
    return path;
}

int tg__checkpoint_states(const tg_checkpoint *c) { return !c->states ? 0 : c->n_states ? c->n_states : 1; }

tg_context *tg__checkpoint_context(const tg_checkpoint *c)
{
    if (!c) return NULL;
    if (c->params) return c->params->cx;
    if (c->optimizer) { /* without a set it was made by a context that could not be made */
        const tg_params *ps = tg__optimizer_params(c->optimizer);
        return ps ? ps->cx : &tg__context_nil;
    }
    if (c->states && c->states[0].h && c->states[0].h->cx) return c->states[0].h->cx;
    return c->also ? c->also->cx : NULL;
}

tg_status tg__checkpoint_check(const tg_checkpoint *c, const char *who)
{
    tg_context *cx = tg__checkpoint_context(c);
    if (!cx) return TG_ERR_ARGUMENT;
    if (cx->status) return cx->status;
    if (c->optimizer) {
        tg_params *ps = tg__optimizer_params(c->optimizer);
        if (c->params && ps != c->params)
            return tg_context_note(cx, TG_ERR_ARGUMENT, "%s: the optimizer is not one of these parameters",
                                   who);
        if (!ps) return TG_ERR_STATE;
        if (!tg__params_freeze(ps)) return ps->cx->status;
        for (int k = 0; k < tg__optimizer_moments(c->optimizer); k++)
            if (!tg__optimizer_moment(c->optimizer, k))
                return tg_context_note(cx, TG_ERR_STATE,
                                       "%s: the optimizer was made while its context was in error", who);
    }
    if (c->n_states < 0) return tg_context_note(cx, TG_ERR_ARGUMENT, "%s: n_states is %d", who, c->n_states);
    for (int i = 0; i < tg__checkpoint_states(c); i++)
        for (int k = 0; k < STATE_TENSORS; k++) {
            const tg_tensor *x = tg__checkpoint_state(c, i, k).x;
            if (!x && k == 0) return tg_context_note(cx, TG_ERR_ARGUMENT, "%s: state %d has no h", who, i);
            if (x && (x == &cx->nil || x->cx != cx))
                return tg_context_note(cx, TG_ERR_STATE, "%s: state %d %s", who, i,
                                       x == &cx->nil ? "could not be made" : "belongs to another context");
        }
    return TG_OK;
}

tg_status tg__checkpoint_check_root(tg_context *cx, const tg_archive *a)
{
    const tg_entry *format = tg__archive_find(a, "format"), *version = tg__archive_find(a, "format_version");
    const tg_entry *precision = tg__archive_find(a, "precision");
    const char *file = a->source ? a->source : "archive";
    if (!format || format->array || format->type != TG_TEXT || strcmp(format->data, CHECKPOINT_FORMAT))
        return tg_context_note(cx, TG_ERR_FORMAT, "%s: is no checkpoint: its attribute 'format' is not '%s'",
                               file, CHECKPOINT_FORMAT);
    const int64_t found =
        version && !version->array && version->type == TG_INT64 ? *(const int64_t *)version->data : 0;
    if (found > CHECKPOINT_VERSION)
        return tg_context_note(cx, TG_ERR_VERSION,
                               "%s: its content is of format %lld; this library reads format %d: a newer one "
                               "is needed",
                               file, (long long)found, (int)CHECKPOINT_VERSION);
    if (found < CHECKPOINT_VERSION)
        return tg_context_note(cx, TG_ERR_FORMAT, "%s: its attribute 'format_version' is not the number %d",
                               file, (int)CHECKPOINT_VERSION);
    if (!precision || precision->array || precision->type != TG_TEXT)
        return tg_context_note(cx, TG_ERR_FORMAT, "%s: is no checkpoint: it has no attribute 'precision'",
                               file);
    return TG_OK;
}
