/* layers/linear.c -- y = x W + b. */
#include <limits.h>
#include <string.h>

#include "kernels/blas.h"
#include "layers/layer.h"

struct tg_linear {
    tg_params *ps;
    tg_tensor *W; /* (I,O) */
    tg_tensor *b; /* (O), or NULL */
};

static tg_linear nil_linear;

tg_linear *tg_linear_new(tg_params *ps, const char *name, int I, int O, const tg_linear_config *config)
{
    const param_view_spec W_view = { "W", 0, O, { TG_INIT_GLOROT, 0 } },
                          b_view = { "b", 0, O, { TG_INIT_ZEROS, 0 } };
    const bool bias = !config || !config->no_bias;
    tg_linear *l = tg__arena_zeroed(&ps->memory, sizeof *l);
    tg_tensor *W = tg__params_declare(ps, name, 2, (int[]){ I, O }, 1, &W_view);
    tg_tensor *b = bias ? tg__params_declare(ps, name, 1, &O, 1, &b_view) : NULL;
    if (!l || !W || (bias && !b)) return &nil_linear;
    *l = (tg_linear){ ps, W, b };
    return l;
}

typedef struct linear_record {
    tg_linear *l;
    tg_tensor *x, *y;
} linear_record;

/* dx += dy W',  dW += x' dy,  db += the rows of dy */
static void linear_backward(tg_tape *t, void *record)
{
    const linear_record *r = record;
    const tg_tensor *W = r->l->W, *b = r->l->b;
    const int I = W->dim[0], O = W->dim[1], N = (int)tg__rows(r->y);
    if (r->x->grad)
        tg__matmul(t->cx, NORMAL, TRANSPOSED, N, I, O, r->y->grad, O, W->data, O, NULL, 1, r->x->grad, I);
    tg__matmul(t->cx, TRANSPOSED, NORMAL, I, O, N, r->x->data, I, r->y->grad, O, NULL, 1, W->grad, O);
    if (b) tg__add_rows(t->cx, N, O, r->y->grad, O, b->grad);
}

static const tape_op op_linear = { TAPE_OP_linear, linear_backward };

tg_tensor *tg_linear_run(tg_linear *l, tg_tape *t, tg_tensor *x)
{
    if (!tg__layer_ready(l ? l->ps : NULL, t, "tg_linear_run")) return &t->cx->nil;
    const int I = l->W->dim[0], O = l->W->dim[1];
    if (x->rank < 1 || tg__columns(x) != I)
        return tg__tape_fail(t, TG_ERR_SHAPE, "tg_linear_run: x is %s, the weights are %s", tg__shape(x).s,
                             tg__shape(l->W).s);
    if (tg__rows(x) > INT_MAX)
        return tg__tape_fail(t, TG_ERR_SHAPE, "tg_linear_run: x is %s: more than %d rows", tg__shape(x).s,
                             INT_MAX);
    int dim[TG_MAX_RANK];
    memcpy(dim, x->dim, sizeof dim);
    dim[x->rank - 1] = O;
    tg_tensor *y = tg__tape_tensor(t, x->rank, dim, true);
    linear_record *r = tg__tape_take(t, sizeof *r);
    if (t->cx->status) return &t->cx->nil;
    tg__matmul(t->cx, NORMAL, NORMAL, (int)tg__rows(x), O, I, x->data, I, l->W->data, O,
               l->b ? l->b->data : NULL, 0, y->data, O);
    *r = (linear_record){ l, x, y };
    return tg__tape_record(t, &op_linear, r, y, 3, (tg_tensor *[]){ x, l->W, l->b });
}
