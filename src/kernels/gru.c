/* kernels/gru.c -- the unrolled GRU and its gradients; the step is in gru_cell.c.
 *
 * Order of work: one product for the input side of all steps; the recurrent weights packed once; then the sweep, step by
 * step, with the recurrent products; backward the sweep in the other direction, and after it one product for each weight
 * gradient.
 *
 * The workers share a sweep in one of two ways. By rows: each goes from the first step to the last with some rows
 * (neighbours in a full batch, otherwise every n-th, so that nobody gets all the long ones) without meeting the others.
 * By units: each takes some units of all rows, reads but those columns of the recurrent weights, which stay in its own
 * cache, and meets the others after each phase. No number depends on the choice: each is a sum over k in one order, made
 * by one worker. */
#include "kernels/gru.h"

#include <string.h>
#include <unistd.h>

#include "core/context.h"
#include "core/team.h"
#include "kernels/matmul.h"

typedef struct share { /* of a worker: rows row, row + step, ... below last_row; units first ... end-1 */
    int row, last_row, step, first, end;
    tg_real *strips; /* its scratch */
} share;

typedef struct sweep {
    gru_shape s;
    gru_cell cell;
    int groups, slices; /* of rows, of units */
    int phases;         /* from the first step to the last */
    void (*phase)(const struct sweep *w, int phase, share mine);
    const tg_real *h0, *dy;
    const tg_real *y_before; /* y, as it is read */
    tg_real *y, *dh, *drh;
    gru_saved saved;
    gru_strips strips;
} sweep;

static size_t at(int row, int width) { return (size_t)row * (size_t)width; }

/* ---- what sweeps share ---- */

int tg__sweep_blocks(int B)
{
    const int blocks = tg__pieces(B, 32);
    return blocks < 2 && B >= 16 ? 2 : blocks;
}

bool tg__sweep_packs(const sequence *q) { return q->steps > 1 || q->B > 1; }

int tg__sweep_rows(const sequence *q, int t, int first, int last)
{
    const int end = q->active[t] < last ? q->active[t] : last;
    return end > first ? end - first : 0;
}

size_t tg__gru_panels_room(gru_shape s) { return tg__sweep_packs(s.sequence) ? tg__gru_cell_room(s.H) : 0; }

/* ---- how a sweep is shared out ---- */

/* What the busiest worker has: panels of units times rows. */
static size_t largest_share(const sweep *w, int groups, int slices)
{
    return at(tg__pieces(tg__pieces(w->s.H, tg__simd()->panel_columns), slices),
              tg__pieces(w->s.sequence->B, groups));
}

/* How many workers, of so many for all groups of rows, share out the units of each group. */
static int slices_of(const sweep *w, int groups, int workers)
{
    enum { PANELS_ENOUGH = 2 };
    const int width = tg__simd()->panel_columns, H = w->s.H, most = H / (PANELS_ENOUGH * width);
    /* multiply-adds of a worker in a step: a meeting takes as long however wide the vectors are */
    const size_t WORTH_MEETING = 1250 * (size_t)width, step = 3 * at(H, H) * (size_t)w->s.sequence->B;
    int slices = (workers < TEAM_PIECES ? workers : TEAM_PIECES) / groups;
    if (slices > most) slices = most;
    while (slices > 1 && step / (size_t)(groups * slices) < WORTH_MEETING) slices--;
    return slices;
}

/* A worker's second-level cache, in bytes. */
static size_t own_cache(void)
{
    const long LEAST = 1 << 20, here = sysconf(_SC_LEVEL2_CACHE_SIZE); /* 0 where the system does not know */
    return (size_t)(here > LEAST ? here : LEAST);
}

/* By rows where everybody gets enough of them to make good use of each weight read, and all weights fit a worker's own
 * cache, or no worker's part of them would and the rows are many, or where rows give more workers something to do; else
 * by units, where a phase is long enough to be worth a meeting; by both, where that takes more than a fifth off what the
 * busiest worker has. Not at all where OpenBLAS multiplies, whose bits may depend on how many columns it is given. */
static void share_out(sweep *w, int threads)
{
    enum { ROWS_ENOUGH = 8, MANY_ROWS = 32 };
    const int B = w->s.sequence->B, H = w->s.H, slices = slices_of(w, 1, threads);
    int groups = B / ROWS_ENOUGH < threads ? B / ROWS_ENOUGH : threads;
    if (groups < 1) groups = 1;
    const size_t weights = 3 * at(H, H) * sizeof(tg_real), cache = own_cache();
    const bool rows_read_better =
        weights <= cache || (B / groups >= MANY_ROWS && weights / (size_t)groups > cache);
    const bool by_rows = groups > slices || slices < 2 || (groups == slices && rows_read_better);
    const bool ours = w->cell.g.panels || (B == 1 && w->cell.g.b == NORMAL);
    w->groups = ours && by_rows ? groups : 1;
    w->slices = ours && !by_rows ? slices : 1;
    if (!ours) return;
    for (int g = 2; g <= groups; g++) {
        const int beside = slices_of(w, g, threads);
        if (beside < 2 || 5 * largest_share(w, g, beside) >= 4 * largest_share(w, w->groups, w->slices))
            continue;
        w->groups = g;
        w->slices = beside;
    }
}

static void share_of_a_worker(void *argument, int phase, int worker)
{
    const sweep *w = argument;
    const int group = worker / w->slices, slice = worker % w->slices, B = w->s.sequence->B, H = w->s.H,
              columns = tg__simd()->panel_columns, panels = tg__pieces(H, columns),
              end = columns * (int)tg__piece_start(panels, w->slices, slice + 1);
    share mine = { .row = group,
                   .last_row = B,
                   .step = w->groups,
                   .first = columns * (int)tg__piece_start(panels, w->slices, slice),
                   .end = end < H ? end : H,
                   .strips = tg__gru_strips_of(w->strips, worker) };
    if (w->s.sequence->full) {
        mine.row = (int)tg__piece_start(B, w->groups, group);
        mine.last_row = (int)tg__piece_start(B, w->groups, group + 1);
        mine.step = 1;
    }
    w->phase(w, phase, mine);
}

/* All phases of rows that nobody else has a share of. */
static void rows_of_a_worker(void *argument, int group)
{
    const sweep *w = argument;
    for (int phase = 0; phase < w->phases; phase++) share_of_a_worker(argument, phase, group);
}

static void run_sweep(tg_context *cx, sweep *w)
{
    share_out(w, cx->threads);
    w->strips = tg__gru_strips(cx, &w->cell, w->groups * w->slices, tg__pieces(w->s.sequence->B, w->groups));
    if (w->slices > 1)
        tg__team_phases(cx, w->phases, w->groups * w->slices, share_of_a_worker, w);
    else
        tg__team_run(cx, w->groups, rows_of_a_worker, w);
}

/* ---- where the arrays of a step are ---- */

/* Step k of a sweep, in the order in which it runs forward. */
static int time_of(const sweep *w, int k) { return w->s.reverse ? w->s.sequence->steps - 1 - k : k; }

/* The rows of step t are two lots: those that GO_ON, whose h(t-1) is the output of the step before, come first; those
 * that BEGIN at t have h0. (Forward all begin at once; in reverse a row begins at its last valid step.) */
typedef enum lot { GO_ON, BEGIN, LOTS } lot;

/* A worker's rows of a lot, and their arrays; false where there is none. */
static bool rows_of(const sweep *w, int t, lot which, share mine, gru_part *part, gru_step *s)
{
    const sequence *q = w->s.sequence;
    const int H = w->s.H, before = w->s.reverse ? t + 1 : t - 1,
              ran = before < 0 || before >= q->steps ? 0 : tg__sweep_rows(q, before, 0, q->active[t]),
              start = which == GO_ON ? 0 : ran, running = which == GO_ON ? ran : q->active[t],
              end = running < mine.last_row ? running : mine.last_row;
    const int skipped = mine.row < start ? tg__pieces(start - mine.row, mine.step) : 0,
              first = mine.row + skipped * mine.step, token = q->offset[t] + first;
    *part = (gru_part){ .rows = tg__pieces(end - first, mine.step),
                        .step = mine.step,
                        .H = H,
                        .first = mine.first,
                        .end = mine.end };
    if (!part->rows) return false;
    *s = (gru_step){ .h_before = which == GO_ON ? w->y_before + at(q->offset[before] + first, w->s.y_stride)
                                                : w->h0 + at(first, H),
                     .h_stride = which == GO_ON ? w->s.y_stride : H,
                     .y = w->y ? w->y + at(token, w->s.y_stride) : NULL,
                     .y_stride = w->s.y_stride,
                     .gates = w->saved.gates + at(token, 3 * H),
                     .q = w->saved.q ? w->saved.q + at(token, H) : NULL,
                     .rh = w->saved.rh ? w->saved.rh + at(token, H) : NULL,
                     .dy = w->dy ? w->dy + at(token, w->s.y_stride) : NULL,
                     .dh = w->dh ? w->dh + at(first, H) : NULL,
                     .drh = w->drh ? w->drh + at(first, H) : NULL,
                     .strips = mine.strips };
    return true;
}

/* ---- forward ---- */

static void forward_phase(const sweep *w, int phase, share mine)
{
    const int phases = tg__gru_phases(&w->cell), t = time_of(w, phase / phases);
    gru_part part;
    gru_step s;
    for (lot which = GO_ON; which < LOTS; which++)
        if (rows_of(w, t, which, mine, &part, &s)) tg__gru_forward_phase(&w->cell, phase % phases, part, s);
}

/* h_end: each row's output at the last step it ran, or h0 if it never did. */
static void last_states(const sweep *w, tg_real *h_end)
{
    const sequence *q = w->s.sequence;
    const size_t row = (size_t)w->s.H * sizeof *h_end;
    for (int i = 0, t = q->steps - 1; i < q->B; i++) {
        while (t >= 0 && q->active[t] <= i) t--;
        const int last = t < 0 || !w->s.reverse ? t : 0;
        memcpy(h_end + at(i, w->s.H),
               last < 0 ? w->h0 + at(i, w->s.H) : w->y_before + at(q->offset[last] + i, w->s.y_stride), row);
    }
}

void tg__gru_forward(tg_context *cx, gru_shape s, gru_weights w, const tg_real *x, const tg_real *h0,
                     tg_real *h_end, tg_real *y, gru_saved saved, tg_real *panels)
{
    const sequence *q = s.sequence;
    tg__matmul(cx, NORMAL, NORMAL, q->tokens, 3 * s.H, s.I, x, s.I, w.W_x, 3 * s.H, NULL, 0, saved.gates,
               3 * s.H);
    sweep all = { .s = s,
                  .cell = tg__gru_cell(cx, NORMAL, s.H, s.reset_after, w, tg__sweep_packs(q) ? panels : NULL),
                  .phase = forward_phase,
                  .h0 = h0,
                  .y = y,
                  .y_before = y,
                  .saved = saved };
    all.phases = q->steps * tg__gru_phases(&all.cell);
    run_sweep(cx, &all);
    last_states(&all, h_end);
}

/* ---- backward ---- */

/* Phases of a step, last step first; what goes through the products to the step before needs the whole gradient of
 * the gates, so it is done with the first phase of the step that comes next. */
static void backward_phase(const sweep *w, int phase, share mine)
{
    const sequence *q = w->s.sequence;
    const int phases = tg__gru_phases(&w->cell), k = q->steps - 1 - phase / phases;
    gru_part part;
    gru_step s;
    for (lot which = GO_ON; which < LOTS && phase % phases == 0 && k + 1 < q->steps; which++)
        if (rows_of(w, time_of(w, k + 1), which, mine, &part, &s))
            tg__gru_backward_products(&w->cell, part, s);
    for (lot which = GO_ON; which < LOTS && k >= 0; which++)
        if (rows_of(w, time_of(w, k), which, mine, &part, &s))
            tg__gru_backward_phase(&w->cell, phase % phases, part, s);
}

void tg__gru_recurrent_gradients(tg_context *cx, int token, int N, int H, bool reset_after,
                                 const tg_real *h_before, int h_stride, gru_saved saved, gru_gradients d)
{
    const tg_real *dgates = saved.gates + at(token, 3 * H), *dg = dgates + 2 * H; /* dz dr dg side by side */
    tg__matmul(cx, TRANSPOSED, NORMAL, H, 2 * H, N, h_before, h_stride, dgates, 3 * H, NULL, 1, d.W_h,
               3 * H); /* dW_hz, dW_hr */
    if (reset_after)
        tg__matmul(cx, TRANSPOSED, NORMAL, H, H, N, h_before, h_stride, saved.q + at(token, H), H, NULL, 1,
                   d.W_h + 2 * H, 3 * H); /* dW_hg += h' dq */
    else
        tg__matmul(cx, TRANSPOSED, NORMAL, H, H, N, saved.rh + at(token, H), H, dg, 3 * H, NULL, 1,
                   d.W_h + 2 * H, 3 * H); /* dW_hg += (r*h)' dg */
}

void tg__gru_bias_gradients(tg_context *cx, int N, int H, bool reset_after, gru_saved saved, gru_gradients d)
{
    tg__add_rows(cx, N, 3 * H, saved.gates, 3 * H, d.b);
    if (!reset_after) return;
    tg__add_rows(cx, N, 2 * H, saved.gates, 3 * H, d.b_h);
    tg__add_rows(cx, N, H, saved.q, H, d.b_h + 2 * H);
}

/* h_before (tokens,H): h(t-1) of every token. */
typedef struct gathering {
    const sweep *w;
    tg_real *h_before;
} gathering;

static void gather_step(void *argument, int t)
{
    const gathering *g = argument;
    const sequence *q = g->w->s.sequence;
    const int H = g->w->s.H;
    for (lot which = GO_ON; which < LOTS; which++) {
        gru_part part;
        gru_step s;
        if (!rows_of(g->w, t, which, (share){ .row = 0, .last_row = q->B, .step = 1, .first = 0, .end = H },
                     &part, &s))
            continue;
        tg_real *to = g->h_before + (s.gates - g->w->saved.gates) / 3;
        for (int i = 0; i < part.rows; i++)
            memcpy(to + at(i, H), s.h_before + at(i, s.h_stride), (size_t)H * sizeof *to);
    }
}

/* dW_h. Where all rows are full, h(t-1) of all tokens but those of the first step are the outputs as they lie in
 * memory, one step further. */
static void recurrent_gradients(tg_context *cx, const sweep *w, gru_gradients d, tg_real *h_before)
{
    const gru_shape s = w->s;
    const sequence *q = s.sequence;
    const int N = q->tokens, B = q->B, H = s.H, later = s.reverse ? 0 : B, begin = s.reverse ? N - B : 0;
    if (!q->full) {
        gathering g = { w, h_before };
        tg__team_run(cx, q->steps, gather_step, &g);
        tg__gru_recurrent_gradients(cx, 0, N, H, s.reset_after, h_before, H, w->saved, d);
        return;
    }
    tg__gru_recurrent_gradients(cx, later, N - B, H, s.reset_after,
                                w->y_before + (s.reverse ? at(B, s.y_stride) : 0), s.y_stride, w->saved, d);
    if (!s.from_zeros) tg__gru_recurrent_gradients(cx, begin, B, H, s.reset_after, w->h0, H, w->saved, d);
}

size_t tg__gru_backward_scratch(gru_shape s)
{
    const sequence *q = s.sequence;
    return (size_t)s.H * ((size_t)q->B + (q->full ? 0 : (size_t)q->tokens));
}

void tg__gru_backward(tg_context *cx, gru_shape s, gru_weights w, gru_gradients d, const tg_real *x,
                      const tg_real *h0, const tg_real *y, const tg_real *dy, gru_saved saved, tg_real *dh,
                      bool add_dx, tg_real *dx, tg_real *scratch, tg_real *panels)
{
    const sequence *q = s.sequence;
    const int H = s.H, I = s.I, N = q->tokens;
    sweep all = { .s = s,
                  .cell =
                      tg__gru_cell(cx, TRANSPOSED, H, s.reset_after, w, tg__sweep_packs(q) ? panels : NULL),
                  .phase = backward_phase,
                  .h0 = h0,
                  .y_before = y,
                  .dy = dy,
                  .dh = dh,
                  .drh = scratch,
                  .saved = saved };
    all.phases = q->steps * tg__gru_phases(&all.cell) + 1;
    run_sweep(cx, &all);

    tg__matmul(cx, TRANSPOSED, NORMAL, I, 3 * H, N, x, I, saved.gates, 3 * H, NULL, 1, d.W_x,
               3 * H); /* dW_x += x' d */
    recurrent_gradients(cx, &all, d, scratch + at(q->B, H));
    tg__gru_bias_gradients(cx, N, H, s.reset_after, saved, d);
    if (dx)
        tg__matmul(cx, NORMAL, TRANSPOSED, N, I, 3 * H, saved.gates, 3 * H, w.W_x, 3 * H, NULL, add_dx, dx,
                   I); /* dx += d W_x' */
}
