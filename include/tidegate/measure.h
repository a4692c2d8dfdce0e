/* tidegate/measure.h -- what this machine can do, to judge speed by.
 *
 * The functions use all threads of the context, take a third of a second or more, and give the best of several tries.
 * 0: the context failed. */
#ifndef TIDEGATE_MEASURE_H
#define TIDEGATE_MEASURE_H

#include "core.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Operations a second, a multiply-add counted as two. Of numbers that stay in registers: nothing that multiplies can be
 * faster. */
TG_API double tg_measure_multiply_adds(tg_context *cx);
/* The product of matrices (n,n), as the layers compute it. */
TG_API double tg_measure_product(tg_context *cx, int n);
/* Bytes a second: reading so many again and again, from whatever cache they fit, each thread its own part. */
TG_API double tg_measure_reading(tg_context *cx, size_t bytes);

#ifdef __cplusplus
}
#endif
#endif
