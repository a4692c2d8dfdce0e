/* mingru.c -- minimal gated recurrent unit (Feng et al. 2024, arXiv:2410.01201, section 3.1): gates from the input alone.
 *
 *     z(t) = sigmoid( x(t) W_xz + b_z )
 *     g(t) = x(t) W_xg + b_g
 *     h(t) = ( 1 - z(t) ) * h(t-1) + z(t) * g(t)
 *
 * There are no recurrent products: a step is element-wise. The paper computes all steps at once by a parallel scan, for which
 * it needs logarithms of products of many gates; a sweep goes step by step and multiplies by one gate at a time, so it needs
 * none. */
#include "kernels/recurrent/cells/elementwise.h"

enum { Z, G };

INLINE void mingru_step(units u)
{
    const vec z = sigmoid_(gate(u, Z) + bias(u, Z)), g = gate(u, G) + bias(u, G), h = before(u, 0);
    set_gate(u, Z, z);
    set_gate(u, G, g);
    set_h(u, fma_(z, g - h, h)); /* (1 - z) h + z g */
}

INLINE void mingru_step_backward(units u)
{
    const vec z = gate(u, Z), g = gate(u, G), dh = d_state(u, 0);
    set_gate(u, Z, dh * (g - before(u, 0)) * d_sigmoid(z));
    set_gate(u, G, dh * z);
    set_d_state(u, 0, dh * (1 - z));
}

CELL_FUNCTION(mingru_forward, mingru_step)
CELL_FUNCTION(mingru_backward, mingru_step_backward)

CELL(mingru) = {
    .gate = { "z", "g" },
    .state = { "h" },
    .gates = 2,
    .states = 1,
    .phases = 1,
    .phase = { { FROM_NOTHING, 0, 0, { { 0 } }, mingru_forward, mingru_backward } },
};
