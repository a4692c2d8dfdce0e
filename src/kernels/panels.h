/* kernels/panels.h -- a matrix packed once for many products with few rows.
 *
 * B (k,n) is cut into panels of as many columns as two vectors hold, and a panel is stored row after row,
 * filled up with zeros: the recurrent weights are read in this form at every step of a sequence. (A
 * general product packs its operands anew at each call, which costs as much as the arithmetic when
 * there are few rows.) */
#ifndef KERNELS_PANELS_H
#define KERNELS_PANELS_H

#include "kernels/blas.h"

/* Elements of room for B (k,n) in panels. */
size_t tg__panels_room(int k, int n);

/* C (m,n) = A (m,k) B + keep * C, keep 0 or 1, by the calling thread. */
void tg__panels_product(int m, int n, int k, const tg_real *A, int A_stride, const tg_real *panels, int keep,
                        tg_real *C, int C_stride);

/* A right-hand matrix as a sweep multiplies with it, step after step: packed, or as it stands. */
typedef struct matrix {
    transposed b;
    int k, n; /* op(B) is (k,n) */
    const tg_real *B;
    int stride;
    tg_real *panels; /* NULL: not packed */
} matrix;

/* op(B) (k,n), to be packed into room (tg__panels_room elements) unless that is NULL. */
static inline matrix tg__matrix(transposed b, int k, int n, const tg_real *B, int B_stride, tg_real *room)
{
    return (matrix){ b, k, n, B, B_stride, room };
}
/* Packs those of the matrices that have room: by the team if shared, else by the calling thread. */
void tg__matrices_pack(tg_context *cx, bool shared, int count, const matrix m[]);
/* The same on at most `threads` workers, of which the caller is one. */
void tg__matrices_pack_by(tg_context *cx, int threads, int count, const matrix m[]);

/* A left-hand matrix that is multiplied with several packed ones: in strips (stride 0), or as it stands. */
typedef struct left_matrix {
    const tg_real *A;
    int stride;
} left_matrix;
/* room: tg__left_room elements, or NULL: as it stands. */
left_matrix tg__left(int rows, int k, const tg_real *A, int stride, tg_real *room);
size_t tg__left_room(int rows, int k);

/* C (rows,n) = A (rows,k) op(B) + keep * C, keep 0 or 1, by the calling thread. */
void tg__matrix_product(const matrix *m, int rows, const tg_real *A, int A_stride, int keep, tg_real *C,
                        int C_stride);

/* The same of the columns first ... end-1 alone; first is a multiple of tg__simd()->product->panel_columns. */
void tg__matrix_product_columns(const matrix *m, int first, int end, int rows, left_matrix A, int keep,
                                tg_real *C, int C_stride);

/* The same by the team, of a packed matrix. bias (n), or NULL: C starts from its rows instead of from 0. A row's result
 * does not depend on how many rows there are. */
void tg__matrix_product_all(tg_context *cx, const matrix *m, int rows, const tg_real *A, int A_stride,
                            const tg_real *bias, tg_real *C, int C_stride);

#endif
