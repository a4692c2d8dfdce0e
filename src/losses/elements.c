/* losses/elements.c -- the loop of losses over elements. */
#include "losses/elements.h"

#include <math.h>

#include "losses/targets.h"

enum { PIECE = 1 << 14 };

typedef struct record {
    const element_loss *loss;
    tg_tensor *x, *y;
    tg_real *target, *weight; /* as many as x; weight NULL: all 1 */
    double *partial;          /* (pieces) */
    double factor;            /* y = factor sum w f */
    int pieces;
} record;

static void forward_piece(void *argument, int piece)
{
    const record *r = argument;
    const int64_t n = (int64_t)tg__size(r->x), end = tg__piece_start(n, r->pieces, piece + 1);
    const tg_real *w = r->weight;
    double sum = 0;
    for (int64_t i = tg__piece_start(n, r->pieces, piece); i < end; i++)
        if (!w || w[i] != 0)
            sum += (w ? (double)w[i] : 1) * r->loss->value((double)r->x->data[i], (double)r->target[i]);
    r->partial[piece] = sum;
}

static void backward_range(void *argument, size_t first, size_t end)
{
    const record *r = argument;
    const tg_real *w = r->weight, g = (tg_real)(r->factor * (double)*r->y->grad);
    tg_real slope[ELEMENT_CHUNK], *dx = r->x->grad;
    for (size_t i = first; i < end; i += ELEMENT_CHUNK) {
        const size_t n = end - i < ELEMENT_CHUNK ? end - i : ELEMENT_CHUNK;
        r->loss->slope(n, r->x->data + i, r->target + i, slope);
        for (size_t k = 0; k < n; k++)
            if (!w || w[i + k] != 0) dx[i + k] += g * (w ? w[i + k] : 1) * slope[k];
    }
}

void tg__elements_backward(tg_tape *t, void *record_)
{
    const record *r = record_;
    tg__team_ranges(t->cx, tg__size(r->x), PIECE, backward_range, record_);
}

/* Copies targets and weights into the order of x, and counts the elements that have weight; padding has weight 0.
 * The target of an element without weight may be anything. -1: the context failed. */
static int64_t copy_targets(tg_tape *t, const record *r, const tg_real target[], const tg_real weight[],
                            const targets *order)
{
    const element_loss *loss = r->loss;
    int64_t counted = 0;
    for (size_t i = 0, n = tg__size(r->x); i < n; i++) {
        const size_t place = tg__target_place(order, i);
        const double y = (double)target[place], w = !tg__target_real(order, i) ? 0
                                                    : weight                   ? (double)weight[place]
                                                                               : 1;
        if (r->weight) r->weight[i] = (tg_real)w;
        r->target[i] = target[place];
        if (!isfinite(w)) {
            tg_context_fail(t->cx, TG_ERR_NUMBER, "%s: weight %zu of %zu is %g", loss->name, place, n, w);
            return -1;
        }
        if (w == 0) continue;
        counted++;
        if (!isfinite(y)) {
            tg_context_fail(t->cx, TG_ERR_NUMBER, "%s: target %zu of %zu is %g", loss->name, place, n, y);
            return -1;
        }
        if (!(y >= loss->least && y <= loss->most)) {
            tg_context_fail(t->cx, TG_ERR_ARGUMENT, "%s: target %zu of %zu is %g, outside [%g, %g]",
                            loss->name, place, n, y, loss->least, loss->most);
            return -1;
        }
    }
    return counted;
}

tg_tensor *tg__elements_loss(tg_tape *t, const element_loss *loss, tg_tensor *x, const tg_real target[],
                             const tg_real weight[], const tg_element_loss_config *config)
{
    const tg_element_loss_config c = config ? *config : (tg_element_loss_config){ 0 };
    if (!tg__tape_takes(t, loss->name, "x", x)) return tg__tape_nil(t);
    if (!target) return tg__tape_fail(t, TG_ERR_ARGUMENT, "%s: target is NULL", loss->name);
    if (!tg__reduction_holds(t, loss->name, c.reduction)) return &t->cx->nil;
    const size_t n = tg__size(x);
    targets order = { .lengths = c.lengths, .batch_first = c.batch_first };
    if (!tg__targets_make(&order, t, loss->name, x, n, 2, "x is", "(T,B,..)")) return &t->cx->nil;
    const int pieces = tg__pieces((int64_t)n, PIECE);
    tg_tensor *y = tg__tape_tensor(t, 0, NULL, x->grad);
    record *r = tg__tape_take(t, sizeof *r);
    if (!y || !r) return &t->cx->nil;
    *r = (record){ .loss = loss, .x = x, .y = y, .pieces = pieces };
    r->target = tg__tape_take(t, n * sizeof *r->target);
    r->weight = weight || c.lengths ? tg__tape_take(t, n * sizeof *r->weight) : NULL;
    r->partial = tg__tape_take(t, (size_t)pieces * sizeof *r->partial);
    if (t->cx->status) return &t->cx->nil;

    const int64_t N = copy_targets(t, r, target, weight, &order);
    if (N < 0) return &t->cx->nil;
    r->factor = c.reduction == TG_SUM || !N ? 1 : 1 / (double)N;
    double sum = 0;
    tg__team_run(t->cx, pieces, forward_piece, r);
    for (int k = 0; k < pieces; k++) sum += r->partial[k];
    *y->data = (tg_real)(r->factor * sum);
    return tg__tape_record(t, &loss->op, r, y, 1, &x);
}
