/* ops/shape.c -- other shapes of the same numbers: views, which copy nothing, and ops that copy. */
#include <string.h>

#include <tidegate/ops.h>

#include "core/check.h"
#include "kernels/pointwise.h"
#include "ops/op.h"

/* ---- views ---- */

tg_tensor *tg_reshape(tg_tape *t, tg_tensor *x, int rank, const int dim[])
{
    if (!tg__tape_takes(t, "tg_reshape", "x", x)) return tg__tape_nil(t);
    if (rank < 0 || rank > TG_MAX_RANK)
        return tg__tape_fail(t, TG_ERR_ARGUMENT, "tg_reshape: rank %d is outside 0..%d", rank, TG_MAX_RANK);
    if (rank && !GIVEN(t->cx, ARG(dim))) return &t->cx->nil;
    tg_tensor wish = { .rank = rank };
    size_t size = 1;
    bool fits = true;
    for (int i = 0; i < rank; i++) {
        wish.dim[i] = dim[i];
        fits = fits && dim[i] > 0 && !__builtin_mul_overflow(size, (size_t)dim[i], &size);
    }
    if (!fits || size != tg__size(x))
        return tg__tape_fail(t, TG_ERR_SHAPE, "tg_reshape: x is %s, of %zu numbers, and cannot become %s",
                             tg__shape(x).s, tg__size(x), tg__shape(&wish).s);
    return tg__tape_view(t, x, 0, rank, dim);
}

tg_tensor *tg_row(tg_tape *t, tg_tensor *x, int i)
{
    if (!tg__tape_takes(t, "tg_row", "x", x)) return tg__tape_nil(t);
    if (!x->rank) return tg__tape_fail(t, TG_ERR_SHAPE, "tg_row: x is one number, and has no rows");
    const int N = x->dim[0], row = i < 0 ? i + N : i;
    if (row < 0 || row >= N)
        return tg__tape_fail(t, TG_ERR_ARGUMENT, "tg_row: row %d of x, which is %s: it has rows %d to %d", i,
                             tg__shape(x).s, -N, N - 1);
    return tg__tape_view(t, x, tg__size(x) / (size_t)N * (size_t)row, x->rank - 1, x->dim + 1);
}

tg_tensor *tg_rows(tg_tape *t, tg_tensor *x, int first, int n)
{
    if (!tg__tape_takes(t, "tg_rows", "x", x)) return tg__tape_nil(t);
    if (!x->rank) return tg__tape_fail(t, TG_ERR_SHAPE, "tg_rows: x is one number, and has no rows");
    int dim[TG_MAX_RANK];
    const int N = x->dim[0];
    if (first < 0 || n < 1 || first > N || n > N - first)
        return tg__tape_fail(t, TG_ERR_ARGUMENT, "tg_rows: %d rows from row %d on, of x, which is %s", n,
                             first, tg__shape(x).s);
    memcpy(dim, x->dim, sizeof dim);
    dim[0] = n;
    return tg__tape_view(t, x, tg__size(x) / (size_t)N * (size_t)first, x->rank, dim);
}

tg_tensor *tg_detach(tg_tape *t, tg_tensor *x)
{
    if (!tg__tape_takes(t, "tg_detach", "x", x)) return tg__tape_nil(t);
    tg_tensor *y = tg__tape_view(t, x, 0, x->rank, x->dim);
    y->grad = NULL;
    return y;
}

/* ---- moving: to = from, or to += from ---- */

typedef struct block { /* (rows, width) within rows of a stride */
    tg_real *to;
    const tg_real *from;
    size_t to_stride, from_stride, width;
} block;

static void set_range(void *argument, size_t first, size_t end)
{
    const block *m = argument;
    memcpy(m->to + first, m->from + first, (end - first) * sizeof *m->to);
}

static void set_rows(void *argument, size_t first, size_t end)
{
    const block *m = argument;
    for (size_t i = first; i < end; i++)
        memcpy(m->to + i * m->to_stride, m->from + i * m->from_stride, m->width * sizeof *m->to);
}

static void add_rows(void *argument, size_t first, size_t end)
{
    const block *m = argument;
    for (size_t i = first; i < end; i++) {
        tg_real *to = m->to + i * m->to_stride;
        const tg_real *from = m->from + i * m->from_stride;
        for (size_t j = 0; j < m->width; j++) to[j] += from[j];
    }
}

static void set(tg_context *cx, tg_real *to, const tg_real *from, size_t n)
{
    tg__team_ranges(cx, n, OP_PIECE, set_range, &(block){ .to = to, .from = from });
}

static void move_rows(tg_context *cx, size_t n, block m, void (*work)(void *, size_t, size_t))
{
    tg__team_ranges(cx, n, 1 + OP_PIECE / m.width, work, &m);
}

/* ---- stack: n of (...) to (n,...) ---- */

typedef struct stack_record {
    tg_tensor **x, *y; /* x (n) */
    int n;
} stack_record;

static void stack_backward(tg_tape *t, void *record)
{
    const stack_record *r = record;
    const size_t size = tg__size(r->x[0]);
    for (int k = 0; k < r->n; k++) /* one after the other: the same tensor may be there twice */
        if (r->x[k]->grad) tg__add(t->cx, size, r->y->grad + (size_t)k * size, r->x[k]->grad);
}

/* (n, shape of x): the shape of a stack and of a repetition. */
static tg_tensor *tensor_of_copies(tg_tape *t, const char *op, int n, const tg_tensor *x, bool gradient)
{
    int dim[TG_MAX_RANK] = { n };
    if (x->rank == TG_MAX_RANK) {
        tg_context_fail(t->cx, TG_ERR_SHAPE, "%s: x is %s: one dimension more than %d does not fit", op,
                        tg__shape(x).s, TG_MAX_RANK);
        return NULL;
    }
    for (int i = 0; i < x->rank; i++) dim[i + 1] = x->dim[i];
    return tg__tape_tensor(t, x->rank + 1, dim, gradient);
}

tg_tensor *tg_stack(tg_tape *t, int n, tg_tensor *const x[])
{
    static const tape_op op = { TAPE_OP_stack, stack_backward };
    bool gradient = false;
    if (!tg__tape_ready(t, "tg_stack")) return tg__tape_nil(t);
    if (n < 1) return tg__tape_fail(t, TG_ERR_ARGUMENT, "tg_stack: n is %d, must be at least 1", n);
    if (!GIVEN(t->cx, ARG(x))) return &t->cx->nil;
    for (int k = 0; k < n; k++) {
        const char *objection = tg__tape_objection(t, x[k]);
        if (objection)
            return tg__tape_fail(t, x[k] ? TG_ERR_STATE : TG_ERR_ARGUMENT, "tg_stack: tensor %d of %d %s", k,
                                 n, objection);
        if (!tg__same_shape(x[k], x[0]))
            return tg__tape_fail(t, TG_ERR_SHAPE, "tg_stack: tensor %d is %s but tensor 0 is %s", k,
                                 tg__shape(x[k]).s, tg__shape(x[0]).s);
        gradient = gradient || x[k]->grad;
    }
    tg_tensor *y = tensor_of_copies(t, "tg_stack", n, x[0], gradient);
    stack_record *r = tg__tape_take(t, sizeof *r);
    tg_tensor **kept = tg__tape_take(t, (size_t)n * sizeof *kept);
    if (!y || !r || !kept) return &t->cx->nil;
    const size_t size = tg__size(x[0]);
    memcpy(kept, x, (size_t)n * sizeof *kept);
    *r = (stack_record){ kept, y, n };
    for (int k = 0; k < n; k++) set(t->cx, y->data + (size_t)k * size, x[k]->data, size);
    return tg__tape_record(t, &op, r, y, n, kept);
}

/* ---- concatenate: (...,P), (...,Q) to (...,P+Q) ---- */

typedef struct pair_record {
    tg_tensor *x, *y, *z;
} pair_record;

static void concatenate_backward(tg_tape *t, void *record)
{
    const pair_record *r = record;
    const size_t P = (size_t)tg__columns(r->x), Q = (size_t)tg__columns(r->y);
    if (r->x->grad)
        move_rows(t->cx, tg__rows(r->x), (block){ r->x->grad, r->z->grad, P, P + Q, P }, add_rows);
    if (r->y->grad)
        move_rows(t->cx, tg__rows(r->x), (block){ r->y->grad, r->z->grad + P, Q, P + Q, Q }, add_rows);
}

tg_tensor *tg_concatenate(tg_tape *t, tg_tensor *x, tg_tensor *y)
{
    static const tape_op op = { TAPE_OP_concatenate, concatenate_backward };
    if (!tg__tape_takes(t, "tg_concatenate", "x", x) || !tg__tape_takes(t, "tg_concatenate", "y", y))
        return tg__tape_nil(t);
    if (!x->rank || x->rank != y->rank || memcmp(x->dim, y->dim, (size_t)(x->rank - 1) * sizeof *x->dim))
        return tg__tape_fail(t, TG_ERR_SHAPE,
                             "tg_concatenate: x is %s but y is %s: all but the last dimension must agree",
                             tg__shape(x).s, tg__shape(y).s);
    const int P = tg__columns(x), Q = tg__columns(y);
    int dim[TG_MAX_RANK];
    memcpy(dim, x->dim, sizeof dim);
    if (__builtin_add_overflow(P, Q, &dim[x->rank - 1]))
        return tg__tape_fail(t, TG_ERR_SHAPE,
                             "tg_concatenate: the last dimensions %d and %d are too large together", P, Q);
    tg_tensor *z = tg__tape_tensor(t, x->rank, dim, x->grad || y->grad);
    pair_record *r = tg__tape_take(t, sizeof *r);
    if (!z || !r) return &t->cx->nil;
    const size_t p = (size_t)P, q = (size_t)Q;
    *r = (pair_record){ x, y, z };
    move_rows(t->cx, tg__rows(x), (block){ z->data, x->data, p + q, p, p }, set_rows);
    move_rows(t->cx, tg__rows(x), (block){ z->data + p, y->data, p + q, q, q }, set_rows);
    return tg__tape_record(t, &op, r, z, 2, (tg_tensor *[]){ x, y });
}

/* ---- repeat: (...) to (n,...) ---- */

typedef struct repeat_record {
    tg_tensor *x, *y;
} repeat_record;

static void repeat_backward(tg_tape *t, void *record)
{
    const repeat_record *r = record;
    const size_t size = tg__size(r->x);
    for (int k = 0; k < r->y->dim[0]; k++) tg__add(t->cx, size, r->y->grad + (size_t)k * size, r->x->grad);
}

tg_tensor *tg_repeat(tg_tape *t, tg_tensor *x, int n)
{
    static const tape_op op = { TAPE_OP_repeat, repeat_backward };
    if (!tg__tape_takes(t, "tg_repeat", "x", x)) return tg__tape_nil(t);
    if (n < 1) return tg__tape_fail(t, TG_ERR_ARGUMENT, "tg_repeat: n is %d, must be at least 1", n);
    tg_tensor *y = tensor_of_copies(t, "tg_repeat", n, x, x->grad);
    repeat_record *r = tg__tape_take(t, sizeof *r);
    if (!y || !r) return &t->cx->nil;
    *r = (repeat_record){ x, y };
    for (int k = 0; k < n; k++) set(t->cx, y->data + (size_t)k * tg__size(x), x->data, tg__size(x));
    return tg__tape_record(t, &op, r, y, 1, &x);
}

/* ---- last: (T,B,D), lengths (B) to (B,D) ---- */

typedef struct last_record {
    tg_tensor *x, *y;
    int *length; /* (B) */
} last_record;

static void last_forward(void *argument, size_t first, size_t end)
{
    const last_record *r = argument;
    const size_t B = (size_t)r->x->dim[1], D = (size_t)r->x->dim[2];
    for (size_t b = first; b < end; b++) {
        tg_real *y = r->y->data + b * D;
        if (r->length[b])
            memcpy(y, r->x->data + ((size_t)(r->length[b] - 1) * B + b) * D, D * sizeof *y);
        else
            memset(y, 0, D * sizeof *y);
    }
}

static void last_backward_rows(void *argument, size_t first, size_t end)
{
    const last_record *r = argument;
    const size_t B = (size_t)r->x->dim[1], D = (size_t)r->x->dim[2];
    for (size_t b = first; b < end; b++) {
        if (!r->length[b]) continue;
        tg_real *dx = r->x->grad + ((size_t)(r->length[b] - 1) * B + b) * D;
        const tg_real *dy = r->y->grad + b * D;
        for (size_t j = 0; j < D; j++) dx[j] += dy[j];
    }
}

static void last_backward(tg_tape *t, void *record)
{
    const last_record *r = record;
    tg__team_ranges(t->cx, (size_t)r->x->dim[1], 1 + OP_PIECE / (size_t)r->x->dim[2], last_backward_rows,
                    record);
}

tg_tensor *tg_last(tg_tape *t, tg_tensor *x, const int lengths[])
{
    static const tape_op op = { TAPE_OP_last, last_backward };
    if (!tg__tape_takes(t, "tg_last", "x", x)) return tg__tape_nil(t);
    if (x->rank != 3)
        return tg__tape_fail(t, TG_ERR_SHAPE, "tg_last: x is %s, must be (T,B,D)", tg__shape(x).s);
    if (!lengths)
        return tg__tape_fail(t, TG_ERR_ARGUMENT,
                             "tg_last: lengths is NULL: tg_row(t, x, -1) is the last step of all");
    const int T = x->dim[0], B = x->dim[1], D = x->dim[2];
    for (int b = 0; b < B; b++)
        if (lengths[b] < 0 || lengths[b] > T)
            return tg__tape_fail(t, TG_ERR_ARGUMENT, "tg_last: length %d of row %d is outside 0..%d",
                                 lengths[b], b, T);
    tg_tensor *y = tg__tape_tensor(t, 2, (int[]){ B, D }, x->grad);
    last_record *r = tg__tape_take(t, sizeof *r);
    int *length = tg__tape_take(t, (size_t)B * sizeof *length);
    if (!y || !r || !length) return &t->cx->nil;
    memcpy(length, lengths, (size_t)B * sizeof *length);
    *r = (last_record){ x, y, length };
    tg__team_ranges(t->cx, (size_t)B, 1 + OP_PIECE / (size_t)D, last_forward, r);
    return tg__tape_record(t, &op, r, y, 1, &x);
}
