/* tools/tidegate/train.c -- tidegate train translate: from parallel text to a model. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "training.h"

static const command train_translate = {
    "train translate",
    "--train FILE --out DIR [options]",
    "Learns to turn the first column of FILE into the second: an encoder-decoder of gated recurrent units. "
    "The "
    "defaults do well on the shipped data sets. A run that was stopped goes on with 'tidegate resume DIR'.",
    training_options,
    0,
    0,
    "  tidegate train translate --train train.tsv --valid valid.tsv --out run\n"
    "  tidegate train translate --train train.tsv --valid valid.tsv --out run2 \\\n"
    "      --preset base --tokenizer bpe --merges 4000 --patience 5\n",
    training_print_presets,
};

/* A vocabulary of <unk> alone says nothing. */
static bool has_tokens(const training *t, const tg_vocabulary *v, const char *which)
{
    const int64_t least = t->settings.min_frequency;
    if (tg_vocabulary_size(v) > TG_SPECIAL_TOKENS) return true;
    return fail("%s: no %s token stands there %" PRId64 " times, so that --min-frequency %" PRId64
                " leaves none: take a lower one",
                t->train.path, which, least, least),
           false;
}

/* Vocabularies of the training text, and the model over them. */
static bool new_model(training *t)
{
    const training_settings *o = &t->settings;
    tg_vocabulary *source = tg_vocabulary_new(t->cx, t->source_tokenizer);
    const bool joint = o->joint_vocabulary || o->tie == TG_TIE_ALL;
    tg_vocabulary *target = joint ? source : tg_vocabulary_new(t->cx, t->target_tokenizer);
    for (int i = 0; i < tg_pairs_count(t->train.pairs); i++) {
        tg_vocabulary_add(source, tg_pairs_source(t->train.pairs, i));
        tg_vocabulary_add(target, tg_pairs_target(t->train.pairs, i));
    }
    tg_vocabulary_freeze(source, (int)o->min_frequency);
    if (target != source) tg_vocabulary_freeze(target, (int)o->min_frequency);
    if (!tg_context_ok(t->cx)) return fail_context(t->cx), false;
    if (!has_tokens(t, source, joint ? "source or target" : "source") || !has_tokens(t, target, "target"))
        return false;
    const tg_encoder_decoder_config config = {
        .embed = (int)o->embed,
        .hidden = (int)o->hidden,
        .layers = (int)o->layers,
        .cell = (tg_cell)o->cell,
        .dropout = (tg_real)o->dropout,
        .bidirectional = o->bidirectional,
        .attention = (tg_attention_kind)o->attention,
        .input_feeding = o->input_feeding,
        .coverage = o->coverage,
        .readout = (int)o->readout,
        .tying = (tg_tying)o->tie,
    };
    if (tg_translator_new(t->cx, source, target, &config, &t->translator)) return fail_context(t->cx), false;
    return true;
}

/* What can be seen of the files without reading them. False: the reason was said. */
static bool files_are_there(const training_settings *o)
{
    const char *const name[] = { o->train, o->valid, o->codes };
    struct stat is[2] = { { 0 } };
    for (int i = 0; i < 3; i++)
        if (name[i] && access(name[i], R_OK))
            return fail("%s: cannot be opened: %s", name[i], strerror(errno)), false;
    const bool same = o->valid && !stat(o->train, &is[0]) && !stat(o->valid, &is[1]) &&
                      is[0].st_dev == is[1].st_dev && is[0].st_ino == is[1].st_ino;
    if (same && !o->quiet)
        tell("%s: --valid and --train are the same file: the validation loss, and with it the choice of "
             "best.h5, tells nothing about new text",
             o->valid);
    return true;
}

/* The driver refuses a directory that has a run, too, but only when the data have been read. */
static bool out_is_free(const training_settings *o)
{
    static const char *const files[] = { "last.h5", "last.h5.1", "best.h5", "metrics.csv" };
    char path[4096];
    struct stat is;
    if (stat(o->out, &is) == 0 && !S_ISDIR(is.st_mode))
        return fail("%s: is there, and is not a directory", o->out), false;
    for (size_t i = 0; i < sizeof files / sizeof *files && !o->force; i++) {
        const int n = snprintf(path, sizeof path, "%s/%s", o->out, files[i]);
        if (n < (int)sizeof path && lstat(path, &is) == 0)
            return fail("%s has a run already (%s is there): 'tidegate resume %s' goes on with it, --force "
                        "begins anew "
                        "in its place",
                        o->out, files[i], o->out),
                   false;
    }
    return true;
}

static int train(training *t)
{
    const training_settings *o = &t->settings;
    if (!files_are_there(o) || !out_is_free(o)) return EXIT_FAILED;
    training_tell_preset(o);
    if (!new_tokenizer(t)) return EXIT_FAILED;
    if (!training_read(t, &t->train, "train", o->train)) return EXIT_FAILED;
    if (!training_read(t, &t->valid, "valid", o->valid)) return EXIT_FAILED;
    if (!new_model(t)) return EXIT_FAILED;
    return training_run(t, false);
}

/* Twice where there is a preset: then its values are the defaults. */
static parsed parse(int argc, char *argv[], training_settings *settings)
{
    char why[512];
    const char *none[1];
    command c = train_translate;
    settings->epochs = EPOCHS_NOT_GIVEN;
    parsed p = options_parse(&c, argc, argv, settings, none);
    c.options = training_options_of(settings->preset);
    if (p == PARSED && settings->preset) p = options_parse(&c, argc, argv, settings, none);
    if (p != PARSED) return p;
    if (settings->epochs == EPOCHS_NOT_GIVEN) settings->epochs = settings->steps ? 0 : STANDARD_EPOCHS;
    if (training_settings_fit(settings, why, sizeof why)) return PARSED;
    usage_error(c.name, "%s", why);
    return PARSED_WRONG;
}

static int no_such_task(const char *typed)
{
    nearest near = nearest_to(typed, strlen(typed));
    nearest_offer(&near, "translate", strlen("translate"));
    return usage_error("train", "there is nothing called '%s' to train: say translate%s", typed,
                       nearest_ask(&near, "").s);
}

int command_train(int argc, char *argv[])
{
    static training t; /* two paths make it large */
    const bool help = argc > 0 && (strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0);
    if (argc == 0) return usage_error("train", "say what to train: translate");
    if (!help && strcmp(argv[0], "translate") != 0) return no_such_task(argv[0]);

    const parsed p = parse(help ? argc : argc - 1, help ? argv : argv + 1, &t.settings);
    if (p != PARSED) return options_exit(p);

    t.cx = new_context((uint64_t)t.settings.seed, (int)t.settings.threads);
    const int result = tg_context_ok(t.cx) ? train(&t) : fail_context(t.cx);
    tg_context_free(t.cx);
    return result;
}
