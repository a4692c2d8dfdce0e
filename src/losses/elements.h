/* losses/elements.h -- losses that are a weighted sum over elements, each against a target of its own:
 *
 *     y = 1/N sum_i w_i f(x_i, target_i)      N: the elements whose weight is not 0; or without 1/N */
#ifndef LOSSES_ELEMENTS_H
#define LOSSES_ELEMENTS_H

#include <tidegate/losses.h>

#include "tensor/tape.h"

enum { ELEMENT_CHUNK = 1024 };

typedef struct element_loss {
    tape_op op; /* its backward is tg__elements_backward */
    const char *name;
    double least, most; /* what a target may be */
    double (*value)(double x, double target);
    /* slope[i] = f'(x[i]), n of them, at most ELEMENT_CHUNK */
    void (*slope)(size_t n, const tg_real *x, const tg_real *target, tg_real *slope);
} element_loss;

tg_tensor *tg__elements_loss(tg_tape *t, const element_loss *loss, tg_tensor *x, const tg_real target[],
                             const tg_real weight[], const tg_element_loss_config *config);
void tg__elements_backward(tg_tape *t, void *record);

#endif
