/* params/initialize.c -- how a parameter's values start.
 *
 * Element i of a view, counted in its own shape, is made from number i of the stream that bears the view's
 * name. So neither the layout in memory nor any other parameter has a say in it.
 *
 *     glorot      U(-a, a), a = gain sqrt(6 / (fan_in + fan_out))     Glorot & Bengio 2010, eq. 16
 *                 fan_out: the last dimension, fan_in: all others; both the size if there is but one
 *     orthogonal  gain Q, where A = Q R, A of N(0,1), R with a positive diagonal; Saxe et al. 2014
 *     uniform     U(-scale, scale)
 *     normal      N(0, scale^2)
 *     constant    scale                                                                                */
#include "params/initialize.h"

#include <math.h>

#include "core/random.h"
#include "core/team.h"

static const uint64_t INITIALIZE_STEP = (uint64_t)-1; /* training counts its steps from 0 */

typedef struct filler {
    const param_view *v;
    uint64_t key;
    double scale;
    tg_real *value; /* the view's first element in the flat block */
    size_t rows, width, stride;
    double (*element)(const struct filler *f, uint64_t i);
} filler;

static double uniform_element(const filler *f, uint64_t i)
{
    return f->scale * (2 * tg__random_uniform(f->key, INITIALIZE_STEP, i) - 1);
}

static double normal_element(const filler *f, uint64_t i)
{
    return f->scale * tg__random_normal(f->key, INITIALIZE_STEP, i);
}

static double constant_element(const filler *f, uint64_t i)
{
    (void)i;
    return f->scale;
}

static void fill_rows(void *argument, size_t first, size_t end)
{
    const filler *f = argument;
    for (size_t i = first; i < end; i++)
        for (size_t j = 0; j < f->width; j++)
            f->value[i * f->stride + j] = (tg_real)f->element(f, i * f->width + j);
}

static bool fill(tg_params *ps, filler *f)
{
    tg__team_ranges(ps->cx, f->rows, 1 + 4096 / f->width, fill_rows, f);
    return true;
}

static bool fill_uniform(tg_params *ps, filler *f)
{
    f->element = uniform_element;
    return fill(ps, f);
}

static bool fill_glorot(tg_params *ps, filler *f)
{
    const double fan_out = (double)f->width, fan_in = f->v->rank < 2 ? fan_out : (double)f->rows;
    f->scale *= sqrt(6 / (fan_in + fan_out));
    return fill_uniform(ps, f);
}

static bool fill_normal(tg_params *ps, filler *f)
{
    f->element = normal_element;
    return fill(ps, f);
}

static bool fill_constant(tg_params *ps, filler *f)
{
    f->element = constant_element;
    return fill(ps, f);
}

static bool fill_zeros(tg_params *ps, filler *f)
{
    f->scale = 0;
    return fill_constant(ps, f);
}

static bool fill_ones(tg_params *ps, filler *f)
{
    f->scale = 1;
    return fill_constant(ps, f);
}

/* ---- orthogonal: modified Gram-Schmidt, in double ----
 *
 * The columns of the taller of A and its transpose are kept as contiguous rows a_k, n vectors of length L.
 * Dividing each by its own positive norm is what makes the diagonal of R positive. They go through in panels:
 * first all of a panel's vectors lose their part along the finished ones, each on its own, then the panel
 * is finished vector by vector. */

enum { PANEL = 32, LANES = 8 };

typedef struct vectors {
    const filler *f;
    double *a; /* (n,L) */
    size_t n, L;
    size_t done; /* vectors 0 ... done-1 are orthonormal */
} vectors;

static double dot(const double *x, const double *y, size_t n)
{
    double sum[LANES] = { 0 }, total = 0;
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int k = 0; k < LANES; k++) sum[k] += x[i + k] * y[i + k];
    for (; i < n; i++) sum[0] += x[i] * y[i];
    for (int k = 0; k < LANES; k++) total += sum[k];
    return total;
}

/* x loses its part along the unit vector q. */
static void project_out(double *restrict x, const double *restrict q, size_t n)
{
    const double c = dot(q, x, n);
    for (size_t i = 0; i < n; i++) x[i] -= c * q[i];
}

static void draw_vectors(void *argument, size_t first, size_t end)
{
    vectors *w = argument;
    for (size_t k = first * w->L; k < end * w->L; k++)
        w->a[k] = tg__random_normal(w->f->key, INITIALIZE_STEP, k);
}

static void panel_against_done(void *argument, size_t first, size_t end)
{
    vectors *w = argument;
    for (size_t j = 0; j < w->done; j++)
        for (size_t k = w->done + first; k < w->done + end; k++)
            project_out(w->a + k * w->L, w->a + j * w->L, w->L);
}

static void within_panel(void *argument, int piece)
{
    vectors *w = argument;
    const size_t L = w->L, end = w->done + PANEL < w->n ? w->done + PANEL : w->n;
    (void)piece;
    for (size_t k = w->done; k < end; k++) {
        double *x = w->a + k * L;
        for (size_t j = w->done; j < k; j++) project_out(x, w->a + j * L, L);
        const double norm = sqrt(dot(x, x, L));
        for (size_t i = 0; i < L; i++) x[i] /= norm;
    }
}

/* Twice: what the first pass leaves, because of rounding, the second removes. */
static void orthogonalize(tg_context *cx, vectors *w)
{
    for (; w->done < w->n; w->done += PANEL) {
        const size_t panel = w->n - w->done < PANEL ? w->n - w->done : PANEL;
        for (int pass = 0; pass < 2; pass++) {
            if (w->done) tg__team_ranges(cx, panel, 4, panel_against_done, w);
            tg__team_run(cx, 1, within_panel, w);
        }
    }
}

static bool fill_orthogonal(tg_params *ps, filler *f)
{
    const bool tall = f->rows >= f->width;
    const size_t n = tall ? f->width : f->rows, L = tall ? f->rows : f->width;
    vectors w = { f, tg__allocate(ps->cx, tg__bytes(tg__bytes(n, L), sizeof(double))), n, L, 0 };
    if (!w.a) {
        tg_context_fail(ps->cx, TG_ERR_MEMORY, "'%s': out of memory: %zu x %zu numbers to orthogonalize",
                        f->v->name, n, L);
        return false;
    }
    tg__team_ranges(ps->cx, n, 1 + 4096 / L, draw_vectors, &w);
    orthogonalize(ps->cx, &w);
    for (size_t i = 0; i < f->rows; i++)
        for (size_t j = 0; j < f->width; j++)
            f->value[i * f->stride + j] = (tg_real)(f->scale * (tall ? w.a[j * L + i] : w.a[i * L + j]));
    tg__release(ps->cx, w.a);
    return true;
}

/* ---- the kinds ---- */

typedef struct initializer {
    const char *name;
    double scale; /* if none is given */
    bool (*fill)(tg_params *ps, filler *f);
} initializer;

static const initializer kinds[] = {
    [TG_INIT_GLOROT] = { "glorot", 1, fill_glorot },
    [TG_INIT_ORTHOGONAL] = { "orthogonal", 1, fill_orthogonal },
    [TG_INIT_UNIFORM] = { "uniform", 0.1, fill_uniform },
    [TG_INIT_NORMAL] = { "normal", 0.1, fill_normal },
    [TG_INIT_ZEROS] = { "zeros", 0, fill_zeros },
    [TG_INIT_ONES] = { "ones", 0, fill_ones },
    [TG_INIT_CONSTANT] = { "constant", 0, fill_constant },
};

bool tg__initializer_holds(tg_context *cx, const char *name, tg_init init)
{
    if ((unsigned)init.kind >= sizeof kinds / sizeof *kinds)
        tg_context_fail(cx, TG_ERR_ARGUMENT, "'%s': there is no initializer number %d", name, (int)init.kind);
    else if (init.kind == TG_INIT_CONSTANT
                 ? !isfinite(init.scale)
                 : !(init.scale >= 0 && isfinite(init.scale)) && init.scale != TG_ZERO)
        tg_context_fail(cx, TG_ERR_ARGUMENT, "'%s': the scale of the initializer %s is %g, must be finite%s",
                        name, kinds[init.kind].name, (double)init.scale,
                        init.kind == TG_INIT_CONSTANT ? "" : " and not negative");
    return !cx->status;
}

bool tg__initialize(tg_params *ps, const param_view *v)
{
    const tg_real scale = v->init.scale;
    if (ps->cx->status) return false;
    const initializer *kind = &kinds[v->init.kind];
    filler f = {
        .v = v,
        .key = tg__random_key(ps->cx->config.seed, v->name),
        .scale = scale == 0         ? kind->scale
                 : scale == TG_ZERO ? 0
                                    : (double)scale,
        .value = ps->value + v->block->offset + v->column,
        .rows = tg__rows(&v->block->x),
        .width = (size_t)v->width,
        .stride = (size_t)tg__columns(&v->block->x),
    };
    return kind->fill(ps, &f);
}
