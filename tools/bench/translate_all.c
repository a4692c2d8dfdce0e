/* tools/bench/translate_all.c -- one contestant of compare.py decoding: greedy translations of all sources of a file.
 *
 *     translate_all MODEL DATA TRANSLATIONS threads
 *
 * From text to text, all sentences at once. Writes what they become to the file TRANSLATIONS, before it is ready. */
#include <stdio.h>
#include <stdlib.h>
#include <tidegate/tidegate.h>

#include "contestant.h"

typedef struct bench {
    tg_context *cx;
    tg_translator translator;
    int n;
    const char **source;
    char **translation;
} bench;

static void fail(const bench *b)
{
    fprintf(stderr, "translate_all: %s\n", tg_context_message(b->cx));
    exit(1);
}

static void forget(bench *b)
{
    for (int i = 0; i < b->n; i++) free(b->translation[i]);
    for (int i = 0; i < b->n; i++) b->translation[i] = NULL;
}

static void translate(void *user)
{
    bench *b = user;
    forget(b);
    if (tg_translator_translate(&b->translator, b->n, b->source, 0, b->translation)) fail(b);
}

static void open_all(bench *b, const char *model, const char *data)
{
    tg_pairs *pairs;
    if (tg_translator_open(b->cx, model, &b->translator)) fail(b);
    const tg_pairs_config config = { tg_vocabulary_tokenizer(b->translator.source), 10000 };
    if (tg_pairs_read(b->cx, data, &config, &pairs, NULL)) fail(b);
    b->n = tg_pairs_count(pairs);
    b->source = tg_context_allocate(b->cx, (size_t)b->n * sizeof *b->source);
    b->translation = tg_context_allocate(b->cx, (size_t)b->n * sizeof *b->translation);
    if (!tg_context_ok(b->cx)) fail(b);
    for (int i = 0; i < b->n; i++) b->source[i] = tg_pairs_source(pairs, i);
}

static int write_all(const bench *b, const char *path)
{
    FILE *f = fopen(path, "w");
    for (int i = 0; f && i < b->n; i++) fprintf(f, "%s\n", b->translation[i]);
    if (f && !fclose(f)) return 0;
    perror(path);
    return 1;
}

int main(int argc, char *argv[])
{
    tg_program_fix_blas(argv);
    if (argc != 5) {
        fprintf(stderr, "usage: translate_all MODEL DATA TRANSLATIONS threads\n");
        return 2;
    }
    bench b = { .cx = tg_context_new(&(tg_context_config){ .threads = atoi(argv[4]) }) };
    open_all(&b, argv[1], argv[2]);
    translate(&b);
    if (write_all(&b, argv[3])) return 1;
    printf("ready OpenBLAS %s, tidegate %s, %d threads\n", tg_blas_core(), tg_simd_variant(),
           tg_context_threads(b.cx));
    const int result = contestant_serve(translate, &b, 1);
    forget(&b);
    tg_context_free(b.cx);
    return result;
}
