/* train/run_checkpoint.c -- what a run saves, and how it goes on. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <tidegate/blas.h>
#include <tidegate/data.h>

#include "optim/optimizer.h"
#include "train/driver.h"

void tg__run_tell(training_run *r, tg_log_level level, const char *format, ...)
{
    char sentence[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    if (r->talk.out)
        tg__talk_say(&r->talk, "%s", sentence);
    else
        tg__context_log(r->cx, level, "%s", sentence);
}

/* ---- saving ---- */

static tg_status put_run(const training_run *r, tg_archive *a)
{
    const tg_training *g = r->training;
    tg_archive_put_number(a, "run/seconds", tg__run_seconds(r)); /* wall-clock: never compared */
    if (tg_utf8_valid(r->talk.unit, NULL)) tg_archive_put_text(a, "run/unit", r->talk.unit);
    tg__history_put(&r->history, a);
    if (r->owes) tg_archive_put_integer(a, "training/validation_owed", 1);
    const tg_status s = g->save ? g->save(g->user, a) : TG_OK;
    return s ? s : tg_archive_status(a);
}

/* The file has the optimizer's base rate, not the schedule's of this step: that is what a program
 * must make the optimizer with to go on. */
static tg_status save(training_run *r, const char *path, bool keep_previous)
{
    const tg_training *g = r->training;
    tg_archive *also = tg_archive_new(r->cx);
    if (!also) return TG_ERR_MEMORY;
    tg_status s = put_run(r, also);
    if (!s) s = tg_context_status(r->cx); /* a callback's */
    tg_optimizer_set_rate(g->optimizer, r->base);
    if (!s)
        s = tg_checkpoint_save(path, &(tg_checkpoint){
                                         .params = g->params,
                                         .optimizer = g->optimizer,
                                         .schedule = g->schedule ? &r->schedule : NULL,
                                         .states = g->states,
                                         .n_states = g->n_states,
                                         .progress = &r->progress,
                                         .task = g->task,
                                         .also = also,
                                         .keep_previous = keep_previous,
                                     });
    tg_optimizer_set_rate(g->optimizer, r->rate);
    tg_archive_free(also);
    return s;
}

tg_status tg__run_save_last(training_run *r)
{
    if (!r->directory.path || r->saved) return TG_OK;
    const tg_status s = save(r, tg__run_path(&r->directory, "last.h5").s, !r->mended);
    if (s) return s;
    r->mended = false;
    r->saved = true;
    return TG_OK;
}

tg_status tg__run_save_best(training_run *r)
{
    return r->directory.path ? save(r, tg__run_path(&r->directory, "best.h5").s, false) : TG_OK;
}

/* ---- going on ---- */

static bool another_file_may_do(tg_status s)
{
    return s == TG_ERR_ABSENT || s == TG_ERR_DAMAGED || s == TG_ERR_FORMAT;
}

/* Reads last.h5, or failing that last.h5.1. */
static tg_status read_newest(training_run *r, tg_archive **a)
{
    const run_path last = tg__run_path(&r->directory, "last.h5"),
                   before = tg__run_path(&r->directory, "last.h5.1");
    snprintf(r->resumed_from, sizeof r->resumed_from, "%.255s", last.s);
    const tg_status s = tg_checkpoint_read(r->cx, last.s, a);
    if (!s || !another_file_may_do(s)) return s;

    char why[sizeof r->cx->message];
    snprintf(why, sizeof why, "%s", tg_context_message(r->cx));
    snprintf(r->resumed_from, sizeof r->resumed_from, "%.255s", before.s);
    const tg_status s1 = tg_checkpoint_read(r->cx, before.s, a);
    if (s1 == TG_ERR_ABSENT && s == TG_ERR_ABSENT)
        return tg_context_note(r->cx, s,
                               "tg_train: %s has no checkpoint to go on from: neither last.h5 nor last.h5.1",
                               r->directory.path);
    if (s1 == TG_ERR_ABSENT)
        return tg_context_note(r->cx, s, "tg_train: there is no last.h5.1 to go back to: %.400s", why);
    if (s1) {
        char why1[sizeof why];
        snprintf(why1, sizeof why1, "%s", tg_context_message(r->cx));
        return tg_context_note(r->cx, s1, "tg_train: no checkpoint can be read: %.220s; %.220s", why, why1);
    }
    tg__run_tell(r, TG_LOG_WARNING, "%s; going back to the checkpoint before it, %s", why, before.s);
    r->mended = true;
    return TG_OK;
}

/* The rate that the run was begun with is in the file; the one that this call's optimizer was made
 * with is what counts. */
static void compare_rate(training_run *r)
{
    const tg_real then = tg_optimizer_rate(r->training->optimizer);
    if (then == r->base) return;
    tg__run_tell(r, TG_LOG_INFO, "the optimizer's rate was %g, now it is %g", (double)then, (double)r->base);
    tg_optimizer_set_rate(r->training->optimizer, r->base);
}

/* The same bits are promised for the same OpenBLAS core and the same SIMD variant only. */
static void compare_machine(training_run *r, const tg_archive *a, const char *path, const char *what,
                            const char *now)
{
    const char *then;
    if (!tg_archive_has(a, path) || tg_archive_get_text(a, path, &then) || !strcmp(then, now)) return;
    tg__run_tell(r, TG_LOG_WARNING,
                 "the checkpoint was made with %s %s, now it is %s: going on, but the last bits may differ",
                 what, then, now);
}

static tg_status restore(training_run *r, const tg_archive *a)
{
    const tg_training *g = r->training;
    tg_schedule schedule = r->schedule;
    tg_status s = tg_checkpoint_restore(a, &(tg_checkpoint){
                                               .params = g->params,
                                               .optimizer = g->optimizer,
                                               .schedule = g->schedule ? &schedule : NULL,
                                               .states = g->states,
                                               .n_states = g->n_states,
                                               .progress = &r->progress,
                                               .task = g->task,
                                           });
    if (s) return s;
    if (g->schedule) { /* its memory; the settings are those of this call */
        tg__schedule_recall(&r->schedule, &schedule);
        tg__schedule_recall(g->schedule, &schedule);
    }
    compare_rate(r);
    r->owes = g->validate && tg_archive_has(a, "training/validation_owed");
    if (tg_archive_has(a, "run/seconds")) s = tg_archive_get_number(a, "run/seconds", &r->seconds_before);
    if (!s) s = tg__history_get(r->cx, &r->history, a);
    if (s) return s;
    compare_machine(r, a, "run/openblas_core", "the OpenBLAS core", tg_blas_core());
    compare_machine(r, a, "run/simd_variant", "the SIMD variant", tg_simd_variant());
    if (g->restore) s = g->restore(g->user, a);
    return s ? s : tg_context_status(r->cx);
}

tg_status tg__run_resume(training_run *r)
{
    tg_archive *a = NULL;
    tg_status s = read_newest(r, &a);
    if (!s) s = restore(r, a);
    tg_archive_free(a);
    if (s) {
        r->resumed_from[0] = 0;
        return s;
    }
    r->saved = !r->mended;
    return TG_OK;
}
