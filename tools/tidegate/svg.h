/* tools/tidegate/svg.h -- writing Scalable Vector Graphics (W3C, SVG 1.1): one file that needs no other. */
#ifndef SVG_H
#define SVG_H

#include <stdbool.h>
#include <stdio.h>

#include <tidegate/core.h>

/* The page in white, width x height pixels, letters of 12 pixels. title: what a reader without eyes is told. */
void svg_begin(FILE *f, double width, double height, const char *title);
void svg_end(FILE *f);

/* Like fprintf(), with what a picture needs, the same in every locale:
 *   %g  double: rounded to hundredths, or 0 where it is not finite
 *   %d  int
 *   %s  text, escaped: what XML cannot have becomes U+FFFD
 *   %%  a percent sign
 * Attributes stand in single or double quotes: neither comes out of %s. */
void svg_put(FILE *f, const char *format, ...) TG_PRINTF(2, 3);

/* A line through points, drawn as one path. A point that is not finite makes a gap. */
typedef struct svg_line {
    FILE *f;
    int points; /* since the last gap */
} svg_line;
/* style: attributes of the path, as they are */
svg_line svg_line_begin(FILE *f, const char *style);
void svg_line_point(svg_line *line, double x, double y);
void svg_line_end(svg_line *line);

#endif
