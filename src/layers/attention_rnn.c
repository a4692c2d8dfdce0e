/* layers/attention_rnn.c -- the recurrent layer that attends; equations in attention_rnn.h.
 *
 * A whole run is one op, in packed order (kernels/recurrent/sequence.h) like layers/rnn.c. */
#include "layers/attention_rnn.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "core/check.h"
#include "kernels/matmul.h"

static tg_attention_rnn nil_attention_rnn;

static size_t times(int a, int b) { return (size_t)a * (size_t)b; }

/* ---- making ---- */

static bool config_holds(tg_context *cx, const char *name, int I, int H, int M,
                         const tg_attention_rnn_config *c)
{
    static const char who[] = "tg_attention_rnn_new";
    const int most = INT_MAX / 2; /* of each of two parts */
    const bool after = c->attention.kind != TG_ATTENTION_ADDITIVE;
    if (cx->status) return false;
    if (!tg__cell_exists((int)c->cell))
        tg_context_fail(cx, TG_ERR_ARGUMENT, "%s: '%s': there is no cell %d", who, name, (int)c->cell);
    else if (I < 1 || I > most || H < 1 || H > INT_MAX / 8 || M > most || c->attentional < 0 ||
             c->attentional > most)
        tg_context_fail(cx, TG_ERR_ARGUMENT,
                        "%s: '%s': input size %d, hidden size %d, memory size %d, attentional size %d", who,
                        name, I, H, M, c->attentional);
    else if (!after && (c->input_feeding || c->attentional))
        tg_context_fail(
            cx, TG_ERR_ARGUMENT,
            "%s: '%s': additive attention feeds its context: input feeding and an attentional vector belong "
            "to dot and general",
            who, name);
    return tg__attention_holds(cx, who, name, H, M, &c->attention);
}

static void declare_all(tg_attention_rnn *l)
{
    const attending_shape s = l->s;
    char path[256];
    const int n = snprintf(path, sizeof path, "%s/forward", l->name);
    if (n >= (int)sizeof path) {
        tg_context_fail(l->ps->cx, TG_ERR_ARGUMENT, "tg_attention_rnn_new: the name %.60s... is too long",
                        l->name);
        return;
    }
    l->cell = tg__declare_recurrent(l->ps, path, s.cell, false, s.I + tg__attending_fed(s), s.H);
    if (s.R) {
        const param_view_spec W_u = { "W_u", 0, s.R, { TG_INIT_GLOROT, 0 } },
                              b_u = { "b_u", 0, s.R, { TG_INIT_ZEROS, 0 } };
        l->W_u = tg__params_declare(l->ps, l->name, 2, (int[]){ s.H + s.M, s.R }, 1, &W_u);
        l->b_u = tg__params_declare(l->ps, l->name, 1, &s.R, 1, &b_u);
    }
    snprintf(path, sizeof path, "%s/attention", l->name);
    l->attention = tg_attention_new(l->ps, path, s.H, s.M, &l->config.attention);
}

tg_attention_rnn *tg_attention_rnn_new(tg_params *ps, const char *name, int I, int H, int M,
                                       const tg_attention_rnn_config *config)
{
    const tg_attention_rnn_config c = config ? *config : (tg_attention_rnn_config){ 0 };
    ps = tg__params_or_nil(ps);
    if (ps->cx->status || !NAMED(ps->cx, name)) return &nil_attention_rnn;
    if (!config_holds(ps->cx, name, I, H, M, &c)) return &nil_attention_rnn;
    const params_mark before = tg__params_mark(ps);
    tg_attention_rnn *l = tg__arena_zeroed(&ps->memory, sizeof *l);
    const char *copy = tg__arena_text(&ps->memory, name);
    if (!l || !copy) return &nil_attention_rnn;
    const bool after = c.attention.kind != TG_ATTENTION_ADDITIVE;
    tg_attention_rnn made = { .ps = ps,
                              .name = copy,
                              .config = c,
                              .s = { .I = I,
                                     .H = H,
                                     .M = M,
                                     .R = !after          ? 0
                                          : c.attentional ? c.attentional
                                                          : H,
                                     .feeds = c.input_feeding,
                                     .cell = tg__cell(c.cell) } };
    declare_all(&made);
    if (!tg__params_complete(ps, before)) return &nil_attention_rnn;
    *l = made;
    return l;
}

attending_weights tg__attention_rnn_weights(const tg_attention_rnn *l)
{
    return (attending_weights){ tg__recurrent_weights(&l->cell),
                                l->attention->W_q ? l->attention->W_q->data : NULL,
                                l->W_u ? l->W_u->data : NULL, l->b_u ? l->b_u->data : NULL };
}

tg_memory tg_attention_rnn_memory(tg_attention_rnn *l, tg_tape *t, tg_tensor *rows, const int lengths[])
{
    return tg_attention_memory(l ? l->attention : NULL, t, rows, lengths);
}

/* ---- a run ---- */

/* An array (T,B,D) of the run: where the tape has it, and where the sweep does, which is the same when all
 * lengths are T. */
typedef struct plain_and_packed {
    tg_tensor *plain;
    tg_real *packed;
} plain_and_packed;

typedef struct attention_rnn_record {
    const tg_attention_rnn *l;
    sequence s;
    tg_memory memory;
    recurrent_plan *plan;
    attending_run run;
    plain_and_packed x, y, c, u, a;
    tg_attention_state in, out;
    tg_real *before[CELL_STATES], *after[CELL_STATES]; /* (B,H), rows in packed order */
    tg_real *u0;                                       /* (B,R): u before, likewise; with feeding */
} attention_rnn_record;

/* The cell's states, of an attention state. */
static tg_tensor *cell_state(tg_attention_state s, int k) { return k ? s.c : s.h; }

static plain_and_packed output_of(tg_tape *t, const sequence *s, tg_tensor *y)
{
    if (!y) return (plain_and_packed){ NULL, NULL };
    return (plain_and_packed){
        y, s->full ? y->data : tg__tape_take(t, times(s->tokens, tg__columns(y)) * sizeof(tg_real))
    };
}

/* What arrives at an output, in packed order. */
static const tg_real *arriving(tg_tape *t, const sequence *s, const tg_tensor *y)
{
    if (s->full) return y->grad;
    const int D = tg__columns(y);
    tg_real *packed = tg__tape_take(t, times(s->tokens, D) * sizeof *packed);
    if (packed) tg__sequence_pack(t->cx, s, D, y->grad, packed);
    return packed;
}

/* The state before in packed order of rows, zeros for NULL. */
static tg_real *take_state(tg_tape *t, const sequence *s, int D, const tg_tensor *in)
{
    tg_real *state = tg__arena_zeroed(&t->memory, times(s->B, D) * sizeof *state);
    if (state && in) tg__sequence_order_rows(s, D, in->data, state);
    return state;
}

static tg_real *copy_of(tg_tape *t, const tg_real *x, size_t n)
{
    tg_real *copy = tg__tape_take(t, n * sizeof *copy);
    if (copy) memcpy(copy, x, n * sizeof *copy);
    return copy;
}

/* All memory of a run but for its outputs, on the tape. False: the context is in error. */
static bool record_take(tg_tape *t, attention_rnn_record *r, tg_attended made)
{
    const attending_shape s = r->l->s;
    const int N = r->s.tokens, B = r->s.B, S = r->memory.rows->dim[0], D = r->l->attention->D;
    const bool coverage = r->l->attention->w;
    attending_run *run = &r->run;
    r->x.packed = r->s.full ? r->x.plain->data : tg__tape_take(t, times(N, s.I) * sizeof(tg_real));
    r->y = output_of(t, &r->s, made.output);
    r->c = output_of(t, &r->s, made.context);
    r->a = output_of(t, &r->s, made.weights);
    r->u = output_of(t, &r->s, made.attentional);
    r->plan = tg__recurrent_plan(t->cx, &t->memory,
                                 (recurrent_shape){ .cell = s.cell,
                                                    .sequence = &r->s,
                                                    .I = s.I,
                                                    .F = tg__attending_fed(s),
                                                    .H = s.H,
                                                    .hooked = true,
                                                    .y_stride = s.H },
                                 (recurrent_masks){ NULL });
    for (int k = 0; k < s.cell->states; k++) {
        r->before[k] = take_state(t, &r->s, s.H, cell_state(r->in, k));
        r->after[k] = tg__tape_take(t, times(B, s.H) * sizeof(tg_real));
    }
    run->sentence = r->s.order;
    run->u = s.feeds ? take_state(t, &r->s, s.R, r->in.attentional) : NULL;
    run->coverage = coverage ? take_state(t, &r->s, S, r->in.coverage) : NULL;
    run->y = r->y.packed, run->c = r->c.packed, run->a = r->a.packed, run->attentional = r->u.packed;
    run->query = s.R ? NULL : tg__tape_take(t, times(N, D) * sizeof(tg_real));
    run->coverage_before = coverage ? tg__tape_take(t, times(N, S) * sizeof(tg_real)) : NULL;
    if (t->cx->status) return false;
    r->u0 = s.feeds ? copy_of(t, run->u, times(B, s.R)) : NULL;
    return !t->cx->status;
}

/* The weights beside the cell's, packed into the tape's arena if there is more than one step of one row. */
static bool take_matrices(tg_tape *t, const attention_rnn_record *r, transposed direction,
                          attending_matrices *m)
{
    const tg_attention_rnn *l = r->l;
    const int D = l->attention->D;
    tg_real *room = NULL;
    if (r->s.steps > 1 || r->s.B > 1) room = tg__tape_take(t, tg__attending_room(l->s, D) * sizeof *room);
    if (t->cx->status) return false;
    *m = tg__attending_matrices(t->cx, direction, l->s, D, tg__attention_rnn_weights(l), room);
    return true;
}

static void forward(tg_tape *t, attention_rnn_record *r)
{
    const sequence *q = &r->s;
    const arena_mark mark = tg__arena_mark(&t->memory);
    attending_matrices m;
    if (!take_matrices(t, r, NORMAL, &m)) return;
    if (!q->full) tg__sequence_pack(t->cx, q, r->l->s.I, r->x.plain->data, r->x.packed);
    attending_run run = r->run;
    run.m = &m;
    const sweep_hooks hooks = tg__attending_forward(&run);
    tg__recurrent_forward(t->cx, &t->memory, r->plan, tg__recurrent_weights(&r->l->cell), r->x.packed,
                          (const tg_real *const *)r->before, r->y.packed, r->after, &hooks);
    tg__arena_rewind(&t->memory, mark);
    if (q->full || t->cx->status) return;
    const plain_and_packed y[] = { r->y, r->c, r->a, r->u };
    for (size_t i = 0; i < sizeof y / sizeof *y; i++)
        if (y[i].plain) tg__sequence_unpack(t->cx, q, tg__columns(y[i].plain), y[i].packed, y[i].plain->data);
}

/* ---- backward ---- */

static tg_real *take(tg_tape *t, int rows, int D)
{
    return tg__tape_take(t, times(rows, D) * sizeof(tg_real));
}

/* The gradient that arrives at a state after, rows in packed order, which becomes that of the state before. */
static tg_real *arriving_state(tg_tape *t, const sequence *s, int D, const tg_tensor *out)
{
    tg_tensor d = { .data = out ? out->grad : NULL };
    return take_state(t, s, D, d.data ? &d : NULL);
}

static bool backward_take(tg_tape *t, const attention_rnn_record *r, attending_backward *b, tg_real *d[])
{
    const attending_shape s = r->l->s;
    const sequence *q = &r->s;
    const int N = q->tokens, B = q->B, S = r->memory.rows->dim[0];
    *b = (attending_backward){ .dc = arriving(t, q, r->c.plain),
                               .dattentional = s.R ? arriving(t, q, r->u.plain) : NULL,
                               .dquery = s.R ? NULL : take(t, N, r->l->attention->D),
                               .dpre = s.R ? take(t, N, s.R) : NULL,
                               .dcontext = take(t, B, s.M),
                               .scratch = take(t, B, S) };
    for (int k = 0; k < s.cell->states; k++) d[k] = arriving_state(t, q, s.H, cell_state(r->out, k));
    b->du = s.feeds ? arriving_state(t, q, s.R, r->out.attentional) : NULL;
    b->dcoverage = r->l->attention->w ? arriving_state(t, q, S, r->out.coverage) : NULL;
    return !t->cx->status &&
           tg__attention_gradients(r->l->attention, t, &r->memory, r->plan->backward.row_groups, &b->d);
}

/* What was fed beside x (N,F); NULL: nothing, or the context is in error. */
static const tg_real *fed_of(tg_tape *t, const attention_rnn_record *r)
{
    const attending_shape s = r->l->s;
    if (!s.R) return r->run.c;
    if (!s.feeds) return NULL;
    tg_real *u_before = take(t, r->s.tokens, s.R);
    if (u_before) tg__sequence_before(t->cx, &r->s, s.R, r->run.attentional, r->u0, u_before);
    return u_before;
}

/* The gradients of the weights beside the cell's. */
static void weight_gradients(tg_tape *t, const attention_rnn_record *r, const attending_backward *b)
{
    const attending_shape s = r->l->s;
    const int N = r->s.tokens, H = s.H, R = s.R, M = s.M, D = r->l->attention->D;
    const tg_tensor *W_q = r->l->attention->W_q;
    if (W_q && !R) {
        tg_real *h_before = take(t, N, H);
        if (!h_before) return;
        tg__sequence_before(t->cx, &r->s, H, r->run.y, r->before[0], h_before);
        tg__matmul(t->cx, TRANSPOSED, NORMAL, H, D, N, h_before, H, b->dquery, D, NULL, 1, W_q->grad, D);
    }
    if (!R) return;
    tg_real *dW_u = r->l->W_u->grad;
    tg__matmul(t->cx, TRANSPOSED, NORMAL, H, R, N, r->run.y, H, b->dpre, R, NULL, 1, dW_u, R);
    tg__matmul(t->cx, TRANSPOSED, NORMAL, M, R, N, r->run.c, M, b->dpre, R, NULL, 1, dW_u + times(H, R), R);
    tg__add_rows(t->cx, N, R, b->dpre, R, r->l->b_u->grad);
}

static void attention_rnn_backward(tg_tape *t, void *record)
{
    attention_rnn_record *r = record;
    const tg_attention_rnn *l = r->l;
    const sequence *q = &r->s;
    attending_backward b;
    attending_matrices m;
    attending_run run = r->run;
    tg_real *d[CELL_STATES];
    if (!take_matrices(t, r, TRANSPOSED, &m) || !backward_take(t, r, &b, d)) return;
    const tg_real *dy = arriving(t, q, r->y.plain), *fed = fed_of(t, r);
    tg_real *dx = r->x.plain->grad;
    if (dx && !q->full) dx = tg__arena_zeroed(&t->memory, times(q->tokens, l->s.I) * sizeof *dx);
    if (t->cx->status) return;
    run.m = &m;
    b.r = &run;
    const sweep_hooks hooks = tg__attending_backward(&b);
    tg__recurrent_backward(t->cx, &t->memory, r->plan, tg__recurrent_weights(&l->cell),
                           tg__recurrent_weight_gradients(&l->cell), r->x.packed, fed,
                           (const tg_real *const *)r->before, r->y.packed, dy, d, true, dx, &hooks);
    if (t->cx->status) return;
    tg__attention_gradients_join(l->attention, t->cx, r->plan->backward.row_groups, b.d);
    if (dx && !q->full) tg__sequence_add_unpacked(t->cx, q, l->s.I, dx, r->x.plain->grad);
    weight_gradients(t, r, &b);
    const struct {
        tg_tensor *in;
        const tg_real *d;
    } state[] = { { r->in.h, d[0] },
                  { r->in.c, l->s.cell->states > 1 ? d[1] : NULL },
                  { r->in.attentional, b.du },
                  { r->in.coverage, b.dcoverage } };
    for (size_t i = 0; i < sizeof state / sizeof *state; i++)
        if (state[i].in && state[i].in->grad)
            tg__sequence_add_restored_rows(q, tg__columns(state[i].in), state[i].d, state[i].in->grad);
}

static const tape_op op_attention_rnn = { TAPE_OP_attention_rnn, attention_rnn_backward };

/* ---- checks, and the call ---- */

static bool state_fits(const tg_attention_rnn *l, tg_tape *t, const char *what, const tg_tensor *x, int B,
                       int D)
{
    if (!x || (x->rank == 2 && x->dim[0] == B && x->dim[1] == D)) return true;
    tg_context_fail(t->cx, TG_ERR_SHAPE, "tg_attention_rnn_run: '%s': the state's %s is %s, it takes [%d,%d]",
                    l->name, what, tg__shape(x).s, B, D);
    return false;
}

static bool arguments_hold(const tg_attention_rnn *l, tg_tape *t, const tg_tensor *x, const int lengths[],
                           const tg_memory *memory, const tg_attention_state *in)
{
    static const char who[] = "tg_attention_rnn_run";
    const struct {
        const char *name;
        const tg_tensor *x;
    } given[] = { { "in->h", in->h },
                  { "in->c", in->c },
                  { "in->attentional", in->attentional },
                  { "in->coverage", in->coverage } };
    if (!tg__tape_takes(t, who, "x", x)) return false;
    for (size_t i = 0; i < sizeof given / sizeof *given; i++)
        if (given[i].x && !tg__tape_takes(t, who, given[i].name, given[i].x)) return false;
    if (x->rank != 3 || x->dim[2] != l->s.I || (int64_t)x->dim[0] * x->dim[1] > INT_MAX / 2) {
        tg_context_fail(t->cx, TG_ERR_SHAPE, "%s: '%s': x is %s, it takes [T,B,%d] of at most %d tokens", who,
                        l->name, tg__shape(x).s, l->s.I, INT_MAX / 2);
        return false;
    }
    const int T = x->dim[0], B = x->dim[1];
    for (int b = 0; lengths && b < B; b++)
        if (lengths[b] < 0 || lengths[b] > T) {
            tg_context_fail(t->cx, TG_ERR_ARGUMENT, "%s: '%s': the length of row %d is %d, outside 0..%d",
                            who, l->name, b, lengths[b], T);
            return false;
        }
    if (!tg__attention_fits(l->attention, t, who, memory, B)) return false;
    return state_fits(l, t, "h", in->h, B, l->s.H) &&
           state_fits(l, t, "c", in->c, B, l->s.cell->states > 1 ? l->s.H : 0) &&
           state_fits(l, t, "attentional", in->attentional, B, l->s.feeds ? l->s.R : 0) &&
           state_fits(l, t, "coverage", in->coverage, B, l->attention->w ? memory->rows->dim[0] : 0);
}

/* The state after, out of the sweep's, into x, which may be NULL. */
static void set_state(const sequence *s, const tg_real *state, tg_tensor *x)
{
    if (x) tg__sequence_restore_rows(s, tg__columns(x), state, x->data);
}

/* Puts the op on the tape, with all weights among its inputs. */
static void record(tg_tape *t, attention_rnn_record *r)
{
    const tg_attention_rnn *l = r->l;
    const tg_attention_state in = r->in, out = r->out;
    tg_tensor *const output[] = { r->y.plain, r->c.plain,      r->u.plain,  out.h,
                                  out.c,      out.attentional, out.coverage };
    enum { OTHERS = 12 };
    tg_tensor *input[OTHERS + RECURRENT_TENSORS] = {
        r->x.plain,        r->memory.rows,  r->memory.keys,  in.h,   in.c,  in.attentional, in.coverage,
        l->attention->W_q, l->attention->v, l->attention->w, l->W_u, l->b_u
    };
    tg__recurrent_tensors(&l->cell, input + OTHERS);
    tg__tape_record_all(t, &op_attention_rnn, r, sizeof output / sizeof *output, output,
                        sizeof input / sizeof *input, input);
}

/* The outputs are there. The rest is needed until the end of backward. */
static void run_between(tg_attention_rnn *l, tg_tape *t, tg_tensor *x, const int lengths[],
                        const tg_memory *memory, tg_attention_state in, tg_attended made,
                        tg_attention_state after)
{
    const int T = x->dim[0], B = x->dim[1];
    attention_rnn_record *r = tg__arena_zeroed(&t->memory, sizeof *r);
    int *room = tg__tape_take(t, tg__sequence_room(T, B) * sizeof *room);
    const int *memory_lengths = tg__attention_lengths(l->attention, t, "tg_attention_rnn_run", memory);
    if (t->cx->status) return;
    *r = (attention_rnn_record){ .l = l, .memory = *memory, .x.plain = x, .in = in, .out = after };
    tg__sequence_init(&r->s, T, B, lengths, room);
    r->run.memory = tg__attention_of(l->attention, memory, memory_lengths);
    if (!record_take(t, r, made)) return;
    forward(t, r);
    if (t->cx->status) return;
    set_state(&r->s, r->after[0], after.h);
    if (after.c) set_state(&r->s, r->after[1], after.c);
    set_state(&r->s, r->run.u, after.attentional);
    set_state(&r->s, r->run.coverage, after.coverage);
    record(t, r);
}

/* (T,B,D), or (B,D) for T = 0; NULL for D = 0. */
static tg_tensor *take_output(tg_tape *t, int T, int B, int D, bool gradient)
{
    return !D ? NULL : tg__tape_tensor(t, T ? 3 : 2, T ? (int[]){ T, B, D } : (int[]){ B, D }, gradient);
}

tg_attended tg_attention_rnn_run(tg_attention_rnn *l, tg_tape *t, tg_tensor *x, const int lengths[],
                                 const tg_memory *memory, const tg_attention_state *in,
                                 tg_attention_state *out)
{
    tg_tensor *const nil = tg__tape_nil(t);
    const tg_attended failed = { nil, nil, nil, nil };
    const tg_attention_state before = in ? *in : (tg_attention_state){ 0 }; /* in and out may be the same */
    if (out) *out = (tg_attention_state){ .h = nil, .attentional = nil, .coverage = nil };
    if (!tg__layer_ready(l ? l->ps : NULL, l ? l->name : NULL, t, "tg_attention_rnn_run")) return failed;
    if (!arguments_hold(l, t, x, lengths, memory, &before)) return failed;
    const attending_shape s = l->s;
    const int T = x->dim[0], B = x->dim[1], S = memory->rows->dim[0];
    const tg_attended made = { .output = take_output(t, T, B, s.H, true),
                               .context = take_output(t, T, B, s.M, true),
                               .attentional = take_output(t, T, B, s.R, true),
                               .weights = take_output(t, T, B, S, false) };
    tg_attention_state after = { NULL };
    if (out)
        after = (tg_attention_state){ .h = take_output(t, 0, B, s.H, true),
                                      .c = take_output(t, 0, B, s.cell->states > 1 ? s.H : 0, true),
                                      .attentional = take_output(t, 0, B, s.feeds ? s.R : 0, true),
                                      .coverage = take_output(t, 0, B, l->attention->w ? S : 0, true) };
    if (t->cx->status) return failed;
    const arena_mark mark = tg__arena_mark(&t->memory);
    run_between(l, t, x, lengths, memory, before, made, after);
    if (t->mode == TG_EVAL) tg__arena_rewind(&t->memory, mark);
    if (t->cx->status) return failed;
    if (out) *out = after;
    return made;
}
