/* tools/tidegate/options.h -- options of a command as a table: parsing, help, and keeping.
 *
 * A command has a struct of its own for the values and a table of rows that say where in it each
 * value lies. Integers are int64_t, numbers double, flags bool, texts const char * (borrowed from
 * argv), choices int (the place in the list), lists option_list. "--name value" and "--name=value" are the same; "--no-name" takes back a flag; "--"
 * ends the options; an option given twice has its last value, unless it is a list.                                  */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include <tidegate/archive.h>

typedef enum option_kind {
    OPTION_FLAG,
    OPTION_INTEGER,
    OPTION_NUMBER,
    OPTION_TEXT,
    OPTION_CHOICE,
    OPTION_LIST
} option_kind;

/* Every value of an option that may be given several times. */
enum { OPTION_LIST_MOST = 32 };
typedef struct option_list {
    int n;
    const char *text[OPTION_LIST_MOST];
} option_list;

/* What a run does with an option: it is kept in the checkpoint, and --set may change it. */
enum { OPTION_KEPT = 1, OPTION_SETTABLE = 2 };

typedef struct option {
    const char *name;
    option_kind kind;
    size_t offset;        /* of the value in the command's struct */
    const char *standard; /* the default, as it would be typed; NULL: false, or NULL */
    double min, max;      /* of integers and numbers, both allowed */
    const char *values;   /* of a choice: "a|b|c"; otherwise what stands for the value in the help: "FILE" */
    const char *help;
    int keep; /* OPTION_KEPT | OPTION_SETTABLE */
} option;

typedef struct command {
    const char *name;      /* "train translate" */
    const char *arguments; /* "--train FILE --out DIR [options]" */
    const char *help;      /* sentences, with line breaks */
    const option *options; /* ended by a row without a name; NULL: none */
    int min, max;          /* positional arguments */
} command;

typedef enum parsed { PARSED, PARSED_HELP, PARSED_WRONG } parsed;

/* Sets every value, which the caller has zeroed, to its default, then to what argv says. positional (max of the command + 1): the
 * other arguments, ended by NULL. PARSED_HELP: the help was printed on stdout; PARSED_WRONG: two
 * lines were said on stderr. */
parsed options_parse(const command *c, int argc, char *argv[], void *values, const char *positional[]);

/* What a command returns when options_parse() did not return PARSED. */
int options_exit(parsed p);

/* The value of one option from its text. Otherwise false, and the sentence in why. */
bool option_set(const option *o, void *values, const char *text, char *why, size_t bytes);
/* The other way: the value as it would be typed. */
void option_text(const option *o, const void *values, char *text, size_t bytes);
/* NULL: no such option. */
const option *option_find(const option *options, const char *name, size_t bytes);

/* The options with OPTION_KEPT to and from "options/<name>". Texts are borrowed from the archive. */
tg_status options_put(const option *options, const void *values, tg_archive *a);
tg_status options_get(const option *options, void *values, const tg_archive *a) TG_MUST_CHECK;

/* Two lines on stderr: the sentence, and where help is -> EXIT_USAGE. */
int usage_error(const char *command_name, const char *format, ...) TG_PRINTF(2, 3);

#endif
