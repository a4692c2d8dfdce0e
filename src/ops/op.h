/* ops/op.h -- what the ops of this floor share. */
#ifndef OPS_OP_H
#define OPS_OP_H

#include "tensor/tape.h"

enum { OP_PIECE = 1 << 14 }; /* elements that one worker takes at a time */

/* As tg__tape_ready, and x must be there: a layer that could not be made may hand out NULL. */
static inline bool tg__op_ready(tg_tape *t, const char *op, const tg_tensor *x)
{
    if (!tg__tape_ready(t, op)) return false;
    if (!x) tg_context_fail(t->cx, TG_ERR_ARGUMENT, "%s: a tensor is NULL", op);
    return x;
}

#endif
