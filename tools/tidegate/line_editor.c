/* tools/tidegate/line_editor.c -- see line_editor.h. */
#include "line_editor.h"

#include <stdio.h>
#include <stdlib.h>

#if TIDEGATE_LINE_EDITING
#include <histedit.h>
#include <locale.h>

enum { REMEMBERED = 1000 }; /* lines */

struct line_editor {
    EditLine *editor;
    History *history;
};

static char *prompt(EditLine *editor)
{
    static char text[] = "> ";
    (void)editor;
    return text;
}

line_editor *line_editor_new(void)
{
    HistEvent event;
    /* text is UTF-8 whatever the locale: in another one libedit would drop the bytes it does not know */
    if (!setlocale(LC_CTYPE, "C.UTF-8")) return NULL;
    line_editor *e = calloc(1, sizeof *e);
    if (!e) return NULL;
    e->editor = el_init("tidegate", stdin, stdout, stdout);
    e->history = history_init();
    if (!e->editor || !e->history || history(e->history, &event, H_SETSIZE, REMEMBERED) < 0) {
        line_editor_free(e);
        return NULL;
    }
    history(e->history, &event, H_SETUNIQUE, 1); /* the same line twice is kept once */
    el_set(e->editor, EL_PROMPT, prompt);
    el_set(e->editor, EL_EDITOR, "emacs");
    el_set(e->editor, EL_SIGNAL, 1); /* the terminal's modes are put back before a signal takes effect */
    el_set(e->editor, EL_HIST, history, e->history);
    el_source(e->editor, NULL); /* ~/.editrc, as in other programs */
    return e;
}

void line_editor_free(line_editor *e)
{
    if (!e) return;
    if (e->editor) el_end(e->editor);
    if (e->history) history_end(e->history);
    free(e);
}

const char *line_editor_read(line_editor *e, size_t *bytes)
{
    HistEvent event;
    int n = 0;
    const char *line = el_gets(e->editor, &n);
    if (!line || n <= 0) return NULL;
    if (line[0] != '\n') history(e->history, &event, H_ENTER, line);
    *bytes = (size_t)n - (line[n - 1] == '\n');
    return line;
}

#else

line_editor *line_editor_new(void) { return NULL; }
void line_editor_free(line_editor *e) { (void)e; }
const char *line_editor_read(line_editor *e, size_t *bytes)
{
    (void)e;
    *bytes = 0;
    return NULL;
}

#endif
