/* tools/bench/contestant.h -- how a program takes part in compare.py.
 *
 * It prints a line that begins with "ready"; then for each line "go MILLISECONDS" on standard input it works for so
 * long, and prints "MEDIAN COUNT": seconds of one piece of work, and how many it did. So a driver can hold several
 * contestants and ask them in turn. */
#ifndef CONTESTANT_H
#define CONTESTANT_H

/* Until standard input ends. At least `least` pieces of work for each line. Returns the exit code. */
int contestant_serve(void (*work)(void *user), void *user, int least);

#endif
