/* kernels/blas.c -- matrix products, cut into pieces by their shape alone. */
#include "kernels/blas.h"

#include <cblas.h>
#undef I /* cblas.h brings complex.h, whose I is our input size */
#include <stdatomic.h>
#include <string.h>

#include "core/context.h"
#include "core/team.h"

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

typedef struct product {
    transposed a, b;
    int m, n, k, rows, columns; /* the grid of pieces: rows x columns */
    const tg_real *A, *B, *bias;
    int A_stride, B_stride, keep;
    tg_real *C;
    int C_stride;
} product;

static void product_piece(void *argument, int piece)
{
    const product *p = argument;
    const int r = piece / p->columns, c = piece % p->columns;
    const int i = (int)tg__piece_start(p->m, p->rows, r), i_end = (int)tg__piece_start(p->m, p->rows, r + 1);
    const int j = (int)tg__piece_start(p->n, p->columns, c),
              j_end = (int)tg__piece_start(p->n, p->columns, c + 1);
    tg_real *C = p->C + (size_t)i * (size_t)p->C_stride + j;
    if (p->bias)
        for (int row = 0; row < i_end - i; row++)
            memcpy(C + (size_t)row * (size_t)p->C_stride, p->bias + j, (size_t)(j_end - j) * sizeof *C);
    tg__matmul_piece(p->a, p->b, i_end - i, j_end - j, p->k,
                     p->A + (p->a == NORMAL ? (size_t)i * (size_t)p->A_stride : (size_t)i), p->A_stride,
                     p->B + (p->b == NORMAL ? (size_t)j : (size_t)j * (size_t)p->B_stride), p->B_stride,
                     p->bias ? 1 : p->keep, C, p->C_stride);
}

/* Pieces of about PIECE multiply-adds or more, at most MOST_PIECES, near to squares: each piece packs
 * its operands anew. The grid is a function of (m, n, k) alone. */
void tg__matmul(tg_context *cx, transposed a, transposed b, int m, int n, int k, const tg_real *A,
                int A_stride, const tg_real *B, int B_stride, const tg_real *bias, int keep, tg_real *C,
                int C_stride)
{
    enum { MOST_PIECES = 16, SMALLEST_SIDE = 24 };
    const double PIECE = 1e6;
    if (m <= 0 || n <= 0) return;
    tg__blas_one_thread(cx);
    product p = { a, b, m, n, k, 1, 1, A, B, bias, A_stride, B_stride, keep, C, C_stride };
    double work = (double)m * n * k;
    while (p.rows * p.columns < MOST_PIECES && work > 2 * PIECE) {
        const int height = m / p.rows, width = n / p.columns;
        if (height >= width && height >= 2 * SMALLEST_SIDE)
            p.rows *= 2;
        else if (width >= 2 * SMALLEST_SIDE)
            p.columns *= 2;
        else
            break;
        work /= 2;
    }
    tg__team_run(cx, p.rows * p.columns, product_piece, &p);
}

typedef struct row_sum {
    int m, n, pieces, stride;
    const tg_real *A;
    tg_real *sum;
} row_sum;

static void row_sum_piece(void *argument, int piece)
{
    const row_sum *s = argument;
    const int j0 = (int)tg__piece_start(s->n, s->pieces, piece),
              j1 = (int)tg__piece_start(s->n, s->pieces, piece + 1);
    for (int i = 0; i < s->m; i++) {
        const tg_real *row = s->A + (size_t)i * (size_t)s->stride;
        for (int j = j0; j < j1; j++) s->sum[j] += row[j];
    }
}

void tg__add_rows(tg_context *cx, int m, int n, const tg_real *A, int A_stride, tg_real *sum)
{
    row_sum s = { m, n, (double)m * n > 32768 ? tg__pieces(n, 1024) : 1, A_stride, A, sum };
    tg__team_run(cx, s.pieces, row_sum_piece, &s);
}
