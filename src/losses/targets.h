/* losses/targets.h -- where the targets of a sequence x (T,B,..) stand in the caller's array.
 *
 * Each step (t,b) of x has `inner` targets. The caller's array has them in the order of x, (T,B,inner), or
 * batch-first, (B,T,inner). Steps at t >= lengths[b] are padding. */
#ifndef LOSSES_TARGETS_H
#define LOSSES_TARGETS_H

#include <tidegate/losses.h>

#include "tensor/tape.h"

typedef struct targets {
    const int *lengths; /* (B), or NULL: no step is padding */
    bool batch_first;
    size_t T, B, inner; /* set if lengths are given, or batch_first */
} targets;

/* False: the context remembers. */
bool tg__reduction_holds(tg_tape *t, const char *loss, tg_reduction reduction);

/* n: how many targets there are. x must be of `rank` at least if lengths are given, or batch_first; name and shape say
 * in a message what it must be. False: the context remembers. */
bool tg__targets_make(targets *y, tg_tape *t, const char *loss, const tg_tensor *x, size_t n, int rank,
                      const char *name, const char *shape);

/* Of target i, counted in the order of x: whether it is real, and its place in the caller's array. */
static inline bool tg__target_real(const targets *y, size_t i)
{
    if (!y->lengths) return true;
    const size_t step = i / y->inner;
    return (int64_t)(step / y->B) < y->lengths[step % y->B];
}
static inline size_t tg__target_place(const targets *y, size_t i)
{
    if (!y->batch_first) return i;
    const size_t step = i / y->inner;
    return (step % y->B * y->T + step / y->B) * y->inner + i % y->inner;
}

#endif
