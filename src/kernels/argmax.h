/* kernels/argmax.h -- which number of x W + b is the largest, without computing them all.
 *
 * Greedy decoding asks for the most probable word alone. Every number of a row is known to lie in an interval, first a wide
 * one that costs little, then for few columns a narrow one; columns whose interval does not reach as high as the lower
 * end of another's are left out. Those that remain, of thousands two or three in a trained model, are computed as
 * tg__matrix_product_all() computes them, to the last bit: the choice is the same.
 *
 * Small integers. Each row x and each column w_j is rounded to integers of 7 bits, or 8 where the processor has AVX-512
 * VNNI, times a factor,
 *
 *     x = r p + f,   w_j = s_j q_j + e_j     (p, q_j in -63..63, or in -127..127)
 *
 * and then, |.| being the Euclidean length and p q_j an exact product of integers, by Cauchy and Schwarz
 *
 *     | x w_j - r s_j (p q_j) |  <=  |f| |w_j| + |r p| |e_j|,   |r p| <= |x| + |f|
 *
 * That is the narrow interval.
 *
 * Few directions. In many models the columns have most of their length along few directions, P (d,k): a = P x, c_j = P w_j. No x is
 * shorter than P x (kernels/directions.h), so 1 - P'P has no negative eigenvalue, and by Cauchy and Schwarz
 *
 *     | x w_j - a c_j |  =  | x' (1 - P'P) w_j |  <=  R(x) R(w_j),   R(x)^2 = |x|^2 - |a|^2   (the rest)
 *
 * The wide interval is that of a and c_j as small integers, with R(x) R(w_j) added to it. (So do Li et al. 2017, "FEXIPRO",
 * search for the largest inner products.) Where that leaves too many columns it is the narrow one, of all columns. */
#ifndef KERNELS_ARGMAX_H
#define KERNELS_ARGMAX_H

#include "core/context.h"
#include "kernels/panels.h"
#include "kernels/simd/table.h"

typedef struct argmax_matrix {
    int k, n;
    const tg_real *columns; /* w_j (n,k), `stride` apart; NULL: this matrix cannot be used */
    int stride;
    matrix directions;                   /* P' (k,d); without panels: none, or given up */
    bool judged;                         /* by some rows */
    rounded_columns few, panels, narrow; /* c_j, in panels; w_j, in panels and one after the other */
} argmax_matrix;

/* op(B) (k,n), with room from the arena; bias (n), or NULL; the columns in never[0..most-1] are not chosen. many:
 * thousands of rows are expected, so that directions are worth to be looked for. Not usable: there are no such kernels for
 * this processor or precision, a number is not finite, or the context is in error. */
argmax_matrix tg__argmax_matrix(arena *room, transposed b, int k, int n, const tg_real *B, int B_stride,
                                const tg_real *bias, int most, const int never[], bool many);

/* best[r] = the column of the largest number of row r of A (rows,k) op(B) + bias, the first of equal ones; by the team.
 * upper (rows,n): scratch, in which the wide intervals' upper ends are left. False, and best is of no use: a row is not
 * finite, or too many columns remain, as in a model that has learned nothing, where computing all is faster. Directions that are of no
 * use to these rows are given up. */
bool tg__argmax(tg_context *cx, argmax_matrix *m, int rows, const tg_real *A, int A_stride, tg_real *upper,
                int best[]);

#endif
