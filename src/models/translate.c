/* models/translate.c -- plain sentences in, plain sentences out.
 *
 * Sentences are put in order of length and cut into batches, so that little of a batch is padding; each has an output limit
 * of its own, so that company changes nothing. */
#include <limits.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "core/team.h"
#include "data/data.h"
#include "models/beam.h"
#include "models/decoder.h"
#include "params/params.h"

enum { MOST_SENTENCES = 256, MOST_ROWS = 512, MOST_TOKENS = 1 << 24 };
static const double most_attention = 1 << 28; /* numbers, of a batch, and of what is found and not yet text */

/* ---- the input ---- */

typedef struct sentence {
    const char *text; /* begins after white space */
    int tokens;       /* without white space at the end, as in training */
    int index;        /* in the input */
} sentence;

static int by_length(const void *a, const void *b)
{
    const sentence *x = a, *y = b;
    if (x->tokens != y->tokens) return x->tokens < y->tokens ? -1 : 1;
    return (x->index > y->index) - (x->index < y->index);
}

/* Looks at input i. */
static tg_status examine(const tg_translator *tr, const char *text, int i, sentence *found)
{
    tg_context *cx = tr->params->cx;
    size_t at;
    if (!text) return tg_context_note(cx, TG_ERR_ARGUMENT, "tg_translator_translate: sentence %d is NULL", i);
    if (!tg_utf8_valid(text, &at))
        return tg_context_note(
            cx, TG_ERR_DATA, "tg_translator_translate: sentence %d, byte %zu: not valid UTF-8 (byte 0x%02X)",
            i, at + 1, (unsigned char)text[at]);
    while (tg__is_space(*text)) text++;
    *found = (sentence){ text, tg_vocabulary_encode(tr->source, text, NULL, 0), i };
    if (cx->status) return tg__status_taken(cx);
    if (tg_tokenizer_settings(tg_vocabulary_tokenizer(tr->source)).kind ==
        TG_CHARACTERS) /* each space is a token */
        for (const char *end = text + strlen(text); end > text && tg__is_space(end[-1]); end--)
            found->tokens--;
    if (found->tokens > MOST_TOKENS)
        return tg_context_note(cx, TG_ERR_ARGUMENT,
                               "tg_translator_translate: sentence %d has %d tokens, more than %d", i,
                               found->tokens, MOST_TOKENS);
    return TG_OK;
}

/* ---- the output ---- */

void tg_translation_free(tg_translation *x)
{
    if (!x) return;
    free(x->text);
    free(x->source);
    free(x->target);
    free(x->attention);
    *x = (tg_translation){ 0 };
}

/* A copy of n texts in one block. NULL: out of memory. */
static char **copy_texts(int n, const char *const text[])
{
    size_t bytes = ((size_t)n + 1) * sizeof(char *);
    for (int i = 0; i < n; i++) bytes += strlen(text[i]) + 1;
    char **copy = malloc(bytes), *to = copy ? (char *)(copy + n + 1) : NULL;
    for (int i = 0; copy && i < n; i++) {
        const size_t length = strlen(text[i]) + 1;
        copy[i] = memcpy(to, text[i], length);
        to += length;
    }
    return copy;
}

typedef struct inputs { /* of a batch */
    int *source;        /* (S,B): tokens, </s>, <pad> */
    int *lengths;       /* (B), </s> included */
    int *max_length;    /* (B) */
    int *number;        /* (B): of each sentence in the input */
} inputs;

typedef struct batch {
    tg_translator *tr;
    const tg_decoding_config *config;
    const sentence *x; /* (B) by rising length, none empty */
    int B, S;
    inputs in;
    beam_results found;
    tg_context *by; /* whose context tells about status; NULL: nobody has searched yet */
    tg_status status;
    char **source; /* of the sentence at hand: its tokens */
} batch;

/* The texts of a hypothesis' tokens, unknown ones replaced: token[0..T-1], borrowed, but for *words, which is to be freed
 * and holds the replacements. False: out of memory. */
static bool token_texts(const batch *k, int b, const beam_hypothesis *h, const char *token[], char **words)
{
    const tg_tokenizer *tokenizer = tg_vocabulary_tokenizer(k->tr->source);
    const char *const *source = (const char *const *)k->source;
    const int n = k->x[b].tokens;
    size_t room = 0, used = 0;
    *words = NULL;
    for (int pass = 0; pass < 2; pass++) { /* measure, then store */
        for (int t = 0; t < h->length; t++) {
            token[t] = tg_vocabulary_token(k->tr->target, h->ids[t]);
            if (h->ids[t] != TG_UNKNOWN || !h->looked) continue;
            char *to = pass ? *words + used : NULL;
            const size_t bytes =
                tg_tokenizer_word(tokenizer, n, source, h->looked[t], to, pass ? room - used : 0) + 1;
            if (pass)
                token[t] = to, used += bytes;
            else
                room += bytes;
        }
        if (!room) return true;
        if (!pass && !(*words = malloc(room))) return false;
    }
    return true;
}

static char *joined(const tg_tokenizer *k, int n, const char *const token[])
{
    const size_t bytes = tg_tokenizer_join(k, n, token, NULL, 0) + 1;
    char *text = malloc(bytes);
    if (text) tg_tokenizer_join(k, n, token, text, bytes);
    return text;
}

/* (T,S) of the real source tokens, out of (T,padded S). */
static tg_real *attention_of(const beam_hypothesis *h, int S, int padded)
{
    tg_real *a = malloc((size_t)h->length * (size_t)S * sizeof *a);
    for (int t = 0; a && t < h->length; t++)
        memcpy(a + (size_t)t * (size_t)S, h->attention + (size_t)t * (size_t)padded, (size_t)S * sizeof *a);
    return a;
}

/* False: out of memory. */
static bool translation_of(const batch *k, int b, const beam_hypothesis *h, tg_translation *y)
{
    const char **token = malloc((size_t)h->length * sizeof *token);
    char *words = NULL;
    const int ends = h->ids[h->length - 1] == TG_END;
    bool well = token && token_texts(k, b, h, token, &words);
    if (well) {
        *y =
            (tg_translation){ .text = joined(tg_vocabulary_tokenizer(k->tr->target), h->length - ends, token),
                              .score = h->score,
                              .log_probability = h->log_probability,
                              .cut = h->cut,
                              .S = k->x[b].tokens + 1,
                              .T = h->length,
                              .source = copy_texts(k->x[b].tokens + 1, (const char *const *)k->source),
                              .target = copy_texts(h->length, token) };
        if (h->attention) y->attention = attention_of(h, y->S, k->S);
        well = y->text && y->source && y->target && (!h->attention || y->attention);
    }
    free(words);
    free(token);
    return well;
}

/* All that was found for sentence b. */
static tg_status take_results(batch *k, int b, tg_translation *best)
{
    tg_context *cx = k->tr->params->cx;
    const sentence *x = &k->x[b];
    int n = 0;
    char **split = tg_tokenizer_split(tg_vocabulary_tokenizer(k->tr->source), x->text, &n);
    k->source = split ? malloc(((size_t)n + 1) * sizeof *k->source) : NULL;
    bool well = k->source;
    if (well) {
        memcpy(k->source, split, (size_t)x->tokens * sizeof *split);
        k->source[x->tokens] = (char *)(uintptr_t)tg_vocabulary_token(k->tr->source, TG_END);
    }
    for (int i = 0; well && i < k->found.count[b]; i++)
        well = translation_of(k, b, &k->found.best[b][i], &best[i]);
    free(k->source);
    free(split);
    if (well) return TG_OK;
    if (cx->status) return tg__status_taken(cx);
    return tg_context_note(cx, TG_ERR_MEMORY, "out of memory: the translations of a sentence of %d tokens",
                           x->tokens);
}

/* ---- between them ---- */

static int longest_output(const sentence *x, const tg_decoding_config *config)
{
    return config->max_length ? config->max_length : 2 * x->tokens + 10;
}

/* Numbers that a batch of B sentences may look at, the last of which is the longest. */
static double attention_size(const sentence *x, int B, const tg_decoding_config *config)
{
    const int beam = config->beam ? config->beam : 1;
    return (double)B * beam * (x[B - 1].tokens + 1) * longest_output(&x[B - 1], config);
}

static tg_status take_inputs(batch *k)
{
    const size_t rows = (size_t)k->B, S = (size_t)k->S;
    int *room = tg__allocate(k->tr->params->cx, tg__bytes(rows * S + 3 * rows + S, sizeof *room));
    if (!room) return TG_ERR_MEMORY;
    const inputs in = { room, room + rows * S, room + rows * S + rows, room + rows * S + 2 * rows };
    int *ids = in.number + rows;
    for (int b = 0; b < k->B; b++) {
        const int n = k->x[b].tokens;
        tg_vocabulary_encode(k->tr->source, k->x[b].text, ids, n);
        for (int s = 0; s < k->S; s++) in.source[s * k->B + b] = s < n ? ids[s] : s == n ? TG_END : TG_PAD;
        in.lengths[b] = n + 1;
        in.number[b] = k->x[b].index;
        in.max_length[b] = longest_output(&k->x[b], k->config);
    }
    k->in = in;
    return TG_OK;
}

static tg_status step(void *user, int n, const int from[], const int word[], const tg_real **logits,
                      const tg_real **attention)
{
    return tg__decoder_step(user, n, from, word, logits, attention);
}

static tg_status step_best(void *user, int n, const int from[], const int word[], int best[],
                           const tg_real **attention)
{
    return tg__decoder_step_words(user, n, from, word, best, attention);
}

/* From the inputs to what is found, with m: the translator's model, or a worker's. */
static void search_batch(batch *k, tg_encoder_decoder *m, decoder_weights *weights)
{
    tg_context *cx = m->ps->cx;
    const int beam = k->config->beam ? k->config->beam : 1;
    k->by = cx;
    decoder *d =
        cx->status ? NULL
                   : tg__decoder_begin(weights, m->own, k->S, k->B, k->in.source, k->in.lengths, k->B * beam);
    const beam_model model = {
        .user = d, .V = m->config.target_vocabulary, .step = step, .step_best = step_best
    };
    const beam_task task = { .who = "tg_translator_search",
                             .B = k->B,
                             .S = k->S,
                             .source_lengths = k->in.lengths,
                             .max_length = k->in.max_length,
                             .number = k->in.number,
                             .keep_looked = m->attends && !k->config->keep_unknown,
                             .keep_attention = m->attends && !k->config->no_attention &&
                                               attention_size(k->x, k->B, k->config) <= most_attention };
    k->status = d ? tg__beam_search(cx, &model, k->config, &task, &k->found) : tg__status_taken(cx);
}

/* ---- several batches ---- */

enum { MOST_BATCHES = 64 };

typedef struct search {
    tg_translator *tr;
    decoder_weights *weights;
    batch batch[MOST_BATCHES];
    int batches;
    atomic_int left; /* of them to be searched: the last one next, which takes longest */
    tg_encoder_decoder *model[TEAM_PIECES]; /* of each worker */
} search;

/* Batch after batch, until there are none left, or one fails. */
static void search_batches(void *argument, int worker)
{
    search *s = argument;
    tg_encoder_decoder *m = s->model[worker];
    decoder_weights *weights = s->weights;
    if (m != s->tr->model) {
        tg_context_clear(m->ps->cx); /* of what happened last time */
        weights = tg__decoder_share(weights, m);
    }
    for (int k; (k = atomic_fetch_sub(&s->left, 1) - 1) >= 0;) {
        search_batch(&s->batch[k], m, weights);
        if (s->batch[k].status) break;
    }
}

/* The workers' models. Where each worker would have but one batch, they better share the steps of all: then there is one model,
 * the translator's. */
static int take_models(search *s)
{
    const int threads = s->tr->params->cx->threads;
    int workers = s->batches < 2 * threads || threads > TEAM_PIECES ? 1 : threads;
    for (int k = 0; k < workers && workers > 1; k++) {
        s->model[k] = tg__encoder_decoder_of_worker(s->tr->model, k);
        if (!s->model[k]) workers = 1;
    }
    if (workers == 1) s->model[0] = s->tr->model;
    return workers;
}

/* The sentence about it goes to the translator's context. */
static tg_status take_status(const batch *k)
{
    tg_context *cx = k->tr->params->cx;
    if (!k->status || k->by == cx) return k->status;
    return tg_context_note(cx, k->status, "%s", tg_context_message(k->by));
}

static tg_status search_all(search *s, int nbest, tg_translation best[])
{
    tg_context *cx = s->tr->params->cx;
    tg_status status = TG_OK;
    for (int k = 0; k < s->batches && !status; k++) status = take_inputs(&s->batch[k]);
    if (!status) {
        const int workers = take_models(s);
        atomic_store(&s->left, s->batches);
        tg__team_run(cx, workers, search_batches, s);
    }
    /* the last of those that failed: those after it have been searched before, by whomever */
    for (int k = s->batches - 1; k >= 0 && !status; k--) status = take_status(&s->batch[k]);
    for (int k = 0; k < s->batches; k++) {
        batch *one = &s->batch[k];
        for (int b = 0; b < one->B && !status; b++)
            status = take_results(one, b, best + (size_t)one->x[b].index * (size_t)nbest);
        if (one->found.memory.cx) tg__beam_results_free(&one->found);
        tg__release(cx, one->in.source);
    }
    return status;
}

/* Of all n: so many that a step is worth its while, that memory is bounded, and that there are batches for several workers.
 * Not a function of how many these are: where OpenBLAS multiplies, bits may depend on it. */
static int batch_size(const sentence *x, int n, int all, const tg_decoding_config *config)
{
    enum { FEW_SENTENCES = 128, BATCHES = 8 };
    const int beam = config->beam ? config->beam : 1, rows = MOST_ROWS / beam < 1 ? 1 : MOST_ROWS / beam,
              share = all / BATCHES < FEW_SENTENCES ? FEW_SENTENCES : tg__pieces(all, BATCHES);
    int B = rows < MOST_SENTENCES ? rows : MOST_SENTENCES;
    if (B > share) B = share;
    if (B > n) B = n;
    while (B > 1 && attention_size(x, B, config) > most_attention / 16) B--;
    return B;
}

static tg_status search_sorted(tg_translator *tr, int n, const sentence *x, const tg_decoding_config *config,
                               int nbest, tg_translation best[])
{
    tg_context *cx = tr->params->cx;
    int k = 0;
    for (; k < n && !x[k].tokens; k++) {
        tg_translation *y = best + (size_t)x[k].index * (size_t)nbest;
        *y = (tg_translation){ .text = calloc(1, 1),
                               .source = copy_texts(0, NULL),
                               .target = copy_texts(0, NULL) };
        if (!y->text || !y->source || !y->target)
            return tg_context_note(cx, TG_ERR_MEMORY, "out of memory: an empty translation");
    }
    if (k == n) return TG_OK;
    search *s = tg__allocate(cx, sizeof *s);
    if (!s) return TG_ERR_MEMORY;
    s->tr = tr;
    s->weights = tg__decoder_pack(tr->model, config->unscored && config->beam < 2 ? n - k : 0);
    tg_status status = s->weights ? TG_OK : tg__status_taken(cx);
    const int all = n - k;
    while (k < n && !status) {
        double attention = 0;
        for (s->batches = 0; k < n && s->batches < MOST_BATCHES && attention < most_attention; s->batches++) {
            const int B = batch_size(x + k, n - k, all, config);
            attention += attention_size(x + k, B, config);
            s->batch[s->batches] =
                (batch){ .tr = tr, .config = config, .x = x + k, .B = B, .S = x[k + B - 1].tokens + 1 };
            k += B;
        }
        status = search_all(s, nbest, best);
    }
    tg__release(cx, s);
    return status;
}

tg_status tg_translator_search(tg_translator *tr, int n, const char *const text[],
                               const tg_decoding_config *config, tg_translation best[])
{
    tg_status s = tg__translator_check(tr, "tg_translator_search");
    if (s) return s;
    tg_context *cx = tr->params->cx;
    const tg_decoding_config c = config ? *config : (tg_decoding_config){ 0 };
    tg_decoding_config settled = c;
    if (n < 0) return tg_context_note(cx, TG_ERR_ARGUMENT, "tg_translator_search: %d sentences", n);
    if ((s = tg__decoding_settle(cx, "tg_translator_search", &settled))) return s;
    if (n && (s = MISSING(cx, { "sentence", text }, ARG(best)))) return s;
    const size_t results = (size_t)n * (size_t)settled.nbest;
    for (size_t i = 0; i < results; i++) best[i] = (tg_translation){ 0 };
    if (!n) return TG_OK;
    sentence *x = tg__allocate(cx, tg__bytes((size_t)n, sizeof *x));
    if (!x) return TG_ERR_MEMORY;
    for (int i = 0; i < n && !s; i++) s = examine(tr, text[i], i, &x[i]);
    if (!s) {
        qsort(x, (size_t)n, sizeof *x, by_length);
        s = search_sorted(tr, n, x, &c, settled.nbest, best);
    }
    tg__release(cx, x);
    for (size_t i = 0; i < results && s; i++) tg_translation_free(&best[i]);
    return s;
}

tg_status tg_translator_translate(tg_translator *tr, int n, const char *const text[], int max_length,
                                  char *translation[])
{
    for (int i = 0; translation && i < n; i++) translation[i] = NULL;
    tg_status s = tg__translator_check(tr, "tg_translator_translate");
    if (s) return s;
    tg_context *cx = tr->params->cx;
    if (n > 0 && (s = MISSING(cx, { "sentence", text }, ARG(translation)))) return s;
    if (n < 0 || max_length < 0)
        return tg_context_note(cx, TG_ERR_ARGUMENT, "tg_translator_translate: %d sentences, max_length %d", n,
                               max_length);
    tg_translation *best = calloc((size_t)n + 1, sizeof *best);
    if (!best) return tg_context_note(cx, TG_ERR_MEMORY, "out of memory: %d translations", n);
    s = tg_translator_search(
        tr, n, text,
        &(tg_decoding_config){ .max_length = max_length, .unscored = true, .no_attention = true }, best);
    for (int i = 0; i < n && !s; i++) {
        translation[i] = best[i].text;
        best[i].text = NULL;
        tg_translation_free(&best[i]);
    }
    free(best);
    return s;
}
