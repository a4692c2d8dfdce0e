/* losses/targets.c -- what lengths and batch_first need. */
#include "losses/targets.h"

bool tg__reduction_holds(tg_tape *t, const char *loss, tg_reduction reduction)
{
    if (reduction == TG_MEAN || reduction == TG_SUM) return true;
    tg_context_fail(t->cx, TG_ERR_ARGUMENT, "%s: reduction is %d, must be TG_MEAN or TG_SUM", loss,
                    (int)reduction);
    return false;
}

bool tg__targets_make(targets *y, tg_tape *t, const char *loss, const tg_tensor *x, size_t n, int rank,
                      const char *name, const char *shape)
{
    if (!y->lengths && !y->batch_first) return true;
    if (x->rank < rank) {
        tg__tape_fail(t, TG_ERR_SHAPE, "%s: %s %s, but with %s must be %s", loss, name, tg__shape(x).s,
                      y->lengths ? "lengths" : "batch_first", shape);
        return false;
    }
    y->T = (size_t)x->dim[0];
    y->B = (size_t)x->dim[1];
    y->inner = n / (y->T * y->B);
    for (size_t b = 0; y->lengths && b < y->B; b++)
        if (y->lengths[b] < 0 || y->lengths[b] > x->dim[0]) {
            tg__tape_fail(t, TG_ERR_ARGUMENT, "%s: length %d of row %zu is outside 0..%d", loss,
                          y->lengths[b], b, x->dim[0]);
            return false;
        }
    return true;
}
