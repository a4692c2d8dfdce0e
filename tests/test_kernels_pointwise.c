/* Vector exp, sigmoid, tanh: their stated errors, for every instruction set this processor has. */
#include <math.h>
#include <string.h>
#include <tidegate/tidegate.h>

#include "check_main.h"
#include "kernels/simd/table.h"

/* Error in units of the last place of the exact value y, at least those of the smallest normal number. */
static double ulps(float got, double y)
{
    const double magnitude = fmax(fabs(y), 1.17549435e-38);
    return fabs((double)got - y) / ldexp(1, ilogb(magnitude) - 23);
}

static double exact_sigmoid(double x) { return 1 / (1 + exp(-x)); }

typedef void vector_function(size_t n, const tg_real *x, tg_real *y);

/* Every 257th float, both signs, NaNs and infinities left out, whose result lies in [low, high]. */
static double worst_error(vector_function *f, double (*exact)(double), double low, double high, float *where)
{
    enum { CHUNK = 4096 };
    float x[CHUNK], y[CHUNK];
    double worst = 0;
    uint32_t bits = 0;
    int n = 0;
    for (uint64_t i = 0; i < (uint64_t)1 << 32; i += 257) {
        bits = (uint32_t)i;
        memcpy(&x[n], &bits, sizeof bits);
        if (!isfinite(x[n])) continue;
        if (++n < CHUNK) continue;
        f(CHUNK, x, y);
        for (int k = 0; k < CHUNK; k++) {
            const double true_y = exact(x[k]);
            if (fabs(true_y) < low || fabs(true_y) > high) continue;
            const double e = ulps(y[k], true_y);
            if (!(e <= worst)) worst = e, *where = x[k];
        }
        n = 0;
    }
    return worst;
}

START_TEST(errors_of_exp_sigmoid_and_tanh_are_as_stated)
{
    const simd_table *table = tg__simd_variant(_i);
    if (!table) return;
    float where = 0;
#ifdef __aarch64__
    const double without_fma = 1;
#else
    const double without_fma = _i == 0 ? 2 : 1; /* the plain variant rounds products */
#endif
    double e = worst_error(table->exp, exp, 1.2e-38, 3.4028e38, &where);
    ck_assert_msg(e <= 2, "%s: exp(%.9g) is wrong by %.2f ulp", table->name, (double)where, e);
    e = worst_error(table->sigmoid, exact_sigmoid, 1.18e-38, 1, &where);
    ck_assert_msg(e <= 4, "%s: sigmoid(%.9g) is wrong by %.2f ulp", table->name, (double)where, e);
    e = worst_error(table->tanh, tanh, 1.2e-38, 1, &where);
    ck_assert_msg(e <= 4 * without_fma, "%s: tanh(%.9g) is wrong by %.2f ulp", table->name, (double)where, e);
}
END_TEST

START_TEST(special_values_are_kept)
{
    const simd_table *table = tg__simd_variant(_i);
    if (!table) return;
    const float x[] = { 0, -0.0f, INFINITY, -INFINITY, NAN, 1000, -1000, 1e38f, -1e38f, 88.7f, -87.2f };
    float y[11];
    table->exp(11, x, y);
    ck_assert(y[0] == 1 && y[1] == 1 && y[2] == INFINITY && y[3] == 0 && isnan(y[4]) && y[5] == INFINITY &&
              y[6] == 0 && y[7] == INFINITY && y[8] == 0);
    ck_assert(isfinite(y[9]) && y[10] > 0);
    table->sigmoid(11, x, y);
    ck_assert(y[0] == 0.5f && y[2] == 1 && y[3] >= 0 && y[3] < 1e-37f && isnan(y[4]) && y[5] == 1 &&
              y[6] < 1e-37f);
    table->tanh(11, x, y);
    ck_assert(y[0] == 0 && signbit(y[1]) && y[2] == 1 && y[3] == -1 && isnan(y[4]) && y[5] == 1 &&
              y[8] == -1);
}
END_TEST

START_TEST(nan_of_any_payload_stays_nan)
{
    const simd_table *table = tg__simd_variant(_i);
    if (!table) return;
    vector_function *const functions[] = { table->exp, table->sigmoid, table->tanh };
    for (int k = 0; k < 3; k++)
        for (uint32_t i = 1; i < 1u << 23; i += i < 64 ? 1 : 1021) {
            float x[16], y[16];
            for (uint32_t n = 0; n < 16; n++) {
                const uint32_t payload = n < 12 ? (i << n) & 0x7fffff : i ^ (0x400000 >> n),
                               bits = 0x7f800000 | (payload ? payload : 1) | (n % 2 ? 1u << 31 : 0);
                memcpy(&x[n], &bits, sizeof bits);
            }
            functions[k](16, x, y);
            for (int n = 0; n < 16; n++) ck_assert(isnan(y[n]));
        }
    float x[1] = { 0 }, y[1];
    const uint32_t bits = 0x7fc00123;
    memcpy(x, &bits, sizeof bits);
    table->exp_minus(1, x, 0, y);
    ck_assert(isnan(y[0]));
}
END_TEST

START_TEST(saturated_sigmoid_has_no_derivative)
{
    const simd_table *table = tg__simd_variant(_i);
    if (!table) return;
    const float x[] = { -87.337f, -88, -89, -100, -1e10f, -3e38f, -INFINITY, 88, 1e10f, INFINITY };
    float y[10];
    table->sigmoid(10, x, y);
    for (int k = 0; k < 10; k++)
        ck_assert_msg(y[k] == (x[k] < 0 ? 0 : 1), "sigmoid(%g) is %g", (double)x[k], (double)y[k]);
    /* up to there it is as exact as anywhere */
    for (float v = -87.336f; v < -80; v += 0.001f) {
        table->sigmoid(1, &v, y);
        ck_assert_double_le(ulps(y[0], exact_sigmoid((double)v)), 4);
    }
}
END_TEST

START_TEST(any_number_of_elements_is_done_and_no_more)
{
    const simd_table *table = tg__simd_variant(_i);
    if (!table) return;
    vector_function *const functions[] = { table->exp, table->sigmoid, table->tanh };
    for (int k = 0; k < 3; k++)
        for (size_t n = 0; n < 70; n++) {
            float x[80], y[80], whole[80];
            for (int i = 0; i < 80; i++) x[i] = (float)(i - 40) / 7, y[i] = 99;
            functions[k](80, x, whole);
            functions[k](n, x, y);
            for (size_t i = 0; i < 80; i++) ck_assert(y[i] == (i < n ? whole[i] : 99));
            functions[k](n, x, x); /* in place */
            ck_assert(!memcmp(x, whole, n * sizeof *x));
        }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("kernels/pointwise");
    TCase *all = tcase_create("all");
    tcase_set_timeout(all, 100);
    tcase_add_loop_test(all, errors_of_exp_sigmoid_and_tanh_are_as_stated, 0, 3);
    tcase_add_loop_test(all, special_values_are_kept, 0, 3);
    tcase_add_loop_test(all, nan_of_any_payload_stays_nan, 0, 3);
    tcase_add_loop_test(all, saturated_sigmoid_has_no_derivative, 0, 3);
    tcase_add_loop_test(all, any_number_of_elements_is_done_and_no_more, 0, 3);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
