/* losses/cross_entropy.c -- softmax cross entropy with ids, padding and label smoothing.
 *
 * For a row x of logits (V) with id k, its maximum M, Z = sum_j exp(x_j - M), and p_j = exp(x_j - M) / Z:
 *
 *     L      = (1-e) (-log p_k) + e/V sum_j (-log p_j)
 *            = log Z - (1-e) (x_k - M) - e/V sum_j (x_j - M)
 *     dL/dx_j = p_j - (1-e) [j = k] - e/V
 *
 * Subtracting M makes it stable for any finite logits. M and Z of each row are kept, not the
 * probabilities: backward computes them again from the logits. Label smoothing: Szegedy et al. 2016,
 * section 7. */
#include <math.h>
#include <string.h>

#include <tidegate/losses.h>

#include "core/check.h"
#include "kernels/softmax.h"
#include "losses/targets.h"
#include "tensor/tape.h"

enum { PIECE = 1 << 15, CHUNK = 1024, LANES = 8 };

typedef struct record {
    tg_tensor *logits, *y;
    int *id;                  /* (rows); below 0: padding */
    tg_real *max;             /* M (rows) */
    tg_real *sum;             /* Z (rows) */
    double *partial;          /* (pieces): sums of L over a piece's rows */
    double smoothing, factor; /* y = factor sum L */
    size_t rows, V;
    int pieces;
} record;

/* Sum of x - M: each difference first, since the sums of x and of M may be far larger than their own. */
static double sum_of_differences(const tg_real *x, tg_real M, size_t n)
{
    double sum[LANES] = { 0 }, all = 0;
    size_t j = 0;
    for (; j + LANES <= n; j += LANES)
        for (int k = 0; k < LANES; k++) sum[k] += (double)x[j + k] - (double)M;
    for (; j < n; j++) sum[0] += (double)x[j] - (double)M;
    for (int k = 0; k < LANES; k++) all += sum[k];
    return all;
}

/* L of row i; sets M and Z. */
static double row_loss(const record *r, size_t i)
{
    const tg_real *x = r->logits->data + i * r->V;
    const tg_real M = tg__maximum(r->V, x);
    const double Z = tg__sum_exp(r->V, x, M);
    r->max[i] = M;
    r->sum[i] = (tg_real)Z;
    double L = log(Z) - (1 - r->smoothing) * ((double)x[r->id[i]] - (double)M);
    if (r->smoothing > 0) L -= r->smoothing * sum_of_differences(x, M, r->V) / (double)r->V;
    return L;
}

static void forward_piece(void *argument, int piece)
{
    const record *r = argument;
    const size_t end = (size_t)tg__piece_start((int64_t)r->rows, r->pieces, piece + 1);
    double sum = 0;
    for (size_t i = (size_t)tg__piece_start((int64_t)r->rows, r->pieces, piece); i < end; i++)
        if (r->id[i] >= 0) sum += row_loss(r, i);
    r->partial[piece] = sum;
}

/* dx += g (p - (1-e) onehot - e/V), g the gradient arriving at this row's L. */
static void row_backward(const record *r, size_t i, double g)
{
    const tg_real *x = r->logits->data + i * r->V;
    tg_real *dx = r->logits->grad + i * r->V;
    const tg_real scale = (tg_real)(g / (double)r->sum[i]),
                  smooth = (tg_real)(g * r->smoothing / (double)r->V);
    tg_real e[CHUNK];
    for (size_t j = 0; j < r->V; j += CHUNK) {
        const size_t n = r->V - j < CHUNK ? r->V - j : CHUNK;
        tg__exp_minus(n, x + j, r->max[i], e);
        for (size_t k = 0; k < n; k++) dx[j + k] += scale * e[k] - smooth;
    }
    dx[r->id[i]] -= (tg_real)(g * (1 - r->smoothing));
}

static void backward_piece(void *argument, int piece)
{
    const record *r = argument;
    const double g = r->factor * (double)*r->y->grad;
    const size_t end = (size_t)tg__piece_start((int64_t)r->rows, r->pieces, piece + 1);
    for (size_t i = (size_t)tg__piece_start((int64_t)r->rows, r->pieces, piece); i < end; i++)
        if (r->id[i] >= 0) row_backward(r, i, g);
}

static void cross_entropy_backward(tg_tape *t, void *argument)
{
    tg__team_run(t->cx, ((const record *)argument)->pieces, backward_piece, argument);
}

/* r->id[i] <- the id of row i, or -1 if the row is padding. Returns how many rows are real; -1: the context failed. */
static int64_t copy_ids(tg_tape *t, const record *r, const int ids[], const targets *order)
{
    int64_t real = 0;
    for (size_t i = 0; i < r->rows; i++) {
        const size_t place = tg__target_place(order, i);
        const bool padding = ids[place] < 0 || !tg__target_real(order, i);
        if (!padding && (size_t)ids[place] >= r->V) {
            tg_context_fail(t->cx, TG_ERR_ARGUMENT,
                            "tg_cross_entropy: ids[%zu] is %d, but there are %zu classes", place, ids[place],
                            r->V);
            return -1;
        }
        r->id[i] = padding ? -1 : ids[place];
        real += !padding;
    }
    return real;
}

tg_tensor *tg_cross_entropy(tg_tape *t, tg_tensor *logits, const int ids[],
                            const tg_cross_entropy_config *config)
{
    static const tape_op op = { TAPE_OP_cross_entropy, cross_entropy_backward };
    const tg_cross_entropy_config c = config ? *config : (tg_cross_entropy_config){ 0 };
    const double e = c.label_smoothing == TG_ZERO ? 0 : (double)c.label_smoothing;
    if (!tg__tape_takes(t, "tg_cross_entropy", "logits", logits)) return tg__tape_nil(t);
    if (!GIVEN(t->cx, ARG(ids))) return &t->cx->nil;
    if (!logits->rank)
        return tg__tape_fail(t, TG_ERR_SHAPE, "tg_cross_entropy: logits are one number, must be (...,V)");
    if (!(e >= 0 && e < 1))
        return tg__tape_fail(t, TG_ERR_ARGUMENT,
                             "tg_cross_entropy: label_smoothing is %g, must be at least 0 and below 1", e);
    if (!tg__reduction_holds(t, "tg_cross_entropy", c.reduction)) return &t->cx->nil;
    const size_t rows = tg__rows(logits), V = (size_t)tg__columns(logits);
    targets order = { .lengths = c.lengths, .batch_first = c.batch_first };
    if (!tg__targets_make(&order, t, "tg_cross_entropy", logits, rows, 3, "logits are", "(T,B,V)"))
        return &t->cx->nil;
    const int pieces = tg__pieces((int64_t)rows, 1 + PIECE / (int64_t)V);
    tg_tensor *y = tg__tape_tensor(t, 0, NULL, logits->grad);
    record *r = tg__tape_take(t, sizeof *r);
    if (!y || !r) return &t->cx->nil;
    *r = (record){ .logits = logits, .y = y, .smoothing = e, .rows = rows, .V = V, .pieces = pieces };
    r->id = tg__tape_take(t, rows * sizeof *r->id);
    r->max = tg__tape_take(t, rows * sizeof *r->max);
    r->sum = tg__tape_take(t, rows * sizeof *r->sum);
    r->partial = tg__tape_take(t, (size_t)pieces * sizeof *r->partial);
    if (t->cx->status) return &t->cx->nil;

    const int64_t N = copy_ids(t, r, ids, &order);
    if (N < 0) return &t->cx->nil;
    r->factor = c.reduction == TG_SUM || !N ? 1 : 1 / (double)N;
    double sum = 0;
    tg__team_run(t->cx, pieces, forward_piece, r);
    for (int k = 0; k < pieces; k++) sum += r->partial[k];
    *y->data = (tg_real)(r->factor * sum);
    return tg__tape_record(t, &op, r, y, 1, &logits);
}
