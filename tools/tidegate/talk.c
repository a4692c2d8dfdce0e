/* tools/tidegate/talk.c -- sentences for people, on stderr; and the end of stdout. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "program.h"

/* One line, whatever stands in a file's name: control characters become '?'. */
static void say(const char *before, const char *format, va_list arguments)
{
    char sentence[4096];
    vsnprintf(sentence, sizeof sentence, format, arguments);
    for (char *s = sentence; *s; s++)
        if ((unsigned char)*s < ' ' || *s == 127) *s = '?';
    fprintf(stderr, "tidegate: %s%s\n", before, sentence);
}

int fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say("", format, arguments);
    va_end(arguments);
    return EXIT_FAILED;
}

int fail_context(const tg_context *cx) { return fail("%s", tg_context_message(cx)); }

void warn(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say("warning: ", format, arguments);
    va_end(arguments);
}

void put_text(const char *text, bool escape)
{
    for (const unsigned char *s = (const unsigned char *)text; *s; s++) {
        const bool c1 = s[0] == 0xC2 && s[1] >= 0x80 && s[1] < 0xA0; /* U+0080 to U+009F */
        if (escape && c1)
            printf("\\x%02x", *++s);
        else if (escape && (*s < ' ' || *s == 127))
            printf("\\x%02x", *s);
        else
            putchar(*s);
    }
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
