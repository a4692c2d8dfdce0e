/* kernels/gru.c -- the unrolled GRU and its gradients; the step is in gru_cell.c.
 *
 * Order of work: one product for the input side of all steps; the recurrent weights packed once; then the sweep, step by
 * step, with the recurrent products; backward the sweep in the other direction, and after it the gradients of the weights
 * (gru_gradients.c) and of the input.
 *
 * The workers share a sweep in one of two ways. By rows: each goes from the first step to the last with some rows of a
 * part (neighbours in a full batch, otherwise every n-th, so that nobody gets all the long ones) without meeting the others.
 * By units: each takes some units of all rows, reads but those columns of the recurrent weights, which stay in its own
 * cache, and meets the others after each phase. No number depends on the choice: each is a sum over k in one order, made
 * by one worker. */
#include "kernels/gru.h"

#include <string.h>
#include <unistd.h>

#include "core/context.h"
#include "core/team.h"
#include "kernels/gru_gradients.h"
#include "kernels/parts_product.h"

/* Of a worker: of parts part ... last_part-1 the rows row, row + step, ... below last_row; units first ... end-1. */
typedef struct share {
    int part, last_part, row, last_row, step, first, end;
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
    tg_real *y;
    tg_real *dh[SEQUENCE_PARTS], *drh[SEQUENCE_PARTS]; /* of a part's rows (.,H) */
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

/* ---- whether it is shared out ---- */

double tg__gru_sharing_override;

/* Where little is done with a batch in one direction, a worker would bring over from another core what the job before has left
 * there, and take longer than that core alone. A function of the batch and the instruction set. */
static bool worth_sharing(gru_shape s)
{
    const double multiply_adds = (double)s.sequence->tokens * 3 * s.H * (s.I + s.H),
                 enough = 524288.0 * tg__simd()->product->panel_columns;
    return multiply_adds >= (tg__gru_sharing_override > 0 ? tg__gru_sharing_override : enough);
}

int tg__gru_parts(gru_shape s)
{
    enum { ENOUGH_ROWS = 16 };
    return s.sequence->B >= ENOUGH_ROWS && s.sequence->steps > 1 && worth_sharing(s) ? SEQUENCE_PARTS : 1;
}

/* Single rows, and single steps, read more weights than they multiply: by that they are shared out. */
static int workers_for(const tg_context *cx, gru_shape s)
{
    return s.sequence->steps > 1 && s.sequence->B > 1 && !worth_sharing(s) ? 1 : cx->threads;
}

/* ---- how a sweep is shared out ---- */

/* What the busiest worker has: panels of units times rows. */
static size_t largest_share(const sweep *w, int groups, int slices)
{
    return at(tg__pieces(tg__pieces(w->s.H, tg__simd()->product->panel_columns), slices),
              tg__pieces(w->s.sequence->B, groups));
}

/* How many workers, of so many for all groups of rows, share out the units of each group. */
static int slices_of(const sweep *w, int groups, int workers)
{
    enum { PANELS_ENOUGH = 2 };
    const int width = tg__simd()->product->panel_columns, H = w->s.H, most = H / (PANELS_ENOUGH * width);
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
 * cache; or no worker's part of them would, and they fit the cache that workers share or the rows are many; or where rows
 * give more workers something to do; else by units, where a phase is long enough to be worth a meeting; by both, where that
 * takes more than a fifth off what the busiest worker has. Not at all where OpenBLAS multiplies, whose bits may depend on
 * how many columns it is given. */
static void share_out(sweep *w, int threads)
{
    enum { ROWS_ENOUGH = 8, MANY_ROWS = 32, SHARED_CACHE = 8 << 20 };
    const int B = w->s.sequence->B, H = w->s.H, slices = slices_of(w, 1, threads);
    const int parts = w->s.sequence->parts;
    int groups = B / ROWS_ENOUGH < threads ? B / ROWS_ENOUGH : threads;
    groups = groups < parts ? 1 : groups / parts * parts; /* all parts, or a part or less, for each */
    const size_t weights = 3 * at(H, H) * sizeof(tg_real), cache = own_cache();
    const bool rows_read_better = weights <= cache || (weights / (size_t)groups > cache &&
                                                       (weights <= SHARED_CACHE || B / groups >= MANY_ROWS));
    const bool by_rows = groups > slices || slices < 2 || (groups == slices && rows_read_better);
    const bool ours = w->cell.g.panels || (B == 1 && w->cell.g.b == NORMAL);
    w->groups = ours && by_rows ? groups : 1;
    w->slices = ours && !by_rows ? slices : 1;
    if (!ours) return;
    for (int g = parts; g <= groups; g += parts) {
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
    const sequence *q = w->s.sequence;
    const int group = worker / w->slices, slice = worker % w->slices, H = w->s.H,
              columns = tg__simd()->product->panel_columns, panels = tg__pieces(H, columns),
              end = columns * (int)tg__piece_start(panels, w->slices, slice + 1);
    share mine = { .last_part = q->parts,
                   .last_row = q->B,
                   .step = 1,
                   .first = columns * (int)tg__piece_start(panels, w->slices, slice),
                   .end = end < H ? end : H,
                   .strips = tg__gru_strips_of(w->strips, worker) };
    if (w->groups > 1) {
        const int groups = w->groups / q->parts, k = group % groups; /* of a part */
        mine.part = group / groups;
        mine.last_part = mine.part + 1;
        const int rows = q->part[mine.part].rows;
        mine.row = q->full ? (int)tg__piece_start(rows, groups, k) : k;
        mine.last_row = q->full ? (int)tg__piece_start(rows, groups, k + 1) : rows;
        mine.step = q->full ? 1 : groups;
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
    tg__gru_cell_pack(cx, w->groups * w->slices > 1, &w->cell);
    w->strips = tg__gru_strips(cx, &w->cell, w->groups * w->slices,
                               tg__pieces(w->s.sequence->B, w->groups) + 1, GRU_MOST_LOTS);
    if (w->slices > 1)
        tg__team_phases(cx, w->phases, w->groups * w->slices, share_of_a_worker, w);
    else
        tg__team_run(cx, w->groups, rows_of_a_worker, w);
}

/* ---- where the arrays of a step are ---- */

/* Step k of a sweep, in the order in which it runs forward. */
static int time_of(const sweep *w, int k) { return w->s.reverse ? w->s.sequence->steps - 1 - k : k; }

/* The rows of a part at step t are two lots: those that GO_ON, whose h(t-1) is the output of the step before, come first;
 * those that BEGIN at t have h0. (Forward all begin at once; in reverse a row begins at its last valid step.) */
typedef enum lot { GO_ON, BEGIN, LOTS } lot;

/* How many of n rows, every step-th. */
static int every(int step, int n) { return step == 1 ? n : tg__pieces(n, step); }

/* A worker's rows of a lot, and their arrays; false where there is none. */
static bool rows_of(const sweep *w, int t, int part, lot which, share mine, gru_step *s)
{
    const sequence *q = w->s.sequence;
    const sequence_part p = q->part[part];
    const int H = w->s.H, before = w->s.reverse ? t + 1 : t - 1, active = tg__sequence_running(q, p, t),
              earlier = tg__sequence_running(q, p, before), ran = earlier < active ? earlier : active,
              start = which == GO_ON ? 0 : ran, running = which == GO_ON ? ran : active,
              end = running < mine.last_row ? running : mine.last_row;
    if (start >= end) return false;
    const int skipped = mine.row < start ? every(mine.step, start - mine.row) : 0,
              first = mine.row + skipped * mine.step, rows = first < end ? every(mine.step, end - first) : 0;
    if (!rows) return false;
    const int token = p.token[t] + first, row = p.first + first * p.apart, packed = q->offset[t] + row,
              stride = w->s.y_stride;
    *s =
        (gru_step){ .part = { .rows = rows, .step = mine.step, .H = H, .first = mine.first, .end = mine.end },
                    .h_before = which == GO_ON ? w->y_before + at(q->offset[before] + row, stride)
                                               : w->h0 + at(row, H),
                    .h_stride = p.apart * (which == GO_ON ? stride : H),
                    .y = w->y ? w->y + at(packed, stride) : NULL,
                    .y_stride = p.apart * stride,
                    .gates = w->saved.gates + at(token, 3 * H),
                    .q = w->saved.q ? w->saved.q + at(token, H) : NULL,
                    .rh = w->saved.rh ? w->saved.rh + at(token, H) : NULL,
                    .dy = w->dy ? w->dy + at(packed, stride) : NULL,
                    .dh = w->dh[part] ? w->dh[part] + at(first, H) : NULL,
                    .drh = w->drh[part] ? w->drh[part] + at(first, H) : NULL,
                    .strips = mine.strips };
    return true;
}

/* All of a worker's rows at step t; how many lots. */
static int lots_of(const sweep *w, int t, share mine, gru_step s[GRU_MOST_LOTS])
{
    int lots = 0;
    for (int part = mine.part; part < mine.last_part; part++)
        for (lot which = GO_ON; which < LOTS; which++)
            if (rows_of(w, t, part, which, mine, &s[lots])) lots++;
    return lots;
}

/* ---- forward ---- */

static void forward_phase(const sweep *w, int phase, share mine)
{
    const int phases = tg__gru_phases(&w->cell);
    gru_step s[GRU_MOST_LOTS];
    const int lots = lots_of(w, time_of(w, phase / phases), mine, s);
    if (lots) tg__gru_forward_phase(&w->cell, phase % phases, lots, s);
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

void tg__gru_forward(tg_context *cx, gru_shape s, gru_weights w, gru_input x, const tg_real *h0,
                     tg_real *h_end, tg_real *y, gru_saved saved, tg_real *panels)
{
    const sequence *q = s.sequence;
    const int threads = tg__team_limit(cx, workers_for(cx, s));
    if (x.row)
        tg__rows_into_parts(cx, q, 3 * s.H, s.I, x.rows, x.x, x.row, w.W_x, saved.gates);
    else
        tg__product_into_parts(cx, q, 3 * s.H, s.I, x.x, w.W_x, saved.gates);
    /* one row reads the weights where they stand as fast as packed */
    sweep all = { .s = s,
                  .cell = tg__gru_cell(NORMAL, s.H, s.reset_after, w, q->B > 1 ? panels : NULL),
                  .phase = forward_phase,
                  .h0 = h0,
                  .y = y,
                  .y_before = y,
                  .saved = saved };
    all.phases = q->steps * tg__gru_phases(&all.cell);
    run_sweep(cx, &all);
    last_states(&all, h_end);
    tg__team_limit(cx, threads);
}

/* ---- backward ---- */

/* Phases of a step, last step first; what goes through the products to the step before needs the whole gradient of
 * the gates, so it is done with the first phase of the step that comes next. */
static void backward_phase(const sweep *w, int phase, share mine)
{
    const sequence *q = w->s.sequence;
    const int phases = tg__gru_phases(&w->cell), k = q->steps - 1 - phase / phases;
    gru_step s[GRU_MOST_LOTS];
    const int later = phase % phases == 0 && k + 1 < q->steps ? lots_of(w, time_of(w, k + 1), mine, s) : 0;
    if (later) tg__gru_backward_products(&w->cell, later, s);
    const int lots = k >= 0 ? lots_of(w, time_of(w, k), mine, s) : 0;
    if (lots) tg__gru_backward_phase(&w->cell, phase % phases, lots, s);
}

/* Each part's dh and drh lie so far from the other's that no core fetches both at once. */
enum { PARTS_APART = 4096 }; /* elements */

size_t tg__gru_backward_scratch(gru_shape s)
{
    const size_t sweeps = 2 * at(s.sequence->B, s.H) + PARTS_APART, gradients = tg__gru_gradients_scratch(s);
    return sweeps > gradients ? sweeps : gradients;
}

/* dh of each part's rows side by side, and back. */
static void take_rows(const sequence *q, int part, int H, const tg_real *dh, tg_real *rows)
{
    const sequence_part p = q->part[part];
    for (int i = 0; i < p.rows; i++)
        memcpy(rows + at(i, H), dh + at(p.first + i * p.apart, H), (size_t)H * sizeof *dh);
}
static void put_rows(const sequence *q, int part, int H, const tg_real *rows, tg_real *dh)
{
    const sequence_part p = q->part[part];
    for (int i = 0; i < p.rows; i++)
        memcpy(dh + at(p.first + i * p.apart, H), rows + at(i, H), (size_t)H * sizeof *dh);
}

void tg__gru_backward(tg_context *cx, gru_shape s, gru_weights w, gru_gradients d, const tg_real *x,
                      const tg_real *h0, const tg_real *y, const tg_real *dy, gru_saved saved, tg_real *dh,
                      bool add_dx, tg_real *dx, tg_real *scratch, tg_real *panels)
{
    const sequence *q = s.sequence;
    const int threads = tg__team_limit(cx, workers_for(cx, s));
    sweep all = { .s = s,
                  .cell = tg__gru_cell(TRANSPOSED, s.H, s.reset_after, w, tg__sweep_packs(q) ? panels : NULL),
                  .phase = backward_phase,
                  .h0 = h0,
                  .y_before = y,
                  .dy = dy,
                  .saved = saved };
    for (int part = 0; part < q->parts; part++) {
        const size_t rows = at(q->part[part].rows, s.H);
        all.dh[part] = scratch;
        all.drh[part] = scratch + rows;
        scratch += 2 * rows + PARTS_APART;
        take_rows(q, part, s.H, dh, all.dh[part]);
    }
    all.phases = q->steps * tg__gru_phases(&all.cell) + 1;
    run_sweep(cx, &all);
    for (int part = 0; part < q->parts; part++) put_rows(q, part, s.H, all.dh[part], dh);

    tg__gru_gradients(cx, s, d, x, h0, y, saved, all.dh[0]);
    if (dx) tg__product_out_of_parts(cx, q, s.I, 3 * s.H, saved.gates, w.W_x, add_dx, dx);
    tg__team_limit(cx, threads);
}
