/* kernels/gru_gradients.c -- see gru_gradients.h.
 *
 * A weight gradient is a sum over all tokens. Where these are many, each part of a batch (kernels/sequence.h) makes a sum of
 * its own, so that nobody reads the other's tokens; then the two are added. A part's tokens are taken some at a time, as
 * many as are best packed at once, and of these the columns of the gates, a block at a time, packed once for W_x and W_h. */
#include "kernels/gru_gradients.h"

#include <string.h>

#include "core/context.h"
#include "core/team.h"
#include "kernels/matmul.h"
#include "kernels/pointwise.h"

static size_t at(int row, int width) { return (size_t)row * (size_t)width; }

void tg__gru_recurrent_gradients(tg_context *cx, int N, int H, bool reset_after, const tg_real *h_before,
                                 gru_saved saved, gru_gradients d)
{
    const tg_real *dgates = saved.gates, *dg = dgates + 2 * H; /* dz dr dg side by side */
    tg__matmul(cx, TRANSPOSED, NORMAL, H, 2 * H, N, h_before, H, dgates, 3 * H, NULL, 1, d.W_h,
               3 * H); /* dW_hz, dW_hr */
    if (reset_after)
        tg__matmul(cx, TRANSPOSED, NORMAL, H, H, N, h_before, H, saved.q, H, NULL, 1, d.W_h + 2 * H,
                   3 * H); /* dW_hg += h' dq */
    else
        tg__matmul(cx, TRANSPOSED, NORMAL, H, H, N, saved.rh, H, dg, 3 * H, NULL, 1, d.W_h + 2 * H,
                   3 * H); /* dW_hg += (r*h)' dg */
}

void tg__gru_bias_gradients(tg_context *cx, int N, int H, bool reset_after, gru_saved saved, gru_gradients d)
{
    tg__add_rows(cx, N, 3 * H, saved.gates, 3 * H, d.b);
    if (!reset_after) return;
    tg__add_rows(cx, N, 2 * H, saved.gates, 3 * H, d.b_h);
    tg__add_rows(cx, N, H, saved.q, H, d.b_h + 2 * H);
}

/* ---- by parts ---- */

/* Elements that end with a line of the cache. */
static size_t lines(size_t n) { return (n + 15) / 16 * 16; }

typedef struct gradients {
    gru_shape s;
    const tg_real *x, *h0, *y;
    gru_saved saved;
    int sums;
    gru_gradients sum[SEQUENCE_PARTS]; /* the first added to; the second, of part 1, set */
    int shares, depth;                 /* of a sum's columns; tokens at a time, at most */
    tg_real *room;
    size_t each; /* elements of a worker */
} gradients;

/* The transpose of some tokens' rows (depth,m) as it is multiplied with many columns: packed in strips, or where OpenBLAS
 * multiplies as it stands. */
typedef struct factor {
    int m, depth, taken; /* taken: rows, so far */
    tg_real *room;       /* factor_room elements */
} factor;

static size_t factor_room(int m, int depth)
{
    const product_table *simd = tg__simd()->product;
    return simd->large_products ? at(tg__pieces(m, simd->strip_rows) * simd->strip_lanes, depth)
                                : lines(at(m, depth));
}

static void take_rows(factor *f, int rows, const tg_real *A, int stride)
{
    const product_table *simd = tg__simd()->product;
    if (simd->large_products)
        simd->pack_strips(true, f->m, rows, A, stride, at(simd->strip_lanes, f->depth),
                          f->room + at(f->taken, simd->strip_lanes));
    for (int i = 0; i < rows && !simd->large_products; i++)
        memcpy(f->room + at(f->taken + i, f->m), A + at(i, stride), (size_t)f->m * sizeof *A);
    f->taken += rows;
}

/* Columns of the gates: some of z and r side by side, or of g. */
typedef struct columns {
    int first, n;
} columns;
static int block_width(void)
{
    enum { BLOCK_PANELS = 4, BLAS_COLUMNS = 256 };
    return tg__simd()->product->large_products ? BLOCK_PANELS * tg__simd()->product->panel_columns
                                               : BLAS_COLUMNS;
}
static int blocks_of_z_and_r(int H) { return tg__pieces(2 * H, block_width()); }
static int blocks_of_all(int H) { return blocks_of_z_and_r(H) + tg__pieces(H, block_width()); }
static columns columns_of(int H, int block)
{
    const int width = block_width(), before = blocks_of_z_and_r(H), end = block < before ? 2 * H : 3 * H,
              first = block < before ? block * width : 2 * H + (block - before) * width;
    return (columns){ first, end - first < width ? end - first : width };
}

/* B (depth,n) as it is multiplied with several factors. */
typedef struct right_side {
    const tg_real *B;
    int depth, n, stride;
    const tg_real *panels; /* NULL: as it stands */
} right_side;

static right_side right_of(int depth, int n, const tg_real *B, int stride, tg_real *room)
{
    const bool packs = tg__simd()->product->large_products;
    if (packs) tg__simd()->product->pack_panels(false, depth, n, B, stride, room);
    return (right_side){ B, depth, n, stride, packs ? room : NULL };
}

/* C (m,n) = A' B + keep * C. */
static void product(factor a, right_side b, int keep, tg_real *C, int C_stride)
{
    if (b.panels)
        tg__simd()->product->panel_product(a.m, b.n, b.depth, a.room, 0, b.panels, keep, C, C_stride);
    else
        tg__matmul_piece(TRANSPOSED, NORMAL, a.m, b.n, b.depth, a.room, a.m, b.B, b.stride, keep, C,
                         C_stride);
}

/* x and h(t-1) of tokens first ... end-1 of the part. Rows that begin at a step, which come last, have h0; the others the
 * output of the step before. */
static void take_tokens(const gradients *w, sequence_part p, int first, int end, factor *x, factor *h)
{
    const sequence *q = w->s.sequence;
    const int H = w->s.H, I = w->s.I, y_stride = w->s.y_stride;
    for (sequence_run run = { 0 }; tg__sequence_next_run(p, &first, end, &run);) {
        const int before = w->s.reverse ? run.t + 1 : run.t - 1, row = p.first + run.row * p.apart;
        int go_on = tg__sequence_running(q, p, before) - run.row;
        go_on = go_on < 0 ? 0 : go_on > run.rows ? run.rows : go_on;
        take_rows(x, run.rows, w->x + at(q->offset[run.t] + row, I), p.apart * I);
        if (go_on) take_rows(h, go_on, w->y + at(q->offset[before] + row, y_stride), p.apart * y_stride);
        if (go_on < run.rows)
            take_rows(h, run.rows - go_on, w->h0 + at(row + go_on * p.apart, H), p.apart * H);
    }
}

/* sum (n) = the rows of A (rows,n) + keep * sum. */
static void sum_rows(int rows, int n, const tg_real *A, int stride, int keep, tg_real *sum)
{
    if (!keep) memset(sum, 0, (size_t)n * sizeof *sum);
    tg__add_rows_piece(rows, n, A, stride, sum);
}

/* sum, of the tokens of a part and of blocks first ... last-1 of the columns. keep: added to, or set. */
static void add_part(const gradients *w, int part, int keep, gru_gradients sum, int first, int last,
                     tg_real *room)
{
    const gru_shape s = w->s;
    const int H = s.H, I = s.I, z_and_r = blocks_of_z_and_r(H);
    const sequence_part p = s.sequence->part[part];
    for (int i = p.token[0], end = p.token[s.sequence->steps]; i < end; i += w->depth, keep = 1) {
        const int depth = end - i < w->depth ? end - i : w->depth;
        const tg_real *dgates = w->saved.gates + at(i, 3 * H);
        factor inputs = { .m = I, .depth = depth, .room = room },
               states = { .m = H, .depth = depth, .room = inputs.room + factor_room(I, w->depth) },
               reset = { .m = H, .depth = depth, .room = states.room + factor_room(H, w->depth) };
        tg_real *panels = reset.room + factor_room(H, w->depth);
        take_tokens(w, p, i, i + depth, &inputs, &states);
        if (!s.reset_after) take_rows(&reset, depth, w->saved.rh + at(i, H), H);
        for (int block = first; block < last; block++) {
            const columns c = columns_of(H, block);
            const bool of_g = block >= z_and_r;
            const right_side dgate = right_of(depth, c.n, dgates + c.first, 3 * H, panels);
            product(inputs, dgate, keep, sum.W_x + c.first, 3 * H); /* dW_x += x' (dz dr dg) */
            sum_rows(depth, c.n, dgates + c.first, 3 * H, keep, sum.b + c.first);
            if (!of_g || !s.reset_after) { /* dW_hz dW_hr += h' (dz dr); dW_hg += (r * h)' dg */
                product(of_g ? reset : states, dgate, keep, sum.W_h + c.first, 3 * H);
                if (s.reset_after) sum_rows(depth, c.n, dgates + c.first, 3 * H, keep, sum.b_h + c.first);
            } else { /* dW_hg += h' dq */
                const tg_real *dq = w->saved.q + at(i, H) + c.first - 2 * H;
                product(states, right_of(depth, c.n, dq, H, panels), keep, sum.W_h + c.first, 3 * H);
                sum_rows(depth, c.n, dq, H, keep, sum.b_h + c.first);
            }
        }
    }
}

/* Some columns of one sum; each sum is of one part, or there is one, of all parts in order. */
static void share_of_a_sum(void *argument, int piece)
{
    const gradients *w = argument;
    const int sum = piece / w->shares, share = piece % w->shares, blocks = blocks_of_all(w->s.H),
              first = (int)tg__piece_start(blocks, w->shares, share),
              last = (int)tg__piece_start(blocks, w->shares, share + 1);
    for (int part = sum; part < (w->sums == 1 ? w->s.sequence->parts : sum + 1); part++)
        add_part(w, part, sum == 0, w->sum[sum], first, last, w->room + (size_t)piece * w->each);
}

/* A function of the shape alone: the bits depend on it. */
static int sums_of(const sequence *q)
{
    enum { MANY_TOKENS = 512 }; /* where a second sum costs little beside what it is a sum of */
    return q->tokens < MANY_TOKENS ? 1 : q->parts;
}

size_t tg__gru_gradients_scratch(gru_shape s)
{
    return sums_of(s.sequence) > 1 ? at(s.I + s.H, 3 * s.H) + at(2, 3 * s.H) : 0;
}

void tg__gru_gradients(tg_context *cx, gru_shape s, gru_gradients d, const tg_real *x, const tg_real *h0,
                       const tg_real *y, gru_saved saved, tg_real *scratch)
{
    const sequence *q = s.sequence;
    const int H = s.H, I = s.I, blocks = blocks_of_all(H);
    const product_table *simd = tg__simd()->product;
    gradients w = { .s = s, .x = x, .h0 = h0, .y = y, .saved = saved, .sums = sums_of(q), .sum = { d } };
    if (w.sums > 1)
        w.sum[1] = (gru_gradients){ .W_x = scratch,
                                    .W_h = scratch + at(I, 3 * H),
                                    .b = scratch + at(I + H, 3 * H),
                                    .b_h = scratch + at(I + H + 1, 3 * H) };
    /* multiply-adds of a share, so that it takes longer than to bring its operands over from another core */
    const double worth_sharing = 262144.0 * simd->panel_columns,
                 most = (double)q->tokens / w.sums * (I + H) * 3 * H / worth_sharing;
    w.shares = tg__pieces(cx->threads, w.sums);
    if (w.shares > blocks) w.shares = blocks;
    if (w.shares > most) w.shares = most < 1 ? 1 : (int)most;
    w.depth = q->tokens < simd->packed_depth ? q->tokens : simd->packed_depth;
    w.each = factor_room(I, w.depth) + 2 * factor_room(H, w.depth) + lines(at(w.depth, block_width()));
    tg__arena_reset(&cx->packed);
    w.room = tg__arena_take(&cx->packed, (size_t)(w.sums * w.shares) * w.each * sizeof *w.room);
    if (cx->status) return;
    if (!simd->large_products && !tg__blas_ready(cx)) return;
    tg__team_run(cx, w.sums * w.shares, share_of_a_sum, &w);
    if (w.sums == 1) return;
    const sequence_part second = q->part[1];
    if (second.token[0] == second.token[q->steps]) return; /* nothing was set */
    tg__add(cx, at(I, 3 * H), w.sum[1].W_x, d.W_x);
    tg__add(cx, at(H, 3 * H), w.sum[1].W_h, d.W_h);
    tg__add(cx, (size_t)(3 * H), w.sum[1].b, d.b);
    if (s.reset_after) tg__add(cx, (size_t)(3 * H), w.sum[1].b_h, d.b_h);
}
