/* layers/attention_rnn.c -- the recurrent layer that attends; equations in layers.h.
 *
 * A whole run is one op, in packed order (kernels/sequence.h) like layers/rnn.c. */
#include "layers/attention_rnn.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "core/check.h"
#include "kernels/gru_gradients.h"
#include "kernels/matmul.h"
#include "layers/gates.h"

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
    if (c->cell != TG_GRU && c->cell != TG_GRU_RESET_AFTER)
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
    const attention_gru_shape s = l->s;
    char path[256];
    const int n = snprintf(path, sizeof path, "%s/forward", l->name);
    if (n >= (int)sizeof path) {
        tg_context_fail(l->ps->cx, TG_ERR_ARGUMENT, "tg_attention_rnn_new: the name %.60s... is too long",
                        l->name);
        return;
    }
    l->W_x = tg__declare_gates(l->ps, path, GATES_INPUT, s.I + tg__attention_gru_fed(s), s.H);
    l->W_h = tg__declare_gates(l->ps, path, GATES_RECURRENT, s.H, s.H);
    l->b = tg__declare_gates(l->ps, path, GATES_BIAS, 0, s.H);
    if (s.reset_after) l->b_h = tg__declare_gates(l->ps, path, GATES_RECURRENT_BIAS, 0, s.H);
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
                                     .reset_after = c.cell == TG_GRU_RESET_AFTER } };
    declare_all(&made);
    if (!tg__params_complete(ps, before)) return &nil_attention_rnn;
    *l = made;
    return l;
}

attention_gru_weights tg__attention_rnn_weights(const tg_attention_rnn *l)
{
    return (attention_gru_weights){ { l->W_x->data, l->W_h->data, l->b->data, l->b_h ? l->b_h->data : NULL },
                                    l->attention->W_q ? l->attention->W_q->data : NULL,
                                    l->W_u ? l->W_u->data : NULL,
                                    l->b_u ? l->b_u->data : NULL };
}

static attention_gru_gradients gradients_of(const tg_attention_rnn *l)
{
    return (
        attention_gru_gradients){ { l->W_x->grad, l->W_h->grad, l->b->grad, l->b_h ? l->b_h->grad : NULL },
                                  l->attention->W_q ? l->attention->W_q->grad : NULL,
                                  l->W_u ? l->W_u->grad : NULL,
                                  l->b_u ? l->b_u->grad : NULL };
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
    attention_gru_run run;
    plain_and_packed x, y, c, u, a;
    tg_attention_state in, out;
    tg_real *h0, *u0; /* (B,H), (B,R): states before, rows in packed order; u0 with feeding */
} attention_rnn_record;

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
    const attention_gru_shape s = r->l->s;
    const int N = r->s.tokens, B = r->s.B, S = r->memory.rows->dim[0], D = r->l->attention->D;
    const bool coverage = r->l->attention->w;
    attention_gru_run *run = &r->run;
    r->x.packed = r->s.full ? r->x.plain->data : tg__tape_take(t, times(N, s.I) * sizeof(tg_real));
    r->y = output_of(t, &r->s, made.output);
    r->c = output_of(t, &r->s, made.context);
    r->a = output_of(t, &r->s, made.weights);
    r->u = output_of(t, &r->s, made.attentional);
    run->sequence = &r->s;
    run->sentence = r->s.order;
    run->h = take_state(t, &r->s, s.H, r->in.h);
    run->u = s.feeds ? take_state(t, &r->s, s.R, r->in.attentional) : NULL;
    run->coverage = coverage ? take_state(t, &r->s, S, r->in.coverage) : NULL;
    run->saved.gates = tg__tape_take(t, times(N, 3 * s.H) * sizeof(tg_real));
    run->saved.q = s.reset_after ? tg__tape_take(t, times(N, s.H) * sizeof(tg_real)) : NULL;
    run->saved.rh = s.reset_after ? NULL : tg__tape_take(t, times(N, s.H) * sizeof(tg_real));
    run->y = r->y.packed, run->c = r->c.packed, run->a = r->a.packed, run->attentional = r->u.packed;
    run->query = s.R ? NULL : tg__tape_take(t, times(N, D) * sizeof(tg_real));
    run->coverage_before = coverage ? tg__tape_take(t, times(N, S) * sizeof(tg_real)) : NULL;
    if (t->cx->status) return false;
    r->h0 = copy_of(t, run->h, times(B, s.H));
    r->u0 = s.feeds ? copy_of(t, run->u, times(B, s.R)) : NULL;
    return !t->cx->status;
}

static tg_real *packing_room(tg_tape *t, const attention_rnn_record *r)
{
    if (!tg__sweep_packs(&r->s)) return NULL;
    return tg__tape_take(t, tg__attention_gru_room(r->l->s, r->l->attention->D) * sizeof(tg_real));
}

static void forward(tg_tape *t, attention_rnn_record *r)
{
    const attention_gru_shape s = r->l->s;
    const sequence *q = &r->s;
    tg_real *room = packing_room(t, r);
    if (t->cx->status) return;
    if (!q->full) tg__sequence_pack(t->cx, q, s.I, r->x.plain->data, r->x.packed);
    tg__matmul(t->cx, NORMAL, NORMAL, q->tokens, 3 * s.H, s.I, r->x.packed, s.I, r->l->W_x->data, 3 * s.H,
               NULL, 0, r->run.saved.gates, 3 * s.H);
    const attention_gru m =
        tg__attention_gru(t->cx, NORMAL, s, r->l->attention->D, tg__attention_rnn_weights(r->l), room);
    tg__attention_gru_forward(t->cx, &m, &r->run);
    if (q->full) return;
    const plain_and_packed y[] = { r->y, r->c, r->a, r->u };
    for (size_t i = 0; i < sizeof y / sizeof *y; i++)
        if (y[i].plain) tg__sequence_unpack(t->cx, q, tg__columns(y[i].plain), y[i].packed, y[i].plain->data);
}

/* ---- backward ---- */

static tg_real *take(tg_tape *t, int rows, int D)
{
    return tg__tape_take(t, times(rows, D) * sizeof(tg_real));
}

static bool backward_take(tg_tape *t, const attention_rnn_record *r, attention_gru_backward *b)
{
    const attention_gru_shape s = r->l->s;
    const sequence *q = &r->s;
    const int N = q->tokens, B = q->B, S = r->memory.rows->dim[0];
    tg_real *h_before = take(t, N, s.H);
    *b = (attention_gru_backward){ .dy = arriving(t, q, r->y.plain),
                                   .dc = arriving(t, q, r->c.plain),
                                   .dattentional = s.R ? arriving(t, q, r->u.plain) : NULL,
                                   .h_before = h_before,
                                   .dquery = s.R ? NULL : take(t, N, r->l->attention->D),
                                   .dpre = s.R ? take(t, N, s.R) : NULL,
                                   .drh = take(t, B, s.H),
                                   .dcontext = take(t, B, s.M),
                                   .scratch = take(t, B, S) };
    /* gradients of the state after, which become those of the state before */
    const tg_attention_state out = r->out;
    tg_tensor dh = { .data = out.h ? out.h->grad : NULL },
              du = { .data = out.attentional ? out.attentional->grad : NULL },
              dv = { .data = out.coverage ? out.coverage->grad : NULL };
    b->dh = take_state(t, q, s.H, dh.data ? &dh : NULL);
    b->du = s.feeds ? take_state(t, q, s.R, du.data ? &du : NULL) : NULL;
    b->dcoverage = r->l->attention->w ? take_state(t, q, S, dv.data ? &dv : NULL) : NULL;
    if (t->cx->status || !tg__attention_gradients(r->l->attention, t, &r->memory, tg__sweep_blocks(B), &b->d))
        return false;
    tg__sequence_before(t->cx, q, s.H, r->run.y, r->h0, h_before);
    return true;
}

/* dW_x and dx, the rows of x and of what was fed */
static void input_gradients(tg_tape *t, const attention_rnn_record *r)
{
    const attention_gru_shape s = r->l->s;
    const int N = r->s.tokens, I = s.I, F = tg__attention_gru_fed(s), G = 3 * s.H;
    const tg_real *dgates = r->run.saved.gates, *fed = r->run.c;
    tg_real *dW_x = r->l->W_x->grad;
    if (s.feeds) {
        tg_real *u_before = take(t, N, s.R);
        if (!u_before) return;
        tg__sequence_before(t->cx, &r->s, s.R, r->run.attentional, r->u0, u_before);
        fed = u_before;
    }
    tg__matmul(t->cx, TRANSPOSED, NORMAL, I, G, N, r->x.packed, I, dgates, G, NULL, 1, dW_x, G);
    if (F) tg__matmul(t->cx, TRANSPOSED, NORMAL, F, G, N, fed, F, dgates, G, NULL, 1, dW_x + times(I, G), G);
    if (!r->x.plain->grad) return;
    tg_real *dx = r->s.full ? r->x.plain->grad : tg__arena_zeroed(&t->memory, times(N, I) * sizeof *dx);
    if (!dx) return;
    tg__matmul(t->cx, NORMAL, TRANSPOSED, N, I, G, dgates, G, r->l->W_x->data, G, NULL, 1, dx, I);
    if (!r->s.full) tg__sequence_add_unpacked(t->cx, &r->s, I, dx, r->x.plain->grad);
}

static void weight_gradients(tg_tape *t, const attention_rnn_record *r, const attention_gru_backward *b)
{
    const attention_gru_shape s = r->l->s;
    const attention_gru_gradients d = gradients_of(r->l);
    const int N = r->s.tokens, H = s.H, R = s.R, M = s.M, D = r->l->attention->D;
    tg__gru_recurrent_gradients(t->cx, N, H, s.reset_after, b->h_before, r->run.saved, d.gru);
    tg__gru_bias_gradients(t->cx, N, H, s.reset_after, r->run.saved, d.gru);
    if (d.W_q)
        tg__matmul(t->cx, TRANSPOSED, NORMAL, H, D, N, b->h_before, H, b->dquery, D, NULL, 1, d.W_q, D);
    if (!R) return;
    tg__matmul(t->cx, TRANSPOSED, NORMAL, H, R, N, r->run.y, H, b->dpre, R, NULL, 1, d.W_u, R);
    tg__matmul(t->cx, TRANSPOSED, NORMAL, M, R, N, r->run.c, M, b->dpre, R, NULL, 1, d.W_u + times(H, R), R);
    tg__add_rows(t->cx, N, R, b->dpre, R, d.b_u);
}

static void attention_rnn_backward(tg_tape *t, void *record)
{
    attention_rnn_record *r = record;
    const tg_attention_rnn *l = r->l;
    attention_gru_backward b;
    tg_real *room = packing_room(t, r);
    if (!backward_take(t, r, &b)) return;
    const attention_gru m =
        tg__attention_gru(t->cx, TRANSPOSED, l->s, l->attention->D, tg__attention_rnn_weights(l), room);
    tg__attention_gru_backward(t->cx, &m, &r->run, &b);
    tg__attention_gradients_join(l->attention, t->cx, tg__sweep_blocks(r->s.B), b.d);
    input_gradients(t, r);
    weight_gradients(t, r, &b);
    const struct {
        tg_tensor *in;
        const tg_real *d;
    } state[] = { { r->in.h, b.dh }, { r->in.attentional, b.du }, { r->in.coverage, b.dcoverage } };
    for (size_t i = 0; i < sizeof state / sizeof *state; i++)
        if (state[i].in && state[i].in->grad)
            tg__sequence_add_restored_rows(&r->s, tg__columns(state[i].in), state[i].d, state[i].in->grad);
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
    tg_tensor *const output[] = { r->y.plain, r->c.plain, r->u.plain, out.h, out.attentional, out.coverage };
    tg_tensor *const input[] = { r->x.plain,        r->memory.rows,  r->memory.keys,  in.h,   in.attentional,
                                 in.coverage,       l->W_x,          l->W_h,          l->b,   l->b_h,
                                 l->attention->W_q, l->attention->v, l->attention->w, l->W_u, l->b_u };
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
    set_state(&r->s, r->run.h, after.h);
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
    if (out) *out = (tg_attention_state){ nil, nil, nil };
    if (!tg__layer_ready(l ? l->ps : NULL, l ? l->name : NULL, t, "tg_attention_rnn_run")) return failed;
    if (!arguments_hold(l, t, x, lengths, memory, &before)) return failed;
    const attention_gru_shape s = l->s;
    const int T = x->dim[0], B = x->dim[1], S = memory->rows->dim[0];
    const tg_attended made = { .output = take_output(t, T, B, s.H, true),
                               .context = take_output(t, T, B, s.M, true),
                               .attentional = take_output(t, T, B, s.R, true),
                               .weights = take_output(t, T, B, S, false) };
    tg_attention_state after = { NULL };
    if (out)
        after = (tg_attention_state){ .h = take_output(t, 0, B, s.H, true),
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
