/* gru_reset_after.c -- gated recurrent unit, the reset gate after the product (cuDNN, PyTorch, Keras' default), with a second
 * set of biases. It cannot be converted into the other form.
 *
 *     z(t) = sigmoid( x(t) W_xz + b_z + h(t-1) W_hz + b_hz )
 *     r(t) = sigmoid( x(t) W_xr + b_r + h(t-1) W_hr + b_hr )
 *     q(t) = h(t-1) W_hg + b_hg
 *     g(t) = tanh( x(t) W_xg + b_g + r(t) * q(t) )
 *     h(t) = z(t) * h(t-1) + ( 1 - z(t) ) * g(t)
 *
 * q(t) is kept. The gradients are derived in docs/gradients.md. */
#include "kernels/recurrent/cells/elementwise.h"

enum { Z, R, G };

INLINE void reset_after_step(units u)
{
    const vec z = sigmoid_(gate(u, Z) + bias(u, Z) + recurrent_bias(u, Z));
    const vec r = sigmoid_(gate(u, R) + bias(u, R) + recurrent_bias(u, R));
    const vec q = kept(u, 0) + recurrent_bias(u, G);
    const vec g = tanh_(fma_(r, q, gate(u, G) + bias(u, G)));
    set_gate(u, Z, z);
    set_gate(u, R, r);
    set_gate(u, G, g);
    set_kept(u, 0, q);
    set_h(u, fma_(z, before(u, 0) - g, g)); /* z h + (1 - z) g */
}

INLINE void reset_after_step_backward(units u)
{
    const vec z = gate(u, Z), r = gate(u, R), g = gate(u, G), q = kept(u, 0), dh = d_state(u, 0);
    const vec dz = dh * (before(u, 0) - g) * z * (1 - z), dg = dh * (1 - z) * d_tanh(g),
              dr = dg * q * r * (1 - r);
    set_gate(u, Z, dz);
    set_gate(u, R, dr);
    set_gate(u, G, dg);
    set_kept(u, 0, dg * r); /* the gradient of q */
    set_d_state(u, 0, dh * z);
}

CELL_FUNCTION(reset_after_forward, reset_after_step)
CELL_FUNCTION(reset_after_backward, reset_after_step_backward)

CELL(gru_reset_after) = {
    .gate = { "z", "r", "g" },
    .state = { "h" },
    .gates = 3,
    .kept = 1,
    .states = 1,
    .recurrent = 3,
    .recurrent_bias = true,
    .phases = 1,
    .phase = { { FROM_HIDDEN,
                 0,
                 2,
                 { { Z, 2, INTO_GATES, Z }, { G, 1, INTO_KEPT, 0 } },
                 reset_after_forward,
                 reset_after_backward } },
};
