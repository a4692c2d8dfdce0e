/* tools/tidegate/translate.c -- tidegate translate: sentences in, sentences out, in order.
 *
 * Whatever has arrived is translated at once: from a file that is many lines together, from a
 * terminal or a slow pipe each line as it comes.                                                */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attention_file.h"
#include "decoding.h"
#include "line_editor.h"

enum { TOGETHER = 512 };

typedef struct settings {
    int64_t threads, nbest;
    const char *attention;
    decoding_settings decoding;
} settings;

static const option options[] = {
    DECODING_OPTIONS(settings),
    { "nbest", OPTION_INTEGER, offsetof(settings, nbest), "1", 1, 10000, NULL,
      "more than 1: so many translations of each line, best first, as line<TAB>score<TAB>translation; at "
      "most "
      "--beam" },
    { "attention", OPTION_TEXT, offsetof(settings, attention), NULL, 0, 0, "FILE",
      "write where the model looked for each word, to a picture\n(.svg), HDF5 (.h5) or tables (.txt)" },
    THREADS_OPTION(settings, 0),
    { NULL },
};

static const command translate_command = {
    "translate",
    "MODEL [FILE] [options]",
    "Translates FILE, or standard input, one sentence a line, to standard output. MODEL is\n"
    "a checkpoint, or a directory with one (best.h5, else last.h5). An empty line gives an\n"
    "empty line. On a terminal it asks for one sentence after the other.",
    options,
    1,
    2,
    "  tidegate translate run sentences.txt --beam 5\n"
    "  echo 'who will write books ?' | tidegate translate run --attention look.svg\n",
};

typedef struct job {
    tg_context *cx;
    tg_translator *translator;
    tg_decoding_config config;
    attention_file *attention; /* NULL: none */
    const char *name;          /* of the input */
    int in;
    bool asks;      /* stdout and the input are terminals */
    long long line; /* lines done */
} job;

/* All translations of line `number`, best first; of several, each in the last of three columns. */
static void put_translations(const job *j, long long number, const tg_translation best[])
{
    const int nbest = j->config.nbest;
    for (int k = 0; k < nbest && best[k].text; k++) {
        if (nbest > 1) {
            printf("%lld\t%.4f\t", number, best[k].score);
            for (char *p = best[k].text; (p = strchr(p, '\t'));) *p = ' '; /* it would begin another column */
        }
        put_text(best[k].text);
        putchar('\n');
    }
}

static bool add_attention(const job *j, long long line, const char *text, const tg_translation *x)
{
    return attention_file_add(j->attention, &(attention_sentence){ .line = line,
                                                                   .text = text,
                                                                   .translation = x->text,
                                                                   .S = x->S,
                                                                   .T = x->T,
                                                                   .source = (const char *const *)x->source,
                                                                   .target = (const char *const *)x->target,
                                                                   .weights = x->attention });
}

static int put_all(job *j, int n, const char *const line[], const tg_translation best[])
{
    bool kept = true;
    for (int i = 0; i < n && kept; i++) {
        const tg_translation *x = &best[(size_t)i * (size_t)j->config.nbest];
        put_translations(j, j->line + i + 1, x);
        if (j->attention && x->attention) kept = add_attention(j, j->line + i + 1, line[i], x);
    }
    j->line += n;
    return kept && !ferror(stdout) ? EXIT_DONE : EXIT_FAILED;
}

static int translate_lines(job *j, int n, const char *const line[])
{
    const size_t all = (size_t)n * (size_t)j->config.nbest;
    int result = EXIT_DONE;
    tg_translation *best = calloc(all + 1, sizeof *best);
    const tg_status s = best ? tg_translator_search(j->translator, n, line, &j->config, best) : TG_ERR_MEMORY;
    if (s && n > 1) {
        /* one at a time: the lines before the one that fails are translated, and its number is known */
        for (int i = 0; i < n && !result; i++) result = translate_lines(j, 1, line + i);
    } else if (s) {
        result = fail("%s: line %lld: %s", j->name, j->line + 1,
                      best ? tg_context_message(j->cx) : "out of memory");
    } else {
        result = put_all(j, n, line, best);
    }
    for (size_t i = 0; i < all && !s; i++) tg_translation_free(&best[i]);
    free(best);
    return result;
}

/* Translates the whole lines among text[0..*n-1], and moves what is left to its start. Lines before one
 * that cannot be read are translated first. */
static int translate_ready(job *j, char *text, size_t *n)
{
    const char *line[TOGETHER];
    char *begin = text, *end;
    int lines = 0, result = EXIT_DONE;
    while (!result && (end = memchr(begin, '\n', *n - (size_t)(begin - text)))) {
        const char *one = clean_line(j->name, begin, (size_t)(end - begin), j->line + lines + 1);
        begin = end + 1;
        if (one) line[lines++] = one;
        if (!one || lines == TOGETHER) {
            result = translate_lines(j, lines, line);
            lines = 0;
        }
        if (!one) result = EXIT_FAILED;
    }
    if (!result) result = translate_lines(j, lines, line);
    *n -= (size_t)(begin - text);
    memmove(text, begin, *n);
    return result;
}

static volatile sig_atomic_t interrupted;

static void interrupt(int number)
{
    (void)number;
    interrupted = 1;
}

/* The first Ctrl-C ends the session as the end of the input does, a second one the program at once. */
static void catch_interrupt(void)
{
    struct sigaction action = { .sa_handler = interrupt, .sa_flags = SA_RESETHAND }, before;
    sigemptyset(&action.sa_mask);
    if (!sigaction(SIGINT, NULL, &before) && before.sa_handler != SIG_IGN) sigaction(SIGINT, &action, NULL);
}

static int fail_long_line(const job *j)
{
    return fail("%s: line %lld: longer than %d bytes", j->name, j->line + 1, LONGEST_LINE);
}

/* From a file or a pipe, and, without a line editor, from a terminal. */
static int translate_stream(job *j)
{
    char *text = malloc(LONGEST_LINE + 2); /* a line end may have to be put after the last line */
    size_t n = 0;
    int result = text ? EXIT_DONE : fail("%s: out of memory", j->name);
    while (!result && !interrupted) {
        if (j->asks) ask();
        const ssize_t got = read(j->in, text + n, LONGEST_LINE + 1 - n);
        if (got < 0 && errno == EINTR) continue; /* interrupted, or not by that */
        if (got < 0) result = fail("%s: %s", j->name, strerror(errno));
        if (got == 0 && n == 0) break;
        if (got == 0) text[n++] = '\n';
        if (got > 0) n += (size_t)got;
        if (!result) result = translate_ready(j, text, &n);
        if (!result && n > LONGEST_LINE) result = fail_long_line(j);
        result = finish_output(result);
    }
    free(text);
    return result;
}

/* ---- somebody who types ---- */

static int translate_one(job *j, char *line, size_t bytes)
{
    if (bytes > LONGEST_LINE) return fail_long_line(j);
    const char *one = clean_line(j->name, line, bytes, j->line + 1);
    return one ? translate_lines(j, 1, &one) : EXIT_FAILED;
}

static int translate_typed(job *j, line_editor *e)
{
    const char *typed;
    size_t bytes;
    int result = EXIT_DONE;
    while (!result && !interrupted && (typed = line_editor_read(e, &bytes))) {
        char *line = strndup(typed, bytes);
        result = line ? translate_one(j, line, bytes) : fail("%s: out of memory", j->name);
        free(line);
        result = finish_output(result);
    }
    return result;
}

static int translate_session(job *j)
{
    tell("Type a sentence and press Enter to translate it; Ctrl-D ends.");
    catch_interrupt();
    line_editor *e = j->in == STDIN_FILENO ? line_editor_new() : NULL;
    const int result = e ? translate_typed(j, e) : translate_stream(j);
    line_editor_free(e);
    if (!result) putchar('\n'); /* what is shown next begins on a line of its own */
    return finish_output(result);
}

/* An attention file must not take the place of what is read. */
static bool is_input(const char *attention, const char *input)
{
    struct stat a, b;
    return attention && input && stat(attention, &a) == 0 && stat(input, &b) == 0 && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino;
}

static int translate(job *j, const settings *given, const char *model)
{
    if (!open_translator(j->cx, model, j->translator)) return EXIT_FAILED;
    if (!decoding_fits(&given->decoding, model, j->translator)) return EXIT_FAILED;
    if (given->attention && j->translator->config.attention == TG_ATTENTION_NONE)
        return fail("%s: a model without attention: there is nothing to write to %s", model,
                    given->attention);
    if (given->attention && !(j->attention = attention_file_open(given->attention))) return EXIT_FAILED;
    const int result = j->asks ? translate_session(j) : translate_stream(j);
    if (!j->attention) return result;
    if (result) return attention_file_abandon(j->attention), result;
    return attention_file_close(j->attention) ? result : EXIT_FAILED;
}

int command_translate(int argc, char *argv[])
{
    settings given = { 0 };
    const char *name[3];
    const parsed p = options_parse(&translate_command, argc, argv, &given, name);
    if (p != PARSED) return options_exit(p);
    if (given.nbest > given.decoding.beam)
        return usage_error("translate", "--nbest is %lld: it can be at most the beam, which is %lld (--beam)",
                           (long long)given.nbest, (long long)given.decoding.beam);
    if (given.attention && !attention_file_named(given.attention))
        return usage_error("translate", "--attention %s: its name must end in %s", given.attention,
                           ATTENTION_ENDINGS);

    tg_translator translator;
    const bool from_file = name[1] && strcmp(name[1], "-") != 0;
    job j = { .translator = &translator,
              .config = decoding_config(&given.decoding),
              .name = from_file ? name[1] : "standard input" };
    j.config.nbest = (int)given.nbest;
    j.config.unscored = given.nbest == 1;
    j.config.no_attention = !given.attention;
    if (from_file && is_input(given.attention, name[1]))
        return fail("--attention %s: this is the file that is to be translated", given.attention);
    j.in = from_file ? open(name[1], O_RDONLY | O_CLOEXEC) : STDIN_FILENO;
    if (j.in < 0) return fail("%s: %s", j.name, strerror(errno));
    j.asks = isatty(STDOUT_FILENO) && isatty(j.in);
    j.cx = new_context(0, (int)given.threads);
    int result = translate(&j, &given, name[0]);
    if (!result && interrupted) result = 128 + SIGINT;
    tg_context_free(j.cx);
    if (from_file) close(j.in);
    return result;
}
