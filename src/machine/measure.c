/* machine/measure.c -- see tidegate/measure.h. */
#include <tidegate/measure.h>

#include <string.h>
#include <time.h>

#include "core/context.h"
#include "core/team.h"
#include "kernels/matmul.h"
#include "kernels/simd/table.h"

/* A measurement is repeated for this long, and at least FEWEST_TRIES times: a thread that was just started
 * may share a processor with another one for a while. */
static const double SECONDS = 0.3;
enum { FEWEST_TRIES = 3, MOST_THREADS = 256 };

static double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

typedef struct worker_sum { /* on a cache line of its own, against false sharing */
    _Alignas(64) tg_real total;
    double done;
} worker_sum;

static void multiply_adds_piece(void *argument, int piece)
{
    worker_sum *s = (worker_sum *)argument + piece;
    s->done = tg__simd()->multiply_adds(1 << 21, &s->total);
}

double tg_measure_multiply_adds(tg_context *cx)
{
    if (!cx || cx->status) return 0;
    worker_sum sum[MOST_THREADS] = { 0 };
    const int threads = cx->threads < MOST_THREADS ? cx->threads : MOST_THREADS;
    double best = 0;
    const double start = seconds_now();
    for (int k = 0; k < FEWEST_TRIES || seconds_now() - start < SECONDS; k++) {
        double done = 0;
        const double begin = seconds_now();
        tg__team_run(cx, threads, multiply_adds_piece, sum);
        const double seconds = seconds_now() - begin;
        for (int i = 0; i < threads; i++) done += sum[i].done;
        if (2 * done / seconds > best) best = 2 * done / seconds;
    }
    return best;
}

double tg_measure_product(tg_context *cx, int n)
{
    if (!cx) return 0;
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
    const double start = seconds_now();
    for (int k = 0; k < FEWEST_TRIES || seconds_now() - start < SECONDS; k++) {
        const double begin = seconds_now();
        tg__matmul(cx, NORMAL, NORMAL, n, n, n, x, n, x + numbers, n, NULL, 0, x + 2 * numbers, n);
        const double speed = 2.0 * (double)numbers * n / (seconds_now() - begin);
        if (speed > best) best = speed;
    }
    tg__release(cx, x);
    return cx->status ? 0 : best;
}

typedef struct memory_reading {
    const tg_real *x;
    size_t numbers;
    int pieces, repeats;
    worker_sum *sum;
} memory_reading;

static void memory_reading_piece(void *argument, int piece)
{
    const memory_reading *r = argument;
    const size_t first = (size_t)tg__piece_start((int64_t)r->numbers, r->pieces, piece),
                 end = (size_t)tg__piece_start((int64_t)r->numbers, r->pieces, piece + 1);
    for (int k = 0; k < r->repeats; k++)
        r->sum[piece].total += tg__simd()->read_all(end - first, r->x + first);
}

double tg_measure_reading(tg_context *cx, size_t bytes)
{
    if (!cx) return 0;
    worker_sum sum[MOST_THREADS] = { 0 };
    const size_t numbers = bytes / sizeof(tg_real) + 1;
    tg_real *x = cx->status ? NULL : tg__allocate(cx, tg__bytes(numbers, sizeof *x));
    double best = 0;
    if (!x) {
        if (!cx->status) tg_context_fail(cx, TG_ERR_MEMORY, "out of memory: %zu bytes to read", bytes);
        return 0;
    }
    memset(x, 0, numbers * sizeof *x);
    memory_reading r = { x, numbers, cx->threads < MOST_THREADS ? cx->threads : MOST_THREADS, 1, sum };
    r.repeats += (int)(((size_t)1 << 26) / (bytes + 1)); /* so that starting the threads hardly counts */
    const double start = seconds_now();
    for (int k = 0; k < FEWEST_TRIES || seconds_now() - start < SECONDS; k++) {
        const double begin = seconds_now();
        tg__team_run(cx, r.pieces, memory_reading_piece, &r);
        const double speed = (double)bytes * r.repeats / (seconds_now() - begin);
        if (speed > best) best = speed;
    }
    tg__release(cx, x);
    return cx->status ? 0 : best;
}
