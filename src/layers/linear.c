/* layers/linear.c -- y = x W + b. */
#include <limits.h>
#include <string.h>

#include "core/check.h"
#include "kernels/matmul.h"
#include "layers/layer.h"

struct tg_linear {
    tg_params *ps;
    const char *name;
    int I, O;
    tg_tensor *W;        /* (I,O), or tied: the embedding's (O,I) */
    tg_tensor *b;        /* (O), or NULL */
    transposed W_stored; /* TRANSPOSED: tied */
};

static tg_linear nil_linear;

static bool tie_holds(tg_params *ps, const char *name, int I, int O, const tg_embedding *tied)
{
    const tg_tensor *W = tg__embedding_table(tied);
    if (!W)
        tg_context_fail(ps->cx, TG_ERR_STATE,
                        "tg_linear_new: '%s' is tied to an embedding that could not be made", name);
    else if (tg__embedding_params(tied) != ps)
        tg_context_fail(ps->cx, TG_ERR_STATE,
                        "tg_linear_new: '%s' is tied to an embedding of another parameter set", name);
    else if (W->dim[0] != O || W->dim[1] != I)
        tg_context_fail(
            ps->cx, TG_ERR_SHAPE,
            "tg_linear_new: '%s' takes %d inputs to %d outputs, the embedding that it is tied to is %s", name,
            I, O, tg__shape(W).s);
    return !ps->cx->status;
}

tg_linear *tg_linear_new(tg_params *ps, const char *name, int I, int O, const tg_linear_config *config)
{
    const tg_linear_config c = config ? *config : (tg_linear_config){ 0 };
    const param_view_spec W_view = { "W", 0, O, { TG_INIT_GLOROT, 0 } },
                          b_view = { "b", 0, O, { TG_INIT_ZEROS, 0 } };
    ps = tg__params_or_nil(ps);
    if (ps->cx->status || !NAMED(ps->cx, name)) return &nil_linear;
    if (c.tied && !tie_holds(ps, name, I, O, c.tied)) return &nil_linear;
    tg_tensor *W = c.tied ? tg__embedding_table(c.tied) : NULL;
    const params_mark before = tg__params_mark(ps);
    const char *copy = tg__arena_text(&ps->memory, name);
    tg_linear *l = tg__arena_zeroed(&ps->memory, sizeof *l);
    if (!c.tied) W = tg__params_declare(ps, name, 2, (int[]){ I, O }, 1, &W_view);
    tg_tensor *b = c.no_bias ? NULL : tg__params_declare(ps, name, 1, &O, 1, &b_view);
    if (!tg__params_complete(ps, before)) return &nil_linear;
    *l = (tg_linear){ ps, copy, I, O, W, b, c.tied ? TRANSPOSED : NORMAL };
    return l;
}

typedef struct linear_record {
    tg_linear *l;
    tg_tensor *x, *y;
} linear_record;

/* dx += dy W',  dW += x' dy,  db += the rows of dy; tied, W' is what is stored */
static void linear_backward(tg_tape *t, void *record)
{
    const linear_record *r = record;
    const tg_linear *l = r->l;
    const int I = l->I, O = l->O, N = (int)tg__rows(r->y);
    const tg_real *x = r->x->data, *dy = r->y->grad;
    if (r->x->grad)
        tg__matmul(t->cx, NORMAL, l->W_stored == NORMAL ? TRANSPOSED : NORMAL, N, I, O, dy, O, l->W->data,
                   l->W->dim[1], NULL, 1, r->x->grad, I);
    if (l->W_stored == NORMAL)
        tg__matmul(t->cx, TRANSPOSED, NORMAL, I, O, N, x, I, dy, O, NULL, 1, l->W->grad, O);
    else
        tg__matmul(t->cx, TRANSPOSED, NORMAL, O, I, N, dy, O, x, I, NULL, 1, l->W->grad, I);
    if (l->b) tg__add_rows(t->cx, N, O, dy, O, l->b->grad);
}

static const tape_op op_linear = { TAPE_OP_linear, linear_backward };

tg_tensor *tg_linear_run(tg_linear *l, tg_tape *t, tg_tensor *x)
{
    if (!tg__layer_ready(l ? l->ps : NULL, l ? l->name : NULL, t, "tg_linear_run") ||
        !tg__tape_takes(t, "tg_linear_run", "x", x))
        return tg__tape_nil(t);
    const int I = l->I, O = l->O;
    if (x->rank < 1 || tg__columns(x) != I)
        return tg__tape_fail(t, TG_ERR_SHAPE, "tg_linear_run: '%s': x is %s, the weights are [%d,%d]",
                             l->name, tg__shape(x).s, I, O);
    if (tg__rows(x) > INT_MAX)
        return tg__tape_fail(t, TG_ERR_SHAPE, "tg_linear_run: '%s': x is %s: more than %d rows", l->name,
                             tg__shape(x).s, INT_MAX);
    int dim[TG_MAX_RANK];
    memcpy(dim, x->dim, sizeof dim);
    dim[x->rank - 1] = O;
    tg_tensor *y = tg__tape_tensor(t, x->rank, dim, true);
    linear_record *r = tg__tape_take(t, sizeof *r);
    if (t->cx->status) return &t->cx->nil;
    tg__matmul(t->cx, NORMAL, l->W_stored, (int)tg__rows(x), O, I, x->data, I, l->W->data, l->W->dim[1],
               l->b ? l->b->data : NULL, 0, y->data, O);
    *r = (linear_record){ l, x, y };
    return tg__tape_record(t, &op_linear, r, y, 3, (tg_tensor *[]){ x, l->W, l->b });
}

/* ---- for decoding, which multiplies with the same weights many times ---- */

size_t tg__linear_room(const tg_linear *l) { return tg__panels_room(l->I, l->O); }

matrix tg__linear_matrix(const tg_linear *l, tg_context *cx, tg_real *room)
{
    const matrix m = tg__matrix(l->W_stored, l->I, l->O, l->W->data, l->W->dim[1], room);
    tg__matrices_pack(cx, true, 1, &m);
    return m;
}

argmax_matrix tg__linear_argmax(const tg_linear *l, arena *room, int count, const int excluded[])
{
    return tg__argmax_matrix(room, l->W_stored, l->I, l->O, l->W->data, l->W->dim[1], tg__linear_bias(l),
                             count, excluded);
}

const tg_real *tg__linear_bias(const tg_linear *l) { return l->b ? l->b->data : NULL; }
