/* models/encoder_decoder.c -- the encoder-decoder: its configuration, and its equations with teacher forcing. They
 * stand in the public header. Letters: S source time, T target time, B batch, E embedding, H hidden, M memory,
 * L layers, V target vocabulary. */
#include "models/encoder_decoder.h"

#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <tidegate/ops.h>

#include "data/data.h"
#include "layers/layer.h"
#include "params/params.h"

static tg_encoder_decoder nil_model = { 0 };

const char *tg_tying_name(tg_tying tying)
{
    static const char *const name[] = { "none", "target", "all" };
    return tying >= TG_TIE_NONE && tying <= TG_TIE_ALL ? name[tying] : "unknown tying";
}

/* ---- configuration ---- */

static const struct setting {
    const char *name;
    size_t at;
    int standard, least, most;
} settings[] = {
#define SETTING(name, standard, least, most)                                                                 \
    {                                                                                                        \
#name, offsetof(tg_encoder_decoder_config, name), standard, least, most                              \
    }
    SETTING(source_vocabulary, 0, TG_SPECIAL_TOKENS, 1 << 28),
    SETTING(target_vocabulary, 0, TG_SPECIAL_TOKENS, 1 << 28),
    SETTING(embed, 128, 1, 1 << 16),
    SETTING(hidden, 256, 1, 1 << 16),
    SETTING(layers, 1, 1, MOST_LAYERS),
#undef SETTING
};

/* What contradicts another setting; NULL: nothing. Sets the size of the readout where it is 0. */
static const char *contradiction(tg_encoder_decoder_config *c)
{
    const bool luong = c->attention == TG_ATTENTION_DOT || c->attention == TG_ATTENTION_GENERAL,
               none = c->attention == TG_ATTENTION_NONE;
    if (!c->readout) c->readout = none && c->tying == TG_TIE_NONE ? TG_NO_READOUT : c->embed;
    if (c->input_feeding && !luong) return "input feeding belongs to dot and general attention";
    if (c->coverage && none) return "coverage belongs to attention";
    if (luong && c->readout == TG_NO_READOUT) return "dot and general attention have a readout";
    if (c->tying != TG_TIE_NONE && c->readout != c->embed)
        return "with tied weights the readout has the size of the embedding";
    if (c->tying == TG_TIE_ALL && c->source_vocabulary != c->target_vocabulary)
        return "a tied source embedding takes one vocabulary for both sides";
    if (c->attention == TG_ATTENTION_DOT && c->bidirectional && c->hidden % 2)
        return "dot attention with two directions takes an even hidden size";
    return NULL;
}

tg_status tg__encoder_decoder_settle(tg_context *cx, context_report *report, tg_status status,
                                     const char *who, tg_encoder_decoder_config *c)
{
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        const struct setting *s = &settings[i];
        int *value = (int *)(void *)((char *)c + s->at);
        if (*value == 0) *value = s->standard;
        if (*value < s->least || *value > s->most)
            return report(cx, status, "%s: %s is %d, must be in %d..%d", who, s->name, *value, s->least,
                          s->most);
    }
    if (!tg__cell_exists((int)c->cell))
        return report(cx, status, "%s: cell is %d, which names no cell", who, (int)c->cell);
    if (c->attention < TG_ATTENTION_NONE || c->attention > TG_ATTENTION_GENERAL)
        return report(cx, status, "%s: attention is %d, which names no attention", who, (int)c->attention);
    if (c->tying < TG_TIE_NONE || c->tying > TG_TIE_ALL)
        return report(cx, status, "%s: tying is %d, which names no tying", who, (int)c->tying);
    if (c->readout != TG_NO_READOUT && (c->readout < 0 || c->readout > 1 << 16))
        return report(cx, status, "%s: readout is %d, must be in 0..%d, or TG_NO_READOUT", who, c->readout,
                      1 << 16);
    if (c->dropout == TG_ZERO) c->dropout = 0;
    if (!(c->dropout >= 0 && c->dropout < 1))
        return report(cx, status, "%s: dropout is %g, must be at least 0 and below 1", who,
                      (double)c->dropout);
    const char *wrong = contradiction(c);
    if (wrong)
        return report(
            cx, status,
            "%s: %s (attention %s, tying %s, embed %d, hidden %d, readout %d, vocabularies %d and %d)", who,
            wrong, tg_attention_kind_name(c->attention), tg_tying_name(c->tying), c->embed, c->hidden,
            c->readout, c->source_vocabulary, c->target_vocabulary);
    return TG_OK;
}

/* ---- making ---- */

static void make_encoder(tg_encoder_decoder *m, tg_params *ps)
{
    const tg_encoder_decoder_config *c = &m->config;
    const bool halves = c->attention == TG_ATTENTION_DOT && c->bidirectional;
    const int H = halves ? c->hidden / 2 : c->hidden;
    m->M = c->bidirectional ? 2 * H : H;
    if (c->tying != TG_TIE_ALL)
        m->source_embedding = tg_embedding_new(ps, "source_embedding", c->source_vocabulary, c->embed);
    m->encoder = tg_rnn_new(
        ps, "encoder", c->embed, H,
        &(tg_rnn_config){
            .cell = c->cell, .layers = c->layers, .dropout = c->dropout, .bidirectional = c->bidirectional });
    for (int l = 0; l < c->layers; l++)
        for (int k = 0; k < tg__cell(c->cell)->states; k++) {
            char name[32];
            snprintf(name, sizeof name, "bridge%s/layer%d", k ? "_c" : "", l);
            m->bridge[l][k] = tg_linear_new(ps, name, m->M, c->hidden, NULL);
        }
    m->target_embedding = tg_embedding_new(ps, "target_embedding", c->target_vocabulary, c->embed);
    if (c->tying == TG_TIE_ALL) m->source_embedding = m->target_embedding;
}

static void make_decoder(tg_encoder_decoder *m, tg_params *ps)
{
    const tg_encoder_decoder_config *c = &m->config;
    const bool additive = c->attention == TG_ATTENTION_ADDITIVE, none = c->attention == TG_ATTENTION_NONE;
    const int E = c->embed, H = c->hidden, L = c->layers, R = c->readout;
    const tg_rnn_config rnn = { .cell = c->cell, .layers = none ? L : L - 1, .dropout = c->dropout };
    if (rnn.layers) m->decoder = tg_rnn_new(ps, "decoder", none ? E + m->M : E, H, &rnn);
    if (!none) {
        char name[32];
        snprintf(name, sizeof name, "decoder/layer%d", L - 1);
        m->attends = tg_attention_rnn_new(
            ps, name, L > 1 ? H : E, H, m->M,
            &(tg_attention_rnn_config){ .cell = c->cell,
                                        .attention = { .kind = c->attention, .coverage = c->coverage },
                                        .attentional = additive ? 0 : R,
                                        .input_feeding = c->input_feeding });
    }
    const int seen = none ? H : H + m->M + E; /* by the readout, or the output itself */
    if (R != TG_NO_READOUT && (none || additive)) m->readout = tg_linear_new(ps, "readout", seen, R, NULL);
    m->output = tg_linear_new(ps, "output", R == TG_NO_READOUT ? seen : R, c->target_vocabulary,
                              &(tg_linear_config){ .tied = c->tying ? m->target_embedding : NULL });
}

static void free_rest(void *model)
{
    tg_encoder_decoder *m = model;
    for (int i = 0; i < m->workers; i++)
        if (m->of_worker[i]) tg_context_free(m->of_worker[i]->ps->cx);
    tg__release(m->ps->cx, m->of_worker);
    tg__arena_free(&m->packed);
}

tg_encoder_decoder *tg_encoder_decoder_new(tg_params *ps, const tg_encoder_decoder_config *config)
{
    tg_encoder_decoder_config c = config ? *config : (tg_encoder_decoder_config){ 0 };
    ps = tg__params_or_nil(ps);
    if (ps->cx->status) return &nil_model;
    if (tg__encoder_decoder_settle(ps->cx, tg_context_fail, TG_ERR_ARGUMENT, "tg_encoder_decoder_new", &c))
        return &nil_model;
    const params_mark before = tg__params_mark(ps);
    tg_encoder_decoder *m = tg_context_allocate(ps->cx, sizeof *m);
    if (!m || !tg__context_on_free(ps->cx, free_rest, m)) return &nil_model;
    *m = (tg_encoder_decoder){
        .ps = ps, .config = c, .kept = tg_tape_new(ps->cx), .own = tg_tape_new(ps->cx)
    };
    tg__arena_init(&m->packed, ps->cx);
    make_encoder(m, ps);
    make_decoder(m, ps);
    return tg__params_complete(ps, before) ? m : &nil_model;
}

static bool has_room_for_worker(tg_encoder_decoder *m, int worker)
{
    tg_context *cx = m->ps->cx;
    if (worker < m->workers) return true;
    const int workers = worker + 1 > cx->threads ? worker + 1 : cx->threads;
    tg_encoder_decoder **room = tg__allocate(cx, (size_t)workers * sizeof(tg_encoder_decoder *));
    if (!room) return false;
    for (int i = 0; i < m->workers; i++) room[i] = m->of_worker[i];
    tg__release(cx, m->of_worker);
    m->of_worker = room;
    m->workers = workers;
    return true;
}

tg_encoder_decoder *tg__encoder_decoder_of_worker(tg_encoder_decoder *m, int worker)
{
    if (!has_room_for_worker(m, worker)) return NULL;
    if (m->of_worker[worker]) return m->of_worker[worker];
    tg_context *own = tg__context_of_worker(m->ps->cx);
    tg_encoder_decoder *made = tg_encoder_decoder_new(tg_params_share(own, m->ps), &m->config);
    if (tg_context_ok(own) && tg__params_freeze(made->ps)) return m->of_worker[worker] = made;
    tg_context_free(own);
    return NULL;
}

/* ---- the equations ---- */

encoded tg__encoder_decoder_encode(tg_encoder_decoder *m, tg_tape *t, const int *source, const int *lengths,
                                   int S, int B)
{
    tg_state h;
    tg_tensor *x = tg_embedding_run(m->source_embedding, t, source, S, B); /* (S,B,E) */
    tg_tensor *y =
        tg_rnn_run(m->encoder, t, tg_dropout(t, x, m->config.dropout), lengths, NULL, &h); /* (S,B,M) */
    tg_tensor *c = tg_row(t, h.h, -1);                                                     /* (B,M) */
    if (m->config.bidirectional) c = tg_concatenate(t, tg_row(t, h.h, -2), c);
    return (encoded){ y, c };
}

tg_tensor *tg__encoder_decoder_bridge(tg_encoder_decoder *m, tg_tape *t, int layer, int state,
                                      tg_tensor *summary)
{
    return tg_tanh(t, tg_linear_run(m->bridge[layer][state], t, summary));
}

/* The states s(0) of the decoder's layers from 0 to L-1: (L,B,H) each. */
static tg_state first_states(tg_encoder_decoder *m, tg_tape *t, int L, tg_tensor *summary)
{
    tg_tensor *of_layer[MOST_LAYERS], *state[CELL_STATES] = { NULL };
    for (int k = 0; k < tg__cell(m->config.cell)->states; k++) {
        for (int l = 0; l < L; l++) of_layer[l] = tg__encoder_decoder_bridge(m, t, l, k, summary);
        state[k] = tg_stack(t, L, of_layer);
    }
    return (tg_state){ state[0], state[1] };
}

/* Without attention: s (T,B,H). */
static tg_tensor *decode_summary(tg_encoder_decoder *m, tg_tape *t, const tg_pair_batch *batch, encoded e,
                                 tg_tensor *y)
{
    const tg_state s0 = first_states(m, t, m->config.layers, e.summary);
    tg_tensor *x = tg_concatenate(t, y, tg_repeat(t, e.summary, batch->T)); /* (T,B,E+M) */
    return tg_rnn_run(m->decoder, t, x, batch->target_lengths, &s0, NULL);
}

/* With attention: u of dot and general (T,B,R), [ s ; c ; y ] of additive. */
static tg_tensor *decode_attending(tg_encoder_decoder *m, tg_tape *t, const tg_pair_batch *batch, encoded e,
                                   tg_tensor *y)
{
    const int L = m->config.layers;
    const tg_real p = m->config.dropout;
    tg_tensor *x = y;
    if (L > 1) {
        const tg_state s0 = first_states(m, t, L - 1, e.summary);
        x = tg_dropout(t, tg_rnn_run(m->decoder, t, y, batch->target_lengths, &s0, NULL), p); /* (T,B,H) */
    }
    const bool has_c = tg__cell(m->config.cell)->states > 1;
    const tg_attention_state s0 = { .h = tg__encoder_decoder_bridge(m, t, L - 1, 0, e.summary),
                                    .c = has_c ? tg__encoder_decoder_bridge(m, t, L - 1, 1, e.summary)
                                               : NULL };
    const tg_memory memory =
        tg_attention_rnn_memory(m->attends, t, tg_dropout(t, e.memory, p), batch->source_lengths);
    const tg_attended s = tg_attention_rnn_run(m->attends, t, x, batch->target_lengths, &memory, &s0, NULL);
    if (m->config.attention != TG_ATTENTION_ADDITIVE) return s.attentional;
    return tg_concatenate(t, tg_concatenate(t, s.output, s.context), y);
}

/* What the output layer reads, before dropout; `real`: of the real tokens alone (N,.), otherwise (T,B,.). */
static tg_tensor *decode(tg_encoder_decoder *m, tg_tape *t, const tg_pair_batch *batch, bool real)
{
    const encoded e =
        tg__encoder_decoder_encode(m, t, batch->source, batch->source_lengths, batch->S, batch->B);
    tg_tensor *y =
        tg_embedding_run(m->target_embedding, t, batch->target_in, batch->T, batch->B); /* (T,B,E) */
    y = tg_dropout(t, y, m->config.dropout);
    tg_tensor *s = m->attends ? decode_attending(m, t, batch, e, y) : decode_summary(m, t, batch, e, y);
    if (real) s = tg_pack(t, s, batch->target_lengths);
    return m->readout ? tg_tanh(t, tg_linear_run(m->readout, t, s)) : s;
}

/* ---- what a caller can get wrong ---- */

tg_status tg__words_check(tg_context *cx, context_report *report, const char *who, const char *side, int T,
                          int B, const int *lengths, const int *ids, int V)
{
    if (T < 1 || B < 1 || (int64_t)T * B > INT_MAX / 2)
        return report(cx, TG_ERR_ARGUMENT,
                      "%s: the %s has %d steps in %d rows: at least 1 each, and %d together at most", who,
                      side, T, B, INT_MAX / 2);
    for (int b = 0; b < B; b++) {
        const int length = lengths ? lengths[b] : T;
        if (length < 0 || length > T)
            return report(cx, TG_ERR_ARGUMENT, "%s: the %s of row %d has length %d, outside 0..%d", who, side,
                          b, length, T);
        for (int k = 0; k < length; k++) {
            const int id = ids[(size_t)k * (size_t)B + (size_t)b];
            if (id < 0 || id >= V)
                return report(cx, TG_ERR_ARGUMENT,
                              "%s: %s: id %d at step %d of row %d, the vocabulary has %d words", who, side,
                              id, k, b, V);
        }
    }
    return TG_OK;
}

tg_status tg__encoder_decoder_check(const tg_encoder_decoder *m, tg_context *cx, context_report *report,
                                    const char *who, const tg_pair_batch *batch)
{
    if (!m || !m->ps)
        return report(cx, TG_ERR_STATE,
                      "%s: this model could not be made (its context was in error then), or is NULL", who);
    if (m->ps->cx != cx)
        return report(cx, TG_ERR_STATE, "%s: model and tape belong to different contexts", who);
    if (!batch) return report(cx, TG_ERR_ARGUMENT, "%s: batch is NULL", who);
    const tg_encoder_decoder_config *c = &m->config;
    const named_argument members[] = { { "batch->source", batch->source },
                                       { "batch->source_lengths", batch->source_lengths },
                                       { "batch->target_in", batch->target_in },
                                       { "batch->target_lengths", batch->target_lengths },
                                       { NULL, NULL } };
    tg_status s = tg__missing(cx, report, who, members);
    if (!s)
        s = tg__words_check(cx, report, who, "source", batch->S, batch->B, batch->source_lengths,
                            batch->source, c->source_vocabulary);
    return s ? s
             : tg__words_check(cx, report, who, "target", batch->T, batch->B, batch->target_lengths,
                               batch->target_in, c->target_vocabulary);
}

static bool may_run(tg_encoder_decoder *m, tg_tape *t, const char *who, const tg_pair_batch *batch)
{
    return tg__tape_ready(t, who) && !tg__encoder_decoder_check(m, t->cx, tg_context_fail, who, batch);
}

tg_tensor *tg_encoder_decoder_logits(tg_encoder_decoder *m, tg_tape *t, const tg_pair_batch *batch)
{
    if (!may_run(m, t, "tg_encoder_decoder_logits", batch)) return tg__tape_nil(t);
    return tg_linear_run(m->output, t,
                         tg_dropout(t, decode(m, t, batch, false), m->config.dropout)); /* (T,B,V) */
}

/* The target tokens that are no padding, in tg_pack's order. NULL: out of memory. */
static int *real_targets(tg_tape *t, const tg_pair_batch *batch)
{
    size_t tokens = 0, n = 0;
    for (int b = 0; b < batch->B; b++) tokens += (size_t)batch->target_lengths[b];
    int *id = tg__tape_take(t, tokens * sizeof *id);
    for (int k = 0; id && k < batch->T; k++)
        for (int b = 0; b < batch->B; b++)
            if (k < batch->target_lengths[b])
                id[n++] = batch->target_out[(size_t)k * (size_t)batch->B + (size_t)b];
    return id;
}

tg_tensor *tg_encoder_decoder_loss(tg_encoder_decoder *m, tg_tape *t, const tg_pair_batch *batch,
                                   tg_real label_smoothing)
{
    if (!may_run(m, t, "tg_encoder_decoder_loss", batch)) return tg__tape_nil(t);
    if (!batch->target_out)
        return tg__tape_fail(t, TG_ERR_ARGUMENT, "tg_encoder_decoder_loss: target_out of the batch is NULL");
    tg_tensor *u = tg_dropout(t, decode(m, t, batch, true), m->config.dropout); /* (N,R) */
    const int *id = real_targets(t, batch);
    if (t->cx->status) return &t->cx->nil;
    return tg_cross_entropy(t, tg_linear_run(m->output, t, u), id,
                            &(tg_cross_entropy_config){ .label_smoothing = label_smoothing });
}

tg_status tg__encoder_decoder_loss_sum(tg_encoder_decoder *m, tg_tape *t, const tg_pair_batch *batch,
                                       double *sum)
{
    enum { MOST_LOGITS = 1 << 24 };
    tg_context *cx = t->cx;
    const int V = m->config.target_vocabulary, most = MOST_LOGITS / V + 1;
    tg_tape_begin(t, TG_EVAL);
    const bool may = may_run(m, t, "tg_translator_loss", batch);
    const tg_tensor *u = may ? decode(m, t, batch, true) : tg__tape_nil(t); /* (N,R) */
    const int *id = may ? real_targets(t, batch) : NULL;
    *sum = 0;
    for (int k = 0, n; !cx->status && k < (int)batch->target_tokens; k += n) {
        const int left = (int)batch->target_tokens - k, R = u->dim[1];
        n = left < most ? left : most;
        tg_tape_begin(m->kept, TG_EVAL);
        tg_tensor *part = tg__tape_tensor(m->kept, 2, (int[]){ n, R }, false);
        if (cx->status) break;
        memcpy(part->data, u->data + (size_t)k * (size_t)R, (size_t)n * (size_t)R * sizeof *part->data);
        const tg_tensor *loss = tg_cross_entropy(m->kept, tg_linear_run(m->output, m->kept, part), id + k,
                                                 &(tg_cross_entropy_config){ .reduction = TG_SUM });
        if (!cx->status) *sum += (double)*loss->data;
    }
    return tg__status_taken(cx);
}
