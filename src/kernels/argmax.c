/* kernels/argmax.c -- see argmax.h; the integers are multiplied in simd/argmax.c. */
#include "kernels/argmax.h"

#include <string.h>

#include "core/team.h"
#include "kernels/simd/table.h"

enum { DEEPEST = 1 << 14 };
static const tg_real most_length = (tg_real)1e12; /* of a row, a column and a bias: no product overflows */
static const tg_real below_all = (tg_real)-1e30;

static int up_to(int n, int unit) { return (n + unit - 1) / unit * unit; }

/* ---- the matrix ---- */

typedef struct preparation {
    transposed b;
    int k, n, stride, deep; /* deep: k, filled up */
    const tg_real *B;
    tg_real *copy; /* (n,k), where the columns do not lie so already */
    int8_t *panels;
    int32_t *offset;
    tg_real *scale, *length, *error;
} preparation;

static void prepare_panel(void *argument, int piece)
{
    const preparation *p = argument;
    const argmax_table *simd = tg__simd()->argmax;
    const int first = piece * simd->width, last = first + simd->width, end = last < p->n ? last : p->n;
    int8_t *panel = p->panels + (size_t)first * (size_t)p->deep, q[DEEPEST] = { 0 };
    if (p->copy)
        simd->copy_columns(p->k, end - first, p->B + first, (size_t)p->stride,
                           p->copy + (size_t)first * (size_t)p->k);
    for (int j = first; j < end; j++) {
        const tg_real *w =
            p->copy ? p->copy + (size_t)j * (size_t)p->k : p->B + (size_t)j * (size_t)p->stride;
        const rounded_row r = simd->round_row(p->k, w, q);
        int32_t sum = 0;
        for (int i = 0; i < p->k; i++) sum += q[i];
        for (int i = 0; i < p->deep; i += 4)
            memcpy(panel + (size_t)i * (size_t)simd->width + 4 * (j - first), q + i, 4);
        p->scale[j] = r.scale, p->length[j] = r.length, p->error[j] = r.error;
        p->offset[j] = simd->zero * sum;
    }
}

static bool usable(const preparation *p, const tg_real *bias)
{
    bool all = true;
    for (int j = 0; j < p->n; j++)
        all &= p->length[j] <= most_length && (!bias || (bias[j] <= most_length && bias[j] >= -most_length));
    return all;
}

argmax_matrix tg__argmax_matrix(arena *room, transposed b, int k, int n, const tg_real *B, int B_stride,
                                const tg_real *bias, int most, const int never[])
{
    const argmax_table *simd = tg__simd()->argmax;
    if (!simd->width || k > DEEPEST) return (argmax_matrix){ 0 };
    const size_t wide = (size_t)up_to(n, simd->width);
    preparation p = { .b = b, .k = k, .n = n, .stride = B_stride, .deep = up_to(k, simd->deep), .B = B };
    if (b == NORMAL) p.copy = tg__arena_take(room, (size_t)n * (size_t)k * sizeof *p.copy);
    p.panels = tg__arena_zeroed(room, wide * (size_t)p.deep);
    p.offset = tg__arena_zeroed(room, wide * sizeof *p.offset);
    p.scale = tg__arena_zeroed(room, wide * sizeof *p.scale);
    p.length = tg__arena_zeroed(room, wide * sizeof *p.length);
    p.error = tg__arena_zeroed(room, wide * sizeof *p.error);
    tg_real *own_bias = tg__arena_take(room, wide * sizeof *own_bias);
    if (room->cx->status) return (argmax_matrix){ 0 };
    tg__team_run(room->cx, (int)(wide / (size_t)simd->width), prepare_panel, &p);
    if (!usable(&p, bias)) return (argmax_matrix){ 0 };
    for (size_t j = 0; j < wide; j++) own_bias[j] = j >= (size_t)n ? below_all : bias ? bias[j] : 0;
    for (int i = 0; i < most; i++) own_bias[never[i]] = below_all;
    return (argmax_matrix){ .k = k,
                            .n = n,
                            .columns = p.copy ? p.copy : B,
                            .stride = p.copy ? k : B_stride,
                            .panels = p.panels,
                            .offset = p.offset,
                            .scale = p.scale,
                            .length = p.length,
                            .error = p.error,
                            .bias = own_bias };
}

/* ---- rows ---- */

enum { PIECES = 16, MOST_LEFT = 256, FEW_LEFT = 48 };

typedef struct search {
    const argmax_matrix *m;
    int rows, deep, pieces, stride;
    const tg_real *A;
    uint8_t *x; /* (rows,deep): p + 64 */
    rounded_row *row;
    tg_real *upper, *lower; /* (rows,n), (pieces,rows) */
    int *left;              /* (rows): how many columns remain */
    int *column;            /* (rows,MOST_LEFT): which; more are not kept */
    int *best;
} search;

static void round_piece(void *argument, int r)
{
    const search *s = argument;
    const argmax_table *simd = tg__simd()->argmax;
    const int k = s->m->k;
    uint8_t *x = s->x + (size_t)r * (size_t)s->deep;
    rounded_row *row = &s->row[r];
    *row = simd->round_row(k, s->A + (size_t)r * (size_t)s->stride, (int8_t *)x);
    for (int i = 0; i < s->deep; i++) x[i] = i < k ? (uint8_t)(x[i] + simd->zero) : 0;
    /* |r p| is at most |x| + |f|. Besides, the rounding errors of the sums: the lengths', the intervals' and the exact
     * numbers'. */
    const tg_real unit = (tg_real)((k + 64) * 1.2e-7), slack = (tg_real)1.001, length = row->length;
    row->length = (length + row->error) * slack;
    row->error = row->error * slack + unit * length;
}

static void bounds_piece(void *argument, int piece)
{
    const search *s = argument;
    const argmax_matrix *m = s->m;
    const argmax_table *simd = tg__simd()->argmax;
    const int panels = up_to(m->n, simd->width) / simd->width;
    const int first = simd->width * (int)tg__piece_start(panels, s->pieces, piece),
              last = simd->width * (int)tg__piece_start(panels, s->pieces, piece + 1);
    const rounded_columns w = { m->panels, m->offset, m->scale, m->length, m->error, m->bias };
    simd->bounds(&w, first, last < m->n ? last : m->n, s->deep, s->rows, s->x, s->row, s->upper, (size_t)m->n,
                 s->lower + (size_t)piece * (size_t)s->rows);
}

static bool any_at_least(int n, const tg_real *x, tg_real least)
{
    int any = 0;
    for (int j = 0; j < n; j++) any |= x[j] >= least;
    return any;
}

static void gather_piece(void *argument, int r)
{
    enum { LOOK = 64 };
    const search *s = argument;
    const int n = s->m->n;
    const tg_real *upper = s->upper + (size_t)r * (size_t)n;
    tg_real lower = s->lower[r];
    for (int piece = 1; piece < s->pieces; piece++) {
        const tg_real other = s->lower[(size_t)piece * (size_t)s->rows + (size_t)r];
        if (other > lower) lower = other;
    }
    int left = 0, *column = s->column + (size_t)r * MOST_LEFT;
    for (int j = 0; j < n; j += LOOK) {
        const int end = n - j < LOOK ? n : j + LOOK;
        if (!any_at_least(end - j, upper + j, lower)) continue;
        for (int c = j; c < end; c++)
            if (upper[c] >= lower && left++ < MOST_LEFT) column[left - 1] = c;
    }
    s->left[r] = left;
}

static void decide_piece(void *argument, int r)
{
    const search *s = argument;
    const argmax_matrix *m = s->m;
    const int *column = s->column + (size_t)r * MOST_LEFT;
    const tg_real *x = s->A + (size_t)r * (size_t)s->stride;
    int best = column[0];
    tg_real most = 0;
    for (int i = 0; i < s->left[r] && s->left[r] > 1; i++) {
        const int j = column[i];
        const tg_real y = tg__simd()->argmax->chain(m->k, tg__simd()->product->depth, x,
                                                    m->columns + (size_t)j * (size_t)m->stride, m->bias[j]);
        if (!i || y > most) best = j, most = y;
    }
    s->best[r] = best;
}

/* Few enough remain, and some in each row. */
static bool worth_deciding(const search *s)
{
    int64_t all = 0;
    for (int r = 0; r < s->rows; r++) {
        if (!s->left[r] || s->left[r] > MOST_LEFT) return false;
        all += s->left[r];
    }
    return all <= (int64_t)FEW_LEFT * s->rows;
}

bool tg__argmax(tg_context *cx, const argmax_matrix *m, int rows, const tg_real *A, int A_stride,
                tg_real *upper, int best[])
{
    const argmax_table *simd = tg__simd()->argmax;
    const int panels = up_to(m->n, simd->width) / simd->width;
    const size_t n = (size_t)rows;
    search s = { .m = m,
                 .rows = rows,
                 .deep = up_to(m->k, simd->deep),
                 .pieces = panels < PIECES ? panels : PIECES,
                 .stride = A_stride,
                 .A = A,
                 .upper = upper,
                 .best = best };
    arena *room = &cx->packed;
    tg__arena_reset(room);
    s.x = tg__arena_take(room, n * (size_t)s.deep);
    s.row = tg__arena_take(room, n * sizeof *s.row);
    s.lower = tg__arena_take(room, n * (size_t)s.pieces * sizeof *s.lower);
    s.left = tg__arena_take(room, n * sizeof *s.left);
    s.column = tg__arena_take(room, n * MOST_LEFT * sizeof *s.column);
    if (cx->status) return false;
    tg__team_run(cx, rows, round_piece, &s);
    for (int r = 0; r < rows; r++)
        if (!(s.row[r].length <= most_length)) return false;
    tg__team_run(cx, s.pieces, bounds_piece, &s);
    tg__team_run(cx, rows, gather_piece, &s);
    if (!worth_deciding(&s)) return false;
    tg__team_run(cx, rows, decide_piece, &s);
    return true;
}
