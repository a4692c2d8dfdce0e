/* kernels/argmax.c -- see argmax.h; the bounds are computed in simd/argmax.c. */
#include "kernels/argmax.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>

#include "core/team.h"

enum { MOST_DEPTH = 1 << 14 };
static const tg_real most_length = (tg_real)1e12; /* of a row, a column and a bias: no product overflows */
static const tg_real excluded_bias = (tg_real)-1e30;

static int round_up(int n, int unit) { return (n + unit - 1) / unit * unit; }
static size_t row_start(int row, int width) { return (size_t)row * (size_t)width; }

/* ---- the matrix ---- */

typedef struct quantization {
    int k, n, stride;
    const tg_real *columns; /* (n,k) */
    int8_t *panels;
    int32_t *offset;
    tg_real *scale, *length, *error;
    /* B (k,n) and room for its columns, if these are still to be transposed */
    const tg_real *B;
    tg_real *transposed;
    int B_stride;
} quantization;

static void quantize_column(const quantization *to, int j)
{
    const argmax_table *simd = tg__simd()->argmax;
    const int k = round_up(to->k, simd->k_unit), width = simd->panel_columns;
    int8_t q[MOST_DEPTH], *panel = to->panels + row_start(j / width * width, k) + 4 * (j % width);
    int32_t sum = 0;
    memset(q + to->k, 0, (size_t)(k - to->k));
    const quantized_row r = simd->quantize(to->k, to->columns + row_start(j, to->stride), q);
    for (int i = 0; i < to->k; i++) sum += q[i];
    for (int i = 0; i < k; i += 4) memcpy(panel + row_start(i, width), q + i, 4);
    to->scale[j] = r.scale, to->length[j] = r.length, to->error[j] = r.error;
    to->offset[j] = simd->zero_point * sum;
}

static void quantize_panel(void *argument, int panel)
{
    const quantization *to = argument;
    const argmax_table *simd = tg__simd()->argmax;
    const int first = panel * simd->panel_columns, last = first + simd->panel_columns,
              end = last < to->n ? last : to->n;
    if (to->transposed)
        simd->transpose_columns(to->k, end - first, to->B + first, (size_t)to->B_stride,
                                to->transposed + row_start(first, to->k));
    for (int j = first; j < end; j++) quantize_column(to, j);
}

static bool all_in_range(const quantization *q, const tg_real *bias)
{
    bool all = true;
    for (int j = 0; j < q->n; j++)
        all &= q->length[j] <= most_length && (!bias || (bias[j] <= most_length && bias[j] >= -most_length));
    return all;
}

argmax_matrix tg__argmax_matrix(arena *room, transposed b, int k, int n, const tg_real *B, int B_stride,
                                const tg_real *bias, int excluded_count, const int excluded[])
{
    tg_context *cx = room->cx;
    const argmax_table *simd = tg__simd()->argmax;
    if (!simd->panel_columns || k > MOST_DEPTH) return (argmax_matrix){ 0 };
    const int padded_n = round_up(n, simd->panel_columns), padded_k = round_up(k, simd->k_unit);
    const size_t row = (size_t)padded_n * sizeof(tg_real);
    quantization q = { .k = k,
                       .n = n,
                       .columns = B,
                       .stride = B_stride,
                       .panels = tg__arena_zeroed(room, row_start(padded_n, padded_k)),
                       .offset = tg__arena_zeroed(room, (size_t)padded_n * sizeof(int32_t)),
                       .scale = tg__arena_zeroed(room, row),
                       .length = tg__arena_zeroed(room, row),
                       .error = tg__arena_zeroed(room, row) };
    tg_real *padded_bias = tg__arena_take(room, row);
    if (b == NORMAL) {
        q.B = B, q.B_stride = B_stride;
        q.columns = q.transposed = tg__arena_take(room, row_start(n, k) * sizeof *q.transposed);
        q.stride = k;
    }
    if (cx->status) return (argmax_matrix){ 0 };
    tg__team_run(cx, padded_n / simd->panel_columns, quantize_panel, &q);
    if (!all_in_range(&q, bias)) return (argmax_matrix){ 0 };
    for (int j = 0; j < padded_n; j++) padded_bias[j] = j >= n ? excluded_bias : bias ? bias[j] : 0;
    for (int i = 0; i < excluded_count; i++) padded_bias[excluded[i]] = excluded_bias;
    return (argmax_matrix){ .k = k,
                            .n = n,
                            .columns = q.columns,
                            .stride = q.stride,
                            .quantized = { .k = padded_k,
                                           .panels = q.panels,
                                           .offset = q.offset,
                                           .scale = q.scale,
                                           .length = q.length,
                                           .error = q.error,
                                           .bias = padded_bias } };
}

/* ---- rows ---- */

enum { MOST_CANDIDATES = 256, MOST_CANDIDATES_ON_AVERAGE = 48 };

typedef struct argmax_search {
    const argmax_matrix *m;
    int rows, stride, block; /* rows of a piece of work */
    const tg_real *A;
    uint8_t *x;     /* (rows, quantized.k): the rows' integers plus the zero point */
    tg_real *upper; /* (rows,n) */
    int *best;
    atomic_bool undecided; /* a row has too many candidates, or is not finite */
    atomic_llong candidates;
} argmax_search;

/* A row to multiply with: with upper bounds of |r p| and |f|, which include all rounding errors, those of
 * sums of squares, of the bounds and of the exact numbers. */
static quantized_row quantize_row(const argmax_matrix *m, const tg_real *from, uint8_t *x)
{
    const argmax_table *simd = tg__simd()->argmax;
    const tg_real unit = (tg_real)((m->k + 64) * 1.2e-7), slack = (tg_real)1.001;
    quantized_row row = simd->quantize(m->k, from, (int8_t *)x);
    const tg_real length = row.length;
    for (int i = 0; i < m->quantized.k; i++) x[i] = i < m->k ? (uint8_t)(x[i] + simd->zero_point) : 0;
    row.length = (length + row.error) * slack;
    row.error = row.error * slack + unit * length;
    return row;
}

/* The numbers of `count` columns; if these are fewer than ARGMAX_CHAINS, the last one is repeated. */
static void exact_numbers(const argmax_matrix *m, const tg_real *x, int count, const int column[],
                          tg_real y[ARGMAX_CHAINS])
{
    const tg_real *w[ARGMAX_CHAINS];
    for (int i = 0; i < ARGMAX_CHAINS; i++) {
        const int j = column[i < count ? i : count - 1];
        w[i] = m->columns + row_start(j, m->stride);
        y[i] = m->quantized.bias[j];
    }
    tg__simd()->argmax->dot_products(m->k, tg__simd()->product->depth, x, w, y);
}

/* The first of the largest among the candidates, which are in order. */
static int best_candidate(const argmax_matrix *m, const tg_real *x, int count, const int candidate[])
{
    tg_real most = -INFINITY, y[ARGMAX_CHAINS];
    int best = candidate[0];
    for (int i = 0; i < count && count > 1; i += ARGMAX_CHAINS) {
        const int n = count - i < ARGMAX_CHAINS ? count - i : ARGMAX_CHAINS;
        exact_numbers(m, x, n, candidate + i, y);
        for (int c = 0; c < n; c++)
            if (y[c] > most) best = candidate[i + c], most = y[c];
    }
    return best;
}

static void search_block(void *argument, int piece)
{
    argmax_search *s = argument;
    const argmax_matrix *m = s->m;
    const int first = piece * s->block, rows = s->rows - first < s->block ? s->rows - first : s->block;
    const tg_real *A = s->A + row_start(first, s->stride);
    uint8_t *x = s->x + row_start(first, m->quantized.k);
    tg_real *upper = s->upper + row_start(first, m->n), lower[ARGMAX_ROWS];
    quantized_row row[ARGMAX_ROWS];
    bool finite = true;
    for (int i = 0; i < rows; i++) {
        row[i] = quantize_row(m, A + row_start(i, s->stride), x + row_start(i, m->quantized.k));
        finite &= row[i].length <= most_length;
    }
    if (!finite) atomic_store(&s->undecided, true);
    if (atomic_load(&s->undecided)) return;
    tg__simd()->argmax->bounds(&m->quantized, m->n, rows, x, row, upper, (size_t)m->n, lower);
    for (int i = 0; i < rows; i++) {
        int candidate[MOST_CANDIDATES + 1];
        const int count = tg__simd()->argmax->columns_at_least(m->n, upper + row_start(i, m->n), lower[i],
                                                               MOST_CANDIDATES, candidate);
        if (count > MOST_CANDIDATES) {
            atomic_store(&s->undecided, true);
            return;
        }
        s->best[first + i] = best_candidate(m, A + row_start(i, s->stride), count, candidate);
        atomic_fetch_add(&s->candidates, count);
    }
}

size_t tg__argmax_scratch(const argmax_matrix *m, int rows) { return row_start(rows, m->quantized.k); }

bool tg__argmax(tg_context *cx, const argmax_matrix *m, int rows, const tg_real *A, int A_stride,
                tg_real *upper, void *scratch, int best[])
{
    enum { FEWEST_ROWS = 8 };
    const int share = tg__pieces(rows, cx->threads);
    argmax_search s = { .m = m,
                        .rows = rows,
                        .stride = A_stride,
                        .block = share < FEWEST_ROWS   ? FEWEST_ROWS
                                 : share < ARGMAX_ROWS ? share
                                                       : ARGMAX_ROWS,
                        .A = A,
                        .x = scratch,
                        .upper = upper,
                        .best = best };
    tg__team_run(cx, tg__pieces(rows, s.block), search_block, &s);
    return !atomic_load(&s.undecided) &&
           atomic_load(&s.candidates) <= (int64_t)MOST_CANDIDATES_ON_AVERAGE * rows;
}
