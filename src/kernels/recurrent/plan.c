/* kernels/recurrent/plan.c -- see plan.h. Everything here is a function of sizes, threads and the machine numbers. */
#include "kernels/recurrent/plan.h"

#include <unistd.h>

#include "core/team.h"
#include "kernels/simd/table.h"

/* How the machine's costs compare. Multiply-adds are per lane of two vectors (the width of a panel), so that a number means
 * about the same time for each instruction set. All were found with `compare.py gru` over its table of sizes, on virtual
 * machines of two cores (AMD Zen 4 and Zen 5, Intel Sapphire Rapids): each is the middle of the range in which nothing got
 * slower. */
static const struct machine_numbers {
    double
        worth_sharing; /* multiply-adds of a layer: less is done faster by one core than its operands move to another */
    double
        worth_meeting; /* multiply-adds of a worker in a phase, so that waiting for the others costs little beside it */
    int shard_rows;      /* rows of a batch from which on it is cut into shards */
    int group_rows;      /* rows of a worker that use each weight often enough once it is in a register */
    int many_rows;       /* rows of a worker that hide reading the weights from the shared cache */
    int unit_panels;     /* panels of units, at least, of a worker */
    long own_cache;      /* bytes: second-level cache of a core, where the system does not tell */
    size_t shared_cache; /* bytes of the last-level cache that a process can count on */
    int hooked_rows,
        hooked_rows_backward; /* rows of a group between hooks whose values stay in the second-level cache */
    int sum_tokens; /* tokens from which on a second sum of weight gradients costs little beside the first */
} machine = {
    .worth_sharing = 524288,
    .worth_meeting = 1250,
    .shard_rows = 16,
    .group_rows = 8,
    .many_rows = 32,
    .unit_panels = 2,
    .own_cache = 1 << 20,
    .shared_cache = 8 << 20,
    .hooked_rows = 128,
    .hooked_rows_backward = 32,
    .sum_tokens = 512,
};

double tg__recurrent_sharing_override;

static int panel_width(void) { return tg__simd()->product->panel_columns; }

static bool worth_sharing(const recurrent_shape *s)
{
    const double width = (double)s->cell->gates * (s->I + s->F) + (double)s->cell->recurrent * s->H,
                 multiply_adds = (double)s->sequence->tokens * s->H * width,
                 enough = machine.worth_sharing * panel_width();
    return multiply_adds >= (tg__recurrent_sharing_override > 0 ? tg__recurrent_sharing_override : enough);
}

/* The shards and sums are functions of the shape and the instruction set alone, since the bits of the gradients depend on
 * them. */
static int shards_of(const recurrent_shape *s)
{
    const bool cut = s->sequence->B >= machine.shard_rows && s->sequence->steps > 1 && worth_sharing(s);
    return cut && !s->hooked ? MOST_SHARDS : 1;
}

/* A single row, or a single step, reads more weights than it multiplies: sharing out the reading always pays. */
static int threads_of(const tg_context *cx, const recurrent_shape *s)
{
    const bool small = s->sequence->steps > 1 && s->sequence->B > 1 && !worth_sharing(s);
    return small && !s->hooked ? 1 : cx->threads;
}

/* ---- the layout of a sweep ----
 *
 * Workers by rows go from the first step to the last without meeting; each reads all recurrent weights. Workers by units read
 * their own columns of the weights, which stay in their second-level caches, and meet after each phase of each step. */

/* Units times rows, in panels, of the busiest worker. */
static double largest_share(const recurrent_shape *s, int row_groups, int unit_groups)
{
    return (double)tg__pieces(tg__pieces(s->H, panel_width()), unit_groups) *
           tg__pieces(s->sequence->B, row_groups);
}

/* Into how many groups of units `workers` workers go, for so many groups of rows: one where a step of a row is not cut. */
static int unit_groups_of(const recurrent_plan *p, int row_groups, int workers)
{
    const recurrent_shape *s = &p->shape;
    if (p->masks.hidden || s->normalizes) return 1;
    const int most = s->H / (machine.unit_panels * panel_width());
    const double step = (double)s->cell->recurrent * s->H * s->H * s->sequence->B;
    int groups = (workers < TEAM_PIECES ? workers : TEAM_PIECES) / row_groups;
    if (groups > most) groups = most;
    while (groups > 1 && step / (row_groups * groups) < machine.worth_meeting * panel_width()) groups--;
    return groups;
}

static double own_cache(void)
{
    const long here = sysconf(_SC_LEVEL2_CACHE_SIZE); /* 0 where the system does not know */
    return (double)(here > machine.own_cache ? here : machine.own_cache);
}

/* With equally many workers either way, rows are better if all weights fit a core's own cache, or if not even the columns of
 * one group of units would and reading them from the shared cache is hidden. */
static bool rows_read_better(const recurrent_shape *s, int groups)
{
    const double weights = (double)s->cell->recurrent * s->H * s->H * sizeof(tg_real);
    return weights <= own_cache() ||
           (weights / groups > own_cache() &&
            (weights <= (double)machine.shared_cache || s->sequence->B / groups >= machine.many_rows));
}

/* Row groups are a multiple of the shards, or one: a worker has rows of one shard, or all rows. */
static void share_out(sweep_layout *l, const recurrent_plan *p)
{
    const recurrent_shape *s = &p->shape;
    const int B = s->sequence->B, shards = p->sequence.shards, threads = p->threads,
              unit_groups = unit_groups_of(p, 1, threads);
    int row_groups = B / machine.group_rows < threads ? B / machine.group_rows : threads;
    row_groups = row_groups < shards ? 1 : row_groups / shards * shards;
    if (row_groups > unit_groups || unit_groups < 2 ||
        (row_groups == unit_groups && rows_read_better(s, row_groups)))
        l->row_groups = row_groups;
    else
        l->unit_groups = unit_groups;
    /* both, where that takes more than a fifth off what the busiest worker has */
    for (int rows = shards; rows <= row_groups; rows += shards) {
        const int units = unit_groups_of(p, rows, threads);
        if (units < 2 ||
            5 * largest_share(s, rows, units) >= 4 * largest_share(s, l->row_groups, l->unit_groups))
            continue;
        l->row_groups = rows;
        l->unit_groups = units;
    }
}

/* Hooked sweeps. Forward no number depends on the groups: one for each worker reads the weights least often. Backward the
 * groups sum gradients of the hooks' own weights, so they are a function of the batch alone. */
static int hooked_groups(const tg_context *cx, int B, transposed direction)
{
    const int backward = tg__pieces(B, machine.hooked_rows_backward),
              most = backward < 2 && B >= 16 ? 2 : backward, least = tg__pieces(B, machine.hooked_rows);
    if (direction == TRANSPOSED) return most;
    return cx->threads < least ? least : cx->threads < most ? cx->threads : most;
}

static sweep_layout layout_of(const tg_context *cx, const recurrent_plan *p, transposed direction)
{
    const recurrent_shape *s = &p->shape;
    const sequence *q = s->sequence;
    /* packing costs about one step of one row; forward, a single row reads the weights as fast where they stand */
    const bool packs =
        direction == NORMAL ? q->B > 1 || (s->hooked && q->steps > 1) : q->steps > 1 || q->B > 1;
    sweep_layout l = { .row_groups = 1, .unit_groups = 1, .packs = packs && s->cell->recurrent };
    if (s->hooked) {
        l.row_groups = hooked_groups(cx, q->B, direction);
        return l;
    }
    /* a product that OpenBLAS computes may have other bits with other columns: it is not shared out */
    if (!packs && (direction == TRANSPOSED || q->B > 1)) return l;
    share_out(&l, p);
    return l;
}

recurrent_plan *tg__recurrent_plan(tg_context *cx, arena *memory, recurrent_shape s, recurrent_masks masks)
{
    const int shards = shards_of(&s);
    const size_t N = (size_t)s.sequence->tokens, H = (size_t)s.H, G = (size_t)s.cell->gates,
                 R = (size_t)s.cell->recurrent;
    recurrent_plan *p = tg__arena_zeroed(memory, sizeof *p);
    int *room = tg__arena_take(memory, tg__sequence_cut_room(s.sequence, shards) * sizeof *room);
    if (!p || !room) return NULL;
    *p = (recurrent_plan){ .shape = s,
                           .masks = masks,
                           .sequence = tg__sequence_cut(s.sequence, shards, room),
                           .threads = threads_of(cx, &s),
                           .gradient_sums = N < (size_t)machine.sum_tokens ? 1 : shards };
    p->shape.sequence = &p->sequence;
    p->forward = layout_of(cx, p, NORMAL);
    p->backward = layout_of(cx, p, TRANSPOSED);
    const struct {
        tg_real **array;
        size_t columns;
    } arrays[] = {
        { &p->gates, G * H },
        { &p->kept, (size_t)s.cell->kept * H },
        { &p->hidden, masks.hidden ? H : 0 },
        { &p->norm_x, s.normalizes ? G * H : 0 },
        { &p->scale_x, s.normalizes ? G : 0 },
        { &p->norm_h, s.normalizes ? R * H : 0 },
        { &p->scale_h, s.normalizes ? R : 0 },
    };
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
        if (arrays[i].columns)
            *arrays[i].array = tg__arena_take(memory, N * arrays[i].columns * sizeof(tg_real));
    return cx->status ? NULL : p;
}
