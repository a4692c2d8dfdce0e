/* kernels/argmax.c -- see argmax.h; the integers are multiplied in simd/argmax.c. */
#include "kernels/argmax.h"

#include <math.h>
#include <string.h>

#include "core/team.h"
#include "kernels/directions.h"
#include "kernels/matmul.h"

enum { DEEPEST = 1 << 14, DIRECTIONS = 64, ENOUGH_DEPTH = 256 };
static const tg_real most_length = (tg_real)1e12; /* of a row, a column and a bias: no product overflows */
static const tg_real below_all = (tg_real)-1e30;

static int up_to(int n, int unit) { return (n + unit - 1) / unit * unit; }
static size_t at(int row, int width) { return (size_t)row * (size_t)width; }

/* R(x) of a vector of k numbers, and of its d directions. The rounding errors that come with directions are added to the
 * square, so that they are in R(x) R(w), too: u = 2^-24, those of a = P x are at most sqrt(d) k u |x|, and so in
 * |a|^2, in a c, twice each; those of the sums of squares and of the exact numbers k u. */
static tg_real rest(int k, int d, tg_real length, tg_real projected)
{
    const double squared = (double)length * (double)length,
                 left = squared - (double)projected * (double)projected,
                 rounding = 6e-8 * (k + 64) * (4 * sqrt(d) + 6);
    return (tg_real)sqrt((left > 0 ? left : 0) + rounding * squared);
}

/* ---- the matrix ---- */

/* What is made of the columns: constant, once it is done. */
typedef struct rounding {
    int k; /* of a column; filled up in q */
    bool in_panels;
    int8_t *q;
    int32_t *offset;
    tg_real *scale, *length, *error, *rest;
} rounding;

typedef struct preparation {
    transposed b;
    int k, n, stride;
    const tg_real *B;
    tg_real *copy;         /* (n,k), where the columns do not lie so already */
    const tg_real *c;      /* (n,d), or NULL */
    rounding wide, narrow; /* wide.k: d, or k */
} preparation;

static rounding take_rounding(arena *room, int k, int n, bool in_panels)
{
    const argmax_table *simd = tg__simd()->argmax;
    const size_t wide = (size_t)up_to(n, simd->width);
    return (rounding){ .k = k,
                       .in_panels = in_panels,
                       .q = tg__arena_zeroed(room, wide * (size_t)up_to(k, simd->deep)),
                       .offset = tg__arena_zeroed(room, wide * sizeof(int32_t)),
                       .scale = tg__arena_zeroed(room, wide * sizeof(tg_real)),
                       .length = tg__arena_zeroed(room, wide * sizeof(tg_real)),
                       .error = tg__arena_zeroed(room, wide * sizeof(tg_real)),
                       .rest = tg__arena_zeroed(room, wide * sizeof(tg_real)) };
}

static rounded_columns rounded(rounding r, const tg_real *bias)
{
    return (rounded_columns){ .k = up_to(r.k, tg__simd()->argmax->deep),
                              .q = r.q,
                              .offset = r.offset,
                              .scale = r.scale,
                              .length = r.length,
                              .error = r.error,
                              .rest = r.rest,
                              .bias = bias };
}

static void round_column(const rounding *to, int j, const tg_real *w)
{
    const argmax_table *simd = tg__simd()->argmax;
    const int deep = up_to(to->k, simd->deep), width = simd->width;
    int8_t q[DEEPEST];
    memset(q + to->k, 0, (size_t)(deep - to->k));
    const rounded_row r = simd->round_row(to->k, w, q);
    int32_t sum = 0;
    for (int i = 0; i < to->k; i++) sum += q[i];
    if (to->in_panels)
        for (int i = 0; i < deep; i += 4)
            memcpy(to->q + at(j / width * width, deep) + at(i, width) + 4 * (j % width), q + i, 4);
    else
        memcpy(to->q + at(j, deep), q, (size_t)deep);
    to->scale[j] = r.scale, to->length[j] = r.length, to->error[j] = r.error;
    to->offset[j] = simd->zero * sum;
}

static const tg_real *column(const preparation *p, int j)
{
    return p->copy ? p->copy + at(j, p->k) : p->B + at(j, p->stride);
}

static void narrow_panel(void *argument, int piece)
{
    const preparation *p = argument;
    const argmax_table *simd = tg__simd()->argmax;
    const int first = piece * simd->width, last = first + simd->width, end = last < p->n ? last : p->n;
    if (p->copy)
        simd->copy_columns(p->k, end - first, p->B + first, (size_t)p->stride, p->copy + at(first, p->k));
    for (int j = first; j < end; j++) round_column(&p->narrow, j, column(p, j));
}

static void wide_panel(void *argument, int piece)
{
    const preparation *p = argument;
    const int width = tg__simd()->argmax->width, first = piece * width, last = first + width, d = p->wide.k;
    for (int j = first; j < (last < p->n ? last : p->n); j++) {
        round_column(&p->wide, j, p->c ? p->c + at(j, d) : column(p, j));
        if (p->c) p->wide.rest[j] = rest(p->k, d, p->narrow.length[j], p->wide.length[j]);
    }
}

static bool usable(const preparation *p, const tg_real *bias)
{
    bool all = true;
    for (int j = 0; j < p->n; j++)
        all &= p->narrow.length[j] <= most_length &&
               (!bias || (bias[j] <= most_length && bias[j] >= -most_length));
    return all;
}

/* P', and c into the preparation. */
static matrix project(arena *room, preparation *p)
{
    const int d = p->wide.k, stride = p->copy ? p->k : p->stride;
    tg_real *P = tg__arena_take(room, at(d, p->k) * sizeof *P),
            *c = tg__arena_take(room, at(p->n, d) * sizeof *c),
            *panels = tg__arena_take(room, tg__panels_room(p->k, d) * sizeof *panels);
    if (room->cx->status) return (matrix){ 0 };
    tg__longest_directions(room->cx, room, p->n, p->k, column(p, 0), stride, p->narrow.length, d, P);
    tg__matmul(room->cx, NORMAL, TRANSPOSED, p->n, d, p->k, column(p, 0), stride, P, p->k, NULL, 0, c, d);
    const matrix m = tg__matrix(TRANSPOSED, p->k, d, P, p->k, panels);
    tg__matrices_pack(room->cx, true, 1, &m);
    p->c = c;
    return m;
}

argmax_matrix tg__argmax_matrix(arena *room, transposed b, int k, int n, const tg_real *B, int B_stride,
                                const tg_real *bias, int most, const int never[])
{
    tg_context *cx = room->cx;
    const argmax_table *simd = tg__simd()->argmax;
    if (!simd->width || k > DEEPEST) return (argmax_matrix){ 0 };
    const bool projects = k >= ENOUGH_DEPTH && n >= DIRECTIONS;
    const int panels = tg__pieces(n, simd->width), wide = panels * simd->width;
    preparation p = { .b = b,
                      .k = k,
                      .n = n,
                      .stride = B_stride,
                      .B = B,
                      .copy = b == NORMAL ? tg__arena_take(room, at(n, k) * sizeof *p.copy) : NULL,
                      .wide = take_rounding(room, projects ? DIRECTIONS : k, n, true),
                      .narrow = take_rounding(room, k, n, false) };
    tg_real *own_bias = tg__arena_take(room, (size_t)wide * sizeof *own_bias);
    if (cx->status) return (argmax_matrix){ 0 };
    tg__team_run(cx, panels, narrow_panel, &p);
    if (!usable(&p, bias)) return (argmax_matrix){ 0 };
    for (int j = 0; j < wide; j++) own_bias[j] = j >= n ? below_all : bias ? bias[j] : 0;
    for (int i = 0; i < most; i++) own_bias[never[i]] = below_all;
    const matrix directions = projects ? project(room, &p) : (matrix){ 0 };
    if (cx->status) return (argmax_matrix){ 0 };
    tg__team_run(cx, panels, wide_panel, &p);
    return (argmax_matrix){ .k = k,
                            .n = n,
                            .d = p.wide.k,
                            .columns = column(&p, 0),
                            .stride = p.copy ? k : B_stride,
                            .directions = directions,
                            .wide = rounded(p.wide, own_bias),
                            .narrow = rounded(p.narrow, own_bias) };
}

/* ---- rows ---- */

enum { COLUMNS = 32, MANY_COLUMNS = 16 * COLUMNS, MOST_LEFT = 256, FEW_LEFT = 48 };

typedef struct search {
    const argmax_matrix *m;
    int rows, stride;
    const tg_real *A, *a; /* a (rows,d), or NULL */
    uint8_t *x, *y;       /* (rows,k), (rows,d), filled up: p + zero, of the numbers and of the directions */
    tg_real *upper;       /* (rows,n) */
    int *left;            /* (rows): how many columns remain; 0: too many, or a row is not finite */
    int *narrowed;        /* (rows): for how many the narrow interval was computed */
    int *best;
} search;

/* Of numbers or of directions, into x, plus zero. */
static rounded_row round_row(int k, int deep, const tg_real *from, uint8_t *x)
{
    const argmax_table *simd = tg__simd()->argmax;
    const rounded_row row = simd->round_row(k, from, (int8_t *)x);
    for (int i = 0; i < deep; i++) x[i] = i < k ? (uint8_t)(x[i] + simd->zero) : 0;
    return row;
}

/* |r p| is at most |x| + |f|. Besides, the rounding errors of the sums: the lengths', the intervals' and the exact
 * numbers'. */
static rounded_row to_multiply(int k, rounded_row row)
{
    const tg_real unit = (tg_real)((k + 64) * 1.2e-7), slack = (tg_real)1.001, length = row.length;
    row.length = (length + row.error) * slack;
    row.error = row.error * slack + unit * length;
    return row;
}

typedef struct interval {
    tg_real low, high;
} interval;

static interval narrow_interval(const argmax_matrix *m, int j, int32_t product, const rounded_row *row)
{
    const rounded_columns *w = &m->narrow;
    const tg_real middle = (tg_real)(product - w->offset[j]) * (row->scale * w->scale[j]) + w->bias[j],
                  reach = row->error * w->length[j] + row->length * w->error[j] +
                          (tg_real)2.4e-7 * (tg_real)fabs((double)w->bias[j]);
    return (interval){ middle - reach, middle + reach };
}

/* Of a row, while its intervals are made narrow. */
typedef struct narrowing {
    rounded_row row; /* to multiply */
    tg_real low;     /* the highest lower end so far */
    int count;       /* narrow intervals */
    int left;        /* columns whose narrow interval reaches as high as `low`, if not too many */
    bool too_many;
    int column[MOST_LEFT];
    tg_real upper[MOST_LEFT];
} narrowing;

static void leave_out(narrowing *it)
{
    int left = 0;
    for (int i = 0; i < it->left; i++)
        if (it->upper[i] >= it->low) it->column[left] = it->column[i], it->upper[left++] = it->upper[i];
    it->left = left;
}

static void keep(narrowing *it, int column, tg_real upper)
{
    if (it->left == MOST_LEFT) leave_out(it);
    it->too_many = it->left == MOST_LEFT;
    if (!it->too_many) it->column[it->left] = column, it->upper[it->left++] = upper;
}

/* Makes some intervals narrow. */
static void narrow_some(const search *s, int r, int n, const int column[], narrowing *it)
{
    const argmax_matrix *m = s->m;
    int32_t product[COLUMNS];
    tg__simd()->argmax->dots(m->narrow.k, s->x + at(r, m->narrow.k), m->narrow.q, n, column, product);
    for (int i = 0; i < n; i++) {
        const interval known = narrow_interval(m, column[i], product[i], &it->row);
        if (known.low > it->low) it->low = known.low;
        if (known.high >= it->low && !it->too_many) keep(it, column[i], known.high);
    }
    it->count += n;
}

/* Those of columns first ... end-1 that reach as high as the highest lower end, some columns at a time for all rows, so that
 * these stay in the first cache. */
static void narrow(const search *s, int row, int rows, int first, int end, narrowing it[])
{
    const argmax_table *simd = tg__simd()->argmax;
    for (int j = first; j < end; j += COLUMNS)
        for (int i = 0; i < rows; i++) {
            int column[COLUMNS];
            const int last = end - j < COLUMNS ? end : j + COLUMNS,
                      n = simd->columns_at_least(j, last, s->upper + at(row + i, s->m->n), it[i].low, column);
            if (n) narrow_some(s, row + i, n, column, &it[i]);
        }
}

static bool any_to_narrow(const search *s, int row, int rows, int first, int end, const narrowing it[])
{
    for (int i = 0; i < rows; i++)
        if (tg__simd()->argmax->any_at_least(end - first, s->upper + at(row + i, s->m->n) + first, it[i].low))
            return true;
    return false;
}

/* The numbers of n columns; where these are fewer than ARGMAX_CHAINS, the last is computed again. */
static void exact_numbers(const search *s, int r, int n, const int column[], tg_real y[ARGMAX_CHAINS])
{
    const argmax_matrix *m = s->m;
    const tg_real *w[ARGMAX_CHAINS];
    for (int i = 0; i < ARGMAX_CHAINS; i++) {
        const int j = column[i < n ? i : n - 1];
        w[i] = m->columns + at(j, m->stride);
        y[i] = m->narrow.bias[j];
    }
    tg__simd()->argmax->chains(m->k, tg__simd()->product->depth, s->A + at(r, s->stride), w, y);
}

/* The best of those that are left, which are in order. */
static void decide(const search *s, int r, const narrowing *it)
{
    tg_real most = -INFINITY, y[ARGMAX_CHAINS];
    s->best[r] = it->column[0];
    for (int i = 0; i < it->left && it->left > 1; i += ARGMAX_CHAINS) {
        const int n = it->left - i < ARGMAX_CHAINS ? it->left - i : ARGMAX_CHAINS;
        exact_numbers(s, r, n, it->column + i, y);
        for (int c = 0; c < n; c++)
            if (y[c] > most) s->best[r] = it->column[i + c], most = y[c];
    }
}

/* ARGMAX_ROWS rows, so that what is known of them stays in the cache. */
static void search_piece(void *argument, int piece)
{
    const search *s = argument;
    const argmax_matrix *m = s->m;
    const int first = piece * ARGMAX_ROWS,
              rows = s->rows - first < ARGMAX_ROWS ? s->rows - first : ARGMAX_ROWS, d = m->d;
    uint8_t *x = s->x + at(first, m->narrow.k), *y = s->y + at(first, m->wide.k);
    rounded_row wide_row[ARGMAX_ROWS];
    narrowing it[ARGMAX_ROWS];
    int highest[ARGMAX_ROWS];
    bool finite = true;
    for (int i = 0; i < rows; i++) {
        const tg_real *from = s->A + at(first + i, s->stride), *a = s->a ? s->a + at(first + i, d) : from;
        const rounded_row whole = round_row(m->k, m->narrow.k, from, x + at(i, m->narrow.k));
        rounded_row few = round_row(d, m->wide.k, a, y + at(i, m->wide.k));
        if (s->a) few.rest = rest(m->k, d, whole.length, few.length);
        it[i].row = to_multiply(m->k, whole), it[i].low = -INFINITY;
        it[i].count = it[i].left = 0, it[i].too_many = false;
        wide_row[i] = to_multiply(d, few);
        finite &= it[i].row.length <= most_length;
        s->left[first + i] = 0;
    }
    if (!finite) return;
    tg_real *upper = s->upper + at(first, m->n);
    tg__simd()->argmax->upper_ends(&m->wide, m->n, rows, y, wide_row, upper, (size_t)m->n, highest);
    for (int i = 0; i < rows; i++) {
        narrow_some(s, first + i, 1, &highest[i], &it[i]); /* for its lower end, to begin with */
        it[i].left = 0;
    }
    for (int j = 0; j < m->n; j += MANY_COLUMNS) {
        const int end = m->n - j < MANY_COLUMNS ? m->n : j + MANY_COLUMNS;
        if (any_to_narrow(s, first, rows, j, end, it)) narrow(s, first, rows, j, end, it);
    }
    for (int i = 0; i < rows; i++) {
        leave_out(&it[i]);
        s->narrowed[first + i] = it[i].count;
        s->left[first + i] = it[i].too_many ? 0 : it[i].left;
        if (s->left[first + i]) decide(s, first + i, &it[i]);
    }
}

/* All rows are finite, and little had to be computed. */
static bool was_worth_it(const search *s)
{
    int64_t left = 0, narrowed = 0;
    for (int r = 0; r < s->rows; r++) {
        if (!s->left[r]) return false;
        left += s->left[r];
        narrowed += s->narrowed[r];
    }
    const int64_t few = s->m->n / 4 > FEW_LEFT ? s->m->n / 4 : FEW_LEFT;
    return left <= (int64_t)FEW_LEFT * s->rows && narrowed <= few * s->rows;
}

bool tg__argmax(tg_context *cx, const argmax_matrix *m, int rows, const tg_real *A, int A_stride,
                tg_real *upper, int best[])
{
    search s = { .m = m, .rows = rows, .stride = A_stride, .A = A, .upper = upper, .best = best };
    arena *room = &cx->packed;
    tg__arena_reset(room);
    tg_real *a = m->directions.panels ? tg__arena_take(room, at(rows, m->d) * sizeof *a) : NULL;
    s.x = tg__arena_take(room, at(rows, m->narrow.k));
    s.y = tg__arena_take(room, at(rows, m->wide.k));
    s.left = tg__arena_take(room, 2 * (size_t)rows * sizeof *s.left);
    if (cx->status) return false;
    s.narrowed = s.left + rows;
    if (a) tg__matrix_product_all(cx, &m->directions, rows, A, A_stride, NULL, a, m->d);
    s.a = a;
    tg__team_run(cx, tg__pieces(rows, ARGMAX_ROWS), search_piece, &s);
    return was_worth_it(&s);
}
