/* tools/tidegate/training.c -- a run of the training driver over parallel text. */
#include "training.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { STANDARD_EPOCHS = 10 };
static const double adam_rate = 3e-3; /* Adam's and AdamW's, when --lr is not given */

static const char *const optimizer_names[] = { "adam", "adamw", "sgd", "momentum", "nesterov", "rmsprop" };

#define AT(field) offsetof(training_settings, field)
#define MODEL     OPTION_KEPT                     /* settled when the run begins */
#define RUN       (OPTION_KEPT | OPTION_SETTABLE) /* resume --set may change it */

/* clang-format off */
const option training_options[] = {
    { "train", OPTION_TEXT, AT(train), NULL, 0, 0, "FILE", "learn from these: source<TAB>target, UTF-8, one pair a line" },
    { "valid", OPTION_TEXT, AT(valid), NULL, 0, 0, "FILE", "watch the loss on these; best.h5 is the best by it" },
    { "out", OPTION_TEXT, AT(out), NULL, 0, 0, "DIR", "for last.h5, last.h5.1, best.h5 and metrics.csv" },
    { "force", OPTION_FLAG, AT(force), NULL, 0, 0, NULL, "begin anew in a DIR that has a run" },

    { "preset", OPTION_CHOICE, AT(preset), "none", 0, 0, "none|small|base|large",
      "defaults for about 10, 30 or 200 thousand pairs of\nreal text, see docs/translation.md" },
    { "tokenizer", OPTION_CHOICE, AT(tokenizer), "auto", 0, 0, "auto|words|chars|bpe|spaces",
      "what a token is: a word or sign, a character, a piece of a\nword (byte-pair encoding), what spaces separate. auto:\n"
      "chars where more than a third of the words of new text\nwould be unknown, or else words", MODEL },
    { "lowercase", OPTION_FLAG, AT(lowercase), NULL, 0, 0, NULL, "learn and write lower case only", MODEL },
    { "merges", OPTION_INTEGER, AT(merges), "8000", 1, 1e7, NULL, "of bpe: pairs of pieces that are merged, at most", MODEL },
    { "codes", OPTION_TEXT, AT(codes), NULL, 0, 0, "FILE", "bpe by these codes of subword-nmt's, not by learnt ones", MODEL },
    { "joint-vocabulary", OPTION_FLAG, AT(joint_vocabulary), NULL, 0, 0, NULL, "one vocabulary for both sides", MODEL },
    { "min-frequency", OPTION_INTEGER, AT(min_frequency), "1", 1, 1e9, NULL, "tokens seen less often become <unk>", MODEL },
    { "max-length", OPTION_INTEGER, AT(max_length), "100", 1, 1e6, NULL, "longer pairs are left out (tokens)", MODEL },
    { "embed", OPTION_INTEGER, AT(embed), "128", 1, 65536, NULL, "size of a token's vector", MODEL },
    { "hidden", OPTION_INTEGER, AT(hidden), "256", 1, 65536, NULL, "size of the state", MODEL },
    { "layers", OPTION_INTEGER, AT(layers), "1", 1, 64, NULL, "recurrent layers, of encoder and decoder each", MODEL },
    { "cell", OPTION_CHOICE, AT(cell), "gru", 0, 0, "gru|gru-reset-after",
      "where the reset gate acts: before the product (Cho et al.\n2014), or after it (cuDNN, PyTorch, Keras)", MODEL },
    { "bidirectional", OPTION_FLAG, AT(bidirectional), "yes", 0, 0, NULL,
      "the encoder reads in both directions", MODEL },
    { "attention", OPTION_CHOICE, AT(attention), "additive", 0, 0, "none|additive|dot|general",
      "how the decoder looks at the source: not (Cho et al. 2014),\nadditive (Bahdanau et al. 2015), dot or general (Luong et\nal. 2015)", MODEL },
    { "input-feeding", OPTION_FLAG, AT(input_feeding), NULL, 0, 0, NULL,
      "dot and general: tell the next step what was seen", MODEL },
    { "coverage", OPTION_FLAG, AT(coverage), NULL, 0, 0, NULL, "attention knows what it looked at before", MODEL },
    { "readout", OPTION_INTEGER, AT(readout), "0", -1, 65536, NULL,
      "size of the layer before the output; 0: that of the\nembedding; -1: no such layer", MODEL },
    { "tie", OPTION_CHOICE, AT(tie), "none", 0, 0, "none|target|all",
      "target: the output's weights are the target embedding;\nall: and so is the source embedding (one vocabulary)", MODEL },
    { "dropout", OPTION_NUMBER, AT(dropout), "0.3", 0, 0.99, NULL, "share of values zeroed while learning", MODEL },

    { "epochs", OPTION_INTEGER, AT(epochs), NULL, 0, 1e9, NULL,
      "passes over the data (default 10, or no limit with\n--steps)", RUN },
    { "steps", OPTION_INTEGER, AT(steps), "0", 0, 1e15, NULL, "stop after so many steps in all; 0: no limit", RUN },
    { "batch", OPTION_INTEGER, AT(batch), "32", 1, 65536, NULL, "pairs a step", MODEL },
    { "optimizer", OPTION_CHOICE, AT(optimizer), "adam", 0, 0, "adam|adamw|sgd|momentum|nesterov|rmsprop",
      "how a gradient becomes a step", MODEL },
    { "lr", OPTION_NUMBER, AT(lr), "0", 0, 1000, NULL,
      "learning rate; 0: the optimizer's own (adam and adamw\n0.003, the others 0.01)", RUN },
    { "schedule", OPTION_CHOICE, AT(schedule), "cosine", 0, 0, "constant|step|exponential|cosine|inverse-sqrt|plateau",
      "of the learning rate, over the whole run", RUN },
    { "warmup", OPTION_INTEGER, AT(warmup), "0", 0, 1e9, NULL, "steps in which the rate rises to its full height", RUN },
    { "clip", OPTION_NUMBER, AT(clip), "1", 0, 1e9, NULL, "limit of the gradient's norm; 0: none", RUN },
    { "weight-decay", OPTION_NUMBER, AT(weight_decay), "0", 0, 1000, NULL, "0: the optimizer's own (adamw 0.01, others none)", MODEL },
    { "label-smoothing", OPTION_NUMBER, AT(label_smoothing), "0", 0, 0.99, NULL, "share of probability given to all tokens alike", RUN },
    { "sampling", OPTION_CHOICE, AT(sampling), "none", 0, 0, "none|constant|linear|exponential|inverse-sigmoid",
      "scheduled sampling: how the share of words that the decoder\nreads from itself, not from the data, grows", RUN },
    { "sampling-rate", OPTION_NUMBER, AT(sampling_rate), "0.25", 0, 1, NULL, "that share at the end of the run", RUN },
    { "patience", OPTION_INTEGER, AT(patience), "0", 0, 1e9, NULL,
      "stop after so many validations without a better loss;\n0: never", RUN },
    { "seed", OPTION_INTEGER, AT(seed), "1", 0, 9007199254740992, NULL, "of all random numbers", MODEL },
    { "threads", OPTION_INTEGER, AT(threads), "0", 0, 1024, NULL, "at most; 0: the cores there are. Changes no result", RUN },

    { "log-every", OPTION_INTEGER, AT(log_every), "10", 1, 1e9, NULL, "steps between rows of metrics.csv", RUN },
    { "valid-every", OPTION_INTEGER, AT(valid_every), "0", 0, 1e9, NULL, "steps between validations; 0: once an epoch", RUN },
    { "checkpoint-every", OPTION_INTEGER, AT(checkpoint_every), "0", 0, 1e9, NULL, "steps between saves; 0: once an epoch", RUN },
    { "quiet", OPTION_FLAG, AT(quiet), NULL, 0, 0, NULL, "say nothing but warnings and errors" },
    { NULL },
};
/* clang-format on */

/* ---- presets ---- */

/* What is not named here is as without a preset. Each was found by measurement: docs/translation.md. */
static const struct preset_value {
    const char *name, *small, *base, *large;
} preset_values[] = {
    { "embed", "256", "256", "384" },    { "hidden", "256", "320", "512" },
    { "layers", "1", "1", "1" },         { "tie", "target", "target", "target" },
    { "dropout", "0.5", "0.4", "0.2" },  { "label-smoothing", "0.1", "0.1", "0.1" },
    { "min-frequency", "1", "2", "2" },  { "batch", "64", "64", "64" },
    { "lr", "0.001", "0.001", "0.001" }, { "warmup", "200", "400", "1000" },
    { "epochs", "30", "30", "10" },
};

const option *training_options_of(int preset)
{
    static option table[64];
    size_t n = 0;
    do table[n] = training_options[n];
    while (training_options[n++].name);
    for (size_t i = 0; preset && i < sizeof preset_values / sizeof *preset_values; i++) {
        const struct preset_value *p = &preset_values[i];
        const char *const value[] = { p->small, p->base, p->large };
        option *o = table + (option_find(table, p->name, strlen(p->name)) - table);
        o->standard = value[preset - 1];
    }
    return table;
}

/* ---- data ---- */

static void tell_left_out(const data_file *f, int64_t count, int64_t first, const char *what)
{
    if (count > 0) warn("%s: %" PRId64 " %s (the first in line %" PRId64 ")", f->path, count, what, first);
}

bool training_read(training *t, data_file *f, const char *role, const char *path)
{
    const training_settings *o = &t->settings;
    const tg_pairs_config config = { t->source_tokenizer, (int)o->max_length, t->target_tokenizer };
    char longer[80], *absolute;
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
    if (!o->quiet) tell("%s: %" PRId64 " pairs", path, f->info.pairs);
    snprintf(longer, sizeof longer, "pairs longer than %" PRId64 " tokens are left out", o->max_length);
    tell_left_out(f, f->info.too_long, f->info.first_too_long, longer);
    tell_left_out(f, f->info.extra_columns, f->info.first_extra_column,
                  "lines have more than two columns: only two are read");
    if (!o->quiet && f->info.repeated_sources)
        tell("%s: %" PRId64 " sources came before (the first in line %" PRId64 "); all pairs are kept", path,
             f->info.repeated_sources, f->info.first_repeated);
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

/* How far the run has come, from 0 to 1: what the sampling schedule goes by. */
static double share_done(const training *t, tg_at at)
{
    const training_settings *o = &t->settings;
    const double steps = o->steps && !o->epochs ? (double)o->steps
                                                : (double)(o->epochs ? o->epochs : STANDARD_EPOCHS) *
                                                      (double)tg_batches_count(t->train.batches);
    return (double)at.step / steps;
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
    tell("%d source and %d target tokens, %zu parameters, %" PRId64 " batches an epoch, %d thread%s",
         tg_vocabulary_size(t->translator.source), tg_vocabulary_size(t->translator.target),
         tg_params_size(t->translator.params), batches_in_epoch((void *)(uintptr_t)t, 0),
         tg_context_threads(t->cx), tg_context_threads(t->cx) == 1 ? "" : "s");
    if (tg_blas_advice()) warn("%s", tg_blas_advice());
}

static int exit_code(const training *t, tg_status s, const tg_training_result *result)
{
    if (s == TG_ERR_INTERRUPTED) {
        fail("interrupted: signal %d at step %" PRId64 "; 'tidegate resume %s' goes on", result->signal,
             result->progress.step, t->settings.out);
        return 128 + result->signal;
    }
    if (s) return fail_context(t->cx);
    if (!t->settings.quiet)
        tell("The model is %s/%s; 'tidegate translate %s' uses it.", t->settings.out,
             result->progress.validated ? "best.h5" : "last.h5", t->settings.out);
    return EXIT_DONE;
}

int training_run(training *t, bool resume)
{
    const training_settings *o = &t->settings;
    tg_context *cx = t->cx;
    const char *name = optimizer_names[o->optimizer];
    const double lr = o->lr == 0 && strncmp(name, "adam", 4) == 0 ? adam_rate : o->lr;

    t->train.batches = tg_batches_new(cx, t->train.pairs, t->translator.source, t->translator.target,
                                      &(tg_batches_config){ .batch = (int)o->batch });
    if (t->valid.pairs)
        t->valid.batches = tg_batches_new(cx, t->valid.pairs, t->translator.source, t->translator.target,
                                          &(tg_batches_config){ .batch = (int)o->batch, .in_order = true });
    tg_optimizer *optimizer =
        tg_optimizer_new(t->translator.params, name, (tg_real)lr, (tg_real)o->weight_decay);
    tg_schedule schedule = { .kind = (tg_schedule_kind)o->schedule, .lr = (tg_real)lr, .warmup = o->warmup };
    if (!tg_context_ok(cx)) return fail_context(cx);
    if (!o->quiet) tell_model(t);

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
            .epochs = o->epochs || o->steps ? o->epochs : STANDARD_EPOCHS,
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
