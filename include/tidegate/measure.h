/* tidegate/measure.h -- what this machine can do, to judge speed by.
 *
 * Both use all threads of the context, take a third of a second or more, and give the best of several tries:
 * operations a second, a multiply-add counted as two. 0: the context failed. */
#ifndef TIDEGATE_MEASURE_H
#define TIDEGATE_MEASURE_H

#include "core.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Multiply-adds of numbers that stay in registers: nothing that multiplies can be faster. */
TG_API double tg_measure_multiply_adds(tg_context *cx);
/* The product of matrices (n,n), as the layers compute it. */
TG_API double tg_measure_product(tg_context *cx, int n);

#ifdef __cplusplus
}
#endif
#endif
