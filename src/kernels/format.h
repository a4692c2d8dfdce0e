/* kernels/format.h -- number formats of packed matrices: a file with a row like this for each format. */
#ifndef KERNELS_FORMAT_H
#define KERNELS_FORMAT_H

#include "kernels/blas.h"

/* A matrix (rows,k), row by row with that stride; stride 0: packed in strips (kernels/panels.h: tg__left). */
typedef struct left_matrix {
    const tg_real *A;
    int stride;
} left_matrix;

/* A packed matrix op(B) (k,n) is a sequence of panels, each of panel_columns() columns; the last one is
 * padded. What is in a panel, only the format knows. */
typedef struct matrix_format {
    const char *name;
    int (*panel_columns)(void);    /* on this processor */
    size_t (*column_bytes)(int k); /* bytes of a panel divided by panel_columns() */
    void (*pack)(transposed b, int k, int n, const tg_real *B, int B_stride, void *panels);
    /* C (rows,n) = A (rows,k) op(B) + keep * C, keep 0 or 1, by the calling thread. The bits of a row of C do
     * not depend on the number of rows, on n, or on whether A is in strips. */
    void (*product)(int rows, int n, int k, left_matrix A, const void *panels, int keep, tg_real *C,
                    int C_stride);
} matrix_format;

/* tg_real, as it is: kernels/format_real.c */
extern const matrix_format tg__format_real;

#endif
