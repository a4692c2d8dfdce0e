/* kernels/parts_product.h -- large products between what is in packed order and what is in the order of parts
 * (kernels/sequence.h), by the team: a part's tokens are all of the same workers. */
#ifndef KERNELS_PARTS_PRODUCT_H
#define KERNELS_PARTS_PRODUCT_H

#include "kernels/blas.h"
#include "kernels/sequence.h"

/* C (tokens,n), in the order of parts = A (tokens,k), in packed order, times B (k,n). */
void tg__product_into_parts(tg_context *cx, const sequence *q, int n, int k, const tg_real *A,
                            const tg_real *B, tg_real *C);

/* The same where token i, in packed order, has row[i] of A (rows,k), or a row of zeros if that is negative: a product for each
 * row that there is, and not for each token. A token's numbers do not depend on how many rows there are. */
void tg__rows_into_parts(tg_context *cx, const sequence *q, int n, int k, int rows, const tg_real *A,
                         const int row[], const tg_real *B, tg_real *C);

/* C (tokens,n), in packed order, is set, or with `add` added to: A (tokens,k), in the order of parts, times the transpose of
 * B (n,k). */
void tg__product_out_of_parts(tg_context *cx, const sequence *q, int n, int k, const tg_real *A,
                              const tg_real *B, bool add, tg_real *C);

#endif
