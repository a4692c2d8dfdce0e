/* kernels/argmax.c -- see argmax.h; the integers are multiplied in simd/argmax.c. */
#include "kernels/argmax.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/team.h"
#include "kernels/directions.h"
#include "kernels/matmul.h"

enum { DEEPEST = 1 << 14, DIRECTIONS = 64 };
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

/* Columns to be rounded, and room for what they become. */
typedef struct rounding {
    int k, n, stride;
    const tg_real *from; /* (n,k) */
    int8_t *q, *panels;  /* as they are, and in panels; or NULL */
    int32_t *offset;
    tg_real *scale, *length, *error, *rest;
    const struct rounding *whole; /* of directions: the columns themselves */
    /* the columns are still to be copied from there, whose transpose they are */
    const tg_real *B;
    tg_real *copy;
    int B_stride;
} rounding;

static rounding take_rounding(arena *room, int k, int n)
{
    const argmax_table *simd = tg__simd()->argmax;
    const size_t wide = (size_t)up_to(n, simd->width);
    return (rounding){ .k = k,
                       .n = n,
                       .panels = tg__arena_zeroed(room, wide * (size_t)up_to(k, simd->deep)),
                       .offset = tg__arena_zeroed(room, wide * sizeof(int32_t)),
                       .scale = tg__arena_zeroed(room, wide * sizeof(tg_real)),
                       .length = tg__arena_zeroed(room, wide * sizeof(tg_real)),
                       .error = tg__arena_zeroed(room, wide * sizeof(tg_real)),
                       .rest = tg__arena_zeroed(room, wide * sizeof(tg_real)) };
}

static rounded_columns rounded(const rounding *r, const int8_t *q, const tg_real *bias)
{
    return (rounded_columns){ .k = up_to(r->k, tg__simd()->argmax->deep),
                              .q = q,
                              .offset = r->offset,
                              .scale = r->scale,
                              .length = r->length,
                              .error = r->error,
                              .rest = r->rest,
                              .bias = bias };
}

static void round_column(const rounding *to, int j)
{
    const argmax_table *simd = tg__simd()->argmax;
    const int deep = up_to(to->k, simd->deep), width = simd->width;
    int8_t q[DEEPEST];
    memset(q + to->k, 0, (size_t)(deep - to->k));
    const rounded_row r = simd->round_row(to->k, to->from + at(j, to->stride), q);
    int32_t sum = 0;
    for (int i = 0; i < to->k; i++) sum += q[i];
    for (int i = 0; i < deep; i += 4)
        memcpy(to->panels + at(j / width * width, deep) + at(i, width) + 4 * (j % width), q + i, 4);
    if (to->q) memcpy(to->q + at(j, deep), q, (size_t)deep);
    to->scale[j] = r.scale, to->length[j] = r.length, to->error[j] = r.error;
    to->offset[j] = simd->zero * sum;
    if (to->whole) to->rest[j] = rest(to->whole->k, to->k, to->whole->length[j], r.length);
}

static void round_panel(void *argument, int piece)
{
    const rounding *to = argument;
    const argmax_table *simd = tg__simd()->argmax;
    const int first = piece * simd->width, last = first + simd->width, end = last < to->n ? last : to->n;
    if (to->copy)
        simd->copy_columns(to->k, end - first, to->B + first, (size_t)to->B_stride,
                           to->copy + at(first, to->k));
    for (int j = first; j < end; j++) round_column(to, j);
}

static void round_all(tg_context *cx, rounding *r)
{
    tg__team_run(cx, tg__pieces(r->n, tg__simd()->argmax->width), round_panel, r);
}

static bool usable(const rounding *r, const tg_real *bias)
{
    bool all = true;
    for (int j = 0; j < r->n; j++)
        all &= r->length[j] <= most_length && (!bias || (bias[j] <= most_length && bias[j] >= -most_length));
    return all;
}

typedef struct long_column {
    tg_real length;
    int place;
} long_column;

static int longest_first(const void *a, const void *b)
{
    const long_column *x = a, *y = b;
    if (x->length != y->length) return x->length < y->length ? 1 : -1;
    return (x->place > y->place) - (x->place < y->place);
}

/* P', of the longest columns: how far an interval reaches depends on how much of a column lies beside the directions, and
 * that is most for the longest. */
static matrix directions_of(arena *room, const rounding *whole)
{
    enum { LONGEST = 1024 };
    const int n = whole->n, count = n < LONGEST ? n : LONGEST, k = whole->k;
    long_column *order = tg__arena_take(room, (size_t)n * sizeof *order);
    tg_real *longest = tg__arena_take(room, at(count, k) * sizeof *longest),
            *P = tg__arena_take(room, at(DIRECTIONS, k) * sizeof *P),
            *panels = tg__arena_take(room, tg__panels_room(k, DIRECTIONS) * sizeof *panels);
    if (room->cx->status) return (matrix){ 0 };
    for (int j = 0; j < n; j++) order[j] = (long_column){ whole->length[j], j };
    qsort(order, (size_t)n, sizeof *order, longest_first);
    for (int i = 0; i < count; i++)
        memcpy(longest + at(i, k), whole->from + at(order[i].place, whole->stride), (size_t)k * sizeof *P);
    tg__longest_directions(room->cx, room, count, k, longest, DIRECTIONS, P);
    const matrix directions = tg__matrix(TRANSPOSED, k, DIRECTIONS, P, k, panels);
    tg__matrices_pack(room->cx, true, 1, &directions);
    return directions;
}

static void take_directions(arena *room, const rounding *whole, argmax_matrix *m)
{
    tg_context *cx = room->cx;
    const int n = whole->n, k = whole->k;
    rounding r = take_rounding(room, DIRECTIONS, n);
    tg_real *c = tg__arena_take(room, at(n, DIRECTIONS) * sizeof *c);
    const matrix P = cx->status ? (matrix){ 0 } : directions_of(room, whole);
    if (cx->status) return;
    tg__matmul(cx, NORMAL, TRANSPOSED, n, DIRECTIONS, k, whole->from, whole->stride, P.B, P.stride, NULL, 0,
               c, DIRECTIONS);
    r.from = c, r.stride = DIRECTIONS, r.whole = whole;
    round_all(cx, &r);
    m->directions = P;
    m->few = rounded(&r, r.panels, m->narrow.bias);
}

argmax_matrix tg__argmax_matrix(arena *room, transposed b, int k, int n, const tg_real *B, int B_stride,
                                const tg_real *bias, int most, const int never[], bool many)
{
    enum { ENOUGH_DEPTH = 256, ENOUGH_COLUMNS = 512 };
    tg_context *cx = room->cx;
    const argmax_table *simd = tg__simd()->argmax;
    if (!simd->width || k > DEEPEST) return (argmax_matrix){ 0 };
    const int wide = up_to(n, simd->width);
    rounding r = take_rounding(room, k, n);
    r.q = tg__arena_take(room, at(n, up_to(k, simd->deep)));
    r.from = B, r.stride = B_stride;
    if (b == NORMAL) {
        r.copy = tg__arena_take(room, at(n, k) * sizeof *r.copy);
        r.B = B, r.B_stride = B_stride, r.from = r.copy, r.stride = k;
    }
    tg_real *own_bias = tg__arena_take(room, (size_t)wide * sizeof *own_bias);
    if (cx->status) return (argmax_matrix){ 0 };
    round_all(cx, &r);
    if (!usable(&r, bias)) return (argmax_matrix){ 0 };
    for (int j = 0; j < wide; j++) own_bias[j] = j >= n ? below_all : bias ? bias[j] : 0;
    for (int i = 0; i < most; i++) own_bias[never[i]] = below_all;
    argmax_matrix m = { .k = k,
                        .n = n,
                        .columns = r.from,
                        .stride = r.stride,
                        .panels = rounded(&r, r.panels, own_bias),
                        .narrow = rounded(&r, r.q, own_bias) };
    if (k >= ENOUGH_DEPTH && n >= ENOUGH_COLUMNS && many) take_directions(room, &r, &m);
    return cx->status ? (argmax_matrix){ 0 } : m;
}

/* ---- rows ---- */

enum { COLUMNS = 32, MANY_COLUMNS = 16 * COLUMNS, MOST_LEFT = 256, FEW_LEFT = 48 };

typedef struct search {
    const argmax_matrix *m;
    int rows, stride, at_once;
    const tg_real *A, *a; /* a (rows,d), or NULL */
    uint8_t *x, *y; /* (rows,k), filled up: p + zero, and (rows,d), those of the directions; or y is x */
    tg_real *upper; /* (rows,n) */
    int *left;      /* (rows): how many columns remain; 0: too many, or a row is not finite */
    int *narrowed;  /* (rows): for how many the narrow interval was computed */
    int *best;
    struct narrowing *it; /* (rows): too large for a thread's stack */
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

/* Searches at_once rows. */
static void search_piece(void *argument, int piece)
{
    const search *s = argument;
    const argmax_matrix *m = s->m;
    const rounded_columns *wide = s->a ? &m->few : &m->panels;
    const int first = piece * s->at_once, rows = s->rows - first < s->at_once ? s->rows - first : s->at_once,
              d = m->directions.n;
    uint8_t *x = s->x + at(first, m->narrow.k), *y = s->y + at(first, wide->k);
    rounded_row wide_row[ARGMAX_ROWS];
    narrowing *it = s->it + first;
    int highest[ARGMAX_ROWS];
    bool finite = true;
    for (int i = 0; i < rows; i++) {
        const tg_real *from = s->A + at(first + i, s->stride);
        const rounded_row whole = round_row(m->k, m->narrow.k, from, x + at(i, m->narrow.k));
        wide_row[i] = it[i].row = to_multiply(m->k, whole);
        it[i].low = -INFINITY, it[i].count = it[i].left = 0, it[i].too_many = false;
        if (s->a) {
            rounded_row few = round_row(d, wide->k, s->a + at(first + i, d), y + at(i, wide->k));
            few.rest = rest(m->k, d, whole.length, few.length);
            wide_row[i] = to_multiply(d, few);
        }
        finite &= it[i].row.length <= most_length;
        s->left[first + i] = s->narrowed[first + i] = 0;
    }
    if (!finite) return;
    tg_real *upper = s->upper + at(first, m->n);
    tg__simd()->argmax->upper_ends(wide, m->n, rows, y, wide_row, upper, (size_t)m->n, highest);
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
    int64_t left = 0;
    for (int r = 0; r < s->rows; r++) {
        if (!s->left[r]) return false;
        left += s->left[r];
    }
    return left <= (int64_t)FEW_LEFT * s->rows;
}

/* What is known of a few rows stays in the cache together with columns of few directions; whole columns do not, and better are
 * read for more rows. */
static int rows_at_once(const tg_context *cx, const search *s)
{
    enum { FEW_ROWS = 8 };
    const int share = tg__pieces(s->rows, cx->threads);
    if (s->a || share < FEW_ROWS) return FEW_ROWS;
    return share < ARGMAX_ROWS ? share : ARGMAX_ROWS;
}

/* False: there is no room. */
static bool search_rows(tg_context *cx, search *s)
{
    const argmax_matrix *m = s->m;
    arena *room = &cx->packed;
    const size_t rows = (size_t)s->rows;
    tg__arena_reset(room);
    tg_real *a = m->directions.panels ? tg__arena_take(room, at(s->rows, m->directions.n) * sizeof *a) : NULL;
    s->x = tg__arena_take(room, at(s->rows, m->narrow.k));
    s->y = a ? tg__arena_take(room, at(s->rows, m->few.k)) : s->x;
    s->left = tg__arena_take(room, 2 * rows * sizeof *s->left);
    s->it = tg__arena_take(room, rows * sizeof *s->it);
    if (cx->status) return false;
    s->narrowed = s->left + rows;
    if (a) tg__matrix_product_all(cx, &m->directions, s->rows, s->A, s->stride, NULL, a, m->directions.n);
    s->a = a;
    s->at_once = rows_at_once(cx, s);
    tg__team_run(cx, tg__pieces(s->rows, s->at_once), search_piece, s);
    return true;
}

/* Gives directions up with which the search of a row takes longer than without; in products of bytes: one of floating
 * point takes as long as 4, and so does one of a column by itself, since it is read for few rows. */
static void judge_directions(argmax_matrix *m, const search *s)
{
    double narrowed = 0;
    if (!m->directions.panels) return;
    for (int r = 0; r < s->rows; r++) narrowed += s->narrowed[r];
    const double with =
        4.0 * m->directions.n * m->k + (double)m->n * m->few.k + 4 * narrowed / s->rows * m->k;
    if (with >= (double)m->n * m->k) m->directions.panels = NULL;
}

bool tg__argmax(tg_context *cx, argmax_matrix *m, int rows, const tg_real *A, int A_stride, tg_real *upper,
                int best[])
{
    enum { ENOUGH_TO_JUDGE = 16 };
    search s = { .m = m, .rows = rows, .stride = A_stride, .A = A, .upper = upper, .best = best };
    if (m->directions.panels && !m->judged && rows > ENOUGH_TO_JUDGE) { /* with few rows, to lose little */
        s.rows = ENOUGH_TO_JUDGE;
        if (!search_rows(cx, &s)) return false;
        judge_directions(m, &s);
        s.rows = rows;
    }
    if (!search_rows(cx, &s)) return false;
    judge_directions(m, &s);
    m->judged = true;
    return was_worth_it(&s);
}
