/* kernels/pointwise.c -- see pointwise.h; functions with vector code are in simd/kernels.c. */
#include "kernels/pointwise.h"

#include "core/clones.h"
#include "core/context.h"
#include "core/team.h"
#include "kernels/simd/table.h"

void tg__sigmoid(size_t n, const tg_real *x, tg_real *y) { tg__simd()->sigmoid(n, x, y); }
void tg__tanh(size_t n, const tg_real *x, tg_real *y) { tg__simd()->tanh(n, x, y); }

typedef struct addition {
    const tg_real *x;
    tg_real *y;
} addition;

CLONED static void add_elements(void *argument, size_t first, size_t end)
{
    const addition *a = argument;
    const tg_real *restrict x = a->x;
    tg_real *restrict y = a->y;
    for (size_t i = first; i < end; i++) y[i] += x[i];
}

typedef struct multiplication {
    const tg_real *x, *y;
    tg_real *z;
} multiplication;

CLONED static void multiply_range(void *argument, size_t first, size_t end)
{
    const multiplication *m = argument;
    for (size_t i = first; i < end; i++) m->z[i] = m->x[i] * m->y[i];
}

void tg__multiply(tg_context *cx, size_t n, const tg_real *x, const tg_real *y, tg_real *z)
{
    enum { PIECE = 1 << 14 };
    tg__team_ranges(cx, n, PIECE, multiply_range, &(multiplication){ x, y, z });
}

void tg__add_by(tg_context *cx, int threads, size_t n, const tg_real *x, tg_real *y)
{
    enum { PIECE = 1 << 14 };
    tg__team_ranges_by(cx, threads, n, PIECE, add_elements, &(addition){ x, y });
}

void tg__add(tg_context *cx, size_t n, const tg_real *x, tg_real *y) { tg__add_by(cx, cx->threads, n, x, y); }
