/* lstm.c -- long short-term memory (Hochreiter & Schmidhuber 1997; with a forget gate: Gers et al. 2000), without peepholes.
 *
 *     i(t) = sigmoid( x(t) W_xi + h(t-1) W_hi + b_i )
 *     f(t) = sigmoid( x(t) W_xf + h(t-1) W_hf + b_f )
 *     g(t) = tanh( x(t) W_xg + h(t-1) W_hg + b_g )
 *     o(t) = sigmoid( x(t) W_xo + h(t-1) W_ho + b_o )
 *     c(t) = f(t) * c(t-1) + i(t) * g(t)
 *     h(t) = o(t) * tanh( c(t) )
 *
 * c(t), the second state, and tanh(c(t)) are kept. b_f starts at 1, so that a new network remembers (Jozefowicz et al. 2015). */
#include "kernels/recurrent/cells/elementwise.h"

enum { I, F, G, O };
enum { C, TANH_C };

INLINE void lstm_step(units u)
{
    const vec i = sigmoid_(gate(u, I) + bias(u, I)), f = sigmoid_(gate(u, F) + bias(u, F));
    const vec g = tanh_(gate(u, G) + bias(u, G)), o = sigmoid_(gate(u, O) + bias(u, O));
    const vec c = fma_(f, before(u, 1), i * g), tanh_c = tanh_(c);
    set_gate(u, I, i);
    set_gate(u, F, f);
    set_gate(u, G, g);
    set_gate(u, O, o);
    set_kept(u, C, c);
    set_kept(u, TANH_C, tanh_c);
    set_h(u, o * tanh_c);
}

INLINE void lstm_step_backward(units u)
{
    const vec i = gate(u, I), f = gate(u, F), g = gate(u, G), o = gate(u, O), tanh_c = kept(u, TANH_C);
    const vec dh = d_state(u, 0), dc = fma_(dh * o, d_tanh(tanh_c), d_state(u, 1));
    set_gate(u, I, dc * g * d_sigmoid(i));
    set_gate(u, F, dc * before(u, 1) * d_sigmoid(f));
    set_gate(u, G, dc * i * d_tanh(g));
    set_gate(u, O, dh * tanh_c * d_sigmoid(o));
    set_d_state(u, 0, all(0));
    set_d_state(u, 1, dc * f);
}

CELL_FUNCTION(lstm_forward, lstm_step)
CELL_FUNCTION(lstm_backward, lstm_step_backward)

CELL(lstm) = {
    .gate = { "i", "f", "g", "o" },
    .state = { "h", "c" },
    .gates = 4,
    .kept = 2,
    .states = 2,
    .recurrent = 4,
    .bias = { 0, 1, 0, 0 },
    .phases = 1,
    .phase = { { FROM_HIDDEN, 0, 1, { { I, 4, INTO_GATES, I } }, lstm_forward, lstm_backward } },
};
