/* tools/tidegate/axis.h -- an axis of a diagram: its range, its round ticks, and where a value lies. */
#ifndef AXIS_H
#define AXIS_H

#include <stdbool.h>
#include <stddef.h>

typedef struct axis {
    double min, max;
    double step;     /* between two ticks; if log: decades, or 0 for ticks at 1, 2 and 5 of every decade */
    bool log;        /* decimal logarithms are drawn */
    double from, to; /* pixels of min and max */
} axis;

enum { AXIS_MOST_TICKS = 24, AXIS_LABEL = 32 };

/* An axis that shows all from smallest to largest, both finite and within 1e30, with about so many ticks (up to 10).
 * It begins and ends at a tick; zero is shown where it is near. from and to are the caller's to set. */
axis axis_linear(double smallest, double largest, int ticks);
/* The same for smallest > 0. */
axis axis_log(double smallest, double largest);

/* -> how many. Ascending, all within the axis. */
int axis_ticks(const axis *a, double tick[AXIS_MOST_TICKS]);
/* The tick's label: "0.25", "10,000", "2·10⁻⁷"; all of one axis are of one form. */
void axis_label(const axis *a, double tick, char text[AXIS_LABEL]);

/* The pixel of a value; NaN where it has none. */
double axis_at(const axis *a, double value);

/* A number in a sentence, with so many significant digits. */
void axis_number(double value, int digits, char text[AXIS_LABEL]);

#endif
