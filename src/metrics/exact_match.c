/* metrics/exact_match.c -- the same text, but for white space. */
#include <string.h>

#include "metrics/metrics.h"

static const char *skip_space(const char *s) { return s + strspn(s, " \t\r\n\v\f"); }

bool tg_exact_match(const char *a, const char *b)
{
    if (!a || !b) return false;
    for (a = skip_space(a), b = skip_space(b);; a++, b++) {
        const char *next_a = skip_space(a), *next_b = skip_space(b);
        const bool space_a = next_a != a || !*next_a, space_b = next_b != b || !*next_b;
        a = next_a, b = next_b;
        if (space_a != space_b || *a != *b) return false;
        if (!*a) return true;
    }
}
