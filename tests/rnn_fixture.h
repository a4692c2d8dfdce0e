/* tests/rnn_fixture.h -- a recurrent layer "rnn", with a tape. */
#ifndef RNN_FIXTURE_H
#define RNN_FIXTURE_H

#include <math.h>

#include <tidegate/tidegate.h>

#include "check_main.h"

enum { I = 6, H = 10 };

/* Where bits cannot be equal: 1e-12 in double, 1e-5 of the largest element in float. */
static void assert_near(const tg_real *a, const tg_real *b, size_t n, const char *what)
{
    double largest = 0;
    for (size_t i = 0; i < n; i++) largest = fmax(largest, fabs((double)b[i]));
    const double bound = sizeof(tg_real) == 8 ? 1e-12 : 1e-5 * largest;
    for (size_t i = 0; i < n; i++)
        ck_assert_msg(fabs((double)a[i] - (double)b[i]) <= bound, "%s: element %zu is %.9g, not %.9g", what,
                      i, (double)a[i], (double)b[i]);
}

typedef struct fixture {
    tg_context *cx;
    tg_params *ps;
    tg_tape *t;
    tg_rnn *rnn;
} fixture;

static fixture fixture_new(const tg_rnn_config *config)
{
    fixture f = { .cx = tg_context_new(&(tg_context_config){ .seed = 4, .threads = 2 }) };
    f.ps = tg_params_new(f.cx);
    f.rnn = tg_rnn_new(f.ps, "rnn", I, H, config);
    f.t = tg_tape_new(f.cx);
    return f;
}

static void fill(tg_real *x, size_t n)
{
    for (size_t i = 0; i < n; i++) x[i] = (tg_real)sin(0.7 * (double)i + 1);
}

#endif
