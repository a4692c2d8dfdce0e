/* tools/tidegate/options.c -- see options.h. */
#include "options.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "program.h"

#define TG_CELL(enumerator, file, name) "|" name
const char all_or_a_cell[] = "all"
#include <tidegate/cells.def>
    ;
#undef TG_CELL

/* ---- one value ---- */

/* Where in the command's struct the option's value lies; `const` is the caller's to keep. */
static void *place(const option *o, const void *values) { return (char *)(uintptr_t)values + o->offset; }

/* Decimal numbers only: not what else strtod() takes (hexadecimal, inf, nan, leading space). The program never
 * calls setlocale(), so the decimal point is a point. errno: ERANGE for what is too large or too small. */
static bool parse_number(const char *text, bool whole, double *number, int64_t *integer)
{
    char *end;
    errno = 0;
    if (!*text || text[strspn(text, whole ? "+-0123456789" : "+-.0123456789eE")]) return false;
    if (whole)
        *integer = strtoll(text, &end, 10);
    else
        *number = strtod(text, &end);
    return end != text && !*end;
}

static bool set_number(const option *o, void *values, const char *text, char *why, size_t bytes)
{
    const bool whole = o->kind == OPTION_INTEGER;
    double number = 0;
    int64_t integer = 0;
    const bool good = parse_number(text, whole, &number, &integer), tiny = fabs(number) < (double)FLT_MIN;
    if (good && !whole && tiny && (number != 0 || errno)) {
        snprintf(why, bytes, "--%s: %s is too small for a 32-bit number, which is at least %.3g, or 0",
                 o->name, text, (double)FLT_MIN);
        return false;
    }
    const bool outside =
        whole ? integer < (int64_t)o->min || integer > (int64_t)o->max : number < o->min || number > o->max;
    if (!good || errno || outside) {
        snprintf(why, bytes,
                 whole ? "--%s takes a %s from %.0f to %.0f, not '%s'"
                       : "--%s takes a %s from %.15g to %.15g, not '%s'",
                 o->name, whole ? "whole number" : "number", o->min, o->max, text);
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
    nearest near = nearest_to(text, strlen(text));
    nearest_offer_choices(&near, o->values);
    snprintf(why, bytes, "--%s is one of %s, not '%s'%s", o->name, o->values, text, nearest_ask(&near, "").s);
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
    case OPTION_TEXT:
    case OPTION_HEADING: break;
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
    case OPTION_NUMBER: snprintf(text, bytes, "%s", tg_number(*(const double *)value).s); break;
    case OPTION_CHOICE:
        name = choice(o->values, *(const int *)value, &length);
        snprintf(text, bytes, "%.*s", length, name ? name : "");
        break;
    case OPTION_TEXT:
        name = *(const char *const *)value;
        snprintf(text, bytes, "%s", name ? name : "");
        break;
    case OPTION_LIST:
    case OPTION_HEADING: *text = 0; break; /* of a command line, never of a run */
    }
}

const option *option_find(const option *options, const char *name, size_t bytes)
{
    for (const option *o = options; o && o->name; o++)
        if (o->kind != OPTION_HEADING && strlen(o->name) == bytes && memcmp(o->name, name, bytes) == 0)
            return o;
    return NULL;
}

void options_set_defaults(const option *options, void *values)
{
    char why[256];
    for (const option *o = options; o && o->name; o++)
        if (o->standard) option_set(o, values, o->standard, why, sizeof why);
}

/* ---- does it do anything? ---- */

enum { LONGEST_VALUE = 4096 };

static bool is_one_of(const char *text, const char *values, size_t bytes)
{
    const size_t n = strlen(text);
    for (const char *end = values + bytes; values < end; values += strcspn(values, "|,") + 1)
        if (strcspn(values, "|,") == n && memcmp(values, text, n) == 0) return true;
    return false;
}

/* Is the option as it is when nobody gives it? */
static bool is_standard(const option *o, const void *values)
{
    char text[LONGEST_VALUE];
    option_text(o, values, text, sizeof text);
    return strcmp(text, o->standard ? o->standard : o->kind == OPTION_FLAG ? "no" : "") == 0;
}

/* One part of an option's `only`, of so many bytes. */
static bool condition_holds(const option *options, const char *part, size_t bytes, const void *values)
{
    char text[LONGEST_VALUE];
    const bool no = strncmp(part, "no ", 3) == 0;
    const char *name = no ? part + 3 : part;
    const size_t rest = bytes - (size_t)(name - part), length = strcspn(name, " ,");
    const option *o = option_find(options, name, length);
    if (!o) return true; /* a table that lacks the option sets no condition */
    if (length == rest) return is_standard(o, values) == no;
    option_text(o, values, text, sizeof text);
    if (name[length + 1] == '>') return atof(text) > atof(name + length + 2);
    return is_one_of(text, name + length + 1, rest - length - 1);
}

/* A value that asks for nothing is no mistake, whatever it is given with. */
static bool asks_for_nothing(const option *o, const void *values)
{
    static const char *const nothing[] = { "no", "none", "0", "" };
    char text[LONGEST_VALUE];
    option_text(o, values, text, sizeof text);
    for (size_t i = 0; i < sizeof nothing / sizeof *nothing; i++)
        if (strcmp(text, nothing[i]) == 0) return o->kind != OPTION_LIST;
    return false;
}

bool option_acts(const option *options, const option *o, const void *values, char *why, size_t bytes)
{
    char condition[200];
    if (!o->only || asks_for_nothing(o, values)) return true;
    for (const char *part = o->only; *part; part += strspn(part, ", ")) {
        const size_t n = strcspn(part, ",");
        if (!condition_holds(options, part, n, values)) {
            help_condition(o->only, condition, sizeof condition);
            snprintf(why, bytes, "--%s does nothing here: it acts only %s", o->name, condition);
            return false;
        }
        part += n;
    }
    return true;
}

/* ---- a command line ---- */

int usage_error(const char *command_name, const char *format, ...)
{
    char sentence[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    fail("%s%s%s", command_name, *command_name ? ": " : "", sentence);
    tell("Try 'tidegate %s%s--help'.", command_name, *command_name ? " " : "");
    return EXIT_USAGE;
}

/* What stands for the option's value in sentences. */
static const char *value_name(const option *o)
{
    return o->values ? o->values : o->kind == OPTION_INTEGER ? "whole number" : "number";
}

/* A command line while it is parsed. */
typedef struct parsing {
    const command *c;
    int argc;
    char **argv;
    int i; /* the argument at hand */
    void *values;
    bool given[OPTIONS_MOST]; /* rows of the table */
} parsing;

static bool no_such_option(const parsing *p, const char *typed, size_t bytes)
{
    const bool no = bytes > 3 && memcmp(typed, "no-", 3) == 0;
    if (option_find(p->c->by_set, typed, bytes)) {
        usage_error(p->c->name, "there is no option '--%.*s' here; did you mean '--set %.*s=VALUE'?",
                    (int)bytes, typed, (int)bytes, typed);
        return false;
    }
    nearest near = nearest_to(no ? typed + 3 : typed, no ? bytes - 3 : bytes);
    nearest_offer_options(&near, p->c->options);
    usage_error(p->c->name, "there is no option '--%.*s'%s", (int)bytes, typed,
                nearest_ask(&near, no ? "--no-" : "--").s);
    return false;
}

/* The value of o: behind the equals sign, or the next argument, but not what looks like another option. */
static const char *take_value(parsing *p, const option *o)
{
    const char *next = p->i + 1 < p->argc ? p->argv[p->i + 1] : NULL;
    if (next && strncmp(next, "--", 2) != 0) return p->argv[++p->i];
    if (next)
        usage_error(p->c->name, "--%s takes a value (%s), but '%s' follows", o->name, value_name(o), next);
    else
        usage_error(p->c->name, "--%s takes a value (%s)", o->name, value_name(o));
    return NULL;
}

/* The "--name[=value]" at hand. False: the reason was said. */
static bool parse_option(parsing *p)
{
    const char *name = p->argv[p->i] + 2, *equals = strchr(name, '='), *text = equals ? equals + 1 : NULL;
    const size_t bytes = equals ? (size_t)(equals - name) : strlen(name);
    const option *o = option_find(p->c->options, name, bytes);
    char why[512];
    const bool no = !o && bytes > 3 && memcmp(name, "no-", 3) == 0;
    if (no) o = option_find(p->c->options, name + 3, bytes - 3);
    if (!o || (no && o->kind != OPTION_FLAG)) return no_such_option(p, name, bytes);
    if (o->kind == OPTION_FLAG && text) return usage_error(p->c->name, "--%s takes no value", o->name), false;
    if (o->kind == OPTION_FLAG) text = no ? "no" : "yes";
    if (!text && !(text = take_value(p, o))) return false;
    if (!option_set(o, p->values, text, why, sizeof why)) return usage_error(p->c->name, "%s", why), false;
    p->given[o - p->c->options] = true;
    return true;
}

/* Is everything there, and does all of it do something? False: the reason was said. */
static bool is_complete(const parsing *p, int positional)
{
    const command *c = p->c;
    char why[512];
    if (positional < c->min)
        return usage_error(c->name, "%.*s is missing: usage: tidegate %s %s", (int)strcspn(c->arguments, " "),
                           c->arguments, c->name, c->arguments),
               false;
    for (const option *o = c->options; o && o->name; o++)
        if ((o->marks & OPTION_REQUIRED) && !p->given[o - c->options])
            return usage_error(c->name, "--%s %s is missing", o->name, value_name(o)), false;
    for (const option *o = c->options; o && o->name; o++)
        if (p->given[o - c->options] && !option_acts(c->options, o, p->values, why, sizeof why))
            return usage_error(c->name, "%s", why), false;
    return true;
}

parsed options_parse(const command *c, int argc, char *argv[], void *values, const char *positional[])
{
    parsing p = { .c = c, .argc = argc, .argv = argv, .values = values };
    int n = 0;
    bool options_end = false;
    options_set_defaults(c->options, values);
    for (; p.i < argc; p.i++) {
        const char *argument = argv[p.i];
        if (!options_end && strcmp(argument, "--") == 0) {
            options_end = true;
        } else if (!options_end && (strcmp(argument, "--help") == 0 || strcmp(argument, "-h") == 0)) {
            help_print(c);
            return PARSED_HELP;
        } else if (!options_end && strncmp(argument, "--", 2) == 0) {
            if (!parse_option(&p)) return PARSED_WRONG;
        } else if (!options_end && argument[0] == '-' && argument[1]) {
            usage_error(c->name, "there is no option '%s'", argument);
            return PARSED_WRONG;
        } else if (n == c->max) {
            usage_error(c->name, "one argument too many: '%s'", argument);
            return PARSED_WRONG;
        } else {
            positional[n++] = argument;
        }
    }
    positional[n] = NULL;
    return is_complete(&p, n) ? PARSED : PARSED_WRONG;
}

int options_exit(parsed p) { return p == PARSED_HELP ? finish_output(EXIT_DONE) : EXIT_USAGE; }

/* ---- in the checkpoint ---- */

static void kept_path(const option *o, char path[128]) { snprintf(path, 128, "options/%s", o->name); }

tg_status options_put(const option *options, const void *values, tg_archive *a)
{
    char path[128], text[128];
    for (const option *o = options; o->name; o++) {
        const void *value = place(o, values);
        if (!(o->marks & OPTION_KEPT)) continue;
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
        case OPTION_LIST:
        case OPTION_HEADING: break; /* of a command line, never of a run */
        }
    }
    return tg_archive_status(a);
}

/* A file may hold anything: every value passes the same checks as one that is typed. */
static bool get_kept(const option *o, void *values, const tg_archive *a, const char *path, char *why,
                     size_t bytes)
{
    char typed[64];
    const char *text = typed;
    int64_t integer = 0;
    double number = 0;
    const bool whole = o->kind == OPTION_FLAG || o->kind == OPTION_INTEGER;
    const tg_status s = whole                      ? tg_archive_get_integer(a, path, &integer)
                        : o->kind == OPTION_NUMBER ? tg_archive_get_number(a, path, &number)
                                                   : tg_archive_get_text(a, path, &text);
    if (s) return snprintf(why, bytes, "it is of another type"), false;
    if (o->kind == OPTION_FLAG) text = integer ? "yes" : "no";
    if (o->kind == OPTION_INTEGER) snprintf(typed, sizeof typed, "%lld", (long long)integer);
    if (o->kind == OPTION_NUMBER) snprintf(typed, sizeof typed, "%.17g", number);
    return option_set(o, values, text, why, bytes);
}

bool options_get(const option *options, void *values, const tg_archive *a, char *why, size_t bytes)
{
    char path[128], reason[512];
    options_set_defaults(options, values);
    for (const option *o = options; o->name; o++) {
        kept_path(o, path);
        if (!(o->marks & OPTION_KEPT) || !tg_archive_has(a, path)) continue;
        if (get_kept(o, values, a, path, reason, sizeof reason)) continue;
        snprintf(why, bytes, "%s cannot be read: %s", path, reason);
        return false;
    }
    return true;
}
