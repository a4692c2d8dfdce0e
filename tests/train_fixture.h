/* tests/train_fixture.h -- a small recurrent model to train, a directory for it, and a comparer of
 * checkpoints. All that a run does is a function of the config below and of the seed. */
#ifndef TRAIN_FIXTURE_H
#define TRAIN_FIXTURE_H

#include <ftw.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tidegate/tidegate.h>

#include "check_main.h"
#include "hdf5/calls.h"

enum { NET_T = 3, NET_B = 2, NET_I = 3, NET_H = 4 };

typedef struct net_config {
    uint64_t seed;
    const char *optimizer; /* "adam" */
    tg_rnn_config rnn;
    tg_real dropout;             /* on the outputs */
    bool carries;                /* the state, from batch to batch of an epoch */
    int batches;                 /* in an epoch; 0: there are no epochs */
    int64_t bad_from, bad_until; /* steps whose loss is not finite */
    int64_t shape_error_at;      /* 0: none */
    int64_t signal_at;           /* a signal is raised in the loss of this step; 0: none */
    int signals;                 /* how many times; 0: 1 */
    int signal_number;           /* 0: SIGTERM */
    bool signal_in_validation;
    const double *valid;           /* validation losses to tell, one after the other; NULL: real ones */
    double (*tell)(int64_t step);  /* the validation loss after so many steps; NULL: a real one */
    int64_t bad_gradient_at;       /* 0: none */
    bool check_finite;             /* the context's */
    void (*at_step)(int64_t step); /* called in the loss; NULL: nothing */
} net_config;

typedef struct net {
    net_config config;
    tg_context *cx;
    tg_params *ps;
    tg_optimizer *optimizer;
    tg_rnn *rnn;
    tg_linear *out;
    tg_state state, after; /* carried; after the step being taken (on the tape) */
    int losses, validations, accepted;
    double loss[256], units[256]; /* of each step, as the driver was told */
    int64_t note, note_back;      /* saved, and restored, by the callbacks */
    char log[4096];               /* the context's */
} net;

static inline void net_log(void *user, tg_log_level level, const char *message)
{
    net *n = user;
    snprintf(n->log + strlen(n->log), sizeof n->log - strlen(n->log), "%d %s\n", (int)level, message);
}

static inline int no_fsync(int fd)
{
    (void)fd;
    return 0;
}

/* No test pulls the plug, so nothing need reach the disk. */
static inline void leave_out_fsync(void)
{
    static file_calls quick;
    quick = tg__file_calls_libc;
    quick.fsync = no_fsync;
    if (tg__file_calls == &tg__file_calls_libc) tg__file_calls = &quick;
}

static inline net *net_new(const net_config *config)
{
    leave_out_fsync();
    net *n = calloc(1, sizeof *n);
    n->config = *config;
    n->cx = tg_context_new(&(tg_context_config){ .seed = config->seed,
                                                 .threads = 1,
                                                 .check_finite = config->check_finite,
                                                 .log = net_log,
                                                 .log_user = n });
    n->ps = tg_params_new(n->cx);
    n->rnn = tg_rnn_new(n->ps, "rnn", NET_I, NET_H, &config->rnn);
    n->out = tg_linear_new(n->ps, "out", NET_H, 1, NULL);
    n->optimizer = tg_optimizer_new(n->ps, config->optimizer ? config->optimizer : "adam", (tg_real)0.01, 0);
    n->state = tg_state_new(n->cx, n->rnn, NET_B);
    ck_assert_msg(tg_context_ok(n->cx), "%s", tg_context_message(n->cx));
    return n;
}

static inline void net_free(net *n)
{
    tg_context_free(n->cx);
    free(n);
}

/* Batch k of the data: x (T,B,I) in, the sum of x so far to be told, y (T,B,1). */
static inline void net_batch(const net *n, const char *stream, int64_t k, tg_real *x, tg_real *y)
{
    for (int i = 0; i < NET_T * NET_B * NET_I; i++)
        x[i] = (tg_real)(tg_random_uniform(n->cx, stream, k, (uint64_t)i) - 0.5);
    for (int t = 0; t < NET_T; t++)
        for (int b = 0; b < NET_B; b++) {
            y[t * NET_B + b] = t ? y[(t - 1) * NET_B + b] : 0;
            for (int i = 0; i < NET_I; i++) y[t * NET_B + b] += x[(t * NET_B + b) * NET_I + i];
        }
}

static inline tg_tensor *net_mean_square(net *n, tg_tape *t, const char *stream, int64_t k,
                                         const tg_state *in, tg_state *out)
{
    tg_real x[NET_T * NET_B * NET_I], y[NET_T * NET_B];
    net_batch(n, stream, k, x, y);
    tg_tensor *h = tg_rnn_run(n->rnn, t, tg_input(t, 3, (int[]){ NET_T, NET_B, NET_I }, x), NULL, in, out);
    if (n->config.dropout > 0) h = tg_dropout(t, h, n->config.dropout);
    tg_tensor *d = tg_subtract(t, tg_linear_run(n->out, t, h), tg_input(t, 3, (int[]){ NET_T, NET_B, 1 }, y));
    return tg_mean(t, tg_multiply(t, d, d));
}

static inline void net_raise(const net *n)
{
    for (int i = 0; i < (n->config.signals ? n->config.signals : 1); i++)
        raise(n->config.signal_number ? n->config.signal_number : SIGTERM);
}

static inline tg_tensor *net_loss(void *user, tg_tape *t, tg_at at, double *units)
{
    net *n = user;
    int64_t k = at.step;
    int order[64];
    n->losses++;
    if (n->config.at_step) n->config.at_step(at.step);
    if (n->config.batches) {
        tg_random_permutation(n->cx, "order", at.epoch, n->config.batches, order);
        k = order[at.batch];
    }
    if (n->config.carries && at.batch == 0)
        memset(n->state.h->data, 0, tg_tensor_size(n->state.h) * sizeof(tg_real));
    if (n->config.signal_at && at.step == n->config.signal_at && !n->config.signal_in_validation)
        net_raise(n);
    if (n->config.shape_error_at && at.step == n->config.shape_error_at)
        tg_add(t, n->state.h, tg_input(t, 1, (int[]){ 1 }, (tg_real[]){ 1 }));
    tg_tensor *extra = NULL; /* 0, whose derivative is infinite */
    if (n->config.bad_gradient_at && at.step == n->config.bad_gradient_at) {
        tg_tensor *one = tg_linear_run(n->out, t, tg_input(t, 2, (int[]){ 1, NET_H }, (tg_real[NET_H]){ 1 }));
        extra = tg_mean(t, tg_subtract(t, one, one));
        for (int i = 0; i < 11; i++) extra = tg_scale(t, extra, (tg_real)1e30);
    }
    tg_tensor *loss = net_mean_square(n, t, "data", k, n->config.carries ? &n->state : NULL,
                                      n->config.carries ? &n->after : NULL);
    if (at.step >= n->config.bad_from && at.step < n->config.bad_until)
        loss = tg_scale(t, loss, (tg_real)INFINITY);
    if (extra) loss = tg_add(t, loss, extra);
    *units = 1 + (double)(k % 3);
    if (at.step < 256) n->loss[at.step] = (double)*loss->data, n->units[at.step] = *units;
    return loss;
}

static inline int64_t net_batches(void *user, int64_t epoch)
{
    (void)epoch;
    return ((net *)user)->config.batches;
}

static inline tg_status net_validate(void *user, tg_tape *t, double *loss)
{
    net *n = user;
    if (n->config.signal_in_validation && tg_context_step(n->cx) == n->config.signal_at) net_raise(n);
    if (n->config.tell) {
        *loss = n->config.tell(tg_context_step(n->cx));
        return TG_OK;
    }
    if (n->config.valid) {
        *loss = n->config.valid[n->validations++];
        return TG_OK;
    }
    n->validations++;
    tg_tape_begin(t, TG_EVAL);
    *loss = (double)*net_mean_square(n, t, "valid", 0, NULL, NULL)->data;
    return TG_OK;
}

static inline void net_accepted(void *user, tg_at at)
{
    net *n = user;
    (void)at;
    n->accepted++;
    if (n->config.carries) tg_state_keep(&n->state, &n->after);
}

static inline tg_status net_save(void *user, tg_archive *a)
{
    return tg_archive_put_integer(a, "model/note", ((net *)user)->note);
}

static inline tg_status net_restore(void *user, const tg_archive *a)
{
    return tg_archive_get_integer(a, "model/note", &((net *)user)->note_back);
}

/* What most tests train; they change a member or two. */
static inline tg_training net_training(net *n, const char *directory)
{
    return (tg_training){ .params = n->ps,
                          .optimizer = n->optimizer,
                          .user = n,
                          .loss = net_loss,
                          .batches = n->config.batches ? net_batches : NULL,
                          .validate = net_validate,
                          .accepted = net_accepted,
                          .save = net_save,
                          .restore = net_restore,
                          .states = n->config.carries ? &n->state : NULL,
                          .n_states = n->config.carries,
                          .directory = directory,
                          .clip_norm = 1 };
}

/* ---- a directory of one's own ---- */

static inline const char *fresh_directory(void)
{
    static char path[256];
    const char *where = getenv("TMPDIR");
    snprintf(path, sizeof path, "%s/tidegate-train-XXXXXX", where && strlen(where) < 200 ? where : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(path));
    return path;
}

static inline int remove_one(const char *path, const struct stat *is, int flag, struct FTW *where)
{
    (void)is, (void)flag, (void)where;
    return remove(path);
}

static inline void remove_directory(const char *path) { nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS); }

typedef struct file_path {
    char s[600];
} file_path;

static inline file_path in(const char *directory, const char *file)
{
    file_path p;
    snprintf(p.s, sizeof p.s, "%.400s/%.150s", directory, file);
    return p;
}

static inline bool exists(const char *directory, const char *file)
{
    return !access(in(directory, file).s, F_OK);
}

/* The whole file, 0-terminated; the caller frees. */
static inline char *text_of(const char *directory, const char *file)
{
    FILE *f = fopen(in(directory, file).s, "r");
    ck_assert_msg(f != NULL, "%s is missing", file);
    char *text = calloc(1, 1 << 20);
    const size_t n = fread(text, 1, (1 << 20) - 1, f);
    text[n] = 0;
    fclose(f);
    return text;
}

/* All of metrics.csv but speed and seconds; the caller frees. */
static inline char *numbers_of(const char *directory)
{
    char *text = text_of(directory, "metrics.csv"), *out = text;
    int commas = 0;
    for (const char *p = text; *p; p++) {
        if (*p == '\n') commas = 0;
        commas += *p == ',';
        if (commas < 6) *out++ = *p;
    }
    *out = 0;
    return text;
}

/* ---- two checkpoints ---- */

static inline size_t bytes_of(const tg_entry *e)
{
    static const size_t element[] = {
        [TG_INT64] = 8, [TG_FLOAT64] = 8, [TG_FLOAT32] = 4, [TG_INT32] = 4, [TG_BYTES] = 1
    };
    size_t n = element[e->type];
    for (int i = 0; e->array && i < e->rank; i++) n *= (size_t)e->dim[i];
    return n;
}

static inline bool same_entry(const tg_entry *x, const tg_entry *y)
{
    if (strcmp(x->path, y->path) || x->type != y->type || x->array != y->array) return false;
    if (x->type == TG_TEXT && x->array) return true; /* vocabularies: not of these models */
    if (x->type == TG_TEXT) return !strcmp(x->data, y->data);
    if (x->array && (x->rank != y->rank || memcmp(x->dim, y->dim, (size_t)x->rank * sizeof(int))))
        return false;
    return !memcmp(x->data, y->data, bytes_of(x));
}

/* The first path at which two checkpoints differ, /run left out; "" if none does. */
static inline const char *difference(const char *path_x, const char *path_y)
{
    static char what[1200];
    tg_context *cx = tg_context_new(NULL);
    tg_archive *x = NULL, *y = NULL;
    what[0] = 0;
    if (tg_checkpoint_read(cx, path_x, &x) || tg_checkpoint_read(cx, path_y, &y))
        snprintf(what, sizeof what, "%s", tg_context_message(cx));
    for (int side = 0, compared = 0; side < 2 && !what[0]; side++) {
        tg_archive *a = side ? y : x, *b = side ? x : y;
        for (int i = 0; i < tg_archive_count(a) && !what[0]; i++) {
            tg_entry e, other = { 0 };
            tg_archive_entry(a, i, &e);
            if (!strncmp(e.path, "run/", 4)) continue;
            compared++;
            bool found = false;
            for (int k = 0; k < tg_archive_count(b) && !found; k++) {
                tg_archive_entry(b, k, &other);
                found = !strcmp(e.path, other.path);
            }
            if (!found || !same_entry(&e, &other))
                snprintf(what, sizeof what, "%s%s", e.path, found ? " differs" : " is in one only");
        }
        if (side && compared < 20 && !what[0])
            snprintf(what, sizeof what, "only %d entries were compared", compared);
    }
    tg_archive_free(x);
    tg_archive_free(y);
    tg_context_free(cx);
    return what;
}

#define ck_assert_same_checkpoint(x, y)                                                                      \
    do {                                                                                                     \
        const char *what_ = difference((x), (y));                                                            \
        ck_assert_msg(!*what_, "%s and %s: %s", (x), (y), what_);                                            \
    } while (0)

#define ck_assert_train(training, status, result)                                                            \
    do {                                                                                                     \
        const tg_status got_ = tg_train((training), (result));                                               \
        ck_assert_msg(got_ == (status), "tg_train: %d, not %d: %s", (int)got_, (int)(status),                \
                      tg_context_message(((net *)(training)->user)->cx));                                    \
    } while (0)

#endif
