/* kernels/panels.h -- a right-hand matrix that is packed once and multiplied with many times.
 *
 * A recurrent network multiplies with the same weights at each step of a sequence, often with few rows.
 * tg__matmul() packs its operands at each call, which then takes as long as the arithmetic. Here op(B) (k,n)
 * is packed once, in panels of some columns each, in a number format of kernels/format.h.
 *
 * The bits of a row of a product do not depend on how many rows there are, on the number of threads, or, for
 * a single row, on whether the matrix is packed. (Several rows times a matrix that is not packed is left to
 * OpenBLAS.) */
#ifndef KERNELS_PANELS_H
#define KERNELS_PANELS_H

#include "kernels/format.h"

typedef struct matrix {
    transposed b;
    int k, n; /* op(B) is (k,n) */
    const tg_real *B;
    int stride;
    const matrix_format *format;
    void *panels; /* opaque; NULL: not packed */
} matrix;

/* Room for op(B) (k,n) in panels: how many tg_reals take as many bytes. */
size_t tg__panels_room(int k, int n);

/* op(B) (k,n), to be packed into room (tg__panels_room tg_reals), or not to be packed if that is NULL. */
static inline matrix tg__matrix(transposed b, int k, int n, const tg_real *B, int B_stride, void *room)
{
    return (matrix){ b, k, n, B, B_stride, &tg__format_real, room };
}
static inline bool tg__matrix_packed(const matrix *m) { return m->panels; }

/* Packs those of the matrices that have room: by the team if shared, else by the calling thread. */
void tg__matrices_pack(tg_context *cx, bool shared, int count, const matrix m[]);
/* The same on at most `threads` workers, of which the caller is one. */
void tg__matrices_pack_by(tg_context *cx, int threads, int count, const matrix m[]);

/* A left-hand matrix (rows,k) for products with several packed matrices: packed in strips if it has enough
 * rows for that to pay and room (tg__left_room tg_reals) is not NULL; else as it is. */
left_matrix tg__left(int rows, int k, const tg_real *A, int stride, tg_real *room);
size_t tg__left_room(int rows, int k);

/* C (rows,n) = A (rows,k) op(B) + keep * C, keep 0 or 1, by the calling thread. */
void tg__matrix_product(const matrix *m, int rows, const tg_real *A, int A_stride, int keep, tg_real *C,
                        int C_stride);

/* The columns first ... end-1 of the same; first is a multiple of the columns of a panel. C is the whole
 * array. */
void tg__matrix_product_columns(const matrix *m, int first, int end, int rows, left_matrix A, int keep,
                                tg_real *C, int C_stride);

/* C (rows,n) = A (rows,k) op(B) + bias, by the team; the matrix is packed. bias (n), or NULL. */
void tg__matrix_product_all(tg_context *cx, const matrix *m, int rows, const tg_real *A, int A_stride,
                            const tg_real *bias, tg_real *C, int C_stride);

#endif
