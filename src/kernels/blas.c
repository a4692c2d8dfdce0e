/* kernels/blas.c -- see blas.h. */
#include "kernels/blas.h"

#include <cblas.h>
#undef I /* cblas.h brings complex.h, whose I is our input size */
#include <stdatomic.h>

#include "core/context.h"

#if TG_DOUBLE
#define gemm cblas_dgemm
#define gemv cblas_dgemv
#else
#define gemm cblas_sgemm
#define gemv cblas_sgemv
#endif

void tg__blas_one_thread(tg_context *cx)
{
    static atomic_flag done = ATOMIC_FLAG_INIT;
    if (!cx->config.keep_blas_threads && !atomic_flag_test_and_set(&done)) openblas_set_num_threads(1);
}

/* OpenBLAS wants strides of at least the row's length even where there is one row. */
static int at_least(int stride, int columns) { return stride < columns ? columns : stride; }

void tg__matmul_piece(transposed a, transposed b, int m, int n, int k, const tg_real *A, int A_stride,
                      const tg_real *B, int B_stride, int keep, tg_real *C, int C_stride)
{
    if (m == 1 && a == NORMAL) { /* one row: c = a op(B) is a product with a vector */
        if (b == NORMAL)
            gemv(CblasRowMajor, CblasTrans, k, n, 1, B, at_least(B_stride, n), A, 1, (tg_real)keep, C, 1);
        else
            gemv(CblasRowMajor, CblasNoTrans, n, k, 1, B, at_least(B_stride, k), A, 1, (tg_real)keep, C, 1);
        return;
    }
    gemm(CblasRowMajor, a == NORMAL ? CblasNoTrans : CblasTrans, b == NORMAL ? CblasNoTrans : CblasTrans, m,
         n, k, 1, A, at_least(A_stride, a == NORMAL ? k : m), B, at_least(B_stride, b == NORMAL ? n : k),
         (tg_real)keep, C, at_least(C_stride, n));
}
