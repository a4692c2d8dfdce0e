/* models/beam_candidates.c -- the most probable next tokens of each hypothesis, by log p of kernels/softmax.h: an
 * error of some 1e-7 a token. Rows are independent of each other, so any number of threads gives the same bits. */
#include <math.h>

#include <tidegate/vocabulary.h>

#include "core/team.h"
#include "kernels/softmax.h"
#include "models/beam.h"

enum { PIECE = 1 << 15, LOOK = 64 };

static int minimum(int a, int b) { return a < b ? a : b; }

/* The first that is not finite, or -1. The first loop has no way out, so that it can use vectors. */
static int not_finite(const tg_real *x, int V)
{
    int any = 0;
    for (int j = 0; j < V; j++) any |= !(x[j] - x[j] == 0);
    for (int j = 0; any && j < V; j++)
        if (!isfinite(x[j])) return j;
    return -1;
}

static bool any_above(const tg_real *x, int n, tg_real least)
{
    int any = 0;
    for (int j = 0; j < n; j++) any |= x[j] > least;
    return any;
}

/* Token v among the best n so far, at most K; returns the new n. */
static int insert(const tg_real *x, int v, int n, int K, int *id)
{
    if (n == K && !(x[v] > x[id[K - 1]])) return n;
    int at = n < K ? n++ : K - 1;
    for (; at && x[v] > x[id[at - 1]]; at--) id[at] = id[at - 1];
    id[at] = v;
    return n;
}

/* One pass by rising id: most stretches hold nothing above the K-th best, and are passed over. */
static void best_tokens(const tg_real *x, int V, int K, int *id)
{
    int n = 0;
    for (int j = TG_UNKNOWN; j < V; j += LOOK) {
        const int end = minimum(V, j + LOOK);
        if (n == K && !any_above(x + j, end - j, x[id[K - 1]])) continue;
        for (int v = j; v < end; v++)
            if (v != TG_BEGIN) n = insert(x, v, n, K, id);
    }
}

typedef struct work {
    const beam_candidates *k;
    const tg_real *logits;
} work;

static void rows_do(void *argument, size_t first, size_t end)
{
    const work *w = argument;
    const int V = w->k->V, K = w->k->K;
    for (size_t r = first; r < end; r++) {
        const tg_real *x = w->logits + r * (size_t)V;
        int *id = w->k->id + r * (size_t)K;
        double *gain = w->k->gain + r * (size_t)K;
        if ((w->k->bad[r] = not_finite(x, V)) >= 0) continue;
        const tg_real M = tg__maximum((size_t)V, x);
        const double log_Z = log(tg__sum_exp((size_t)V, x, M));
        best_tokens(x, V, K, id);
        for (int j = 0; j < K; j++) gain[j] = fmin((double)x[id[j]] - (double)M - log_Z, 0);
    }
}

void tg__beam_candidates(tg_context *cx, beam_candidates *k, int n, const tg_real *logits)
{
    tg__team_ranges(cx, (size_t)n, 1 + PIECE / (size_t)k->V, rows_do, &(work){ k, logits });
}
