/* train/driver.h -- the parts of the training driver: its directory, its log, its talk, its signals.
 *
 * train.c is the loop; everything here can be read, and tested, without it.                       */
#ifndef TRAIN_DRIVER_H
#define TRAIN_DRIVER_H

#include <tidegate/train.h>

#include "core/context.h"

/* ---- what was asked for: settings.c ---- */

/* TG_OK, or what is missing or contradictory, in one sentence. */
tg_status tg__training_check(const tg_training *training);

/* The step at which the run will end, as far as that is known: from `p` on its epochs have `batches` batches.
 * 0: unknown. */
int64_t tg__training_end(const tg_training *training, const tg_progress *p, int64_t batches);

/* The schedule with its defaults filled in: base is the optimizer's rate when training starts. */
tg_status tg__training_schedule(const tg_training *training, tg_real base, tg_schedule *schedule);

/* ---- the run's directory: run_directory.c ---- */

typedef struct run_directory {
    tg_context *cx;
    const char *path; /* NULL: nothing is written, and all calls below do nothing */
    int lock;         /* descriptor; -1: none */
} run_directory;

typedef struct run_path { /* of a file in the directory */
    char s[4096];
} run_path;
run_path tg__run_path(const run_directory *d, const char *file);

/* Makes the directory if it is missing and may be made, and locks it against other trainers. */
tg_status tg__run_open(run_directory *d, tg_context *cx, const char *path, bool may_make);
void tg__run_close(run_directory *d);
tg_status tg__run_must_be_new(const run_directory *d); /* TG_ERR_EXISTS: there is a run in it */

/* Puts the checkpoint `new` in the place of last.h5, after an old run's other files are gone: at no moment is
 * there a best.h5 beside the last.h5 of another run. */
tg_status tg__run_replace(const run_directory *d, const char *new);

/* Opens a file of the directory, which must be a regular file with one name. A symbolic link is not followed,
 * a FIFO not waited for. TG_ERR_ABSENT, without a sentence: there is none. On failure *fd is -1. */
tg_status tg__run_file(const run_directory *d, const char *file, int flags, int *fd);

/* ---- metrics.csv: metrics.c ---- */

typedef struct metrics_row {
    int64_t step;  /* steps done */
    int64_t epoch; /* the one that the last of them belongs to, from 1; 0: there are no epochs */
    bool has_train, has_valid, has_speed; /* an absent value is an empty field */
    double train_loss, grad_norm, valid_loss, lr, units_per_second, seconds;
} metrics_row;

/* What has been written but not synced is kept in memory, so that a failed write, or a failed sync, after which
 * the kernel may have thrown the data away, loses nothing: the next try writes it again. */
typedef struct metrics_log {
    tg_context *cx;
    const run_directory *directory;
    run_path path, part; /* of the file, and of the one that is to take its place */
    int fd;              /* -1: none */
    bool replace;        /* the text is to become a new metrics.csv, in the place of what is there */
    bool damaged;        /* what is there is to be set aside as metrics.csv.damaged */
    char *text;          /* what is not known to be on the disk */
    size_t bytes, capacity;
    size_t written; /* of the text, at the offset `synced` */
    off_t synced;
} metrics_log;

/* A new log with its header; or, resuming, the old one without its rows after `step`. No file changes until the
 * first write or sync. */
tg_status tg__metrics_open(metrics_log *m, const run_directory *d, bool resume, int64_t step);
/* On TG_ERR_IO the rows are kept for the next try. */
tg_status tg__metrics_write(metrics_log *m, const metrics_row *row);
tg_status tg__metrics_sync(metrics_log *m); /* all that was written is on the disk */
void tg__metrics_close(metrics_log *m);     /* without a sync; a closed one is fine */

/* ---- news for people: talk.c ---- */

typedef struct talk {
    FILE *out;     /* NULL: silence, in all calls below */
    bool terminal; /* a bar; otherwise plain lines */
    bool drawn;    /* the bar stands on the current line */
    const char *unit;
    double begun, last_bar, last_line; /* seconds, tg__seconds(); the last two at first long ago */
} talk;

typedef struct talk_bar {
    int64_t step, steps;                     /* done, in all (0: unknown) */
    int64_t epoch, epochs;                   /* from 1 (0: there are none), in all (0: no limit) */
    double loss, lr, units_per_second, left; /* NaN: not known; left: seconds */
} talk_bar;

double tg__seconds(void); /* a clock that is never set back */
void tg__talk_open(talk *k, FILE *out, const char *unit);
/* A sentence on a line of its own; what it has from outside is made printable. */
void tg__talk_say(talk *k, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Seconds from one line to the next where there is no terminal, so many seconds after the talk began. */
double tg__talk_interval(double seconds);
/* The line of a log row, if it has a validation or a line is due; `best`: the validation is the best so far. */
void tg__talk_row(talk *k, const metrics_row *row, bool best);
bool tg__talk_bar_is_due(const talk *k);
void tg__talk_draw(talk *k, const talk_bar *bar);
void tg__talk_close(talk *k); /* takes the bar away */

/* ---- validation losses so far: history.c ---- */

/* 1024 at most: a longer history is thinned out to points of about equal distances over the whole run. */
typedef struct validation_history {
    int n;
    int64_t *step; /* (n): steps done */
    double *loss;  /* (n) */
} validation_history;

tg_status tg__history_add(tg_context *cx, validation_history *h, int64_t step, double loss);
void tg__history_free(tg_context *cx, validation_history *h);
/* As run/validation/step and run/validation/loss, and back; a file without them is fine. */
void tg__history_put(const validation_history *h, tg_archive *a);
tg_status tg__history_get(tg_context *cx, validation_history *h, const tg_archive *a);

/* ---- SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGXCPU: signals.c ---- */

tg_status tg__signals_catch(tg_context *cx); /* TG_ERR_STATE: this process catches them already */
int tg__signals_caught(void);                /* the signal, or 0 */
int tg__signals_release(void);               /* puts back what was there; the signal, or 0 */
const char *tg__signal_name(int signal);

/* ---- a run, and its checkpoints: train.c, run_checkpoint.c ---- */

typedef struct best_model { /* what best.h5 holds, or will hold once it can be written */
    double loss;            /* INFINITY: no model that was best on these validation data */
    int64_t step;
    tg_archive *unsaved; /* its content; NULL: it has been written */
} best_model;

typedef struct training_run {
    const tg_training *training;
    tg_context *cx;
    run_directory directory;
    metrics_log metrics;
    talk talk;
    tg_tape *tape, *valid_tape;
    tg_progress progress;
    validation_history history;
    tg_schedule schedule;      /* with its defaults filled in, and its memory */
    tg_schedule schedule_then; /* resuming: as the checkpoint has it */
    tg_real base;              /* the optimizer's rate when training started */
    tg_real rate;              /* of the step just taken */
    int64_t batches;           /* in the epoch that has begun; 0: not asked yet, or no epochs */
    int64_t total;             /* steps of the whole run; 0: unknown */
    bool owes;                 /* a signal came before the validation that is due at this step */
    bool saved;                /* last.h5 is as training stands */
    bool mended;               /* last.h5 could not be read: the next save must not push last.h5.1 out */
    bool log_fails;            /* metrics.csv could not be written, which was told */
    best_model best;
    int64_t validation_set;        /* how often the validation data have become others */
    double last_loss, last_norm;   /* of the step just taken, finite or not */
    double last_mean;              /* train_loss of the last row; NaN: none yet */
    double begun;                  /* tg__seconds() */
    double seconds_before;         /* of earlier calls on this run */
    int64_t steps_here;            /* taken in this call */
    double row_units, row_seconds; /* since the last row, in this call */
    char resumed_from[256];
} training_run;

/* Seconds since the run began, earlier calls included. */
double tg__run_seconds(const training_run *r);

/* News of the run: to whom it talks, or failing that to the context's log. */
void tg__run_tell(training_run *r, tg_log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The first checkpoint of a run, in the place of an old run's files. */
tg_status tg__run_save_first(training_run *r);
/* last.h5, keeping the one before it; does nothing if it is as training stands. */
tg_status tg__run_save_last(training_run *r);
/* best.h5, of this step with its validation loss. If it cannot be written it is kept in memory. */
tg_status tg__run_save_best(training_run *r, double loss);
tg_status tg__run_write_best(training_run *r); /* tries again; does nothing if it has been written */
/* A write failed with s, but may succeed later: the run can go on. */
bool tg__run_may_try_again(const training_run *r, tg_status s);
/* Tells that metrics.csv cannot be written, once, and that it can again. */
void tg__run_tell_log(training_run *r, tg_status s);
/* Everything from last.h5, or from last.h5.1 if that is damaged, not there, or cannot be read. Changes no file. */
tg_status tg__run_resume(training_run *r);

#endif
