/* tools/tidegate/line_editor.h -- lines that somebody types, with editing and a history: libedit's. */
#ifndef LINE_EDITOR_H
#define LINE_EDITOR_H

#include <stddef.h>

typedef struct line_editor line_editor;

/* Reads from stdin and shows on stdout, which both are terminals. NULL: there is none, because the program was built without
 * libedit or because it cannot work here. The history ends with the program: nothing that was typed is written to disk. */
line_editor *line_editor_new(void);
void line_editor_free(line_editor *e); /* NULL is fine */

/* Asks with "> " -> the next line, *bytes long without its end, borrowed until the next call. NULL: the end of the input,
 * or a signal came whose handler has returned. */
const char *line_editor_read(line_editor *e, size_t *bytes);

#endif
