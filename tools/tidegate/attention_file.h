/* tools/tidegate/attention_file.h -- what a model attended to, sentence by sentence, in a file to look at. */
#ifndef ATTENTION_FILE_H
#define ATTENTION_FILE_H

#include <stdbool.h>

/* Borrowed for the call. */
typedef struct attention_sentence {
    int S, T;                  /* tokens of the source, of the target; 0 or more */
    const char *const *source; /* (S) */
    const char *const *target; /* (T) */
    const float *weights;      /* (T,S): row t sums to 1 */
} attention_sentence;

typedef struct attention_file attention_file;

/* The ending of its name is a file's format:
 *   .svg  a picture: the source along the top, the target down the side, dark where it was attended to; the first 100
 *         sentences, as far as they have no more than 100,000 cells together
 *   .txt  tables, of all sentences
 *   .h5   HDF5: attention/00001/weights, source and target, and so on; the first 10,000 sentences, as far as they have no
 *         more than 50 million weights together                                                                        */
#define ATTENTION_ENDINGS ".svg, .txt or .h5"
bool attention_file_named(const char *name);

/* name is borrowed until the end. NULL: it cannot be made, has none of these endings, or would take the place of an .h5
 * that is no attention: the reason was said. */
attention_file *attention_file_open(const char *name);

/* Sentences are numbered from 1 in the order in which they are added. false: the file is lost, and it was said why, once. */
bool attention_file_add(attention_file *f, const attention_sentence *s);

/* Puts the file in place, whole, and frees f. What was left out for a limit is told. false: there is no new file, and what
 * was there before is as it was; it was said why. */
bool attention_file_close(attention_file *f);
/* Frees f, and leaves no file and no word behind. NULL is fine. */
void attention_file_abandon(attention_file *f);

#endif
