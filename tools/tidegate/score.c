/* tools/tidegate/score.c -- tidegate score: BLEU and chrF of anybody's translations.
 *
 * Hypotheses and references are read side by side, line by line: files of any size. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"
#include "program.h"

typedef struct settings {
    option_list references;
    int tokenize;
    bool lowercase, json;
} settings;

static const option options[] = {
    { "reference", OPTION_LIST, offsetof(settings, references), NULL, 0, 0, "FILE",
      "the right translations, one a line; several times: all of them are right", OPTION_REQUIRED },
    { "tokenize", OPTION_CHOICE, offsetof(settings, tokenize), "13a", 0, 0, SCORES_TOKENIZERS,
      "BLEU's tokens: 13a sets punctuation apart, none takes words as they are" },
    { "lowercase", OPTION_FLAG, offsetof(settings, lowercase), NULL, 0, 0, NULL,
      "take capital letters for small ones" },
    { "json", OPTION_FLAG, offsetof(settings, json), NULL, 0, 0, NULL,
      "one JSON object in place of two lines" },
    { NULL },
};

static const command score_command = {
    "score",
    "--reference FILE [HYPOTHESES] [options]",
    "Compares HYPOTHESES, or standard input, with references, line by line, and prints the\n"
    "BLEU and the chrF2 of the whole, with the numbers of sacreBLEU.",
    options,
    0,
    1,
    "  tidegate score --reference right.txt translations.txt\n"
    "  tidegate translate run lines.txt | tidegate score --reference right.txt --json\n",
};

/* ---- files side by side ---- */

typedef struct input {
    const char *name;
    FILE *file;
    char *line;       /* room for LONGEST_LINE and a 0 */
    const char *text; /* of the line at hand; NULL: there is none any more */
    long long lines;
} input;

typedef struct inputs {
    int n; /* the hypotheses, then each reference */
    input at[1 + OPTION_LIST_MOST];
} inputs;

/* path NULL: standard input. False: the reason was said. */
static bool open_input(input *in, const char *path)
{
    *in = (input){ .name = path ? path : "standard input" };
    in->file = path ? fopen(path, "re") : stdin;
    if (!in->file) return fail("%s: %s", path, strerror(errno)), false;
    in->line = malloc(LONGEST_LINE + 1);
    return in->line || (fail("%s: out of memory", in->name), false);
}

static void close_inputs(inputs *all)
{
    for (int i = 0; i < all->n; i++) {
        if (all->at[i].file && all->at[i].file != stdin) fclose(all->at[i].file);
        free(all->at[i].line);
    }
}

static bool open_inputs(inputs *all, const char *hypotheses, const option_list *references)
{
    all->n = 1;
    if (!open_input(&all->at[0], hypotheses)) return false;
    for (int i = 0; i < references->n; i++)
        if (!open_input(&all->at[all->n++], references->text[i])) return false;
    return true;
}

/* The next line into in->text. False: it cannot be read, which was said. */
static bool next_line(input *in)
{
    size_t n = 0;
    int c;
    in->text = NULL;
    while ((c = getc_unlocked(in->file)) != EOF && c != '\n') {
        if (n == LONGEST_LINE)
            return fail("%s: line %lld: longer than %d bytes", in->name, in->lines + 1, LONGEST_LINE), false;
        in->line[n++] = (char)c;
    }
    if (ferror(in->file)) return fail("%s: %s", in->name, strerror(errno)), false;
    if (c == EOF && n == 0) return in->lines > 0 || (fail("%s: is empty", in->name), false);
    in->text = clean_line(in->name, in->line, n, ++in->lines);
    return in->text;
}

/* One line of each; *lines: how many of them have one. False: one cannot be read, which was said. */
static bool next_lines(inputs *all, int *lines)
{
    *lines = 0;
    for (int i = 0; i < all->n; i++) {
        if (!next_line(&all->at[i])) return false;
        *lines += all->at[i].text != NULL;
    }
    return true;
}

/* Some have ended before others: says how many lines they have. */
static int fail_lengths(inputs *all)
{
    const input *first = &all->at[0], *other = NULL;
    for (int i = 0; i < all->n; i++) {
        input *in = &all->at[i];
        while (in->text)
            if (!next_line(in)) return EXIT_FAILED;
        if (!other && in->lines != first->lines) other = in;
    }
    return fail("%s has %lld lines, but %s has %lld", first->name, first->lines, other->name, other->lines);
}

/* ---- scored ---- */

static int count_all(tg_context *cx, inputs *all, scores *s)
{
    const char *text[1 + OPTION_LIST_MOST];
    int lines;
    while (next_lines(all, &lines)) {
        if (!lines) return EXIT_DONE;
        if (lines < all->n) return fail_lengths(all);
        for (int i = 0; i < all->n; i++) text[i] = all->at[i].text;
        if (scores_add(s, text[0], all->n - 1, text + 1)) return fail_context(cx);
    }
    return EXIT_FAILED;
}

static void print_lines(const scores *s)
{
    char line[TG_SCORE_TEXT];
    tg_bleu_line(s->bleu, line, sizeof line);
    puts(line);
    tg_chrf_line(s->chrf, line, sizeof line);
    puts(line);
}

static void print_counts(const char *name, const int64_t n[4])
{
    printf("\"%s\": [%lld, %lld, %lld, %lld], ", name, (long long)n[0], (long long)n[1], (long long)n[2],
           (long long)n[3]);
}

static void print_json(const scores *s)
{
    tg_bleu_score b;
    tg_bleu_result(s->bleu, &b);
    printf("{");
    scores_print_members(s);
    printf(", \"precisions\": [%.9g, %.9g, %.9g, %.9g], ", b.precision[0], b.precision[1], b.precision[2],
           b.precision[3]);
    print_counts("matches", b.matches);
    print_counts("totals", b.totals);
    printf("\"brevity_penalty\": %.9g, \"ratio\": %.9g, \"hypothesis_length\": %lld, "
           "\"reference_length\": %lld, \"sentences\": %lld}\n",
           b.brevity_penalty, b.ratio, (long long)b.hypothesis_length, (long long)b.reference_length,
           (long long)b.sentences);
}

static int score(const settings *given, const char *hypotheses)
{
    inputs all;
    tg_context *cx = new_context(0, 1);
    scores s = scores_new(cx, given->tokenize, given->lowercase);
    int result = tg_context_ok(cx) ? EXIT_DONE : fail_context(cx);
    if (!result) {
        result = open_inputs(&all, hypotheses, &given->references) ? count_all(cx, &all, &s) : EXIT_FAILED;
        close_inputs(&all);
    }
    if (!result) given->json ? print_json(&s) : print_lines(&s);
    tg_context_free(cx);
    return finish_output(result);
}

int command_score(int argc, char *argv[])
{
    settings given = { 0 };
    const char *hypotheses[2];
    const parsed p = options_parse(&score_command, argc, argv, &given, hypotheses);
    if (p != PARSED) return options_exit(p);
    const bool from_file = hypotheses[0] && strcmp(hypotheses[0], "-") != 0;
    return score(&given, from_file ? hypotheses[0] : NULL);
}
