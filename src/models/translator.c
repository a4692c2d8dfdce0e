/* models/translator.c -- an encoder-decoder with its vocabularies: sentences in, sentences out. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint/layout.h"
#include "data/data.h"
#include "models/encoder_decoder.h"
#include "params/params.h"
#include "tensor/archive.h"

static const char *const kind = "encoder-decoder";

/* ---- making ---- */

/* The model over parameters of its own, which must be those of the file, if it is made from one: before they have their
 * memory. *tr is set on success alone. */
static tg_status build(tg_context *cx, const tg_encoder_decoder_config *c, tg_vocabulary *source,
                       tg_vocabulary *target, const tg_archive *file, tg_translator *tr)
{
    tg_params *ps = tg_params_new(cx);
    tg_encoder_decoder *m = tg_encoder_decoder_new(ps, c);
    tg_status s = cx->status ? tg__status_taken(cx) : TG_OK;
    if (!s && file) s = tg__checkpoint_check_parameters(cx, file, ps);
    if (s) {
        tg_params_free(ps);
        return s;
    }
    *tr = (tg_translator){ .params = ps, .model = m, .source = source, .target = target, .config = *c };
    return TG_OK;
}

/* Ids of two vocabularies mean two things, even where there are as many of them. */
static tg_status check_tying(tg_context *cx, tg_status status, const char *who,
                             const tg_encoder_decoder_config *c, const tg_vocabulary *source,
                             const tg_vocabulary *target)
{
    if (c->tying != TG_TIE_ALL || source == target) return TG_OK;
    return tg_context_note(cx, status,
                           "%s: a tied source embedding takes one vocabulary for both sides, not two of %d",
                           who, c->source_vocabulary);
}

tg_status tg_translator_new(tg_context *cx, tg_vocabulary *source, tg_vocabulary *target,
                            const tg_encoder_decoder_config *config, tg_translator *tr)
{
    tg_encoder_decoder_config c = config ? *config : (tg_encoder_decoder_config){ 0 };
    if (!cx) return TG_ERR_ARGUMENT;
    if (cx->status) return cx->status;
    const tg_status missing = MISSING(cx, ARG(source), ARG(target), ARG(tr));
    if (missing) return missing;
    if (tg__vocabulary_context(source) != cx || tg__vocabulary_context(target) != cx)
        return tg_context_note(cx, TG_ERR_STATE,
                               "tg_translator_new: the %s vocabulary belongs to another context",
                               tg__vocabulary_context(source) != cx ? "source" : "target");
    if (!tg__vocabulary_frozen(source) || !tg__vocabulary_frozen(target))
        return tg_context_note(cx, TG_ERR_STATE, "tg_translator_new: the %s vocabulary is not frozen yet",
                               tg__vocabulary_frozen(source) ? "target" : "source");
    c.source_vocabulary = tg_vocabulary_size(source);
    c.target_vocabulary = tg_vocabulary_size(target);
    tg_status s = tg__encoder_decoder_settle(cx, tg_context_note, TG_ERR_ARGUMENT, "tg_translator_new", &c);
    if (!s) s = check_tying(cx, TG_ERR_ARGUMENT, "tg_translator_new", &c, source, target);
    return s ? s : build(cx, &c, source, target, NULL, tr);
}

tg_status tg__translator_check(const tg_translator *tr, const char *who)
{
    if (!tr || !tr->params) return TG_ERR_ARGUMENT;
    tg_context *cx = tr->params->cx;
    if (cx->status) return cx->status;
    const named_argument members[] = { { "model of the translator", tr->model },
                                       { "source of the translator", tr->source },
                                       { "target of the translator", tr->target },
                                       { NULL, NULL } };
    const tg_status s = tg__missing(cx, tg_context_note, who, members);
    if (s) return s;
    if (!tr->model->ps || tr->model->ps != tr->params)
        return tg_context_note(cx, TG_ERR_STATE, "%s: the translator's model %s", who,
                               tr->model->ps ? "is one of other parameters" : "could not be made");
    return TG_OK;
}

/* ---- kept in an archive ---- */

tg_status tg_translator_put(const tg_translator *tr, tg_archive *a)
{
    tg_status s = tg__translator_check(tr, "tg_translator_put");
    if (s || (s = MISSING(tr->params->cx, ARG(a)))) return s;
    const tg_encoder_decoder_config *c = &tr->config;
    tg_archive_put_text(a, "model/kind", kind);
    tg_archive_put_text(a, "model/cell", tg_cell_name(c->cell));
    tg_archive_put_integer(a, "model/embed", c->embed);
    tg_archive_put_integer(a, "model/hidden", c->hidden);
    tg_archive_put_integer(a, "model/layers", c->layers);
    tg_archive_put_number(a, "model/dropout", (double)c->dropout);
    tg_archive_put_integer(a, "model/bidirectional", c->bidirectional);
    tg_archive_put_text(a, "model/attention", tg_attention_kind_name(c->attention));
    tg_archive_put_integer(a, "model/input_feeding", c->input_feeding);
    tg_archive_put_integer(a, "model/coverage", c->coverage);
    tg_archive_put_integer(a, "model/readout", c->readout == TG_NO_READOUT ? 0 : c->readout);
    tg_archive_put_text(a, "model/tying", tg_tying_name(c->tying));
    tg_archive_put_integer(a, "model/source_vocabulary", c->source_vocabulary);
    tg_archive_put_integer(a, "model/target_vocabulary", c->target_vocabulary);
    s = tg_vocabulary_put(tr->source, a, "vocabulary/source");
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
    const char *name;
    const tg_status s = tg_archive_get_text(a, "model/cell", &name);
    if (s) return s;
    for (int i = 0; tg__cell_exists(i); i++)
        if (!strcmp(name, tg_cell_name((tg_cell)i))) return *cell = (tg_cell)i, TG_OK;
    return tg_context_note(cx, TG_ERR_FORMAT, "model/cell is '%.40s', which names no cell", name);
}

static tg_status get_flag(tg_context *cx, const tg_archive *a, const char *path, bool *value)
{
    int64_t n;
    const tg_status s = tg_archive_get_integer(a, path, &n);
    if (s) return s;
    if (n != 0 && n != 1)
        return tg_context_note(cx, TG_ERR_FORMAT, "%s is %lld, must be 0 or 1", path, (long long)n);
    *value = n;
    return TG_OK;
}

/* One of the names that name(0), name(1), ..., name(n-1) give. */
static tg_status get_name(tg_context *cx, const tg_archive *a, const char *path, int n,
                          const char *(*name)(int k), int *value)
{
    const char *text;
    const tg_status s = tg_archive_get_text(a, path, &text);
    if (s) return s;
    for (int k = 0; k < n; k++)
        if (!strcmp(text, name(k))) return *value = k, TG_OK;
    return tg_context_note(cx, TG_ERR_FORMAT, "%s is '%.40s', which this version does not know", path, text);
}

static const char *attention_name(int k) { return tg_attention_kind_name((tg_attention_kind)k); }
static const char *tying_name(int k) { return tg_tying_name((tg_tying)k); }

/* What a model with attention has more; a file from before there was any has none of it. */
static tg_status get_attention(tg_context *cx, const tg_archive *a, tg_encoder_decoder_config *c)
{
    int attention = 0, tying = 0;
    int64_t readout;
    tg_status s;
    if (!tg_archive_has(a, "model/attention")) return TG_OK;
    if ((s = get_name(cx, a, "model/attention", TG_ATTENTION_GENERAL + 1, attention_name, &attention)))
        return s;
    if ((s = get_name(cx, a, "model/tying", TG_TIE_ALL + 1, tying_name, &tying))) return s;
    if ((s = get_flag(cx, a, "model/bidirectional", &c->bidirectional))) return s;
    if ((s = get_flag(cx, a, "model/input_feeding", &c->input_feeding))) return s;
    if ((s = get_flag(cx, a, "model/coverage", &c->coverage))) return s;
    if ((s = tg_archive_get_integer(a, "model/readout", &readout))) return s;
    if (readout < 0 || readout > INT_MAX)
        return tg_context_note(cx, TG_ERR_FORMAT, "model/readout is %lld, must be 0 or more and fit an int",
                               (long long)readout);
    c->attention = (tg_attention_kind)attention;
    c->tying = (tg_tying)tying;
    c->readout = readout ? (int)readout : TG_NO_READOUT;
    return TG_OK;
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
    if ((s = get_attention(cx, a, c))) return s;
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
    if (!cx) return TG_ERR_ARGUMENT;
    if (cx->status) return cx->status;
    if ((s = MISSING(cx, ARG(a), ARG(tr)))) return s;
    if ((s = get_config(cx, a, &c))) return s;
    if ((s = get_vocabulary(cx, a, "source", c.source_vocabulary, &source))) return s;
    if ((s = get_target(cx, a, source, c.target_vocabulary, &target))) return s;
    if ((s = check_tying(cx, TG_ERR_FORMAT, "model", &c, source, target))) return s;
    return build(cx, &c, source, target, a->source ? a : NULL, tr);
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
    if (!cx) return TG_ERR_ARGUMENT;
    if (cx->status) return cx->status;
    tg_status s = MISSING(cx, ARG(tr));
    if (s || (s = tg_checkpoint_read(cx, path, &a))) return s;
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

/* ---- the loss over a data set ---- */

/* Rows of a batch from `first` on whose computation needs MOST_NUMBERS at most, but at least one. */
static int rows_together(const tg_translator *tr, const tg_pair_batch *all, int first)
{
    enum { MOST_NUMBERS = 1 << 24 };
    const tg_encoder_decoder_config *c = &tr->config;
    const double of_token = (double)c->embed + 8.0 * c->hidden * c->layers;
    int n = 0, S = 0, T = 0;
    for (; first + n < all->B; n++) {
        if (all->source_lengths[first + n] > S) S = all->source_lengths[first + n];
        if (all->target_lengths[first + n] > T) T = all->target_lengths[first + n];
        const double of_row = (S + T) * of_token + (c->attention ? 2.0 * S * T : 0);
        if (n && (n + 1) * of_row > MOST_NUMBERS) break;
    }
    return n;
}

/* Columns first, ..., first+n-1 of an array of B columns. */
static const int *take_columns(int *to, const int *from, int rows, int B, int first, int n)
{
    for (int k = 0; k < rows; k++)
        memcpy(to + (size_t)k * (size_t)n, from + (size_t)k * (size_t)B + first, (size_t)n * sizeof *to);
    return to;
}

/* Some rows of a batch as a batch. Its arrays stand at room, which goes on behind them. */
static tg_pair_batch some_rows(const tg_pair_batch *all, int first, int n, int **room)
{
    tg_pair_batch x = *all;
    x.B = n, x.S = x.T = 0, x.target_tokens = 0;
    x.source_lengths += first, x.target_lengths += first, x.pair += first;
    for (int b = 0; b < n; b++) {
        if (x.source_lengths[b] > x.S) x.S = x.source_lengths[b];
        if (x.target_lengths[b] > x.T) x.T = x.target_lengths[b];
        x.target_tokens += x.target_lengths[b];
    }
    x.source = take_columns(*room, all->source, x.S, all->B, first, n), *room += (size_t)x.S * (size_t)n;
    x.target_in = take_columns(*room, all->target_in, x.T, all->B, first, n),
    *room += (size_t)x.T * (size_t)n;
    x.target_out = take_columns(*room, all->target_out, x.T, all->B, first, n),
    *room += (size_t)x.T * (size_t)n;
    return x;
}

/* Adds the cross entropy of a batch. Long sentences are taken a few at a time, so that memory is bounded. */
static tg_status add_loss(tg_translator *tr, const tg_pair_batch *all, bool free_running, double *sum)
{
    tg_context *cx = tr->params->cx;
    const size_t tokens =
        (size_t)all->S + 3 * (size_t)all->T; /* of a row, and room for what the decoder reads */
    int *const room = tg__allocate(cx, tg__bytes(tg__bytes(tokens, (size_t)all->B), sizeof *room));
    tg_status s = room ? TG_OK : TG_ERR_MEMORY;
    for (int first = 0, n; !s && first < all->B; first += n) {
        int *mixed = room;
        double part;
        n = rows_together(tr, all, first);
        tg_pair_batch some = some_rows(all, first, n, &mixed);
        if (free_running) s = tg_encoder_decoder_sample(tr->model, &some, 1, mixed);
        if (free_running) some.target_in = mixed;
        if (!s) s = tg__encoder_decoder_loss_sum(tr->model, tr->model->own, &some, &part);
        if (!s) *sum += part;
    }
    tg__release(cx, room);
    return s;
}

static tg_status mean_loss(tg_translator *tr, tg_batches *data, bool free_running, double *loss,
                           const char *who)
{
    const tg_status held = tg__translator_check(tr, who);
    if (held) return held;
    tg_context *cx = tr->params->cx;
    if (!data || !loss)
        return tg_context_note(cx, TG_ERR_ARGUMENT, "%s: %s is NULL", who, data ? "loss" : "data");
    if (tg__batches_context(data) != cx)
        return tg_context_note(cx, TG_ERR_STATE, "%s: data %s", who,
                               tg__batches_context(data) == &tg__context_nil ? "could not be made"
                                                                             : "belongs to another context");
    double sum = 0, tokens = 0;
    for (int64_t k = 0, n = tg_batches_count(data); k < n; k++) {
        tg_pair_batch batch;
        tg_batches_get(data, 0, k, &batch);
        if (cx->status) return tg__status_taken(cx);
        const tg_status s = add_loss(tr, &batch, free_running, &sum);
        if (s) return s;
        tokens += (double)batch.target_tokens;
    }
    *loss = tokens > 0 ? sum / tokens : 0;
    return TG_OK;
}

tg_status tg_translator_loss(tg_translator *tr, tg_batches *data, double *loss)
{
    return mean_loss(tr, data, false, loss, "tg_translator_loss");
}

tg_status tg_translator_loss_free_running(tg_translator *tr, tg_batches *data, double *loss)
{
    return mean_loss(tr, data, true, loss, "tg_translator_loss_free_running");
}
