/* tools/tidegate/options.c -- see options.h. */
#include "options.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "program.h"

/* ---- one value ---- */

/* Where in the command's struct the option's value lies; `const` is the caller's to keep. */
static void *place(const option *o, const void *values) { return (char *)(uintptr_t)values + o->offset; }

/* Decimal numbers only: not what else strtod() takes (hexadecimal, inf, nan, leading space). The
 * program never calls setlocale(), so the decimal point is a point. */
static bool parse_number(const char *text, bool whole, double *number, int64_t *integer)
{
    char *end;
    errno = 0;
    if (!*text || text[strspn(text, whole ? "+-0123456789" : "+-.0123456789eE")]) return false;
    if (whole)
        *integer = strtoll(text, &end, 10);
    else
        *number = strtod(text, &end);
    return end != text && !*end && (errno == 0 || (!whole && fabs(*number) < 1));
}

static bool set_number(const option *o, void *values, const char *text, char *why, size_t bytes)
{
    const bool whole = o->kind == OPTION_INTEGER;
    double number = 0;
    int64_t integer = 0;
    if (!parse_number(text, whole, &number, &integer) || (whole ? (double)integer : number) < o->min ||
        (whole ? (double)integer : number) > o->max) {
        snprintf(why, bytes, "--%s takes a %s from %.15g to %.15g, not '%s'", o->name,
                 whole ? "whole number" : "number", o->min, o->max, text);
        return false;
    }
    if (whole)
        *(int64_t *)place(o, values) = integer;
    else
        *(double *)place(o, values) = number;
    return true;
}

/* The k-th of "a|b|c" and its length; NULL: there are fewer. */
static const char *choice(const char *values, int k, int *length)
{
    for (; k > 0; k--, values++) {
        values = strchr(values, '|');
        if (!values) return NULL;
    }
    *length = (int)strcspn(values, "|");
    return values;
}

static bool set_choice(const option *o, void *values, const char *text, char *why, size_t bytes)
{
    const char *name;
    int length;
    for (int k = 0; (name = choice(o->values, k, &length)); k++) {
        if (strlen(text) == (size_t)length && memcmp(name, text, (size_t)length) == 0) {
            *(int *)place(o, values) = k;
            return true;
        }
    }
    snprintf(why, bytes, "--%s is one of %s, not '%s'", o->name, o->values, text);
    return false;
}

static bool add_to_list(const option *o, void *values, const char *text, char *why, size_t bytes)
{
    option_list *list = place(o, values);
    if (list->n == OPTION_LIST_MOST) {
        snprintf(why, bytes, "--%s is given more than %d times", o->name, OPTION_LIST_MOST);
        return false;
    }
    list->text[list->n++] = text;
    return true;
}

bool option_set(const option *o, void *values, const char *text, char *why, size_t bytes)
{
    switch (o->kind) {
    case OPTION_FLAG:
        if (strcmp(text, "yes") != 0 && strcmp(text, "no") != 0) {
            snprintf(why, bytes, "--%s is yes or no, not '%s'", o->name, text);
            return false;
        }
        *(bool *)place(o, values) = text[0] == 'y';
        return true;
    case OPTION_INTEGER:
    case OPTION_NUMBER: return set_number(o, values, text, why, bytes);
    case OPTION_CHOICE: return set_choice(o, values, text, why, bytes);
    case OPTION_LIST: return add_to_list(o, values, text, why, bytes);
    case OPTION_TEXT: break;
    }
    if (!*text) {
        snprintf(why, bytes, "--%s takes a %s, not nothing", o->name, o->values);
        return false;
    }
    *(const char **)place(o, values) = text;
    return true;
}

void option_text(const option *o, const void *values, char *text, size_t bytes)
{
    const void *value = place(o, values);
    int length = 0;
    const char *name;
    switch (o->kind) {
    case OPTION_FLAG: snprintf(text, bytes, "%s", *(const bool *)value ? "yes" : "no"); break;
    case OPTION_INTEGER: snprintf(text, bytes, "%lld", (long long)*(const int64_t *)value); break;
    case OPTION_NUMBER: snprintf(text, bytes, "%.15g", *(const double *)value); break;
    case OPTION_CHOICE:
        name = choice(o->values, *(const int *)value, &length);
        snprintf(text, bytes, "%.*s", length, name ? name : "");
        break;
    case OPTION_TEXT:
        name = *(const char *const *)value;
        snprintf(text, bytes, "%s", name ? name : "");
        break;
    case OPTION_LIST: snprintf(text, bytes, "%d values", ((const option_list *)value)->n); break;
    }
}

const option *option_find(const option *options, const char *name, size_t bytes)
{
    for (const option *o = options; o && o->name; o++)
        if (strlen(o->name) == bytes && memcmp(o->name, name, bytes) == 0) return o;
    return NULL;
}

static void set_defaults(const option *options, void *values)
{
    char why[256];
    for (const option *o = options; o && o->name; o++)
        if (o->standard) option_set(o, values, o->standard, why, sizeof why);
}

/* ---- a command line ---- */

int usage_error(const char *command_name, const char *format, ...)
{
    char sentence[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    fail("%s", sentence);
    tell("Try 'tidegate %s%s--help'.", command_name, *command_name ? " " : "");
    return EXIT_USAGE;
}

static void print_help(const command *c)
{
    printf("usage: tidegate %s%s%s\n\n%s\n", c->name, *c->arguments ? " " : "", c->arguments, c->help);
    if (c->options) printf("\noptions:\n");
    for (const option *o = c->options; o && o->name; o++) {
        char left[80];
        const char *value = o->kind == OPTION_FLAG      ? NULL
                            : o->values                 ? o->values
                            : o->kind == OPTION_INTEGER ? "N"
                                                        : "X";
        snprintf(left, sizeof left, "--%s%s%s", o->name, value ? " " : "", value ? value : "");
        printf(strlen(left) <= 22 ? "  %-22s  " : "  %s\n                          ", left);
        for (const char *s = o->help; *s; s++)
            if (*s == '\n')
                printf("\n                          ");
            else
                putchar(*s);
        if (o->standard) printf(" (default %s)", o->standard);
        printf("\n");
    }
}

/* One "--name[=value]" at argv[*i]; *i moves on to the last argument that was used. */
static bool parse_option(const command *c, int argc, char *argv[], int *i, void *values)
{
    const char *name = argv[*i] + 2, *equals = strchr(name, '='), *text = equals ? equals + 1 : NULL;
    const size_t bytes = equals ? (size_t)(equals - name) : strlen(name);
    const option *o = option_find(c->options, name, bytes);
    char why[512];
    const bool no = !o && bytes > 3 && memcmp(name, "no-", 3) == 0;
    if (no) o = option_find(c->options, name + 3, bytes - 3);
    if (!o || (no && o->kind != OPTION_FLAG)) {
        usage_error(c->name, "%s: there is no option '--%.*s'", c->name, (int)bytes, name);
        return false;
    }
    if (o->kind == OPTION_FLAG && text) {
        usage_error(c->name, "--%s takes no value", o->name);
        return false;
    }
    if (o->kind == OPTION_FLAG) text = no ? "no" : "yes";
    if (!text && *i + 1 < argc) text = argv[++*i];
    if (!text) {
        usage_error(c->name, "--%s takes a value", o->name);
        return false;
    }
    if (option_set(o, values, text, why, sizeof why)) return true;
    usage_error(c->name, "%s", why);
    return false;
}

parsed options_parse(const command *c, int argc, char *argv[], void *values, const char *positional[])
{
    int n = 0;
    bool options_end = false;
    set_defaults(c->options, values);
    for (int i = 0; i < argc; i++) {
        if (!options_end && strcmp(argv[i], "--") == 0) {
            options_end = true;
        } else if (!options_end && (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)) {
            print_help(c);
            return PARSED_HELP;
        } else if (!options_end && strncmp(argv[i], "--", 2) == 0) {
            if (!parse_option(c, argc, argv, &i, values)) return PARSED_WRONG;
        } else if (!options_end && argv[i][0] == '-' && argv[i][1]) {
            usage_error(c->name, "%s: there is no option '%s'", c->name, argv[i]);
            return PARSED_WRONG;
        } else if (n == c->max) {
            usage_error(c->name, "%s: one argument too many: '%s'", c->name, argv[i]);
            return PARSED_WRONG;
        } else {
            positional[n++] = argv[i];
        }
    }
    positional[n] = NULL;
    if (n >= c->min) return PARSED;
    usage_error(c->name, "usage: tidegate %s %s", c->name, c->arguments);
    return PARSED_WRONG;
}

int options_exit(parsed p) { return p == PARSED_HELP ? finish_output(EXIT_DONE) : EXIT_USAGE; }

/* ---- in the checkpoint ---- */

static void kept_path(const option *o, char path[128]) { snprintf(path, 128, "options/%s", o->name); }

tg_status options_put(const option *options, const void *values, tg_archive *a)
{
    char path[128], text[128];
    for (const option *o = options; o->name; o++) {
        const void *value = place(o, values);
        if (!(o->keep & OPTION_KEPT)) continue;
        kept_path(o, path);
        switch (o->kind) {
        case OPTION_FLAG: tg_archive_put_integer(a, path, *(const bool *)value); break;
        case OPTION_INTEGER: tg_archive_put_integer(a, path, *(const int64_t *)value); break;
        case OPTION_NUMBER: tg_archive_put_number(a, path, *(const double *)value); break;
        case OPTION_CHOICE:
            option_text(o, values, text, sizeof text);
            tg_archive_put_text(a, path, text);
            break;
        case OPTION_TEXT:
            if (*(const char *const *)value) tg_archive_put_text(a, path, *(const char *const *)value);
            break;
        case OPTION_LIST: break; /* of a command line, never of a run */
        }
    }
    return tg_archive_status(a);
}

/* A file may hold anything: every value passes the same checks as one that is typed. */
static tg_status get_kept(const option *o, void *values, const tg_archive *a, const char *path)
{
    char typed[64];
    const char *text = typed;
    int64_t integer;
    double number;
    tg_status s;
    switch (o->kind) {
    case OPTION_FLAG:
        if ((s = tg_archive_get_integer(a, path, &integer))) return s;
        text = integer ? "yes" : "no";
        break;
    case OPTION_INTEGER:
        if ((s = tg_archive_get_integer(a, path, &integer))) return s;
        snprintf(typed, sizeof typed, "%lld", (long long)integer);
        break;
    case OPTION_NUMBER:
        if ((s = tg_archive_get_number(a, path, &number))) return s;
        snprintf(typed, sizeof typed, "%.17g", number);
        break;
    default:
        if ((s = tg_archive_get_text(a, path, &text))) return s;
    }
    char why[512];
    return option_set(o, values, text, why, sizeof why) ? TG_OK : TG_ERR_FORMAT;
}

tg_status options_get(const option *options, void *values, const tg_archive *a)
{
    char path[128];
    set_defaults(options, values);
    for (const option *o = options; o->name; o++) {
        kept_path(o, path);
        if (!(o->keep & OPTION_KEPT) || !tg_archive_has(a, path)) continue;
        const tg_status s = get_kept(o, values, a, path);
        if (s) return s;
    }
    return TG_OK;
}
