/* kernels/recurrent/regularize.h -- row operations of what can be switched on inside a cell (step.h), by the calling thread. */
#ifndef KERNELS_RECURRENT_REGULARIZE_H
#define KERNELS_RECURRENT_REGULARIZE_H

#include <tidegate/core.h>

/* `rows` rows of n elements; strides in elements. y = x * mask; y may be x. */
void tg__mask_rows(int rows, int n, const tg_real *x, size_t x_stride, const tg_real *mask,
                   size_t mask_stride, tg_real *y, size_t y_stride);
/* y += x * mask */
void tg__add_masked_rows(int rows, int n, const tg_real *x, size_t x_stride, const tg_real *mask,
                         size_t mask_stride, tg_real *y, size_t y_stride);

/* Zoneout: y = mask * before + (1 - mask) * y, mask 0 or 1; and its gradient: retained = mask * d, d = (1 - mask) * d. */
void tg__zoneout_rows(int rows, int n, const tg_real *mask, size_t mask_stride, const tg_real *before,
                      size_t before_stride, tg_real *y, size_t y_stride);
void tg__zoneout_rows_backward(int rows, int n, const tg_real *mask, size_t mask_stride, tg_real *d,
                               tg_real *retained, size_t d_stride);

/* Layer normalization of each of so many columns of H elements (Ba et al. 2016, arXiv:1607.06450, eq. 3-4):
 *
 *     x <- ( x - mean ) scale,   scale = 1 / sqrt( variance + 1e-5 )
 *
 * scale: one number a column. */
void tg__normalize_rows(int rows, int columns, int H, tg_real *x, size_t x_stride, tg_real *scale,
                        size_t scale_stride);
/* dx = the gradient before normalization, where d is that of gain * x and x the normalized values. */
void tg__normalize_rows_backward(int rows, int columns, int H, const tg_real *gain, const tg_real *x,
                                 size_t x_stride, const tg_real *scale, size_t scale_stride, const tg_real *d,
                                 size_t d_stride, tg_real *dx, size_t dx_stride);
/* y = gain * x, or added to y; gain (n). */
void tg__scale_rows(int rows, int n, const tg_real *gain, const tg_real *x, size_t x_stride, bool add,
                    tg_real *y, size_t y_stride);
/* sum (n) += the rows of a * b, in order: the gradient of a gain. */
void tg__add_products_of_rows(int rows, int n, const tg_real *a, size_t a_stride, const tg_real *b,
                              size_t b_stride, tg_real *sum);

#endif
