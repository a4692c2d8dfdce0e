/* The directions in which many vectors are longest. */
#include <math.h>
#include <tidegate/tidegate.h>

#include "check_main.h"
#include "kernels/directions.h"

enum { N = 1500, K = 300, D = 24, LONG = 20 };

static tg_context *cx;
static arena room;

static tg_real noise(const char *stream, int i)
{
    return (tg_real)(2 * tg_random_uniform(cx, stream, 0, (uint64_t)i) - 1);
}

/* Long along the first `directions` of some random ones, and as long as `rest` along any. */
static void fill(int n, tg_real *A, int directions, tg_real rest)
{
    for (int i = 0; i < n; i++)
        for (int p = 0; p < K; p++) {
            tg_real sum = 0;
            for (int d = 0; d < directions; d++)
                sum += noise("along", i * LONG + d) * noise("direction", d * K + p);
            A[i * K + p] = sum + rest * noise("rest", i * K + p);
        }
}

static double squared(int n, const tg_real *x)
{
    double sum = 0;
    for (int i = 0; i < n; i++) sum += (double)x[i] * (double)x[i];
    return sum;
}

/* |P x|^2 */
static double projected(const tg_real *P, const tg_real *x)
{
    double all = 0;
    for (int d = 0; d < D; d++) {
        double sum = 0;
        for (int p = 0; p < K; p++) sum += (double)P[d * K + p] * (double)x[p];
        all += sum * sum;
    }
    return all;
}

static tg_real *directions_of(int n, const tg_real *A)
{
    tg_real *P = tg_context_allocate(cx, D * K * sizeof *P);
    tg__longest_directions(cx, &room, n, K, A, D, P);
    ck_assert(tg_context_ok(cx));
    return P;
}

static tg_real *begin(int n)
{
    cx = tg_context_new(NULL);
    tg__arena_init(&room, cx);
    return tg_context_allocate(cx, (size_t)(n * K) * sizeof(tg_real));
}

static void end(void)
{
    tg__arena_free(&room);
    tg_context_free(cx);
}

START_TEST(directions_hold_what_is_long_in_the_rows)
{
    tg_real *A = begin(N);
    double all = 0, left = 0;
    fill(N, A, LONG, (tg_real)0.1);
    const tg_real *P = directions_of(N, A);
    for (int i = 0; i < N; i++) {
        all += squared(K, A + i * K);
        left += squared(K, A + i * K) - projected(P, A + i * K);
    }
    /* along each of the K dimensions the rest is 0.1^2 / 3; for rounding errors directions are a little shorter than 1 */
    const double rest = N * (K - LONG) * 0.01 / 3;
    ck_assert_msg(left < 1.02 * rest + 0.0012 * all && left > 0.9 * rest && rest < 0.01 * all,
                  "%g of %g are left, and %g the rest", left, all, rest);
    end();
}
END_TEST

/* Of the rows, of the directions themselves, which are the longest, and of what points anywhere. */
START_TEST(no_vector_becomes_longer)
{
    for (int rank = 0; rank <= LONG; rank += LONG / 2)
        for (int n = D; n <= N; n += N - D) {
            tg_real *A = begin(n), x[K];
            fill(n, A, rank, rank ? 0 : 1);
            const tg_real *P = directions_of(n, A);
            for (int i = 0; i < n; i++) ck_assert_double_le(projected(P, A + i * K), squared(K, A + i * K));
            for (int d = 0; d < D; d++) ck_assert_double_le(projected(P, P + d * K), squared(K, P + d * K));
            for (int i = 0; i < 100; i++) {
                for (int p = 0; p < K; p++) x[p] = noise("x", i * K + p);
                ck_assert_double_le(projected(P, x), squared(K, x));
            }
            end();
        }
}
END_TEST

/* As where all columns are alike, or 0. */
START_TEST(rows_that_span_less_leave_directions_empty)
{
    tg_real *A = begin(N);
    fill(N, A, 2, 0);
    for (int p = 0; p < K; p++) A[p] = 0;
    const tg_real *P = directions_of(N, A);
    int empty = 0;
    for (int d = 0; d < D; d++) {
        const double length = squared(K, P + d * K);
        ck_assert(length == 0 || fabs(length - 1) < 0.02);
        empty += length == 0;
    }
    ck_assert_int_eq(empty, D - 2);
    end();
}
END_TEST

TG_TEST_MAIN("kernels/directions", directions_hold_what_is_long_in_the_rows, no_vector_becomes_longer,
             rows_that_span_less_leave_directions_empty)
