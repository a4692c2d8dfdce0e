/* tools/tidegate/attention_picture.h -- one sentence's attention as a table in SVG. */
#ifndef ATTENTION_PICTURE_H
#define ATTENTION_PICTURE_H

#include <stdio.h>

#include "attention_file.h"

typedef struct picture_size {
    double width, height;
} picture_size;

/* Draws a sentence under its heading, with the top left corner at (0,0) -> the room it took. */
picture_size attention_picture_draw(FILE *f, const attention_sentence *s);
/* The title of the page, and what the colours mean -> the room it took. */
picture_size attention_picture_head(FILE *f);

/* A token for a reader: in at most `columns` columns, and made printable. White space is shown as in word processors, and
 * the marks of places without a space (tokenizer.h: U+FFED, U+FFEE), which many fonts lack, as small squares and circles that
 * all have. */
enum { ATTENTION_LABEL = 96 };
void attention_label(const char *token, int columns, char label[ATTENTION_LABEL]);

#endif
