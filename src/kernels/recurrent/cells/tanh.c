/* tanh.c -- the simple recurrent cell (Elman 1990).
 *
 *     h(t) = tanh( x(t) W_xh + h(t-1) W_hh + b_h )
 *
 * Its one gate is h(t) itself. */
#include "kernels/recurrent/cells/elementwise.h"

INLINE void tanh_step(units u)
{
    const vec h = tanh_(gate(u, 0) + bias(u, 0));
    set_gate(u, 0, h);
    set_h(u, h);
}

INLINE void tanh_step_backward(units u)
{
    set_gate(u, 0, d_state(u, 0) * d_tanh(gate(u, 0)));
    set_d_state(u, 0, all(0));
}

CELL_FUNCTION(tanh_forward, tanh_step)
CELL_FUNCTION(tanh_backward, tanh_step_backward)

CELL(tanh) = {
    .gate = { "h" },
    .state = { "h" },
    .gates = 1,
    .states = 1,
    .recurrent = 1,
    .phases = 1,
    .phase = { { FROM_HIDDEN, 0, 1, { { 0, 1, INTO_GATES, 0 } }, tanh_forward, tanh_backward } },
};
