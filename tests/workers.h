/* tests/workers.h -- contexts with a given number of workers, on any machine. */
#ifndef WORKERS_H
#define WORKERS_H

#include <time.h>

#include <tidegate/core.h>

#include "core/team.h"

extern double tg__recurrent_sharing_override; /* kernels/recurrent/plan.h */

/* Small jobs are shared out, too, from now on. */
static inline tg_context *context_of_workers(int workers, uint64_t seed)
{
    tg__team_cores_override = workers;
    tg__recurrent_sharing_override = 1;
    tg_context *cx = tg_context_new(&(tg_context_config){ .seed = seed, .threads = workers });
    tg__team_cores_override = 0;
    return cx;
}

/* Runs the statement until more than one worker of cx has taken part, which on a busy machine may need
 * several goes, and fails if it never happens in 20 seconds. */
#define UNTIL_SHARED(cx)                                                                                     \
    for (time_t until_ = time(NULL) + 20, first_ = 1; first_ || tg__team_worked(cx) < 2;                     \
         ck_assert_msg(time(NULL) < until_, "one worker did it all"), first_ = 0)

#endif
