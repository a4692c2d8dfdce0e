/* kernels/simd/table.h -- what is written with vectors: one table of functions for each
 * instruction set. */
#ifndef KERNELS_SIMD_TABLE_H
#define KERNELS_SIMD_TABLE_H

#include <tidegate/core.h>

/* The kernels of kernels/argmax.h, where the letters are explained. x = scale * q + f, q small integers. */
typedef struct quantized_row {
    tg_real scale, length, error; /* r, |x|, |f|; for bounds(): r, at least |r p|, at least |f| */
} quantized_row;
typedef struct quantized_columns {
    int k;                 /* padded to a multiple of k_unit */
    const int8_t *panels;  /* see simd/bytes.h */
    const int32_t *offset; /* zero_point times the sum of a column's integers */
    const tg_real *scale, *length, *error, *bias;
} quantized_columns;

enum { ARGMAX_ROWS = 64, ARGMAX_CHAINS = 4 };
typedef struct argmax_table {
    int panel_columns, k_unit, zero_point; /* all 0: this instruction set has no such kernels */
    quantized_row (*quantize)(int n, const tg_real *x, int8_t *q);
    /* columns (n,k) = the transpose of B (k,n) */
    void (*transpose_columns)(int k, int n, const tg_real *B, size_t stride, tg_real *columns);
    /* upper (rows,n): upper bounds of x w + bias; lower (rows): the largest lower bound of a row. rows: at
     * most ARGMAX_ROWS. x (rows,k): integers plus zero_point. */
    void (*bounds)(const quantized_columns *w, int n, int rows, const uint8_t *x, const quantized_row *row,
                   tg_real *upper, size_t stride, tg_real lower[]);
    /* column: those of x[0..n-1] that are at least so much, in order, and no more than most+1 of them;
     * returns how many were written */
    int (*columns_at_least)(int n, const tg_real *x, tg_real least, int most, int column[]);
    /* y[i] += x w[i], with the bits of product_table.panel_product, whose depth is to be given */
    void (*dot_products)(int k, int depth, const tg_real *x, const tg_real *const w[ARGMAX_CHAINS],
                         tg_real y[ARGMAX_CHAINS]);
} argmax_table;
extern const argmax_table tg__argmax_baseline, tg__argmax_avx2, tg__argmax_avx512, tg__argmax_avx512vnni;

/* Products with packed matrices. simd/product.c has a drawing of panels, strips and tiles. */
typedef struct product_table {
    /* panels = B (k,n), or if transposed the transpose of B (n,k), in panels of panel_columns columns: each
     * is stored row after row, the last one padded with zeros. */
    int panel_columns;
    void (*pack_panels)(bool transposed, int k, int n, const tg_real *B, int stride, tg_real *panels);
    /* strips = A (m,k), or if transposed the transpose of A (k,m), in strips of at most strip_rows rows: as
     * few strips as possible, of equal heights as nearly as possible (tg__piece_start). Each is stored column
     * after column, a column padded to strip_lanes numbers; strips start `apart` elements from each other.
     * Packing pays from strip_pays rows on, if A is multiplied with several matrices. */
    int strip_rows, strip_lanes, strip_pays;
    void (*pack_strips)(bool transposed, int m, int k, const tg_real *A, int stride, size_t apart,
                        tg_real *strips);

    /* C (m,n) = A (m,k) B (k,n) + keep * C, keep 0 or 1; B in panels; A row by row, or with A_stride 0 in
     * strips. A number of C is computed as the sum of the sums over blocks of k, each of `depth`. */
    void (*panel_product)(int m, int n, int k, const tg_real *A, int A_stride, const tg_real *panels,
                          int keep, tg_real *C, int C_stride);
    int depth, packed_depth; /* packed_depth: the best block of k to pack at a time, a multiple of depth */
    bool large_products;     /* panel_product is faster than OpenBLAS */
    /* y (n) = x (k) B (k,n) + keep * y, B not packed; with the bits of panel_product. */
    void (*row_product)(int n, int k, const tg_real *x, const tg_real *B, int stride, int keep, tg_real *y);
} product_table;
extern const product_table tg__product_baseline, tg__product_avx2, tg__product_avx512;

typedef struct simd_table {
    const char *name;
    const argmax_table *argmax;
    const product_table *product;
    const struct recurrent_cell *const *cells; /* descriptions (kernels/recurrent/cell.h), in the order of enum tg_cell */

    /* y[i] = f(x[i]); x and y may be the same */
    void (*exp)(size_t n, const tg_real *x, tg_real *y);
    void (*sigmoid)(size_t n, const tg_real *x, tg_real *y);
    void (*tanh)(size_t n, const tg_real *x, tg_real *y);

    /* y[i] = exp(x[i] - M), no x[i] above M */
    void (*exp_minus)(size_t n, const tg_real *x, tg_real M, tg_real *y);

    /* So many rounds of multiply-adds in registers -> how many there were; total: so that they are made. */
    double (*multiply_adds)(int rounds, tg_real *total);
    tg_real (*read_all)(size_t n, const tg_real *x); /* but for a rest smaller than some vectors */

    /* Attention of one query, over S rows of keys (D) or memory (M), `stride` apart; equations and names in
     * kernels/attention.h. coverage (S) and w (D) may be NULL, both or none. */
    void (*attention_additive)(int S, int D, const tg_real *q, const tg_real *keys, size_t stride,
                               const tg_real *v, const tg_real *coverage, const tg_real *w, tg_real *e);
    void (*attention_dot)(int S, int D, const tg_real *q, const tg_real *keys, size_t stride, tg_real *e);
    /* c (M) = sum_s a_s m_s */
    void (*attention_sum)(int S, int M, const tg_real *a, const tg_real *memory, size_t stride, tg_real *c);
    /* dm_s += a_s dc */
    void (*attention_spread)(int S, int M, const tg_real *a, const tg_real *dc, tg_real *dmemory,
                             size_t stride);
    /* dq, dkeys, dv, dw, dcoverage: added to; dw and dcoverage with w only */
    void (*attention_additive_backward)(int S, int D, const tg_real *de, const tg_real *q,
                                        const tg_real *keys, size_t stride, const tg_real *v,
                                        const tg_real *coverage, const tg_real *w, tg_real *dq,
                                        tg_real *dkeys, tg_real *dv, tg_real *dw, tg_real *dcoverage);
} simd_table;

extern const simd_table tg__simd_baseline, tg__simd_avx2, tg__simd_avx512, tg__simd_avx512vnni;

/* The best table for this processor, or the one that TIDEGATE_SIMD=baseline|avx2|avx512|avx512vnni names. */
const simd_table *tg__simd(void);
/* For tests: table k, or NULL when there are no more, or when the processor cannot run it. */
const simd_table *tg__simd_variant(int k);

#endif
