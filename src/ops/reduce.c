/* ops/reduce.c -- all elements to one number. Added up in double, piece by piece and then the pieces in
 * order, so that any number of workers gives the same bits. */
#include <tidegate/ops.h>

#include "ops/op.h"

typedef struct record {
    tg_tensor *x, *y;
    double factor;   /* y = factor sum x */
    double *partial; /* (pieces) */
    int pieces;
} record;

static void sum_piece(void *argument, int piece)
{
    const record *r = argument;
    const int64_t n = (int64_t)tg__size(r->x), end = tg__piece_start(n, r->pieces, piece + 1);
    double sum = 0;
    for (int64_t i = tg__piece_start(n, r->pieces, piece); i < end; i++) sum += (double)r->x->data[i];
    r->partial[piece] = sum;
}

static void spread_range(void *argument, size_t first, size_t end)
{
    const record *r = argument;
    const tg_real dy = (tg_real)(r->factor * (double)*r->y->grad);
    for (size_t i = first; i < end; i++) r->x->grad[i] += dy;
}

static void reduce_backward(tg_tape *t, void *record_)
{
    const record *r = record_;
    tg__team_ranges(t->cx, tg__size(r->x), OP_PIECE, spread_range, record_);
}

static tg_tensor *reduce(tg_tape *t, const tape_op *op, tg_tensor *x, double factor)
{
    const int pieces = tg__pieces((int64_t)tg__size(x), OP_PIECE);
    tg_tensor *y = tg__tape_tensor(t, 0, NULL, x->grad);
    record *r = tg__tape_take(t, sizeof *r);
    double *partial = tg__tape_take(t, (size_t)pieces * sizeof *partial), sum = 0;
    if (!y || !r || !partial) return &t->cx->nil;
    *r = (record){ x, y, factor, partial, pieces };
    tg__team_run(t->cx, pieces, sum_piece, r);
    for (int k = 0; k < pieces; k++) sum += partial[k];
    *y->data = (tg_real)(factor * sum);
    return tg__tape_record(t, op, r, y, 1, &x);
}

tg_tensor *tg_sum(tg_tape *t, tg_tensor *x)
{
    static const tape_op op = { TAPE_OP_sum, reduce_backward };
    return tg__tape_takes(t, "tg_sum", "x", x) ? reduce(t, &op, x, 1) : tg__tape_nil(t);
}

tg_tensor *tg_mean(tg_tape *t, tg_tensor *x)
{
    static const tape_op op = { TAPE_OP_mean, reduce_backward };
    return tg__tape_takes(t, "tg_mean", "x", x) ? reduce(t, &op, x, 1 / (double)tg__size(x))
                                                : tg__tape_nil(t);
}
