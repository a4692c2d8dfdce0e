/* kernels/argmax.h -- the column of the largest number of each row of A op(B) + bias, without computing the
 * whole product in floating point.
 *
 * Greedy decoding needs only the most probable word. A product of small integers bounds all numbers of a row
 * from both sides. A column whose upper bound is less than the largest lower bound of the row cannot be the
 * largest. The others, two or three of thousands in a trained model, are computed as tg__matrix_product_all()
 * computes them, to the last bit: so the result is the same.
 *
 * Each row x of A and each column w_j of op(B) is quantized: rounded to integers of 7 bits, or of 8 where the
 * processor has AVX-512 VNNI, times a scale of its own,
 *
 *     x = r p + f,   w_j = s_j q_j + e_j     (p, q_j in -63..63, or in -127..127)
 *
 * and then, |.| being the Euclidean length and p q_j an exact product of integers, by the Cauchy-Schwarz
 * inequality
 *
 *     | x w_j - r s_j (p q_j) |  <=  |f| |w_j| + |r p| |e_j|,   |r p| <= |x| + |f| */
#ifndef KERNELS_ARGMAX_H
#define KERNELS_ARGMAX_H

#include "core/context.h"
#include "kernels/blas.h"
#include "kernels/simd/table.h"

typedef struct argmax_matrix {
    int k, n;
    const tg_real *columns; /* w_j (n,k), `stride` apart; NULL: this matrix cannot be used */
    int stride;
    quantized_columns quantized;
} argmax_matrix;

/* Quantizes op(B) (k,n), into memory of the arena; B and bias (n), or NULL, must stay. The columns in
 * excluded[0..excluded_count-1] are never chosen. Not usable: there are no such kernels for this processor or
 * precision, a number is not finite, or the context is in error. */
argmax_matrix tg__argmax_matrix(arena *room, transposed b, int k, int n, const tg_real *B, int B_stride,
                                const tg_real *bias, int excluded_count, const int excluded[]);

/* Bytes of scratch memory for so many rows. */
size_t tg__argmax_scratch(const argmax_matrix *m, int rows);

/* best[r] = the column of the largest number of row r of A (rows,k) op(B) + bias, the first of equal ones; by
 * the team. upper (rows,n) receives the upper bounds. False, and best is undefined: a row is not finite, or
 * too many columns cannot be excluded, as in a model that has learned nothing, where the whole product is
 * faster. */
bool tg__argmax(tg_context *cx, const argmax_matrix *m, int rows, const tg_real *A, int A_stride,
                tg_real *upper, void *scratch, int best[]);

#endif
