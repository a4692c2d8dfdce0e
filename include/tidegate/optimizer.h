/* tidegate/optimizer.h -- update rules over a parameter set, with PyTorch's formulas.
 *
 * t counts steps from 1; g is the gradient; lr the learning rate, times the parameter's rate_scale.
 * A zero in a config is the default that stands beside the field.                             */
#ifndef TIDEGATE_OPTIMIZER_H
#define TIDEGATE_OPTIMIZER_H

#include "params.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tg_optimizer tg_optimizer;

/* SGD:      g <- g + weight_decay p;  b <- momentum b + (1 - dampening) g  (first step: b = g);
 *           p <- p - lr (nesterov ? g + momentum b : b)  */
typedef struct tg_sgd_config {
    tg_real lr;                                /* 0.01 */
    tg_real momentum, dampening, weight_decay; /* 0 */
    bool nesterov;
} tg_sgd_config;
TG_API tg_optimizer *tg_sgd_new(tg_params *ps, const tg_sgd_config *config);

/* Adam (Kingma & Ba 2015): g <- g + weight_decay p;  m <- beta1 m + (1 - beta1) g;
 *           v <- beta2 v + (1 - beta2) g^2;
 *           p <- p - lr / (1 - beta1^t) m / (sqrt(v) / sqrt(1 - beta2^t) + epsilon)
 * AdamW (Loshchilov & Hutter 2019): the decay is decoupled: p <- p (1 - lr weight_decay) first. */
typedef struct tg_adam_config {
    tg_real lr;           /* 0.001 */
    tg_real beta1, beta2; /* 0.9, 0.999 */
    tg_real epsilon;      /* 1e-8 */
    tg_real weight_decay; /* Adam: 0, AdamW: 0.01 */
} tg_adam_config;
TG_API tg_optimizer *tg_adam_new(tg_params *ps, const tg_adam_config *config);
TG_API tg_optimizer *tg_adamw_new(tg_params *ps, const tg_adam_config *config);

/* RMSprop:  g <- g + weight_decay p;  v <- alpha v + (1 - alpha) g^2;  d = sqrt(v) + epsilon;
 *           momentum > 0: b <- momentum b + g / d, p <- p - lr b;  else p <- p - lr g / d  */
typedef struct tg_rmsprop_config {
    tg_real lr;                     /* 0.01 */
    tg_real alpha;                  /* 0.99 */
    tg_real epsilon;                /* 1e-8 */
    tg_real momentum, weight_decay; /* 0 */
} tg_rmsprop_config;
TG_API tg_optimizer *tg_rmsprop_new(tg_params *ps, const tg_rmsprop_config *config);

/* By name ("sgd", "momentum", "nesterov", "adam", "adamw", "rmsprop"), as the program and the
 * checkpoint know them; zeros: that rule's defaults ("momentum" and "nesterov" are SGD with 0.9). */
TG_API tg_optimizer *tg_optimizer_new(tg_params *ps, const char *name, tg_real lr, tg_real weight_decay);

/* Moves the parameters, zeroes the gradients, advances the context's step.
 *
 * Refuses a step with a gradient that is not finite (TG_ERR_NUMBER), and one with a norm so large that a moment could
 * overflow: where squares are kept (Adam, AdamW, RMSprop) above the root of the largest tg_real, with SGD's momentum above
 * 1e-4 times the largest. Nothing moves then, the moments stay, the gradients are zeroed, and the step advances all the same.
 *
 * While the context is in error nothing moves, either; the gradients are zeroed, the step does not advance, and the context's
 * status is returned. TG_ERR_STATE: the optimizer was made while its context was in error, or its parameters were
 * freed. */
TG_API tg_status tg_optimizer_step(tg_optimizer *o) TG_MUST_CHECK;

TG_API const char *tg_optimizer_name(const tg_optimizer *o);
TG_API tg_real tg_optimizer_rate(const tg_optimizer *o);
TG_API void tg_optimizer_set_rate(tg_optimizer *o, tg_real lr);
TG_API int64_t tg_optimizer_steps(const tg_optimizer *o); /* that moved the parameters */

/* ---- learning rate as a function of the step: schedules ---- */
typedef enum tg_schedule_kind {
    TG_CONSTANT,
    TG_STEP,         /* lr gamma^floor(s / period) */
    TG_EXPONENTIAL,  /* lr gamma^(s / period) */
    TG_COSINE,       /* min + (lr - min) (1 + cos(pi s / period)) / 2; min after the period */
    TG_INVERSE_SQRT, /* lr sqrt(warmup) / sqrt(s), s > warmup (warmup at least 1) */
    TG_PLATEAU       /* lr gamma^k, never below min: k is how many times more than `patience` validations in
                      * a row were not below best (1 - 1e-4), counted as PyTorch's ReduceLROnPlateau does */
} tg_schedule_kind;

/* tg_train() fills in an lr of 0 and a period of 0. In a direct call of tg_schedule_rate() an lr of 0 is 0,
 * and a schedule with a period of 0 stays at lr. */
typedef struct tg_schedule {
    tg_schedule_kind kind;
    tg_real lr;     /* the base; 0: the optimizer's rate when training starts */
    int64_t warmup; /* steps of linear rise, (s+1) / warmup; then the kind takes over and counts s
                     * from the end of the warm-up (INVERSE_SQRT alone from the start) */
    int64_t period; /* steps; 0: for STEP and EXPONENTIAL an epoch, for COSINE the rest of the run */
    tg_real gamma;  /* 0.1 for PLATEAU and STEP, 0.5 per period for EXPONENTIAL */
    tg_real min;    /* 0 */
    int patience;   /* PLATEAU: validations in a row without improvement that do not lower the rate yet;
                     * 0: 2; -1: none, the first one lowers it */

    /* Memory that tg_train() keeps and saves; all 0 at first. */
    double best; /* PLATEAU: lowest validation loss, once one was seen */
    int bad, drops;
    bool seen;
    /* A run that went on after `from` steps with another period: `done` periods had passed by then, and from
     * then on they pass at `pace` a step (0: 1 / period). Of COSINE, one period is the whole decay. */
    int64_t from;
    double done, pace;
} tg_schedule;

TG_API tg_real tg_schedule_rate(const tg_schedule *s, int64_t step);  /* a negative step is taken for 0 */
TG_API void tg_schedule_validated(tg_schedule *s, double valid_loss); /* for PLATEAU; others ignore it */
TG_API const char *tg_schedule_name(tg_schedule_kind kind);
/* TG_CONSTANT ... by name; false: no such name. */
TG_API bool tg_schedule_kind_named(const char *name, tg_schedule_kind *kind);

#ifdef __cplusplus
}
#endif
#endif
