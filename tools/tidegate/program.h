/* tools/tidegate/program.h -- what the commands of the program share.
 *
 * Results go to stdout, talk goes to stderr. Exit codes: 0 done; 1 failed, with one line
 * "tidegate: what: why"; 2 usage; 128+N after signal N with last.h5 saved.                      */
#ifndef PROGRAM_H
#define PROGRAM_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <tidegate/tidegate.h>

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

/* ---- commands: arguments after the command's name -> exit code ---- */
int command_train(int argc, char *argv[]);
int command_resume(int argc, char *argv[]);
int command_translate(int argc, char *argv[]);
int command_evaluate(int argc, char *argv[]);
int command_score(int argc, char *argv[]);
int command_plot(int argc, char *argv[]);
int command_inspect(int argc, char *argv[]);
int command_verify(int argc, char *argv[]);
int command_seal(int argc, char *argv[]);
int command_doctor(int argc, char *argv[]);
int command_bench(int argc, char *argv[]);

/* ---- talk (talk.c) ---- */

/* Every sentence goes to stderr on a line of its own, and text from outside in it is made printable
 * (tg_text_printable()): nothing else in the program writes to stderr, but the driver's progress. */

/* "tidegate: <sentence>" -> EXIT_FAILED. */
int fail(const char *format, ...) TG_PRINTF(1, 2);
/* The context's sentence, without the library's function that it may begin with, which tells people nothing. */
const char *context_sentence(const tg_context *cx);
/* It -> EXIT_FAILED. */
int fail_context(const tg_context *cx);
/* "tidegate: warning: <sentence>" */
void warn(const char *format, ...) TG_PRINTF(1, 2);
/* "<sentence>": news. */
void tell(const char *format, ...) TG_PRINTF(1, 2);
/* "> ": asks for a line. */
void ask(void);
/* "1 pair", "2 pairs": what stands behind the word. */
#define PLURAL(n) ((n) == 1 ? "" : "s")
/* Writes what stdout still holds -> result, or EXIT_FAILED if that, or an earlier write, failed. */
int finish_output(int result);
/* Text from outside on stdout: as it is to a file or a pipe, printable on a terminal. */
void put_text(const char *text);
/* Text from outside in what people read: printable wherever stdout goes -> columns of a terminal that it takes. */
int put_printable(const char *text);
/* Matrices of so many rows and columns stand for the best product. */
enum { PRODUCT_ROWS = 1024 };
/* A context with the library's warnings on stderr. */
tg_context *new_context(uint64_t seed, int threads);

/* ---- lines of text (lines.c) ---- */

enum { LONGEST_LINE = 1000000 }; /* bytes */

/* The line of `bytes` bytes, the number-th of the file `name`, as a 0-terminated text: without CRs at its end and
 * without a byte order mark at its start. Its last byte, and the one behind it, may be overwritten. NULL: it is not
 * text (a NUL, bytes that are not UTF-8, a CR inside), which was said. */
const char *clean_line(const char *name, char *line, size_t bytes, long long number);

/* ---- BLEU and chrF (scores.c) ---- */

typedef struct scores {
    tg_bleu *bleu;
    tg_chrf *chrf;
} scores;

/* tokenize: the place in SCORES_TOKENIZERS, an option's choices. */
#define SCORES_TOKENIZERS "13a|none"
scores scores_new(tg_context *cx, int tokenize, bool lowercase);
tg_status scores_add(scores *s, const char *hypothesis, int n, const char *const references[]);
/* "bleu": 48.5, "bleu_signature": "...", "chrf": 59.7, "chrf_signature": "..." */
void scores_print_members(const scores *s);

/* ---- models on disk (model.c) ---- */

/* The file that MODEL means: itself, or a directory's best.h5, else its last.h5. false: neither,
 * which was said. */
bool model_path(const char *model, char *path, size_t bytes);
/* Opens MODEL to translate with; false: the reason was said. */
bool open_translator(tg_context *cx, const char *model, tg_translator *tr);

#endif
