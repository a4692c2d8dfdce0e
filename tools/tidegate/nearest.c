/* tools/tidegate/nearest.c -- "did you mean": the known name that is nearest to what was typed.
 *
 * The distance is that of Damerau and Levenshtein in its restricted form: the fewest characters that are put in, left
 * out, replaced, or exchanged with their neighbour. A name that begins with what was typed counts as one away.  */
#include <stdio.h>
#include <string.h>

#include "options.h"

enum { LONGEST = 63 };

static int least(int a, int b) { return a < b ? a : b; }

static int distance(const char *a, int n, const char *b, int m)
{
    int row[3][LONGEST + 1]; /* of the first i, i - 1 and i - 2 characters of a, against the first j of b */
    for (int j = 0; j <= m; j++) row[0][j] = j;
    for (int i = 1; i <= n; i++) {
        int *now = row[i % 3];
        const int *before = row[(i + 2) % 3], *two_before = row[(i + 1) % 3];
        now[0] = i;
        for (int j = 1; j <= m; j++) {
            now[j] = least(least(before[j], now[j - 1]) + 1, before[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                now[j] = least(now[j], two_before[j - 2] + 1);
        }
    }
    return row[n % 3][m];
}

nearest nearest_to(const char *typed, size_t bytes)
{
    const int third = (int)(bytes / 3); /* a third of the characters may be wrong, three at most */
    return (nearest){ typed, bytes, "", bytes > LONGEST ? 0 : 1 + least(third, 3) };
}

void nearest_offer(nearest *n, const char *name, size_t bytes)
{
    if (bytes > LONGEST || n->bytes > LONGEST) return;
    const bool begins = n->bytes >= 3 && bytes > n->bytes && !memcmp(name, n->typed, n->bytes);
    const int d = begins ? 1 : distance(n->typed, (int)n->bytes, name, (int)bytes);
    if (d >= n->distance) return;
    n->distance = d;
    snprintf(n->name, sizeof n->name, "%.*s", (int)bytes, name);
}

void nearest_offer_options(nearest *n, const option *options)
{
    for (const option *o = options; o && o->name; o++)
        if (o->kind != OPTION_HEADING) nearest_offer(n, o->name, strlen(o->name));
}

void nearest_offer_choices(nearest *n, const char *values)
{
    for (const char *value = values; *value; value += *value == '|') {
        const size_t bytes = strcspn(value, "|");
        nearest_offer(n, value, bytes);
        value += bytes;
    }
}

nearest_text nearest_ask(const nearest *n, const char *before)
{
    nearest_text text = { "" };
    if (n->name[0]) snprintf(text.s, sizeof text.s, "; did you mean '%s%s'?", before, n->name);
    return text;
}
