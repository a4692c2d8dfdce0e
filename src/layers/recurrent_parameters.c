/* layers/recurrent_parameters.c -- see recurrent_parameters.h. */
#include "layers/recurrent_parameters.h"

#include <stdio.h>

/* A block of so many columns of H, one view a gate: named by prefix and the gate's letters. rows 0: a vector. */
static tg_tensor *declare_gates(tg_params *ps, const char *path, const recurrent_cell *cell,
                                const char *prefix, int rows, int columns, int H, const tg_init init[])
{
    char name[CELL_GATES][16];
    param_view_spec view[CELL_GATES];
    const int width = columns * H;
    for (int i = 0; i < columns; i++) {
        snprintf(name[i], sizeof name[i], "%s%s", prefix, cell->gate[i]);
        view[i] = (param_view_spec){ name[i], i * H, H, init[i] };
    }
    return tg__params_declare(ps, path, rows ? 2 : 1, rows ? (int[]){ rows, width } : &width, columns, view);
}

recurrent_parameters tg__declare_recurrent(tg_params *ps, const char *path, const recurrent_cell *cell,
                                           bool normalizes, int I, int H)
{
    tg_init glorot[CELL_GATES], orthogonal[CELL_GATES], bias[CELL_GATES], zeros[CELL_GATES], ones[CELL_GATES];
    for (int i = 0; i < CELL_GATES; i++) {
        glorot[i] = (tg_init){ TG_INIT_GLOROT, 0 };
        orthogonal[i] = (tg_init){ TG_INIT_ORTHOGONAL, 0 };
        zeros[i] = (tg_init){ TG_INIT_ZEROS, 0 };
        ones[i] = (tg_init){ TG_INIT_ONES, 0 };
        bias[i] = cell->bias[i] != 0 ? (tg_init){ TG_INIT_CONSTANT, cell->bias[i] } : zeros[i];
    }
    recurrent_parameters p = { .W_x = declare_gates(ps, path, cell, "W_x", I, cell->gates, H, glorot) };
    if (cell->recurrent) p.W_h = declare_gates(ps, path, cell, "W_h", H, cell->recurrent, H, orthogonal);
    p.b = declare_gates(ps, path, cell, "b_", 0, cell->gates, H, bias);
    if (cell->recurrent_bias) p.b_h = declare_gates(ps, path, cell, "b_h", 0, cell->recurrent, H, zeros);
    if (normalizes) p.gain_x = declare_gates(ps, path, cell, "gain_x", 0, cell->gates, H, ones);
    if (normalizes && cell->recurrent)
        p.gain_h = declare_gates(ps, path, cell, "gain_h", 0, cell->recurrent, H, ones);
    return p;
}

static tg_real *data_of(const tg_tensor *x) { return x ? x->data : NULL; }
static tg_real *gradient_of(const tg_tensor *x) { return x ? x->grad : NULL; }

recurrent_weights tg__recurrent_weights(const recurrent_parameters *p)
{
    return (recurrent_weights){ data_of(p->W_x), data_of(p->W_h),    data_of(p->b),
                                data_of(p->b_h), data_of(p->gain_x), data_of(p->gain_h) };
}

recurrent_gradients tg__recurrent_weight_gradients(const recurrent_parameters *p)
{
    return (recurrent_gradients){ gradient_of(p->W_x), gradient_of(p->W_h),    gradient_of(p->b),
                                  gradient_of(p->b_h), gradient_of(p->gain_x), gradient_of(p->gain_h) };
}

void tg__recurrent_tensors(const recurrent_parameters *p, tg_tensor *tensor[RECURRENT_TENSORS])
{
    tensor[0] = p->W_x, tensor[1] = p->W_h, tensor[2] = p->b, tensor[3] = p->b_h;
    tensor[4] = p->gain_x, tensor[5] = p->gain_h;
}
