/* gru.c -- gated recurrent unit, the reset gate before the product (Cho et al. 2014, arXiv:1406.1078, eq. 5-8).
 *
 *     z(t) = sigmoid( x(t) W_xz + h(t-1) W_hz + b_z )
 *     r(t) = sigmoid( x(t) W_xr + h(t-1) W_hr + b_r )
 *     g(t) = tanh( x(t) W_xg + ( r(t) * h(t-1) ) W_hg + b_g )
 *     h(t) = z(t) * h(t-1) + ( 1 - z(t) ) * g(t)
 *
 * The product r(t) * h(t-1) is kept. The gradients are derived in docs/gradients.md. */
#include "kernels/recurrent/cells/elementwise.h"

enum { Z, R, G };

INLINE void gru_update_and_reset(units u)
{
    const vec z = sigmoid_(gate(u, Z) + bias(u, Z)), r = sigmoid_(gate(u, R) + bias(u, R));
    set_gate(u, Z, z);
    set_gate(u, R, r);
    set_kept(u, 0, r * before(u, 0));
}

INLINE void gru_candidate_and_state(units u)
{
    const vec z = gate(u, Z), g = tanh_(gate(u, G) + bias(u, G));
    set_gate(u, G, g);
    set_h(u, fma_(z, before(u, 0) - g, g)); /* z h + (1 - z) g */
}

INLINE void gru_candidate_backward(units u)
{
    const vec z = gate(u, Z), g = gate(u, G), dh = d_state(u, 0);
    const vec dz = dh * (before(u, 0) - g) * z * (1 - z), dg = dh * (1 - z) * d_tanh(g);
    set_gate(u, Z, dz);
    set_gate(u, G, dg);
    set_d_state(u, 0, dh * z);
}

INLINE void gru_reset_backward(units u) /* d_kept is the gradient of r h, dg W_hg' */
{
    const vec r = gate(u, R), drh = d_kept(u);
    const vec dr = drh * before(u, 0) * r * (1 - r);
    set_gate(u, R, dr);
    set_d_state(u, 0, fma_(drh, r, d_state(u, 0)));
}

CELL_FUNCTION(gru_forward_zr, gru_update_and_reset)
CELL_FUNCTION(gru_forward_g, gru_candidate_and_state)
CELL_FUNCTION(gru_backward_g, gru_candidate_backward)
CELL_FUNCTION(gru_backward_zr, gru_reset_backward)

CELL(gru) = {
    .gate = { "z", "r", "g" },
    .state = { "h" },
    .gates = 3,
    .kept = 1,
    .states = 1,
    .recurrent = 3,
    .phases = 2,
    .phase = { { FROM_HIDDEN, 0, 1, { { Z, 2, INTO_GATES, Z } }, gru_forward_zr, gru_backward_zr },
               { FROM_KEPT, 0, 1, { { G, 1, INTO_GATES, G } }, gru_forward_g, gru_backward_g } },
};
