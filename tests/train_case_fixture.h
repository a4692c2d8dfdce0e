/* tests/train_case_fixture.h -- runs of the driver that are stopped, die, and go on, and a comparer of runs. */
#ifndef TRAIN_CASE_FIXTURE_H
#define TRAIN_CASE_FIXTURE_H

#include "train_fixture.h"

static int64_t stop_at = -1; /* in the loss of which step the child dies */
static char message[512];    /* the last run's */

static inline void die(int64_t step)
{
    if (step == stop_at) _exit(9);
}

typedef struct run_case {
    const char *name;
    net_config net;
    int steps, epochs, log_every, valid_every, checkpoint_every, patience;
    tg_schedule schedule;
} run_case;

/* One call of the driver, in this process. */
static inline tg_status train(const run_case *c, const char *directory, bool resume,
                              tg_training_result *result)
{
    net_config config = c->net;
    if (stop_at >= 0) config.at_step = die;
    net *n = net_new(&config);
    n->note = 4711;
    tg_schedule schedule = c->schedule;
    tg_training g = net_training(n, directory);
    g.steps = c->steps, g.epochs = c->epochs, g.log_every = c->log_every, g.valid_every = c->valid_every;
    g.checkpoint_every = c->checkpoint_every, g.patience = c->patience, g.schedule = &schedule,
    g.resume = resume;
    const tg_status s = tg_train(&g, result);
    snprintf(message, sizeof message, "%s", tg_context_message(n->cx));
    if (!s && resume) ck_assert_int_eq((int)n->note_back, 4711);
    net_free(n);
    return s;
}

/* The driver in a child that dies in the loss of step k; true: it did. */
static inline bool train_until(const run_case *c, const char *directory, bool resume, int64_t k)
{
    fflush(NULL);
    const pid_t child = fork();
    if (!child) {
        stop_at = k;
        _exit(train(c, directory, resume, NULL) ? 1 : 0);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(WIFEXITED(status) && (WEXITSTATUS(status) == 9 || !WEXITSTATUS(status)),
                  "%s: the child ended with %x", c->name, status);
    return WEXITSTATUS(status) == 9;
}

static inline void straight_run(const run_case *c, char directory[256])
{
    stop_at = -1;
    snprintf(directory, 256, "%s", fresh_directory());
    ck_assert_int_eq(train(c, directory, false, NULL), TG_OK);
}

static inline void assert_same_run(const run_case *c, const char *x, const char *y, const char *how)
{
    const char *what = difference(in(x, "last.h5").s, in(y, "last.h5").s);
    ck_assert_msg(!*what, "%s, %s: last.h5: %s", c->name, how, what);
    what = difference(in(x, "best.h5").s, in(y, "best.h5").s);
    ck_assert_msg(!*what, "%s, %s: best.h5: %s", c->name, how, what);
    char *rows_x = numbers_of(x), *rows_y = numbers_of(y);
    ck_assert_msg(!strcmp(rows_x, rows_y), "%s, %s: metrics.csv:\n%s\nand\n%s", c->name, how, rows_x, rows_y);
    free(rows_x);
    free(rows_y);
}

#endif
