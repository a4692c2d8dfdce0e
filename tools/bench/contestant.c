/* tools/bench/contestant.c -- see contestant.h. */
#include "contestant.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MOST = 100000 };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int contestant_serve(void (*work)(void *user), void *user, int least)
{
    static double seconds[MOST];
    char line[64];
    fflush(stdout);
    while (fgets(line, sizeof line, stdin) && !strncmp(line, "go ", 3)) {
        const double budget = 1e-3 * atof(line + 3), start = now();
        int count = 0;
        for (double at = start; (at - start < budget || count < least) && count < MOST;) {
            work(user);
            const double after = now();
            seconds[count++] = after - at;
            at = after;
        }
        qsort(seconds, (size_t)count, sizeof *seconds, ascending);
        printf("%.9g %d\n", seconds[count / 2], count);
        fflush(stdout);
    }
    return EXIT_SUCCESS;
}
