/* ops/pack.c -- the real steps of a batch, without its padding. */
#include <limits.h>
#include <string.h>

#include <tidegate/ops.h>

#include "ops/op.h"

typedef struct pack_record {
    tg_tensor *x, *y;
    size_t *row; /* (N): of x, as (T*B,D) */
} pack_record;

static void pack_forward(void *argument, size_t first, size_t end)
{
    const pack_record *r = argument;
    const size_t D = (size_t)r->y->dim[1];
    for (size_t i = first; i < end; i++)
        memcpy(r->y->data + i * D, r->x->data + r->row[i] * D, D * sizeof(tg_real));
}

static void pack_backward_rows(void *argument, size_t first, size_t end)
{
    const pack_record *r = argument;
    const size_t D = (size_t)r->y->dim[1];
    for (size_t i = first; i < end; i++) {
        tg_real *dx = r->x->grad + r->row[i] * D;
        const tg_real *dy = r->y->grad + i * D;
        for (size_t j = 0; j < D; j++) dx[j] += dy[j];
    }
}

static void for_rows(tg_context *cx, pack_record *r, void (*work)(void *, size_t, size_t))
{
    tg__team_ranges(cx, (size_t)r->y->dim[0], 1 + OP_PIECE / (size_t)r->y->dim[1], work, r);
}

static void pack_backward(tg_tape *t, void *record) { for_rows(t->cx, record, pack_backward_rows); }

/* Sum of the lengths; -1: one is out of range, and the context remembers. */
static int64_t real_steps(tg_tape *t, const int lengths[], int T, int B)
{
    int64_t N = 0;
    for (int b = 0; b < B; b++) {
        if (lengths[b] < 0 || lengths[b] > T) {
            tg_context_fail(t->cx, TG_ERR_ARGUMENT, "tg_pack: length %d of row %d is outside 0..%d",
                            lengths[b], b, T);
            return -1;
        }
        N += lengths[b];
    }
    if (!N) tg_context_fail(t->cx, TG_ERR_ARGUMENT, "tg_pack: all %d lengths are 0: nothing is left", B);
    if (N > INT_MAX)
        tg_context_fail(t->cx, TG_ERR_SHAPE,
                        "tg_pack: the lengths add up to %lld, but a dimension is at most %d", (long long)N,
                        INT_MAX);
    return t->cx->status ? -1 : N;
}

tg_tensor *tg_pack(tg_tape *t, tg_tensor *x, const int lengths[])
{
    static const tape_op op = { TAPE_OP_pack, pack_backward };
    if (!tg__tape_takes(t, "tg_pack", "x", x)) return tg__tape_nil(t);
    if (x->rank != 3 || !lengths)
        return tg__tape_fail(t, TG_ERR_SHAPE, "tg_pack: x is %s, must be (T,B,D); lengths are %s",
                             tg__shape(x).s, lengths ? "given" : "NULL");
    const int T = x->dim[0], B = x->dim[1], D = x->dim[2];
    const int64_t N = real_steps(t, lengths, T, B);
    if (N < 0) return &t->cx->nil;
    if (N == (int64_t)T * B) return tg__tape_view(t, x, 0, 2, (int[]){ (int)N, D });
    tg_tensor *y = tg__tape_tensor(t, 2, (int[]){ (int)N, D }, x->grad);
    pack_record *r = tg__tape_take(t, sizeof *r);
    size_t *row = tg__tape_take(t, (size_t)N * sizeof *row), n = 0;
    if (t->cx->status) return &t->cx->nil;
    for (int k = 0; k < T; k++)
        for (int b = 0; b < B; b++)
            if (k < lengths[b]) row[n++] = (size_t)k * (size_t)B + (size_t)b;
    *r = (pack_record){ x, y, row };
    for_rows(t->cx, r, pack_forward);
    return tg__tape_record(t, &op, r, y, 1, &x);
}
