/* losses/binary_cross_entropy.c -- on logits x, s the sigmoid, stable for any finite x:
 *
 *     f = - target log s(x) - (1 - target) log(1 - s(x)) = max(x, 0) - x target + log(1 + exp(-|x|))
 *     f' = s(x) - target                                                                             */
#include <math.h>

#include "kernels/pointwise.h"
#include "losses/elements.h"

static double value(double x, double target) { return fmax(x, 0) - x * target + log1p(exp(-fabs(x))); }

static void slope(size_t n, const tg_real *x, const tg_real *target, tg_real *d)
{
    tg__sigmoid(n, x, d);
    for (size_t i = 0; i < n; i++) d[i] -= target[i];
}

tg_tensor *tg_binary_cross_entropy(tg_tape *t, tg_tensor *x, const tg_real target[], const tg_real weight[],
                                   const tg_element_loss_config *config)
{
    static const element_loss loss = {
        .op = { TAPE_OP_binary_cross_entropy, tg__elements_backward },
        .name = "tg_binary_cross_entropy",
        .least = 0,
        .most = 1,
        .value = value,
        .slope = slope,
    };
    return tg__elements_loss(t, &loss, x, target, weight, config);
}
