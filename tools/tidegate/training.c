/* tools/tidegate/training.c -- a run of the training driver over parallel text. */
#include "training.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- data ---- */

static void tell_left_out(const data_file *f, int64_t count, int64_t first, const char *one, const char *many)
{
    if (count > 0)
        warn("%s: %" PRId64 " %s (the first in line %" PRId64 ")", f->path, count, count == 1 ? one : many,
             first);
}

bool training_read(training *t, data_file *f, const char *role, const char *path)
{
    const training_settings *o = &t->settings;
    const tg_pairs_config config = { t->source_tokenizer, (int)o->max_length, t->target_tokenizer };
    char longer[80], all_longer[80], *absolute;
    f->role = role;
    f->path[0] = 0;
    if (!path) return true;
    if (tg_pairs_read(t->cx, path, &config, &f->pairs, &f->info)) return fail_context(t->cx), false;
    absolute = realpath(path, NULL);
    if (!absolute || strlen(absolute) >= sizeof f->path) {
        free(absolute);
        return fail("%s: no absolute path: %s", path, strerror(errno)), false;
    }
    strcpy(f->path, absolute);
    free(absolute);
    if (!o->quiet) tell("%s: %" PRId64 " pair%s", path, f->info.pairs, PLURAL(f->info.pairs));
    snprintf(longer, sizeof longer, "pair longer than %" PRId64 " tokens is left out", o->max_length);
    snprintf(all_longer, sizeof all_longer, "pairs longer than %" PRId64 " tokens are left out",
             o->max_length);
    tell_left_out(f, f->info.too_long, f->info.first_too_long, longer, all_longer);
    tell_left_out(f, f->info.extra_columns, f->info.first_extra_column,
                  "line has more than two columns: only two are read",
                  "lines have more than two columns: only two are read");
    if (!o->quiet && f->info.repeated_sources)
        tell("%s: %" PRId64 " source%s came before (the first in line %" PRId64 "); all pairs are kept", path,
             f->info.repeated_sources, PLURAL(f->info.repeated_sources), f->info.first_repeated);
    return true;
}

tg_status data_put(const data_file *f, tg_archive *a)
{
    char path[64], digest[32];
    if (!f->path[0]) return TG_OK;
    snprintf(path, sizeof path, "data/%s/path", f->role);
    tg_archive_put_text(a, path, f->path);
    snprintf(path, sizeof path, "data/%s/size", f->role);
    tg_archive_put_integer(a, path, f->info.bytes);
    snprintf(path, sizeof path, "data/%s/pairs", f->role);
    tg_archive_put_integer(a, path, f->info.pairs);
    snprintf(path, sizeof path, "data/%s/digest", f->role);
    snprintf(digest, sizeof digest, "xxh64:%016" PRIx64, f->info.digest);
    return tg_archive_put_text(a, path, digest);
}

bool data_same(const data_file *f, const tg_archive *a, char *why, size_t bytes)
{
    char path[64], digest[32];
    const char *then = "";
    int64_t size = 0;
    snprintf(path, sizeof path, "data/%s/digest", f->role);
    const bool known = tg_archive_get_text(a, path, &then) == TG_OK;
    snprintf(path, sizeof path, "data/%s/size", f->role);
    if (!known || tg_archive_get_integer(a, path, &size)) size = -1;
    snprintf(digest, sizeof digest, "xxh64:%016" PRIx64, f->info.digest);
    if (size == f->info.bytes && strcmp(then, digest) == 0) return true;
    snprintf(why, bytes,
             "%s: this is not the data that the run began with (%" PRId64 " bytes, %s; then %" PRId64
             " bytes, %s); say --%s FILE to go on with other data",
             f->path, f->info.bytes, digest, size, then, f->role);
    return false;
}

/* ---- what the driver asks for ---- */

/* How much of the run is done, from 0 to 1, for the schedule of sampling. If both epochs and steps are limited, the limit
 * that ends the run first counts. */
static double share_done(const training *t, tg_at at)
{
    const training_settings *o = &t->settings;
    const double epochs = (double)at.epoch + (double)at.batch / (double)tg_batches_count(t->train.batches);
    const double by_steps = o->steps ? (double)at.step / (double)o->steps : 0;
    const double by_epochs = o->epochs ? epochs / (double)o->epochs : 0;
    return fmax(by_steps, by_epochs);
}

/* Puts in place of some true words of the batch what the decoder itself would say. On failure the context remembers. */
static void mix_own_words(training *t, tg_at at, tg_pair_batch *batch)
{
    const training_settings *o = &t->settings;
    const double p = tg_sampling_rate((tg_sampling_schedule)o->sampling, o->sampling_rate, share_done(t, at));
    int *mixed = realloc(t->mixed, (size_t)batch->T * (size_t)batch->B * sizeof *mixed);
    if (!mixed) {
        tg_context_fail(t->cx, TG_ERR_MEMORY, "out of memory: a batch of %d by %d words", batch->T, batch->B);
        return;
    }
    t->mixed = mixed;
    const tg_status s = tg_encoder_decoder_sample(t->translator.model, batch, p, mixed);
    if (s) tg_context_fail(t->cx, s, "scheduled sampling: %s", tg_context_message(t->cx));
    batch->target_in = mixed;
}

static tg_tensor *batch_loss(void *user, tg_tape *tape, tg_at at, double *units)
{
    training *t = user;
    tg_pair_batch batch;
    tg_batches_get(t->train.batches, at.epoch, at.batch, &batch);
    *units = (double)batch.target_tokens;
    if (t->settings.sampling) mix_own_words(t, at, &batch);
    return tg_encoder_decoder_loss(t->translator.model, tape, &batch, (tg_real)t->settings.label_smoothing);
}

static int64_t batches_in_epoch(void *user, int64_t epoch)
{
    (void)epoch;
    return tg_batches_count(((training *)user)->train.batches);
}

static tg_status validation_loss(void *user, tg_tape *tape, double *loss)
{
    training *t = user;
    (void)tape; /* the translator has its own */
    return tg_translator_loss(&t->translator, t->valid.batches, loss);
}

/* The model, the settings and the data: with them `resume` needs only the directory. */
static tg_status save_beside(void *user, tg_archive *a)
{
    const training *t = user;
    tg_status s = tg_translator_put(&t->translator, a);
    if (!s) s = options_put(training_options, &t->settings, a);
    if (!s) s = data_put(&t->train, a);
    if (!s) s = data_put(&t->valid, a);
    return s;
}

/* ---- the run ---- */

static void tell_model(const training *t)
{
    const int64_t batches = batches_in_epoch((void *)(uintptr_t)t, 0);
    tell("%d source and %d target tokens, %zu parameters, %" PRId64 " batch%s an epoch, %d thread%s",
         tg_vocabulary_size(t->translator.source), tg_vocabulary_size(t->translator.target),
         tg_params_size(t->translator.params), batches, batches == 1 ? "" : "es", tg_context_threads(t->cx),
         PLURAL(tg_context_threads(t->cx)));
    if (tg_blas_advice()) warn("%s", tg_blas_advice());
}

/* What the run is too short for. */
static void tell_what_never_acts(const training *t)
{
    const training_settings *o = &t->settings;
    const double batches = (double)batches_in_epoch((void *)(uintptr_t)t, 0),
                 by_epochs = (double)o->epochs * batches,
                 steps =
                     o->steps && (!o->epochs || (double)o->steps < by_epochs) ? (double)o->steps : by_epochs,
                 validations = ceil(steps / (o->valid_every ? (double)o->valid_every : batches));
    if ((double)o->warmup >= steps)
        tell("--warmup %" PRId64
             " is as long as the run, of %.0f step%s, or longer: the learning rate only rises",
             o->warmup, steps, PLURAL(steps));
    const struct {
        const char *name;
        int64_t patience,
            acts_after; /* validations without a better loss; the first validation always is better */
    } waits[] = { { "patience", o->patience, o->patience },
                  { "schedule-patience", o->schedule_patience, o->schedule_patience + 1 } };
    for (int i = 0; i < 2; i++)
        if (waits[i].patience > 0 && (double)waits[i].acts_after >= validations)
            tell("--%s %" PRId64 " never acts: the run has %.0f validation%s", waits[i].name,
                 waits[i].patience, validations, PLURAL(validations));
}

/* How to go on from here. A cosine that has come to its end needs another rate to begin anew from. */
static void tell_command(const training *t, const tg_training_result *result)
{
    const training_settings *o = &t->settings;
    const char *directory = o->out;
    char path[4096], rate[64] = "";
    if (model_path(directory, path, sizeof path))
        tell("The model is %s: 'tidegate translate %s' uses it.", path, directory);
    if (o->schedule == TG_COSINE) snprintf(rate, sizeof rate, " --set lr=%g", training_rate(o) / 2);
    if (result->reason == TG_STOP_PATIENCE)
        tell("'tidegate resume %s --set patience=%" PRId64 "' waits longer.", directory, 2 * o->patience);
    else if (o->steps && result->progress.step >= o->steps)
        tell("'tidegate resume %s --set steps=%" PRId64 "%s' trains on.", directory, 2 * o->steps, rate);
    else
        tell("'tidegate resume %s --set epochs=%" PRId64 "%s' trains on.", directory, 2 * o->epochs, rate);
}

static int exit_code(const training *t, tg_status s, const tg_training_result *result)
{
    const char *directory = t->settings.out;
    if (s == TG_ERR_INTERRUPTED) {
        fail("interrupted: signal %d at step %" PRId64 "; 'tidegate resume %s' goes on", result->signal,
             result->progress.step, directory);
        return 128 + result->signal;
    }
    if (s && result->reason == TG_STOP_NOT_FINITE)
        return fail("%s; 'tidegate resume %s --set lr=%g' goes on from the last checkpoint with a lower rate",
                    context_sentence(t->cx), directory, training_rate(&t->settings) / 4);
    if (s && result->progress.step)
        return fail("%s; 'tidegate resume %s' goes on from the last checkpoint", context_sentence(t->cx),
                    directory);
    if (s) return fail_context(t->cx);
    if (!t->settings.quiet) tell_command(t, result);
    return EXIT_DONE;
}

/* In a config 0 means the default, where it is not what the option means by it. */
static tg_real exactly(double x) { return x == 0 ? TG_ZERO : (tg_real)x; }

static tg_optimizer *new_optimizer(const training *t)
{
    const training_settings *o = &t->settings;
    tg_params *ps = t->translator.params;
    const double momentum = o->momentum != 0 || o->optimizer == OPTIMIZER_RMSPROP ? o->momentum : 0.9;
    const tg_adam_config adam = { .lr = (tg_real)training_rate(o),
                                  .beta1 = exactly(o->beta1),
                                  .beta2 = exactly(o->beta2),
                                  .epsilon = (tg_real)o->epsilon,
                                  .weight_decay = (tg_real)o->weight_decay };
    const tg_rmsprop_config rmsprop = { .lr = adam.lr,
                                        .alpha = exactly(o->rmsprop_alpha),
                                        .epsilon = adam.epsilon,
                                        .momentum = (tg_real)momentum,
                                        .weight_decay = adam.weight_decay };
    const tg_sgd_config sgd = { .lr = adam.lr,
                                .momentum = o->optimizer == OPTIMIZER_SGD ? 0 : (tg_real)momentum,
                                .dampening = (tg_real)o->dampening,
                                .weight_decay = adam.weight_decay,
                                .nesterov = o->optimizer == OPTIMIZER_NESTEROV };
    switch (o->optimizer) {
    case OPTIMIZER_ADAM: return tg_adam_new(ps, &adam);
    case OPTIMIZER_ADAMW: return tg_adamw_new(ps, &adam);
    case OPTIMIZER_RMSPROP: return tg_rmsprop_new(ps, &rmsprop);
    default: return tg_sgd_new(ps, &sgd);
    }
}

int training_run(training *t, bool resume)
{
    const training_settings *o = &t->settings;
    tg_context *cx = t->cx;

    t->train.batches = tg_batches_new(cx, t->train.pairs, t->translator.source, t->translator.target,
                                      &(tg_batches_config){ .batch = (int)o->batch });
    if (t->valid.pairs)
        t->valid.batches = tg_batches_new(cx, t->valid.pairs, t->translator.source, t->translator.target,
                                          &(tg_batches_config){ .batch = (int)o->batch, .in_order = true });
    tg_optimizer *optimizer = new_optimizer(t);
    tg_schedule schedule = { .kind = (tg_schedule_kind)o->schedule,
                             .lr = (tg_real)training_rate(o),
                             .warmup = o->warmup,
                             .period = o->period,
                             .gamma = (tg_real)o->gamma,
                             .min = (tg_real)o->min_lr,
                             .patience = (int)o->schedule_patience };
    if (!tg_context_ok(cx)) return fail_context(cx);
    if (!o->quiet) tell_model(t), tell_what_never_acts(t);

    tg_training_result result;
    const tg_status s = tg_train(
        &(tg_training){
            .params = t->translator.params,
            .optimizer = optimizer,
            .schedule = &schedule,
            .user = t,
            .loss = batch_loss,
            .batches = batches_in_epoch,
            .validate = t->valid.pairs ? validation_loss : NULL,
            .save = save_beside,
            .task = "translate",
            .directory = o->out,
            .resume = resume,
            .force = o->force,
            .other_validation = t->other_validation,
            .epochs = o->epochs,
            .steps = o->steps,
            .clip_norm = (tg_real)o->clip,
            .log_every = o->log_every,
            .valid_every = o->valid_every,
            .checkpoint_every = o->checkpoint_every,
            .patience = (int)o->patience,
            .talk = o->quiet ? NULL : stderr,
            .catch_signals = true,
        },
        &result);
    free(t->mixed);
    t->mixed = NULL;
    return exit_code(t, s, &result);
}
