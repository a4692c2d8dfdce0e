/* tools/tidegate/svg.c -- see svg.h. */
#include "svg.h"

#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "unicode.h"

static const double LARGEST = 1e9; /* what no picture needs, and int64_t holds in hundredths */

/* By whole numbers, which no locale changes: -12.50 as "-12.5". */
static void put_number(FILE *f, double x)
{
    long long hundredths = isfinite(x) ? llround(fmin(fmax(x, -LARGEST), LARGEST) * 100) : 0;
    if (hundredths < 0) fputc('-', f), hundredths = -hundredths;
    fprintf(f, "%lld", hundredths / 100);
    const int rest = (int)(hundredths % 100);
    if (rest % 10)
        fprintf(f, ".%02d", rest);
    else if (rest)
        fprintf(f, ".%d", rest / 10);
}

static const char *entity(uint32_t code)
{
    switch (code) {
    case '&': return "&amp;";
    case '<': return "&lt;";
    case '>': return "&gt;";
    case '"': return "&quot;";
    case '\'': return "&#39;";
    case '\t':
    case '\n':
    case '\r': return " ";
    }
    /* outside of XML 1.0's Char, or one of the controls it would rather not see */
    const bool control = code < 0x20 || (code >= 0x7F && code < 0xA0),
               none = code == 0xFFFE || code == 0xFFFF;
    return control || none || code == UNICODE_REPLACEMENT ? "\xEF\xBF\xBD" : NULL;
}

static void put_text_escaped(FILE *f, const char *text)
{
    while (*text) {
        uint32_t code;
        const int bytes = unicode_next(text, &code);
        const char *instead = entity(code);
        if (instead)
            fputs(instead, f);
        else
            fwrite(text, 1, (size_t)bytes, f);
        text += bytes;
    }
}

void svg_put(FILE *f, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    for (const char *p = format; *p; p++) {
        const char kind = *p == '%' ? *++p : 0;
        switch (kind) {
        case 'g': put_number(f, va_arg(arguments, double)); break;
        case 'd': fprintf(f, "%d", va_arg(arguments, int)); break;
        case 's': put_text_escaped(f, va_arg(arguments, const char *)); break;
        default: fputc(*p, f);
        }
    }
    va_end(arguments);
}

void svg_begin(FILE *f, double width, double height, const char *title)
{
    svg_put(f,
            "<?xml version='1.0' encoding='UTF-8'?>\n"
            "<svg xmlns='http://www.w3.org/2000/svg' width='%g' height='%g' viewBox='0 0 %g %g' role='img'"
            " font-family=\"Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif\" font-size='12'"
            " fill='#222'>\n"
            "<title>%s</title>\n<rect width='%g' height='%g' fill='#fff'/>\n",
            width, height, width, height, title, width, height);
}

void svg_end(FILE *f) { fputs("</svg>\n", f); }

svg_line svg_line_begin(FILE *f, const char *style)
{
    fprintf(f, "<path fill='none' stroke-linejoin='round' stroke-linecap='round' %s d='", style);
    return (svg_line){ f, 0 };
}

/* A point between two gaps is a line without length, which round ends make a dot. */
static void gap(svg_line *line)
{
    if (line->points == 1) fputs("h0", line->f);
    line->points = 0;
}

void svg_line_point(svg_line *line, double x, double y)
{
    if (!isfinite(x) || !isfinite(y)) {
        gap(line);
        return;
    }
    svg_put(line->f, line->points++ ? "L%g %g" : "M%g %g", x, y);
}

void svg_line_end(svg_line *line)
{
    gap(line);
    fputs("'/>\n", line->f);
}
