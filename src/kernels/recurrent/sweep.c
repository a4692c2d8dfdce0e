/* kernels/recurrent/sweep.c -- the loop over the steps, for any cell: forward and backward (plan.h). docs/kernels.md has a
 * drawing of how a sweep is shared out. */
#include <string.h>

#include "core/team.h"
#include "kernels/recurrent/gradients.h"
#include "kernels/recurrent/input.h"
#include "kernels/recurrent/plan.h"
#include "kernels/simd/table.h"

static size_t at(int row, int width) { return (size_t)row * (size_t)width; }

/* The part of a sweep that one worker computes: the units first ... end-1 of every row_step-th row from row to last_row-1, in
 * each of the shards shard ... last_shard-1. */
typedef struct assignment {
    int group, shard, last_shard, row, last_row, row_step, first, end;
    tg_real *packing;
} assignment;

typedef struct sweep {
    const recurrent_plan *p;
    const step_weights *w;
    sweep_layout layout;
    const sweep_hooks *hooks;
    int phases; /* of all steps together */
    void (*phase)(const struct sweep *w, int phase, const assignment *mine);
    const tg_real *const *before; /* for each state (B,H) */
    const tg_real *h;             /* the outputs as they are read: y */
    tg_real *y;                   /* forward only */
    const tg_real *dy;            /* from here on backward only */
    tg_real *d[MOST_SHARDS][CELL_STATES], *retained[MOST_SHARDS][CELL_STATES], *dkept[MOST_SHARDS];
    tg_real *dsum_x, *dsum_h;
    tg_real *packing; /* scratch of the workers, `packing_each` elements each; or NULL */
    size_t packing_each;
} sweep;

static assignment assignment_of(const sweep *w, int worker)
{
    const sequence *q = &w->p->sequence;
    const int group = worker / w->layout.unit_groups, unit_group = worker % w->layout.unit_groups,
              H = w->p->shape.H, width = tg__simd()->product->panel_columns, panels = tg__pieces(H, width),
              end = width * (int)tg__piece_start(panels, w->layout.unit_groups, unit_group + 1);
    assignment mine = { .group = group,
                        .last_shard = q->shards,
                        .last_row = q->B,
                        .row_step = 1,
                        .first = width * (int)tg__piece_start(panels, w->layout.unit_groups, unit_group),
                        .end = end < H ? end : H,
                        .packing = w->packing ? w->packing + (size_t)worker * w->packing_each : NULL };
    if (w->layout.row_groups > 1) {
        /* neighbours in a full batch, and between hooks; otherwise every n-th row, so that nobody gets all the long ones */
        const int groups = w->layout.row_groups / q->shards, k = group % groups;
        const bool neighbours = q->full || w->p->shape.hooked;
        mine.shard = group / groups;
        mine.last_shard = mine.shard + 1;
        const int rows = q->shard[mine.shard].rows;
        mine.row = neighbours ? (int)tg__piece_start(rows, groups, k) : k;
        mine.last_row = neighbours ? (int)tg__piece_start(rows, groups, k + 1) : rows;
        mine.row_step = neighbours ? 1 : groups;
    }
    return mine;
}

static void phase_of_a_worker(void *argument, int phase, int worker)
{
    const sweep *w = argument;
    const assignment mine = assignment_of(w, worker);
    w->phase(w, phase, &mine);
}

/* All phases of rows that no other worker has units of. */
static void all_phases_of_a_worker(void *argument, int worker)
{
    const sweep *w = argument;
    const assignment mine = assignment_of(w, worker);
    for (int phase = 0; phase < w->phases; phase++) w->phase(w, phase, &mine);
}

static void run_sweep(tg_context *cx, arena *memory, sweep *w)
{
    const int workers = w->layout.row_groups * w->layout.unit_groups,
              rows = tg__pieces(w->p->sequence.B, w->layout.row_groups) + 1;
    w->packing_each =
        w->w->packed ? tg__step_packing_room(w->p->shape.cell, w->p->shape.H, rows, MOST_ROW_SETS) : 0;
    if (w->packing_each)
        w->packing = tg__arena_take(memory, (size_t)workers * w->packing_each * sizeof *w->packing);
    if (cx->status) return;
    if (w->layout.unit_groups > 1)
        tg__team_phases(cx, w->phases, workers, phase_of_a_worker, w);
    else
        tg__team_run_by(cx, w->p->shape.hooked ? cx->threads : w->p->threads, workers, all_phases_of_a_worker,
                        w);
}

/* ---- where the arrays of a step are ---- */

/* Step k of a sweep, counted in the order in which it runs forward. */
static int time_of(const sweep *w, int k) { return w->p->shape.reverse ? w->p->sequence.steps - 1 - k : k; }
static int time_before(const sweep *w, int t) { return w->p->shape.reverse ? t + 1 : t - 1; }

/* The rows of a shard at step t are two sets: those that CONTINUE, whose states before are those after the step before, come
 * first; those that START have the states that were given. (Forward all start at once; in reverse a row starts at its last
 * valid step.) */
typedef enum row_set { CONTINUE, START, ROW_SETS } row_set;

static int every(int step, int n) { return step == 1 ? n : tg__pieces(n, step); }

/* A worker's rows of a set: row `first` of the shard and those that follow; 0: there are none. */
static int rows_of(const sweep *w, int t, batch_shard p, row_set set, const assignment *mine, int *first)
{
    const sequence *q = &w->p->sequence;
    const int active = tg__sequence_running(q, p, t), earlier = tg__sequence_running(q, p, time_before(w, t)),
              ran = earlier < active ? earlier : active, start = set == CONTINUE ? 0 : ran,
              running = set == CONTINUE ? ran : active,
              end = running < mine->last_row ? running : mine->last_row;
    if (start >= end) return 0;
    *first = mine->row + (mine->row < start ? every(mine->row_step, start - mine->row) : 0) * mine->row_step;
    return *first < end ? every(mine->row_step, end - *first) : 0;
}

static const tg_real *state_before(const sweep *w, int k, int t, int shard, row_set set, int row, int first,
                                   size_t *stride)
{
    const recurrent_plan *p = w->p;
    const sequence *q = &p->sequence;
    const int H = p->shape.H, apart = q->shard[shard].apart, kept = p->shape.cell->kept;
    const int before = time_before(w, t);
    *stride = at(apart, set == START ? H : p->shape.y_stride);
    if (set == START) return w->before[k] + at(row, H);
    if (k == 0) return w->h + at(q->offset[before] + row, p->shape.y_stride);
    *stride = at(kept, H); /* kept values are in shard order */
    return p->kept + at(q->shard[shard].token[before] + first, kept * H) + at(k - 1, H);
}

static tg_real *rows_in(tg_real *array, int token, size_t width)
{
    return array ? array + (size_t)token * width : NULL;
}

/* A worker's rows of a set, and where their arrays are; false: there are none. */
static bool step_rows_of(const sweep *w, int t, int shard, row_set set, const assignment *mine, step_rows *s)
{
    const recurrent_plan *p = w->p;
    const sequence *q = &p->sequence;
    const batch_shard part = q->shard[shard];
    int first;
    const int rows = rows_of(w, t, part, set, mine, &first);
    if (!rows) return false;
    const recurrent_cell *cell = p->shape.cell;
    const int row = part.first + first * part.apart, token = part.token[t] + first,
              packed = q->offset[t] + row;
    const size_t H = (size_t)p->shape.H, apart = (size_t)part.apart, y_stride = (size_t)p->shape.y_stride,
                 G = (size_t)cell->gates, R = (size_t)cell->recurrent;
    *s = (step_rows){ .cell = { .rows = rows,
                                .row_step = mine->row_step,
                                .H = p->shape.H,
                                .first = mine->first,
                                .end = mine->end,
                                .gate_columns = cell->gates,
                                .kept_columns = cell->kept,
                                .b = w->w->w.b,
                                .b_h = w->w->w.b_h,
                                .gates = rows_in(p->gates, token, G * H),
                                .kept = rows_in(p->kept, token, (size_t)cell->kept * H),
                                .y = rows_in(w->y, packed, y_stride),
                                .y_stride = apart * y_stride },
                      .packing = mine->packing,
                      .dy = w->dy ? w->dy + (size_t)packed * y_stride : NULL,
                      .dkept = rows_in(w->dkept[shard], first, H) };
    for (int k = 0; k < cell->states; k++) {
        s->cell.before[k] = state_before(w, k, t, shard, set, row, first, &s->cell.before_stride[k]);
        s->cell.d[k] = rows_in(w->d[shard][k], first, H);
        s->retained[k] = rows_in(w->retained[shard][k], first, H);
        if (p->masks.zoneout[k]) s->zoneout[k] = p->masks.zoneout[k] + (size_t)packed * H;
    }
    s->zoneout_stride = apart * H;
    if (p->masks.hidden) {
        s->hidden_mask = p->masks.hidden + (size_t)row * H;
        s->hidden_mask_stride = apart * H;
        s->hidden = rows_in(p->hidden, token, H);
    }
    if (!p->shape.normalizes) return true;
    s->norm_x = rows_in(p->norm_x, token, G * H);
    s->norm_h = rows_in(p->norm_h, token, R * H);
    s->scale_x = rows_in(p->scale_x, token, G);
    s->scale_h = rows_in(p->scale_h, token, R);
    s->dsum_x = rows_in(w->dsum_x, token, G * H);
    s->dsum_h = rows_in(w->dsum_h, token, R * H);
    return true;
}

/* All rows of a worker at step t, as row sets; returns how many sets. */
static int row_sets_of(const sweep *w, int t, const assignment *mine, step_rows s[MOST_ROW_SETS])
{
    int sets = 0;
    for (int shard = mine->shard; shard < mine->last_shard; shard++)
        for (row_set set = CONTINUE; set < ROW_SETS; set++)
            if (step_rows_of(w, t, shard, set, mine, &s[sets])) sets++;
    return sets;
}

static void call_hook(const sweep *w, void (*hook)(void *user, const hook_rows *r), const assignment *mine,
                      int t, int sets, const step_rows s[])
{
    for (int i = 0; i < sets; i++) {
        const int first = mine->row;
        hook(w->hooks->user, &(hook_rows){ .group = mine->group,
                                           .first = first,
                                           .rows = s[i].cell.rows,
                                           .token = w->p->sequence.offset[t] + first,
                                           .gates = s[i].dsum_x ? s[i].dsum_x : s[i].cell.gates,
                                           .h_before = s[i].cell.before[0],
                                           .dh = s[i].cell.d[0] });
    }
}

/* ---- forward ---- */

static void forward_phase(const sweep *w, int phase, const assignment *mine)
{
    const int phases = w->p->shape.cell->phases, t = time_of(w, phase / phases);
    step_rows s[MOST_ROW_SETS];
    const int sets = row_sets_of(w, t, mine, s);
    if (!sets) return;
    if (w->hooks && phase % phases == 0) call_hook(w, w->hooks->before, mine, t, sets, s);
    tg__step_forward(w->w, phase % phases, sets, s);
    if (w->hooks && phase % phases == phases - 1) call_hook(w, w->hooks->after, mine, t, sets, s);
}

/* Where row i of the packed order is in shard order at step t. */
static int token_of(const sequence *q, int t, int i)
{
    int k = 0;
    while (k + 1 < q->shards && (q->full ? i >= q->shard[k + 1].first : i % q->shards != k)) k++;
    return q->shard[k].token[t] + (i - q->shard[k].first) / q->shard[k].apart;
}

/* Of each row the states after the last step that it ran; those before if it never did. */
static void take_last_states(const sweep *w, tg_real *const after[])
{
    const recurrent_plan *p = w->p;
    const sequence *q = &p->sequence;
    const int H = p->shape.H, kept = p->shape.cell->kept;
    const size_t row = (size_t)H * sizeof(tg_real);
    for (int k = 0; k < p->shape.cell->states; k++)
        for (int i = 0, t = q->steps - 1; i < q->B; i++) {
            while (t >= 0 && q->active[t] <= i) t--;
            const int last = t < 0 || !p->shape.reverse ? t : 0;
            const tg_real *state = last < 0 ? w->before[k] + at(i, H)
                                   : k == 0 ? w->h + at(q->offset[last] + i, p->shape.y_stride)
                                            : p->kept + at(token_of(q, last, i), kept * H) + at(k - 1, H);
            if (state != after[k] + at(i, H)) memcpy(after[k] + at(i, H), state, row);
        }
}

void tg__recurrent_sweep(tg_context *cx, arena *memory, recurrent_plan *p, const step_weights *weights,
                         const tg_real *const before[], tg_real *y, tg_real *const after[],
                         const sweep_hooks *hooks)
{
    const arena_mark mark = tg__arena_mark(memory);
    sweep w = { .p = p,
                .w = weights,
                .layout = p->forward,
                .hooks = hooks,
                .phases = p->sequence.steps * p->shape.cell->phases,
                .phase = forward_phase,
                .before = before,
                .h = y,
                .y = y };
    run_sweep(cx, memory, &w);
    if (!cx->status) take_last_states(&w, after);
    tg__arena_rewind(memory, mark);
}

/* The recurrent weights for one direction of a sweep, packed into the arena if that pays. */
static bool take_weights(tg_context *cx, arena *memory, const recurrent_plan *p, transposed direction,
                         bool packs, recurrent_weights raw, step_weights *w)
{
    tg_real *room = NULL;
    if (packs) room = tg__arena_take(memory, tg__step_weights_room(p->shape.cell, p->shape.H) * sizeof *room);
    if (cx->status) return false;
    *w = tg__step_weights(direction, p->shape.cell, p->shape.H, raw, room);
    const sweep_layout l = direction == NORMAL ? p->forward : p->backward;
    tg__step_weights_pack(cx, p->shape.hooked || l.row_groups * l.unit_groups > 1 ? cx->threads : 1, w);
    return true;
}

void tg__recurrent_forward(tg_context *cx, arena *memory, recurrent_plan *p, recurrent_weights raw,
                           const tg_real *x, const tg_real *const before[], tg_real *y,
                           tg_real *const after[], const sweep_hooks *hooks)
{
    const arena_mark mark = tg__arena_mark(memory);
    step_weights w;
    tg__recurrent_input(cx, memory, p, raw.W_x, x);
    if (take_weights(cx, memory, p, NORMAL, p->forward.packs, raw, &w))
        tg__recurrent_sweep(cx, memory, p, &w, before, y, after, hooks);
    tg__arena_rewind(memory, mark);
}

/* ---- backward ---- */

/* The last step comes first. What goes back through the products of a step needs the gradients of all its gates, so it is
 * computed at the beginning of the next phase, after the workers have met. */
static void backward_phase(const sweep *w, int phase, const assignment *mine)
{
    const int phases = w->p->shape.cell->phases, steps = w->p->sequence.steps, k = steps - 1 - phase / phases;
    step_rows s[MOST_ROW_SETS];
    if (phase % phases == 0 && k + 1 < steps) {
        const int t = time_of(w, k + 1), later = row_sets_of(w, t, mine, s);
        if (later) tg__step_backward_products(w->w, later, s);
        if (later && w->hooks) call_hook(w, w->hooks->after, mine, t, later, s);
    }
    if (k < 0) return;
    const int t = time_of(w, k), sets = row_sets_of(w, t, mine, s);
    if (!sets) return;
    if (w->hooks && phase % phases == 0) call_hook(w, w->hooks->before, mine, t, sets, s);
    tg__step_backward(w->w, phase % phases, sets, s);
}

/* The rows of a shard side by side, and back. */
static void take_shard_rows(batch_shard p, int H, const tg_real *all, tg_real *rows)
{
    for (int i = 0; i < p.rows; i++)
        memcpy(rows + at(i, H), all + at(p.first + i * p.apart, H), (size_t)H * sizeof *all);
}
static void put_shard_rows(batch_shard p, int H, const tg_real *rows, tg_real *all)
{
    for (int i = 0; i < p.rows; i++)
        memcpy(all + at(p.first + i * p.apart, H), rows + at(i, H), (size_t)H * sizeof *all);
}

/* Scratch of the sweep. The arrays of the shards lie so far apart that the prefetcher of one worker's core does not take cache
 * lines of the other's. */
static bool take_scratch(tg_context *cx, arena *memory, sweep *w)
{
    enum { SHARDS_APART = 4096 }; /* elements */
    const recurrent_plan *p = w->p;
    const recurrent_cell *cell = p->shape.cell;
    const size_t N = (size_t)p->sequence.tokens, H = (size_t)p->shape.H;
    for (int k = 0; k < p->sequence.shards; k++) {
        const size_t rows = at(p->sequence.shard[k].rows, p->shape.H);
        tg_real *room =
            tg__arena_take(memory, (rows * (2 * (size_t)cell->states + 1) + SHARDS_APART) * sizeof *room);
        if (!room) return false;
        w->dkept[k] = room;
        for (int state = 0; state < cell->states; state++) {
            w->d[k][state] = room + (size_t)(1 + 2 * state) * rows;
            w->retained[k][state] = room + (size_t)(2 + 2 * state) * rows;
        }
    }
    if (!p->shape.normalizes) return true;
    w->dsum_x = tg__arena_take(memory, N * (size_t)cell->gates * H * sizeof(tg_real));
    w->dsum_h = tg__arena_take(memory, N * (size_t)cell->recurrent * H * sizeof(tg_real));
    return !cx->status;
}

void tg__recurrent_backward(tg_context *cx, arena *memory, recurrent_plan *p, recurrent_weights raw,
                            recurrent_gradients dw, const tg_real *x, const tg_real *fed,
                            const tg_real *const before[], const tg_real *y, const tg_real *dy,
                            tg_real *const d[], bool add_dx, tg_real *dx, const sweep_hooks *hooks)
{
    const arena_mark mark = tg__arena_mark(memory);
    const sequence *q = &p->sequence;
    const int H = p->shape.H;
    step_weights weights;
    sweep w = { .p = p,
                .w = &weights,
                .layout = p->backward,
                .hooks = hooks,
                .phases = q->steps * p->shape.cell->phases + 1,
                .phase = backward_phase,
                .before = before,
                .h = y,
                .dy = dy };
    if (take_weights(cx, memory, p, TRANSPOSED, p->backward.packs, raw, &weights) &&
        take_scratch(cx, memory, &w)) {
        const arena_mark swept = tg__arena_mark(memory);
        for (int s = 0; s < q->shards; s++)
            for (int k = 0; k < p->shape.cell->states; k++) take_shard_rows(q->shard[s], H, d[k], w.d[s][k]);
        run_sweep(cx, memory, &w);
        for (int s = 0; s < q->shards; s++)
            for (int k = 0; k < p->shape.cell->states; k++) put_shard_rows(q->shard[s], H, w.d[s][k], d[k]);
        tg__arena_rewind(memory, swept);
    }
    if (!cx->status)
        tg__recurrent_gradients(cx, memory, p, w.dsum_x, w.dsum_h, dw,
                                (recurrent_operands){ .x = x, .fed = fed, .before = before[0], .y = y });
    if (!cx->status && dx)
        tg__recurrent_input_backward(cx, memory, p, raw.W_x, w.dsum_x ? w.dsum_x : p->gates, add_dx, dx);
    tg__arena_rewind(memory, mark);
}
