/* tools/tidegate/attention_picture.c -- see attention_picture.h. */
#include "attention_picture.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include <tidegate/text.h>

#include "svg.h"
#include "unicode.h"

enum { LONGEST_LABEL = 18, SCALE_STEPS = 10, MOST_LINES = 4 };
static const double CELL = 24, MARGIN = 28, LETTER = 6.8,
                    LINE = 17;                    /* pixels; LETTER: an average letter's width */
static const double NARROWEST = 360, NUMBER = 34; /* a heading's width, its number's */

/* All signs are of WGL4, which practically every font has. */
static const struct sign {
    const char *text, *shown;
} white_space[] = { { " ", "·" },
                    { "\t", "→" },
                    { "\n", "¶" },
                    { "\xC2\xA0", "°" },
                    { "\xE3\x80\x80", "□" } },
  marks[] = { { "\xEF\xBF\xAD", "▪" }, { "\xEF\xBF\xAE", "○" } };

void attention_label(const char *token, int columns, char label[ATTENTION_LABEL])
{
    char text[512];
    size_t n = 0;
    for (size_t k = 0; k < sizeof white_space / sizeof *white_space; k++)
        if (strcmp(token, white_space[k].text) == 0) token = white_space[k].shown;
    while (*token && n < sizeof text - 4) { /* a mark and its sign have three bytes both at most */
        size_t read = 1;
        const char *from = token;
        for (size_t k = 0; k < sizeof marks / sizeof *marks; k++)
            if (strncmp(token, marks[k].text, 3) == 0) from = marks[k].shown, read = 3;
        memcpy(text + n, from, read);
        n += read;
        token += read;
    }
    text[n] = 0;
    unicode_elide(text, columns, label, ATTENTION_LABEL);
}

/* ---- colours ---- */

typedef struct colour {
    char s[8];
} colour;

/* From white by blue to nearly black: a scale whose lightness falls evenly, so that it is read without colours, too
 * (after ColorBrewer's Blues; Harrower and Brewer, 2003). What is no weight is red. */
static colour colour_of(double weight)
{
    static const double stop[][3] = {
        { 255, 255, 255 }, { 198, 219, 239 }, { 107, 174, 214 }, { 33, 113, 181 }, { 8, 48, 107 }
    };
    enum { LAST = sizeof stop / sizeof *stop - 1 };
    colour c = { "#d22" };
    if (!isfinite(weight)) return c;
    const double at = fmin(fmax(weight, 0), 1) * LAST;
    const int k = at < LAST ? (int)at : LAST - 1;
    unsigned part[3];
    for (int i = 0; i < 3; i++)
        part[i] = (unsigned)lround(stop[k][i] + (at - k) * (stop[k + 1][i] - stop[k][i]));
    snprintf(c.s, sizeof c.s, "#%02x%02x%02x", part[0] & 255, part[1] & 255, part[2] & 255);
    return c;
}

/* ---- one sentence ---- */

static int widest(int n, const char *const token[])
{
    int most = 0;
    char label[ATTENTION_LABEL];
    for (int i = 0; i < n; i++) {
        attention_label(token[i], LONGEST_LABEL, label);
        const int columns = unicode_columns(label);
        if (columns > most) most = columns;
    }
    return most;
}

/* Along the top: upright if every one fits over its cell, or else leaning. */
static void draw_source(FILE *f, const attention_sentence *s, double left, double top, bool upright)
{
    char label[ATTENTION_LABEL];
    for (int i = 0; i < s->S; i++) {
        const double x = left + (i + 0.5) * CELL;
        attention_label(s->source[i], LONGEST_LABEL, label);
        if (upright)
            svg_put(f, "<text x='%g' y='%g' text-anchor='middle'>%s</text>\n", x, top - 7, label);
        else
            svg_put(f, "<text transform='translate(%g %g) rotate(-50)'>%s</text>\n", x + 3, top - 7, label);
    }
}

static void draw_target(FILE *f, const attention_sentence *s, double left, double top)
{
    char label[ATTENTION_LABEL];
    for (int t = 0; t < s->T; t++) {
        attention_label(s->target[t], LONGEST_LABEL, label);
        svg_put(f, "<text x='%g' y='%g' text-anchor='end'>%s</text>\n", left - 8, top + (t + 0.5) * CELL + 4,
                label);
    }
}

/* Every cell tells its weight to who points at it. */
static void draw_cells(FILE *f, const attention_sentence *s, double left, double top)
{
    char source[ATTENTION_LABEL], target[ATTENTION_LABEL];
    svg_put(f, "<g stroke='#ddd' transform='translate(%g %g)'>\n", left, top);
    for (int t = 0; t < s->T; t++) {
        attention_label(s->target[t], 60, target);
        for (int i = 0; i < s->S; i++) {
            const double weight = (double)s->weights[(size_t)t * (size_t)s->S + (size_t)i];
            attention_label(s->source[i], 60, source);
            svg_put(f, "<rect x='%g' y='%g' width='%g' height='%g' fill='%s'><title>%s → %s: ", i * CELL,
                    t * CELL, CELL, CELL, colour_of(weight).s, source, target);
            if (isfinite(weight))
                svg_put(f, "%g %%</title></rect>\n", 100 * weight);
            else
                svg_put(f, "not a number</title></rect>\n");
        }
    }
    svg_put(f, "</g>\n");
}

/* ---- its heading ---- */

/* The bytes of the text's first line: at most `columns` columns, cut behind a space if there is one. */
static size_t line_bytes(const char *text, int columns)
{
    size_t n = 0, behind_space = 0;
    int used = 0;
    while (text[n]) {
        char one[5] = "";
        uint32_t code;
        const size_t length = (size_t)unicode_next(text + n, &code);
        memcpy(one, text + n, length);
        used += unicode_columns(one);
        if (used > columns && n) return behind_space ? behind_space : n;
        n += length;
        if (code == ' ') behind_space = n;
    }
    return n;
}

/* The text in lines below `top`, MOST_LINES of them -> the bottom of the last. */
static double draw_text(FILE *f, double top, const char *before, const char *text, int columns)
{
    char line[1024], shown[4 * sizeof line];
    for (int i = 0; *text && i < MOST_LINES; i++) {
        const size_t bytes = line_bytes(text, columns), room = sizeof line - 4;
        const bool cut = i == MOST_LINES - 1 && text[bytes];
        snprintf(line, sizeof line, "%.*s%s", (int)(bytes < room ? bytes : room), text, cut ? "…" : "");
        tg_text_printable(line, shown, sizeof shown);
        svg_put(f, "<text x='%g' y='%g'>%s%s</text>\n", MARGIN + NUMBER, top + 13, i ? "" : before, shown);
        text += bytes;
        top += LINE;
    }
    return top;
}

static double draw_heading(FILE *f, const attention_sentence *s, double width)
{
    char number[32];
    const int columns = (int)((width - NUMBER) / LETTER);
    snprintf(number, sizeof number, "%lld", s->line);
    svg_put(f, "<text x='%g' y='19' font-size='15' font-weight='bold'>%s</text>\n", MARGIN, number);
    return draw_text(f, draw_text(f, 6, "", s->text, columns), "→ ", s->translation, columns - 2) + 10;
}

picture_size attention_picture_draw(FILE *f, const attention_sentence *s)
{
    const int source = widest(s->S, s->source), target = widest(s->T, s->target);
    /* the last one, mostly </s>, has room to its right */
    const bool upright = widest(s->S - 1, s->source) <= 3 && source <= 4;
    const double above = upright ? 24 : source * LETTER * 0.77 + 20; /* sin 50 degrees */
    const double beside = upright ? 0 : source * LETTER * 0.65; /* the last label leans out; cos 50 degrees */
    const double left = MARGIN + fmax(target * LETTER + 12, 24);
    const double right = fmax(left + s->S * CELL + beside, MARGIN + NARROWEST);
    const double cells = draw_heading(f, s, right - MARGIN) + above;
    draw_source(f, s, left, cells, upright);
    draw_target(f, s, left, cells);
    draw_cells(f, s, left, cells);
    if (!s->S || !s->T) svg_put(f, "<text x='%g' y='%g' fill='#888'>nothing</text>\n", left, cells + 4);
    return (picture_size){ right + MARGIN, cells + s->T * CELL + 30 };
}

picture_size attention_picture_head(FILE *f)
{
    const double cell = 16, left = MARGIN + 26, top = 64;
    svg_put(f, "<text x='%g' y='40' font-size='18' font-weight='bold'>Attention</text>\n", MARGIN);
    svg_put(f, "<text x='%g' y='%g' text-anchor='end'>0 %%</text>\n", left - 5.0 + 8, top + 12);
    for (int i = 0; i <= SCALE_STEPS; i++)
        svg_put(f, "<rect x='%g' y='%g' width='%g' height='%g' fill='%s' stroke='#ddd'/>\n",
                left + 8 + i * cell, top, cell, cell, colour_of((double)i / SCALE_STEPS).s);
    svg_put(f, "<text x='%g' y='%g'>100 %%</text>\n", left + 8 + (SCALE_STEPS + 1) * cell + 6, top + 12);
    svg_put(f,
            "<text x='%g' y='%g' fill='#555'>each row: where the model looked in the source (along the top) "
            "when it wrote that token; ▪: no space there</text>\n",
            MARGIN, top + 40.0);
    return (picture_size){ 720, top + 60 };
}
