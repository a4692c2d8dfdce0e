/* layers/embedding.c -- y(t,b) = W[ids(t,b)], zeros for padding. */
#include "kernels/embedding.h"

#include <limits.h>
#include <string.h>

#include "core/check.h"
#include "layers/layer.h"

struct tg_embedding {
    tg_params *ps;
    const char *name;
    tg_tensor *W; /* (V,E) */
};

static tg_embedding nil_embedding;

tg_embedding *tg_embedding_new(tg_params *ps, const char *name, int V, int E)
{
    const param_view_spec view = { "W", 0, E, { TG_INIT_NORMAL, (tg_real)0.1 } };
    ps = tg__params_or_nil(ps);
    if (ps->cx->status || !NAMED(ps->cx, name)) return &nil_embedding;
    const params_mark before = tg__params_mark(ps);
    tg_tensor *W = tg__params_declare(ps, name, 2, (int[]){ V, E }, 1, &view);
    const char *copy = tg__arena_text(&ps->memory, name);
    tg_embedding *l = tg__arena_zeroed(&ps->memory, sizeof *l);
    if (!tg__params_complete(ps, before)) return &nil_embedding;
    *l = (tg_embedding){ ps, copy, W };
    return l;
}

tg_tensor *tg__embedding_table(const tg_embedding *l) { return l->W; }
tg_params *tg__embedding_params(const tg_embedding *l) { return l->ps; }

typedef struct embedding_record {
    tg_tensor *W, *y;
    int n;
    const int *ids;
} embedding_record;

static void embedding_backward(tg_tape *t, void *record)
{
    const embedding_record *r = record;
    tg__embedding_backward(t->cx, r->n, r->W->dim[1], r->ids, r->y->grad, r->W->grad);
}

static const tape_op op_embedding = { TAPE_OP_embedding, embedding_backward };

static bool sizes_hold(const tg_embedding *l, tg_tape *t, const char *who, const int ids[], int T, int B)
{
    if (!tg__layer_ready(l ? l->ps : NULL, l ? l->name : NULL, t, who)) return false;
    if (!ids)
        tg__tape_fail(t, TG_ERR_ARGUMENT, "%s: '%s': ids is NULL", who, l->name);
    else if (T < 1 || B < 1 || (int64_t)T * B > INT_MAX)
        tg__tape_fail(t, TG_ERR_ARGUMENT, "%s: '%s': T is %d and B is %d", who, l->name, T, B);
    return !t->cx->status;
}

bool tg__embedding_ids_hold(const tg_embedding *l, tg_tape *t, const int ids[], int T, int B)
{
    if (!sizes_hold(l, t, "tg_embedding_run", ids, T, B)) return false;
    for (int i = 0; i < T * B; i++)
        if (ids[i] >= l->W->dim[0]) {
            tg__tape_fail(t, TG_ERR_ARGUMENT,
                          "tg_embedding_run: '%s': id %d at step %d of row %d, the table has %d rows",
                          l->name, ids[i], i / B, i % B, l->W->dim[0]);
            return false;
        }
    return true;
}

tg_tensor *tg_embedding_run(tg_embedding *l, tg_tape *t, const int ids[], int T, int B)
{
    if (!tg__embedding_ids_hold(l, t, ids, T, B)) return tg__tape_nil(t);
    const int E = l->W->dim[1], n = T * B;
    tg_tensor *y = tg__tape_tensor(t, 3, (int[]){ T, B, E }, true);
    int *copy = tg__tape_take(t, (size_t)n * sizeof *copy);
    embedding_record *r = tg__tape_take(t, sizeof *r);
    if (t->cx->status) return &t->cx->nil;
    memcpy(copy, ids, (size_t)n * sizeof *copy);
    tg__embedding_forward(t->cx, n, E, copy, l->W->data, y->data);
    *r = (embedding_record){ l->W, y, n, copy };
    return tg__tape_record(t, &op_embedding, r, y, 1, (tg_tensor *[]){ l->W });
}

tg_tensor *tg_embedding_run_batch_first(tg_embedding *l, tg_tape *t, const int ids[], int B, int T)
{
    if (!sizes_hold(l, t, "tg_embedding_run_batch_first", ids, T, B)) return tg__tape_nil(t);
    int *by_time = tg__tape_take(t, (size_t)T * (size_t)B * sizeof *by_time);
    if (!by_time) return &t->cx->nil;
    for (int b = 0; b < B; b++)
        for (int k = 0; k < T; k++) by_time[(size_t)k * B + b] = ids[(size_t)b * T + k];
    return tg_embedding_run(l, t, by_time, T, B);
}
