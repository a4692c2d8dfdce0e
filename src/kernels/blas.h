/* kernels/blas.h -- matrix products by OpenBLAS, which no other file calls.
 *
 * All matrices are row-major; a stride is the distance between two rows, in elements. OpenBLAS uses one
 * thread; kernels/matmul.h divides large products among the team. */
#ifndef KERNELS_BLAS_H
#define KERNELS_BLAS_H

#include <tidegate/core.h>

typedef enum transposed { NORMAL, TRANSPOSED } transposed;

/* C (m,n) = op(A) (m,k) op(B) (k,n) + keep * C, keep 0 or 1, by the calling thread.
 * op(A) is A (m,k), or for TRANSPOSED the transpose of A (k,m); B alike. */
void tg__matmul_piece(transposed a, transposed b, int m, int n, int k, const tg_real *A, int A_stride,
                      const tg_real *B, int B_stride, int keep, tg_real *C, int C_stride);

/* To be called before products. Sets OpenBLAS to one thread, once a process, unless the context's config says
 * not to. Checks that there is address space for a buffer of each worker, without which OpenBLAS would try to
 * allocate it for ever. False: there is not, and the context fails with TG_ERR_MEMORY. */
bool tg__blas_ready(tg_context *cx);

#endif
