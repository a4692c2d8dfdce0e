/* tests/metrics_fixture.h -- reads golden/metrics.txt (make_metrics.py says how), gives up allocating, and
 * has the sentences with published scores. */
#ifndef METRICS_FIXTURE_H
#define METRICS_FIXTURE_H

#include <stdio.h>
#include <string.h>
#include <tidegate/tidegate.h>

#include "check_main.h"

enum { MOST_TEXT = 4000, MOST_TEXTS = 40 };

typedef struct golden_line {
    char kind; /* 0: a blank line */
    char text[MOST_TEXT];
} golden_line;

static FILE *golden_open(void)
{
    FILE *file = fopen(GOLDEN_FOLDER "/metrics.txt", "r");
    ck_assert_msg(file != NULL, "cannot open %s/metrics.txt", GOLDEN_FOLDER);
    return file;
}

/* False: the file ends. */
static bool golden_next(FILE *file, golden_line *to)
{
    char line[MOST_TEXT];
    if (!fgets(line, sizeof line, file)) return false;
    ck_assert_ptr_nonnull(strchr(line, '\n'));
    line[strcspn(line, "\n")] = 0;
    to->kind = line[0];
    char *out = to->text;
    for (const char *p = line[0] ? line + 2 : line; *p; out++) {
        unsigned byte;
        if (*p == '\\' && sscanf(p, "\\x%2x", &byte) == 1)
            *out = (char)byte, p += 4;
        else
            *out = *p++;
    }
    *out = 0;
    return true;
}

/* A corpus: sentence i is text[first[i]], its references are up to first[i + 1]. */
typedef struct corpus {
    int sentences, first[MOST_TEXTS + 1];
    char *text[MOST_TEXTS];
} corpus;

static void __attribute__((unused)) corpus_clear(corpus *c)
{
    for (int i = 0; i < c->first[c->sentences]; i++) free(c->text[i]);
    c->sentences = c->first[0] = 0;
}

/* A line of a corpus is a hypothesis or a reference. */
static void __attribute__((unused)) corpus_take(corpus *c, const golden_line *line)
{
    if (line->kind == 'h') c->first[c->sentences + 1] = c->first[c->sentences], c->sentences++;
    c->text[c->first[c->sentences]++] = strdup(line->text);
    ck_assert_int_lt(c->first[c->sentences], MOST_TEXTS);
}

/* Memory for a number of blocks, and no more. */
static int blocks_left, blocks_open;

static void *meagre_allocate(void *user, size_t bytes)
{
    (void)user;
    if (blocks_left-- <= 0) return NULL;
    blocks_open++;
    return malloc(bytes);
}

static void meagre_release(void *user, void *block)
{
    (void)user;
    blocks_open--;
    free(block);
}

static __attribute__((unused)) tg_context *meagre_context(int blocks)
{
    blocks_left = blocks;
    blocks_open = 0;
    return tg_context_new(&(tg_context_config){ .allocate = meagre_allocate, .release = meagre_release });
}

/* The corpus of sacreBLEU's own tests. */
static const char *const dog[3][3] = {
    /* hypothesis, two references */
    { "The dog bit the man.", "The dog bit the man.", "The dog had bit the man." },
    { "It wasn't surprising.", "It was not unexpected.", "No one was surprised." },
    { "The man had just bitten him.", "The man bit him first.", "The man had bitten the dog." },
};

static const char romanian[] = "Producția de zahăr primă va fi exprimată în ceea ce privește zahărul alb;";
static const char romanian_reference[] = "producţia de zahăr brut se exprimă în zahăr alb;"; /* another t */
static const char sector[] = " risk assessment must be made of those who are qualified and expertise in the "
                             "sector - these are the scientists .";
static const char sector_reference[] = "risk assessment has to be undertaken by those who are qualified and "
                                       "expert in that area - that is the scientists .";
static const char german[] = " Die    Beziehung zwischen  Obama und Netanjahu ist nicht gerade  freundlich. ";
static const char german_reference[] =
    "Das Verhältnis zwischen Obama und Netanyahu ist nicht gerade freundschaftlich.";

#endif
