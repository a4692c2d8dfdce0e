/* models/beam.c -- beam search; the rules stand in tidegate/decoding.h.
 *
 * Every step leaves a row for each hypothesis in the history: the token it read, the row of the step before
 * that it came from, and the attention it paid. A finished hypothesis is the row that produced its last
 * token, and is read backwards from there when the search is over. */
#include "models/beam.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "data/data.h"

/* The rows of a step. */
typedef struct rows {
    int n;
    int *first, *count; /* (B): where a sentence's begin, by falling log P, and how many; 0: it is done */
    double *log_probability; /* (n): log P */
    double *coverage;        /* (n,S): sum_t a_ts, or NULL */
} rows;

typedef struct finished {
    int length;
    size_t row; /* in the history: the one that produced the last token */
    int last;
    double score, log_probability;
} finished;

typedef struct search {
    tg_context *cx;
    const beam_model *m;
    const beam_task *task;
    tg_decoding_config c; /* settled */
    int candidates;       /* 2 beam - 1: of a sentence in a step */

    int *limit;         /* (B): longest results */
    double *limit_norm; /* (B): norm(limit) */
    int longest;        /* limit of all */

    size_t *start;    /* (longest+1): where a step's rows begin in the history */
    int *from, *word; /* (history): the row before, numbered within its step (at first: the sentence); read */
    tg_real *attention; /* (history,S), or NULL */
    int *looked;        /* (history): most attended source token, or NULL */

    rows now, next;
    beam_candidates tokens; /* of the rows of this step */
    int *used;              /* (rows): how many of a row's tokens have been candidates */

    finished *best; /* (B,nbest), by falling score */
    int *found;     /* (B) */
} search;

/* ---- before ---- */

static int limit_of(const search *s, int b)
{
    if (s->task->max_length) return s->task->max_length[b];
    return s->c.max_length ? s->c.max_length : 2 * (s->task->source_lengths[b] - 1) + 10;
}

/* Sets the limits; returns how many rows all steps can have together. */
static size_t set_limits(search *s)
{
    size_t all = 0;
    s->longest = 0;
    for (int b = 0; b < s->task->B; b++) {
        s->limit[b] = limit_of(s, b);
        s->limit_norm[b] = tg__length_norm(&s->c, s->limit[b]);
        if (s->limit[b] > s->longest) s->longest = s->limit[b];
        all += 1 + (size_t)(s->limit[b] - 1) * (size_t)s->c.beam;
    }
    return all;
}

static void take_rows(arena *a, rows *r, size_t B, size_t most, size_t coverage)
{
    r->first = tg__arena_take(a, tg__bytes(B, sizeof *r->first));
    r->count = tg__arena_take(a, tg__bytes(B, sizeof *r->count));
    r->log_probability = tg__arena_take(a, tg__bytes(most, sizeof *r->log_probability));
    if (coverage) r->coverage = tg__arena_take(a, tg__bytes(tg__bytes(most, coverage), sizeof *r->coverage));
}

static void take_candidates(arena *a, beam_candidates *k, size_t most)
{
    const size_t all = tg__bytes(most, (size_t)k->K);
    k->id = tg__arena_take(a, tg__bytes(all, sizeof *k->id));
    k->gain = tg__arena_take(a, tg__bytes(all, sizeof *k->gain));
    k->bad = tg__arena_take(a, tg__bytes(most, sizeof *k->bad));
}

/* All memory of the search. */
static tg_status take_memory(search *s, arena *a)
{
    const size_t B = (size_t)s->task->B, S = (size_t)s->task->S, most = B * (size_t)s->c.beam;
    const size_t coverage = s->c.coverage_penalty > 0 ? S : 0;
    s->limit = tg__arena_take(a, tg__bytes(B, sizeof *s->limit));
    s->limit_norm = tg__arena_take(a, tg__bytes(B, sizeof *s->limit_norm));
    if (s->cx->status) return tg__status_taken(s->cx);
    const size_t history = set_limits(s);

    s->start = tg__arena_take(a, tg__bytes((size_t)s->longest + 1, sizeof *s->start));
    s->from = tg__arena_take(a, tg__bytes(history, sizeof *s->from));
    s->word = tg__arena_take(a, tg__bytes(history, sizeof *s->word));
    if (s->task->keep_attention)
        s->attention = tg__arena_take(a, tg__bytes(tg__bytes(history, S), sizeof *s->attention));
    if (s->task->keep_looked) s->looked = tg__arena_take(a, tg__bytes(history, sizeof *s->looked));
    take_rows(a, &s->now, B, most, coverage);
    take_rows(a, &s->next, B, most, coverage);
    take_candidates(a, &s->tokens, most);
    s->used = tg__arena_take(a, tg__bytes(most, sizeof *s->used));
    s->best = tg__arena_take(a, tg__bytes(B * (size_t)s->c.nbest, sizeof *s->best));
    s->found = tg__arena_zeroed(a, tg__bytes(B, sizeof *s->found));
    return s->cx->status ? tg__status_taken(s->cx) : TG_OK;
}

/* A row for each sentence, which has read <s>. */
static void begin(search *s)
{
    const size_t B = (size_t)s->task->B, S = (size_t)s->task->S;
    s->start[0] = 0;
    s->now.n = s->task->B;
    for (int b = 0; b < s->now.n; b++) {
        s->from[b] = s->now.first[b] = b;
        s->word[b] = TG_BEGIN;
        s->now.count[b] = 1;
        s->now.log_probability[b] = 0;
    }
    if (s->now.coverage) memset(s->now.coverage, 0, B * S * sizeof *s->now.coverage);
}

/* ---- finished hypotheses ---- */

/* beta sum_s log( min( sum_t a_ts, 1 ) ) of row r of sentence b */
static double coverage_term(const search *s, int b, int r)
{
    /* A position that got nothing at all must not hide all the others. Nothing that a float holds is below. */
    const double least = FLT_MIN;
    double sum = 0;
    if (!s->now.coverage) return 0;
    const double *a = s->now.coverage + (size_t)r * (size_t)s->task->S;
    for (int k = 0; k < s->task->source_lengths[b]; k++) sum += log(fmax(fmin(a[k], 1), least));
    return (double)s->c.coverage_penalty * sum;
}

/* Row r of sentence b has produced its last token in step t. Of equal scores the earlier stays ahead. */
static void finish(search *s, int t, int b, int r, int last, double log_probability)
{
    const int nbest = s->c.nbest;
    finished *best = s->best + (size_t)b * (size_t)nbest;
    /* fmin: log P / limit_norm is a bound of all scores even where pow() errs in its last bit */
    const double norm = fmin(tg__length_norm(&s->c, t + 1), s->limit_norm[b]);
    const double score = log_probability / norm + coverage_term(s, b, r);
    if (s->found[b] == nbest && !(score > best[nbest - 1].score)) return;
    int at = s->found[b] < nbest ? s->found[b]++ : nbest - 1;
    for (; at && score > best[at - 1].score; at--) best[at] = best[at - 1];
    best[at] = (finished){ t + 1, s->start[t] + (size_t)r, last, score, log_probability };
}

/* No continuation of such a hypothesis of sentence b can be among its n best. */
static bool hopeless(const search *s, int b, double log_probability)
{
    const int nbest = s->c.nbest;
    return s->found[b] == nbest &&
           log_probability / s->limit_norm[b] <= s->best[(size_t)b * (size_t)nbest + (size_t)nbest - 1].score;
}

/* ---- one step ---- */

static tg_status bad_number(const search *s, int t, int r, const char *what, int which)
{
    int b = 0;
    while (!(s->now.count[b] && r < s->now.first[b] + s->now.count[b])) b++;
    return tg_context_note(s->cx, TG_ERR_NUMBER, "%s: sentence %d, hypothesis %d, word %d: %s %d",
                           s->task->who, s->task->number ? s->task->number[b] : b, r - s->now.first[b], t,
                           what, which);
}

/* Where each row looks most, of its sentence's tokens without </s>. */
static void take_looked(search *s, int t, const tg_real *attention)
{
    int *looked = s->looked + s->start[t];
    for (int b = 0; b < s->task->B; b++) {
        const int n = s->task->source_lengths[b] - 1;
        for (int r = s->now.first[b]; r < s->now.first[b] + s->now.count[b]; r++) {
            const tg_real *a = attention + (size_t)r * (size_t)s->task->S;
            looked[r] = 0;
            for (int k = 1; k < n; k++)
                if (a[k] > a[looked[r]]) looked[r] = k;
        }
    }
}

/* attention (n,S): looked at, kept, and added to the coverage. */
static tg_status take_attention(search *s, int t, const tg_real *attention)
{
    const size_t S = (size_t)s->task->S, all = (size_t)s->now.n * S;
    if (!attention)
        return tg_context_note(s->cx, TG_ERR_ARGUMENT, "%s: %s needs attention, which this model has not",
                               s->task->who, s->now.coverage ? "coverage_penalty" : "what is asked for");
    for (size_t i = 0; i < all; i++)
        if (!(attention[i] >= 0 && isfinite(attention[i])))
            return bad_number(s, t, (int)(i / S), "attention is not finite or below 0 at source position",
                              (int)(i % S));
    if (s->attention) memcpy(s->attention + s->start[t] * S, attention, all * sizeof *attention);
    if (s->looked) take_looked(s, t, attention);
    for (size_t i = 0; s->now.coverage && i < all; i++) s->now.coverage[i] += (double)attention[i];
    return TG_OK;
}

/* The best tokens where their probabilities are of no interest: all are 1. */
static tg_status ask_for_words(search *s, const tg_real **attention, int t)
{
    beam_candidates *k = &s->tokens;
    const tg_status status =
        s->m->step_best(s->m->user, s->now.n, s->from + s->start[t], s->word + s->start[t], k->id, attention);
    for (int r = 0; r < s->now.n && !status; r++) {
        k->gain[r] = 0;
        k->bad[r] = k->id[r] < 0 ? ~k->id[r] : -1;
    }
    return status;
}

static tg_status ask_for_logits(search *s, const tg_real **attention, int t)
{
    const tg_real *logits = NULL;
    const tg_status status =
        s->m->step(s->m->user, s->now.n, s->from + s->start[t], s->word + s->start[t], &logits, attention);
    if (!status) tg__beam_candidates(s->cx, &s->tokens, s->now.n, logits);
    return status;
}

/* The model's answer about all rows: s->tokens. */
static tg_status ask(search *s, int t)
{
    const bool attentive = s->attention || s->looked || s->now.coverage;
    const bool words = s->c.unscored && s->m->step_best && s->tokens.K == 1;
    const tg_real *attention = NULL;
    const int n = s->now.n;
    tg_status status = (words ? ask_for_words : ask_for_logits)(s, attentive ? &attention : NULL, t);
    if (status) return status;
    if (attentive && (status = take_attention(s, t, attention))) return status;
    for (int r = 0; r < n; r++)
        if (s->tokens.bad[r] >= 0)
            return bad_number(s, t, r, "the model gives a number that is not finite for token",
                              s->tokens.bad[r]);
    return TG_OK;
}

/* The row of sentence b that has its best candidate not yet used, and the log P of that; -1: none is left. */
static int best_row(const search *s, int b, double *log_probability)
{
    const int K = s->tokens.K;
    int best = -1;
    for (int r = s->now.first[b]; r < s->now.first[b] + s->now.count[b]; r++) {
        if (s->used[r] == K) continue;
        const double p =
            s->now.log_probability[r] + s->tokens.gain[(size_t)r * (size_t)K + (size_t)s->used[r]];
        if (best < 0 || p > *log_probability) best = r, *log_probability = p;
    }
    return best;
}

/* Row r of this step goes on with a token. */
static void go_on(search *s, int t, int r, int word, double log_probability)
{
    const size_t to = (size_t)s->next.n++, S = (size_t)s->task->S;
    s->from[s->start[t + 1] + to] = r;
    s->word[s->start[t + 1] + to] = word;
    s->next.log_probability[to] = log_probability;
    if (s->next.coverage)
        memcpy(s->next.coverage + to * S, s->now.coverage + (size_t)r * S, S * sizeof *s->next.coverage);
}

/* Takes back the last of the rows that go on, which stand by falling log P, so by falling hope. */
static void drop_hopeless(search *s, int b)
{
    const int first = s->next.first[b];
    const double *p = s->next.log_probability;
    if (s->task->keep_hopeless) {
        if (s->next.n > first && hopeless(s, b, p[first])) s->next.n = first;
    } else {
        while (s->next.n > first && hopeless(s, b, p[s->next.n - 1])) s->next.n--;
    }
}

/* Sentence b: its best candidates in order, each of which is finished or goes on. */
static void advance(search *s, int t, int b)
{
    const int K = s->tokens.K;
    const bool at_limit = t + 1 == s->limit[b];
    double p = 0;
    s->next.first[b] = s->next.n;
    for (int k = 0, open = 0, r; k < s->candidates && (r = best_row(s, b, &p)) >= 0; k++) {
        const int word = s->tokens.id[(size_t)r * (size_t)K + (size_t)s->used[r]++];
        if (word != TG_END && open++ >= s->c.beam) continue;
        if (word == TG_END || at_limit)
            finish(s, t, b, r, word, p);
        else
            go_on(s, t, r, word, p);
    }
    drop_hopeless(s, b);
    s->next.count[b] = s->next.n - s->next.first[b];
}

static tg_status step(search *s, int t)
{
    s->start[t + 1] = s->start[t] + (size_t)s->now.n;
    const tg_status status = ask(s, t);
    if (status) return status;
    memset(s->used, 0, (size_t)s->now.n * sizeof *s->used);
    s->next.n = 0;
    for (int b = 0; b < s->task->B; b++) {
        s->next.first[b] = s->next.n;
        s->next.count[b] = 0;
        if (s->now.count[b]) advance(s, t, b);
    }
    const rows now = s->now;
    s->now = s->next;
    s->next = now;
    return TG_OK;
}

/* ---- after ---- */

/* Reads a finished hypothesis backwards. ids, looked (length), attention (length,S); the last two may be NULL. */
static void read_back(const search *s, const finished *f, int *ids, int *looked, tg_real *attention)
{
    const size_t S = (size_t)s->task->S;
    size_t row = f->row;
    int word = f->last;
    for (int t = f->length - 1; t >= 0; t--) {
        ids[t] = word;
        if (looked) looked[t] = s->looked[row];
        if (attention) memcpy(attention + (size_t)t * S, s->attention + row * S, S * sizeof *attention);
        word = s->word[row];
        if (t) row = s->start[t - 1] + (size_t)s->from[row];
    }
}

/* Into what collect() has taken for all hypotheses, their tokens, where these looked, and their attention. */
static void hand_out(const search *s, beam_results *found, beam_hypothesis *h, int *ids, int *looked,
                     tg_real *attention)
{
    for (int b = 0; b < s->task->B; b++) {
        found->count[b] = s->found[b];
        found->best[b] = h;
        for (int k = 0; k < s->found[b]; k++, h++) {
            const finished *f = &s->best[(size_t)b * (size_t)s->c.nbest + (size_t)k];
            read_back(s, f, ids, looked, attention);
            *h = (beam_hypothesis){ .length = f->length,
                                    .ids = ids,
                                    .cut = f->last != TG_END,
                                    .score = f->score,
                                    .log_probability = f->log_probability,
                                    .attention = attention,
                                    .looked = looked };
            ids += f->length;
            if (looked) looked += f->length;
            if (attention) attention += (size_t)f->length * (size_t)s->task->S;
        }
    }
}

static tg_status collect(const search *s, beam_results *found)
{
    const size_t B = (size_t)s->task->B, S = (size_t)s->task->S, nbest = (size_t)s->c.nbest;
    size_t hypotheses = 0, tokens = 0;
    for (size_t b = 0; b < B; b++) {
        hypotheses += (size_t)s->found[b];
        for (int k = 0; k < s->found[b]; k++) tokens += (size_t)s->best[b * nbest + (size_t)k].length;
    }
    arena *a = &found->memory;
    found->count = tg__arena_take(a, tg__bytes(B, sizeof *found->count));
    found->best = tg__arena_take(a, tg__bytes(B, sizeof *found->best));
    beam_hypothesis *h = tg__arena_take(a, tg__bytes(hypotheses, sizeof *h));
    int *ids = tg__arena_take(a, tg__bytes(tokens, sizeof *ids));
    int *looked = s->looked ? tg__arena_take(a, tg__bytes(tokens, sizeof *looked)) : NULL;
    tg_real *attention = NULL;
    if (s->attention) attention = tg__arena_take(a, tg__bytes(tg__bytes(tokens, S), sizeof *attention));
    if (s->cx->status) return tg__status_taken(s->cx);
    hand_out(s, found, h, ids, looked, attention);
    return TG_OK;
}

void tg__beam_results_free(beam_results *found)
{
    tg__arena_free(&found->memory);
    found->count = NULL;
    found->best = NULL;
}

tg_status tg__beam_search(tg_context *cx, const beam_model *m, const tg_decoding_config *config,
                          const beam_task *task, beam_results *found)
{
    search s = { .cx = cx, .m = m, .task = task, .c = config ? *config : (tg_decoding_config){ 0 } };
    arena memory;
    *found = (beam_results){ 0 };
    tg__arena_init(&found->memory, cx);
    if (cx->status) return cx->status;
    tg_status status = tg__decoding_settle(cx, task->who, &s.c);
    if (!status) status = tg__beam_check(cx, m, task, &s.c);
    if (status) return status;
    s.candidates = 2 * s.c.beam - 1;
    s.tokens.V = m->V;
    s.tokens.K = s.candidates < m->V - 2 ? s.candidates : m->V - 2; /* all but <pad> and <s> */
    tg__arena_init(&memory, cx);
    status = take_memory(&s, &memory);
    if (!status) begin(&s);
    for (int t = 0; s.now.n && !status; t++) status = step(&s, t);
    if (!status) status = collect(&s, found);
    if (status) tg__beam_results_free(found);
    tg__arena_free(&memory);
    return status;
}
