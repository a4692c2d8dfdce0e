/* models/greedy.c -- always the most probable word. */
#include <math.h>

#include "data/data.h"
#include "kernels/softmax.h"
#include "models/decoder.h"
#include "params/params.h"

int tg__best_word(const tg_real *logits, int V)
{
    int best = TG_UNKNOWN;
    for (int v = TG_UNKNOWN + 1; v < V; v++)
        if (logits[v] > logits[best] && v != TG_BEGIN) best = v;
    return best;
}

static double log_softmax(const tg_real *logits, int V, int v)
{
    const tg_real M = tg__maximum((size_t)V, logits);
    return (double)logits[v] - (double)M - log(tg__sum_exp((size_t)V, logits, M));
}

typedef struct decoding {
    decoder *d;
    int B, V, n;             /* sentences, words, rows still running */
    int *row;                /* (n): the sentence of each */
    int *from, *word;        /* (n): the next step's */
    double *log_probability; /* NULL: nobody asks */
} decoding;

/* The most probable word of each row, into g->word; below 0: its numbers are not finite. */
static tg_status best_words(decoding *g)
{
    const tg_real *logits;
    if (!g->log_probability) return tg__decoder_step_words(g->d, g->n, g->from, g->word, g->word, NULL);
    const tg_status s = tg__decoder_step(g->d, g->n, g->from, g->word, &logits, NULL);
    for (int r = 0; r < g->n && !s; r++) {
        const tg_real *x = logits + (size_t)r * (size_t)g->V;
        const bool finite = tg__first_nonfinite(x, (size_t)g->V) == (size_t)g->V;
        g->word[r] = finite ? tg__best_word(x, g->V) : -1;
        if (finite) g->log_probability[g->row[r]] += log_softmax(x, g->V, g->word[r]);
    }
    return s;
}

/* Appends a word to each row; those that go on move together. -1, and the sentence in *bad: a logit is not finite. */
static int append_words(decoding *g, int *out, int *bad)
{
    int running = 0;
    for (int r = 0; r < g->n; r++) {
        const int b = g->row[r], word = g->word[r];
        if (word < 0) return *bad = b, -1;
        out[b] = word;
        if (word == TG_END) continue;
        g->row[running] = b;
        g->from[running] = r;
        g->word[running++] = word;
    }
    return running;
}

static tg_status decode(decoding *g, tg_context *cx, int max_length, int out[])
{
    for (int b = 0; b < g->B; b++) g->row[b] = g->from[b] = b, g->word[b] = TG_BEGIN;
    g->n = g->B;
    for (int k = 0; k < max_length && g->n; k++) {
        int bad = 0;
        const tg_status s = best_words(g);
        if (s) return s;
        g->n = append_words(g, out + (size_t)k * (size_t)g->B, &bad);
        if (g->n < 0)
            return tg_context_note(
                cx, TG_ERR_NUMBER,
                "tg_encoder_decoder_greedy: row %d, word %d: the model gives numbers that are not finite",
                bad, k);
    }
    return TG_OK;
}

tg_status tg_encoder_decoder_greedy(tg_encoder_decoder *m, tg_tape *t, int S, int B, const int source[],
                                    const int lengths[], int max_length, int out[], double log_probability[])
{
    static const char who[] = "tg_encoder_decoder_greedy";
    if (!t) return TG_ERR_ARGUMENT;
    tg_context *cx = t->cx;
    if (cx->status) return cx->status;
    if (!m || !m->ps)
        return tg_context_note(cx, TG_ERR_STATE,
                               "%s: this model could not be made (its context was in error then), or is NULL",
                               who);
    if (m->ps->cx != cx)
        return tg_context_note(cx, TG_ERR_STATE, "%s: model and tape belong to different contexts", who);
    if (S < 1 || B < 1 || max_length < 1)
        return tg_context_note(
            cx, TG_ERR_ARGUMENT,
            "tg_encoder_decoder_greedy: S is %d, B is %d, max_length is %d: all must be at least 1", S, B,
            max_length);
    tg_status s = MISSING(cx, ARG(source), ARG(out));
    if (!s)
        s = tg__words_check(cx, tg_context_note, who, "source", S, B, lengths, source,
                            m->config.source_vocabulary);
    if (s) return s;

    for (size_t i = 0; i < (size_t)max_length * (size_t)B; i++) out[i] = TG_PAD;
    for (int b = 0; b < B && log_probability; b++) log_probability[b] = 0;
    decoding g = { .d = tg__decoder_begin(tg__decoder_pack(m, log_probability ? 0 : B), t, S, B, source,
                                          lengths, B),
                   .B = B,
                   .V = m->config.target_vocabulary,
                   .log_probability = log_probability };
    int *room = g.d ? tg__tape_take(m->kept, 3 * (size_t)B * sizeof *room) : NULL;
    if (!room) return tg__status_taken(cx);
    g.row = room, g.from = room + B, g.word = room + 2 * (size_t)B;
    return decode(&g, cx, max_length, out);
}
