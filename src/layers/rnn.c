/* layers/rnn.c -- the recurrent layer: cells, layers, directions, lengths, dropout between layers.
 *
 * A whole run is one op on the tape. Inside it everything is in packed order (kernels/recurrent/sequence.h): the input is packed
 * once, each layer and direction is one plan (kernels/recurrent/plan.h), and the last output is unpacked. */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "core/check.h"
#include "kernels/pointwise.h"
#include "kernels/recurrent/plan.h"
#include "layers/layer.h"
#include "layers/recurrent_parameters.h"
#include "ops/dropout.h"

/* A sublayer is one layer in one direction. */
struct tg_rnn {
    tg_params *ps;
    const char *name;
    int I, H;
    tg_rnn_config config;
    const recurrent_cell *cell;
    int directions, sublayers;      /* sublayers: layers * directions */
    recurrent_parameters *sublayer; /* (sublayers): layer 0 forward, layer 0 reverse, layer 1 forward, ... */
};

static tg_rnn nil_rnn;

const char *tg_cell_name(tg_cell cell)
{
    static const char *const name[] = {
#define TG_CELL(enumerator, file, text) text,
#include <tidegate/cells.def>
#undef TG_CELL
    };
    return tg__cell_exists((int)cell) ? name[cell] : "unknown cell";
}

/* ---- making ---- */

static void declare_sublayer(const tg_rnn *l, int k, recurrent_parameters *p)
{
    const int layer = k / l->directions, I = layer ? l->H * l->directions : l->I;
    char path[256];
    const int n = snprintf(path, sizeof path, "%s/layer%d/%s", l->name, layer,
                           k % l->directions ? "reverse" : "forward");
    if (n >= (int)sizeof path)
        tg_context_fail(l->ps->cx, TG_ERR_ARGUMENT, "tg_rnn_new: the name %.60s... is too long", l->name);
    else
        *p = tg__declare_recurrent(l->ps, path, l->cell, l->config.layer_norm, I, l->H);
}

tg_rnn *tg_rnn_new(tg_params *ps, const char *name, int I, int H, const tg_rnn_config *config)
{
    ps = tg__params_or_nil(ps);
    tg_context *cx = ps->cx;
    if (cx->status || !NAMED(cx, name)) return &nil_rnn;
    tg_rnn_config c = config ? *config : (tg_rnn_config){ 0 };
    if (!c.layers) c.layers = 1;
    const struct {
        const char *name;
        tg_real *rate;
    } rates[] = { { "dropout", &c.dropout },
                  { "zoneout", &c.zoneout },
                  { "zoneout_c", &c.zoneout_c },
                  { "state_dropout", &c.state_dropout } };
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
        if (*rates[i].rate == TG_ZERO) *rates[i].rate = 0;
        if (!(*rates[i].rate >= 0 && *rates[i].rate < 1))
            tg_context_fail(cx, TG_ERR_ARGUMENT, "tg_rnn_new: '%s': %s %g is outside [0, 1)", name,
                            rates[i].name, (double)*rates[i].rate);
    }
    if (!tg__cell_exists((int)c.cell))
        tg_context_fail(cx, TG_ERR_ARGUMENT, "tg_rnn_new: '%s': there is no cell %d", name, (int)c.cell);
    if (I < 1 || H < 1 || H > INT_MAX / 8)
        tg_context_fail(cx, TG_ERR_ARGUMENT, "tg_rnn_new: '%s': input size %d, hidden size %d", name, I, H);
    if (c.layers < 0 || c.layers > 1000)
        tg_context_fail(cx, TG_ERR_ARGUMENT, "tg_rnn_new: '%s': %d layers", name, c.layers);
    if (c.zoneout_c > 0 && tg__cell_exists((int)c.cell) && tg__cell((int)c.cell)->states < 2)
        tg_context_fail(cx, TG_ERR_ARGUMENT, "tg_rnn_new: '%s': the cell %s has no state c to zone out", name,
                        tg_cell_name(c.cell));
    if (cx->status) return &nil_rnn;

    const params_mark before = tg__params_mark(ps);
    tg_rnn *l = tg__arena_zeroed(&ps->memory, sizeof *l);
    const int directions = c.bidirectional ? 2 : 1, sublayers = c.layers * directions;
    recurrent_parameters *sublayer = tg__arena_zeroed(&ps->memory, (size_t)sublayers * sizeof *sublayer);
    const char *own_name = tg__arena_text(&ps->memory, name);
    if (!l || !sublayer || !own_name) return &nil_rnn;
    const tg_rnn made = { ps, own_name, I, H, c, tg__cell(c.cell), directions, sublayers, sublayer };
    for (int k = 0; k < sublayers && !cx->status; k++) declare_sublayer(&made, k, &sublayer[k]);
    if (!tg__params_complete(ps, before)) return &nil_rnn;
    *l = made;
    return l;
}

/* ---- running ---- */

typedef struct rnn_record {
    tg_rnn *l;
    sequence s;
    tg_tensor *x, *y;
    tg_tensor *in[CELL_STATES], *out[CELL_STATES]; /* (sublayers,B,H) each; may be NULL */
    tg_real **input;                 /* (layers): packed input of each layer (tokens, its size) */
    tg_real **output;                /* (layers): packed (tokens, H * directions) */
    tg_real **mask;                  /* (layers): dropout on the inputs of layers from 1 on; NULL: none */
    tg_real *(*before)[CELL_STATES]; /* (sublayers): states before, (B,H), rows in packed order */
    recurrent_plan **plan;           /* (sublayers) */
} rnn_record;

static size_t times(int a, int b) { return (size_t)a * (size_t)b; }

static tg_real *take(tg_tape *t, size_t n) { return tg__tape_take(t, n * sizeof(tg_real)); }

static recurrent_shape shape_of(const rnn_record *r, int k)
{
    const tg_rnn *l = r->l;
    return (recurrent_shape){ .cell = l->cell,
                              .sequence = &r->s,
                              .I = k / l->directions ? l->H * l->directions : l->I,
                              .H = l->H,
                              .reverse = k % l->directions == 1,
                              .normalizes = l->config.layer_norm,
                              .y_stride = l->H * l->directions };
}

/* The packed output of a layer. Backward needs the outputs of all layers. In inference a layer reads only the output of the
 * layer below it, so two buffers are enough, which the layers use in turn: y and one more. The last layer writes into y, or,
 * if y is not packed (rows of different lengths), into the other one. */
static tg_real *take_output(tg_tape *t, const rnn_record *r, int layer)
{
    const int above = r->l->config.layers - 1 - layer;
    const bool other = above % 2 == (r->s.full ? 1 : 0);
    if (t->mode == TG_EVAL ? !other : !above && r->s.full) return r->y->data;
    if (t->mode == TG_EVAL && layer >= 2) return r->output[layer - 2];
    return take(t, times(r->s.tokens, r->l->H * r->l->directions));
}

/* The packed input of a layer, dropout applied; false: the context is in error. */
static bool take_input(tg_tape *t, rnn_record *r, int layer)
{
    const tg_rnn *l = r->l;
    if (layer == 0) {
        r->input[0] = r->s.full ? r->x->data : take(t, times(r->s.tokens, l->I));
        if (r->input[0] && !r->s.full) tg__sequence_pack(t->cx, &r->s, l->I, r->x->data, r->input[0]);
        return !t->cx->status;
    }
    r->input[layer] = r->output[layer - 1];
    if (t->mode == TG_EVAL || l->config.dropout == 0) return true;
    const size_t n = times(r->s.tokens, l->H * l->directions);
    r->mask[layer] = take(t, n);
    r->input[layer] = take(t, n);
    if (t->cx->status) return false;
    tg__dropout_mask(t->cx, l->name, tg__tape_draw(t), l->config.dropout, n, r->mask[layer]);
    tg__multiply(t->cx, n, r->output[layer - 1], r->mask[layer], r->input[layer]);
    return true;
}

/* The states before in packed order of rows; zeros where none are given. */
static bool take_states(tg_tape *t, rnn_record *r, int k)
{
    const size_t state = times(r->s.B, r->l->H);
    for (int i = 0; i < r->l->cell->states; i++) {
        tg_real *before = r->before[k][i] = take(t, state);
        if (!before) return false;
        if (r->in[i])
            tg__sequence_order_rows(&r->s, r->l->H, r->in[i]->data + (size_t)k * state, before);
        else
            memset(before, 0, state * sizeof *before);
    }
    return true;
}

/* A mask of n numbers from the layer's own random stream: 0 with this rate, otherwise 1 / (1 - rate). */
static tg_real *take_mask(tg_tape *t, const tg_rnn *l, tg_real rate, size_t n)
{
    tg_real *mask = take(t, n);
    if (mask) tg__dropout_mask(t->cx, l->name, tg__tape_draw(t), rate, n, mask);
    return mask;
}

/* Those of a sublayer in this run; in evaluation there are none. */
static recurrent_masks take_masks(tg_tape *t, const rnn_record *r)
{
    const tg_rnn *l = r->l;
    const tg_real zoneout[CELL_STATES] = { l->config.zoneout, l->config.zoneout_c };
    recurrent_masks m = { NULL };
    if (t->mode == TG_EVAL) return m;
    if (l->config.state_dropout > 0) m.hidden = take_mask(t, l, l->config.state_dropout, times(r->s.B, l->H));
    for (int i = 0; i < CELL_STATES; i++) {
        if (!(zoneout[i] > 0)) continue;
        const size_t n = times(r->s.tokens, l->H);
        tg_real *mask = take_mask(t, l, zoneout[i], n);
        for (size_t j = 0; mask && j < n; j++) mask[j] = mask[j] == 0 ? 1 : 0;
        m.zoneout[i] = mask;
    }
    return m;
}

static void forward_sublayer(tg_tape *t, rnn_record *r, int k, tg_real *const after[])
{
    const tg_rnn *l = r->l;
    const int layer = k / l->directions, direction = k % l->directions;
    const arena_mark mark = tg__arena_mark(&t->memory);
    recurrent_plan *plan = tg__recurrent_plan(t->cx, &t->memory, shape_of(r, k), take_masks(t, r));
    if (!plan || !take_states(t, r, k)) return;
    r->plan[k] = plan;
    tg__recurrent_forward(t->cx, &t->memory, plan, tg__recurrent_weights(&l->sublayer[k]), r->input[layer],
                          (const tg_real *const *)r->before[k], r->output[layer] + direction * l->H, after,
                          NULL);
    for (int i = 0; i < l->cell->states && !t->cx->status; i++)
        if (r->out[i])
            tg__sequence_restore_rows(&r->s, l->H, after[i],
                                      r->out[i]->data + (size_t)k * times(r->s.B, l->H));
    if (t->mode == TG_EVAL) tg__arena_rewind(&t->memory, mark); /* nothing of it is read again */
}

static void forward_layers(tg_tape *t, rnn_record *r)
{
    const tg_rnn *l = r->l;
    tg_real *after[CELL_STATES];
    for (int i = 0; i < l->cell->states; i++) after[i] = take(t, times(r->s.B, l->H));
    for (int layer = 0; layer < l->config.layers && !t->cx->status; layer++) {
        r->output[layer] = take_output(t, r, layer);
        if (!take_input(t, r, layer)) return;
        for (int d = 0; d < l->directions && !t->cx->status; d++)
            forward_sublayer(t, r, layer * l->directions + d, after);
    }
    if (!r->s.full && !t->cx->status)
        tg__sequence_unpack(t->cx, &r->s, l->H * l->directions, r->output[l->config.layers - 1], r->y->data);
}

/* The gradient of what goes into a layer, which is that of the layer below's output: two buffers are enough, which the layers
 * use in turn. */
static tg_real *gradient_between(tg_tape *t, const rnn_record *r, tg_real *buffer[2], int layer)
{
    tg_real **b = &buffer[layer % 2];
    if (!*b) *b = take(t, times(r->s.tokens, r->l->H * r->l->directions));
    return *b;
}

static void backward_sublayer(tg_tape *t, rnn_record *r, int k, const tg_real *dy, tg_real *dx,
                              tg_real *const d[])
{
    tg_rnn *l = r->l;
    const int H = l->H, layer = k / l->directions, direction = k % l->directions;
    const size_t state = times(r->s.B, H);
    for (int i = 0; i < l->cell->states; i++)
        if (r->out[i] && r->out[i]->grad)
            tg__sequence_order_rows(&r->s, H, r->out[i]->grad + (size_t)k * state, d[i]);
        else
            memset(d[i], 0, state * sizeof(tg_real));
    tg__recurrent_backward(t->cx, &t->memory, r->plan[k], tg__recurrent_weights(&l->sublayer[k]),
                           tg__recurrent_weight_gradients(&l->sublayer[k]), r->input[layer], NULL,
                           (const tg_real *const *)r->before[k], r->output[layer] + direction * H,
                           dy + direction * H, d, !layer || direction, dx, NULL);
    for (int i = 0; i < l->cell->states && !t->cx->status; i++)
        if (r->in[i] && r->in[i]->grad)
            tg__sequence_add_restored_rows(&r->s, H, d[i], r->in[i]->grad + (size_t)k * state);
}

static void rnn_backward(tg_tape *t, void *record)
{
    rnn_record *r = record;
    const tg_rnn *l = r->l;
    const int N = r->s.tokens, width = l->H * l->directions, L = l->config.layers;
    tg_real *d[CELL_STATES], *buffer[2] = { NULL, NULL };
    for (int i = 0; i < l->cell->states; i++) d[i] = take(t, times(r->s.B, l->H));
    tg_real *dx_packed =
        r->x->grad && !r->s.full ? tg__arena_zeroed(&t->memory, times(N, l->I) * sizeof(tg_real)) : NULL;
    const tg_real *dy = r->y->grad;
    if (!r->s.full) {
        tg_real *packed = gradient_between(t, r, buffer, L);
        if (packed) tg__sequence_pack(t->cx, &r->s, width, r->y->grad, packed);
        dy = packed;
    }
    for (int layer = L - 1; layer >= 0 && !t->cx->status; layer--) {
        tg_real *dx = layer ? gradient_between(t, r, buffer, layer) : dx_packed ? dx_packed : r->x->grad;
        for (int direction = 0; direction < l->directions && !t->cx->status; direction++)
            backward_sublayer(t, r, layer * l->directions + direction, dy, dx, d);
        if (r->mask[layer]) tg__multiply(t->cx, times(N, width), dx, r->mask[layer], dx);
        dy = dx;
    }
    if (dx_packed && !t->cx->status) tg__sequence_add_unpacked(t->cx, &r->s, l->I, dx_packed, r->x->grad);
}

static const tape_op op_rnn = { TAPE_OP_rnn, rnn_backward };

static bool sizes_hold(const tg_rnn *l, tg_tape *t, int T, int B, const int lengths[])
{
    if ((int64_t)T * B > INT_MAX / 2) {
        tg__tape_fail(t, TG_ERR_SHAPE, "tg_rnn_run: '%s': x is [%d,%d,%d]: more than %d tokens", l->name, T,
                      B, l->I, INT_MAX / 2);
        return false;
    }
    for (int b = 0; lengths && b < B; b++)
        if (lengths[b] < 0 || lengths[b] > T) {
            tg__tape_fail(t, TG_ERR_ARGUMENT, "tg_rnn_run: '%s': the length of row %d is %d, outside 0..%d",
                          l->name, b, lengths[b], T);
            return false;
        }
    return true;
}

/* Everything a caller can get wrong. */
static bool arguments_hold(const tg_rnn *l, tg_tape *t, const tg_tensor *x, const int lengths[],
                           tg_tensor *const in[])
{
    if (x->rank != 3 || x->dim[2] != l->I) {
        tg__tape_fail(t, TG_ERR_SHAPE, "tg_rnn_run: '%s': x is %s, it takes [T,B,%d]", l->name,
                      tg__shape(x).s, l->I);
        return false;
    }
    const int T = x->dim[0], B = x->dim[1];
    if (!sizes_hold(l, t, T, B, lengths)) return false;
    for (int i = 0; i < CELL_STATES; i++) {
        const tg_tensor *s = in[i];
        if (s && i >= l->cell->states) {
            tg__tape_fail(t, TG_ERR_ARGUMENT, "tg_rnn_run: '%s': the cell %s has no state %s", l->name,
                          tg_cell_name(l->config.cell), tg__state_name(i));
            return false;
        }
        if (s && (s->rank != 3 || s->dim[0] != l->sublayers || s->dim[1] != B || s->dim[2] != l->H)) {
            tg__tape_fail(t, TG_ERR_SHAPE, "tg_rnn_run: '%s': the state %s is %s, it takes [%d,%d,%d]",
                          l->name, tg__state_name(i), tg__shape(s).s, l->sublayers, B, l->H);
            return false;
        }
    }
    return true;
}

/* Puts the op on the tape, with all weights among its inputs. */
static void record(tg_tape *t, rnn_record *r)
{
    const tg_rnn *l = r->l;
    const int inputs = 1 + CELL_STATES + RECURRENT_TENSORS * l->sublayers;
    tg_tensor **input = tg__tape_take(t, (size_t)inputs * sizeof *input), *output[1 + CELL_STATES] = { r->y };
    if (!input) return;
    input[0] = r->x;
    memcpy(input + 1, r->in, sizeof r->in);
    memcpy(output + 1, r->out, sizeof r->out);
    for (int k = 0; k < l->sublayers; k++)
        tg__recurrent_tensors(&l->sublayer[k], input + 1 + CELL_STATES + RECURRENT_TENSORS * k);
    tg__tape_record_all(t, &op_rnn, r, 1 + CELL_STATES, output, inputs, input);
}

/* The outputs are there. The rest is needed until the end of backward. */
static void run_between(tg_rnn *l, tg_tape *t, rnn_record given, const int lengths[])
{
    const int T = given.y->dim[0], B = given.y->dim[1];
    const size_t layers = (size_t)l->config.layers, sublayers = (size_t)l->sublayers;
    rnn_record *r = tg__arena_zeroed(&t->memory, sizeof *r);
    int *room = tg__tape_take(t, tg__sequence_room(T, B) * sizeof *room);
    if (t->cx->status) return;
    *r = given;
    tg__sequence_init(&r->s, T, B, lengths, room);
    r->input = tg__tape_take(t, layers * sizeof *r->input);
    r->output = tg__tape_take(t, layers * sizeof *r->output);
    r->mask = tg__arena_zeroed(&t->memory, layers * sizeof *r->mask);
    r->before = tg__tape_take(t, sublayers * sizeof *r->before);
    r->plan = tg__tape_take(t, sublayers * sizeof(recurrent_plan *));
    if (t->cx->status) return;
    forward_layers(t, r);
    if (!t->cx->status) record(t, r);
}

tg_tensor *tg_rnn_run(tg_rnn *l, tg_tape *t, tg_tensor *x, const int lengths[], const tg_state *in,
                      tg_state *out)
{
    static const char who[] = "tg_rnn_run";
    const tg_state given = in ? *in : (tg_state){ 0 }; /* read first: in and out may be the same */
    tg_tensor *const states[] = { given.h, given.c };
    if (out) *out = (tg_state){ .h = tg__tape_nil(t) };
    if (!tg__layer_ready(l ? l->ps : NULL, l ? l->name : NULL, t, who) || !tg__tape_takes(t, who, "x", x) ||
        (given.h && !tg__tape_takes(t, who, "in->h", given.h)) ||
        (given.c && !tg__tape_takes(t, who, "in->c", given.c)))
        return tg__tape_nil(t);
    if (!arguments_hold(l, t, x, lengths, states)) return &t->cx->nil;
    const int T = x->dim[0], B = x->dim[1];
    rnn_record r = { .l = l, .x = x, .in = { given.h, given.c } };
    r.y = tg__tape_tensor(t, 3, (int[]){ T, B, l->H * l->directions }, true);
    for (int i = 0; out && i < l->cell->states; i++)
        r.out[i] = tg__tape_tensor(t, 3, (int[]){ l->sublayers, B, l->H }, true);
    if (t->cx->status) return &t->cx->nil;
    const arena_mark mark = tg__arena_mark(&t->memory);
    run_between(l, t, r, lengths);
    if (t->mode == TG_EVAL) tg__arena_rewind(&t->memory, mark);
    if (t->cx->status) return &t->cx->nil;
    if (out) *out = (tg_state){ r.out[0], r.out[1] };
    return r.y;
}

tg_tensor *tg_rnn_step(tg_rnn *l, tg_tape *t, tg_tensor *x, const tg_state *in, tg_state *out)
{
    if (!tg__layer_ready(l ? l->ps : NULL, l ? l->name : NULL, t, "tg_rnn_step") ||
        !tg__tape_takes(t, "tg_rnn_step", "x", x))
        return tg__tape_nil(t);
    if (x->rank != 2 || x->dim[1] != l->I)
        return tg__tape_fail(t, TG_ERR_SHAPE, "tg_rnn_step: '%s': x is %s, it takes [B,%d]", l->name,
                             tg__shape(x).s, l->I);
    if (l->directions == 2)
        return tg__tape_fail(t, TG_ERR_ARGUMENT,
                             "tg_rnn_step: '%s' has two directions: the reverse one has no next step",
                             l->name);
    tg_tensor *one_step = tg__tape_view(t, x, 0, 3, (int[]){ 1, x->dim[0], x->dim[1] });
    tg_tensor *y = tg_rnn_run(l, t, one_step, NULL, in, out);
    if (t->cx->status) return &t->cx->nil;
    return tg__tape_view(t, y, 0, 2, y->dim + 1);
}

/* ---- state ---- */

tg_state tg_state_new(tg_context *cx, const tg_rnn *l, int B)
{
    if (!cx) return (tg_state){ .h = &tg__context_nil.nil };
    if (!cx->status && (!l || !l->ps))
        tg_context_fail(
            cx, TG_ERR_STATE,
            "tg_state_new: this layer could not be made (its context was in error then), or is NULL");
    if (!cx->status && l->ps->cx != cx)
        tg_context_fail(cx, TG_ERR_STATE, "tg_state_new: the layer belongs to another context");
    if (cx->status) return (tg_state){ .h = &cx->nil };
    tg_state s = { .h = tg_tensor_new(cx, 3, (int[]){ l->sublayers, B, l->H }) };
    if (l->cell->states > 1) s.c = tg_tensor_new(cx, 3, (int[]){ l->sublayers, B, l->H });
    return s;
}

void tg_state_keep(tg_state *dst, const tg_state *src)
{
    tg_tensor *const to[] = { dst ? dst->h : NULL, dst ? dst->c : NULL };
    const tg_tensor *const from[] = { src ? src->h : NULL, src ? src->c : NULL };
    for (int i = 0; i < CELL_STATES; i++)
        if (to[i] && from[i])
            tg_tensor_copy(to[i], from[i]);
        else if (to[i] || from[i])
            tg_context_fail((to[i] ? to[i] : from[i])->cx, TG_ERR_ARGUMENT,
                            "tg_state_keep: %s is NULL, or has no %s", to[i] ? "src" : "dst",
                            tg__state_name(i));
}

tg_rnn_info tg_rnn_describe(const tg_rnn *l)
{
    if (!l || !l->ps) return (tg_rnn_info){ .cell = "" };
    tg_rnn_info info = { .name = l->name,
                         .input = l->I,
                         .hidden = l->H,
                         .layers = l->config.layers,
                         .directions = l->directions,
                         .config = l->config,
                         .cell = tg_cell_name(l->config.cell),
                         .gates = l->cell->gates,
                         .states = l->cell->states };
    for (int i = 0; i < l->cell->gates; i++) info.gate[i] = l->cell->gate[i];
    for (int i = 0; i < l->cell->states; i++) info.state[i] = l->cell->state[i];
    return info;
}
