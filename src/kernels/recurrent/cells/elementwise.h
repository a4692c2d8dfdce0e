/* kernels/recurrent/cells/elementwise.h -- what a cell's equations are written with.
 *
 * A cell's function computes one vector of units: it reads the gates, kept values and states of these units and writes them
 * back. CELL_FUNCTION makes of it the loop over all units of all rows of a step, for the instruction set that is compiled. */
#ifndef KERNELS_RECURRENT_CELLS_ELEMENTWISE_H
#define KERNELS_RECURRENT_CELLS_ELEMENTWISE_H

#include "kernels/recurrent/cell.h"
#include "kernels/simd/vector.h"

/* A vector of neighbouring units of one row. */
typedef struct units {
    tg_real *gates, *kept, *y, *d[CELL_STATES];
    const tg_real *b, *b_h, *before[CELL_STATES], *dkept;
    size_t H, j; /* j: the first unit */
    int left;    /* units from j to the end: at least one */
} units;

/* Column k of this unit vector. */
INLINE vec gate(units u, size_t k) { return load(u.gates + k * u.H + u.j, u.left); }
INLINE vec kept(units u, size_t k) { return load(u.kept + k * u.H + u.j, u.left); }
INLINE vec bias(units u, size_t k) { return load(u.b + k * u.H + u.j, u.left); }
INLINE vec recurrent_bias(units u, size_t k) { return load(u.b_h + k * u.H + u.j, u.left); }
INLINE void set_gate(units u, size_t k, vec x) { store(u.gates + k * u.H + u.j, u.left, x); }
INLINE void set_kept(units u, size_t k, vec x) { store(u.kept + k * u.H + u.j, u.left, x); }

/* State k before the step; h(t); the gradient of state k; and that of the kept column which a product reads. */
INLINE vec before(units u, int k) { return load(u.before[k] + u.j, u.left); }
INLINE void set_h(units u, vec x) { store(u.y + u.j, u.left, x); }
INLINE vec d_state(units u, int k) { return load(u.d[k] + u.j, u.left); }
INLINE void set_d_state(units u, int k, vec x) { store(u.d[k] + u.j, u.left, x); }
INLINE vec d_kept(units u) { return load(u.dkept + u.j, u.left); }

/* Derivatives of the activation functions, from their values. */
INLINE vec d_sigmoid(vec y) { return y * (1 - y); }
INLINE vec d_tanh(vec y) { return 1 - y * y; }

INLINE units units_of_row(const cell_step *s, int i)
{
    const size_t H = (size_t)s->H, row = (size_t)i * (size_t)s->row_step;
    units u = { .gates = s->gates + row * (size_t)s->gate_columns * H,
                .b = s->b,
                .b_h = s->b_h,
                .H = H,
                .j = (size_t)s->first,
                .left = s->end - s->first };
    if (s->kept) u.kept = s->kept + row * (size_t)s->kept_columns * H;
    if (s->y) u.y = s->y + row * s->y_stride;
    if (s->dkept) u.dkept = s->dkept + row * H;
    for (int k = 0; k < CELL_STATES; k++) {
        if (s->before[k]) u.before[k] = s->before[k] + row * s->before_stride[k];
        if (s->d[k]) u.d[k] = s->d[k] + row * H;
    }
    return u;
}

#define CELL_FUNCTION(name, equations)                                                                       \
    static void name(const cell_step *s)                                                                     \
    {                                                                                                        \
        for (int i = 0; i < s->rows; i++)                                                                    \
            for (units u = units_of_row(s, i); u.left > 0; u.j += VL, u.left -= VL) equations(u);            \
    }

/* The row's name has the instruction set in it: each set has its own. */
#define CELL_JOIN(a, b)       a##_##b
#define CELL_NAME(file, simd) CELL_JOIN(tg__cell_##file, simd)
#define CELL(file)                                                                                           \
    extern const recurrent_cell CELL_NAME(file, SIMD);                                                       \
    const recurrent_cell CELL_NAME(file, SIMD)

#endif
