/* tools/tidegate/training_options.c -- the options of a run: their table, presets, and what contradicts what. */
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "training.h"

#define AT(field) offsetof(training_settings, field)
#define MODEL     OPTION_KEPT                     /* settled when the run begins */
#define RUN       (OPTION_KEPT | OPTION_SETTABLE) /* resume --set may change it */
#define SEED_MOST 9007199254740992                /* every whole number up to it is a double */

/* clang-format off */
const option training_options[] = {
    { "data", OPTION_HEADING },
    { "train", OPTION_TEXT, AT(train), NULL, 0, 0, "FILE", "learn from these pairs: source<TAB>target, UTF-8, one pair a line", OPTION_REQUIRED },
    { "valid", OPTION_TEXT, AT(valid), NULL, 0, 0, "FILE", "compute the validation loss on these pairs; best.h5 is the checkpoint with the lowest" },
    { "out", OPTION_TEXT, AT(out), NULL, 0, 0, "DIR", "directory for last.h5, last.h5.1, best.h5 and metrics.csv", OPTION_REQUIRED },
    { "max-length", OPTION_INTEGER, AT(max_length), "100", 1, 1e6, NULL, "leave out pairs with more tokens than this on either side", MODEL },

    { "text", OPTION_HEADING },
    { "tokenizer", OPTION_CHOICE, AT(tokenizer), "auto", 0, 0, "auto|words|chars|bpe|spaces",
      "what a token is: a word or a sign, a character, a piece of a word (byte-pair encoding), what spaces separate. auto: chars "
      "if more than a third of the words of new text would be unknown, otherwise words; bpe with --codes", MODEL },
    { "lowercase", OPTION_FLAG, AT(lowercase), NULL, 0, 0, NULL, "make all text lower case", MODEL },
    { "pretokenized", OPTION_CHOICE, AT(pretokenized), "auto", 0, 0, "auto|yes|no",
      "spaces separate the tokens already, and words and bpe keep these; auto: if a space stands before full stops and commas", MODEL, "tokenizer auto|words|bpe" },
    { "merges", OPTION_INTEGER, AT(merges), "8000", 1, 1e7, NULL, "learn at most this many merges", MODEL, "tokenizer bpe, no codes" },
    { "codes", OPTION_TEXT, AT(codes), NULL, 0, 0, "FILE", "take the merges of this file, as subword-nmt writes it", MODEL, "tokenizer auto|bpe" },
    { "joint-vocabulary", OPTION_FLAG, AT(joint_vocabulary), NULL, 0, 0, NULL, "one vocabulary for both sides (--tie all implies it)", MODEL },
    { "min-frequency", OPTION_INTEGER, AT(min_frequency), "1", 1, 1e9, NULL, "a token that is seen less often becomes <unk>", MODEL },

    { "model", OPTION_HEADING },
    { "preset", OPTION_CHOICE, AT(preset), "none", 0, 0, "none|small|base|large",
      "other defaults, for about 10, 30 or 200 thousand pairs; see below" },
    { "embed", OPTION_INTEGER, AT(embed), "128", 1, 65536, NULL, "size of a token's vector", MODEL },
    { "hidden", OPTION_INTEGER, AT(hidden), "256", 1, 65536, NULL, "size of a recurrent layer's state", MODEL },
    { "layers", OPTION_INTEGER, AT(layers), "1", 1, 64, NULL, "recurrent layers, of encoder and decoder each", MODEL },
    { "cell", OPTION_CHOICE, AT(cell), "gru", 0, 0, A_CELL,
      "the recurrent cell: gru (Cho et al. 2014), gru-reset-after (cuDNN, PyTorch, Keras), ...", MODEL },
    { "bidirectional", OPTION_FLAG, AT(bidirectional), "yes", 0, 0, NULL, "the encoder reads in both directions", MODEL },
    { "attention", OPTION_CHOICE, AT(attention), "additive", 0, 0, "none|additive|dot|general",
      "how the decoder looks at the source: not (Cho et al. 2014), additive (Bahdanau et al. 2015), dot or general (Luong et "
      "al. 2015)", MODEL },
    { "input-feeding", OPTION_FLAG, AT(input_feeding), NULL, 0, 0, NULL,
      "the decoder reads the attentional vector of the step before", MODEL, "attention dot|general" },
    { "coverage", OPTION_FLAG, AT(coverage), NULL, 0, 0, NULL, "attention takes into account where it has looked before", MODEL, "attention additive|dot|general" },
    { "readout", OPTION_INTEGER, AT(readout), "0", -1, 65536, NULL,
      "size of the layer before the output; 0: that of the embedding, but without attention no such layer; -1: no such layer", MODEL },
    { "tie", OPTION_CHOICE, AT(tie), "none", 0, 0, "none|target|all",
      "target: the output's weights are the target embedding; all: so is the source embedding", MODEL },
    { "dropout", OPTION_NUMBER, AT(dropout), "0.3", 0, 0.99, NULL,
      "share of the values that training sets to 0: of embeddings, encoder outputs, between layers and before the output", MODEL },

    { "learning", OPTION_HEADING },
    { "epochs", OPTION_INTEGER, AT(epochs), NULL, 0, 1e9, NULL,
      "stop after this many passes over the data; 0: no limit, which takes --steps (default 10, or 0 with --steps)", RUN },
    { "steps", OPTION_INTEGER, AT(steps), "0", 0, 1e15, NULL, "stop after this many steps; 0: no limit", RUN },
    { "batch", OPTION_INTEGER, AT(batch), "32", 1, 65536, NULL, "pairs in a step", MODEL },
    { "optimizer", OPTION_CHOICE, AT(optimizer), "adam", 0, 0, "adam|adamw|sgd|momentum|nesterov|rmsprop",
      "the update rule; momentum and nesterov are SGD with momentum", MODEL },
    { "lr", OPTION_NUMBER, AT(lr), "0", 0, 1000, NULL,
      "learning rate; 0: the optimizer's own (adam and adamw 0.003, the others 0.01)", RUN },
    { "weight-decay", OPTION_NUMBER, AT(weight_decay), "0", 0, 1000, NULL, "penalty on large weights (adamw: decoupled); 0: the optimizer's own (adamw 0.01, the others 0)", RUN },
    { "momentum", OPTION_NUMBER, AT(momentum), "0", 0, 0.999999, NULL, "share of the last update that goes on; 0: the optimizer's own (rmsprop 0, the others 0.9)", RUN, "optimizer momentum|nesterov|rmsprop" },
    { "dampening", OPTION_NUMBER, AT(dampening), "0", 0, 0.999999, NULL, "the gradient enters the momentum times 1 minus this", RUN, "optimizer momentum" },
    { "beta1", OPTION_NUMBER, AT(beta1), "0.9", 0, 0.999999, NULL, "decay of the mean of gradients", RUN, "optimizer adam|adamw" },
    { "beta2", OPTION_NUMBER, AT(beta2), "0.999", 0, 0.999999, NULL, "decay of the mean of squared gradients", RUN, "optimizer adam|adamw" },
    { "rmsprop-alpha", OPTION_NUMBER, AT(rmsprop_alpha), "0.99", 0, 0.999999, NULL, "decay of the mean of squared gradients", RUN, "optimizer rmsprop" },
    { "epsilon", OPTION_NUMBER, AT(epsilon), "1e-8", 1e-30, 1, NULL, "added to the root that the step is divided by", RUN, "optimizer adam|adamw|rmsprop" },
    { "schedule", OPTION_CHOICE, AT(schedule), "cosine", 0, 0, "constant|step|exponential|cosine|inverse-sqrt|plateau",
      "how the learning rate changes in the course of the run; plateau goes by the validation loss", RUN },
    { "warmup", OPTION_INTEGER, AT(warmup), "0", 0, 1e9, NULL, "steps in which the rate rises from 0 to its full height", RUN },
    { "period", OPTION_INTEGER, AT(period), "0", 0, 1e15, NULL,
      "steps of the schedule's period; 0: an epoch, of cosine the whole run", RUN, "schedule step|exponential|cosine" },
    { "gamma", OPTION_NUMBER, AT(gamma), "0", 0, 1, NULL,
      "factor of the rate, once a period or at a plateau; 0: the schedule's own (exponential 0.5, the others 0.1)", RUN, "schedule step|exponential|plateau" },
    { "min-lr", OPTION_NUMBER, AT(min_lr), "0", 0, 1000, NULL, "the schedule does not go below this rate", RUN, "schedule cosine|plateau" },
    { "schedule-patience", OPTION_INTEGER, AT(schedule_patience), "0", -1, 1e9, NULL,
      "validations in a row without a better loss that do not lower the rate yet; 0: 2; -1: none, the first one lowers it", RUN, "schedule plateau" },
    { "patience", OPTION_INTEGER, AT(patience), "0", 0, 1e9, NULL,
      "end the run after this many validations without a better loss; 0: never", RUN, "valid" },
    { "clip", OPTION_NUMBER, AT(clip), "1", 0, 1e9, NULL, "largest norm of the gradient; 0: no limit", RUN },
    { "label-smoothing", OPTION_NUMBER, AT(label_smoothing), "0", 0, 0.99, NULL, "share of the probability that all tokens get alike", RUN },
    { "sampling", OPTION_CHOICE, AT(sampling), "none", 0, 0, "none|constant|linear|exponential|inverse-sigmoid",
      "scheduled sampling: how the share of words that the decoder reads from itself, not from the data, grows", RUN },
    { "sampling-rate", OPTION_NUMBER, AT(sampling_rate), "0.25", 0, 1, NULL, "that share at the end of the run", RUN, "sampling" },

    { "run", OPTION_HEADING },
    { "seed", OPTION_INTEGER, AT(seed), "1", 0, SEED_MOST, NULL, "of all random numbers", MODEL },
    THREADS_OPTION(training_settings, RUN),
    { "log-every", OPTION_INTEGER, AT(log_every), "10", 1, 1e9, NULL, "steps between rows of metrics.csv", RUN },
    { "valid-every", OPTION_INTEGER, AT(valid_every), "0", 0, 1e9, NULL, "steps between validations; 0: once an epoch", RUN, "valid" },
    { "checkpoint-every", OPTION_INTEGER, AT(checkpoint_every), "0", 0, 1e9, NULL, "steps between saves of last.h5; 0: once an epoch", RUN },
    { "force", OPTION_FLAG, AT(force), NULL, 0, 0, NULL, "begin anew in a DIR that has a run already, which is lost" },
    { "quiet", OPTION_FLAG, AT(quiet), NULL, 0, 0, NULL, "print nothing but warnings and errors" },
    { NULL },
};
/* clang-format on */

/* ---- presets ---- */

/* What is not named here is as without a preset. Each was found by measurement: docs/translation.md. */
static const struct preset_value {
    const char *name, *value[3]; /* of small, base, large */
} preset_values[] = {
    { "embed", { "256", "256", "384" } },    { "hidden", { "256", "320", "512" } },
    { "layers", { "1", "1", "1" } },         { "tie", { "target", "target", "target" } },
    { "dropout", { "0.5", "0.4", "0.2" } },  { "label-smoothing", { "0.1", "0.1", "0.1" } },
    { "min-frequency", { "1", "2", "2" } },  { "batch", { "64", "64", "64" } },
    { "lr", { "0.001", "0.001", "0.001" } }, { "warmup", { "200", "400", "1000" } },
    { "epochs", { "30", "30", "10" } },
};
enum { PRESET_VALUES = sizeof preset_values / sizeof *preset_values };

const option *training_options_of(int preset)
{
    static option table[OPTIONS_MOST];
    size_t n = 0;
    do table[n] = training_options[n];
    while (training_options[n++].name);
    for (int i = 0; preset && i < PRESET_VALUES; i++) {
        const struct preset_value *p = &preset_values[i];
        option *o = table + (option_find(table, p->name, strlen(p->name)) - table);
        o->standard = p->value[preset - 1];
    }
    return table;
}

void training_print_presets(void)
{
    printf("\nwhat --preset sets, unless the option itself is given:\n");
    printf("  %-24s%-8s%-8s%s\n", "", "small", "base", "large");
    for (int i = 0; i < PRESET_VALUES; i++) {
        const struct preset_value *p = &preset_values[i];
        printf("  --%-22s%-8s%-8s%s\n", p->name, p->value[0], p->value[1], p->value[2]);
    }
}

void training_tell_preset(const training_settings *s)
{
    char text[64], all[1024] = "";
    size_t n = 0;
    if (!s->preset || s->quiet) return;
    for (int i = 0; i < PRESET_VALUES && n < sizeof all; i++) {
        const struct preset_value *p = &preset_values[i];
        option_text(option_find(training_options, p->name, strlen(p->name)), s, text, sizeof text);
        n += (size_t)snprintf(all + n, sizeof all - n, "%s %s %s%s", i ? "," : "", p->name, text,
                              strcmp(text, p->value[s->preset - 1]) == 0 ? "" : " (given)");
    }
    option_text(option_find(training_options, "preset", strlen("preset")), s, text, sizeof text);
    tell("Preset %s:%s", text, all);
}

/* ---- what fits together ---- */

double training_rate(const training_settings *s)
{
    static const double adam_rate = 3e-3, other_rate = 1e-2;
    return s->lr != 0                                                          ? s->lr
           : s->optimizer == OPTIMIZER_ADAM || s->optimizer == OPTIMIZER_ADAMW ? adam_rate
                                                                               : other_rate;
}

static bool wrong(char *why, size_t bytes, const char *format, ...) TG_PRINTF(3, 4);
static bool wrong(char *why, size_t bytes, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(why, bytes, format, arguments);
    va_end(arguments);
    return false;
}

bool training_settings_fit(const training_settings *s, char *why, size_t bytes)
{
    const bool dot = s->attention == TG_ATTENTION_DOT, luong = dot || s->attention == TG_ATTENTION_GENERAL;
    if (s->epochs == 0 && s->steps == 0)
        return wrong(why, bytes,
                     "--epochs 0 sets no limit, and neither does --steps 0: one of them must end the run");
    if (s->schedule == TG_PLATEAU && !s->valid)
        return wrong(why, bytes, "--schedule plateau goes by the validation loss: it takes --valid FILE");
    if (luong && s->readout == TG_NO_READOUT)
        return wrong(why, bytes, "--readout -1 does not go with --attention %s, which has a readout",
                     tg_attention_kind_name((tg_attention_kind)s->attention));
    if (s->tie != TG_TIE_NONE && s->readout && s->readout != s->embed)
        return wrong(why, bytes,
                     "--tie %s makes the readout as large as the embedding: --readout takes 0 or %" PRId64
                     ", which is --embed, not %" PRId64,
                     tg_tying_name((tg_tying)s->tie), s->embed, s->readout);
    if (dot && s->bidirectional && s->hidden % 2)
        return wrong(
            why, bytes,
            "--attention dot gives each direction of the encoder half of --hidden, which must be even, not "
            "%" PRId64,
            s->hidden);
    if (s->min_lr > training_rate(s))
        return wrong(why, bytes, "--min-lr %.15g is above the learning rate, %.15g", s->min_lr,
                     training_rate(s));
    return true;
}
