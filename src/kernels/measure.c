/* kernels/measure.c -- see tidegate/measure.h. */
#include <tidegate/measure.h>

#include <string.h>
#include <time.h>

#include "core/context.h"
#include "core/team.h"
#include "kernels/matmul.h"
#include "kernels/simd/table.h"

/* So long, and three times at least: a worker that was just started may share a processor for a while. */
static const double LONG_ENOUGH = 0.3; /* seconds */
enum { TRIES = 3 };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

typedef struct worker_sum { /* on a cache line of its own */
    _Alignas(64) tg_real total;
    double done;
} worker_sum;

static void add_up(void *argument, int piece)
{
    worker_sum *s = (worker_sum *)argument + piece;
    s->done = tg__simd()->multiply_adds(1 << 21, &s->total);
}

double tg_measure_multiply_adds(tg_context *cx)
{
    enum { MOST_THREADS = 256 };
    static _Thread_local worker_sum sum[MOST_THREADS];
    const int threads = cx->threads < MOST_THREADS ? cx->threads : MOST_THREADS;
    double best = 0;
    const double start = now();
    for (int k = 0; k < TRIES || now() - start < LONG_ENOUGH; k++) {
        double done = 0;
        const double begin = now();
        tg__team_run(cx, threads, add_up, sum);
        const double seconds = now() - begin;
        for (int i = 0; i < threads; i++) done += sum[i].done;
        if (2 * done / seconds > best) best = 2 * done / seconds;
    }
    return cx->status ? 0 : best;
}

double tg_measure_product(tg_context *cx, int n)
{
    if (n < 1) {
        tg_context_fail(cx, TG_ERR_ARGUMENT, "tg_measure_product: matrices of %d rows", n);
        return 0;
    }
    const size_t numbers = (size_t)n * (size_t)n;
    tg_real *x = cx->status ? NULL : tg__allocate(cx, tg__bytes(tg__bytes(3, numbers), sizeof *x));
    double best = 0;
    if (!x) {
        if (!cx->status) tg_context_fail(cx, TG_ERR_MEMORY, "out of memory: three matrices of %d x %d", n, n);
        return 0;
    }
    memset(x, 0, 3 * numbers * sizeof *x);
    const double start = now();
    for (int k = 0; k < TRIES || now() - start < LONG_ENOUGH; k++) {
        const double begin = now();
        tg__matmul(cx, NORMAL, NORMAL, n, n, n, x, n, x + numbers, n, NULL, 0, x + 2 * numbers, n);
        const double speed = 2.0 * (double)numbers * n / (now() - begin);
        if (speed > best) best = speed;
    }
    tg__release(cx, x);
    return cx->status ? 0 : best;
}
