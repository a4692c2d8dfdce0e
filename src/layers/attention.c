/* layers/attention.c -- attention over a memory; equations in tidegate/attention.h, one look in kernels/attention.h. */
#include "layers/attention.h"

#include <limits.h>
#include <math.h>
#include <string.h>

#include "core/check.h"
#include "kernels/matmul.h"

static tg_attention nil_attention;

const char *tg_attention_kind_name(tg_attention_kind kind)
{
    static const char *const name[] = { "none", "additive", "dot", "general" };
    return kind >= TG_ATTENTION_NONE && kind <= TG_ATTENTION_GENERAL ? name[kind] : "unknown attention";
}

/* ---- making ---- */

bool tg__attention_holds(tg_context *cx, const char *who, const char *name, int Q, int M,
                         const tg_attention_config *c)
{
    if (cx->status) return false;
    if (c->kind < TG_ATTENTION_ADDITIVE || c->kind > TG_ATTENTION_GENERAL)
        tg_context_fail(cx, TG_ERR_ARGUMENT, "%s: '%s': there is no attention of kind %d", who, name,
                        (int)c->kind);
    else if (Q < 1 || M < 1 || c->units < 0)
        tg_context_fail(cx, TG_ERR_ARGUMENT, "%s: '%s': query size %d, memory size %d, %d units", who, name,
                        Q, M, c->units);
    else if (c->kind == TG_ATTENTION_DOT && Q != M)
        tg_context_fail(
            cx, TG_ERR_SHAPE,
            "%s: '%s': dot takes queries and memory of one size, they are %d and %d: general takes any", who,
            name, Q, M);
    return !cx->status;
}

static tg_tensor *declare(const tg_attention *l, const char *name, int rows, int columns, tg_init init)
{
    const param_view_spec view = { name, 0, columns, init };
    return tg__params_declare(l->ps, l->name, rows ? 2 : 1, rows ? (int[]){ rows, columns } : &columns, 1,
                              &view);
}

tg_attention *tg_attention_new(tg_params *ps, const char *name, int Q, int M,
                               const tg_attention_config *config)
{
    const tg_attention_config c = config ? *config : (tg_attention_config){ 0 };
    const tg_init glorot = { TG_INIT_GLOROT, 0 }, zeros = { TG_INIT_ZEROS, 0 };
    ps = tg__params_or_nil(ps);
    if (ps->cx->status || !NAMED(ps->cx, name)) return &nil_attention;
    if (!tg__attention_holds(ps->cx, "tg_attention_new", name, Q, M, &c)) return &nil_attention;
    const params_mark before = tg__params_mark(ps);
    tg_attention *l = tg__arena_zeroed(&ps->memory, sizeof *l);
    const char *copy = tg__arena_text(&ps->memory, name);
    if (!l || !copy) return &nil_attention;
    tg_attention made = { .ps = ps, .name = copy, .config = c, .Q = Q, .M = M };
    made.D = c.kind == TG_ATTENTION_ADDITIVE && c.units ? c.units : Q;
    const tg_init v = { TG_INIT_UNIFORM, (tg_real)(1 / sqrt(made.D)) };
    if (c.kind == TG_ATTENTION_ADDITIVE) made.W_q = declare(&made, "W_q", Q, made.D, glorot);
    if (c.kind != TG_ATTENTION_DOT) made.W_k = declare(&made, "W_k", M, made.D, glorot);
    if (c.kind == TG_ATTENTION_ADDITIVE) made.v = declare(&made, "v", 0, made.D, v);
    if (c.coverage) made.w = declare(&made, "w", 0, made.D, zeros);
    if (!tg__params_complete(ps, before)) return &nil_attention;
    *l = made;
    return l;
}

/* ---- the memory, and its keys k = m W_k ---- */

static size_t times(int a, int b) { return (size_t)a * (size_t)b; }

static tg_real *copy_of(tg_tape *t, const tg_tensor *x)
{
    tg_real *copy = tg__tape_take(t, tg__size(x) * sizeof *copy);
    return copy ? memcpy(copy, x->data, tg__size(x) * sizeof *copy) : NULL;
}

typedef struct keys_record {
    const tg_attention *l;
    tg_tensor *rows, *keys;
    const tg_real *m; /* what the rows hold, but never NaN in padding */
} keys_record;

static void keys_backward(tg_tape *t, void *record)
{
    const keys_record *r = record;
    const int M = r->l->M, D = r->l->D, N = (int)tg__rows(r->rows);
    const tg_tensor *W_k = r->l->W_k;
    if (r->rows->grad)
        tg__matmul(t->cx, NORMAL, TRANSPOSED, N, M, D, r->keys->grad, D, W_k->data, D, NULL, 1, r->rows->grad,
                   M);
    tg__matmul(t->cx, TRANSPOSED, NORMAL, M, D, N, r->m, M, r->keys->grad, D, NULL, 1, W_k->grad, D);
}

/* The rows as they are; or, if padding holds numbers that are not finite, whose products with zeros would be NaN, a copy with
 * zeros there. */
static const tg_real *rows_to_multiply(tg_tape *t, const tg_tensor *rows, const int lengths[])
{
    const int S = rows->dim[0], B = rows->dim[1];
    const size_t M = (size_t)rows->dim[2];
    tg_real *copy = NULL;
    for (int b = 0; lengths && b < B; b++)
        for (int s = lengths[b] < 0 ? 0 : lengths[b]; s < S; s++) {
            const size_t at = (times(s, B) + (size_t)b) * M;
            if (tg__first_nonfinite(rows->data + at, M) == M) continue;
            if (!copy && !(copy = copy_of(t, rows))) return NULL;
            memset(copy + at, 0, M * sizeof *copy);
        }
    return copy ? copy : rows->data;
}

static const tape_op op_attention_keys = { TAPE_OP_attention_keys, keys_backward };

tg_memory tg_attention_memory(tg_attention *l, tg_tape *t, tg_tensor *rows, const int lengths[])
{
    const tg_memory none = { tg__tape_nil(t), tg__tape_nil(t), lengths };
    if (!tg__layer_ready(l ? l->ps : NULL, l ? l->name : NULL, t, "tg_attention_memory") ||
        !tg__tape_takes(t, "tg_attention_memory", "rows", rows))
        return none;
    if (rows->rank != 3 || rows->dim[2] != l->M || tg__rows(rows) > INT_MAX) {
        tg_context_fail(t->cx, TG_ERR_SHAPE, "tg_attention_memory: '%s': the memory is %s, it takes [S,B,%d]",
                        l->name, tg__shape(rows).s, l->M);
        return none;
    }
    if (!l->W_k) return (tg_memory){ rows, rows, lengths };
    tg_tensor *keys = tg__tape_tensor(t, 3, (int[]){ rows->dim[0], rows->dim[1], l->D }, true);
    keys_record *r = tg__tape_take(t, sizeof *r);
    const tg_real *m = rows_to_multiply(t, rows, lengths);
    if (t->cx->status) return none;
    tg__matmul(t->cx, NORMAL, NORMAL, (int)tg__rows(rows), l->D, l->M, m, l->M, l->W_k->data, l->D, NULL, 0,
               keys->data, l->D);
    *r = (keys_record){ l, rows, keys, m };
    keys = tg__tape_record(t, &op_attention_keys, r, keys, 2, (tg_tensor *[]){ rows, l->W_k });
    return (tg_memory){ rows, keys, lengths };
}

/* ---- what runs share ---- */

const int *tg__attention_lengths(const tg_attention *l, tg_tape *t, const char *who, const tg_memory *memory)
{
    const int S = memory->rows->dim[0], B = memory->rows->dim[1];
    int *lengths = tg__tape_take(t, (size_t)B * sizeof *lengths);
    for (int b = 0; lengths && b < B; b++) {
        lengths[b] = memory->lengths ? memory->lengths[b] : S;
        if (lengths[b] < 0 || lengths[b] > S) {
            tg_context_fail(t->cx, TG_ERR_ARGUMENT,
                            "%s: '%s': the memory's length of row %d is %d, outside 0..%d", who, l->name, b,
                            lengths[b], S);
            return NULL;
        }
    }
    return lengths;
}

bool tg__attention_fits(const tg_attention *l, tg_tape *t, const char *who, const tg_memory *memory, int B)
{
    if (!memory) tg_context_fail(t->cx, TG_ERR_ARGUMENT, "%s: memory is NULL", who);
    if (!memory || !tg__tape_takes(t, who, "memory->rows", memory->rows) ||
        !tg__tape_takes(t, who, "memory->keys", memory->keys))
        return false;
    const tg_tensor *m = memory->rows, *k = memory->keys;
    const bool fits = m->rank == 3 && k->rank == 3 && m->dim[0] == k->dim[0] && m->dim[1] == B &&
                      k->dim[1] == B && m->dim[2] == l->M && k->dim[2] == l->D;
    if (!fits)
        tg_context_fail(t->cx, TG_ERR_SHAPE,
                        "%s: '%s': memory %s with keys %s, for %d rows it takes [S,%d,%d] and [S,%d,%d]", who,
                        l->name, tg__shape(m).s, tg__shape(k).s, B, B, l->M, B, l->D);
    return fits;
}

attention_memory tg__attention_of(const tg_attention *l, const tg_memory *memory, const int *lengths)
{
    return (attention_memory){ .S = memory->rows->dim[0],
                               .B = memory->rows->dim[1],
                               .D = l->D,
                               .M = l->M,
                               .lengths = lengths,
                               .memory = memory->rows->data,
                               .keys = memory->keys->data,
                               .v = l->v ? l->v->data : NULL,
                               .w = l->w ? l->w->data : NULL };
}

bool tg__attention_gradients(const tg_attention *l, tg_tape *t, const tg_memory *memory, int blocks,
                             attention_gradients *d)
{
    const size_t bytes = (size_t)blocks * (size_t)l->D * sizeof(tg_real);
    *d = (attention_gradients){ memory->rows->grad, memory->keys->grad,
                                l->v ? tg__arena_zeroed(&t->memory, bytes) : NULL,
                                l->w ? tg__arena_zeroed(&t->memory, bytes) : NULL };
    if (!d->keys) d->keys = tg__arena_zeroed(&t->memory, tg__size(memory->keys) * sizeof(tg_real));
    return !t->cx->status;
}

void tg__attention_gradients_join(const tg_attention *l, tg_context *cx, int blocks, attention_gradients d)
{
    if (l->v) tg__add_rows(cx, blocks, l->D, d.v, l->D, l->v->grad);
    if (l->w) tg__add_rows(cx, blocks, l->D, d.w, l->D, l->w->grad);
}

/* ---- T queries ---- */

typedef struct attention_record {
    const tg_attention *l;
    tg_memory memory;
    attention_memory x;
    tg_tensor *query, *c;
    const tg_real *q;  /* (T,B,D): projected */
    tg_real *a;        /* (T,B,S) */
    tg_real *coverage; /* (T,B,S): before each query; NULL: none */
    int T, blocks;
    attention_gradients d; /* backward */
    tg_real *dq, *dcoverage, *scratch;
} attention_record;

static void forward_block(void *argument, int block)
{
    const attention_record *r = argument;
    const attention_memory *x = &r->x;
    const int first = (int)tg__piece_start(x->B, r->blocks, block),
              last = (int)tg__piece_start(x->B, r->blocks, block + 1);
    for (int t = 0; t < r->T; t++)
        for (int b = first; b < last; b++) {
            const size_t row = times(t, x->B) + (size_t)b, S = (size_t)x->S;
            tg_real *a = r->a + row * S, *coverage = r->coverage ? r->coverage + row * S : NULL;
            const size_t before = row - (size_t)x->B;
            for (size_t s = 0; coverage && s < S; s++)
                coverage[s] = t ? r->coverage[before * S + s] + r->a[before * S + s] : 0;
            tg__attention_look(x, b, r->q + row * (size_t)x->D, coverage, a, r->c->data + row * (size_t)x->M);
        }
}

static void backward_block(void *argument, int block)
{
    const attention_record *r = argument;
    const attention_memory *x = &r->x;
    const size_t S = (size_t)x->S, D = (size_t)x->D;
    const int first = (int)tg__piece_start(x->B, r->blocks, block),
              last = (int)tg__piece_start(x->B, r->blocks, block + 1);
    attention_gradients d = r->d;
    if (d.v) d.v += (size_t)block * D;
    if (d.w) d.w += (size_t)block * D;
    for (int t = r->T - 1; t >= 0; t--)
        for (int b = first; b < last; b++) {
            const size_t row = times(t, x->B) + (size_t)b;
            tg__attention_look_backward(x, b, r->q + row * D, r->coverage ? r->coverage + row * S : NULL,
                                        r->a + row * S, r->c->grad + row * (size_t)x->M, d,
                                        r->coverage ? r->dcoverage + (size_t)b * S : NULL, r->dq + row * D,
                                        r->scratch + (size_t)b * S);
        }
}

static void attention_backward(tg_tape *t, void *record)
{
    attention_record *r = record;
    const tg_attention *l = r->l;
    const int Q = l->Q, D = l->D, N = r->T * r->x.B;
    const size_t rows = times(r->x.B, r->x.S) * sizeof(tg_real);
    const bool own = l->W_q || !r->query->grad; /* otherwise the query's gradient is where dq adds up */
    r->dq = own ? tg__arena_zeroed(&t->memory, times(N, D) * sizeof *r->dq) : r->query->grad;
    r->dcoverage = tg__arena_zeroed(&t->memory, rows);
    r->scratch = tg__tape_take(t, rows);
    if (!tg__attention_gradients(l, t, &r->memory, r->blocks, &r->d)) return;
    tg__team_run(t->cx, r->blocks, backward_block, r);
    tg__attention_gradients_join(l, t->cx, r->blocks, r->d);
    if (!l->W_q) return;
    if (r->query->grad)
        tg__matmul(t->cx, NORMAL, TRANSPOSED, N, Q, D, r->dq, D, l->W_q->data, D, NULL, 1, r->query->grad, Q);
    tg__matmul(t->cx, TRANSPOSED, NORMAL, Q, D, N, r->query->data, Q, r->dq, D, NULL, 1, l->W_q->grad, D);
}

static const tape_op op_attention = { TAPE_OP_attention, attention_backward };

/* The outputs are there. The rest is needed until the end of backward. */
static void run_between(tg_attention *l, tg_tape *t, tg_tensor *query, const tg_memory *memory, tg_tensor *c,
                        tg_tensor *a)
{
    const int T = query->dim[0], B = query->dim[1], D = l->D, S = memory->rows->dim[0];
    const int *lengths = tg__attention_lengths(l, t, "tg_attention_run", memory);
    attention_record *r = tg__tape_take(t, sizeof *r);
    tg_real *q = l->W_q ? tg__tape_take(t, times(T, B) * (size_t)D * sizeof *q) : query->data;
    tg_real *coverage = l->w ? tg__tape_take(t, times(T, B) * (size_t)S * sizeof *coverage) : NULL;
    if (t->cx->status) return;
    *r = (attention_record){ .l = l,
                             .memory = *memory,
                             .x = tg__attention_of(l, memory, lengths),
                             .query = query,
                             .c = c,
                             .q = q,
                             .a = a->data,
                             .coverage = coverage,
                             .T = T,
                             .blocks = tg__pieces(B, 8) };
    if (l->W_q)
        tg__matmul(t->cx, NORMAL, NORMAL, T * B, D, l->Q, query->data, l->Q, l->W_q->data, D, NULL, 0, q, D);
    tg__team_run(t->cx, r->blocks, forward_block, r);
    tg__tape_record(t, &op_attention, r, c, 6,
                    (tg_tensor *[]){ query, memory->rows, memory->keys, l->W_q, l->v, l->w });
}

tg_tensor *tg_attention_run(tg_attention *l, tg_tape *t, tg_tensor *query, const tg_memory *memory,
                            tg_tensor **weights)
{
    static const char who[] = "tg_attention_run";
    if (weights) *weights = tg__tape_nil(t);
    if (!tg__layer_ready(l ? l->ps : NULL, l ? l->name : NULL, t, who) ||
        !tg__tape_takes(t, who, "query", query))
        return tg__tape_nil(t);
    if (query->rank != 3 || query->dim[2] != l->Q || tg__rows(query) > INT_MAX)
        return tg__tape_fail(t, TG_ERR_SHAPE, "%s: '%s': the queries are %s, it takes [T,B,%d]", who, l->name,
                             tg__shape(query).s, l->Q);
    const int T = query->dim[0], B = query->dim[1];
    if (!tg__attention_fits(l, t, who, memory, B)) return &t->cx->nil;
    const int S = memory->rows->dim[0];
    tg_tensor *c = tg__tape_tensor(t, 3, (int[]){ T, B, l->M }, true);
    tg_tensor *a = tg__tape_tensor(t, 3, (int[]){ T, B, S }, false);
    if (t->cx->status) return &t->cx->nil;
    const arena_mark mark = tg__arena_mark(&t->memory);
    run_between(l, t, query, memory, c, a);
    if (t->mode == TG_EVAL) tg__arena_rewind(&t->memory, mark);
    if (t->cx->status) return &t->cx->nil;
    if (weights) *weights = a;
    return c;
}
