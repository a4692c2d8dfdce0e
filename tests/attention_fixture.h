/* tests/attention_fixture.h -- what the tests of both layers with attention share. */
#ifndef ATTENTION_FIXTURE_H
#define ATTENTION_FIXTURE_H

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include <tidegate/tidegate.h>

#include "check_main.h"

/* Where bits cannot be equal: 1e-12 in double, 1e-5 of the largest element in float. */
static inline void assert_near(const tg_real *a, const tg_real *b, size_t n, const char *what)
{
    double largest = 0;
    for (size_t i = 0; i < n; i++) largest = fmax(largest, fabs((double)b[i]));
    const double bound = sizeof(tg_real) == 8 ? 1e-12 : 1e-5 * largest;
    for (size_t i = 0; i < n; i++)
        if (!(fabs((double)a[i] - (double)b[i]) <= bound))
            ck_abort_msg("%s: element %zu is %.9g, not %.9g", what, i, (double)a[i], (double)b[i]);
}

/* In (-1, 1), another for each name. */
static inline void fill(const tg_context *cx, const char *name, tg_real *x, size_t n)
{
    for (size_t i = 0; i < n; i++) x[i] = (tg_real)(2 * tg_random_uniform(cx, name, 0, i) - 1);
}

/* Every parameter moved off where it starts, w and the biases off zero. */
static inline void shake(tg_params *ps, const tg_context *cx)
{
    for (int i = 0; i < tg_params_count(ps); i++) {
        tg_parameter_info info;
        tg_params_info(ps, i, &info);
        tg_real *x = malloc(info.size * sizeof *x);
        ck_assert_int_eq(tg_params_get(ps, info.name, x, info.size), TG_OK);
        for (size_t k = 0; k < info.size; k++)
            x[k] += (tg_real)(tg_random_uniform(cx, info.name, 1, k) - 0.5);
        ck_assert_int_eq(tg_params_set(ps, info.name, x, info.size), TG_OK);
        free(x);
    }
}

/* All gradients of the set, one after the other, in memory of their own; their number to *n. */
static inline tg_real *gradients_of(tg_params *ps, size_t *n)
{
    tg_real *all = malloc((tg_params_size(ps) + 1) * sizeof *all);
    *n = 0;
    for (int p = 0; p < tg_params_count(ps); p++) {
        tg_parameter_info info;
        tg_params_info(ps, p, &info);
        ck_assert_int_eq(tg_params_get_gradient(ps, info.name, all + *n, info.size), TG_OK);
        *n += info.size;
    }
    return all;
}

/* The set has exactly these parameters; dim[1] is 0 where there is one dimension. */
typedef struct expected_parameter {
    const char *name;
    int dim[2];
} expected_parameter;

static inline void assert_parameters(const tg_params *ps, const expected_parameter *expected, int n)
{
    ck_assert_int_eq(tg_params_count(ps), n);
    for (int i = 0; i < n; i++) {
        tg_parameter_info info;
        bool found = false;
        for (int p = 0; p < n && !found; p++) {
            tg_params_info(ps, p, &info);
            found = !strcmp(info.name, expected[i].name);
        }
        ck_assert_msg(found, "there is no parameter '%s'", expected[i].name);
        ck_assert_int_eq(info.rank, expected[i].dim[1] ? 2 : 1);
        for (int d = 0; d < info.rank; d++) ck_assert_int_eq(info.dim[d], expected[i].dim[d]);
    }
}

/* The context remembers this failure, with a sentence that says this; and then it is well again. */
static inline void assert_fails(tg_context *cx, tg_status status, const char *part)
{
    ck_assert_msg(tg_context_status(cx) == status, "%d, not %d: %s", tg_context_status(cx), status,
                  tg_context_message(cx));
    ck_assert_msg(strstr(tg_context_message(cx), part) != NULL, "'%s' does not say '%s'",
                  tg_context_message(cx), part);
    tg_context_clear(cx);
}

#endif
