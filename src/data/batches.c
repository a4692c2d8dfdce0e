/* data/batches.c -- batches of sentences of similar length, each a function of seed, epoch and number.
 *
 * The order of an epoch: all pairs in a random permutation; within each window of WINDOW batches sorted
 * by length, so that the rows of a batch are about as long; cut into batches; these in a random
 * permutation again, so that short and long ones take turns. */
#include <string.h>

#include "core/check.h"
#include "data/data.h"

enum { WINDOW = 64 }; /* batches; were it the whole file, the epochs would have nearly the same batches */

typedef struct sequences { /* the token ids of all sentences of one side */
    int *ids;
    size_t *start; /* (n+1): sentence i is ids[start[i]] ... ids[start[i+1]-1] */
    int longest;   /* tokens */
} sequences;

struct tg_batches {
    tg_context *cx;
    int n, rows, count; /* pairs, rows of a batch, batches in an epoch */
    bool in_order;
    sequences source, target;

    int64_t epoch;    /* whose order this is; -1: none yet */
    int *order;       /* (n): pairs */
    int *batch_order; /* (count): which part of it is batch k */
    int *scratch;     /* (n/2) */

    /* what a batch points to: room for the longest sentences in all rows */
    int *ids_source, *ids_in, *ids_out, *source_lengths, *target_lengths;
};

static tg_batches nil_batches = { .cx = &tg__context_nil, .epoch = -1 };

/* ---- made ---- */

static int *take_ints(tg_context *cx, size_t rows, size_t columns)
{
    return tg__arena_take(&cx->own, tg__bytes(tg__bytes(rows, columns), sizeof(int)));
}

/* False: the context is in error. */
static bool encode_all(tg_context *cx, sequences *x, const tg_pairs *pairs, const tg_vocabulary *v,
                       const char *(*side)(const tg_pairs *p, int i))
{
    const int n = tg_pairs_count(pairs);
    x->start = tg__arena_zeroed(&cx->own, tg__bytes((size_t)n + 1, sizeof *x->start));
    for (int i = 0; x->start && i < n; i++) {
        const int length = tg_vocabulary_encode(v, side(pairs, i), NULL, 0);
        x->start[i + 1] = x->start[i] + (size_t)length;
        if (length > x->longest) x->longest = length;
    }
    x->ids = x->start ? take_ints(cx, x->start[n], 1) : NULL;
    for (int i = 0; x->ids && i < n; i++)
        tg_vocabulary_encode(v, side(pairs, i), x->ids + x->start[i], (int)(x->start[i + 1] - x->start[i]));
    return x->ids;
}

static int length_of(const sequences *x, int i) { return (int)(x->start[i + 1] - x->start[i]); }

static bool make_room(tg_batches *b)
{
    tg_context *cx = b->cx;
    const size_t B = (size_t)b->rows, S = (size_t)b->source.longest + 1, T = (size_t)b->target.longest + 1;
    b->order = take_ints(cx, (size_t)b->n, 1);
    b->scratch = take_ints(cx, (size_t)b->n / 2, 1);
    b->batch_order = take_ints(cx, (size_t)b->count, 1);
    b->ids_source = take_ints(cx, S, B);
    b->ids_in = take_ints(cx, T, B);
    b->ids_out = take_ints(cx, T, B);
    b->source_lengths = take_ints(cx, B, 1);
    b->target_lengths = take_ints(cx, B, 1);
    return !cx->status;
}

static bool is_frozen(tg_context *cx, const tg_vocabulary *v, const char *side)
{
    if (tg__vocabulary_context(v) != cx)
        tg_context_fail(cx, TG_ERR_STATE, "tg_batches_new: the %s vocabulary belongs to another context",
                        side);
    else if (!tg__vocabulary_frozen(v))
        tg_context_fail(cx, TG_ERR_STATE, "tg_batches_new: the %s vocabulary is not frozen", side);
    return !cx->status;
}

tg_batches *tg_batches_new(tg_context *cx, const tg_pairs *pairs, const tg_vocabulary *source,
                           const tg_vocabulary *target, const tg_batches_config *config)
{
    const tg_batches_config c = config ? *config : (tg_batches_config){ 0 };
    if (!cx || cx->status || !GIVEN(cx, ARG(pairs), ARG(source), ARG(target))) return &nil_batches;
    const int rows = c.batch ? c.batch : 64, n = tg_pairs_count(pairs);
    if (tg__pairs_context(pairs) != cx) {
        tg_context_fail(cx, TG_ERR_STATE, "tg_batches_new: pairs belong to another context");
        return &nil_batches;
    }
    if (!is_frozen(cx, source, "source") || !is_frozen(cx, target, "target")) return &nil_batches;
    if (rows < 0) {
        tg_context_fail(cx, TG_ERR_ARGUMENT, "tg_batches_new: batch is %d: it is a number of rows", rows);
        return &nil_batches;
    }
    tg_batches *b = tg__arena_zeroed(&cx->own, sizeof *b);
    if (!b) return &nil_batches;
    *b = (tg_batches){ .cx = cx, .n = n, .rows = rows < n ? rows : n, .in_order = c.in_order, .epoch = -1 };
    b->count = (n - 1) / b->rows + 1;
    const bool well = encode_all(cx, &b->source, pairs, source, tg_pairs_source) &&
                      encode_all(cx, &b->target, pairs, target, tg_pairs_target) && make_room(b);
    return well ? b : &nil_batches;
}

int64_t tg_batches_count(const tg_batches *b) { return b ? b->count : 0; }
tg_context *tg__batches_context(const tg_batches *b) { return b->cx; }

/* ---- the order of an epoch ---- */

static bool is_longer(const tg_batches *b, int i, int k)
{
    const int difference = length_of(&b->source, i) - length_of(&b->source, k);
    return difference ? difference > 0 : length_of(&b->target, i) > length_of(&b->target, k);
}

/* Merge sort: stable, so that pairs of equal length stay in their random order. */
static void sort_by_length(const tg_batches *b, int *pair, int n)
{
    const int half = n / 2;
    if (n < 2) return;
    sort_by_length(b, pair, half);
    sort_by_length(b, pair + half, n - half);
    memcpy(b->scratch, pair, (size_t)half * sizeof *pair);
    for (int i = 0, k = half, to = 0; i < half; to++)
        pair[to] = k < n && is_longer(b, b->scratch[i], pair[k]) ? pair[k++] : b->scratch[i++];
}

static void order_epoch(tg_batches *b, int64_t epoch)
{
    if (b->epoch == epoch) return;
    const int64_t window = (int64_t)WINDOW * b->rows;
    tg_random_permutation(b->cx, "batches", epoch, b->n, b->order);
    for (int64_t i = 0; i < b->n; i += window)
        sort_by_length(b, b->order + i, (int)(b->n - i < window ? b->n - i : window));
    tg_random_permutation(b->cx, "batch order", epoch, b->count, b->batch_order);
    b->epoch = epoch;
}

static void order_as_read(tg_batches *b)
{
    if (b->epoch == 0) return;
    for (int i = 0; i < b->n; i++) b->order[i] = i;
    for (int k = 0; k < b->count; k++) b->batch_order[k] = k;
    b->epoch = 0; /* every epoch is this one */
}

/* ---- a batch ---- */

typedef struct ends { /* what surrounds the tokens of a row; -1: nothing */
    int before, after, padding;
} ends;

/* One column of an array (T,B): to is its first element. */
static void fill_column(int *to, int T, int B, const int *ids, int n, ends e)
{
    const size_t down = (size_t)B;
    int t = 0;
    if (e.before >= 0) to[down * t++] = e.before;
    for (int i = 0; i < n; i++) to[down * t++] = ids[i];
    if (e.after >= 0) to[down * t++] = e.after;
    while (t < T) to[down * t++] = e.padding;
}

static void fill(tg_batches *b, const int *pair, int B, tg_pair_batch *batch)
{
    *batch = (tg_pair_batch){ .B = B,
                              .source = b->ids_source,
                              .source_lengths = b->source_lengths,
                              .target_in = b->ids_in,
                              .target_out = b->ids_out,
                              .target_lengths = b->target_lengths,
                              .pair = pair };
    for (int r = 0; r < B; r++) {
        b->source_lengths[r] = length_of(&b->source, pair[r]) + 1;
        b->target_lengths[r] = length_of(&b->target, pair[r]) + 1;
        if (b->source_lengths[r] > batch->S) batch->S = b->source_lengths[r];
        if (b->target_lengths[r] > batch->T) batch->T = b->target_lengths[r];
        batch->target_tokens += b->target_lengths[r];
    }
    for (int r = 0; r < B; r++) {
        const int *x = b->source.ids + b->source.start[pair[r]],
                  *y = b->target.ids + b->target.start[pair[r]];
        const int n = b->source_lengths[r] - 1, m = b->target_lengths[r] - 1;
        fill_column(b->ids_source + r, batch->S, B, x, n, (ends){ -1, TG_END, TG_PAD });
        fill_column(b->ids_in + r, batch->T, B, y, m, (ends){ TG_BEGIN, -1, TG_PAD });
        fill_column(b->ids_out + r, batch->T, B, y, m, (ends){ -1, TG_END, -1 });
    }
}

void tg_batches_get(tg_batches *b, int64_t epoch, int64_t k, tg_pair_batch *batch)
{
    if (batch) *batch = (tg_pair_batch){ 0 };
    if (!b || b->cx->status || !GIVEN(b->cx, ARG(batch))) return;
    if (epoch < 0 || k < 0 || k >= b->count) {
        tg_context_fail(b->cx, TG_ERR_ARGUMENT,
                        "tg_batches_get: batch %lld of epoch %lld: batches are 0..%d, epochs 0 and up",
                        (long long)k, (long long)epoch, b->count - 1);
        return;
    }
    if (b->in_order)
        order_as_read(b);
    else
        order_epoch(b, epoch);
    const int64_t first = (int64_t)b->batch_order[k] * b->rows, rest = b->n - first;
    fill(b, b->order + first, (int)(rest < b->rows ? rest : b->rows), batch);
}
