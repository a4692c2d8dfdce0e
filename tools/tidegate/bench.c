/* tools/tidegate/bench.c -- tidegate bench: the recurrent layer's speed here, beside what the processor can do. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "options.h"
#include "program.h"

typedef struct settings {
    option_list sizes;
    int cell;
    int64_t threads;
    double seconds;
} settings;

static const option options[] = {
    { "size", OPTION_LIST, offsetof(settings, sizes), NULL, 0, 0, "T,B,I,H",
      "steps, rows, inputs, units; several times: one after the other" },
    { "cell", OPTION_CHOICE, offsetof(settings, cell), "all", 0, 0, all_or_a_cell, "which of them" },
    THREADS_OPTION(settings, 0),
    { "seconds", OPTION_NUMBER, offsetof(settings, seconds), "0.5", 0, 1e6, "S",
      "for each line; three steps at least" },
    { NULL },
};

static const command bench_command = {
    "bench",
    "[options]",
    "Times the training step of a recurrent layer (forward, backward to its inputs, its first state and\n"
    "all weights, and a step of SGD), and steps of one row with the state carried along. Medians.\n"
    "peak: multiply-adds in registers; product: matrices of 1024 x 1024; reading: as many bytes as the "
    "weights\n"
    "have, by all threads. memory: numbers that the tape took, a unit of a token.",
    options,
    0,
    0,
    "  tidegate bench\n"
    "  tidegate bench --size 50,32,128,256 --cell gru --seconds 2\n",
};

typedef struct size {
    int T, B, I, H;
} size;

static const size standard_sizes[] = { { 20, 1, 64, 64 },      { 50, 1, 128, 128 },  { 32, 16, 128, 128 },
                                       { 50, 32, 128, 256 },   { 35, 20, 650, 650 }, { 50, 64, 256, 512 },
                                       { 100, 128, 512, 1024 } };
static const int standard_units[] = { 64, 128, 256, 512 }; /* of the steps of one row */

/* ---- timing ---- */

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Seconds of one piece of work: the median of as many as fit into the budget, three at least, after one that warms up. */
static double median_seconds(void (*work)(void *), void *user, double budget)
{
    enum { MOST = 10000, LEAST = 3 };
    static double seconds[MOST];
    int n = 0;
    work(user);
    for (const double begin = now(); n < MOST && (n < LEAST || now() - begin < budget); n++) {
        const double start = now();
        work(user);
        seconds[n] = now() - start;
    }
    qsort(seconds, (size_t)n, sizeof *seconds, ascending);
    return seconds[n / 2];
}

/* ---- the training step ---- */

typedef struct layer {
    tg_context *cx;
    tg_tape *t;
    tg_rnn *rnn;
    tg_optimizer *sgd;
    tg_parameter *x, *h0;
    tg_real *dy;
    tg_state state; /* of one row, step by step */
    double weights; /* of the products: multiply-adds a token, forward */
} layer;

static void train_step(void *user)
{
    layer *l = user;
    tg_tape_begin(l->t, TG_TRAIN);
    const tg_state in = { tg_parameter_tensor(l->h0, l->t) };
    tg_tensor *y = tg_rnn_run(l->rnn, l->t, tg_parameter_tensor(l->x, l->t), NULL, &in, NULL);
    if (tg_tape_backward_from(l->t, 1, &y, (const tg_real *const[]){ l->dy })) return; /* the context knows */
    if (tg_optimizer_step(l->sgd)) return;
}

static void stream_step(void *user)
{
    layer *l = user;
    tg_state out;
    tg_tape_begin(l->t, TG_EVAL);
    tg_rnn_step(l->rnn, l->t, tg_parameter_tensor(l->x, l->t), &l->state, &out);
    tg_state_keep(&l->state, &out);
}

/* The numbers of all weight matrices of the layer. */
static double weights_of(const tg_params *ps)
{
    double sum = 0;
    for (int i = 0; i < tg_params_count(ps); i++) {
        tg_parameter_info info;
        tg_params_info(ps, i, &info);
        if (!strncmp(info.name, "rnn/", 4) && info.rank == 2) sum += (double)info.size;
    }
    return sum;
}

/* A context of its own, so that its memory is that of this size. rank: of x, (T,B,I) or (B,I). */
static layer layer_new(const settings *s, tg_cell cell, size z, int rank)
{
    layer l = { .cx = new_context(1, (int)s->threads) };
    tg_params *ps = tg_params_new(l.cx);
    const size_t n = (size_t)z.T * (size_t)z.B * (size_t)z.H;
    l.t = tg_tape_new(l.cx);
    l.x = tg_parameter_new(ps, "x", rank, (const int[]){ z.T, z.B, z.I } + 3 - rank,
                           (tg_init){ TG_INIT_UNIFORM, 1 });
    l.h0 = tg_parameter_new(ps, "h0", 3, (int[]){ 1, z.B, z.H }, (tg_init){ TG_INIT_UNIFORM, 1 });
    l.rnn = tg_rnn_new(ps, "rnn", z.I, z.H, &(tg_rnn_config){ .cell = cell });
    l.weights = weights_of(ps);
    l.sgd = tg_sgd_new(ps, &(tg_sgd_config){ .lr = (tg_real)1e-6 });
    l.state = tg_state_new(l.cx, l.rnn, 1);
    l.dy = tg_context_allocate(l.cx, n * sizeof *l.dy);
    for (size_t i = 0; l.dy && i < n; i++) l.dy[i] = (tg_real)(i % 7) - 3;
    return l;
}

/* Ends with the layer. False: the context's sentence was said. */
static bool layer_end(layer *l)
{
    const bool good = tg_context_ok(l->cx);
    if (!good) fail_context(l->cx);
    tg_context_free(l->cx);
    return good;
}

static bool time_training(const settings *s, tg_cell cell, size z, double peak, double product)
{
    layer l = layer_new(s, cell, z, 3);
    const double seconds = tg_context_ok(l.cx) ? median_seconds(train_step, &l, s->seconds) : 1;
    const double tokens = (double)z.T * z.B, speed = 6 * tokens * l.weights / seconds;
    const double numbers = (double)tg_tape_bytes(l.t) / (double)sizeof(tg_real);
    if (!layer_end(&l)) return false;
    printf("%5d %5d %5d %5d  %-16s %10.3f %9.1f %7.0f%% %9.0f%% %10.1f\n", z.T, z.B, z.I, z.H,
           tg_cell_name(cell), seconds * 1e3, speed * 1e-9, 100 * speed / peak, 100 * speed / product,
           numbers / (tokens * z.H));
    return true;
}

static bool time_stream(const settings *s, tg_cell cell, int H)
{
    const size z = { 1, 1, H, H };
    layer l = layer_new(s, cell, z, 2);
    const size_t bytes = (size_t)l.weights * sizeof(tg_real);
    const double seconds = tg_context_ok(l.cx) ? median_seconds(stream_step, &l, s->seconds) : 1,
                 reading = tg_measure_reading(l.cx, bytes), speed = (double)bytes / seconds;
    if (!layer_end(&l)) return false;
    printf("%5d  %-16s %10.2f %9.1f %10.0f%%\n", H, tg_cell_name(cell), seconds * 1e6, speed * 1e-9,
           100 * speed / reading);
    return true;
}

/* ---- the command ---- */

/* "T,B,I,H" */
static bool read_size(const char *text, size *z)
{
    enum { MOST = 1000000 };
    int *const part[] = { &z->T, &z->B, &z->I, &z->H };
    const char *s = text;
    for (int k = 0; k < 4; k++) {
        char *end;
        const long n = *s >= '1' && *s <= '9' ? strtol(s, &end, 10) : 0;
        if (n < 1 || n > MOST || *end != (k < 3 ? ',' : 0)) break;
        *part[k] = (int)n;
        if (k == 3) return true;
        s = end + 1;
    }
    usage_error("bench", "--size %s: it takes T,B,I,H, four whole numbers from 1 to %d", text, MOST);
    return false;
}

static bool wanted(const settings *s, tg_cell cell) /* 0: all */
{
    return s->cell == 0 || s->cell == (int)cell + 1;
}

static bool time_all(const settings *s, const size *sizes, size_t n, double peak, double product)
{
    printf(
        "training step                                     ms   Gflop/s  of peak of product  memory/TBH\n");
    for (size_t k = 0; k < n; k++)
        for (tg_cell cell = TG_GRU; cell < TG_CELLS; cell++)
            if (wanted(s, cell) && !time_training(s, cell, sizes[k], peak, product)) return false;
    if (s->sizes.n) return true;
    printf("\none row, step by step, I = H      us      GB/s  of reading\n");
    for (size_t k = 0; k < sizeof standard_units / sizeof *standard_units; k++)
        for (tg_cell cell = TG_GRU; cell < TG_CELLS; cell++)
            if (wanted(s, cell) && !time_stream(s, cell, standard_units[k])) return false;
    return true;
}

int command_bench(int argc, char *argv[])
{
    settings s = { 0 };
    const char *none[1];
    size sizes[OPTION_LIST_MOST];
    const parsed p = options_parse(&bench_command, argc, argv, &s, none);
    if (p != PARSED) return options_exit(p);
    for (int k = 0; k < s.sizes.n; k++)
        if (!read_size(s.sizes.text[k], &sizes[k])) return EXIT_USAGE;

    tg_context *cx = new_context(0, (int)s.threads);
    const double peak = tg_measure_multiply_adds(cx), product = tg_measure_product(cx, PRODUCT_ROWS);
    if (!tg_context_ok(cx)) {
        const int result = fail_context(cx);
        tg_context_free(cx);
        return result;
    }
    printf("%d thread%s, %s, OpenBLAS %s; peak %.0f Gflop/s, product %.0f Gflop/s\n\n",
           tg_context_threads(cx), PLURAL(tg_context_threads(cx)), tg_simd_variant(), tg_blas_core(),
           peak * 1e-9, product * 1e-9);
    tg_context_free(cx);
    const bool done = s.sizes.n ? time_all(&s, sizes, (size_t)s.sizes.n, peak, product)
                                : time_all(&s, standard_sizes, sizeof standard_sizes / sizeof *standard_sizes,
                                           peak, product);
    return finish_output(done ? EXIT_DONE : EXIT_FAILED);
}
