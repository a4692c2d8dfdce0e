/* kernels/recurrent/gradients.c -- see gradients.h.
 *
 * A weight gradient is a sum over all tokens, dW = A' D: A (tokens,m) is what the weights multiplied (x, h(t-1), or a kept
 * column), D (tokens,n) the gradients of the sums. The columns of D are cut into blocks, which workers share out. A block of D
 * is packed once and multiplied with all A that belong to it. The tokens are taken as many at a time as are best packed at
 * once; their A are packed once for all blocks. Where there are many tokens each shard has a sum of its own, so that no worker
 * reads the tokens of the other shard; then the two sums are added. */
#include "kernels/recurrent/gradients.h"

#include <string.h>

#include "core/team.h"
#include "kernels/matmul.h"
#include "kernels/pointwise.h"
#include "kernels/recurrent/regularize.h"
#include "kernels/simd/table.h"

static size_t at(int row, int width) { return (size_t)row * (size_t)width; }

/* ---- what is multiplied with what, from the cell's description ---- */

/* Neighbouring columns of gradients (tokens,stride), and what they are multiplied into; -1: nothing. */
typedef struct column_group {
    const tg_real *d; /* first column */
    int n, stride;
    int into_W_x, into_W_h, into_b, into_b_h; /* columns of these */
    product_source from;                      /* of W_h */
} column_group;

enum { MOST_GROUPS = 2 * CELL_GATES };
typedef struct column_groups {
    int count, blocks;
    column_group group[MOST_GROUPS];
    bool reads_hidden, reads_kept;
    int kept; /* column */
} column_groups;

static int block_width(void)
{
    enum { BLOCK_PANELS = 4, BLAS_COLUMNS = 256 };
    const product_table *simd = tg__simd()->product;
    return simd->large_products ? BLOCK_PANELS * simd->panel_columns : BLAS_COLUMNS;
}

static void add_group(column_groups *g, column_group c)
{
    g->blocks += tg__pieces(c.n, block_width());
    g->group[g->count++] = c;
}

/* A product's gradients: into W_h and the second biases, and where they are columns of the gates, into W_x and b as well. */
static void add_product_group(column_groups *g, const recurrent_plan *p, const cell_phase *f,
                              const recurrent_product *m)
{
    const recurrent_cell *cell = p->shape.cell;
    const int H = p->shape.H;
    const bool gates = m->into == INTO_GATES;
    const int columns = gates ? cell->gates : cell->kept;
    add_group(g, (column_group){ .d = (gates ? p->gates : p->kept) + at(m->to, H),
                                 .n = m->columns * H,
                                 .stride = columns * H,
                                 .into_W_x = gates ? m->to * H : -1,
                                 .into_W_h = m->column * H,
                                 .into_b = gates ? m->to * H : -1,
                                 .into_b_h = cell->recurrent_bias ? m->column * H : -1,
                                 .from = f->from });
}

/* With normalization the gradients of W_x, of W_h and of the biases are made of different arrays. */
static void add_normalized_groups(column_groups *g, const recurrent_plan *p, const tg_real *dsum_x,
                                  const tg_real *dsum_h)
{
    const recurrent_cell *cell = p->shape.cell;
    const int H = p->shape.H, G = cell->gates * H, R = cell->recurrent * H;
    add_group(g, (column_group){ dsum_x, G, G, 0, -1, -1, -1, FROM_NOTHING });
    add_group(g, (column_group){ p->gates, G, G, -1, -1, 0, -1, FROM_NOTHING });
    for (int i = 0; i < cell->phases; i++)
        for (int k = 0; k < cell->phase[i].products; k++) {
            const recurrent_product *m = &cell->phase[i].product[k];
            const bool gates = m->into == INTO_GATES;
            add_group(g, (column_group){ dsum_h + at(m->column, H), m->columns * H, R, -1, m->column * H, -1,
                                         -1, cell->phase[i].from });
            if (cell->recurrent_bias)
                add_group(g, (column_group){ (gates ? p->gates : p->kept) + at(m->to, H), m->columns * H,
                                             gates ? G : cell->kept * H, -1, -1, -1, m->column * H,
                                             FROM_NOTHING });
        }
}

/* The columns of the gates that no product adds to. */
static void add_input_groups(column_groups *g, const recurrent_plan *p)
{
    const recurrent_cell *cell = p->shape.cell;
    const int H = p->shape.H;
    for (int column = 0; column < cell->gates; column++) {
        bool found = false;
        for (int i = 0; i < g->count; i++)
            if (g->group[i].into_W_x >= 0)
                found = found || (column * H >= g->group[i].into_W_x &&
                                  column * H < g->group[i].into_W_x + g->group[i].n);
        if (!found)
            add_group(g, (column_group){ p->gates + at(column, H), H, cell->gates * H, column * H, -1,
                                         column * H, -1, FROM_NOTHING });
    }
}

static column_groups groups_of(const recurrent_plan *p, const tg_real *dsum_x, const tg_real *dsum_h)
{
    const recurrent_cell *cell = p->shape.cell;
    column_groups g = { 0 };
    for (int i = 0; i < cell->phases; i++) {
        const cell_phase *f = &cell->phase[i];
        g.reads_hidden = g.reads_hidden || f->from == FROM_HIDDEN;
        if (f->from == FROM_KEPT) g.reads_kept = true, g.kept = f->kept;
        for (int k = 0; k < f->products && !dsum_x; k++) add_product_group(&g, p, f, &f->product[k]);
    }
    if (dsum_x)
        add_normalized_groups(&g, p, dsum_x, dsum_h);
    else
        add_input_groups(&g, p);
    return g;
}

/* ---- the work ---- */

/* Elements, rounded up so that the next array begins with a cache line. */
static size_t cache_lines(size_t n) { return (n + 15) / 16 * 16; }

typedef struct gradient_sums {
    const recurrent_plan *p;
    recurrent_operands operands;
    column_groups groups;
    int sums;
    recurrent_gradients sum[MOST_SHARDS]; /* the first is added to; the second, of shard 1, is set */
    int workers, depth;                   /* of a sum; tokens at a time, at most */
    tg_real *room;
    size_t each; /* elements of a worker */
} gradient_sums;

/* The rows of some tokens, as their transpose is multiplied with many columns: packed in row panels, or where OpenBLAS multiplies as
 * they stand. */
typedef struct factor {
    int m, depth, taken; /* taken: rows so far */
    tg_real *room;       /* factor_room elements */
} factor;

static size_t factor_room(int m, int depth)
{
    const product_table *simd = tg__simd()->product;
    return simd->large_products ? at(tg__pieces(m, simd->strip_rows) * simd->strip_lanes, depth)
                                : cache_lines(at(m, depth));
}

static factor take_factor(int m, int depth, int most_depth, tg_real **room)
{
    const factor f = { .m = m, .depth = depth, .room = *room };
    *room += m ? factor_room(m, most_depth) : 0;
    return f;
}

static void take_factor_rows(factor *f, int rows, const tg_real *A, int stride)
{
    const product_table *simd = tg__simd()->product;
    if (simd->large_products)
        simd->pack_strips(true, f->m, rows, A, stride, at(simd->strip_lanes, f->depth),
                          f->room + at(f->taken, simd->strip_lanes));
    for (int i = 0; i < rows && !simd->large_products; i++)
        memcpy(f->room + at(f->taken + i, f->m), A + at(i, stride), (size_t)f->m * sizeof *A);
    f->taken += rows;
}

/* D (depth,n), packed in panels for several factors, or as it stands. */
typedef struct right_side {
    const tg_real *D;
    int depth, n, stride;
    const tg_real *panels;
} right_side;

static right_side right_side_of(int depth, int n, const tg_real *D, int stride, tg_real *room)
{
    const bool packs = tg__simd()->product->large_products;
    if (packs) tg__simd()->product->pack_panels(false, depth, n, D, stride, room);
    return (right_side){ D, depth, n, stride, packs ? room : NULL };
}

/* C (m,n) = A' D + keep * C. */
static void add_transposed_product(factor a, right_side d, int keep, tg_real *C, int C_stride)
{
    if (!a.m) return;
    if (d.panels)
        tg__simd()->product->panel_product(a.m, d.n, d.depth, a.room, 0, d.panels, keep, C, C_stride);
    else
        tg__matmul_piece(TRANSPOSED, NORMAL, a.m, d.n, d.depth, a.room, a.m, d.D, d.stride, keep, C,
                         C_stride);
}

typedef struct token_factors {
    factor x, fed, hidden, kept;
    tg_real *room; /* what is left */
} token_factors;

/* x, what was fed, and h(t-1) of tokens first ... end-1 of a shard. Rows that start at a step, which come last, have the state
 * before the sequence; the others the output of the step before. */
static void take_tokens(const gradient_sums *w, batch_shard s, int first, int end, token_factors *f)
{
    const recurrent_plan *p = w->p;
    const sequence *q = &p->sequence;
    const recurrent_operands *o = &w->operands;
    const int H = p->shape.H, I = p->shape.I, F = p->shape.F, y_stride = p->shape.y_stride, begin = first;
    for (token_run run = { 0 }; tg__sequence_next_run(s, &first, end, &run);) {
        const int before = p->shape.reverse ? run.t + 1 : run.t - 1, row = s.first + run.row * s.apart,
                  token = q->offset[run.t] + row;
        take_factor_rows(&f->x, run.rows, o->x + at(token, I), s.apart * I);
        if (f->fed.m) take_factor_rows(&f->fed, run.rows, o->fed + at(token, F), s.apart * F);
        if (!f->hidden.m || p->hidden) continue;
        int go_on = tg__sequence_running(q, s, before) - run.row;
        go_on = go_on < 0 ? 0 : go_on > run.rows ? run.rows : go_on;
        if (go_on)
            take_factor_rows(&f->hidden, go_on, o->y + at(q->offset[before] + row, y_stride),
                             s.apart * y_stride);
        if (go_on < run.rows)
            take_factor_rows(&f->hidden, run.rows - go_on, o->before + at(row + go_on * s.apart, H),
                             s.apart * H);
    }
    if (f->hidden.m && p->hidden) take_factor_rows(&f->hidden, end - begin, p->hidden + at(begin, H), H);
    const int kept = p->shape.cell->kept;
    if (f->kept.m)
        take_factor_rows(&f->kept, end - begin, p->kept + at(begin, kept * H) + at(w->groups.kept, H),
                         kept * H);
}

/* sum (n) = the rows of A (rows,n) + keep * sum. */
static void sum_rows(int rows, int n, const tg_real *A, int stride, int keep, tg_real *sum)
{
    if (!keep) memset(sum, 0, (size_t)n * sizeof *sum);
    tg__add_rows_piece(rows, n, A, stride, sum);
}

/* Columns first ... first+n-1 of a group, of `depth` tokens from `token` on. */
static void add_block(const gradient_sums *w, const column_group *g, int first, int n, int token, int depth,
                      const token_factors *f, int keep, recurrent_gradients sum)
{
    const recurrent_shape *s = &w->p->shape;
    const int G = s->cell->gates * s->H, R = s->cell->recurrent * s->H;
    const tg_real *d = g->d + at(token, g->stride) + first;
    if (g->into_b >= 0) sum_rows(depth, n, d, g->stride, keep, sum.b + g->into_b + first);
    if (g->into_b_h >= 0) sum_rows(depth, n, d, g->stride, keep, sum.b_h + g->into_b_h + first);
    if (g->into_W_x < 0 && g->into_W_h < 0) return;
    const right_side right = right_side_of(depth, n, d, g->stride, f->room);
    if (g->into_W_x >= 0) {
        tg_real *W_x = sum.W_x + g->into_W_x + first;
        add_transposed_product(f->x, right, keep, W_x, G);
        add_transposed_product(f->fed, right, keep, W_x + at(s->I, G), G);
    }
    if (g->into_W_h >= 0)
        add_transposed_product(g->from == FROM_KEPT ? f->kept : f->hidden, right, keep,
                               sum.W_h + g->into_W_h + first, R);
}

/* The tokens of a shard, for blocks first ... last-1. keep: added to, or set. */
static void add_shard(const gradient_sums *w, batch_shard s, int keep, recurrent_gradients sum, int first,
                      int last, tg_real *room)
{
    const recurrent_shape *shape = &w->p->shape;
    const int H = shape->H, width = block_width();
    for (int i = s.token[0], end = s.token[w->p->sequence.steps]; i < end; i += w->depth, keep = 1) {
        const int depth = end - i < w->depth ? end - i : w->depth;
        tg_real *left = room;
        token_factors f = { .x = take_factor(shape->I, depth, w->depth, &left),
                            .fed = take_factor(w->operands.fed ? shape->F : 0, depth, w->depth, &left),
                            .hidden = take_factor(w->groups.reads_hidden ? H : 0, depth, w->depth, &left),
                            .kept = take_factor(w->groups.reads_kept ? H : 0, depth, w->depth, &left) };
        f.room = left;
        take_tokens(w, s, i, i + depth, &f);
        for (int g = 0, block = 0; g < w->groups.count; g++) {
            const column_group *group = &w->groups.group[g];
            for (int c = 0; c < group->n; c += width, block++)
                if (block >= first && block < last)
                    add_block(w, group, c, group->n - c < width ? group->n - c : width, i, depth, &f, keep,
                              sum);
        }
    }
}

/* Some blocks of one sum; each sum is of one shard, or there is one, of all shards in order. */
static void blocks_of_a_worker(void *argument, int piece)
{
    const gradient_sums *w = argument;
    const sequence *q = &w->p->sequence;
    const int sum = piece / w->workers, worker = piece % w->workers,
              first = (int)tg__piece_start(w->groups.blocks, w->workers, worker),
              last = (int)tg__piece_start(w->groups.blocks, w->workers, worker + 1);
    int keep = sum == 0;
    for (int k = sum; k < (w->sums == 1 ? q->shards : sum + 1); k++) {
        if (q->shard[k].token[0] == q->shard[k].token[q->steps]) continue;
        add_shard(w, q->shard[k], keep, w->sum[sum], first, last, w->room + (size_t)piece * w->each);
        keep = 1;
    }
}

/* Room for a second sum. */
static recurrent_gradients take_sum(arena *memory, const recurrent_plan *p)
{
    const recurrent_shape *s = &p->shape;
    const size_t H = (size_t)s->H, G = (size_t)s->cell->gates * H, R = (size_t)s->cell->recurrent * H;
    return (recurrent_gradients){ .W_x = tg__arena_take(memory, (size_t)(s->I + s->F) * G * sizeof(tg_real)),
                                  .W_h = tg__arena_take(memory, H * R * sizeof(tg_real)),
                                  .b = tg__arena_take(memory, G * sizeof(tg_real)),
                                  .b_h = tg__arena_take(memory, R * sizeof(tg_real)) };
}

static void add_second_sum(tg_context *cx, const recurrent_plan *p, recurrent_gradients from,
                           recurrent_gradients dw)
{
    const recurrent_shape *s = &p->shape;
    const size_t H = (size_t)s->H, G = (size_t)s->cell->gates * H, R = (size_t)s->cell->recurrent * H;
    tg__add_by(cx, p->threads, (size_t)(s->I + s->F) * G, from.W_x, dw.W_x);
    if (R) tg__add_by(cx, p->threads, H * R, from.W_h, dw.W_h);
    tg__add_by(cx, p->threads, G, from.b, dw.b);
    if (s->cell->recurrent_bias) tg__add_by(cx, p->threads, R, from.b_h, dw.b_h);
}

/* dgain = the sum over all tokens of d * normalized. */
static void gain_gradients(const recurrent_plan *p, recurrent_gradients dw)
{
    const recurrent_cell *cell = p->shape.cell;
    const int N = p->sequence.tokens, H = p->shape.H;
    const size_t G = at(cell->gates, H), R = at(cell->recurrent, H), K = at(cell->kept, H);
    tg__add_products_of_rows(N, (int)G, p->gates, G, p->norm_x, G, dw.gain_x);
    for (int i = 0; i < cell->phases; i++)
        for (int k = 0; k < cell->phase[i].products; k++) {
            const recurrent_product *m = &cell->phase[i].product[k];
            const bool gates = m->into == INTO_GATES;
            tg__add_products_of_rows(N, m->columns * H, (gates ? p->gates : p->kept) + at(m->to, H),
                                     gates ? G : K, p->norm_h + at(m->column, H), R,
                                     dw.gain_h + at(m->column, H));
        }
}

void tg__recurrent_gradients(tg_context *cx, arena *memory, const recurrent_plan *p, const tg_real *dsum_x,
                             const tg_real *dsum_h, recurrent_gradients dw, recurrent_operands operands)
{
    const recurrent_shape *s = &p->shape;
    const sequence *q = &p->sequence;
    const product_table *simd = tg__simd()->product;
    const arena_mark mark = tg__arena_mark(memory);
    gradient_sums w = { .p = p,
                        .operands = operands,
                        .groups = groups_of(p, dsum_x, dsum_h),
                        .sums = p->gradient_sums,
                        .sum = { dw },
                        .depth = q->tokens < simd->packed_depth ? q->tokens : simd->packed_depth };
    if (w.sums > 1) w.sum[1] = take_sum(memory, p);
    /* a worker's multiply-adds, so that they take longer than to bring their operands over from another core */
    const double worth_sharing = 262144.0 * simd->panel_columns,
                 all = (double)s->H *
                       ((double)s->cell->gates * (s->I + s->F) + (double)s->cell->recurrent * s->H),
                 most = (double)q->tokens / w.sums * all / worth_sharing;
    w.workers = tg__pieces(p->threads, w.sums);
    if (w.workers > w.groups.blocks) w.workers = w.groups.blocks;
    if (w.workers > most) w.workers = most < 1 ? 1 : (int)most;
    w.each = factor_room(s->I, w.depth) + (s->F ? factor_room(s->F, w.depth) : 0) +
             2 * factor_room(s->H, w.depth) + cache_lines(at(w.depth, block_width()));
    w.room = tg__arena_take(memory, (size_t)(w.sums * w.workers) * w.each * sizeof *w.room);
    if (!cx->status && (simd->large_products || tg__blas_ready(cx))) {
        tg__team_run_by(cx, p->threads, w.sums * w.workers, blocks_of_a_worker, &w);
        const batch_shard second = q->shard[q->shards - 1]; /* empty: its sum was not set */
        if (w.sums > 1 && second.token[0] < second.token[q->steps]) add_second_sum(cx, p, w.sum[1], dw);
        if (s->normalizes) gain_gradients(p, dw);
    }
    tg__arena_rewind(memory, mark);
}
