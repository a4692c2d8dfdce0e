/* Packed matrices: what holds for every number format, and the exact numbers of those that keep them. */
#include <math.h>
#include <string.h>
#include <tidegate/tidegate.h>

#include "check_main.h"
#include "kernels/panels.h"
#include "workers.h"

enum { ROWS = 101, STRIDE_MORE = 3 };
static const int sizes[][2] = { { 1, 1 }, { 7, 33 }, { 64, 96 }, { 300, 130 }, { 1100, 70 } }; /* k, n */
enum { SIZES = sizeof sizes / sizeof *sizes };

typedef struct packed_example {
    tg_context *cx;
    int k, n, A_stride;
    transposed b;
    tg_real *A, *B, *bias;
    matrix m;
} packed_example;

static tg_real *noise(tg_context *cx, const char *stream, size_t n)
{
    tg_real *x = tg_context_allocate(cx, n * sizeof *x);
    for (size_t i = 0; i < n; i++) x[i] = (tg_real)(2 * tg_random_uniform(cx, stream, 0, i) - 1);
    return x;
}

static packed_example packed(int workers, int size, transposed b)
{
    const int k = sizes[size][0], n = sizes[size][1], stride = (b == NORMAL ? n : k) + STRIDE_MORE;
    packed_example e = {
        .cx = context_of_workers(workers, 1), .k = k, .n = n, .A_stride = k + STRIDE_MORE, .b = b
    };
    e.A = noise(e.cx, "A", (size_t)ROWS * (size_t)e.A_stride);
    e.B = noise(e.cx, "B", (size_t)(b == NORMAL ? k : n) * (size_t)stride);
    e.bias = noise(e.cx, "bias", (size_t)n);
    e.m =
        tg__matrix(b, k, n, e.B, stride, tg_context_allocate(e.cx, tg__panels_room(k, n) * sizeof(tg_real)));
    tg__matrices_pack(e.cx, true, 1, &e.m);
    return e;
}

static tg_real *product(const packed_example *e, int rows, const tg_real *bias)
{
    tg_real *C = tg_context_allocate(e->cx, (size_t)rows * (size_t)e->n * sizeof *C);
    tg__matrix_product_all(e->cx, &e->m, rows, e->A, e->A_stride, bias, C, e->n);
    return C;
}

START_TEST(product_of_a_packed_matrix_agrees_with_plain_c)
{
    for (int c = 0; c < 2 * SIZES; c++) {
        packed_example e = packed(2, c / 2, c % 2 ? TRANSPOSED : NORMAL);
        const tg_real *C = product(&e, ROWS, e.bias);
        ck_assert(tg__matrix_packed(&e.m));
        for (int i = 0; i < ROWS; i++)
            for (int j = 0; j < e.n; j++) {
                double wanted = (double)e.bias[j];
                for (int p = 0; p < e.k; p++)
                    wanted += (double)e.A[i * e.A_stride + p] *
                              (double)e.B[e.b == NORMAL ? p * e.m.stride + j : j * e.m.stride + p];
                ck_assert(fabs((double)C[i * e.n + j] - wanted) <= 1e-5 * (1 + sqrt(e.k)));
            }
        tg_context_free(e.cx);
    }
}
END_TEST

/* Rows alone and in batches, in strips and as they are, columns alone, and more workers: always the same bits. */
START_TEST(bits_of_a_row_depend_on_nothing_else)
{
    for (int c = 0; c < 2 * SIZES; c++) {
        packed_example e = packed(1, c / 2, c % 2 ? TRANSPOSED : NORMAL);
        const size_t row = (size_t)e.n * sizeof(tg_real);
        const tg_real *all = product(&e, ROWS, NULL);
        tg_real *C = tg_context_allocate(e.cx, ROWS * row),
                *room = tg_context_allocate(e.cx, tg__left_room(ROWS, e.k) * sizeof *room);
        for (int workers = 2; workers <= 5; workers++) {
            packed_example other = packed(workers, c / 2, e.b);
            ck_assert(!memcmp(product(&other, ROWS, NULL), all, ROWS * row));
            tg_context_free(other.cx);
        }
        for (int rows = 1; rows <= ROWS; rows += rows < 20 ? 1 : 27) {
            const tg_real *A = e.A + (ROWS - rows) * e.A_stride, *wanted = all + (ROWS - rows) * e.n;
            tg__matrix_product(&e.m, rows, A, e.A_stride, 0, C, e.n);
            ck_assert(!memcmp(C, wanted, (size_t)rows * row));
            memset(C, 0, (size_t)rows * row);
            const int middle = e.n / e.m.format->panel_columns() / 2 * e.m.format->panel_columns();
            const left_matrix left = tg__left(rows, e.k, A, e.A_stride, room);
            tg__matrix_product_columns(&e.m, middle, e.n, rows, left, 0, C, e.n);
            tg__matrix_product_columns(&e.m, 0, middle, rows, left, 1, C, e.n);
            ck_assert(!memcmp(C, wanted, (size_t)rows * row));
        }
        tg_context_free(e.cx);
    }
}
END_TEST

TG_TEST_MAIN("kernels/panels", product_of_a_packed_matrix_agrees_with_plain_c,
             bits_of_a_row_depend_on_nothing_else)
