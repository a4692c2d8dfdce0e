/* tests/test_kernels_attention.c -- the kernels of attention in every instruction set against plain C. */
#include <math.h>
#include <string.h>
#include <tidegate/tidegate.h>

#include "check_main.h"
#include "core/random.h"
#include "kernels/simd/table.h"

enum { MOST_S = 9, WIDEST = 67, GAP = 5, ROOM = MOST_S * (WIDEST + GAP) };

typedef struct arrays { /* inputs, random, and outputs: each kernel uses what it needs */
    tg_real q[WIDEST], keys[ROOM], v[WIDEST], w[WIDEST], coverage[MOST_S], e[MOST_S], dq[WIDEST], dkeys[ROOM],
        dv[WIDEST], dw[WIDEST], dcoverage[MOST_S], c[WIDEST];
} arrays;

static void fill(arrays *a, uint64_t step)
{
    tg_real *x = (tg_real *)a;
    const uint64_t key = tg__random_key(12, "arrays");
    for (size_t i = 0; i < sizeof *a / sizeof *x; i++)
        x[i] = (tg_real)(2 * tg__random_uniform(key, step, i) - 1);
}

/* ---- the same in plain C, with libm in double ---- */

static double score(const arrays *a, int s, int j, int stride, bool covered)
{
    const double k = a->keys[s * stride + j];
    return tanh(a->q[j] + k + (covered ? (double)a->coverage[s] * a->w[j] : 0));
}
static void plain_additive(arrays *a, int S, int D, int stride, bool covered)
{
    for (int s = 0; s < S; s++) {
        double e = 0;
        for (int j = 0; j < D; j++) e += (double)a->v[j] * score(a, s, j, stride, covered);
        a->e[s] = (tg_real)e;
    }
}
static void plain_additive_backward(arrays *a, int S, int D, int stride, bool covered)
{
    double dq[WIDEST] = { 0 }, dv[WIDEST] = { 0 }, dw[WIDEST] = { 0 };
    for (int s = 0; s < S; s++) {
        double dcoverage = 0;
        for (int j = 0; j < D; j++) {
            const double y = score(a, s, j, stride, covered), dx = (double)a->e[s] * a->v[j] * (1 - y * y);
            dq[j] += dx;
            dv[j] += (double)a->e[s] * y;
            dw[j] += dx * a->coverage[s];
            dcoverage += dx * a->w[j];
            a->dkeys[s * stride + j] += (tg_real)dx;
        }
        if (covered) a->dcoverage[s] += (tg_real)dcoverage;
    }
    for (int j = 0; j < D; j++) {
        a->dq[j] += (tg_real)dq[j];
        a->dv[j] += (tg_real)dv[j];
        if (covered) a->dw[j] += (tg_real)dw[j];
    }
}
static void plain_dot(arrays *a, int S, int D, int stride)
{
    for (int s = 0; s < S; s++) {
        double e = 0;
        for (int j = 0; j < D; j++) e += (double)a->q[j] * a->keys[s * stride + j];
        a->e[s] = (tg_real)e;
    }
}
static void plain_sum(arrays *a, int S, int M, int stride)
{
    for (int j = 0; j < M; j++) {
        double c = 0;
        for (int s = 0; s < S; s++) c += (double)a->e[s] * a->keys[s * stride + j];
        a->c[j] = (tg_real)c;
    }
}
static void plain_spread(arrays *a, int S, int M, int stride)
{
    for (int s = 0; s < S; s++)
        for (int j = 0; j < M; j++)
            a->dkeys[s * stride + j] = (tg_real)(a->dkeys[s * stride + j] + (double)a->e[s] * a->c[j]);
}
static void plain_spread_to_one(arrays *a, int S, int M)
{
    for (int s = 0; s < S; s++)
        for (int j = 0; j < M; j++) a->dq[j] = (tg_real)(a->dq[j] + (double)a->e[s] * a->c[j]);
}

static void compare(const arrays *a, const arrays *b, const char *variant, const char *kernel, int S, int D)
{
    const tg_real *x = (const tg_real *)a, *y = (const tg_real *)b;
    const double bound = sizeof(tg_real) == 8 ? 1e-13 : 4e-6;
    for (size_t i = 0; i < sizeof *a / sizeof *x; i++)
        if (!(fabs((double)x[i] - (double)y[i]) <= bound * fmax(1, fabs((double)y[i]))))
            ck_abort_msg("%s, %s, S=%d, D=%d: number %zu is %.15g, plain C has %.15g", variant, kernel, S, D,
                         i, (double)x[i], (double)y[i]);
}

/* Within the bound times the number, or 1 if that is larger. What lies beyond the rows and columns asked for must stay as
 * it was, too. */
static void compare_all(const simd_table *v, int S, int D, int stride, uint64_t step)
{
    static arrays a, b;
    const size_t apart = (size_t)stride;
#define COMPARE(kernel, call, plain)                                                                         \
    do {                                                                                                     \
        fill(&a, step);                                                                                      \
        b = a;                                                                                               \
        v->kernel call;                                                                                      \
        plain;                                                                                               \
        compare(&a, &b, v->name, #kernel, S, D);                                                             \
    } while (0)
    COMPARE(attention_additive, (S, D, a.q, a.keys, apart, a.v, NULL, NULL, a.e),
            plain_additive(&b, S, D, stride, false));
    COMPARE(attention_additive, (S, D, a.q, a.keys, apart, a.v, a.coverage, a.w, a.e),
            plain_additive(&b, S, D, stride, true));
    COMPARE(attention_additive_backward,
            (S, D, a.e, a.q, a.keys, apart, a.v, NULL, NULL, a.dq, a.dkeys, a.dv, NULL, NULL),
            plain_additive_backward(&b, S, D, stride, false));
    COMPARE(attention_additive_backward,
            (S, D, a.e, a.q, a.keys, apart, a.v, a.coverage, a.w, a.dq, a.dkeys, a.dv, a.dw, a.dcoverage),
            plain_additive_backward(&b, S, D, stride, true));
    COMPARE(attention_dot, (S, D, a.q, a.keys, apart, a.e), plain_dot(&b, S, D, stride));
    COMPARE(attention_sum, (S, D, a.e, a.keys, apart, a.c), plain_sum(&b, S, D, stride));
    COMPARE(attention_spread, (S, D, a.e, a.c, a.dkeys, apart), plain_spread(&b, S, D, stride));
    COMPARE(attention_spread, (S, D, a.e, a.c, a.dq, 0), plain_spread_to_one(&b, S, D));
}

START_TEST(every_variant_of_attention_agrees_with_plain_c_on_odd_sizes)
{
    const simd_table *v = tg__simd_variant(_i);
    if (!v) return;
    const int sizes[] = { 1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 31, 33, 64, 67 }, rows[] = { 0, 1, 2, MOST_S };
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++)
        for (size_t r = 0; r < sizeof rows / sizeof *rows; r++)
            for (int gap = 0; gap <= GAP; gap += GAP)
                compare_all(v, rows[r], sizes[k], sizes[k] + gap, k * 10 + r);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("kernels/attention");
    TCase *all = tcase_create("all");
    tcase_add_loop_test(all, every_variant_of_attention_agrees_with_plain_c_on_odd_sizes, 0, 3);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
