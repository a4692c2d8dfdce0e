/* kernels/matmul.h -- matrix products by the team.
 *
 * All matrices are row-major; a stride is the distance between two rows, in elements. */
#ifndef KERNELS_MATMUL_H
#define KERNELS_MATMUL_H

#include "kernels/blas.h"

/* C (m,n) = op(A) (m,k) op(B) (k,n) + keep * C, keep 0 or 1. op(A) is A (m,k), or for TRANSPOSED the
 * transpose of A (k,m); op(B) likewise. bias (n), or NULL: it is added to each row of the product; keep is 0
 * then. */
void tg__matmul(tg_context *cx, transposed a, transposed b, int m, int n, int k, const tg_real *A,
                int A_stride, const tg_real *B, int B_stride, const tg_real *bias, int keep, tg_real *C,
                int C_stride);
/* The same on at most `threads` workers, of which the caller is one; so of all functions whose names end in
 * _by. */
void tg__matmul_by(tg_context *cx, int threads, transposed a, transposed b, int m, int n, int k,
                   const tg_real *A, int A_stride, const tg_real *B, int B_stride, const tg_real *bias,
                   int keep, tg_real *C, int C_stride);

/* sum (n) += all rows of A (m,n), in order. */
void tg__add_rows(tg_context *cx, int m, int n, const tg_real *A, int A_stride, tg_real *sum);
void tg__add_rows_by(tg_context *cx, int threads, int m, int n, const tg_real *A, int A_stride, tg_real *sum);
/* The same by the calling thread. */
void tg__add_rows_piece(int m, int n, const tg_real *A, int A_stride, tg_real *sum);

#endif
