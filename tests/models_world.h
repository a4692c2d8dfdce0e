/* tests/models_world.h -- a little language for translators, and one that talks much and knows nothing. */
#ifndef MODELS_WORLD_H
#define MODELS_WORLD_H

#include <unistd.h>

#include "models_fixture.h"

enum { LETTERS = 5, LONGEST = 4, SENTENCES = 50, MOST_TEXT = 256 };

/* ---- a little world: words are letters, the target is the source backwards ---- */

typedef struct world {
    char directory[64], file[96]; /* the file is for checkpoints */
    tg_context *cx;
    tg_pairs *pairs;
    tg_vocabulary *source, *target;
} world;

/* Sequence i of all those of 1..LONGEST letters, as words; backwards, the other way round. */
static inline bool spell(int i, bool backwards, char text[MOST_TEXT])
{
    int n = 1, of_length = LETTERS;
    for (; i >= of_length; n++) i -= of_length, of_length *= LETTERS;
    if (n > LONGEST) return false;
    char *p = text;
    for (int k = 0; k < n; k++) {
        int digit = i;
        for (int j = 0; j < (backwards ? n - 1 - k : k); j++) digit /= LETTERS;
        p += sprintf(p, k ? " %c" : "%c", 'a' + digit % LETTERS);
    }
    return true;
}

static inline world world_new(uint64_t seed, tg_tokenizer_kind kind, int step)
{
    world w = { .directory = "/tmp/tidegate-models-XXXXXX",
                .cx = tg_context_new(&(tg_context_config){ .seed = seed }) };
    ck_assert_ptr_nonnull(mkdtemp(w.directory));
    char path[96], source[MOST_TEXT], target[MOST_TEXT];
    snprintf(w.file, sizeof w.file, "%s/model.h5", w.directory);
    snprintf(path, sizeof path, "%s/pairs.tsv", w.directory);
    FILE *f = fopen(path, "w");
    for (int i = 0; spell(i, false, source); i += step) {
        spell(i, true, target);
        fprintf(f, "%s\t%s\n", source, target);
    }
    fclose(f);
    const tg_tokenizer *tokenizer = tg_tokenizer_new(w.cx, &(tg_tokenizer_config){ .kind = kind });
    ck_assert_int_eq(tg_pairs_read(w.cx, path, &(tg_pairs_config){ .tokenizer = tokenizer }, &w.pairs, NULL),
                     TG_OK);
    unlink(path);
    w.source = tg_vocabulary_new(w.cx, tokenizer);
    w.target = tg_vocabulary_new(w.cx, tokenizer);
    for (int i = 0; i < tg_pairs_count(w.pairs); i++) {
        tg_vocabulary_add(w.source, tg_pairs_source(w.pairs, i));
        tg_vocabulary_add(w.target, tg_pairs_target(w.pairs, i));
    }
    tg_vocabulary_freeze(w.source, 1);
    tg_vocabulary_freeze(w.target, 1);
    ck_assert_msg(tg_context_ok(w.cx), "%s", tg_context_message(w.cx));
    return w;
}

static inline void world_free(world *w)
{
    tg_context_free(w->cx);
    unlink(w->file);
    ck_assert_int_eq(rmdir(w->directory), 0);
}

/* A translator that knows nothing, but says a lot. */
static inline tg_translator babbler_of(world *w, const tg_encoder_decoder_config *config)
{
    tg_translator tr;
    tg_vocabulary *target = config && config->tying == TG_TIE_ALL ? w->source : w->target;
    ck_assert_msg(tg_translator_new(w->cx, w->source, target, config, &tr) == TG_OK, "%s",
                  tg_context_message(w->cx));
    shake(tr.params, w->cx, 0.8);
    return tr;
}
static inline tg_translator babbler(world *w, tg_cell cell, int layers)
{
    return babbler_of(
        w, &(tg_encoder_decoder_config){ .embed = 8, .hidden = 16, .layers = layers, .cell = cell });
}

/* SENTENCES of 0..7 words each, some of them never seen. */
static inline void invent(const tg_context *cx, char text[SENTENCES][MOST_TEXT],
                          const char *sentence[SENTENCES])
{
    for (int i = 0; i < SENTENCES; i++) {
        const int n = (int)(tg_random_uniform(cx, "words", i, 0) * 8);
        char *p = text[i];
        *p = 0;
        for (int k = 0; k < n; k++)
            p += sprintf(p, "%s%c", k ? " " : "",
                         'a' + (int)(tg_random_uniform(cx, "word", i, (uint64_t)k) * (LETTERS + 1)));
        sentence[i] = text[i];
    }
}

static inline void free_all(int n, char *translation[])
{
    for (int i = 0; i < n; i++) free(translation[i]);
}

static inline tg_archive *put(const tg_translator *tr, tg_context *cx)
{
    tg_archive *a = tg_archive_new(cx);
    ck_assert_msg(tg_translator_put(tr, a) == TG_OK, "%s", tg_context_message(cx));
    return a;
}

/* A copy of a with another value at path, or (kind 0) without it. */
typedef struct change {
    const char *path;
    char kind; /* i n t, or 0: leave it out */
    int64_t integer;
    double number;
    const char *text;
    const char *says;
} change;

static inline tg_archive *changed(tg_context *cx, const tg_archive *a, const change *c)
{
    tg_archive *b = tg_archive_new(cx);
    for (int i = 0; i < tg_archive_count(a); i++) {
        tg_entry e;
        tg_archive_entry(a, i, &e);
        if (!strcmp(e.path, c->path)) {
            if (c->kind == 'i') tg_archive_put_integer(b, e.path, c->integer);
            if (c->kind == 'n') tg_archive_put_number(b, e.path, c->number);
            if (c->kind == 't') tg_archive_put_text(b, e.path, c->text);
        } else if (e.array && e.type == TG_TEXT) {
            tg_archive_put_texts(b, e.path, e.dim[0], e.data);
        } else if (e.type == TG_INT64) {
            tg_archive_put_integer(b, e.path, *(const int64_t *)e.data);
        } else if (e.type == TG_FLOAT64) {
            tg_archive_put_number(b, e.path, *(const double *)e.data);
        } else {
            tg_archive_put_text(b, e.path, e.data);
        }
    }
    ck_assert_int_eq(tg_archive_status(b), TG_OK);
    return b;
}

#endif
