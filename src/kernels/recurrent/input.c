/* kernels/recurrent/input.c -- see input.h. */
#include "kernels/recurrent/input.h"

#include "core/team.h"
#include "kernels/matmul.h"
#include "kernels/simd/table.h"

/* Tokens that are gathered, or scattered, at a time: a function of the shard alone, since where OpenBLAS multiplies the bits may
 * depend on it. */
enum { BLOCK_TOKENS = 98 };

typedef struct input_product {
    const sequence *q;
    int workers; /* of a shard */
    matrix B;
    const tg_real *A;
    tg_real *C;
    bool backward, add;
    tg_real *room; /* a block for each worker, in shard order */
} input_product;

static void blocks_of_a_worker(void *argument, int piece)
{
    const input_product *w = argument;
    const batch_shard s = w->q->shard[piece / w->workers];
    const int worker = piece % w->workers, start = s.token[0], tokens = s.token[w->q->steps] - start,
              blocks = tg__pieces(tokens, BLOCK_TOKENS), k = w->B.k, n = w->B.n;
    tg_real *room = w->room + (size_t)piece * BLOCK_TOKENS * (size_t)(w->backward ? n : k);
    for (int64_t block = tg__piece_start(blocks, w->workers, worker);
         block < tg__piece_start(blocks, w->workers, worker + 1); block++) {
        const int i = start + (int)tg__piece_start(tokens, blocks, (int)block),
                  end = start + (int)tg__piece_start(tokens, blocks, (int)block + 1);
        if (w->backward) {
            tg__matrix_product(&w->B, end - i, w->A + (size_t)i * (size_t)k, k, 0, room, n);
            tg__sequence_scatter(w->q, s, i, end, n, room, w->add, w->C);
        } else {
            tg__sequence_gather(w->q, s, i, end, k, w->A, room);
            tg__matrix_product(&w->B, end - i, room, k, 0, w->C + (size_t)i * (size_t)n, n);
        }
    }
}

static void all_blocks(void *argument, int piece)
{
    const input_product *w = argument;
    (void)piece;
    for (int i = 0; i < w->q->shards * w->workers; i++) blocks_of_a_worker(argument, i);
}

/* By shards: A (tokens,k) op(B) (k,n) -> C (tokens,n). */
static void multiply_by_shards(tg_context *cx, arena *memory, const recurrent_plan *p, input_product w, int n,
                               int k, const tg_real *B)
{
    enum {
        WORTH_SHARING = 65536
    }; /* multiply-adds for each column of a panel: longer than waiting for the workers */
    const product_table *simd = tg__simd()->product;
    const arena_mark mark = tg__arena_mark(memory);
    const bool shared = (double)w.q->tokens * n * k >= (double)WORTH_SHARING * simd->panel_columns;
    const int threads = shared ? p->threads : 1;
    w.workers = tg__pieces(threads, w.q->shards);
    w.room = tg__arena_take(memory, (size_t)(w.q->shards * w.workers * BLOCK_TOKENS) *
                                        (size_t)(w.backward ? n : k) * sizeof *w.room);
    tg_real *panels =
        simd->large_products ? tg__arena_take(memory, tg__panels_room(k, n) * sizeof *panels) : NULL;
    if (!cx->status && (simd->large_products || tg__blas_ready(cx))) {
        w.B = tg__matrix(w.backward ? TRANSPOSED : NORMAL, k, n, B, w.backward ? k : n, panels);
        tg__matrices_pack_by(cx, threads, 1, &w.B);
        tg__team_run_by(cx, threads, shared ? w.q->shards * w.workers : 1,
                        shared ? blocks_of_a_worker : all_blocks, &w);
    }
    tg__arena_rewind(memory, mark);
}

void tg__recurrent_input(tg_context *cx, arena *memory, recurrent_plan *p, const tg_real *W_x,
                         const tg_real *x)
{
    const sequence *q = &p->sequence;
    const int k = p->shape.I, n = p->shape.cell->gates * p->shape.H;
    if (q->shards == 1)
        tg__matmul_by(cx, p->threads, NORMAL, NORMAL, q->tokens, n, k, x, k, W_x, n, NULL, 0, p->gates, n);
    else
        multiply_by_shards(cx, memory, p, (input_product){ .q = q, .A = x, .C = p->gates }, n, k, W_x);
}

void tg__recurrent_input_backward(tg_context *cx, arena *memory, const recurrent_plan *p, const tg_real *W_x,
                                  const tg_real *dgates, bool add, tg_real *dx)
{
    const sequence *q = &p->sequence;
    const int n = p->shape.I, k = p->shape.cell->gates * p->shape.H;
    if (q->shards == 1)
        tg__matmul_by(cx, p->threads, NORMAL, TRANSPOSED, q->tokens, n, k, dgates, k, W_x, k, NULL, add, dx,
                      n);
    else
        multiply_by_shards(cx, memory, p,
                           (input_product){ .q = q, .A = dgates, .C = dx, .add = add, .backward = true }, n,
                           k, W_x);
}
