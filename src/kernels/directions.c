/* kernels/directions.c -- see directions.h. */
#include "kernels/directions.h"

#include <math.h>
#include <string.h>

#include "kernels/matmul.h"

enum { ITERATIONS = 2 };

static size_t at(int row, int width) { return (size_t)row * (size_t)width; }

static double length_of(int n, const tg_real *x)
{
    double sum = 0;
    for (int i = 0; i < n; i++) sum += (double)x[i] * (double)x[i];
    return sqrt(sum);
}

static void scale(int n, double factor, tg_real *x)
{
    for (int i = 0; i < n; i++) x[i] = (tg_real)((double)x[i] * factor);
}

/* Row i loses its parts along the rows before it; c (i): scratch. */
static void project_out(int i, int k, tg_real *P, tg_real *c)
{
    tg_real *x = P + at(i, k);
    tg__matmul_piece(NORMAL, TRANSPOSED, 1, i, k, x, k, P, k, 0, c, i);
    for (int j = 0; j < i; j++) c[j] = -c[j];
    tg__matmul_piece(NORMAL, NORMAL, 1, k, i, c, i, P, k, 1, x, k);
}

/* Gram and Schmidt, at best twice, because rounding leaves something at the first time. A row that lies in the span of
 * those before it becomes 0. */
static void orthonormalize(int passes, int d, int k, tg_real *P, tg_real *c)
{
    const double least = 1e-5; /* of a length: what is left is rounding errors */
    for (int i = 0; i < d; i++) {
        tg_real *x = P + at(i, k);
        const double before = length_of(k, x);
        scale(k, before > 0 ? 1 / before : 0, x);
        for (int pass = 0; pass < passes && i; pass++) project_out(i, k, P, c);
        const double left = length_of(k, x);
        scale(k, left > least ? 1 / left : 0, x);
    }
}

/* |P| <= 1: |P|^2 is at most the largest sum of magnitudes in a row of P P'. */
static void make_no_longer(int d, int k, tg_real *P, tg_real *PP)
{
    double most = 1;
    tg__matmul_piece(NORMAL, TRANSPOSED, d, d, k, P, k, P, k, 0, PP, d);
    for (int i = 0; i < d; i++) {
        double sum = 0;
        for (int j = 0; j < d; j++) sum += fabs((double)PP[at(i, d) + (size_t)j]);
        if (sum > most) most = sum;
    }
    const double rounding = (double)(k + 64) * 1.2e-7 * d;
    scale(d * k, 1 / sqrt(most + rounding), P);
}

void tg__longest_directions(tg_context *cx, arena *room, int n, int k, const tg_real *A, int d, tg_real *P)
{
    tg_real *AP = tg__arena_take(room, at(d, n) * sizeof *AP),
            *PP = tg__arena_take(room, at(d, d) * sizeof *PP);
    if (cx->status) return;
    if (!tg__blas_ready(cx)) return;
    for (int i = 0; i < d; i++) memcpy(P + at(i, k), A + at(i * (n / d), k), (size_t)k * sizeof *P);
    for (int i = 0; i < ITERATIONS; i++) {
        tg__matmul(cx, NORMAL, TRANSPOSED, d, n, k, P, k, A, k, NULL, 0, AP, n);
        tg__matmul(cx, NORMAL, NORMAL, d, k, n, AP, n, A, k, NULL, 0, P, k);
        orthonormalize(i + 1, d, k, P, PP);
    }
    make_no_longer(d, k, P, PP);
}
