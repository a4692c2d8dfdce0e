/* train/settings.c -- is what was asked for possible, and what do its zeros mean? */
#include <math.h>

#include "optim/optimizer.h"
#include "train/driver.h"

tg_status tg__training_check(const tg_training *g)
{
    if (!g || !g->params) return TG_ERR_ARGUMENT; /* nowhere to leave a sentence */
    tg_context *cx = g->params->cx;
    const bool plateau = g->schedule && g->schedule->kind == TG_PLATEAU;
    const struct {
        bool broken;
        const char *sentence;
    } rules[] = {
        { !g->optimizer, "an optimizer is missing" },
        { g->optimizer && tg__optimizer_params(g->optimizer) != g->params,
          "the optimizer was made for another parameter set" },
        { !g->loss, "a loss is missing: the function that makes the loss of a batch" },
        { g->params->source,
          "the parameter set is shared, its values are read only: train the set that it shares" },
        { g->steps < 0 || g->epochs < 0, "steps and epochs must not be negative" },
        { !g->steps && !g->epochs,
          "one of steps and epochs must be given: nothing else would end the training" },
        { g->epochs && !g->batches,
          "epochs are given, but no batches: the function that tells how many make an epoch" },
        { !(g->seconds >= 0), "seconds must be positive, or 0 for no limit" },
        { !(g->clip_norm >= 0 || g->clip_norm == TG_ZERO) || isinf(g->clip_norm),
          "clip_norm must be positive, or 0 for no clipping" },
        { g->log_every < 0, "log_every must not be negative" },
        { g->valid_every < 0, "valid_every must not be negative" },
        { g->checkpoint_every < 0, "checkpoint_every must not be negative" },
        { g->patience < 0, "patience must not be negative" },
        { g->valid_every && !g->validate,
          "valid_every is given, but no validate: the function that makes the validation loss" },
        { g->patience && !g->validate,
          "patience is given, but no validate: without validations there is nothing to wait for" },
        { plateau && !g->validate, "the schedule TG_PLATEAU needs validate: it goes by the validation loss" },
        { g->n_states < 0, "n_states must not be negative" },
        { g->n_states && !g->states, "n_states is given, but no states" },
        { g->states && !g->states[0].h, "states are given, but the first one has no h" },
        { g->resume && g->force, "resume and force contradict each other: go on, or begin anew" },
        { g->resume && !g->directory, "resume needs the directory of the run" },
        { g->other_validation && !g->resume, "other_validation is for a run that goes on: it needs resume" },
        { g->directory && !*g->directory, "the directory's name is empty" },
    };
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (rules[i].broken) return tg_context_note(cx, TG_ERR_ARGUMENT, "tg_train: %s", rules[i].sentence);
    return g->schedule ? tg__schedule_check(cx, "tg_train", g->schedule) : TG_OK;
}

int64_t tg__training_end(const tg_training *g, const tg_progress *p, int64_t batches)
{
    int64_t end = g->steps, by_epochs;
    if (g->epochs && batches > 0 && !__builtin_mul_overflow(g->epochs - p->epoch, batches, &by_epochs) &&
        !__builtin_add_overflow(by_epochs, p->step - p->position, &by_epochs))
        if (!end || by_epochs < end) end = by_epochs;
    return end;
}

tg_status tg__training_schedule(const tg_training *g, tg_real base, tg_schedule *schedule)
{
    *schedule = g->schedule ? *g->schedule : (tg_schedule){ .kind = TG_CONSTANT };
    if (schedule->lr == 0) schedule->lr = base;
    const tg_schedule_kind kind = schedule->kind;
    if (schedule->period || (kind != TG_STEP && kind != TG_EXPONENTIAL && kind != TG_COSINE)) return TG_OK;
    const int64_t batches = g->batches ? g->batches(g->user, 0) : 0;
    const int64_t total = tg__training_end(g, &(tg_progress){ 0 }, batches),
                  after = total - (schedule->warmup > 0 ? schedule->warmup : 0);
    schedule->period = kind != TG_COSINE ? batches
                       : after > 0       ? after
                                         : total; /* it reaches min as the run ends */
    if (schedule->period > 0) return TG_OK;
    return tg_context_note(g->params->cx, TG_ERR_ARGUMENT,
                           "tg_train: the schedule %s has no period, and there are no epochs to take it from",
                           tg_schedule_name(kind));
}
