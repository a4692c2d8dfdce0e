/* kernels/argmax.h -- which number of x W + b is the largest, without computing them all.
 *
 * Greedy decoding asks for the most probable word alone. Each row x and each column w_j of W is rounded to integers of
 * 7 bits, or 8 where the processor has AVX-512 VNNI, times a factor,
 *
 *     x = r p + f,   w_j = s_j q_j + e_j     (p, q_j in -63..63, or in -127..127)
 *
 * and then, |.| being the Euclidean length and p q_j an exact product of integers, by Cauchy and Schwarz
 *
 *     | x w_j - r s_j (p q_j) |  <=  |f| |w_j| + |r p| |e_j|,   |r p| <= |x| + |f|
 *
 * so that every number of the row is known to lie in an interval. The columns whose interval reaches as high as the
 * lower end of any other's remain: of thousands two or three, in a trained model. They are computed as
 * tg__matrix_product_all() computes them, to the last bit: the choice is the same. Integers take a quarter of the memory
 * and less than half of the time. */
#ifndef KERNELS_ARGMAX_H
#define KERNELS_ARGMAX_H

#include "core/context.h"
#include "kernels/panels.h"

typedef struct argmax_matrix {
    int k, n;
    const tg_real *columns; /* w_j (n,k), `stride` apart; NULL: this matrix cannot be used */
    int stride;
    const int8_t *panels; /* q, as kernels/simd/argmax.c reads them */
    const int32_t *offset;
    const tg_real *scale, *length, *error; /* s_j, |w_j|, |e_j| */
    const tg_real *bias;                   /* b, but far below for columns that must not be chosen */
} argmax_matrix;

/* op(B) (k,n), with room from the arena; bias (n), or NULL; the columns in never[0..most-1] are not chosen. Not usable:
 * there are no such kernels for this processor or precision, a number is not finite, or the context is in error. */
argmax_matrix tg__argmax_matrix(arena *room, transposed b, int k, int n, const tg_real *B, int B_stride,
                                const tg_real *bias, int most, const int never[]);

/* best[r] = the column of the largest number of row r of A (rows,k) op(B) + bias, the first of equal ones; by the team.
 * upper (rows,n): scratch. False: nothing was done, because a row is not finite or too many columns remain, as in a
 * model that has learned nothing, where computing all is faster. */
bool tg__argmax(tg_context *cx, const argmax_matrix *m, int rows, const tg_real *A, int A_stride,
                tg_real *upper, int best[]);

#endif
