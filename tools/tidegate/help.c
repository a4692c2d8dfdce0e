/* tools/tidegate/help.c -- the help of a command, from its table of options. */
#include <stdio.h>
#include <string.h>

#include "options.h"

enum { OPTION_COLUMN = 2, HELP_COLUMN = 26 };

void help_put(const char *text, int at, int indent)
{
    bool first = true; /* word of its line */
    while (*(text += strspn(text, " \n"))) {
        const int n = (int)strcspn(text, " \n");
        if (!first && at + 1 + n > HELP_WIDTH) {
            printf("\n%*s", indent, "");
            at = indent;
            first = true;
        }
        at += printf(first ? "%.*s" : " %.*s", n, text);
        text += n;
        first = false;
    }
    printf("\n");
}

void help_condition(const char *only, char *text, size_t bytes)
{
    size_t used = 0;
    for (const char *part = only; *part && used < bytes; part += strspn(part, ", ")) {
        const size_t n = strcspn(part, ",");
        const bool no = strncmp(part, "no ", 3) == 0;
        const char *what = no ? part + 3 : part;
        used += (size_t)snprintf(text + used, bytes - used, "%s%s --%.*s", used ? " and " : "",
                                 no ? "without" : "with", (int)(part + n - what), what);
        part += n;
    }
}

/* What is in brackets behind an option's sentence: " (required)", " (only with --valid; default 0)". */
static void add_notes(const option *o, char *text, size_t bytes)
{
    char condition[200] = "", note[3][240] = { "", "", "" };
    if (o->only) help_condition(o->only, condition, sizeof condition);
    if (o->only) snprintf(note[0], sizeof note[0], "only %s", condition);
    if (o->marks & OPTION_REQUIRED) snprintf(note[1], sizeof note[1], "required");
    if (o->standard) snprintf(note[2], sizeof note[2], "default %s", o->standard);
    bool first = true;
    for (int i = 0; i < 3; i++) {
        const size_t used = strlen(text);
        if (*note[i]) snprintf(text + used, bytes - used, "%s%s", first ? " (" : "; ", note[i]);
        if (*note[i]) first = false;
    }
    const size_t used = strlen(text);
    if (!first) snprintf(text + used, bytes - used, ")");
}

static void print_option(const option *o)
{
    char left[HELP_WIDTH + 1], text[1024];
    const char *value = o->kind == OPTION_FLAG      ? ""
                        : o->values                 ? o->values
                        : o->kind == OPTION_INTEGER ? "N"
                                                    : "X";
    snprintf(left, sizeof left, "%*s--%s%s%s", OPTION_COLUMN, "", o->name, *value ? " " : "", value);
    printf("%-*s", HELP_COLUMN, left);
    if (strlen(left) + 2 > HELP_COLUMN) printf("\n%*s", HELP_COLUMN, "");
    snprintf(text, sizeof text, "%s", o->help);
    add_notes(o, text, sizeof text);
    help_put(text, HELP_COLUMN, HELP_COLUMN);
}

void help_print(const command *c)
{
    printf("usage: tidegate %s%s%s\n\n", c->name, *c->arguments ? " " : "", c->arguments);
    help_put(c->help, 0, 0);
    if (c->options && c->options->kind != OPTION_HEADING) printf("\noptions:\n");
    for (const option *o = c->options; o && o->name; o++)
        if (o->kind == OPTION_HEADING)
            printf("\n%s:\n", o->name);
        else
            print_option(o);
    if (c->more) c->more();
    if (c->examples) printf("\nexamples:\n%s", c->examples);
    if (!c->options) return;
    printf("\n");
    help_put("'--name=value' is the same as '--name value', '--no-name' switches a flag off, '--' ends the "
             "options. "
             "Of an option that is given twice the last value counts, unless it may be given several times.",
             0, 0);
}
