/* tidegate/linear.h -- y = x W + b, W (I,O) initialized by Glorot, b (O) zeros. */
#ifndef TIDEGATE_LINEAR_H
#define TIDEGATE_LINEAR_H

#include "embedding.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tg_linear tg_linear;
typedef struct tg_linear_config {
    bool no_bias;
    tg_embedding
        *tied; /* W is the transpose of this embedding's (O,I), and not a parameter of its own; or NULL */
} tg_linear_config;
TG_API tg_linear *tg_linear_new(tg_params *ps, const char *name, int I, int O,
                                const tg_linear_config *config);
TG_API tg_tensor *tg_linear_run(tg_linear *l, tg_tape *t, tg_tensor *x); /* (...,I) -> (...,O) */

#ifdef __cplusplus
}
#endif
#endif
