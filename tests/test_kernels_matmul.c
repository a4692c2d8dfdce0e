/* Matrix products: of packed matrices in every instruction set, and by the team, against plain C. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <tidegate/tidegate.h>
#include <unistd.h>

#include "check_main.h"
#include "kernels/blas.h"
#include "kernels/matmul.h"
#include "kernels/simd/table.h"
#include "workers.h"

/* A row of a batch also gives the same bits as the row alone, whatever the tile it falls into. */
START_TEST(product_with_panels_agrees_with_plain_c_on_odd_sizes)
{
    enum { M = 27, K = 70, N = 150, MOST_COLUMNS = 32 };
    static tg_real A[M * (K + 3)], B[K * N], C[M * (N + 2)], before[M * (N + 2)], alone[N];
    static _Alignas(64) tg_real packed[K * (N + MOST_COLUMNS)];
    const simd_table *variant = tg__simd_variant(_i);
    if (!variant) return;
    const product_table *s = variant->product;
    const int sizes[][3] = { { 1, 1, 1 },    { 2, 3, 5 },    { 5, 16, 8 },  { 12, 33, 17 },
                             { 13, 64, 70 }, { 27, 75, 69 }, { 24, 32, 2 }, { 2, 150, 40 } };
    for (size_t c = 0; c < 2 * sizeof sizes / sizeof *sizes; c++) {
        const int m = sizes[c / 2][0], n = sizes[c / 2][1], k = sizes[c / 2][2], keep = (int)(c % 2),
                  width = s->panel_columns;
        ck_assert_int_le(width, MOST_COLUMNS);
        for (int i = 0; i < M * (K + 3); i++) A[i] = (tg_real)sin(i + 1.0);
        for (int i = 0; i < k * n; i++) B[i] = (tg_real)cos(2.0 * i);
        for (int i = 0; i < M * (N + 2); i++) C[i] = before[i] = (tg_real)sin(3.0 * i);
        for (int j = 0; j < (n + width - 1) / width * width; j++)
            for (int p = 0; p < k; p++)
                packed[(j / width * k + p) * width + j % width] = j < n ? B[p * n + j] : 0;
        s->panel_product(m, n, k, A, k + 3, packed, keep, C, n + 2);
        for (int i = 0; i < m; i++) {
            for (int j = 0; j < n; j++) {
                double wanted = keep ? before[i * (n + 2) + j] : 0;
                for (int p = 0; p < k; p++) wanted += (double)A[i * (k + 3) + p] * B[p * n + j];
                ck_assert_msg(fabs(C[i * (n + 2) + j] - wanted) <= 1e-5,
                              "%s, %dx%dx%d: C[%d][%d] is %.9g, not %.9g", variant->name, m, n, k, i, j,
                              (double)C[i * (n + 2) + j], wanted);
            }
            ck_assert(C[i * (n + 2) + n] == before[i * (n + 2) + n]); /* nothing beyond the row */
            memcpy(alone, before + i * (n + 2), sizeof(tg_real) * (size_t)n);
            s->panel_product(1, n, k, A + i * (k + 3), k + 3, packed, keep, alone, n);
            ck_assert(!memcmp(alone, C + i * (n + 2), sizeof(tg_real) * (size_t)n));
            memcpy(alone, before + i * (n + 2), sizeof(tg_real) * (size_t)n); /* nor on packing */
            s->row_product(n, k, A + i * (k + 3), B, n, keep, alone);
            ck_assert(!memcmp(alone, C + i * (n + 2), sizeof(tg_real) * (size_t)n));
        }
    }
}
END_TEST

/* Element (i,j) of a matrix that is stored as it is, or transposed. */
static tg_real at(transposed stored, const tg_real *A, int stride, int i, int j)
{
    return stored == NORMAL ? A[(size_t)i * (size_t)stride + (size_t)j]
                            : A[(size_t)j * (size_t)stride + (size_t)i];
}

static tg_real *wave(size_t n, double step)
{
    tg_real *x = malloc(n * sizeof *x);
    ck_assert(x);
    for (size_t i = 0; i < n; i++) x[i] = (tg_real)sin(step * (double)i + 1);
    return x;
}

/* Every pair of orders, A in strips and, where it is not transposed, as it stands, with the same bits. So has a row alone,
 * B packed or not, and one panel of the result. k goes beyond the depth of a chain. */
START_TEST(product_with_strips_and_panels_agrees_with_plain_c_on_odd_sizes)
{
    const simd_table *variant = tg__simd_variant(_i);
    if (!variant) return;
    const product_table *s = variant->product;
    const int sizes[][3] = { { 1, 1, 1 },      { 5, 15, 7 },    { 6, 16, 8 },  { 31, 70, 33 },
                             { 14, 35, 1000 }, { 43, 530, 20 }, { 9, 40, 520 } };
    for (size_t c = 0; c < 8 * sizeof sizes / sizeof *sizes; c++) {
        const int m = sizes[c / 8][0], n = sizes[c / 8][1], k = sizes[c / 8][2], keep = c & 1;
        const transposed a = c & 2 ? TRANSPOSED : NORMAL, b = c & 4 ? TRANSPOSED : NORMAL;
        const int A_stride = (a == NORMAL ? k : m) + 3, B_stride = (b == NORMAL ? n : k) + 1,
                  C_stride = n + 2;
        const int strips = tg__pieces(m, s->strip_rows), panels = tg__pieces(n, s->panel_columns);
        const size_t size = (size_t)m * (size_t)C_stride;
        tg_real *A = wave((size_t)(m + k) * (size_t)A_stride, 1),
                *B = wave((size_t)(n + k) * (size_t)B_stride, 2), *C = wave(size, 3), *before = wave(size, 3),
                *other = wave(size, 3);
        const size_t strip = (size_t)s->strip_lanes * (size_t)k, panel = (size_t)s->panel_columns * (size_t)k;
        tg_real *packed_A = malloc((size_t)strips * strip * sizeof *A),
                *packed_B = malloc((size_t)panels * panel * sizeof *B);
        ck_assert(packed_A && packed_B);
        s->pack_strips(a == TRANSPOSED, m, k, A, A_stride, strip, packed_A);
        s->pack_panels(b == TRANSPOSED, k, n, B, B_stride, packed_B);
        s->panel_product(m, n, k, packed_A, 0, packed_B, keep, C, C_stride);
        for (int i = 0; i < m; i++)
            for (int j = 0; j < C_stride; j++) {
                double wanted = keep || j >= n ? (double)before[i * C_stride + j] : 0;
                for (int p = 0; p < k && j < n; p++)
                    wanted += (double)at(a, A, A_stride, i, p) * (double)at(b, B, B_stride, p, j);
                ck_assert_msg(fabs((double)C[i * C_stride + j] - wanted) <= 1e-5 * (1 + sqrt(k)),
                              "%s, %dx%dx%d: C[%d][%d] is %.9g, not %.9g", variant->name, m, n, k, i, j,
                              (double)C[i * C_stride + j], wanted);
            }
        if (a == NORMAL) {
            s->panel_product(m, n, k, A, A_stride, packed_B, keep, other, C_stride);
            ck_assert(!memcmp(other, C, size * sizeof *C));
            tg_real *row = other + (m - 1) * C_stride, *wanted = C + (m - 1) * C_stride;
            const tg_real *left = A + (m - 1) * A_stride, *start = before + (m - 1) * C_stride;
            memcpy(row, start, (size_t)n * sizeof *row);
            s->panel_product(1, n, k, left, A_stride, packed_B, keep, row, C_stride);
            ck_assert(!memcmp(row, wanted, (size_t)n * sizeof *row));
            memcpy(row, start, (size_t)n * sizeof *row);
            if (b == NORMAL) {
                s->row_product(n, k, left, B, B_stride, keep, row);
                ck_assert(!memcmp(row, wanted, (size_t)n * sizeof *row));
            }
        }
        const int last = (panels - 1) * s->panel_columns;
        s->panel_product(m, n - last, k, packed_A, 0, packed_B + (size_t)(panels - 1) * panel, keep,
                         before + last, C_stride);
        for (int i = 0; i < m; i++)
            for (int j = last; j < n; j++) ck_assert(before[i * C_stride + j] == C[i * C_stride + j]);
        free(A), free(B), free(C), free(before), free(other), free(packed_A), free(packed_B);
    }
}
END_TEST

typedef struct matrices {
    tg_real *A, *B, *bias, *C;
    int A_stride, B_stride, C_stride;
} matrices;

/* Sizes below and above those of a block, in each direction. */
static const int team_sizes[][3] = { { 1, 5, 3 },       { 1, 700, 300 },  { 3, 300, 70 },   { 64, 48, 500 },
                                     { 25, 40, 3100 },  { 2100, 33, 40 }, { 13, 4100, 50 }, { 97, 530, 65 },
                                     { 130, 70, 1600 }, { 700, 40, 900 } };
enum { TEAM_SIZES = sizeof team_sizes / sizeof *team_sizes, WAYS = 12 };

/* way: the order of A, that of B, and whether C starts from 0, from itself or from a bias. */
static void run_by(tg_context *cx, int threads, int size, int way, const matrices *x)
{
    const int m = team_sizes[size][0], n = team_sizes[size][1], k = team_sizes[size][2];
    tg__matmul_by(cx, threads, way & 1 ? TRANSPOSED : NORMAL, way & 2 ? TRANSPOSED : NORMAL, m, n, k, x->A,
                  x->A_stride, x->B, x->B_stride, way / 4 == 2 ? x->bias : NULL, way / 4 == 1, x->C,
                  x->C_stride);
}

static void run(tg_context *cx, int size, int way, const matrices *x)
{
    run_by(cx, tg_context_threads(cx), size, way, x);
}

static matrices fresh(int size, int way)
{
    const int m = team_sizes[size][0], n = team_sizes[size][1], k = team_sizes[size][2];
    matrices x = { .A_stride = (way & 1 ? m : k) + 1, .B_stride = (way & 2 ? k : n) + 2, .C_stride = n + 3 };
    x.A = wave((size_t)(way & 1 ? k : m) * (size_t)x.A_stride, 1);
    x.B = wave((size_t)(way & 2 ? n : k) * (size_t)x.B_stride, 0.7);
    x.bias = wave((size_t)n, 4);
    x.C = wave((size_t)m * (size_t)x.C_stride, 3);
    return x;
}

static void drop(matrices *x) { free(x->A), free(x->B), free(x->bias), free(x->C); }

START_TEST(matmul_agrees_with_plain_c_in_every_order_and_beyond_the_blocks)
{
    tg_context *cx = tg_context_new(NULL);
    for (int c = 0; c < TEAM_SIZES * WAYS; c++) {
        const int size = c / WAYS, way = c % WAYS, m = team_sizes[size][0], n = team_sizes[size][1],
                  k = team_sizes[size][2];
        matrices x = fresh(size, way), y = fresh(size, way);
        run(cx, size, way, &x);
        ck_assert(tg_context_ok(cx));
        for (int i = 0; i < m; i++)
            for (int j = 0; j < x.C_stride; j++) {
                const double before = (double)y.C[(size_t)i * (size_t)y.C_stride + (size_t)j];
                double wanted = j >= n || way / 4 == 1 ? before : way / 4 == 2 ? (double)x.bias[j] : 0;
                for (int p = 0; p < k && j < n; p++)
                    wanted += (double)at(way & 1 ? TRANSPOSED : NORMAL, x.A, x.A_stride, i, p) *
                              (double)at(way & 2 ? TRANSPOSED : NORMAL, x.B, x.B_stride, p, j);
                const double is = (double)x.C[(size_t)i * (size_t)x.C_stride + (size_t)j];
                ck_assert_msg(fabs(is - wanted) <= 1e-5 * (1 + sqrt(k)),
                              "%dx%dx%d, way %d: C[%d][%d] is %.9g, not %.9g", m, n, k, way, i, j, is,
                              wanted);
            }
        drop(&x), drop(&y);
    }
    tg_context_free(cx);
}
END_TEST

START_TEST(matmul_gives_the_same_bits_for_any_number_of_workers)
{
    const int workers[] = { 1, 2, 3, 5, 8 };
    for (int size = 0; size < TEAM_SIZES; size++) {
        const size_t bytes =
            (size_t)team_sizes[size][0] * (size_t)(team_sizes[size][1] + 3) * sizeof(tg_real);
        matrices first = fresh(size, size % WAYS);
        for (size_t w = 0; w < sizeof workers / sizeof *workers; w++) {
            matrices x = fresh(size, size % WAYS);
            tg_context *cx = context_of_workers(workers[w], 1);
            run(cx, size, size % WAYS, w ? &x : &first);
            ck_assert(!w || !memcmp(x.C, first.C, bytes));
            matrices fewer = fresh(size, size % WAYS);
            run_by(cx, workers[w] / 2, size, size % WAYS, &fewer);
            ck_assert(!memcmp(fewer.C, first.C, bytes));
            tg_context_free(cx);
            drop(&x), drop(&fewer);
        }
        drop(&first);
    }
}
END_TEST

/* The address sanitizer reserves more address space than any limit here. */
#ifndef __SANITIZE_ADDRESS__

static size_t address_space_in_use(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fscanf(file, "%lu", &pages), 1);
    fclose(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static void limit_address_space(size_t more)
{
    struct rlimit limit;
    ck_assert_int_eq(getrlimit(RLIMIT_AS, &limit), 0);
    limit.rlim_cur = address_space_in_use() + more;
    ck_assert_int_eq(setrlimit(RLIMIT_AS, &limit), 0);
}

/* OpenBLAS itself would try for ever. */
START_TEST(too_little_address_space_is_an_error_and_later_room_is_used)
{
    enum { SIDE = 300, MIB = 1 << 20 };
    static tg_real A[SIDE * SIDE], C[SIDE * SIDE];
    tg_context *cx = context_of_workers(2, 1);
    alarm(30);
    limit_address_space((size_t)200 * MIB); /* room for one */
    ck_assert(!tg__blas_ready(cx));
    ck_assert_int_eq(tg_context_status(cx), TG_ERR_MEMORY);
    ck_assert_ptr_nonnull(strstr(tg_context_message(cx), "OpenBLAS needs 260 MiB of address space"));
    tg_context_clear(cx);
    limit_address_space((size_t)400 * MIB);
    ck_assert_msg(tg__blas_ready(cx), "%s", tg_context_message(cx));
    limit_address_space((size_t)32 * MIB); /* the buffers are there already */
    A[0] = 2;
    tg__matmul_piece(NORMAL, NORMAL, SIDE, SIDE, SIDE, A, SIDE, A, SIDE, 0, C, SIDE);
    ck_assert(C[0] == 4);
    tg_context_free(cx);
}
END_TEST

#endif

int main(void)
{
    Suite *suite = suite_create("kernels/matmul");
    TCase *all = tcase_create("all");
    tcase_set_timeout(all, 60);
    tcase_add_loop_test(all, product_with_panels_agrees_with_plain_c_on_odd_sizes, 0, 3);
    tcase_add_loop_test(all, product_with_strips_and_panels_agrees_with_plain_c_on_odd_sizes, 0, 3);
    tcase_add_test(all, matmul_agrees_with_plain_c_in_every_order_and_beyond_the_blocks);
    tcase_add_test(all, matmul_gives_the_same_bits_for_any_number_of_workers);
#ifndef __SANITIZE_ADDRESS__
    tcase_add_test(all, too_little_address_space_is_an_error_and_later_room_is_used);
#endif
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
