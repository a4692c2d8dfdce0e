/* tools/tidegate/options.h -- the options of a command as one table, which parses them, checks them, prints the help,
 * and keeps them in a checkpoint.
 *
 * A command has a struct of its own for the values, and a table of rows that say where in it each value lies.
 * Integers are int64_t, numbers double, flags bool, texts const char * (borrowed from argv), choices int (the
 * place in the list), lists option_list. An option without a default keeps what the caller has put there.
 *
 * "--name value" and "--name=value" are the same; "--no-name" switches a flag off; "--" ends the options; an
 * option that is given twice has its last value, unless it is a list. Numbers are decimal, and one that a
 * 32-bit float would turn into 0 is refused.                                                               */
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
    OPTION_LIST,
    OPTION_HEADING /* no option: the name is a heading of the help */
} option_kind;

/* Every value of an option that may be given several times. */
enum { OPTION_LIST_MOST = 32 };
typedef struct option_list {
    int n;
    const char *text[OPTION_LIST_MOST];
} option_list;

enum {
    OPTION_KEPT = 1,     /* it is kept in the checkpoint of a run, */
    OPTION_SETTABLE = 2, /* and `resume --set` may change it */
    OPTION_REQUIRED = 4
};

enum { OPTIONS_MOST = 100 }; /* rows of a table */

typedef struct option {
    const char *name;
    option_kind kind;
    size_t offset;        /* of the value in the command's struct */
    const char *standard; /* the default, as it would be typed; NULL: none */
    double min, max;      /* of integers and numbers, both allowed */
    const char *values;   /* of a choice: "a|b|c"; otherwise what stands for the value in the help: "FILE" */
    const char *help;     /* a line break in it is a space: the help breaks its lines itself */
    int marks;            /* OPTION_KEPT ... */
    /* The option does nothing, and is refused, unless all of these hold: "attention dot|general" (that option is one
     * of these), "beam >1" (it is above 1), "valid" (it is not what it is by default), "no codes" (it is). NULL: it
     * always acts. */
    const char *only;
} option;

/* The option that several commands have, for the member `threads` of a command's struct. */
enum { THREADS_MOST = 65536 };
/* clang-format off */
#define THREADS_OPTION(settings, marks)                                                                               \
    { "threads", OPTION_INTEGER, offsetof(settings, threads), "0", 0, THREADS_MOST, NULL,                             \
      "at most; 0: as many as there are cores; the results are the same", marks }
/* clang-format on */

typedef struct command {
    const char *name;      /* "train translate" */
    const char *arguments; /* "--train FILE --out DIR [options]" */
    const char *help;      /* sentences; a line break is a space */
    const option *options; /* ended by a row without a name; NULL: none */
    int min, max;          /* positional arguments */
    const char *examples;  /* whole lines, as they are */
    void (*more)(void);    /* prints what else belongs to the help; NULL: nothing */
    const option
        *by_set; /* options that are no options of this command, but names for its --set; NULL: none */
} command;

typedef enum parsed { PARSED, PARSED_HELP, PARSED_WRONG } parsed;

/* Sets every value to its default, then to what argv says. positional (max of the command + 1): the other
 * arguments, ended by NULL. PARSED_HELP: the help was printed on stdout; PARSED_WRONG: two lines were said on
 * stderr. */
parsed options_parse(const command *c, int argc, char *argv[], void *values, const char *positional[]);

/* What a command returns when options_parse() did not return PARSED. */
int options_exit(parsed p);

/* The value of one option from its text. Otherwise false, and the sentence in why. */
bool option_set(const option *o, void *values, const char *text, char *why, size_t bytes);
/* The other way: the value as it would be typed. */
void option_text(const option *o, const void *values, char *text, size_t bytes);
/* NULL: no such option. */
const option *option_find(const option *options, const char *name, size_t bytes);
/* Does o, which was given, do anything beside the other values? Otherwise false, and the sentence in why. */
bool option_acts(const option *options, const option *o, const void *values, char *why, size_t bytes);
/* Every option is at its default, or without one as it was. */
void options_set_defaults(const option *options, void *values);

/* The options with OPTION_KEPT to and from "options/<name>". Texts are borrowed from the archive. options_get: false
 * for what cannot be a value of the option, and the sentence in why. */
tg_status options_put(const option *options, const void *values, tg_archive *a);
bool options_get(const option *options, void *values, const tg_archive *a, char *why, size_t bytes);

/* Two lines on stderr: "tidegate: <command>: <sentence>", and where help is -> EXIT_USAGE. */
int usage_error(const char *command_name, const char *format, ...) TG_PRINTF(2, 3);

/* ---- help (help.c) ---- */

enum { HELP_WIDTH = 80 };

void help_print(const command *c);
/* Prints text from column `at` on, in lines of at most HELP_WIDTH columns; all but the first begin at `indent`. Ends the
 * last one. */
void help_put(const char *text, int at, int indent);
/* "with --tokenizer bpe and without --codes" of an option's `only`. */
void help_condition(const char *only, char *text, size_t bytes);

/* ---- the name that was probably meant (nearest.c) ---- */

typedef struct nearest {
    const char *typed;
    size_t bytes;
    char name[64]; /* the best so far; "": none is near enough */
    int distance;
} nearest;

nearest nearest_to(const char *typed, size_t bytes);
void nearest_offer(nearest *n, const char *name, size_t bytes);
void nearest_offer_options(nearest *n, const option *options);
void nearest_offer_choices(nearest *n, const char *values); /* "a|b|c" */
/* "; did you mean '--epochs'?", or "" */
typedef struct nearest_text {
    char s[128];
} nearest_text;
nearest_text nearest_ask(const nearest *n, const char *before);

/* The choices of an option that names a cell, "all|gru|gru-reset-after|...", in the order of enum tg_cell; and without "all". */
extern const char all_or_a_cell[];
#define A_CELL (all_or_a_cell + sizeof "all")

#endif
