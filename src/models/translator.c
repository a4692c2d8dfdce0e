/* models/translator.c -- an encoder-decoder with its vocabularies: sentences in, sentences out. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/data.h"
#include "models/encoder_decoder.h"
#include "params/params.h"

enum { MOST_ROWS = 64 }; /* sentences translated together */

static const char *const kind = "encoder-decoder";

/* ---- making ---- */

/* The model over parameters of its own. *tr is set on success alone. */
static tg_status build(tg_context *cx, const tg_encoder_decoder_config *c, tg_vocabulary *source,
                       tg_vocabulary *target, tg_translator *tr)
{
    tg_params *ps = tg_params_new(cx);
    tg_encoder_decoder *m = tg_encoder_decoder_new(ps, c);
    if (cx->status) {
        tg_params_free(ps);
        return tg__status_taken(cx);
    }
    *tr = (tg_translator){ .params = ps, .model = m, .source = source, .target = target, .config = *c };
    return TG_OK;
}

tg_status tg_translator_new(tg_context *cx, tg_vocabulary *source, tg_vocabulary *target,
                            const tg_encoder_decoder_config *config, tg_translator *tr)
{
    tg_encoder_decoder_config c = config ? *config : (tg_encoder_decoder_config){ 0 };
    if (cx->status) return cx->status;
    if (!source || !target || !tg__vocabulary_frozen(source) || !tg__vocabulary_frozen(target))
        return tg_context_note(cx, TG_ERR_STATE, "tg_translator_new: the %s vocabulary is %s",
                               source && tg__vocabulary_frozen(source) ? "target" : "source",
                               source && target ? "not frozen yet" : "missing");
    c.source_vocabulary = tg_vocabulary_size(source);
    c.target_vocabulary = tg_vocabulary_size(target);
    const tg_status s =
        tg__encoder_decoder_settle(cx, tg_context_note, TG_ERR_ARGUMENT, "tg_translator_new", &c);
    return s ? s : build(cx, &c, source, target, tr);
}

/* ---- kept in an archive ---- */

tg_status tg_translator_put(const tg_translator *tr, tg_archive *a)
{
    const tg_encoder_decoder_config *c = &tr->config;
    tg_archive_put_text(a, "model/kind", kind);
    tg_archive_put_text(a, "model/cell", tg_cell_name(c->cell));
    tg_archive_put_integer(a, "model/embed", c->embed);
    tg_archive_put_integer(a, "model/hidden", c->hidden);
    tg_archive_put_integer(a, "model/layers", c->layers);
    tg_archive_put_number(a, "model/dropout", (double)c->dropout);
    tg_archive_put_integer(a, "model/source_vocabulary", c->source_vocabulary);
    tg_archive_put_integer(a, "model/target_vocabulary", c->target_vocabulary);
    tg_status s = tg_vocabulary_put(tr->source, a, "vocabulary/source");
    if (tr->target == tr->source) tg_archive_put_integer(a, "vocabulary/joint", 1);
    if (!s && tr->target != tr->source) s = tg_vocabulary_put(tr->target, a, "vocabulary/target");
    return s ? s : tg_archive_status(a);
}

static tg_status get_size(tg_context *cx, const tg_archive *a, const char *path, int *value)
{
    int64_t n;
    const tg_status s = tg_archive_get_integer(a, path, &n);
    if (s) return s;
    if (n < 1 || n > INT_MAX)
        return tg_context_note(cx, TG_ERR_FORMAT, "%s is %lld, must be at least 1 and fit an int", path,
                               (long long)n);
    *value = (int)n;
    return TG_OK;
}

static tg_status get_cell(tg_context *cx, const tg_archive *a, tg_cell *cell)
{
    static const tg_cell known[] = { TG_GRU, TG_GRU_RESET_AFTER };
    const char *name;
    const tg_status s = tg_archive_get_text(a, "model/cell", &name);
    if (s) return s;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(name, tg_cell_name(known[i]))) return *cell = known[i], TG_OK;
    return tg_context_note(cx, TG_ERR_FORMAT, "model/cell is '%.40s', must be gru or gru-reset-after", name);
}

static tg_status get_config(tg_context *cx, const tg_archive *a, tg_encoder_decoder_config *c)
{
    const char *name;
    double dropout;
    tg_status s = tg_archive_get_text(a, "model/kind", &name);
    if (s) return s;
    if (strcmp(name, kind))
        return tg_context_note(cx, TG_ERR_FORMAT, "model/kind is '%.40s', must be %s", name, kind);
    if ((s = get_cell(cx, a, &c->cell))) return s;
    if ((s = get_size(cx, a, "model/embed", &c->embed))) return s;
    if ((s = get_size(cx, a, "model/hidden", &c->hidden))) return s;
    if ((s = get_size(cx, a, "model/layers", &c->layers))) return s;
    if ((s = get_size(cx, a, "model/source_vocabulary", &c->source_vocabulary))) return s;
    if ((s = get_size(cx, a, "model/target_vocabulary", &c->target_vocabulary))) return s;
    if ((s = tg_archive_get_number(a, "model/dropout", &dropout))) return s;
    c->dropout = (tg_real)dropout;
    return tg__encoder_decoder_settle(cx, tg_context_note, TG_ERR_FORMAT, "model", c);
}

/* The vocabulary stored for a side, which must have as many tokens as the configuration says. */
static tg_status get_vocabulary(tg_context *cx, const tg_archive *a, const char *side, int size,
                                tg_vocabulary **v)
{
    char path[32];
    snprintf(path, sizeof path, "vocabulary/%s", side);
    const tg_status s = tg_vocabulary_get(cx, a, path, v);
    if (s) return s;
    if (tg_vocabulary_size(*v) != size)
        return tg_context_note(cx, TG_ERR_FORMAT,
                               "model/%s_vocabulary is %d, but vocabulary/%s has %d tokens", side, size, side,
                               tg_vocabulary_size(*v));
    return TG_OK;
}

/* That of the target, which may be the source's: "vocabulary/joint". */
static tg_status get_target(tg_context *cx, const tg_archive *a, tg_vocabulary *source, int size,
                            tg_vocabulary **v)
{
    static const char joint[] = "vocabulary/joint";
    int64_t is_joint = 0;
    if (tg_archive_has(a, joint)) {
        const tg_status s = tg_archive_get_integer(a, joint, &is_joint);
        if (s) return s;
    }
    if (is_joint != 0 && is_joint != 1)
        return tg_context_note(cx, TG_ERR_FORMAT, "%s is %lld, must be 0 or 1", joint, (long long)is_joint);
    if (!is_joint) return get_vocabulary(cx, a, "target", size, v);
    *v = source;
    if (tg_vocabulary_size(source) == size) return TG_OK;
    return tg_context_note(cx, TG_ERR_FORMAT,
                           "model/target_vocabulary is %d, but %s says that both sides have %d tokens", size,
                           joint, tg_vocabulary_size(source));
}

tg_status tg_translator_get(tg_context *cx, const tg_archive *a, tg_translator *tr)
{
    tg_encoder_decoder_config c = { 0 };
    tg_vocabulary *source, *target;
    tg_status s;
    if (cx->status) return cx->status;
    if ((s = get_config(cx, a, &c))) return s;
    if ((s = get_vocabulary(cx, a, "source", c.source_vocabulary, &source))) return s;
    if ((s = get_target(cx, a, source, c.target_vocabulary, &target))) return s;
    return build(cx, &c, source, target, tr);
}

/* The sentence that a reader left, with the file it is about in front. */
static tg_status about_file(tg_context *cx, tg_status s, const char *path)
{
    char message[sizeof cx->message];
    memcpy(message, cx->message, sizeof message);
    return tg_context_note(cx, s, "%s: %s", tg__shown_path(path).s, message);
}

tg_status tg_translator_open(tg_context *cx, const char *path, tg_translator *tr)
{
    tg_translator opened;
    tg_archive *a;
    tg_status s = tg_checkpoint_read(cx, path, &a);
    if (s) return s;
    if ((s = tg_translator_get(cx, a, &opened))) {
        about_file(cx, s, path);
    } else if ((s = tg_checkpoint_restore(a, &(tg_checkpoint){ .params = opened.params }))) {
        about_file(cx, s, path);
        tg_params_free(opened.params);
    } else {
        *tr = opened;
    }
    tg_archive_free(a);
    return s;
}

/* ---- translating ----
 *
 * Sentences are put in order of length and cut into batches, so that little of a batch is padding; each
 * row has an output limit of its own, so that company changes nothing. */

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
static tg_status examine(const tg_translator *tr, const char *text, int i, int max_length, sentence *found)
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
    const tg_tokenizer_config k = tg_tokenizer_settings(tg_vocabulary_tokenizer(tr->source));
    if (k.kind == TG_CHARACTERS) /* where each space is a token */
        for (const char *end = text + strlen(text); end > text && tg__is_space(end[-1]); end--)
            found->tokens--;
    if (found->tokens > (INT_MAX - 10) / 2 / MOST_ROWS || max_length > INT_MAX / MOST_ROWS)
        return tg_context_note(
            cx, TG_ERR_ARGUMENT,
            "tg_translator_translate: sentence %d of %d tokens and max_length %d: too long", i, found->tokens,
            max_length);
    return TG_OK;
}

static int output_limit(const sentence *x, int max_length)
{
    return max_length ? max_length : 2 * x->tokens + 10;
}

static char *decoded(const tg_vocabulary *v, const int *ids, int n)
{
    const size_t bytes = tg_vocabulary_decode(v, ids, n, NULL, 0) + 1;
    char *text = malloc(bytes);
    if (text) tg_vocabulary_decode(v, ids, n, text, bytes);
    return text;
}

/* x: B sentences by rising length, none empty. */
static tg_status translate_batch(tg_translator *tr, int B, const sentence *x, int max_length,
                                 char *translation[])
{
    tg_context *cx = tr->params->cx;
    const int S = x[B - 1].tokens + 1, T = output_limit(&x[B - 1], max_length); /* with </s> */
    const size_t rows = (size_t)B, words = (size_t)(S > T ? S : T);
    int *source = tg__allocate(cx, (rows * (size_t)S + rows + rows * (size_t)T + words) * sizeof *source);
    if (!source) return TG_ERR_MEMORY;
    int *lengths = source + rows * (size_t)S, *out = lengths + rows, *word = out + rows * (size_t)T;

    for (int b = 0; b < B; b++) { /* -> (S,B): tokens, </s>, <pad> */
        tg_vocabulary_encode(tr->source, x[b].text, word, x[b].tokens);
        for (int s = 0; s < S; s++)
            source[s * B + b] = s < x[b].tokens ? word[s] : s == x[b].tokens ? TG_END : TG_PAD;
        lengths[b] = x[b].tokens + 1;
    }
    tg_status status = tg_encoder_decoder_greedy(tr->model, tg__encoder_decoder_tape(tr->model), S, B, source,
                                                 lengths, T, out, NULL);
    for (int b = 0; b < B && !status; b++) {
        const int n = output_limit(&x[b], max_length);
        for (int k = 0; k < n; k++) word[k] = out[k * B + b];
        translation[x[b].index] = decoded(tr->target, word, n);
        if (!translation[x[b].index])
            status = tg_context_note(cx, TG_ERR_MEMORY, "out of memory: a translation of %d words", n);
    }
    tg__release(cx, source);
    return status;
}

static tg_status translate_sorted(tg_translator *tr, int n, const sentence *x, int max_length,
                                  char *translation[])
{
    tg_context *cx = tr->params->cx;
    tg_status s = TG_OK;
    int k = 0;
    for (; k < n && !x[k].tokens && !s; k++) {
        translation[x[k].index] = calloc(1, 1);
        if (!translation[x[k].index])
            s = tg_context_note(cx, TG_ERR_MEMORY, "out of memory: an empty translation");
    }
    for (; k < n && !s; k += MOST_ROWS)
        s = translate_batch(tr, n - k < MOST_ROWS ? n - k : MOST_ROWS, x + k, max_length, translation);
    return s;
}

tg_status tg_translator_translate(tg_translator *tr, int n, const char *const text[], int max_length,
                                  char *translation[])
{
    tg_context *cx = tr->params->cx;
    tg_status s = TG_OK;
    if (cx->status) return cx->status;
    if (n < 0 || max_length < 0)
        return tg_context_note(cx, TG_ERR_ARGUMENT, "tg_translator_translate: %d sentences, max_length %d", n,
                               max_length);
    for (int i = 0; i < n; i++) translation[i] = NULL;
    if (!n) return TG_OK;
    sentence *x = tg__allocate(cx, (size_t)n * sizeof *x);
    if (!x) return TG_ERR_MEMORY;
    for (int i = 0; i < n && !s; i++) s = examine(tr, text[i], i, max_length, &x[i]);
    if (!s) {
        qsort(x, (size_t)n, sizeof *x, by_length);
        s = translate_sorted(tr, n, x, max_length, translation);
    }
    tg__release(cx, x);
    for (int i = 0; i < n && s; i++) {
        free(translation[i]);
        translation[i] = NULL;
    }
    return s;
}

/* ---- the loss over a data set ---- */

tg_status tg_translator_loss(tg_translator *tr, tg_batches *data, double *loss)
{
    tg_context *cx = tr->params->cx;
    tg_tape *t = tg__encoder_decoder_tape(tr->model);
    double sum = 0, tokens = 0;
    if (cx->status) return cx->status;
    for (int64_t k = 0, n = tg_batches_count(data); k < n; k++) {
        tg_pair_batch batch;
        tg_batches_get(data, 0, k, &batch);
        if (cx->status) break;
        tg_tape_begin(t, TG_EVAL);
        const tg_tensor *one =
            tg_cross_entropy(t, tg_encoder_decoder_logits(tr->model, t, &batch), batch.target_out,
                             &(tg_cross_entropy_config){ .reduction = TG_SUM });
        if (cx->status) break;
        sum += *one->data;
        tokens += (double)batch.target_tokens;
    }
    if (cx->status) return tg__status_taken(cx);
    *loss = tokens > 0 ? sum / tokens : 0;
    return TG_OK;
}
