/* ops/pointwise.c -- ops that treat each element alone. The shortest ops there are: read these first.
 *
 * Every op is a row: y = f(x) or z = f(x, y), and for each input the loop that adds its gradient. The
 * inputs' gradients may overlap, where views of one tensor meet, so there is one loop for each input and
 * one is finished before the next begins. */
#include <tidegate/ops.h>

#include "kernels/pointwise.h"
#include "ops/op.h"

typedef struct arrays { /* of one op; n elements each */
    const tg_real *x, *y, *z, *dz;
    tg_real *to; /* what the loop sets or adds to */
    tg_real factor;
    void (*loop)(const struct arrays *a, size_t i, size_t end);
} arrays;

typedef void pointwise_loop(const arrays *a, size_t i, size_t end);

typedef struct pointwise {
    tape_op op;
    const char *name;
    pointwise_loop *forward, *dx, *dy;
} pointwise;

typedef struct record {
    const pointwise *row;
    tg_tensor *x, *y, *z;
    tg_real factor;
} record;

static void range(void *argument, size_t first, size_t end)
{
    const arrays *a = argument;
    a->loop(a, first, end);
}

static void run_loop(tg_context *cx, const record *r, pointwise_loop *loop, tg_real *to)
{
    arrays a = { r->x->data, r->y ? r->y->data : NULL, r->z->data, r->z->grad, to, r->factor, loop };
    tg__team_ranges(cx, tg__size(r->z), OP_PIECE, range, &a);
}

static void backward(tg_tape *t, void *record_)
{
    const record *r = record_;
    if (r->x->grad) run_loop(t->cx, r, r->row->dx, r->x->grad);
    if (r->y && r->y->grad) run_loop(t->cx, r, r->row->dy, r->y->grad);
}

static tg_tensor *apply(tg_tape *t, const pointwise *row, tg_tensor *x, tg_tensor *y, tg_real factor)
{
    tg_tensor *z = tg__tape_tensor(t, x->rank, x->dim, x->grad || (y && y->grad));
    record *r = tg__tape_take(t, sizeof *r);
    if (!z || !r) return &t->cx->nil;
    *r = (record){ row, x, y, z, factor };
    run_loop(t->cx, r, row->forward, z->data);
    return tg__tape_record(t, &row->op, r, z, 2, (tg_tensor *[]){ x, y });
}

static tg_tensor *apply_to_two(tg_tape *t, const pointwise *row, tg_tensor *x, tg_tensor *y)
{
    if (!tg__tape_takes(t, row->name, "x", x) || !tg__tape_takes(t, row->name, "y", y))
        return tg__tape_nil(t);
    if (!tg__same_shape(x, y))
        return tg__tape_fail(t, TG_ERR_SHAPE, "%s: x is %s but y is %s", row->name, tg__shape(x).s,
                             tg__shape(y).s);
    return apply(t, row, x, y, 0);
}

static tg_tensor *apply_to_one(tg_tape *t, const pointwise *row, tg_tensor *x, tg_real factor)
{
    return tg__tape_takes(t, row->name, "x", x) ? apply(t, row, x, NULL, factor) : tg__tape_nil(t);
}

/* A loop over the elements of a piece. */
#define LOOP(name, statement)                                                                                \
    static void name(const arrays *a, size_t i, size_t end)                                                  \
    {                                                                                                        \
        const tg_real *x = a->x, *y = a->y, *z = a->z, *dz = a->dz;                                          \
        const tg_real factor = a->factor;                                                                    \
        tg_real *to = a->to;                                                                                 \
        (void)x, (void)y, (void)z, (void)dz, (void)factor;                                                   \
        for (; i < end; i++) statement;                                                                      \
    }

/* clang-format off */
LOOP(add,           to[i] = x[i] + y[i])
LOOP(subtract,      to[i] = x[i] - y[i])
LOOP(multiply,      to[i] = x[i] * y[i])
LOOP(scale,         to[i] = factor * x[i])
LOOP(relu,          to[i] = x[i] < 0 ? 0 : x[i]) /* NaN stays NaN */

LOOP(plus_dz,       to[i] += dz[i])
LOOP(minus_dz,      to[i] -= dz[i])
LOOP(plus_dz_y,     to[i] += dz[i] * y[i])
LOOP(plus_dz_x,     to[i] += dz[i] * x[i])
LOOP(plus_factor_dz, to[i] += factor * dz[i])
LOOP(sigmoid_dx,    to[i] += dz[i] * z[i] * (1 - z[i]))
LOOP(tanh_dx,       to[i] += dz[i] * (1 - z[i] * z[i]))
LOOP(relu_dx,       to[i] += x[i] > 0 ? dz[i] : 0)
/* clang-format on */

static void sigmoid(const arrays *a, size_t i, size_t end) { tg__sigmoid(end - i, a->x + i, a->to + i); }
static void hyperbolic_tangent(const arrays *a, size_t i, size_t end)
{
    tg__tanh(end - i, a->x + i, a->to + i);
}

/* clang-format off */
static const pointwise add_row      = { { TAPE_OP_add, backward },      "tg_add",      add,                plus_dz,        plus_dz };
static const pointwise subtract_row = { { TAPE_OP_subtract, backward }, "tg_subtract", subtract,           plus_dz,        minus_dz };
static const pointwise multiply_row = { { TAPE_OP_multiply, backward }, "tg_multiply", multiply,           plus_dz_y,      plus_dz_x };
static const pointwise scale_row    = { { TAPE_OP_scale, backward },    "tg_scale",    scale,              plus_factor_dz, NULL };
static const pointwise sigmoid_row  = { { TAPE_OP_sigmoid, backward },  "tg_sigmoid",  sigmoid,            sigmoid_dx,     NULL };
static const pointwise tanh_row     = { { TAPE_OP_tanh, backward },     "tg_tanh",     hyperbolic_tangent, tanh_dx,        NULL };
static const pointwise relu_row     = { { TAPE_OP_relu, backward },     "tg_relu",     relu,               relu_dx,        NULL };
/* clang-format on */

tg_tensor *tg_add(tg_tape *t, tg_tensor *x, tg_tensor *y) { return apply_to_two(t, &add_row, x, y); }
tg_tensor *tg_subtract(tg_tape *t, tg_tensor *x, tg_tensor *y)
{
    return apply_to_two(t, &subtract_row, x, y);
}
tg_tensor *tg_multiply(tg_tape *t, tg_tensor *x, tg_tensor *y)
{
    return apply_to_two(t, &multiply_row, x, y);
}
tg_tensor *tg_scale(tg_tape *t, tg_tensor *x, tg_real factor)
{
    return apply_to_one(t, &scale_row, x, factor);
}
tg_tensor *tg_sigmoid(tg_tape *t, tg_tensor *x) { return apply_to_one(t, &sigmoid_row, x, 0); }
tg_tensor *tg_tanh(tg_tape *t, tg_tensor *x) { return apply_to_one(t, &tanh_row, x, 0); }
tg_tensor *tg_relu(tg_tape *t, tg_tensor *x) { return apply_to_one(t, &relu_row, x, 0); }
