/* tools/tidegate/attention_file.h -- what a model attended to, sentence by sentence, in a file to look at. */
#ifndef ATTENTION_FILE_H
#define ATTENTION_FILE_H

#include <stdbool.h>

/* Borrowed for the call. */
typedef struct attention_sentence {
    long long line;            /* of the input, from 1: the sentence's number */
    const char *text;          /* that was to be translated */
    const char *translation;   /* the text that came out */
    int S, T;                  /* tokens of the source, of the target; 0 or more */
    const char *const *source; /* (S) */
    const char *const *target; /* (T) */
    const float *weights;      /* (T,S): row t sums to 1 */
} attention_sentence;

typedef struct attention_file attention_file;

/* The ending of its name is a file's format:
 *   .svg  a picture: for each sentence its line, text and translation, then the source along the top, the target down the
 *         side, dark where it was attended to; the first 100 sentences, as far as they have no more than 100,000 cells
 *         together
 *   .txt  tables, of all sentences: "sentence 3" is line 3 of the input
 *   .h5   HDF5: attention/00003/weights (T,S), source (S) and target (T) of line 3, and so on, and attention/sentences,
 *         their count; the first 10,000 sentences, as far as they have no more than 50 million weights together
 * Lines without words have no attention: their numbers are missing.                                                     */
#define ATTENTION_ENDINGS ".svg, .txt or .h5"
bool attention_file_named(const char *name);

/* name is borrowed until the end. NULL: it cannot be made, has none of these endings, or would take the place of an .h5
 * that is no attention: the reason was said. */
attention_file *attention_file_open(const char *name);

/* Lines ascend. false: the file is lost, and it was said why, once. */
bool attention_file_add(attention_file *f, const attention_sentence *s);

/* Puts the file in place, whole, says where it is, and frees f. What was left out for a limit is told. false: there is no new file, and what
 * was there before is as it was; it was said why. */
bool attention_file_close(attention_file *f);
/* Frees f, and leaves no file and no word behind. NULL is fine. */
void attention_file_abandon(attention_file *f);

#endif
