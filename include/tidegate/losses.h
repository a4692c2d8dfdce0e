/* tidegate/losses.h -- what training makes small. Each is one number on the tape.
 *
 * Targets are arrays of the caller's, copied here, with one entry for each row or element of what they are
 * compared with, in the same order. Sequences on the tape are time-major, (T,B,..), so their targets are
 * (T,B,..), too, also where the input came through tg_input_batch_first(), which turns (B,T,D) into (T,B,D).
 * For targets that are batch-first, (B,T,..), as most arrays are, set batch_first in the loss's config.  */
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
    const int *lengths; /* (B): tokens at t >= lengths[b] are padding; logits (T,B,V). NULL: all are real */
    bool batch_first;   /* ids are (B,T), for logits (T,B,V); false: (T,B) */
} tg_cross_entropy_config;

/* Softmax cross entropy in nats of logits (...,V) against class ids, one for each row of logits: (T,B) for logits
 * (T,B,V), or (B,T) with batch_first. An id < 0 is padding and is not counted:
 *
 *     L = - 1/N sum_i log softmax(logits_i)[id_i]          N: rows that are not padding
 *
 * Stable for any finite logits. With no real token at all the loss is 0. ids are copied. config may be NULL.
 * Label smoothing as Szegedy et al. 2016, section 7. */
TG_API tg_tensor *tg_cross_entropy(tg_tape *t, tg_tensor *logits, const int ids[],
                                   const tg_cross_entropy_config *config);

/* Of losses that compare elements. */
typedef struct tg_element_loss_config {
    tg_reduction reduction;
    const int *lengths; /* (B): elements at t >= lengths[b] are padding; x (T,B,..). NULL: all are real */
    bool batch_first;   /* target and weight are (B,T,..), for x (T,B,..); false: as x */
} tg_element_loss_config;

/* Mean squared error of x against target (as many elements as x, in the same order or batch-first; copied):
 *
 *     L = 1/N sum_i weight_i (x_i - target_i)^2            N: elements that are not padding and whose weight is not 0
 *
 * weight is laid out like target, and copied; NULL: all ones. The target of an element that is not counted may be
 * anything. With no such element the loss is 0. config may be NULL. */
TG_API tg_tensor *tg_mean_squared_error(tg_tape *t, tg_tensor *x, const tg_real target[],
                                        const tg_real weight[], const tg_element_loss_config *config);

/* Binary cross entropy in nats on logits x against targets in [0, 1], the rest as above:
 *
 *     L = - 1/N sum_i weight_i ( target_i log s(x_i) + (1 - target_i) log(1 - s(x_i)) )          s: the sigmoid */
TG_API tg_tensor *tg_binary_cross_entropy(tg_tape *t, tg_tensor *x, const tg_real target[],
                                          const tg_real weight[], const tg_element_loss_config *config);

#ifdef __cplusplus
}
#endif
#endif
