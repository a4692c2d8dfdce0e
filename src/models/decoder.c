/* models/decoder.c -- see decoder.h; the equations stand in encoder_decoder.h.
 *
 * All that a step multiplies with is packed once (kernels/panels.h, kernels/argmax.h), the memory and its keys are made once, and what a
 * row carries is copied to where the row is now. The layers below the one that attends, and all layers of a decoder
 * without attention, run as ops on the tape t. */
#include "models/decoder.h"

#include <string.h>

#include "data/data.h"
#include "kernels/argmax.h"
#include "kernels/embedding.h"
#include "kernels/pointwise.h"
#include "layers/attention_rnn.h"
#include "params/params.h"

typedef struct carried { /* by each row */
    int *sentence;
    tg_real *below[CELL_STATES]; /* each state (layers on the tape, rows, H) */
    tg_real *state[CELL_STATES]; /* of the layer that attends (rows,H) */
    tg_real *u, *coverage;       /* (rows,R), (rows,S), or NULL */
} carried;

/* Embedding times W_x of the words met so far, where the embedding is what the attending layer reads: a text has fewer
 * words than tokens. */
typedef struct word_products {
    int n, most;
    int *place;       /* (V): of a word; below 0: not met yet */
    tg_real *product; /* (most,gates*H) */
} word_products;

struct decoder_weights {
    tg_encoder_decoder *m;
    step_weights cell; /* of the layer that attends */
    attending_matrices attends;
    word_products met;
    matrix W_x, readout, output; /* W_x: the rows of x; output: not packed as long as words will do */
    argmax_matrix words;         /* the output layer, quantized; or not usable */
};

struct decoder {
    tg_encoder_decoder *m;
    tg_tape *t;
    int S, B, most, rows; /* rows of the step before */
    int below;            /* layers that run on the tape */
    tg_tensor *summary;   /* (B,M) */
    attention_memory memory;
    decoder_weights *w;
    carried now, next;
    bool computes_all; /* the words' logits: it was of no use to leave some out */
    int *place;        /* (rows): in met.product */
    int *new_word;     /* (rows) */
    attending_run run;
    int *sequence_room;
    void *argmax_scratch;
    tg_real *y, *new_y, *z, *u, *logits; /* (rows,.): embeddings, what the readout reads, what it says, ... */
};

static size_t times(int a, int b) { return (size_t)a * (size_t)b; }

static tg_real *take(decoder *d, int rows, int D)
{
    return tg__tape_take(d->m->kept, times(rows, D) * sizeof(tg_real));
}

/* ---- weights ---- */

/* A matrix packed into the arena. */
static tg_real *room_for(arena *a, size_t elements) { return tg__arena_take(a, elements * sizeof(tg_real)); }

static void pack_attending(decoder_weights *w)
{
    const tg_attention_rnn *l = w->m->attends;
    const attending_shape s = l->s;
    arena *a = &w->m->packed;
    const int D = l->attention->D, G = s.cell->gates * s.H;
    tg_real *W_x = room_for(a, tg__panels_room(s.I, G)),
            *cell = room_for(a, tg__step_weights_room(s.cell, s.H)),
            *rest = room_for(a, tg__attending_room(s, D));
    if (a->cx->status) return;
    w->W_x = tg__matrix(NORMAL, s.I, G, l->cell.W_x->data, G, W_x);
    tg__matrices_pack(a->cx, true, 1, &w->W_x);
    w->cell = tg__step_weights(NORMAL, s.cell, s.H, tg__recurrent_weights(&l->cell), cell);
    tg__step_weights_pack(a->cx, a->cx->threads, &w->cell);
    w->attends = tg__attending_matrices(a->cx, NORMAL, s, D, tg__attention_rnn_weights(l), rest);
}

static void take_word_products(decoder_weights *w)
{
    enum { MOST = 4096 };
    const tg_encoder_decoder_config *c = &w->m->config;
    const int V = c->target_vocabulary;
    arena *a = &w->m->packed;
    w->met.most = V < MOST ? V : MOST;
    w->met.place = tg__arena_take(a, (size_t)V * sizeof *w->met.place);
    w->met.product = room_for(a, times(w->met.most, tg__cell(c->cell)->gates * c->hidden));
    if (a->cx->status) return;
    for (int v = 0; v < V; v++) w->met.place[v] = -1;
}

/* For logits. */
static bool pack_output(decoder_weights *w)
{
    arena *a = &w->m->packed;
    if (tg__matrix_packed(&w->output)) return true;
    tg_real *room = room_for(a, tg__linear_room(w->m->output));
    if (room) w->output = tg__linear_matrix(w->m->output, a->cx, room);
    return room;
}

decoder_weights *tg__decoder_pack(tg_encoder_decoder *m, int words_of)
{
    enum { WORTH_QUANTIZING = 8 }; /* sentences, from which on it does not cost more than it saves */
    arena *a = &m->packed;
    if (!tg__params_freeze(m->ps)) return NULL;
    tg__arena_reset(a);
    decoder_weights *w = tg__arena_zeroed(a, sizeof *w);
    tg_real *readout = m->readout ? room_for(a, tg__linear_room(m->readout)) : NULL;
    if (a->cx->status) return NULL;
    w->m = m;
    if (m->readout) w->readout = tg__linear_matrix(m->readout, a->cx, readout);
    if (m->attends) pack_attending(w);
    if (m->attends && m->config.layers == 1) take_word_products(w);
    if (words_of >= WORTH_QUANTIZING)
        w->words = tg__linear_argmax(m->output, a, 2, (int[]){ TG_PAD, TG_BEGIN });
    if (!w->words.columns && !pack_output(w)) return NULL;
    return a->cx->status ? NULL : w;
}

decoder_weights *tg__decoder_share(const decoder_weights *w, tg_encoder_decoder *m)
{
    tg__arena_reset(&m->packed);
    decoder_weights *own = tg__arena_take(&m->packed, sizeof *own);
    if (!own) return NULL;
    *own = *w;
    own->m = m;
    own->met = (word_products){ 0 }; /* each worker meets words of its own */
    if (w->met.most) take_word_products(own);
    return m->packed.cx->status ? NULL : own;
}

/* ---- begun ---- */

static carried take_carried(decoder *d)
{
    const tg_encoder_decoder *m = d->m;
    const int H = m->config.hidden, n = d->most;
    carried c = { .sentence = tg__tape_take(m->kept, (size_t)n * sizeof *c.sentence) };
    for (int k = 0; k < tg__cell(m->config.cell)->states; k++) {
        if (d->below) c.below[k] = take(d, n, d->below * H);
        if (m->attends) c.state[k] = take(d, n, H);
    }
    if (!m->attends) return c;
    if (m->attends->s.feeds)
        c.u = tg__arena_zeroed(&m->kept->memory, times(n, m->attends->s.R) * sizeof(tg_real));
    if (m->config.coverage) c.coverage = tg__arena_zeroed(&m->kept->memory, times(n, d->S) * sizeof(tg_real));
    return c;
}

static void take_run(decoder *d)
{
    const tg_encoder_decoder *m = d->m;
    const tg_encoder_decoder_config *c = &m->config;
    const int n = d->most, H = c->hidden;
    d->y = take(d, n, c->embed);
    d->new_y = take(d, n, c->embed);
    d->logits = take(d, n, c->target_vocabulary);
    d->argmax_scratch = tg__tape_take(m->kept, tg__argmax_scratch(&d->w->words, n));
    if (m->readout) d->u = take(d, n, c->readout);
    if (!m->attends) d->z = take(d, n, c->embed + m->M);
    if (!m->attends) return;
    const attending_shape s = m->attends->s;
    attending_run *r = &d->run;
    r->memory = d->memory;
    r->y = take(d, n, H), r->c = take(d, n, s.M), r->a = take(d, n, d->S);
    r->query = s.R ? NULL : take(d, n, d->memory.D);
    r->attentional = s.R ? take(d, n, s.R) : NULL;
    r->coverage_before = c->coverage ? take(d, n, d->S) : NULL;
    d->z = s.R ? NULL : take(d, n, H + s.M + c->embed);
}

/* The states s(0): row b is the start of sentence b. */
static void first_states(decoder *d)
{
    tg_encoder_decoder *m = d->m;
    const int H = m->config.hidden, L = m->config.layers;
    for (int b = 0; b < d->B; b++) d->now.sentence[b] = b;
    for (int l = 0; l < L; l++)
        for (int k = 0; k < tg__cell(m->config.cell)->states; k++) {
            const tg_tensor *s = tg__encoder_decoder_bridge(m, m->kept, l, k, d->summary);
            if (m->kept->cx->status) return;
            tg_real *to = l < d->below ? d->now.below[k] + times(d->B, l * H) : d->now.state[k];
            memcpy(to, s->data, times(d->B, H) * sizeof *to);
        }
    d->rows = d->B;
}

decoder *tg__decoder_begin(decoder_weights *w, tg_tape *t, int S, int B, const int source[],
                           const int lengths[], int most_rows)
{
    if (!w) return NULL;
    tg_encoder_decoder *m = w->m;
    tg_tape *kept = m->kept;
    tg_tape_begin(kept, TG_EVAL);
    const encoded e = tg__encoder_decoder_encode(m, kept, source, lengths, S, B);
    decoder *d = tg__arena_zeroed(&kept->memory, sizeof *d);
    if (t->cx->status) return NULL;
    *d = (decoder){ .m = m,
                    .w = w,
                    .t = t,
                    .S = S,
                    .B = B,
                    .most = most_rows,
                    .below = m->config.layers,
                    .summary = e.summary };
    if (m->attends) {
        const tg_memory memory = tg_attention_rnn_memory(m->attends, kept, e.memory, lengths);
        const int *real =
            t->cx->status ? NULL : tg__attention_lengths(m->attends->attention, kept, "decoder", &memory);
        if (t->cx->status) return NULL;
        d->memory = tg__attention_of(m->attends->attention, &memory, real);
        d->below--;
    }
    d->now = take_carried(d);
    d->next = take_carried(d);
    d->place = tg__tape_take(kept, (size_t)most_rows * sizeof *d->place);
    d->new_word = tg__tape_take(kept, (size_t)most_rows * sizeof *d->new_word);
    d->sequence_room = tg__tape_take(kept, tg__sequence_room(1, most_rows) * sizeof *d->sequence_room);
    take_run(d);
    if (t->cx->status) return NULL;
    first_states(d);
    return t->cx->status ? NULL : d;
}

/* ---- a step ---- */

static void carry(tg_real *next, const tg_real *now, int n, const int from[], int D)
{
    for (int r = 0; next && r < n; r++)
        memcpy(next + times(r, D), now + times(from[r], D), (size_t)D * sizeof *next);
}

/* Every row takes up what row from[r] of the step before left. */
static void carry_all(decoder *d, int n, const int from[])
{
    const tg_encoder_decoder *m = d->m;
    const int H = m->config.hidden;
    const carried now = d->now, next = d->next;
    for (int r = 0; r < n; r++) next.sentence[r] = now.sentence[from[r]];
    for (int k = 0; k < tg__cell(m->config.cell)->states; k++) {
        for (int l = 0; l < d->below; l++)
            carry(next.below[k] + times(n, l * H), now.below[k] + times(d->rows, l * H), n, from, H);
        carry(next.state[k], now.state[k], n, from, H);
    }
    if (m->attends) carry(next.u, now.u, n, from, m->attends->s.R);
    carry(next.coverage, now.coverage, n, from, d->S);
    d->now = next, d->next = now;
    d->rows = n;
}

/* The layers below, on the tape: x (n,I) -> (n,H). */
static const tg_real *run_below(decoder *d, int n, const tg_real *x, int I)
{
    tg_encoder_decoder *m = d->m;
    const int H = m->config.hidden, states = tg__cell(m->config.cell)->states;
    tg_tape_begin(d->t, TG_EVAL);
    tg_tensor *input = tg__tape_tensor(d->t, 2, (int[]){ n, I }, false), *state[CELL_STATES] = { NULL };
    for (int k = 0; k < states; k++) state[k] = tg__tape_tensor(d->t, 3, (int[]){ d->below, n, H }, false);
    if (d->t->cx->status) return NULL;
    const size_t bytes = times(n, d->below * H) * sizeof *x;
    memcpy(input->data, x, times(n, I) * sizeof *x);
    for (int k = 0; k < states; k++) memcpy(state[k]->data, d->now.below[k], bytes);
    tg_state s = { state[0], state[1] };
    const tg_tensor *h = tg_rnn_step(m->decoder, d->t, input, &s, &s);
    if (d->t->cx->status) return NULL;
    const tg_tensor *after[] = { s.h, s.c };
    for (int k = 0; k < states; k++) memcpy(d->now.below[k], after[k]->data, bytes);
    return h->data;
}

/* Rows [ a ; b ] side by side. */
static void beside(tg_real *z, int stride, int n, const tg_real *x, int D)
{
    for (int r = 0; r < n; r++) memcpy(z + times(r, stride), x + times(r, D), (size_t)D * sizeof *z);
}

/* Without attention: [ y ; c ] -> s (n,H). */
static const tg_real *step_summary(decoder *d, int n)
{
    const int E = d->m->config.embed, M = d->m->M;
    tg_real *x = d->z;
    beside(x, E + M, n, d->y, E);
    for (int r = 0; r < n; r++)
        memcpy(x + times(r, E + M) + E, d->summary->data + times(d->now.sentence[r], M),
               (size_t)M * sizeof *x);
    return run_below(d, n, x, E + M);
}

/* gates (n,gates*H) = embeddings of the words times W_x. False: there is no room for all of these words. */
static bool word_products_of(decoder *d, int n, const int word[], tg_real *gates)
{
    const tg_encoder_decoder *m = d->m;
    tg_context *cx = d->t->cx;
    const int E = m->config.embed, width = tg__cell(m->config.cell)->gates * m->config.hidden;
    word_products *met = &d->w->met;
    int new_words = 0;
    for (int r = 0; r < n; r++) {
        int *place = &met->place[word[r]];
        if (*place < 0 && met->n + new_words == met->most) break;
        if (*place < 0) {
            *place = met->n + new_words;
            d->new_word[new_words++] = word[r];
        }
        d->place[r] = *place;
    }
    tg_real *product = met->product + times(met->n, width);
    tg__embedding_forward(cx, new_words, E, d->new_word, tg__embedding_table(m->target_embedding)->data,
                          d->new_y);
    tg__matrix_product_all(cx, &d->w->W_x, new_words, d->new_y, E, NULL, product, width);
    met->n += new_words;
    for (int r = 0; r < n; r++)
        if (met->place[word[r]] < 0) return false;
    tg__embedding_forward(cx, n, width, d->place, met->product, gates);
    return true;
}

/* With attention: y -> u of dot and general, [ s ; c ; y ] of additive. */
static const tg_real *step_attending(decoder *d, int n, const int word[])
{
    const tg_encoder_decoder *m = d->m;
    const attending_shape s = m->attends->s;
    const int E = m->config.embed, width = s.H + s.M + E, G = s.cell->gates * s.H;
    arena *memory = &m->kept->memory;
    tg_context *cx = d->t->cx;
    const tg_real *x = d->below ? run_below(d, n, d->y, E) : d->y;
    if (!x) return NULL;
    const arena_mark mark = tg__arena_mark(memory);
    sequence q;
    tg__sequence_init(&q, 1, n, NULL, d->sequence_room);
    recurrent_plan *plan = tg__recurrent_plan(
        cx, memory,
        (recurrent_shape){
            .cell = s.cell, .sequence = &q, .I = s.I, .H = s.H, .hooked = true, .y_stride = s.H },
        (recurrent_masks){ NULL });
    if (!plan) return NULL;
    if (d->below || !word_products_of(d, n, word, plan->gates))
        tg__matrix_product_all(cx, &d->w->W_x, n, x, s.I, NULL, plan->gates, G);
    attending_run run = d->run;
    run.m = &d->w->attends;
    run.sentence = d->now.sentence;
    run.u = d->now.u, run.coverage = d->now.coverage;
    const sweep_hooks hooks = tg__attending_forward(&run);
    tg__recurrent_sweep(cx, memory, plan, &d->w->cell, (const tg_real *const *)d->now.state, run.y,
                        d->now.state, &hooks);
    tg__arena_rewind(memory, mark);
    if (cx->status) return NULL;
    if (s.R) return run.attentional;
    beside(d->z, width, n, run.y, s.H);
    beside(d->z + s.H, width, n, run.c, s.M);
    beside(d->z + s.H + s.M, width, n, d->y, E);
    return d->z;
}

/* What the output layer reads, (n,.). NULL: the context is in error. */
static const tg_real *step(decoder *d, int n, const int from[], const int word[])
{
    const tg_encoder_decoder *m = d->m;
    tg_context *cx = d->t->cx;
    assert(n <= d->most);
    carry_all(d, n, from);
    tg__embedding_forward(cx, n, m->config.embed, word, tg__embedding_table(m->target_embedding)->data, d->y);
    const tg_real *u = m->attends ? step_attending(d, n, word) : step_summary(d, n);
    if (!u || !m->readout) return u;
    const matrix *readout = &d->w->readout;
    tg__matrix_product_all(cx, readout, n, u, readout->k, tg__linear_bias(m->readout), d->u, readout->n);
    tg__tanh(times(n, readout->n), d->u, d->u);
    return d->u;
}

static bool all_logits(decoder *d, int n, const tg_real *u)
{
    if (!pack_output(d->w)) return false;
    const matrix *output = &d->w->output;
    tg__matrix_product_all(d->t->cx, output, n, u, output->k, tg__linear_bias(d->m->output), d->logits,
                           output->n);
    return true;
}

static const tg_real *looked_at(const decoder *d) { return d->m->attends ? d->run.a : NULL; }

tg_status tg__decoder_step(decoder *d, int n, const int from[], const int word[], const tg_real **logits,
                           const tg_real **attention)
{
    const tg_real *u = step(d, n, from, word);
    if (!u || !all_logits(d, n, u)) return tg__status_taken(d->t->cx);
    *logits = d->logits;
    if (attention) *attention = looked_at(d);
    return TG_OK;
}

tg_status tg__decoder_step_words(decoder *d, int n, const int from[], const int word[], int best[],
                                 const tg_real **attention)
{
    const int V = d->m->config.target_vocabulary;
    const tg_real *u = step(d, n, from, word);
    if (!u) return tg__status_taken(d->t->cx);
    if (attention) *attention = looked_at(d);
    const argmax_matrix *words = &d->w->words;
    if (words->columns && !d->computes_all) {
        if (tg__argmax(d->t->cx, words, n, u, words->k, d->logits, d->argmax_scratch, best)) return TG_OK;
        d->computes_all = true;
    }
    if (!all_logits(d, n, u)) return tg__status_taken(d->t->cx);
    for (int r = 0; r < n; r++) {
        const tg_real *x = d->logits + times(r, V);
        const int bad = (int)tg__first_nonfinite(x, (size_t)V);
        best[r] = bad < V ? ~bad : tg__best_word(x, V);
    }
    return TG_OK;
}
