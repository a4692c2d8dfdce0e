/* layers/rnn.c -- the recurrent layer: cells, layers, directions, lengths, dropout between layers.
 *
 * A whole run is one op. Inside it everything is in packed order (kernels/sequence.h): the input is
 * packed once, each layer and direction is one call of the cell's kernel, the last output is unpacked. */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "core/check.h"
#include "kernels/embedding.h"
#include "kernels/gru.h"
#include "layers/gates.h"
#include "layers/layer.h"
#include "ops/dropout.h"

typedef struct rnn_part { /* one layer, one direction */
    tg_tensor *W_x, *W_h; /* (I,3H), (H,3H): gates z r g */
    tg_tensor *b, *b_h;   /* (3H); b_h: reset-after only */
} rnn_part;

struct tg_rnn {
    tg_params *ps;
    const char *name;
    int I, H;
    tg_rnn_config config;
    int directions;
    rnn_part *part; /* (layers * directions) */
};

static tg_rnn nil_rnn;

const char *tg_cell_name(tg_cell cell)
{
    switch (cell) {
    case TG_GRU: return "gru";
    case TG_GRU_RESET_AFTER: return "gru-reset-after";
    }
    return "unknown cell";
}

/* ---- making ---- */

static void declare_part(const tg_rnn *l, int layer, int direction, rnn_part *p)
{
    const int I = layer ? l->H * l->directions : l->I;
    char path[256];
    const int n =
        snprintf(path, sizeof path, "%s/layer%d/%s", l->name, layer, direction ? "reverse" : "forward");
    if (n >= (int)sizeof path) {
        tg_context_fail(l->ps->cx, TG_ERR_ARGUMENT, "tg_rnn_new: the name %.60s... is too long", l->name);
        return;
    }
    p->W_x = tg__declare_gates(l->ps, path, GATES_INPUT, I, l->H);
    p->W_h = tg__declare_gates(l->ps, path, GATES_RECURRENT, l->H, l->H);
    p->b = tg__declare_gates(l->ps, path, GATES_BIAS, 0, l->H);
    if (l->config.cell == TG_GRU_RESET_AFTER)
        p->b_h = tg__declare_gates(l->ps, path, GATES_RECURRENT_BIAS, 0, l->H);
}

tg_rnn *tg_rnn_new(tg_params *ps, const char *name, int I, int H, const tg_rnn_config *config)
{
    ps = tg__params_or_nil(ps);
    tg_context *cx = ps->cx;
    if (cx->status || !NAMED(cx, name)) return &nil_rnn;
    tg_rnn_config c = config ? *config : (tg_rnn_config){ 0 };
    if (!c.layers) c.layers = 1;
    if (c.dropout == TG_ZERO) c.dropout = 0;
    if (c.cell != TG_GRU && c.cell != TG_GRU_RESET_AFTER)
        tg_context_fail(cx, TG_ERR_ARGUMENT, "tg_rnn_new: '%s': there is no cell %d", name, (int)c.cell);
    if (I < 1 || H < 1 || H > INT_MAX / 8)
        tg_context_fail(cx, TG_ERR_ARGUMENT, "tg_rnn_new: '%s': input size %d, hidden size %d", name, I, H);
    if (c.layers < 0 || c.layers > 1000)
        tg_context_fail(cx, TG_ERR_ARGUMENT, "tg_rnn_new: '%s': %d layers", name, c.layers);
    if (!(c.dropout >= 0 && c.dropout < 1))
        tg_context_fail(cx, TG_ERR_ARGUMENT, "tg_rnn_new: '%s': dropout %g is outside [0, 1)", name,
                        (double)c.dropout);
    if (cx->status) return &nil_rnn;

    const params_mark before = tg__params_mark(ps);
    tg_rnn *l = tg__arena_zeroed(&ps->memory, sizeof *l);
    const int directions = c.bidirectional ? 2 : 1, parts = c.layers * directions;
    rnn_part *part = tg__arena_zeroed(&ps->memory, (size_t)parts * sizeof *part);
    const char *own_name = tg__arena_text(&ps->memory, name);
    if (!l || !part || !own_name) return &nil_rnn;
    const tg_rnn made = { ps, own_name, I, H, c, directions, part };
    for (int k = 0; k < parts && !cx->status; k++)
        declare_part(&made, k / directions, k % directions, &part[k]);
    if (!tg__params_complete(ps, before)) return &nil_rnn;
    *l = made;
    return l;
}

/* ---- running ---- */

typedef struct rnn_record {
    tg_rnn *l;
    sequence s;
    tg_tensor *x, *h_in, *y, *h_out; /* h_in, h_out may be NULL */
    int *row;                        /* (tokens), in packed order: that of x (.,I); NULL: x is (T,B,I) */
    tg_real **input;                 /* (layers): packed input of each layer (tokens, its input size) */
    tg_real **output;                /* (layers): packed (tokens, H * directions) */
    tg_real **mask;                  /* (layers): dropout on the input of layers from 1 on; NULL: none */
    tg_real **h0;                    /* (layers * directions): state before, (B,H), rows in packed order */
    gru_saved *saved;                /* (layers * directions); with TG_EVAL all are one */
    tg_real *panels;                 /* the recurrent weights of the part at work, packed */
} rnn_record;

static size_t times(int a, int b) { return (size_t)a * (size_t)b; }

static gru_shape shape_of(const rnn_record *r, int k)
{
    const tg_rnn *l = r->l;
    const int layer = k / l->directions;
    return (gru_shape){ .sequence = &r->s,
                        .I = layer ? l->H * l->directions : l->I,
                        .H = l->H,
                        .reset_after = l->config.cell == TG_GRU_RESET_AFTER,
                        .reverse = k % l->directions == 1,
                        .y_stride = l->H * l->directions };
}

static gru_weights weights_of(const rnn_part *p)
{
    return (gru_weights){ p->W_x->data, p->W_h->data, p->b->data, p->b_h ? p->b_h->data : NULL };
}

static gru_gradients gradients_of(const rnn_part *p)
{
    return (gru_gradients){ p->W_x->grad, p->W_h->grad, p->b->grad, p->b_h ? p->b_h->grad : NULL };
}

/* The packed output of layer i. Backward needs the outputs of all layers. With TG_EVAL a layer reads only the output of the
 * layer below it, so two buffers are enough, which the layers use in turn: y and one more. The last layer writes into y, or,
 * if y is not packed (rows of different lengths), into the other one. */
static tg_real *take_output(tg_tape *t, const rnn_record *r, int i)
{
    const int above = r->l->config.layers - 1 - i;
    const bool other = above % 2 == (r->s.full ? 1 : 0);
    if (t->mode == TG_EVAL ? !other : !above && r->s.full) return r->y->data;
    if (t->mode == TG_EVAL && i >= 2) return r->output[i - 2];
    return tg__tape_take(t, times(r->s.tokens, r->l->H * r->l->directions) * sizeof(tg_real));
}

/* What a layer and direction leaves for backward. */
static gru_saved take_saved(tg_tape *t, const rnn_record *r)
{
    const int N = r->s.tokens, H = r->l->H;
    const bool after = r->l->config.cell == TG_GRU_RESET_AFTER;
    tg_real *zrg = tg__tape_take(t, times(N, 3 * H) * sizeof *zrg),
            *one = tg__tape_take(t, times(N, H) * sizeof *one);
    return (gru_saved){ .gates = zrg, .q = after ? one : NULL, .rh = after ? NULL : one };
}

/* Memory of a run, all of it on the tape. False: out of memory. */
static bool record_take(tg_tape *t, rnn_record *r)
{
    const tg_rnn *l = r->l;
    const int layers = l->config.layers, parts = layers * l->directions, N = r->s.tokens,
              width = l->H * l->directions;
    r->input = tg__tape_take(t, (size_t)layers * sizeof *r->input);
    r->output = tg__tape_take(t, (size_t)layers * sizeof *r->output);
    r->mask = tg__tape_take(t, (size_t)layers * sizeof *r->mask);
    r->h0 = tg__tape_take(t, (size_t)parts * sizeof *r->h0);
    r->saved = tg__tape_take(t, (size_t)parts * sizeof *r->saved);
    if (t->cx->status) return false;
    const bool dropout = t->mode == TG_TRAIN && l->config.dropout > 0;
    for (int i = 0; i < layers; i++) {
        r->mask[i] = i && dropout ? tg__tape_take(t, times(N, width) * sizeof(tg_real)) : NULL;
        r->output[i] = take_output(t, r, i);
        if (!i)
            r->input[i] =
                r->s.full || r->row ? r->x->data : tg__tape_take(t, times(N, l->I) * sizeof(tg_real));
        else
            r->input[i] = r->mask[i] ? tg__tape_take(t, times(N, width) * sizeof(tg_real)) : r->output[i - 1];
    }
    for (int k = 0; k < parts; k++) {
        const bool own = !k || t->mode == TG_TRAIN;
        r->h0[k] = own ? tg__tape_take(t, times(r->s.B, l->H) * sizeof(tg_real)) : r->h0[0];
        r->saved[k] = own ? take_saved(t, r) : r->saved[0];
    }
    return t->cx->status == TG_OK;
}

/* y = x * mask, or added to y */
typedef struct masking {
    size_t n;
    int pieces;
    const tg_real *x, *mask;
    tg_real *y;
} masking;

static void mask_piece(void *argument, int piece)
{
    const masking *m = argument;
    const size_t first = (size_t)tg__piece_start((int64_t)m->n, m->pieces, piece),
                 last = (size_t)tg__piece_start((int64_t)m->n, m->pieces, piece + 1);
    for (size_t i = first; i < last; i++) m->y[i] = m->x[i] * m->mask[i];
}

static void apply_mask(tg_context *cx, size_t n, const tg_real *x, const tg_real *mask, tg_real *y)
{
    masking m = { n, tg__pieces((int64_t)n, 16384), x, mask, y };
    tg__team_run(cx, m.pieces, mask_piece, &m);
}

static void forward_layers(tg_tape *t, rnn_record *r, tg_real *h_end)
{
    const tg_rnn *l = r->l;
    const int B = r->s.B, H = l->H;
    const size_t width = times(r->s.tokens, H * l->directions), state = times(B, H);
    if (!r->s.full && !r->row) tg__sequence_pack(t->cx, &r->s, l->I, r->x->data, r->input[0]);
    for (int layer = 0; layer < l->config.layers; layer++) {
        if (r->mask[layer]) {
            tg__dropout_mask(t->cx, l->name, tg__tape_draw(t), l->config.dropout, width, r->mask[layer]);
            apply_mask(t->cx, width, r->output[layer - 1], r->mask[layer], r->input[layer]);
        }
        for (int direction = 0; direction < l->directions; direction++) {
            const int k = layer * l->directions + direction;
            if (r->h_in)
                tg__sequence_order_rows(&r->s, H, r->h_in->data + (size_t)k * state, r->h0[k]);
            else
                memset(r->h0[k], 0, state * sizeof(tg_real));
            const gru_input input = { r->input[layer], layer ? NULL : r->row, r->x->dim[0] };
            tg__gru_forward(t->cx, shape_of(r, k), weights_of(&l->part[k]), input, r->h0[k], h_end,
                            r->output[layer] + direction * H, r->saved[k], r->panels);
            if (r->h_out) tg__sequence_restore_rows(&r->s, H, h_end, r->h_out->data + (size_t)k * state);
        }
    }
    if (!r->s.full)
        tg__sequence_unpack(t->cx, &r->s, H * l->directions, r->output[l->config.layers - 1], r->y->data);
}

static void rnn_backward(tg_tape *t, void *record)
{
    rnn_record *r = record;
    tg_rnn *l = r->l;
    const int B = r->s.B, H = l->H, N = r->s.tokens, width = H * l->directions;
    const size_t state = times(B, H), wide = times(N, width), state_bytes = state * sizeof(tg_real);

    tg_real *dh = tg__tape_take(t, state_bytes);
    size_t room = 0;
    for (int k = 0; k < l->config.layers * l->directions; k++) {
        const size_t needed = tg__gru_backward_scratch(shape_of(r, k));
        if (needed > room) room = needed;
    }
    tg_real *scratch = tg__tape_take(t, room * sizeof(tg_real));
    tg_real *dx_packed =
        r->x->grad && !r->s.full ? tg__arena_zeroed(&t->memory, times(N, l->I) * sizeof(tg_real)) : NULL;
    tg_real *between[2] = { NULL, NULL }; /* gradients of a layer's output and of its input, by turns */
    if (!r->s.full) between[0] = tg__tape_take(t, wide * sizeof(tg_real));
    if (l->config.layers > 1) between[1] = tg__tape_take(t, wide * sizeof(tg_real));
    if (l->config.layers > 2 && r->s.full) between[0] = tg__tape_take(t, wide * sizeof(tg_real));
    if (t->cx->status) return;

    const tg_real *dy = r->y->grad;
    if (!r->s.full) {
        tg__sequence_pack(t->cx, &r->s, width, r->y->grad, between[0]);
        dy = between[0];
    }
    for (int layer = l->config.layers - 1; layer >= 0; layer--) {
        tg_real *dx = layer       ? (dy == between[1] ? between[0] : between[1])
                      : dx_packed ? dx_packed
                                  : r->x->grad;
        for (int direction = 0; direction < l->directions; direction++) {
            const int k = layer * l->directions + direction;
            if (r->h_out && r->h_out->grad)
                tg__sequence_order_rows(&r->s, H, r->h_out->grad + (size_t)k * state, dh);
            else
                memset(dh, 0, state_bytes);
            tg__gru_backward(t->cx, shape_of(r, k), weights_of(&l->part[k]), gradients_of(&l->part[k]),
                             r->input[layer], r->h0[k], r->output[layer] + direction * H, dy + direction * H,
                             r->saved[k], dh, !layer || direction, dx, scratch, r->panels);
            if (r->h_in && r->h_in->grad)
                tg__sequence_add_restored_rows(&r->s, H, dh, r->h_in->grad + (size_t)k * state);
        }
        if (r->mask[layer]) apply_mask(t->cx, wide, dx, r->mask[layer], dx);
        dy = dx;
    }
    if (dx_packed) tg__sequence_add_unpacked(t->cx, &r->s, l->I, dx_packed, r->x->grad);
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
                           const tg_tensor *h_in)
{
    if (x->rank != 3 || x->dim[2] != l->I) {
        tg__tape_fail(t, TG_ERR_SHAPE, "tg_rnn_run: '%s': x is %s, it takes [T,B,%d]", l->name,
                      tg__shape(x).s, l->I);
        return false;
    }
    const int T = x->dim[0], B = x->dim[1], parts = l->config.layers * l->directions;
    if (!sizes_hold(l, t, T, B, lengths)) return false;
    if (!h_in) return true;
    if (h_in->rank != 3 || h_in->dim[0] != parts || h_in->dim[1] != B || h_in->dim[2] != l->H) {
        tg__tape_fail(t, TG_ERR_SHAPE, "tg_rnn_run: '%s': the state is %s, it takes [%d,%d,%d]", l->name,
                      tg__shape(h_in).s, parts, B, l->H);
        return false;
    }
    return true;
}

/* Puts the op on the tape, with all weights among its inputs. */
static void record(tg_tape *t, rnn_record *r)
{
    enum { WEIGHTS = 4 };
    const int parts = r->l->config.layers * r->l->directions, inputs = 2 + WEIGHTS * parts;
    tg_tensor **input = tg__tape_take(t, (size_t)inputs * sizeof *input);
    if (!input) return;
    input[0] = r->x, input[1] = r->h_in;
    for (int k = 0; k < parts; k++) {
        const rnn_part *p = &r->l->part[k];
        tg_tensor *const weight[WEIGHTS] = { p->W_x, p->W_h, p->b, p->b_h };
        memcpy(input + 2 + WEIGHTS * k, weight, sizeof weight);
    }
    tg__tape_record_all(t, &op_rnn, r, 2, (tg_tensor *[]){ r->y, r->h_out }, inputs, input);
}

/* The row of each token, from row (T,B). */
static void pack_rows(const sequence *s, const int row[], int *packed)
{
    for (int k = 0; k < s->steps; k++)
        for (int i = 0; i < s->active[k]; i++) packed[s->offset[k] + i] = row[k * s->B + s->order[i]];
}

/* The outputs y and h_out, which may be NULL, are there. The rest is needed until the end of backward. */
static void run_between(tg_rnn *l, tg_tape *t, tg_tensor *x, const int row[], const int lengths[],
                        tg_tensor *h_in, tg_tensor *y, tg_tensor *h_out)
{
    const int T = y->dim[0], B = y->dim[1];
    rnn_record *r = tg__arena_zeroed(&t->memory, sizeof *r);
    int *room = tg__tape_take(t, tg__sequence_room(T, B) * sizeof *room);
    tg_real *h_end = tg__tape_take(t, times(B, l->H) * sizeof *h_end);
    if (t->cx->status) return;
    *r = (rnn_record){ .l = l, .x = x, .h_in = h_in, .y = y, .h_out = h_out };
    tg__sequence_init(&r->s, T, B, lengths, room);
    tg__sequence_cut(&r->s, tg__gru_parts(shape_of(r, 0)));
    r->panels = tg__tape_take(t, tg__gru_panels_room(shape_of(r, 0)) * sizeof *r->panels);
    if (row) r->row = tg__tape_take(t, (size_t)r->s.tokens * sizeof *r->row);
    if (!record_take(t, r)) return;
    if (row) pack_rows(&r->s, row, r->row);
    forward_layers(t, r, h_end);
    record(t, r);
}

/* row (T,B): that of x (.,I); NULL: x is (T,B,I). */
static tg_tensor *run(tg_rnn *l, tg_tape *t, tg_tensor *x, const int row[], int T, int B, const int lengths[],
                      tg_tensor *given, tg_state *out)
{
    const int parts = l->config.layers * l->directions;
    tg_tensor *y = tg__tape_tensor(t, 3, (int[]){ T, B, l->H * l->directions }, true);
    tg_tensor *h_out = out ? tg__tape_tensor(t, 3, (int[]){ parts, B, l->H }, true) : NULL;
    if (t->cx->status) return &t->cx->nil;
    const arena_mark before = tg__arena_mark(&t->memory);
    run_between(l, t, x, row, lengths, given, y, h_out);
    if (t->mode == TG_EVAL) tg__arena_rewind(&t->memory, before);
    if (t->cx->status) return &t->cx->nil;
    if (out) out->h = h_out;
    return y;
}

tg_tensor *tg_rnn_run(tg_rnn *l, tg_tape *t, tg_tensor *x, const int lengths[], const tg_state *in,
                      tg_state *out)
{
    tg_tensor *given = in ? in->h : NULL; /* read first: in and out may be the same */
    if (out) out->h = tg__tape_nil(t);
    if (!tg__layer_ready(l ? l->ps : NULL, l ? l->name : NULL, t, "tg_rnn_run") ||
        !tg__tape_takes(t, "tg_rnn_run", "x", x) ||
        (given && !tg__tape_takes(t, "tg_rnn_run", "in->h", given)))
        return tg__tape_nil(t);
    if (!arguments_hold(l, t, x, lengths, given)) return &t->cx->nil;
    return run(l, t, x, NULL, x->dim[0], x->dim[1], lengths, given, out);
}

/* Each of the ids once, in order of appearance: how many; row[i]: which of them ids[i] is, negative where that is. */
static int distinct(int n, const int ids[], int V, int *place, int *id, int *row)
{
    int found = 0;
    for (int v = 0; v < V; v++) place[v] = -1;
    for (int i = 0; i < n; i++) {
        if (ids[i] >= 0 && place[ids[i]] < 0) id[place[ids[i]] = found++] = ids[i];
        row[i] = ids[i] < 0 ? -1 : place[ids[i]];
    }
    return found;
}

tg_tensor *tg__rnn_run_words(tg_rnn *l, tg_tape *t, tg_embedding *words, const int ids[], int T, int B,
                             const int lengths[], tg_state *out)
{
    if (out) out->h = &t->cx->nil;
    if (!tg__layer_ready(l ? l->ps : NULL, l ? l->name : NULL, t, "tg_rnn_run")) return &t->cx->nil;
    if (!tg__embedding_ids_hold(words, t, ids, T, B) || !sizes_hold(l, t, T, B, lengths)) return &t->cx->nil;
    const tg_tensor *W = tg__embedding_table(words);
    const int V = W->dim[0], n = T * B;
    int *place = tg__tape_take(t, (size_t)V * sizeof *place), *id = tg__tape_take(t, (size_t)n * sizeof *id),
        *row = tg__tape_take(t, (size_t)n * sizeof *row);
    if (t->cx->status) return &t->cx->nil;
    const int found = distinct(n, ids, V, place, id, row);
    tg_tensor *x = tg__tape_tensor(t, 2, (int[]){ found ? found : 1, l->I }, false);
    if (t->cx->status) return &t->cx->nil;
    tg__embedding_forward(t->cx, found, l->I, id, W->data, x->data);
    return run(l, t, x, row, T, B, lengths, NULL, out);
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
    if (!cx) return (tg_state){ &tg__context_nil.nil };
    if (!cx->status && (!l || !l->ps))
        tg_context_fail(
            cx, TG_ERR_STATE,
            "tg_state_new: this layer could not be made (its context was in error then), or is NULL");
    if (!cx->status && l->ps->cx != cx)
        tg_context_fail(cx, TG_ERR_STATE, "tg_state_new: the layer belongs to another context");
    if (cx->status) return (tg_state){ &cx->nil };
    return (tg_state){ tg_tensor_new(cx, 3, (int[]){ l->config.layers * l->directions, B, l->H }) };
}

void tg_state_keep(tg_state *dst, const tg_state *src)
{
    tg_tensor *to = dst ? dst->h : NULL;
    const tg_tensor *from = src ? src->h : NULL;
    if (to && from)
        tg_tensor_copy(to, from);
    else if (to || from)
        tg_context_fail((to ? to : from)->cx, TG_ERR_ARGUMENT, "tg_state_keep: %s is NULL, or has no h",
                        to ? "src" : "dst");
}
