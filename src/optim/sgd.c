/* optim/sgd.c -- stochastic gradient descent, plain, with momentum, and with Nesterov's momentum:
 *
 *     g <- g + weight_decay p
 *     b <- momentum b + (1 - dampening) g       first step: b = g
 *     p <- p - lr b                             plain: p - lr g; Nesterov: p - lr (g + momentum b)  */
#include "core/clones.h"
#include "optim/optimizer.h"

enum { DECAY, MOMENTUM, DAMPENING };

CLONED static void plain(const optimizer_update *u, size_t n, tg_real *restrict p, tg_real *restrict g,
                         tg_real *const moment[])
{
    const tg_real rate = u->rate, decay = u->decay;
    (void)moment;
    for (size_t i = 0; i < n; i++) {
        p[i] -= rate * (g[i] + decay * p[i]);
        g[i] = 0;
    }
}

CLONED static void with_momentum(const optimizer_update *u, size_t n, tg_real *restrict p,
                                 tg_real *restrict g, tg_real *const moment[])
{
    const tg_real rate = u->rate, decay = u->decay, keep = u->setting[MOMENTUM];
    const tg_real take = u->t > 1 ? (tg_real)(1 - (double)u->setting[DAMPENING]) : 1; /* b starts as 0 */
    tg_real *restrict b = moment[0];
    for (size_t i = 0; i < n; i++) {
        const tg_real d = g[i] + decay * p[i];
        b[i] = keep * b[i] + take * d;
        p[i] -= rate * b[i];
        g[i] = 0;
    }
}

CLONED static void with_nesterov(const optimizer_update *u, size_t n, tg_real *restrict p,
                                 tg_real *restrict g, tg_real *const moment[])
{
    const tg_real rate = u->rate, decay = u->decay, momentum = u->setting[MOMENTUM];
    tg_real *restrict b = moment[0];
    for (size_t i = 0; i < n; i++) {
        const tg_real d = g[i] + decay * p[i];
        b[i] = momentum * b[i] + d;
        p[i] -= rate * (d + momentum * b[i]);
        g[i] = 0;
    }
}

#define SGD_SETTINGS(momentum)                                                                               \
    {                                                                                                        \
        { "weight_decay", 0, ANY_SIZE }, { "momentum", momentum, BELOW_ONE }, { "dampening", 0, BELOW_ONE }, \
    }

const optimizer_rule tg__sgd = { "sgd", 0.01, { NULL }, SGD_SETTINGS(0), plain, NO_SUMS };
const optimizer_rule tg__sgd_momentum = { "momentum",        0.01,          { "momentum" },
                                          SGD_SETTINGS(0.9), with_momentum, SUMS };
const optimizer_rule tg__sgd_nesterov = { "nesterov",        0.01,          { "momentum" },
                                          SGD_SETTINGS(0.9), with_nesterov, SUMS };

tg_optimizer *tg_sgd_new(tg_params *ps, const tg_sgd_config *config)
{
    const tg_sgd_config c = config ? *config : (tg_sgd_config){ 0 };
    const tg_real momentum = tg__setting(c.momentum, 0), dampening = tg__setting(c.dampening, 0);
    if (c.nesterov && (momentum == 0 || dampening != 0))
        tg_context_fail(
            ps->cx, TG_ERR_ARGUMENT,
            "tg_sgd_new: Nesterov's momentum takes a momentum and no dampening; they are %g and %g",
            (double)momentum, (double)dampening);
    const optimizer_rule *rule = c.nesterov      ? &tg__sgd_nesterov
                                 : momentum != 0 ? &tg__sgd_momentum
                                                 : &tg__sgd;
    return tg__optimizer_new(
        ps, "tg_sgd_new", rule, c.lr,
        (tg_real[]){ [DECAY] = c.weight_decay, [MOMENTUM] = c.momentum, [DAMPENING] = c.dampening });
}
