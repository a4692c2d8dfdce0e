/* tensor/tensor.c -- shapes, and tensors in context memory. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/check.h"
#include "tensor/tape.h"

/* Elements of (rank, dim); 0 if that is no shape we can hold. */
static size_t checked_size(int rank, const int dim[])
{
    size_t n = 1;
    if (rank < 0 || rank > TG_MAX_RANK) return 0;
    for (int i = 0; i < rank; i++)
        if (dim[i] < 1 || __builtin_mul_overflow(n, (size_t)dim[i], &n)) return 0;
    return n > (size_t)-1 / (4 * sizeof(tg_real)) ? 0 : n;
}

static bool describe_bad_shape(tg_context *cx, const char *who, int rank, const int dim[])
{
    if (rank < 0 || rank > TG_MAX_RANK) {
        tg_context_fail(cx, TG_ERR_ARGUMENT, "%s: rank %d is outside 0..%d", who, rank, TG_MAX_RANK);
        return true;
    }
    if (rank && !dim) {
        tg_context_fail(cx, TG_ERR_ARGUMENT, "%s: dim is NULL", who);
        return true;
    }
    for (int i = 0; i < rank; i++)
        if (dim[i] < 1) {
            tg_context_fail(cx, TG_ERR_ARGUMENT, "%s: dimension %d is %d, must be at least 1", who, i,
                            dim[i]);
            return true;
        }
    if (checked_size(rank, dim)) return false;
    tg_context_fail(cx, TG_ERR_ARGUMENT, "%s: the product of the dimensions overflows", who);
    return true;
}

tg_tensor *tg_tensor_new(tg_context *cx, int rank, const int dim[])
{
    if (!cx) return &tg__context_nil.nil;
    if (cx->status || describe_bad_shape(cx, "tg_tensor_new", rank, dim)) return &cx->nil;
    tg_tensor *x = tg__arena_take(&cx->own, sizeof *x);
    if (!x) return &cx->nil;
    *x = (tg_tensor){ .rank = rank, .cx = cx };
    if (rank) memcpy(x->dim, dim, (size_t)rank * sizeof *dim);
    x->data = tg__arena_zeroed(&cx->own, tg__size(x) * sizeof(tg_real));
    return x->data ? x : &cx->nil;
}

size_t tg_tensor_size(const tg_tensor *x) { return x ? tg__size(x) : 0; }

/* Can its values be set? A harmless tensor's cannot. */
static bool is_own(const tg_tensor *x, const char *who, const char *what)
{
    if (x != &x->cx->nil) return true;
    tg_context_fail(x->cx, TG_ERR_STATE, "%s: %s is the harmless tensor of a call that failed", who, what);
    return false;
}

void tg_tensor_set(tg_tensor *x, const tg_real *src, size_t n)
{
    if (!x || x->cx->status || !is_own(x, "tg_tensor_set", "x") || !GIVEN(x->cx, ARG(src))) return;
    if (n != tg__size(x)) {
        tg_context_fail(x->cx, TG_ERR_SHAPE, "tg_tensor_set: %zu numbers for a tensor %s of %zu", n,
                        tg__shape(x).s, tg__size(x));
        return;
    }
    memcpy(x->data, src, n * sizeof *src);
}

void tg_tensor_copy(tg_tensor *dst, const tg_tensor *src)
{
    if (!dst) {
        if (src) GIVEN(src->cx, ARG(dst));
        return;
    }
    if (dst->cx->status || !is_own(dst, "tg_tensor_copy", "dst") || !GIVEN(dst->cx, ARG(src))) return;
    if (src->cx->status || !tg__same_shape(dst, src)) {
        tg_context_fail(dst->cx, TG_ERR_SHAPE, "tg_tensor_copy: from %s to %s", tg__shape(src).s,
                        tg__shape(dst).s);
        return;
    }
    memcpy(dst->data, src->data, tg__size(src) * sizeof(tg_real));
}

shape_text tg__shape(const tg_tensor *x)
{
    shape_text text;
    int k = snprintf(text.s, sizeof text.s, "[");
    for (int i = 0; i < x->rank; i++)
        k += snprintf(text.s + k, sizeof text.s - (size_t)k, i ? ",%d" : "%d", x->dim[i]);
    snprintf(text.s + k, sizeof text.s - (size_t)k, "]");
    return text;
}

bool tg__same_shape(const tg_tensor *x, const tg_tensor *y)
{
    return x->rank == y->rank && !memcmp(x->dim, y->dim, (size_t)x->rank * sizeof x->dim[0]);
}

size_t tg__first_nonfinite(const tg_real *x, size_t n)
{
    size_t i = 0;
    while (i < n && isfinite(x[i])) i++;
    return i;
}

/* ---- tensors on a tape ---- */

static void zero_range(void *x, size_t first, size_t end) { memset((char *)x + first, 0, end - first); }

/* Large gradients are zeroed by all workers. */
static tg_real *take_zeros(tg_tape *t, size_t bytes)
{
    enum { PIECE = 1 << 20 };
    if (bytes < 2 * PIECE) return tg__arena_zeroed(&t->memory, bytes);
    void *x = tg__tape_take(t, bytes);
    if (x) tg__team_ranges(t->cx, bytes, PIECE, zero_range, x);
    return x;
}

tg_tensor *tg__tape_tensor(tg_tape *t, int rank, const int dim[], bool gradient)
{
    if (describe_bad_shape(t->cx, "a tensor on the tape", rank, dim)) return NULL;
    tg_tensor *x = tg__tape_take(t, sizeof *x);
    if (!x) return NULL;
    *x = (tg_tensor){ .rank = rank, .cx = t->cx };
    if (rank) memcpy(x->dim, dim, (size_t)rank * sizeof *dim);
    const size_t bytes = tg__size(x) * sizeof(tg_real);
    x->data = tg__tape_take(t, bytes);
    if (gradient && t->mode == TG_TRAIN) x->grad = take_zeros(t, bytes);
    return t->cx->status ? NULL : x;
}

tg_tensor *tg__tape_view(tg_tape *t, tg_tensor *x, size_t offset, int rank, const int dim[])
{
    tg_tensor *y = tg__tape_take(t, sizeof *y);
    if (!y) return &t->cx->nil;
    *y = (tg_tensor){ .rank = rank, .data = x->data + offset, .cx = t->cx };
    if (rank) memcpy(y->dim, dim, (size_t)rank * sizeof *dim);
    y->grad = x->grad ? x->grad + offset : NULL;
    return y;
}

static tg_tensor *input(tg_tape *t, const char *who, int rank, const int dim[], const tg_real *src)
{
    if (!tg__tape_ready(t, who)) return tg__tape_nil(t);
    if (!src) return tg__tape_fail(t, TG_ERR_ARGUMENT, "%s: src is NULL", who);
    if (describe_bad_shape(t->cx, who, rank, dim)) return &t->cx->nil;
    tg_tensor *x = tg__tape_tensor(t, rank, dim, true);
    if (!x) return &t->cx->nil;
    const size_t n = tg__size(x), bad = tg__first_nonfinite(src, n);
    if (bad < n)
        return tg__tape_fail(t, TG_ERR_NUMBER, "%s: element %zu of %zu is %g", who, bad, n, (double)src[bad]);
    memcpy(x->data, src, n * sizeof *src);
    return x;
}

tg_tensor *tg_input(tg_tape *t, int rank, const int dim[], const tg_real *src)
{
    return input(t, "tg_input", rank, dim, src);
}

tg_tensor *tg_input_batch_first(tg_tape *t, int B, int T, int D, const tg_real *src)
{
    tg_tensor *x = input(t, "tg_input_batch_first", 3, (int[]){ B, T, D }, src);
    if (x->cx->status) return x;
    for (int b = 0; b < B; b++)
        for (int k = 0; k < T; k++)
            memcpy(x->data + ((size_t)k * B + b) * D, src + ((size_t)b * T + k) * D, (size_t)D * sizeof *src);
    x->dim[0] = T;
    x->dim[1] = B;
    return x;
}

/* Row (k,b) of src. */
static const tg_real *padded_row(const tg_tensor *x, const tg_real *src, int k, int b, bool batch_first)
{
    const size_t T = (size_t)x->dim[0], B = (size_t)x->dim[1], D = (size_t)x->dim[2];
    return src + (batch_first ? (size_t)b * T + (size_t)k : (size_t)k * B + (size_t)b) * D;
}

tg_tensor *tg_input_padded(tg_tape *t, int T, int B, int D, const tg_real *src, const int lengths[],
                           bool batch_first)
{
    static const char who[] = "tg_input_padded";
    const int dim[] = { T, B, D };
    if (!tg__tape_ready(t, who)) return tg__tape_nil(t);
    if (!GIVEN(t->cx, ARG(src), ARG(lengths)) || describe_bad_shape(t->cx, who, 3, dim)) return &t->cx->nil;
    for (int b = 0; b < B; b++)
        if (lengths[b] < 0 || lengths[b] > T)
            return tg__tape_fail(t, TG_ERR_ARGUMENT, "%s: the length of row %d is %d, outside 0..%d", who, b,
                                 lengths[b], T);
    tg_tensor *x = tg__tape_tensor(t, 3, dim, true);
    if (!x) return &t->cx->nil;
    tg_real *to = x->data;
    for (int k = 0; k < T; k++)
        for (int b = 0; b < B; b++, to += D) {
            const tg_real *from = padded_row(x, src, k, b, batch_first);
            if (k >= lengths[b]) {
                memset(to, 0, (size_t)D * sizeof *to);
                continue;
            }
            const size_t bad = tg__first_nonfinite(from, (size_t)D);
            if (bad < (size_t)D)
                return tg__tape_fail(t, TG_ERR_NUMBER, "%s: element %zu of step %d of row %d is %g", who, bad,
                                     k, b, (double)from[bad]);
            memcpy(to, from, (size_t)D * sizeof *to);
        }
    return x;
}
