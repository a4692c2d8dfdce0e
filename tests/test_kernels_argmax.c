/* The largest number of a row by intervals of small integers, against computing them all. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <tidegate/tidegate.h>

#include "check_main.h"
#include "kernels/argmax.h"
#include "kernels/panels.h"
#include "kernels/simd/table.h"
#include "workers.h"

enum { ROWS = 15, /* tiles of every height */ MANY_ROWS = 600, NEVER = 1 };

typedef struct example {
    tg_context *cx;
    int rows, k, n;
    transposed stored;
    tg_real *B, *bias, *A, *all, *upper; /* all (rows,n): A op(B) + bias */
    matrix full;
    argmax_matrix quantized;
    arena room;
} example;

static tg_real *take(tg_context *cx, size_t n) { return tg_context_allocate(cx, n * sizeof(tg_real)); }

static tg_real *element(const example *e, int p, int j)
{
    return e->stored == NORMAL ? &e->B[(size_t)p * (size_t)(e->n + 1) + (size_t)j]
                               : &e->B[(size_t)j * (size_t)(e->k + 1) + (size_t)p];
}

static tg_real noise(const example *e, const char *stream, int i)
{
    return (tg_real)(2 * tg_random_uniform(e->cx, stream, 0, (uint64_t)i) - 1);
}

/* Along few directions columns are long, as those of a trained layer. */
static tg_real along_few_directions(const example *e, int p, int j)
{
    enum { LONG = 6 };
    tg_real sum = 0;
    for (int d = 0; d < LONG; d++)
        sum += noise(e, "direction", LONG * p + d) * noise(e, "along", LONG * j + d);
    return 2 * sum;
}

/* Column NEVER must not be chosen. Rows lean towards columns, some of which have a twin. */
static example example_of_rows(int workers, int rows, int k, int n, transposed stored, bool biased)
{
    example e = { .cx = context_of_workers(workers, 3), .rows = rows, .k = k, .n = n, .stored = stored };
    e.B = take(e.cx, (size_t)(k + 1) * (size_t)(n + 1));
    e.bias = biased ? take(e.cx, (size_t)n) : NULL;
    e.A = take(e.cx, (size_t)rows * (size_t)k);
    e.all = take(e.cx, (size_t)rows * (size_t)n);
    e.upper = take(e.cx, (size_t)rows * (size_t)n);
    for (int i = 0; i < k * n; i++)
        *element(&e, i % k, i / k) =
            (noise(&e, "B", i) / 4 + along_few_directions(&e, i % k, i / k)) * (1 + (tg_real)(i / k % 7));
    for (int j = 0; biased && j < n; j++) e.bias[j] = noise(&e, "bias", j) * (n % 2 ? 1 : 300);
    for (int r = 0; r < rows; r++)
        for (int p = 0; p < k; p++)
            e.A[r * k + p] = *element(&e, p, (31 * r + NEVER) % n) * (tg_real)0.1 + noise(&e, "A", r * k + p);
    for (int r = 1; r < rows && n > 40; r += 2) { /* a twin, and one that is larger by a rounding error */
        const int j = (31 * r + NEVER) % n, twin = (j + 13) % n, near = (j + 26) % n;
        for (int p = 0; p < k; p++) *element(&e, p, twin) = *element(&e, p, near) = *element(&e, p, j);
        *element(&e, 0, near) = nextafterf(*element(&e, 0, near), e.A[r * k] > 0 ? INFINITY : -INFINITY);
        if (biased) e.bias[twin] = e.bias[near] = e.bias[j];
    }
    return e;
}

static example example_new(int workers, int k, int n, transposed stored, bool biased)
{
    return example_of_rows(workers, ROWS, k, n, stored, biased);
}

static bool compute(example *e, int best[])
{
    const int never = NEVER, stride = e->stored == NORMAL ? e->n + 1 : e->k + 1;
    tg_real *panels = take(e->cx, tg__panels_room(e->k, e->n));
    e->full = tg__matrix(e->stored, e->k, e->n, e->B, stride, panels);
    tg__matrices_pack(e->cx, true, 1, &e->full);
    tg__matrix_product_all(e->cx, &e->full, e->rows, e->A, e->k, e->bias, e->all, e->n);
    tg__arena_init(&e->room, e->cx);
    e->quantized =
        tg__argmax_matrix(&e->room, e->stored, e->k, e->n, e->B, stride, e->bias, e->n > NEVER, &never);
    void *scratch = tg_context_allocate(e->cx, tg__argmax_scratch(&e->quantized, e->rows));
    return e->quantized.columns &&
           tg__argmax(e->cx, &e->quantized, e->rows, e->A, e->k, e->upper, scratch, best);
}

static void example_free(example *e)
{
    tg__arena_free(&e->room);
    tg_context_free(e->cx);
}

static int largest(const example *e, int r)
{
    const tg_real *x = e->all + (size_t)r * (size_t)e->n;
    int best = NEVER == 0;
    for (int j = best; j < e->n; j++)
        if (j != NEVER && x[j] > x[best]) best = j;
    return best;
}

static const int sizes[][2] = {
    { 1, 1 },    { 3, 5 },     { 8, 16 },     { 9, 17 },  { 64, 33 }, { 70, 48 },
    { 65, 500 }, { 700, 300 }, { 512, 1100 }, { 1, 400 }, { 2, 300 }, { 3, 500 }
};
enum { SIZES = sizeof sizes / sizeof *sizes };

static bool exists(void) { return tg__simd()->argmax->panel_columns; }

START_TEST(argmax_is_that_of_the_whole_product_ties_and_near_ties_included)
{
    int decided = 0;
    for (int c = 0; c < 4 * SIZES; c++) {
        example e = example_new(2, sizes[c / 4][0], sizes[c / 4][1], c & 1 ? TRANSPOSED : NORMAL, c & 2);
        int best[ROWS];
        if (compute(&e, best))
            for (int r = 0; r < ROWS; r++, decided++)
                ck_assert_msg(best[r] == largest(&e, r), "k %d, n %d, row %d: column %d, not %d", e.k, e.n, r,
                              best[r], largest(&e, r));
        ck_assert(tg_context_ok(e.cx));
        example_free(&e);
    }
    ck_assert_int_ge(decided, exists() ? ROWS * 4 * (SIZES - 2) : 0);
}
END_TEST

START_TEST(argmax_of_many_rows_is_that_of_the_whole_product)
{
    int best[MANY_ROWS];
    example e = example_of_rows(2, MANY_ROWS, 65, 500, NORMAL, true);
    ck_assert(!exists() || compute(&e, best));
    for (int r = 0; r < MANY_ROWS && exists(); r++) ck_assert_int_eq(best[r], largest(&e, r));
    example_free(&e);
}
END_TEST

/* Also of those that are far from being the largest; and no interval is absurdly wide. */
START_TEST(every_number_lies_below_the_upper_end_of_its_interval)
{
    for (int c = 0; c < 4 * SIZES && exists(); c++) {
        example e = example_new(1, sizes[c / 4][0], sizes[c / 4][1], c & 1 ? TRANSPOSED : NORMAL, c & 2);
        int best[ROWS];
        compute(&e, best);
        for (int r = 0; r < ROWS; r++)
            for (int j = 0; j < e.n; j++) {
                if (j == NEVER) continue;
                double exact = e.bias ? (double)e.bias[j] : 0, size_x = 0, size_w = 0;
                for (int p = 0; p < e.k; p++) {
                    const double x = (double)e.A[r * e.k + p], w = (double)*element(&e, p, j);
                    exact += x * w, size_x += x * x, size_w += w * w;
                }
                const double upper = (double)e.upper[r * e.n + j];
                ck_assert_msg(upper >= exact && upper <= exact + 0.2 * sqrt(size_x * size_w) + 1e-3,
                              "k %d, n %d, row %d, column %d: %.9g, and at most %.9g", e.k, e.n, r, j, exact,
                              upper);
            }
        example_free(&e);
    }
}
END_TEST

/* In one or two dimensions an interval is as wide as its error can be, so that any that is too narrow would leave out the
 * largest number. */
START_TEST(no_interval_is_too_narrow_for_rows_of_few_numbers)
{
    for (int k = 1; k <= 4 && exists(); k++)
        for (int scaled = 0; scaled < 2; scaled++) {
            int best[MANY_ROWS];
            example e = example_of_rows(1, MANY_ROWS, k, 200, TRANSPOSED, scaled);
            for (int i = 0; i < MANY_ROWS * k; i++) e.A[i] = noise(&e, "row", i);
            for (int i = 0; i < 200 * k; i++) *element(&e, i % k, i / k) = 1 + noise(&e, "column", i) / 2;
            ck_assert(compute(&e, best));
            for (int r = 0; r < MANY_ROWS; r++) ck_assert_int_eq(best[r], largest(&e, r));
            example_free(&e);
        }
}
END_TEST

/* Rows and columns whose squares, or the products of whose factors, leave the range of float, and zeros. What is left to the
 * whole product is not looked at. */
START_TEST(argmax_of_tiny_and_huge_numbers_is_that_of_the_whole_product)
{
    static const int powers[] = { -50, -44, -38, -34, -30, -26, -22, -20, -18, -15,
                                  -13, -12, -8,  0,   8,   11,  14,  20,  30 };
    enum { POWERS = sizeof powers / sizeof *powers };
    int decided = 0;
    for (int c = 0; c < POWERS * POWERS && exists(); c += 5) {
        const int a = powers[c % POWERS], b = powers[c / POWERS], k = c % 15 ? 33 : 256,
                  n = c % 15 ? 100 : 512;
        int best[ROWS];
        example e = example_new(1, k, n, TRANSPOSED, false);
        for (int i = 0; i < ROWS * k; i++) e.A[i] = (tg_real)((double)e.A[i] * pow(10, a));
        for (int i = 0; i < k * n; i++)
            *element(&e, i % k, i / k) =
                (tg_real)((double)*element(&e, i % k, i / k) * pow(10, i / k % 5 == 4 ? a : b));
        if (compute(&e, best))
            for (int r = 0; r < ROWS; r++, decided++)
                ck_assert_msg(best[r] == largest(&e, r),
                              "rows of 1e%d, columns of 1e%d, k %d: row %d is column %d, not %d", a, b, k, r,
                              best[r], largest(&e, r));
        ck_assert(tg_context_ok(e.cx));
        example_free(&e);
    }
    ck_assert_int_ge(decided, exists() ? ROWS * POWERS * POWERS / 40 : 0);
}
END_TEST

START_TEST(argmax_is_the_same_for_any_number_of_workers)
{
    const int workers[] = { 1, 2, 3, 5, 8 };
    int first[ROWS], best[ROWS];
    for (size_t w = 0; w < sizeof workers / sizeof *workers && exists(); w++) {
        example e = example_new(workers[w], 65, 500, NORMAL, true);
        ck_assert(compute(&e, w ? best : first));
        ck_assert(!w || !memcmp(best, first, sizeof best));
        example_free(&e);
    }
}
END_TEST

START_TEST(what_is_not_finite_or_undecided_is_left_to_the_whole_product)
{
    int best[ROWS];
    const tg_real wrong[] = { (tg_real)NAN, (tg_real)INFINITY, (tg_real)-INFINITY };
    for (int i = 0; i < 3; i++) {
        example e = example_new(1, 65, 500, NORMAL, true);
        e.A[65 * 3 + 64] = wrong[i];
        ck_assert(!compute(&e, best));
        example_free(&e);
        e = example_new(1, 65, 500, NORMAL, true);
        *element(&e, 64, 499) = wrong[i];
        ck_assert(!compute(&e, best) && !e.quantized.columns);
        example_free(&e);
        e = example_new(1, 65, 500, NORMAL, true);
        e.bias[0] = wrong[i];
        ck_assert(!compute(&e, best) && !e.quantized.columns);
        example_free(&e);
    }
    example e = example_new(1, 65, 500, NORMAL, false);
    memset(e.A, 0, sizeof(tg_real) * ROWS * 65); /* all columns alike */
    ck_assert(!compute(&e, best));
    example_free(&e);
}
END_TEST

TG_TEST_MAIN("kernels/argmax", argmax_is_that_of_the_whole_product_ties_and_near_ties_included,
             argmax_of_many_rows_is_that_of_the_whole_product,
             every_number_lies_below_the_upper_end_of_its_interval,
             no_interval_is_too_narrow_for_rows_of_few_numbers,
             argmax_of_tiny_and_huge_numbers_is_that_of_the_whole_product,
             argmax_is_the_same_for_any_number_of_workers,
             what_is_not_finite_or_undecided_is_left_to_the_whole_product)
