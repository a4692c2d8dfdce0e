/* kernels/format_real.c -- packed matrices of unchanged numbers; the panels are those of simd/product.c. */
#include "kernels/format.h"
#include "kernels/simd/table.h"

static int real_panel_columns(void) { return tg__simd()->product->panel_columns; }

static size_t real_column_bytes(int k) { return (size_t)k * sizeof(tg_real); }

static void pack_reals(transposed b, int k, int n, const tg_real *B, int B_stride, void *panels)
{
    tg__simd()->product->pack_panels(b == TRANSPOSED, k, n, B, B_stride, panels);
}

static void real_product(int rows, int n, int k, left_matrix A, const void *panels, int keep, tg_real *C,
                         int C_stride)
{
    tg__simd()->product->panel_product(rows, n, k, A.A, A.stride, panels, keep, C, C_stride);
}

const matrix_format tg__format_real = {
    .name = "real",
    .panel_columns = real_panel_columns,
    .column_bytes = real_column_bytes,
    .pack = pack_reals,
    .product = real_product,
};
