/* ops/dropout.c -- inverted dropout (Srivastava et al. 2014): y = x mask, mask 0 or 1 / (1 - p). */
#include "ops/dropout.h"

#include <tidegate/ops.h>

#include "core/random.h"
#include "ops/op.h"

enum { WORDS = 4 }; /* elements that one block of random bits serves */

typedef struct mask_job {
    uint64_t key, step, element;
    uint32_t threshold; /* words below it are dropped */
    tg_real keep;
    size_t n;
    tg_real *mask;
} mask_job;

static void mask_blocks(void *argument, size_t first, size_t end)
{
    const mask_job *m = argument;
    for (size_t block = first; block < end; block++) {
        uint32_t word[WORDS];
        const size_t i = block * WORDS, left = m->n - i < WORDS ? m->n - i : WORDS;
        tg__random_block(m->key, m->step, m->element + block, word);
        for (size_t k = 0; k < left; k++) m->mask[i + k] = word[k] < m->threshold ? 0 : m->keep;
    }
}

void tg__dropout_mask(tg_context *cx, const char *stream, uint64_t draw, tg_real p, size_t n, tg_real *mask)
{
    assert(p >= 0 && p < 1);
    const uint64_t pass = draw >> TAPE_DRAW_BITS;
    mask_job m = {
        .key = tg__random_key(cx->config.seed, stream),
        .step = (uint64_t)cx->step ^ pass << (64 - TAPE_DRAW_BITS), /* of a first pass: the step itself */
        .element = draw << (64 - TAPE_DRAW_BITS),
        .threshold = (uint32_t)((double)p * 0x1p32),
        .keep = (tg_real)(1 / (1 - (double)p)),
        .n = n,
        .mask = mask,
    };
    tg__team_ranges(cx, (n + WORDS - 1) / WORDS, OP_PIECE / WORDS, mask_blocks, &m);
}

typedef struct record {
    tg_tensor *x, *y;
    tg_real *mask;
} record;

static void forward_range(void *argument, size_t first, size_t end)
{
    const record *r = argument;
    for (size_t i = first; i < end; i++) r->y->data[i] = r->x->data[i] * r->mask[i];
}

static void backward_range(void *argument, size_t first, size_t end)
{
    const record *r = argument;
    for (size_t i = first; i < end; i++) r->x->grad[i] += r->y->grad[i] * r->mask[i];
}

static void dropout_backward(tg_tape *t, void *record_)
{
    const record *r = record_;
    tg__team_ranges(t->cx, tg__size(r->x), OP_PIECE, backward_range, record_);
}

tg_tensor *tg_dropout(tg_tape *t, tg_tensor *x, tg_real p)
{
    static const tape_op op = { TAPE_OP_dropout, dropout_backward };
    if (!tg__tape_takes(t, "tg_dropout", "x", x)) return tg__tape_nil(t);
    if (!(p >= 0 && p < 1))
        return tg__tape_fail(t, TG_ERR_ARGUMENT, "tg_dropout: p is %g, must be at least 0 and below 1",
                             (double)p);
    if (t->mode != TG_TRAIN || p == 0) return x;
    const size_t n = tg__size(x);
    tg_tensor *y = tg__tape_tensor(t, x->rank, x->dim, x->grad);
    record *r = tg__tape_take(t, sizeof *r);
    tg_real *mask = tg__tape_take(t, n * sizeof *mask);
    if (!y || !r || !mask) return &t->cx->nil;
    *r = (record){ x, y, mask };
    tg__dropout_mask(t->cx, "dropout", tg__tape_draw(t), p, n, mask);
    tg__team_ranges(t->cx, n, OP_PIECE, forward_range, r);
    return tg__tape_record(t, &op, r, y, 1, &x);
}
