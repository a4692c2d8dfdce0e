/* tools/tidegate/training.h -- what `train translate` and `resume` share: options, data, the run. */
#ifndef TRAINING_H
#define TRAINING_H

#include "options.h"
#include "program.h"

/* order of --tokenizer's choices */
enum { TOKENIZER_AUTO, TOKENIZER_WORDS, TOKENIZER_CHARACTERS, TOKENIZER_BPE, TOKENIZER_SPACES };

/* order of --pretokenized's choices */
enum { PRETOKENIZED_AUTO, PRETOKENIZED_YES, PRETOKENIZED_NO };

/* order of --optimizer's choices */
enum {
    OPTIMIZER_ADAM,
    OPTIMIZER_ADAMW,
    OPTIMIZER_SGD,
    OPTIMIZER_MOMENTUM,
    OPTIMIZER_NESTEROV,
    OPTIMIZER_RMSPROP
};

enum { STANDARD_EPOCHS = 10, EPOCHS_NOT_GIVEN = -1 };

/* See training_options for what each means, its range and default. */
typedef struct training_settings {
    const char *train, *valid, *out;
    int preset, tokenizer, pretokenized;
    bool lowercase, joint_vocabulary;
    int64_t merges;
    const char *codes;
    int64_t min_frequency, max_length;
    int64_t embed, hidden, layers;
    int cell; /* a tg_cell */
    bool bidirectional, input_feeding, coverage;
    int attention; /* a tg_attention_kind */
    int64_t readout;
    int tie; /* a tg_tying */
    double dropout, label_smoothing;
    int sampling; /* a tg_sampling_schedule */
    double sampling_rate;
    int64_t epochs, steps, batch;
    int optimizer, schedule; /* schedule: a tg_schedule_kind */
    double lr, clip, weight_decay;
    double momentum, dampening, beta1, beta2, rmsprop_alpha, epsilon;
    double gamma, min_lr;
    int64_t warmup, period, schedule_patience, patience;
    int64_t seed, threads;
    int64_t log_every, valid_every, checkpoint_every;
    bool quiet, force;
} training_settings;

extern const option training_options[];

/* The table with the defaults of a preset, by its place in --preset's choices; 0 is "none". */
const option *training_options_of(int preset);
/* The presets as a table, for the help. */
void training_print_presets(void);
/* The run's preset and its values, on stderr, unless there is none or the run is quiet. */
void training_tell_preset(const training_settings *s);

/* The learning rate that is meant. */
double training_rate(const training_settings *s);
/* Do the settings contradict each other? Then false, and the sentence, in terms of options, in why. */
bool training_settings_fit(const training_settings *s, char *why, size_t bytes);

typedef struct data_file {
    const char *role; /* "train" or "valid": its name in the checkpoint */
    char path[4096];  /* absolute; "": there is none */
    tg_pairs *pairs;
    tg_pairs_info info;
    tg_batches *batches;
} data_file;

/* One run of training over parallel text. */
typedef struct training {
    training_settings settings;
    tg_context *cx;
    const tg_tokenizer *source_tokenizer, *target_tokenizer; /* before data is read */
    data_file train, valid;
    bool other_validation; /* resuming: the validation data are not those of before */
    tg_translator translator;
    int *mixed; /* scheduled sampling: what the decoder reads, (T,B) of the batch; NULL: not yet */
} training;

/* Reads a file, says what was left out, and makes the path absolute. path NULL: there is no such
 * file, and that is fine. false: the reason was said. */
bool training_read(training *t, data_file *f, const char *role, const char *path);

/* From data and translator to the end of training -> exit code. */
int training_run(training *t, bool resume);

/* "data/<role>/...": which file it was, as the checkpoint keeps it. */
tg_status data_put(const data_file *f, tg_archive *a);
/* Is f what the archive tells? Otherwise false, and the sentence in why. */
bool data_same(const data_file *f, const tg_archive *a, char *why, size_t bytes);

/* The tokenizer that the settings ask for; one that was to be chosen is settled there. false: the reason was said. */
bool new_tokenizer(training *t);
/* The choice, out of --tokenizer's, that stands for a tokenizer. */
int tokenizer_choice(const tg_tokenizer *k);

#endif
