/* optim/rmsprop.c -- RMSprop (Tieleman & Hinton 2012, lecture 6.5), with PyTorch's epsilon outside the root:
 *
 *     g <- g + weight_decay p
 *     v <- alpha v + (1 - alpha) g^2
 *     s = g / (sqrt(v) + epsilon)
 *     p <- p - lr s;   with momentum:  b <- momentum b + s,  p <- p - lr b                           */
#include "core/clones.h"
#include "optim/optimizer.h"

enum { DECAY, ALPHA, EPSILON, MOMENTUM };

CLONED static void plain(const optimizer_update *u, size_t n, tg_real *restrict p, tg_real *restrict g,
                         tg_real *const moment[])
{
    const tg_real rate = u->rate, decay = u->decay;
    const tg_real alpha = u->setting[ALPHA], rest = (tg_real)(1 - (double)alpha),
                  epsilon = u->setting[EPSILON];
    tg_real *restrict v = moment[0];
    for (size_t i = 0; i < n; i++) {
        const tg_real d = g[i] + decay * p[i];
        v[i] = alpha * v[i] + rest * d * d;
        p[i] -= rate * (d / (tg__sqrt(v[i]) + epsilon));
        g[i] = 0;
    }
}

CLONED static void with_momentum(const optimizer_update *u, size_t n, tg_real *restrict p,
                                 tg_real *restrict g, tg_real *const moment[])
{
    const tg_real rate = u->rate, decay = u->decay;
    const tg_real alpha = u->setting[ALPHA], rest = (tg_real)(1 - (double)alpha),
                  epsilon = u->setting[EPSILON];
    const tg_real momentum = u->setting[MOMENTUM];
    tg_real *restrict v = moment[0], *restrict b = moment[1];
    for (size_t i = 0; i < n; i++) {
        const tg_real d = g[i] + decay * p[i];
        v[i] = alpha * v[i] + rest * d * d;
        b[i] = momentum * b[i] + d / (tg__sqrt(v[i]) + epsilon);
        p[i] -= rate * b[i];
        g[i] = 0;
    }
}

#define RMSPROP_SETTINGS                                                                                     \
    {                                                                                                        \
        { "weight_decay", 0, ANY_SIZE }, { "alpha", 0.99, BELOW_ONE }, { "epsilon", 1e-8, POSITIVE },        \
            { "momentum", 0, BELOW_ONE },                                                                    \
    }

const optimizer_rule tg__rmsprop = { "rmsprop", 0.01, { "v" }, RMSPROP_SETTINGS, plain, SUMS_OF_SQUARES };
const optimizer_rule tg__rmsprop_momentum = { "rmsprop",        0.01,          { "v", "momentum" },
                                              RMSPROP_SETTINGS, with_momentum, SUMS_OF_SQUARES };

tg_optimizer *tg_rmsprop_new(tg_params *ps, const tg_rmsprop_config *config)
{
    const tg_rmsprop_config c = config ? *config : (tg_rmsprop_config){ 0 };
    const optimizer_rule *rule = tg__setting(c.momentum, 0) != 0 ? &tg__rmsprop_momentum : &tg__rmsprop;
    return tg__optimizer_new(
        ps, "tg_rmsprop_new", rule, c.lr,
        (tg_real[]){
            [DECAY] = c.weight_decay, [ALPHA] = c.alpha, [EPSILON] = c.epsilon, [MOMENTUM] = c.momentum });
}
