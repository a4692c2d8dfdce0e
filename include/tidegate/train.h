/* tidegate/train.h -- the training driver: the loop, so that models need only a loss.
 *
 * The caller gives a loss over a tape, as a function of the step, and data that is a function of
 * (seed, step). The driver does epochs or steps, schedule, clipping, validation, early stopping,
 * checkpoints (last, the one before, best), metrics.csv, the guard against numbers that are not
 * finite, signals if asked, and talk. A run that was interrupted, in whatever way, goes on to the
 * same bits as one that was not, without replaying earlier steps.                              */
#ifndef TIDEGATE_TRAIN_H
#define TIDEGATE_TRAIN_H

#include <stdio.h>

#include "checkpoint.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Where in the data a step stands. */
typedef struct tg_at {
    int64_t step;  /* from 0 */
    int64_t epoch; /* from 0 */
    int64_t batch; /* within the epoch, from 0 */
} tg_at;

typedef struct tg_training {
    tg_params *params;
    tg_optimizer *optimizer;
    tg_schedule *schedule; /* NULL: the optimizer's rate throughout */

    void *user; /* handed to every function below */

    /* The mean loss of one batch, made on t, which has begun. *units: how many tokens or frames the
     * mean is over (1 if left alone): it weights the average in the log. */
    tg_tensor *(*loss)(void *user, tg_tape *t, tg_at at, double *units);
    /* Batches in an epoch, at least 1. NULL: there are no epochs, only steps. */
    int64_t (*batches)(void *user, int64_t epoch);
    /* The loss on held-out data. t is the validation's own tape. NULL: no validation. */
    tg_status (*validate)(void *user, tg_tape *t, double *loss);
    /* After a step that moved the parameters; the place for tg_state_keep(). May be NULL. */
    void (*accepted)(void *user, tg_at at);
    /* Into, and out of, every checkpoint, beside what the driver saves itself. May be NULL. */
    tg_status (*save)(void *user, tg_archive *a);
    tg_status (*restore)(void *user, const tg_archive *a);
    tg_state *states; /* carried states, saved with the checkpoint */
    int n_states;

    const char *task;      /* for the checkpoint; NULL: "custom" */
    const char *directory; /* for last.h5, last.h5.1, best.h5, metrics.csv; NULL: nothing is written */
    bool resume;           /* go on from the directory's last.h5, or last.h5.1 if that cannot be read */
    bool force;            /* a directory that has a run already is begun anew, not refused */
    bool other_validation; /* resuming: `validate` has other data than before, so that the best loss, patience
                            * and PLATEAU begin anew */

    int64_t steps;  /* stop after so many steps in all; 0: no limit */
    int64_t epochs; /* stop after so many epochs; 0: no limit. One of the two must be given. */
    double seconds; /* stop after so much training time in this call; 0: no limit. Not reproducible. */

    tg_real clip_norm;        /* 0: off */
    int64_t log_every;        /* steps; 0: 10 */
    int64_t valid_every;      /* steps; 0: at the end of each epoch */
    int64_t checkpoint_every; /* steps; 0: at each epoch's end. Also before the first step, and at the end */
    int patience;             /* stop after so many validations without a better loss; 0: never */

    FILE *talk;       /* progress and news: a bar on a terminal, lines elsewhere; NULL: news to the log */
    const char *unit; /* what the loss is a mean over, and what is counted per second: "tokens" (default),
                       * "frames", ... It stands in every checkpoint as run/unit. */
    /* SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGXCPU: save last.h5 and return; a second SIGINT or SIGTERM kills.
     * One that the process ignores stays ignored. */
    bool catch_signals;
} tg_training;

typedef enum tg_stop_reason {
    TG_STOP_DONE,     /* the steps or epochs are done */
    TG_STOP_PATIENCE, /* no better validation loss */
    TG_STOP_TIME,
    TG_STOP_SIGNAL,
    TG_STOP_NOT_FINITE, /* five steps in a row were not finite */
    TG_STOP_ERROR
} tg_stop_reason;

typedef struct tg_training_result {
    tg_progress progress;
    tg_stop_reason reason;
    int signal;             /* the one that stopped it */
    double train_loss;      /* average since the last row of the log */
    double seconds;         /* of training in this call */
    char resumed_from[256]; /* the checkpoint that was continued; "" if none */
} tg_training_result;

/* Runs training to its end. result may be NULL. TG_OK: done, or out of patience or time.
 * TG_ERR_INTERRUPTED: a signal; last.h5 is saved. TG_ERR_NUMBER: five bad steps in a row.
 * TG_ERR_EXISTS: the directory has a run, or another trainer is at work in it.
 *
 * A file that cannot be written once the run has begun does not end it: that is told, and the write is tried
 * again when the next one is due, and twice at the end. TG_ERR_IO, TG_ERR_MEMORY or TG_ERR_EXISTS then: the
 * files that the message names could not be written.
 *
 * best.h5 is replaced by a model with a lower validation loss only, whatever happened in between.
 *
 * Resuming with other limits or other data, the rate goes on from where it was. STEP and EXPONENTIAL go on with
 * the new period; COSINE spreads the rest of its decay over the steps that are left, and stays at its minimum
 * if it had reached it, unless the rate is another one: then it begins anew. If the epoch that had begun no
 * longer has the batch that comes next, the next epoch begins. A resume that fails changes no file. */
TG_API tg_status tg_train(const tg_training *training, tg_training_result *result) TG_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
