/* tools/tidegate/talk.c -- sentences for people, on stderr; and the end of stdout. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "program.h"
#include "unicode.h"

/* To be freed. NULL: out of memory. */
static char *printable(const char *text)
{
    const size_t bytes = tg_text_printable(text, NULL, 0) + 1;
    char *shown = malloc(bytes);
    if (shown) tg_text_printable(text, shown, bytes);
    return shown;
}

/* The one door to stderr. */
static void say(const char *before, const char *format, va_list arguments)
{
    char *sentence = NULL;
    if (vasprintf(&sentence, format, arguments) < 0) sentence = NULL;
    char *shown = sentence ? printable(sentence) : NULL;
    fprintf(stderr, "%s%s\n", before, shown ? shown : "out of memory: a sentence is lost");
    free(shown);
    free(sentence);
}

int fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say("tidegate: ", format, arguments);
    va_end(arguments);
    return EXIT_FAILED;
}

const char *context_sentence(const tg_context *cx)
{
    const char *sentence = tg_context_message(cx), *colon = strstr(sentence, ": ");
    const bool function =
        strncmp(sentence, "tg_", 3) == 0 && colon && !memchr(sentence, ' ', (size_t)(colon - sentence));
    return function ? colon + 2 : sentence;
}

int fail_context(const tg_context *cx) { return fail("%s", context_sentence(cx)); }

void warn(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say("tidegate: warning: ", format, arguments);
    va_end(arguments);
}

void tell(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say("", format, arguments);
    va_end(arguments);
}

void ask(void) { fputs("> ", stderr); }

int put_printable(const char *text)
{
    char *shown = printable(text);
    if (!shown) return fail("out of memory: a text of %zu bytes is not shown", strlen(text)), 0;
    const int columns = unicode_columns(shown);
    fputs(shown, stdout);
    free(shown);
    return columns;
}

void put_text(const char *text)
{
    if (isatty(STDOUT_FILENO))
        put_printable(text);
    else
        fputs(text, stdout);
}

int finish_output(int result)
{
    if (fflush(stdout) == 0 && !ferror(stdout)) return result;
    /* a reader that has seen enough (| head) is no news */
    return errno == EPIPE ? EXIT_FAILED : fail("standard output: %s", strerror(errno));
}

static void log_message(void *user, tg_log_level level, const char *message)
{
    (void)user;
    if (level == TG_LOG_WARNING) warn("%s", message);
}

tg_context *new_context(uint64_t seed, int threads)
{
    return tg_context_new(&(tg_context_config){ .seed = seed, .threads = threads, .log = log_message });
}
