/* tests/checkpoint_fixture.h -- a run in the middle: parameters, an optimizer, and all else that is saved. */
#ifndef CHECKPOINT_FIXTURE_H
#define CHECKPOINT_FIXTURE_H

#include <tidegate/checkpoint.h>

#include "check_main.h"
#include "core/context.h"
#include "file_fixture.h"
#include "optim/optimizer.h"
#include "params/params.h"
#include "tensor/archive.h"

/* An allocator that can refuse, and knows what it owes. */
static long allocations, refuse_at, live;

static void *counting_allocate(void *user, size_t n)
{
    (void)user;
    allocations++;
    if (refuse_at && allocations == refuse_at) return NULL;
    void *p = malloc(n);
    if (p) live++;
    return p;
}

static void counting_release(void *user, void *block)
{
    (void)user;
    if (block) live--;
    free(block);
}

typedef struct run_config {
    uint64_t seed;
    const char *optimizer; /* "adam" */
    int inputs;            /* of W_x (inputs,3*4); 3 */
    int batch;             /* of the state (1,batch,4); 2 */
    bool more, less;       /* a parameter more, "out/b"; or "cell/b" is missing */
} run_config;

typedef struct run {
    tg_context *cx;
    tg_params *ps;
    tg_optimizer *o;
    tg_schedule schedule;
    tg_progress progress;
    tg_state state[2];
    tg_checkpoint all; /* of these */
} run;

/* Into *r, which stays where it is: r->all points into it. */
static void run_new(run *r, run_config c)
{
    const tg_init uniform = { .kind = TG_INIT_UNIFORM };
    memset(r, 0, sizeof *r);
    r->cx = tg_context_new(&(tg_context_config){
        .seed = c.seed, .threads = 1, .allocate = counting_allocate, .release = counting_release });
    r->ps = tg_params_new(r->cx);
    tg__params_declare(r->ps, "cell", 2, (int[]){ c.inputs ? c.inputs : 3, 12 }, 3,
                       (param_view_spec[]){
                           { "W_xz", 0, 4, uniform }, { "W_xr", 4, 4, uniform }, { "W_xg", 8, 4, uniform } });
    if (!c.less) tg_parameter_new(r->ps, "cell/b", 1, (int[]){ 5 }, uniform);
    tg_parameter_new(r->ps, "temperature", 0, NULL, uniform);
    if (c.more) tg_parameter_new(r->ps, "out/b", 1, (int[]){ 2 }, uniform);
    r->o = tg_optimizer_new(r->ps, c.optimizer ? c.optimizer : "adam", (tg_real)0.01, 0);
    for (int i = 0; i < 2; i++)
        r->state[i].h = tg_tensor_new(r->cx, 3, (int[]){ 1, c.batch ? c.batch : 2, 4 });
    ck_assert_msg(tg_context_ok(r->cx), "%s", tg_context_message(r->cx));
    r->all = (tg_checkpoint){ .params = r->ps,
                              .optimizer = r->o,
                              .schedule = &r->schedule,
                              .states = r->state,
                              .n_states = 2,
                              .progress = &r->progress,
                              .task = "test" };
}

static void run_free(run *r) { tg_context_free(r->cx); }

/* Steps with gradients that depend on the step alone; the padding between the blocks has none. */
static void run_on(run *r, int steps)
{
    for (int k = 0; k < steps; k++) {
        for (param_block *b = r->ps->first; b; b = b->next)
            for (size_t i = 0, n = tg__size(&b->x); i < n; i++)
                b->x.grad[i] = (tg_real)((int)((i * 7 + (size_t)tg_context_step(r->cx) * 3) % 11) - 5) / 8;
        ck_assert_int_eq(tg_optimizer_step(r->o), TG_OK);
    }
    for (int i = 0; i < 2; i++)
        for (size_t k = 0; k < tg__size(r->state[i].h); k++)
            r->state[i].h->data[k] += (tg_real)(i + 1) * (tg_real)k / 3;
    r->progress = (tg_progress){ .step = tg_context_step(r->cx),
                                 .epoch = 2,
                                 .position = 3,
                                 .skipped = 4,
                                 .bad_streak = 5,
                                 .validated = true,
                                 .best = 0.1,
                                 .best_step = 6,
                                 .waited = 7,
                                 .last_valid = 0.3,
                                 .sum_loss = 1.25,
                                 .sum_units = 17,
                                 .sum_norm = 0.7,
                                 .sum_steps = 8 };
    r->schedule = (tg_schedule){ .kind = TG_PLATEAU,
                                 .lr = (tg_real)0.1,
                                 .warmup = 9,
                                 .period = 10,
                                 .gamma = (tg_real)0.3,
                                 .min = (tg_real)1e-5,
                                 .patience = 11,
                                 .best = 0.7,
                                 .bad = 12,
                                 .drops = 13,
                                 .seen = true };
}

/* All that a checkpoint can hold of a run, as bytes: equal bytes, equal state. */
static bytes run_bytes(const run *r)
{
    ck_assert_msg(tg_checkpoint_save(in_folder("snapshot.h5"), &r->all) == TG_OK, "%s",
                  tg_context_message(r->cx));
    const bytes b = bytes_of(in_folder("snapshot.h5"));
    unlink(in_folder("snapshot.h5"));
    return b;
}

static bool __attribute__((unused)) same_run(const run *a, const run *b)
{
    const bytes x = run_bytes(a), y = run_bytes(b);
    const bool same = same_bytes(x, y);
    free(x.data);
    free(y.data);
    return same;
}

#endif
