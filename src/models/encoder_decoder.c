/* models/encoder_decoder.c -- Cho et al. 2014, "Learning Phrase Representations using RNN Encoder-Decoder
 * for Statistical Machine Translation", arXiv:1406.1078.
 *
 * The equations stand in the public header. Letters: S source time, T target time, B batch, E embedding,
 * H hidden, L layers, V target vocabulary. */
#include "models/encoder_decoder.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>

#include <tidegate/ops.h>

#include "data/data.h"
#include "params/params.h"

enum { MOST_LAYERS = 32 };

struct tg_encoder_decoder {
    tg_params *ps; /* NULL: made while its context was in error */
    tg_encoder_decoder_config config;
    tg_embedding *source_embedding, *target_embedding;
    tg_rnn *encoder, *decoder;
    tg_linear *bridge[MOST_LAYERS], *output;
    tg_tape *kept; /* what decoding carries from step to step */
    tg_tape *own;  /* for callers that have none */
};

static tg_encoder_decoder nil_model = { 0 };

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

tg_status tg__encoder_decoder_settle(tg_context *cx, encoder_decoder_report *report, tg_status status,
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
    if (c->cell != TG_GRU && c->cell != TG_GRU_RESET_AFTER)
        return report(cx, status, "%s: cell is %d, which names no cell", who, (int)c->cell);
    if (c->dropout == TG_ZERO) c->dropout = 0;
    if (!(c->dropout >= 0 && c->dropout < 1))
        return report(cx, status, "%s: dropout is %g, must be at least 0 and below 1", who,
                      (double)c->dropout);
    return TG_OK;
}

tg_encoder_decoder *tg_encoder_decoder_new(tg_params *ps, const tg_encoder_decoder_config *config)
{
    tg_encoder_decoder_config c = config ? *config : (tg_encoder_decoder_config){ 0 };
    if (ps->cx->status) return &nil_model;
    if (tg__encoder_decoder_settle(ps->cx, tg_context_fail, TG_ERR_ARGUMENT, "tg_encoder_decoder_new", &c))
        return &nil_model;
    tg_encoder_decoder *m = tg_context_allocate(ps->cx, sizeof *m);
    if (!m) return &nil_model;

    const tg_rnn_config rnn = { .cell = c.cell, .layers = c.layers, .dropout = c.dropout };
    *m = (tg_encoder_decoder){
        .ps = ps, .config = c, .kept = tg_tape_new(ps->cx), .own = tg_tape_new(ps->cx)
    };
    m->source_embedding = tg_embedding_new(ps, "source_embedding", c.source_vocabulary, c.embed);
    m->encoder = tg_rnn_new(ps, "encoder", c.embed, c.hidden, &rnn);
    for (int l = 0; l < c.layers; l++) {
        char name[32];
        snprintf(name, sizeof name, "bridge/layer%d", l);
        m->bridge[l] = tg_linear_new(ps, name, c.hidden, c.hidden, NULL);
    }
    m->target_embedding = tg_embedding_new(ps, "target_embedding", c.target_vocabulary, c.embed);
    m->decoder = tg_rnn_new(ps, "decoder", c.embed + c.hidden, c.hidden, &rnn);
    m->output = tg_linear_new(ps, "output", c.hidden, c.target_vocabulary, NULL);
    return m;
}

tg_tape *tg__encoder_decoder_tape(tg_encoder_decoder *m) { return m->own; }

/* ---- the equations ---- */

/* c, the encoder's last state: source (S,B) -> (B,H) */
static tg_tensor *summary(tg_encoder_decoder *m, tg_tape *t, const int *source, const int *lengths, int S,
                          int B)
{
    tg_state h = { NULL };
    tg_tensor *x = tg_embedding_run(m->source_embedding, t, source, S, B);             /* (S,B,E) */
    tg_rnn_run(m->encoder, t, tg_dropout(t, x, m->config.dropout), lengths, NULL, &h); /* (L,B,H) */
    return tg_row(t, h.h, -1);                                                         /* (B,H) */
}

/* s_l(0) = tanh( c W_l + b_l ): c (B,H) -> (L,B,H) */
static tg_state first_state(tg_encoder_decoder *m, tg_tape *t, tg_tensor *c)
{
    const int L = m->config.layers;
    tg_tensor *s[MOST_LAYERS];
    for (int l = 0; l < L; l++) s[l] = tg_tanh(t, tg_linear_run(m->bridge[l], t, c)); /* (B,H) */
    return (tg_state){ tg_stack(t, L, s) };                                           /* (L,B,H) */
}

static tg_tensor *failed(tg_tape *t)
{
    return tg__tape_fail(t, TG_ERR_STATE,
                         "tg_encoder_decoder: this model was made while its context was in error");
}

tg_tensor *tg_encoder_decoder_logits(tg_encoder_decoder *m, tg_tape *t, const tg_pair_batch *batch)
{
    if (!m->ps) return failed(t);
    const int S = batch->S, T = batch->T, B = batch->B;
    const tg_real p = m->config.dropout;

    tg_tensor *c = summary(m, t, batch->source, batch->source_lengths, S, B);        /* (B,H) */
    const tg_state s0 = first_state(m, t, c);                                        /* (L,B,H) */
    tg_tensor *y = tg_embedding_run(m->target_embedding, t, batch->target_in, T, B); /* (T,B,E) */
    tg_tensor *x = tg_concatenate(t, tg_dropout(t, y, p), tg_repeat(t, c, T));       /* (T,B,E+H) */
    tg_tensor *s = tg_rnn_run(m->decoder, t, x, batch->target_lengths, &s0, NULL);   /* (T,B,H) */
    return tg_linear_run(m->output, t, tg_dropout(t, s, p));                         /* (T,B,V) */
}

tg_tensor *tg_encoder_decoder_loss(tg_encoder_decoder *m, tg_tape *t, const tg_pair_batch *batch,
                                   tg_real label_smoothing)
{
    return tg_cross_entropy(t, tg_encoder_decoder_logits(m, t, batch), batch->target_out,
                            &(tg_cross_entropy_config){ .label_smoothing = label_smoothing });
}

/* ---- greedy decoding ----
 *
 * Every step begins the tape anew, so that it holds one step however long the output becomes; the
 * summary, the state and the last words stay on the model's tape `kept`, which is begun once. */

typedef struct decoding {
    tg_tensor *c; /* (B,H) */
    tg_state s;   /* (L,B,H) */
    int *word;    /* (B): the last of each row; TG_END or TG_PAD: the row has ended */
} decoding;

/* False: the context is in error. */
static bool decoding_begin(decoding *d, tg_encoder_decoder *m, tg_tape *t, const int *source,
                           const int *lengths, int S, int B)
{
    const int H = m->config.hidden, L = m->config.layers;
    tg_tape_begin(t, TG_EVAL);
    tg_tape_begin(m->kept, TG_EVAL);
    tg_tensor *c = summary(m, t, source, lengths, S, B);
    const tg_state s = first_state(m, t, c);
    if (!(d->c = tg__tape_tensor(m->kept, 2, (int[]){ B, H }, false))) return false;
    if (!(d->s.h = tg__tape_tensor(m->kept, 3, (int[]){ L, B, H }, false))) return false;
    if (!(d->word = tg__tape_take(m->kept, (size_t)B * sizeof *d->word))) return false;
    tg_tensor_copy(d->c, c);
    tg_state_keep(&d->s, &s);
    for (int b = 0; b < B; b++) d->word[b] = TG_BEGIN;
    return !t->cx->status;
}

/* The logits (B,V) of the next word of each row. */
static tg_tensor *decoding_step(decoding *d, tg_encoder_decoder *m, tg_tape *t)
{
    const int B = d->c->dim[0], E = m->config.embed;
    tg_state s = { NULL };
    tg_tape_begin(t, TG_EVAL);
    tg_tensor *y = tg_embedding_run(m->target_embedding, t, d->word, 1, B);       /* (1,B,E) */
    tg_tensor *x = tg_concatenate(t, tg_reshape(t, y, 2, (int[]){ B, E }), d->c); /* (B,E+H) */
    tg_tensor *h = tg_rnn_step(m->decoder, t, x, &d->s, &s);                      /* (B,H) */
    if (!t->cx->status) tg_state_keep(&d->s, &s);
    return tg_linear_run(m->output, t, h); /* (B,V) */
}

/* The most probable word, the first of equal ones, that is neither <pad> nor <s>. */
static int best_word(const tg_real *logits, int V)
{
    int best = TG_UNKNOWN;
    for (int v = TG_UNKNOWN + 1; v < V; v++)
        if (logits[v] > logits[best] && v != TG_BEGIN) best = v;
    return best;
}

static double log_softmax(const tg_real *logits, int V, int v)
{
    double most = logits[0], sum = 0;
    for (int k = 1; k < V; k++) most = fmax(most, logits[k]);
    for (int k = 0; k < V; k++) sum += exp(logits[k] - most);
    return logits[v] - most - log(sum);
}

static bool has_ended(int word) { return word == TG_END || word == TG_PAD; }

/* Appends a word to each row that has not ended; returns how many have not ended then, or -1 and the row
 * in *bad: a logit is not finite. */
static int append_words(decoding *d, const tg_tensor *logits, int *out, double *log_probability, int *bad)
{
    const int B = logits->dim[0], V = logits->dim[1];
    int running = 0;
    for (int b = 0; b < B; b++) {
        const tg_real *row = logits->data + (size_t)b * V;
        const int word = has_ended(d->word[b]) ? TG_PAD : best_word(row, V);
        if (word != TG_PAD && !isfinite(row[word])) return *bad = b, -1;
        if (word != TG_PAD && log_probability) log_probability[b] += log_softmax(row, V, word);
        out[b] = d->word[b] = word;
        running += !has_ended(word);
    }
    return running;
}

tg_status tg_encoder_decoder_greedy(tg_encoder_decoder *m, tg_tape *t, int S, int B, const int source[],
                                    const int lengths[], int max_length, int out[], double log_probability[])
{
    tg_context *cx = t->cx;
    decoding d;
    int bad = 0;
    if (cx->status) return cx->status;
    if (!m->ps)
        return tg_context_note(
            cx, TG_ERR_STATE,
            "tg_encoder_decoder_greedy: this model was made while its context was in error");
    if (S < 1 || B < 1 || max_length < 1)
        return tg_context_note(
            cx, TG_ERR_ARGUMENT,
            "tg_encoder_decoder_greedy: S is %d, B is %d, max_length is %d: all must be at least 1", S, B,
            max_length);
    if (!source || !out)
        return tg_context_note(cx, TG_ERR_ARGUMENT, "tg_encoder_decoder_greedy: %s is NULL",
                               source ? "out" : "source");

    for (size_t i = 0; i < (size_t)max_length * (size_t)B; i++) out[i] = TG_PAD;
    for (int b = 0; b < B && log_probability; b++) log_probability[b] = 0;
    if (!decoding_begin(&d, m, t, source, lengths, S, B)) return tg__status_taken(cx);
    for (int k = 0, running = B; k < max_length && running; k++) {
        const tg_tensor *logits = decoding_step(&d, m, t);
        if (cx->status) return tg__status_taken(cx);
        running = append_words(&d, logits, out + (size_t)k * B, log_probability, &bad);
        if (running < 0)
            return tg_context_note(
                cx, TG_ERR_NUMBER,
                "tg_encoder_decoder_greedy: row %d, word %d: the model gives numbers that are not finite",
                bad, k);
    }
    return TG_OK;
}
