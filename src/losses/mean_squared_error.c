/* losses/mean_squared_error.c -- f = (x - target)^2. */
#include <math.h>

#include "losses/elements.h"

static double value(double x, double target) { return (x - target) * (x - target); }

static void slope(size_t n, const tg_real *x, const tg_real *target, tg_real *d)
{
    for (size_t i = 0; i < n; i++) d[i] = 2 * (x[i] - target[i]);
}

tg_tensor *tg_mean_squared_error(tg_tape *t, tg_tensor *x, const tg_real target[], const tg_real weight[],
                                 const tg_element_loss_config *config)
{
    static const element_loss loss = {
        .op = { TAPE_OP_mean_squared_error, tg__elements_backward },
        .name = "tg_mean_squared_error",
        .least = -INFINITY,
        .most = INFINITY,
        .value = value,
        .slope = slope,
    };
    return tg__elements_loss(t, &loss, x, target, weight, config);
}
