/* tools/tidegate/train.c -- tidegate train translate: from parallel text to a model. */
#include <string.h>

#include "training.h"

static const command train_translate = {
    "train translate",
    "--train FILE --out DIR [options]",
    "Learns to turn the first column of FILE into the second: an encoder-decoder of\n"
    "gated recurrent units. The defaults do well on the shipped data sets. A run that\n"
    "was stopped goes on with 'tidegate resume DIR'.",
    training_options,
    0,
    0,
};

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

static int train(training *t)
{
    const training_settings *o = &t->settings;
    if (!new_tokenizer(t)) return EXIT_FAILED;
    if (!training_read(t, &t->train, "train", o->train)) return EXIT_FAILED;
    if (!training_read(t, &t->valid, "valid", o->valid)) return EXIT_FAILED;
    if (!new_model(t)) return EXIT_FAILED;
    return training_run(t, false);
}

/* Twice where there is a preset: then its values are the defaults. */
static parsed parse(int argc, char *argv[], training_settings *settings)
{
    const char *none[1];
    command c = train_translate;
    const parsed p = options_parse(&c, argc, argv, settings, none);
    if (p != PARSED || !settings->preset) return p;
    c.options = training_options_of(settings->preset);
    return options_parse(&c, argc, argv, settings, none);
}

int command_train(int argc, char *argv[])
{
    static training t; /* two paths make it large */
    const bool help = argc > 0 && (strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0);
    if (argc == 0) return usage_error("train", "train: say what to train: translate");
    if (!help && strcmp(argv[0], "translate") != 0)
        return usage_error("train", "train: there is nothing called '%s' to train: say translate", argv[0]);

    const parsed p = parse(help ? argc : argc - 1, help ? argv : argv + 1, &t.settings);
    if (p != PARSED) return options_exit(p);
    if (!t.settings.train) return usage_error("train translate", "train translate: --train FILE is missing");
    if (!t.settings.out) return usage_error("train translate", "train translate: --out DIR is missing");
    if (t.settings.codes && t.settings.tokenizer != TOKENIZER_BPE && t.settings.tokenizer != TOKENIZER_AUTO)
        return usage_error("train translate", "train translate: --codes FILE is for --tokenizer bpe");

    t.cx = new_context((uint64_t)t.settings.seed, (int)t.settings.threads);
    const int result = tg_context_ok(t.cx) ? train(&t) : fail_context(t.cx);
    tg_context_free(t.cx);
    return result;
}
