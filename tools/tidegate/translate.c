/* tools/tidegate/translate.c -- tidegate translate: sentences in, sentences out, in order.
 *
 * Whatever has arrived is translated at once: from a file that is many lines together, from a
 * terminal or a slow pipe each line as it comes.                                                */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "options.h"
#include "program.h"

enum { TOGETHER = 512 };

typedef struct settings {
    int64_t threads, max_length;
} settings;

static const option options[] = {
    { "max-length", OPTION_INTEGER, offsetof(settings, max_length), "0", 0, 1e6, NULL,
      "longest translation (tokens); 0: twice the source and ten" },
    { "threads", OPTION_INTEGER, offsetof(settings, threads), "0", 0, 1024, NULL,
      "at most; 0: the cores there are" },
    { NULL },
};

static const command translate_command = {
    "translate",
    "MODEL [FILE] [options]",
    "Translates FILE, or standard input, one sentence a line, to standard output. MODEL is\n"
    "a checkpoint, or a directory with one (best.h5, else last.h5). An empty line gives an\n"
    "empty line.",
    options,
    1,
    2,
};

typedef struct job {
    tg_context *cx;
    tg_translator *translator;
    int max_length;
    const char *name; /* of the input */
    int in;
    bool escape;    /* stdout is a terminal */
    long long line; /* lines done */
} job;

static int translate_lines(job *j, int n, const char *const line[])
{
    char *translation[TOGETHER];
    if (tg_translator_translate(j->translator, n, line, j->max_length, translation))
        return fail("%s: line %lld and later: %s", j->name, j->line + 1, tg_context_message(j->cx));
    for (int i = 0; i < n; i++) {
        put_text(translation[i], j->escape);
        putchar('\n');
        free(translation[i]);
    }
    j->line += n;
    return ferror(stdout) ? EXIT_FAILED : EXIT_DONE;
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

static int translate_all(job *j)
{
    char *text = malloc(LONGEST_LINE + 2); /* a line end may have to be put after the last line */
    size_t n = 0;
    int result = text ? EXIT_DONE : fail("%s: out of memory", j->name);
    while (!result) {
        const ssize_t got = read(j->in, text + n, LONGEST_LINE + 1 - n);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) result = fail("%s: %s", j->name, strerror(errno));
        if (got == 0 && n == 0) break;
        if (got == 0) text[n++] = '\n';
        if (got > 0) n += (size_t)got;
        if (!result) result = translate_ready(j, text, &n);
        if (!result && n > LONGEST_LINE)
            result = fail("%s: line %lld: longer than %d bytes", j->name, j->line + 1, LONGEST_LINE);
        result = finish_output(result);
    }
    free(text);
    return result;
}

int command_translate(int argc, char *argv[])
{
    settings given = { 0 };
    const char *name[3];
    const parsed p = options_parse(&translate_command, argc, argv, &given, name);
    if (p != PARSED) return options_exit(p);

    tg_translator translator;
    const bool from_file = name[1] && strcmp(name[1], "-") != 0;
    job j = { .translator = &translator,
              .max_length = (int)given.max_length,
              .name = from_file ? name[1] : "standard input",
              .escape = isatty(STDOUT_FILENO) };
    j.in = from_file ? open(name[1], O_RDONLY | O_CLOEXEC) : STDIN_FILENO; /* after isatty(): errno */
    if (j.in < 0) return fail("%s: %s", j.name, strerror(errno));
    j.cx = new_context(0, (int)given.threads);
    const int result = open_translator(j.cx, name[0], &translator) ? translate_all(&j) : EXIT_FAILED;
    tg_context_free(j.cx);
    if (from_file) close(j.in);
    return result;
}
