/* relu.c -- the simple recurrent cell with rectified linear units (Le et al. 2015, arXiv:1504.00941).
 *
 *     h(t) = max( 0, x(t) W_xh + h(t-1) W_hh + b_h )
 *
 * Its one gate is h(t) itself. The derivative at 0 is taken as 0. */
#include "kernels/recurrent/cells/elementwise.h"

INLINE void relu_step(units u)
{
    const vec x = gate(u, 0) + bias(u, 0), h = at_least(x, 0); /* a NaN stays one */
    set_gate(u, 0, h);
    set_h(u, h);
}

INLINE void relu_step_backward(units u)
{
    set_gate(u, 0, blend(gate(u, 0) > all(0), d_state(u, 0), all(0)));
    set_d_state(u, 0, all(0));
}

CELL_FUNCTION(relu_forward, relu_step)
CELL_FUNCTION(relu_backward, relu_step_backward)

CELL(relu) = {
    .gate = { "h" },
    .state = { "h" },
    .gates = 1,
    .states = 1,
    .recurrent = 1,
    .phases = 1,
    .phase = { { FROM_HIDDEN, 0, 1, { { 0, 1, INTO_GATES, 0 } }, relu_forward, relu_backward } },
};
