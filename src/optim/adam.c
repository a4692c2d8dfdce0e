/* optim/adam.c -- Adam (Kingma & Ba 2015, algorithm 1) and AdamW (Loshchilov & Hutter 2019, algorithm 2):
 *
 *     Adam:   g <- g + weight_decay p          AdamW:  p <- p (1 - lr weight_decay)
 *     m <- beta1 m + (1 - beta1) g
 *     v <- beta2 v + (1 - beta2) g^2
 *     p <- p - lr / (1 - beta1^t) m / (sqrt(v) / sqrt(1 - beta2^t) + epsilon)                       */
#include "core/clones.h"
#include "optim/optimizer.h"

enum { DECAY, BETA1, BETA2, EPSILON };

CLONED static void update(const optimizer_update *u, size_t n, tg_real *restrict p, tg_real *restrict g,
                          tg_real *const moment[], tg_real coupled, tg_real shrink)
{
    const double b1 = (double)u->setting[BETA1], b2 = (double)u->setting[BETA2], t = (double)u->t;
    const tg_real beta1 = (tg_real)b1, beta2 = (tg_real)b2, rest1 = (tg_real)(1 - b1),
                  rest2 = (tg_real)(1 - b2);
    const tg_real rate = (tg_real)((double)u->rate / (1 - pow(b1, t))), bias = (tg_real)sqrt(1 - pow(b2, t));
    const tg_real epsilon = u->setting[EPSILON];
    tg_real *restrict m = moment[0], *restrict v = moment[1];
    for (size_t i = 0; i < n; i++) {
        const tg_real d = g[i] + coupled * p[i];
        m[i] = beta1 * m[i] + rest1 * d;
        v[i] = beta2 * v[i] + rest2 * d * d;
        p[i] = shrink * p[i] - rate * (m[i] / (tg__sqrt(v[i]) / bias + epsilon));
        g[i] = 0;
    }
}

static void adam(const optimizer_update *u, size_t n, tg_real *p, tg_real *g, tg_real *const moment[])
{
    update(u, n, p, g, moment, u->decay, 1);
}

static void adamw(const optimizer_update *u, size_t n, tg_real *p, tg_real *g, tg_real *const moment[])
{
    update(u, n, p, g, moment, 0, (tg_real)(1 - (double)u->rate * (double)u->decay));
}

#define ADAM_SETTINGS(decay)                                                                                 \
    {                                                                                                        \
        { "weight_decay", decay, ANY_SIZE }, { "beta1", 0.9, BELOW_ONE }, { "beta2", 0.999, BELOW_ONE },     \
            { "epsilon", 1e-8, POSITIVE },                                                                   \
    }

const optimizer_rule tg__adam = { "adam", 0.001, { "m", "v" }, ADAM_SETTINGS(0), adam, SUMS_OF_SQUARES };
const optimizer_rule tg__adamw = {
    "adamw", 0.001, { "m", "v" }, ADAM_SETTINGS(0.01), adamw, SUMS_OF_SQUARES
};

static tg_optimizer *adam_new(tg_params *ps, const char *who, const optimizer_rule *rule,
                              const tg_adam_config *config)
{
    const tg_adam_config c = config ? *config : (tg_adam_config){ 0 };
    return tg__optimizer_new(
        ps, who, rule, c.lr,
        (tg_real[]){ [DECAY] = c.weight_decay, [BETA1] = c.beta1, [BETA2] = c.beta2, [EPSILON] = c.epsilon });
}

tg_optimizer *tg_adam_new(tg_params *ps, const tg_adam_config *config)
{
    return adam_new(ps, "tg_adam_new", &tg__adam, config);
}

tg_optimizer *tg_adamw_new(tg_params *ps, const tg_adam_config *config)
{
    return adam_new(ps, "tg_adamw_new", &tg__adamw, config);
}
