/* core/number.c -- the shortest text of a number. */
#include <stdio.h>
#include <stdlib.h>

#include <tidegate/core.h>

/* %g with so many digits is the nearest decimal number, so the first that reads back to x is the shortest. */
tg_number_text tg_number(double x)
{
    enum { MOST_DIGITS = 17 }; /* bring back any double */
    const bool is_float = (double)(float)x == x;
    tg_number_text text;
    for (int digits = 1; digits <= MOST_DIGITS; digits++) {
        snprintf(text.s, sizeof text.s, "%.*g", digits, x);
        if (is_float ? strtof(text.s, NULL) == (float)x : strtod(text.s, NULL) == x) break;
    }
    return text;
}
