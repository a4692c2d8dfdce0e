/* tests/bpe_fixture.h -- byte-pair encoding: the golden file, codes in files, tokens as text. */
#ifndef BPE_FIXTURE_H
#define BPE_FIXTURE_H

#include "check_main.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <tidegate/tidegate.h>

#define J "\xEF\xBF\xAD" /* the joiner */
#define E "\xEF\xBF\xAE"

/* ---- the golden file ---- */

typedef struct golden {
    FILE *f;
    char line[4000];
} golden;

static inline golden golden_open(void)
{
    golden g = { .f = fopen(GOLDEN_FOLDER "/bpe.txt", "r") };
    ck_assert_ptr_nonnull(g.f);
    return g;
}

/* The next line with this tag, without it; NULL: there is none. */
static inline const char *next(golden *g, const char *tag)
{
    const size_t n = strlen(tag);
    while (fgets(g->line, sizeof g->line, g->f)) {
        g->line[strcspn(g->line, "\n")] = 0;
        if (!strncmp(g->line, tag, n) && g->line[n] == ' ') return g->line + n + 1;
    }
    fclose(g->f);
    return NULL;
}

/* A file with what is given, or else the golden codes of a version ("0.1", "0.2"). */
static inline const char *codes_file(const char *text, size_t bytes, const char *version)
{
    static char path[64];
    snprintf(path, sizeof path, "/tmp/tidegate-codes-XXXXXX");
    const int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    FILE *f = fdopen(fd, "w");
    if (text) {
        fwrite(text, 1, bytes, f);
    } else {
        golden g = golden_open();
        if (!strcmp(version, "0.2")) fprintf(f, "#version: 0.2\n");
        for (const char *code; (code = next(&g, version));) fprintf(f, "%s\n", code);
    }
    fclose(f);
    return path;
}

static inline tg_tokenizer *bpe(tg_context *cx)
{
    return tg_tokenizer_new(cx, &(tg_tokenizer_config){ .kind = TG_BPE });
}

static inline tg_tokenizer *bpe_of(tg_context *cx, const char *codes)
{
    tg_tokenizer *k = bpe(cx);
    const char *path = codes_file(codes, strlen(codes), "");
    ck_assert_msg(tg_tokenizer_read(k, path) == TG_OK, "%s", tg_context_message(cx));
    unlink(path);
    return k;
}

static inline void tokenized(const tg_tokenizer *k, const char *text, char *out, size_t bytes)
{
    int n;
    char **token = tg_tokenizer_split(k, text, &n);
    size_t used = 0;
    out[0] = 0;
    ck_assert_ptr_nonnull(token);
    for (int i = 0; i < n; i++)
        used += (size_t)snprintf(out + used, bytes - used, "%s%s", i ? " " : "", token[i]);
    ck_assert_uint_lt(used, bytes);
    free(token);
}

static inline void joined(const tg_tokenizer *k, const char *text, char *out, size_t bytes)
{
    int n;
    char **token = tg_tokenizer_split(k, text, &n);
    ck_assert_ptr_nonnull(token);
    ck_assert_uint_lt(tg_tokenizer_join(k, n, (const char *const *)token, out, bytes), bytes);
    free(token);
}

#endif
