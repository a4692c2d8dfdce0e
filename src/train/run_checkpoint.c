/* train/run_checkpoint.c -- what a run saves, and how it goes on. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <tidegate/blas.h>
#include <tidegate/text.h>

#include "checkpoint/layout.h"
#include "hdf5/calls.h"
#include "hdf5/sealed.h"
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
    if (r->validation_set) tg_archive_put_integer(a, "training/validation_set", r->validation_set);
    const tg_status s = g->save ? g->save(g->user, a) : TG_OK;
    return s ? s : tg_archive_status(a);
}

/* What a checkpoint of the run holds now. The optimizer's rate in it is the base rate, not the schedule's of
 * this step: that is what a program must make the optimizer with to go on. */
static tg_status gather(training_run *r, const char *path, tg_archive **a)
{
    const tg_training *g = r->training;
    tg_archive *also = tg_archive_new(r->cx);
    *a = NULL;
    if (!also) return TG_ERR_MEMORY;
    tg_status s = put_run(r, also);
    if (!s) s = tg_context_status(r->cx); /* a callback's */
    tg_optimizer_set_rate(g->optimizer, r->base);
    if (!s)
        s = tg__checkpoint_gather(path,
                                  &(tg_checkpoint){
                                      .params = g->params,
                                      .optimizer = g->optimizer,
                                      .schedule = g->schedule ? &r->schedule : NULL,
                                      .states = g->states,
                                      .n_states = g->n_states,
                                      .progress = &r->progress,
                                      .task = g->task,
                                      .also = also,
                                  },
                                  a);
    tg_optimizer_set_rate(g->optimizer, r->rate);
    tg_archive_free(also);
    return s;
}

bool tg__run_may_try_again(const training_run *r, tg_status s)
{
    return (s == TG_ERR_IO || s == TG_ERR_EXISTS || s == TG_ERR_MEMORY) && tg_context_ok(r->cx);
}

void tg__run_tell_log(training_run *r, tg_status s)
{
    if (s && !r->log_fails)
        tg__run_tell(r, TG_LOG_WARNING,
                     "step %lld: %s; the rows are kept, and written as soon as that is possible",
                     (long long)r->progress.step, tg_context_message(r->cx));
    if (!s && r->log_fails)
        tg__run_tell(r, TG_LOG_INFO, "step %lld: metrics.csv can be written again",
                     (long long)r->progress.step);
    r->log_fails = s != TG_OK;
}

tg_status tg__run_save_first(training_run *r)
{
    static const char new[] = "new.h5";
    if (!r->directory.path) return TG_OK;
    const run_path path = tg__run_path(&r->directory, new);
    tg_archive *a;
    tg_status s = gather(r, path.s, &a);
    if (!s) s = tg__sealed_save(r->cx, a, path.s, false);
    if (a && tg__run_may_try_again(r, s)) s = tg__sealed_save(r->cx, a, path.s, false);
    tg_archive_free(a);
    if (s) return s;
    s = tg__run_replace(&r->directory, new);
    if (s) tg__file_calls->unlink(path.s); /* unless it has been renamed already */
    r->saved = !s;
    return s;
}

tg_status tg__run_save_last(training_run *r)
{
    if (!r->directory.path || r->saved) return TG_OK;
    tg__run_tell_log(r, tg__metrics_sync(&r->metrics)); /* a checkpoint counts on the rows before it */
    const run_path path = tg__run_path(&r->directory, "last.h5");
    tg_archive *a;
    tg_status s = gather(r, path.s, &a);
    if (!s) s = tg__sealed_save(r->cx, a, path.s, !r->mended);
    tg_archive_free(a);
    if (s) return s;
    r->mended = false;
    r->saved = true;
    return TG_OK;
}

tg_status tg__run_save_best(training_run *r, double loss)
{
    best_model *b = &r->best;
    if (r->directory.path) {
        tg_archive *a;
        const tg_status s = gather(r, tg__run_path(&r->directory, "best.h5").s, &a);
        if (s) return s;
        tg_archive_free(b->unsaved);
        b->unsaved = a;
    }
    b->loss = loss;
    b->step = r->progress.step;
    return tg__run_write_best(r);
}

tg_status tg__run_write_best(training_run *r)
{
    best_model *b = &r->best;
    if (!b->unsaved) return TG_OK;
    const tg_status s = tg__sealed_save(r->cx, b->unsaved, tg__run_path(&r->directory, "best.h5").s, false);
    if (s) return s;
    tg_archive_free(b->unsaved);
    b->unsaved = NULL;
    return TG_OK;
}

/* ---- going on ---- */

/* Not if last.h5 is something else than a file: it could not be replaced later. */
static bool another_file_may_do(tg_status s, const char *path)
{
    struct stat is;
    return s == TG_ERR_ABSENT || s == TG_ERR_DAMAGED || s == TG_ERR_FORMAT ||
           (s == TG_ERR_IO && !tg__file_calls->stat(path, &is) && S_ISREG(is.st_mode));
}

/* Reads last.h5, or last.h5.1 if that is missing, damaged, or cannot be read. */
static tg_status read_newest(training_run *r, tg_archive **a)
{
    const run_path last = tg__run_path(&r->directory, "last.h5"),
                   before = tg__run_path(&r->directory, "last.h5.1");
    snprintf(r->resumed_from, sizeof r->resumed_from, "%.255s", last.s);
    const tg_status s = tg_checkpoint_read(r->cx, last.s, a);
    if (!s || !another_file_may_do(s, last.s)) return s;

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

static int64_t validation_set_of(const tg_archive *a)
{
    static const char path[] = "training/validation_set";
    int64_t set = 0;
    return tg_archive_has(a, path) && !tg_archive_get_integer(a, path, &set) && set > 0 ? set : 0;
}

/* What best.h5 holds; a crash may have left it newer than last.h5. -> the set of validation data that it is the
 * best on. */
static int64_t find_best(training_run *r)
{
    const run_path path = tg__run_path(&r->directory, "best.h5");
    tg_archive *a;
    double loss;
    int64_t step;
    const tg_status s = tg_checkpoint_read(r->cx, path.s, &a);
    if (s && s != TG_ERR_ABSENT) tg__run_tell(r, TG_LOG_WARNING, "%s", tg_context_message(r->cx));
    if (s) { /* one that could not be read now may be whole */
        if ((s == TG_ERR_IO || s == TG_ERR_MEMORY) && r->progress.validated) r->best.loss = r->progress.best;
        return 0;
    }
    const int64_t set = validation_set_of(a);
    if (set == r->validation_set && tg_archive_has(a, "training/best") &&
        tg_archive_has(a, "training/best_step") && !tg_archive_get_number(a, "training/best", &loss) &&
        !tg_archive_get_integer(a, "training/best_step", &step) && isfinite(loss))
        r->best.loss = loss, r->best.step = step;
    tg_archive_free(a);
    return set;
}

/* Losses on other data cannot be compared with those before. */
static void begin_validation_anew(training_run *r, int64_t set_of_best)
{
    tg_progress *p = &r->progress;
    p->validated = false;
    p->best = p->last_valid = 0;
    p->best_step = p->waited = 0;
    r->schedule_then.seen = false;
    r->schedule_then.bad = 0;
    r->best.loss = INFINITY;
    r->validation_set = 1 + (set_of_best > r->validation_set ? set_of_best : r->validation_set);
    r->saved = false;
    tg__run_tell(r, TG_LOG_INFO,
                 "the validation data have changed: the best loss, patience and plateau start over");
}

static tg_status restore(training_run *r, const tg_archive *a)
{
    const tg_training *g = r->training;
    tg_status s = tg_checkpoint_restore(a, &(tg_checkpoint){
                                               .params = g->params,
                                               .optimizer = g->optimizer,
                                               .schedule = g->schedule ? &r->schedule_then : NULL,
                                               .states = g->states,
                                               .n_states = g->n_states,
                                               .progress = &r->progress,
                                               .task = g->task,
                                           });
    if (s) return s;
    const int64_t last = r->progress.step - 1; /* a row that is owed tells its rate */
    if (last >= 0)
        r->rate = g->schedule ? tg_schedule_rate(&r->schedule_then, last) : tg_optimizer_rate(g->optimizer);
    compare_rate(r);
    r->owes = g->validate && tg_archive_has(a, "training/validation_owed");
    r->validation_set = validation_set_of(a);
    if (tg_archive_has(a, "run/seconds")) s = tg_archive_get_number(a, "run/seconds", &r->seconds_before);
    if (!s && !(r->seconds_before >= 0 && isfinite(r->seconds_before)))
        s = tg_context_note(r->cx, TG_ERR_FORMAT, "tg_train: %s: 'run/seconds' is %g", r->resumed_from,
                            r->seconds_before);
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
    if (!r->training->validate) return TG_OK;
    const int64_t set = find_best(r);
    if (r->training->other_validation) begin_validation_anew(r, set);
    return TG_OK;
}
