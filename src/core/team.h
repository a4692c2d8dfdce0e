/* core/team.h -- the threads of a context.
 *
 * Work is divided into pieces, whose sizes depend on the problem and not on the number of workers. Each piece
 * writes a part of the result of its own. So it does not matter which worker does a piece, and the bits are
 * the same for any number of workers. */
#ifndef CORE_TEAM_H
#define CORE_TEAM_H

#include <tidegate/core.h>

typedef struct team team;

/* Calls work(argument, piece) for piece 0 ... pieces-1, on all workers of the context, and returns when all
 * pieces are done. Each worker has a range of neighbouring pieces: it does these first, and then takes pieces
 * from the ranges of others. Denormals are flushed to zero inside work, on every worker; the caller's
 * floating-point mode is restored. The threads are started by the first run with more than one piece, and
 * sleep when idle. Runs must not be nested, unless the outer one has one piece, or the inner one uses one
 * thread. */
void tg__team_run(tg_context *cx, int pieces, void (*work)(void *argument, int piece), void *argument);

/* The same on at most `threads` workers, of which the caller is one. */
void tg__team_run_by(tg_context *cx, int threads, int pieces, void (*work)(void *argument, int piece),
                     void *argument);

/* The same over n items in pieces of at most `most`: work(argument, first, end) does first ... end-1. */
void tg__team_ranges(tg_context *cx, size_t n, size_t most,
                     void (*work)(void *argument, size_t first, size_t end), void *argument);
void tg__team_ranges_by(tg_context *cx, int threads, size_t n, size_t most,
                        void (*work)(void *argument, size_t first, size_t end), void *argument);

/* Calls work(argument, phase, piece) for all pieces of phase 0, then for all of phase 1, and so on: there is
 * a barrier between two phases. pieces: at most TEAM_PIECES. A worker does the same pieces in each phase, so
 * that the data they read stay in its cache. If the operating system holds up a worker, the others do its
 * pieces: a busy machine costs time, and never blocks the work. */
enum { TEAM_PIECES = 64 };
void tg__team_phases(tg_context *cx, int phases, int pieces,
                     void (*work)(void *argument, int phase, int piece), void *argument);
/* The same on at most `threads` workers, of which the caller is one. */
void tg__team_phases_by(tg_context *cx, int threads, int phases, int pieces,
                        void (*work)(void *argument, int phase, int piece), void *argument);

void tg__team_free(team *t);

/* For tests: how many different workers have done a piece so far. */
int tg__team_worked(const tg_context *cx);
/* For tests: while this is positive, new contexts may have so many workers, whatever the machine has. */
extern int tg__team_cores_override;

/* The number of pieces of n items if each has at most `most`; and the first item of piece k. The sizes of
 * pieces differ by 1 at most. */
static inline int tg__pieces(int64_t n, int64_t most) { return n <= 0 ? 0 : (int)((n + most - 1) / most); }
static inline int64_t tg__piece_start(int64_t n, int pieces, int k)
{
    return n / pieces * k + (k < n % pieces ? k : n % pieces);
}

#endif
