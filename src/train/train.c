/* train/train.c -- the loop.
 *
 * What happens at a step, in this order, is what makes an interrupted run go on to the same bits:
 *
 *     one training step                 step_once(): loss, backward, clip, optimizer, accepted()
 *     a row of metrics.csv, if due      look_after(), with the validation if that is due
 *     best.h5, if the loss is the best
 *     last.h5, if due
 *     is it time to stop?               stop_reason()
 *
 * A row and a best.h5 that are newer than last.h5 are made again, the same, after a resume. The
 * validation that ends a run by steps or epochs belongs to its last step; a run that is stopped by
 * a signal or its time budget gets none that would not have been due, so that going on is exact. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "optim/optimizer.h"
#include "train/driver.h"

enum { MOST_BAD_STEPS = 5, GO_ON = -1 };

double tg__run_seconds(const training_run *r) { return r->seconds_before + tg__seconds() - r->begun; }

/* ---- one step ---- */

static tg_status begin_epoch(training_run *r)
{
    const tg_training *g = r->training;
    const tg_progress *p = &r->progress;
    if (!g->batches || r->batches) return TG_OK;
    r->batches = g->batches(g->user, p->epoch);
    const tg_status s = tg_context_status(r->cx);
    if (s) return s;
    if (r->batches < 1)
        return tg_context_note(r->cx, TG_ERR_DATA,
                               "tg_train: epoch %lld has %lld batches, it needs at least one",
                               (long long)p->epoch, (long long)r->batches);
    return TG_OK;
}

/* Forward, backward, update. TG_ERR_NUMBER while the context is fine: a loss or a norm that is not
 * finite; the parameters have not moved. */
static tg_status move(training_run *r, tg_at at, double *units)
{
    const tg_training *g = r->training;
    r->last_loss = r->last_norm = (double)NAN;
    tg_tape_begin(r->tape, TG_TRAIN);
    tg_tensor *loss = g->loss(g->user, r->tape, at, units);
    if (tg_context_ok(r->cx) && (!(*units >= 0) || isinf(*units)))
        return tg_context_note(r->cx, TG_ERR_ARGUMENT,
                               "tg_train: step %lld: the loss is said to be a mean over %g %s",
                               (long long)at.step, *units, r->talk.unit);
    if (loss && loss->data && tg_tensor_size(loss) == 1) r->last_loss = (double)*loss->data;
    const tg_status s = tg_tape_backward(r->tape, loss);
    if (s) return s;
    r->last_norm = (double)(g->clip_norm > 0 ? tg_params_clip_norm(g->params, g->clip_norm)
                                             : tg_params_gradient_norm(g->params));
    /* it refuses if the norm is not finite, and says whose gradient it is */
    return tg_optimizer_step(g->optimizer);
}

static void count_good(training_run *r, double units)
{
    tg_progress *p = &r->progress;
    p->bad_streak = 0;
    p->sum_loss += r->last_loss * units;
    p->sum_units += units;
    p->sum_norm += r->last_norm;
    p->sum_steps++;
    r->row_units += units;
}

static void count_bad(training_run *r, tg_at at)
{
    tg_progress *p = &r->progress;
    p->bad_streak++;
    p->skipped++;
    tg_params_zero_gradients(r->training->params);
    char why[sizeof r->cx->message];
    strcpy(why, tg_context_message(r->cx));
    tg__run_tell(r, TG_LOG_WARNING, "step %lld is skipped: %s", (long long)at.step, why);
}

static tg_status give_up(training_run *r)
{
    const tg_progress *p = &r->progress;
    return tg_context_note(
        r->cx, TG_ERR_NUMBER,
        "tg_train: %d steps in a row, %lld to %lld, were not finite (the last one's loss is %g, its "
        "gradient's norm %g): the parameters are as they were before; a lower learning rate or clip_norm may "
        "help",
        p->bad_streak, (long long)(p->step - p->bad_streak), (long long)(p->step - 1), r->last_loss,
        r->last_norm);
}

static tg_status step_once(training_run *r)
{
    const tg_training *g = r->training;
    tg_progress *p = &r->progress;
    tg_status s = begin_epoch(r);
    if (s) return s;
    const double begun = tg__seconds();
    const tg_at at = { p->step, p->epoch, p->position };
    double units = 1;
    tg_context_set_step(r->cx, at.step); /* random streams are keyed by it */
    tg_optimizer_set_rate(g->optimizer, r->rate = tg_schedule_rate(&r->schedule, at.step));
    s = move(r, at, &units);
    const bool skipped = s == TG_ERR_NUMBER && tg_context_ok(r->cx);
    if (s && !skipped) return s;
    if (skipped)
        count_bad(r, at);
    else
        count_good(r, units);

    p->step++;
    p->position++;
    r->saved = false;
    r->steps_here++;
    if (p->position == r->batches) p->epoch++, p->position = 0, r->batches = 0;
    if (!skipped && g->accepted) g->accepted(g->user, at);
    tg_context_set_step(r->cx, p->step);
    r->row_seconds += tg__seconds() - begun;
    s = tg_context_status(r->cx); /* accepted() may have failed */
    if (s) return s;
    return p->bad_streak >= MOST_BAD_STEPS ? give_up(r) : TG_OK;
}

/* ---- what is due after a step ---- */

static bool epoch_has_ended(const training_run *r)
{
    return r->training->batches && r->progress.step && !r->progress.position;
}

static bool every(const training_run *r, int64_t steps)
{
    return steps ? r->progress.step % steps == 0 : epoch_has_ended(r);
}

static bool is_done(const training_run *r)
{
    const tg_training *g = r->training;
    return (g->steps && r->progress.step >= g->steps) || (g->epochs && r->progress.epoch >= g->epochs);
}

static bool validation_is_due(const training_run *r)
{
    return r->training->validate && (every(r, r->training->valid_every) || is_done(r) || r->owes);
}

/* A run that was killed after it saved best.h5, and before last.h5, comes to the same losses again. If it
 * does not, because something was changed for the resume, what best.h5 holds counts as the best. */
static void remember_best(training_run *r, double loss)
{
    tg_progress *p = &r->progress;
    const best_model *b = &r->best;
    const bool again = p->step < b->step || (p->step == b->step && loss == b->loss);
    if (b->loss < p->best && !again) p->best = b->loss, p->best_step = b->step;
}

/* Counts a validation loss; true: it is the lowest so far. One that is not finite never is. */
static bool count_validation(training_run *r, double loss)
{
    tg_progress *p = &r->progress;
    if (!p->validated) p->validated = true, p->best = INFINITY, p->best_step = p->step, p->waited = 0;
    remember_best(r, loss);
    const bool better = isfinite(loss) && loss < p->best;
    p->last_valid = loss;
    p->waited = better ? 0 : p->waited + 1;
    if (better) p->best = loss, p->best_step = p->step;
    tg_schedule_validated(&r->schedule, loss);
    if (r->training->schedule) tg__schedule_recall(r->training->schedule, &r->schedule);
    return better;
}

/* *best: the model belongs into best.h5. */
static tg_status validate(training_run *r, metrics_row *row, bool *best)
{
    const tg_training *g = r->training;
    double loss = (double)NAN;
    tg_status s = g->validate(g->user, r->valid_tape, &loss);
    if (!s) s = tg_context_status(r->cx);
    tg_context_set_step(r->cx, r->progress.step);
    if (s) return s;
    if (!isfinite(loss))
        tg__run_tell(r, TG_LOG_WARNING, "step %lld: the validation loss is %g", (long long)r->progress.step,
                     loss);
    row->has_valid = true;
    row->valid_loss = loss;
    const bool lowest = count_validation(r, loss);
    *best = isfinite(loss) && (loss < r->best.loss || (lowest && loss == r->best.loss));
    return tg__history_add(r->cx, &r->history, r->progress.step, loss);
}

/* The row of this step but for the validation. */
static metrics_row row_of(const training_run *r)
{
    const tg_progress *p = &r->progress;
    metrics_row row = { .step = p->step, .lr = (double)r->rate, .seconds = tg__run_seconds(r) };
    if (r->training->batches) row.epoch = p->epoch + (epoch_has_ended(r) ? 0 : 1);
    row.has_train = p->sum_steps > 0 && p->sum_units > 0;
    if (row.has_train)
        row.train_loss = p->sum_loss / p->sum_units, row.grad_norm = p->sum_norm / (double)p->sum_steps;
    row.has_speed = r->row_seconds > 0;
    if (row.has_speed) row.units_per_second = r->row_units / r->row_seconds;
    return row;
}

static void begin_row(training_run *r, const metrics_row *row)
{
    tg_progress *p = &r->progress;
    p->sum_loss = p->sum_units = p->sum_norm = 0;
    p->sum_steps = 0;
    r->row_units = r->row_seconds = 0;
    if (row->has_train) r->last_mean = row->train_loss;
}

/* Lets the run go on after a write that failed and may succeed later. */
static tg_status pass(training_run *r, tg_status s)
{
    if (!tg__run_may_try_again(r, s)) return s;
    char why[sizeof r->cx->message];
    strcpy(why, tg_context_message(r->cx));
    tg__run_tell(r, TG_LOG_WARNING, "step %lld: %s; training goes on, and the file is tried again later",
                 (long long)r->progress.step, why);
    return TG_OK;
}

static tg_status log_row(training_run *r)
{
    const int64_t log_every = r->training->log_every ? r->training->log_every : 10;
    const bool valid = validation_is_due(r);
    if (!valid && r->progress.step % log_every && !is_done(r)) return TG_OK;
    metrics_row row = row_of(r);
    bool best = false;
    const tg_status s = valid ? validate(r, &row, &best) : TG_OK;
    if (s) return s;
    r->owes = false;
    r->saved = false;
    row.seconds = tg__run_seconds(r);
    begin_row(r, &row);
    tg__run_tell_log(r, tg__metrics_write(&r->metrics, &row));
    tg__talk_row(&r->talk, &row, best);
    return best ? pass(r, tg__run_save_best(r, row.valid_loss)) : TG_OK;
}

static bool signal_came(const training_run *r) { return r->training->catch_signals && tg__signals_caught(); }

static tg_status look_after(training_run *r)
{
    if (signal_came(r) && validation_is_due(r)) { /* it may take long: the one who goes on does it */
        r->owes = true;
        r->saved = false;
        return TG_OK;
    }
    tg_status s = log_row(r);
    if (s || !every(r, r->training->checkpoint_every)) return s;
    s = pass(r, tg__run_write_best(r));
    return s ? s : pass(r, tg__run_save_last(r));
}

static int stop_reason(const training_run *r)
{
    const tg_training *g = r->training;
    if (signal_came(r)) return TG_STOP_SIGNAL;
    if (is_done(r)) return TG_STOP_DONE;
    if (g->patience && r->progress.waited >= g->patience) return TG_STOP_PATIENCE;
    if (g->seconds > 0 && tg__seconds() - r->begun >= g->seconds) return TG_STOP_TIME;
    return GO_ON;
}

/* ---- the bar ---- */

static void draw(training_run *r)
{
    if (!tg__talk_bar_is_due(&r->talk)) return;
    const tg_progress *p = &r->progress;
    const tg_training *g = r->training;
    const double each = (tg__seconds() - r->begun) / (double)r->steps_here;
    talk_bar bar = {
        .step = p->step, .steps = r->total, .epochs = g->epochs, .lr = (double)r->rate, .left = (double)NAN
    };
    if (g->batches) bar.epoch = p->epoch + (epoch_has_ended(r) ? 0 : 1);
    bar.loss = p->sum_units > 0 ? p->sum_loss / p->sum_units : r->last_mean;
    bar.units_per_second = r->row_seconds > 0 ? r->row_units / r->row_seconds : (double)NAN;
    if (r->total > p->step) bar.left = each * (double)(r->total - p->step);
    if (g->seconds > 0 && !(bar.left <= g->seconds - (tg__seconds() - r->begun)))
        bar.left = g->seconds - (tg__seconds() - r->begun);
    if (bar.left < 0) bar.left = 0;
    tg__talk_draw(&r->talk, &bar);
}

/* ---- beginning, going on, ending ---- */

/* A new run has a checkpoint at once, so that whatever happens from here on can be resumed, and a
 * full disk shows now, before an old run's files are gone. */
static tg_status begin_anew(training_run *r)
{
    const tg_training *g = r->training;
    tg_status s = g->force ? TG_OK : tg__run_must_be_new(&r->directory);
    if (!s) s = begin_epoch(r);
    if (s) return s;
    tg__schedule_recall(&r->schedule, &(tg_schedule){ .seen = false });
    if (g->schedule) tg__schedule_recall(g->schedule, &r->schedule);
    s = tg__metrics_open(&r->metrics, &r->directory, false, 0);
    if (!s) s = tg__run_save_first(r);
    if (!s) tg__run_tell_log(r, tg__metrics_sync(&r->metrics));
    return s;
}

/* Where the run goes on in its data. */
static tg_status go_on_in_epoch(training_run *r)
{
    tg_progress *p = &r->progress;
    if (is_done(r)) return TG_OK;
    const tg_status s = begin_epoch(r);
    if (s || !r->batches || p->position < r->batches) return s;
    tg__run_tell(
        r, TG_LOG_INFO,
        "%lld batches of epoch %lld have been taken, and now it has only %lld: the next epoch begins",
        (long long)p->position, (long long)p->epoch + 1, (long long)r->batches);
    p->epoch++, p->position = 0, r->batches = 0;
    r->saved = false;
    if (!is_done(r)) return begin_epoch(r);
    r->owes = r->training->validate != NULL; /* the one that ends the run */
    return TG_OK;
}

/* The settings of the schedule come from this call, and its progress from the checkpoint. */
static void go_on_with_schedule(training_run *r)
{
    const tg_training *g = r->training;
    tg_schedule *s = &r->schedule;
    const tg_schedule *then = &r->schedule_then;
    const int64_t at = r->progress.step;
    if (!g->schedule) return;
    const int64_t end = g->schedule->period > 0 ? (s->warmup > 0 ? s->warmup : 0) + s->period : r->total;
    const bool changed = tg__schedule_follow(s, then, at, end);
    tg__schedule_recall(g->schedule, s);
    if (!changed || is_done(r)) return;
    const char *name = tg_schedule_name(s->kind);
    const double rate = (double)tg_schedule_rate(s, at);
    if (tg__schedule_has_ended(s, at))
        tg__run_tell(r, TG_LOG_WARNING,
                     "the schedule %s has ended: the rate stays at %g; a different rate would restart it",
                     name, rate);
    else if (s->kind == TG_COSINE)
        tg__run_tell(r, TG_LOG_INFO, "the schedule %s goes on from the rate %g, and ends at step %lld", name,
                     rate, (long long)end);
    else
        tg__run_tell(r, TG_LOG_INFO, "the schedule %s goes on from the rate %g, with a period of %lld steps",
                     name, rate, (long long)s->period);
}

static tg_status go_on(training_run *r)
{
    tg_status s = tg__run_resume(r);
    if (s) return s;
    const tg_progress *p = &r->progress;
    tg_context_set_step(r->cx, p->step);
    tg__run_tell(r, TG_LOG_INFO, "going on after step %lld, from %s", (long long)p->step, r->resumed_from);
    s = go_on_in_epoch(r);
    if (s) return s;
    r->total = tg__training_end(r->training, p, r->batches);
    go_on_with_schedule(r);
    return tg__metrics_open(&r->metrics, &r->directory, true, p->step);
}

static void advise(training_run *r)
{
    const tg_schedule *s = &r->schedule;
    const int patience = s->patience > 0 ? s->patience : s->patience < 0 ? 0 : TG__PLATEAU_PATIENCE;
    if (s->kind == TG_PLATEAU && r->training->patience && r->training->patience <= patience)
        tg__run_tell(
            r, TG_LOG_WARNING,
            "the schedule plateau will not lower the rate: it waits for %d validations without a better "
            "loss, and after %d the run ends",
            patience + 1, r->training->patience);
}

static tg_status prepare(training_run *r)
{
    const tg_training *g = r->training;
    if (!tg__params_freeze(g->params)) return tg_context_status(r->cx);
    tg_status s = tg__training_schedule(g, r->base, &r->schedule);
    if (!s) s = tg__run_open(&r->directory, r->cx, g->directory, !g->resume);
    if (s) return s;
    r->tape = tg_tape_new(r->cx);
    r->valid_tape = tg_tape_new(r->cx);
    if (!tg_context_ok(r->cx)) return tg_context_status(r->cx);
    tg_params_zero_gradients(g->params);
    s = g->resume ? go_on(r) : begin_anew(r);
    r->total = tg__training_end(g, &r->progress, r->batches);
    if (!s) advise(r);
    return s;
}

static tg_status run(training_run *r, int *reason)
{
    tg_status s = r->owes ? look_after(r) : TG_OK;
    while (!s && (*reason = stop_reason(r)) == GO_ON) {
        s = step_once(r);
        if (!s) s = look_after(r);
        if (!s) draw(r);
    }
    return s;
}

/* Saves what is not saved yet, in two attempts. After an error `s` of the run itself last.h5 stays as it is. */
static tg_status finish(training_run *r, tg_status s)
{
    enum { ATTEMPTS = 2 };
    char said[sizeof r->cx->message], why[sizeof r->cx->message] = "";
    strcpy(said, tg_context_message(r->cx));
    tg_status log = TG_OK, best = TG_OK, last = TG_OK;
    for (int i = 0; i < ATTEMPTS && (!i || log || best || last); i++) {
        log = s && !r->steps_here ? TG_OK : tg__metrics_sync(&r->metrics);
        if (log) strcpy(why, tg_context_message(r->cx));
        best = tg__run_write_best(r);
        if (best) strcpy(why, tg_context_message(r->cx));
        last = s ? TG_OK : tg__run_save_last(r);
        if (last) strcpy(why, tg_context_message(r->cx));
        if (last && !tg__run_may_try_again(r, last)) return last;
    }
    if (s) return tg_context_note(r->cx, s, "%s", said);
    const tg_status bad = last ? last : best ? best : log;
    if (!bad) return TG_OK;
    return tg_context_note(r->cx, bad, "tg_train: after step %lld%s%s%s could not be written: %.400s",
                           (long long)r->progress.step, last ? " last.h5" : "", best ? " best.h5" : "",
                           log ? " metrics.csv" : "", why);
}

static void farewell(training_run *r, int reason, bool already)
{
    static const char *const why[] = { [TG_STOP_DONE] = "done",
                                       [TG_STOP_PATIENCE] = "no better validation loss",
                                       [TG_STOP_TIME] = "time is up" };
    const tg_progress *p = &r->progress;
    const bool validated = p->validated && isfinite(p->best),
               newer = isfinite(r->best.loss) && (!validated || r->best.loss < p->best);
    char what[128];
    snprintf(what, sizeof what, "%s", already ? "nothing to do, the run is complete" : why[reason]);
    if (already && !is_done(r))
        snprintf(what, sizeof what,
                 "nothing to do, patience has ended the run (%d validations without a better loss)",
                 p->waited);
    if (validated || newer)
        tg__run_tell(r, TG_LOG_INFO, "%s: %lld step%s, the best validation loss is %.4g at step %lld", what,
                     (long long)p->step, p->step == 1 ? "" : "s", newer ? r->best.loss : p->best,
                     (long long)(newer ? r->best.step : p->best_step));
    else
        tg__run_tell(r, TG_LOG_INFO, "%s: %lld step%s", what, (long long)p->step, p->step == 1 ? "" : "s");
}

static tg_status interrupted(training_run *r, int number)
{
    const char *directory = r->directory.path;
    tg__run_tell(r, TG_LOG_INFO, "stopped by %s after step %lld", tg__signal_name(number),
                 (long long)r->progress.step);
    return tg_context_note(
        r->cx, TG_ERR_INTERRUPTED, "tg_train: %s stopped the training after step %lld%s%.300s%s",
        tg__signal_name(number), (long long)r->progress.step, directory ? "; it can be resumed from " : "",
        directory ? directory : "", directory ? "/last.h5" : "");
}

static void fill(tg_training_result *result, const training_run *r, int reason, int number)
{
    if (!result) return;
    const tg_progress *p = &r->progress;
    *result = (tg_training_result){
        .progress = *p, .reason = (tg_stop_reason)reason, .signal = number, .train_loss = r->last_mean
    };
    if (p->sum_units > 0) result->train_loss = p->sum_loss / p->sum_units;
    result->seconds = tg__seconds() - r->begun;
    memcpy(result->resumed_from, r->resumed_from, sizeof result->resumed_from);
}

static void let_go(training_run *r)
{
    if (r->tape) tg__arena_free(&r->tape->memory);
    if (r->valid_tape) tg__arena_free(&r->valid_tape->memory);
    tg_params_zero_gradients(r->training->params);
    /* not the last step's: the next run starts from it, also if this one ended in an error */
    tg__optimizer_restore(r->training->optimizer, tg_optimizer_steps(r->training->optimizer),
                          (double)r->base);
    tg__metrics_close(&r->metrics);
    tg_archive_free(r->best.unsaved);
    tg__history_free(r->cx, &r->history);
    tg__run_close(&r->directory);
    tg__talk_close(&r->talk);
}

tg_status tg_train(const tg_training *training, tg_training_result *result)
{
    if (result) *result = (tg_training_result){ .reason = TG_STOP_ERROR };
    tg_status s = tg__training_check(training);
    if (s) return s;
    tg_context *cx = training->params->cx;
    training_run r = { .training = training,
                       .cx = cx,
                       .directory = { cx, NULL, -1 },
                       .metrics = { .cx = cx, .fd = -1 },
                       .best = { .loss = INFINITY },
                       .last_mean = (double)NAN };
    r.base = r.rate = tg_optimizer_rate(training->optimizer);
    r.begun = tg__seconds();
    s = tg_context_status(cx);
    if (!s && training->catch_signals) s = tg__signals_catch(cx);
    if (s) return s;
    tg__talk_open(&r.talk, training->talk, training->unit);

    int reason = TG_STOP_ERROR, number = 0;
    s = prepare(&r);
    const bool already = !s && training->resume && !r.owes &&
                         (is_done(&r) || (training->patience && r.progress.waited >= training->patience));
    r.begun = tg__seconds();
    if (!s) s = finish(&r, run(&r, &reason));
    if (training->catch_signals) number = tg__signals_release();
    if (s)
        reason = r.progress.bad_streak >= MOST_BAD_STEPS ? TG_STOP_NOT_FINITE : TG_STOP_ERROR;
    else if (number)
        reason = TG_STOP_SIGNAL, s = interrupted(&r, number);
    else
        farewell(&r, reason, already);
    fill(result, &r, reason, number);
    let_go(&r);
    return s;
}
