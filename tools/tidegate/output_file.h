/* tools/tidegate/output_file.h -- a file that is there whole, or not at all. */
#ifndef OUTPUT_FILE_H
#define OUTPUT_FILE_H

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>

typedef struct output_file {
    FILE *f;             /* of the .part file: write here */
    const char *name;    /* as it was given, for messages */
    char path[PATH_MAX]; /* symbolic links resolved */
    char part[PATH_MAX + 8];
} output_file;

/* Opens "<path>.part". name is borrowed. false: it cannot be, which was said. */
bool output_file_open(output_file *o, const char *name);
/* keep: the .part file takes the place of the file, which until then is as it was. Otherwise, and on failure,
 * it is removed. false: something could not be written, which was said. */
bool output_file_close(output_file *o, bool keep);

#endif
