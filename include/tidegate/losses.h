/* tidegate/losses.h -- what training makes small. Each is one number on the tape.             */
#ifndef TIDEGATE_LOSSES_H
#define TIDEGATE_LOSSES_H

#include "tape.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum tg_reduction {
    TG_MEAN, /* per real (not padded) token or element: the default */
    TG_SUM
} tg_reduction;

typedef struct tg_cross_entropy_config {
    tg_reduction reduction;
    tg_real label_smoothing; /* e in [0, 1): the target is (1-e) onehot + e/V; default 0 */
    const int *lengths;      /* (B): tokens at t >= lengths[b] are padding; logits (T,B,V) */
} tg_cross_entropy_config;

/* Softmax cross entropy in nats of logits (...,V) against class ids (one for each row of logits;
 * id < 0 is padding and is not counted):
 *
 *     L = - 1/N sum_i log softmax(logits_i)[id_i]          N: rows that are not padding
 *
 * Stable for any finite logits. With no real token at all the loss is 0. ids are copied.
 * Label smoothing as Szegedy et al. 2016, section 7. */
TG_API tg_tensor *tg_cross_entropy(tg_tape *t, tg_tensor *logits, const int ids[],
                                   const tg_cross_entropy_config *config);

/* Mean squared error of x against target (as many elements as x, copied):
 * 1/N sum (x - target)^2. weight (as many elements, or NULL for ones) multiplies each square; N counts
 * the elements whose weight is not 0. */
TG_API tg_tensor *tg_mean_squared_error(tg_tape *t, tg_tensor *x, const tg_real target[],
                                        const tg_real weight[], tg_reduction reduction);

/* Binary cross entropy in nats on logits x against targets in [0, 1]:
 * -1/N sum (target log s(x) + (1-target) log(1-s(x))), s the sigmoid; weights as above. */
TG_API tg_tensor *tg_binary_cross_entropy(tg_tape *t, tg_tensor *x, const tg_real target[],
                                          const tg_real weight[], tg_reduction reduction);

#ifdef __cplusplus
}
#endif
#endif
