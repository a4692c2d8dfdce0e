/* kernels/parts_product.c -- see parts_product.h. */
#include "kernels/parts_product.h"

#include "core/context.h"
#include "core/team.h"
#include "kernels/embedding.h"
#include "kernels/matmul.h"
#include "kernels/panels.h"
#include "kernels/simd/table.h"

/* Tokens at a time, at most; a function of the part alone, since where OpenBLAS multiplies bits may depend on it. */
enum { BLOCK = 98 };

typedef struct part_product {
    const sequence *q;
    int shares; /* of a part */
    matrix B;
    const tg_real *A;
    tg_real *C;
    bool into, add;
    tg_real *room; /* each worker's block, in the order of parts */
} part_product;

static size_t at(int row, int width) { return (size_t)row * (size_t)width; }

static void share_of_a_part(void *argument, int piece)
{
    const part_product *w = argument;
    const sequence_part p = w->q->part[piece / w->shares];
    const int share = piece % w->shares, start = p.token[0], tokens = p.token[w->q->steps] - start,
              blocks = tg__pieces(tokens, BLOCK), k = w->B.k, n = w->B.n;
    tg_real *room = w->room + at(piece, BLOCK) * (size_t)(w->into ? k : n);
    for (int64_t block = tg__piece_start(blocks, w->shares, share);
         block < tg__piece_start(blocks, w->shares, share + 1); block++) {
        const int i = start + (int)tg__piece_start(tokens, blocks, (int)block),
                  end = start + (int)tg__piece_start(tokens, blocks, (int)block + 1);
        if (w->into) {
            tg__sequence_take(w->q, p, i, end, k, w->A, room);
            tg__matrix_product(&w->B, end - i, room, k, 0, w->C + at(i, n), n);
        } else {
            tg__matrix_product(&w->B, end - i, w->A + at(i, k), k, 0, room, n);
            tg__sequence_put(w->q, p, i, end, n, room, w->add, w->C);
        }
    }
}

static void all_shares(void *argument, int piece)
{
    const part_product *w = argument;
    (void)piece;
    for (int share = 0; share < w->q->parts * w->shares; share++) share_of_a_part(argument, share);
}

static void run(tg_context *cx, part_product w, transposed b, int n, int k, const tg_real *B)
{
    const product_table *simd = tg__simd()->product;
    const int width = w.into ? k : n;
    const bool shared =
        (double)w.q->tokens * n * k >= 65536.0 * simd->panel_columns; /* longer than a meeting */
    w.shares = shared ? tg__pieces(cx->threads, w.q->parts) : 1;
    tg__arena_reset(&cx->packed);
    w.room = tg__arena_take(&cx->packed, at(w.q->parts * w.shares, BLOCK) * (size_t)width * sizeof *w.room);
    tg_real *panels =
        simd->large_products ? tg__arena_take(&cx->packed, tg__panels_room(k, n) * sizeof *panels) : NULL;
    if (cx->status) return;
    if (!simd->large_products && !tg__blas_ready(cx)) return;
    w.B = tg__matrix(b, k, n, B, b == NORMAL ? n : k, panels);
    tg__matrices_pack(cx, shared, 1, &w.B);
    tg__team_run(cx, shared ? w.q->parts * w.shares : 1, shared ? share_of_a_part : all_shares, &w);
}

void tg__product_into_parts(tg_context *cx, const sequence *q, int n, int k, const tg_real *A,
                            const tg_real *B, tg_real *C)
{
    if (q->parts == 1)
        tg__matmul(cx, NORMAL, NORMAL, q->tokens, n, k, A, k, B, n, NULL, 0, C, n);
    else
        run(cx, (part_product){ .q = q, .A = A, .C = C, .into = true }, NORMAL, n, k, B);
}

/* to: `row` in the order of parts. */
static void order_by_parts(const sequence *q, const int row[], int *to)
{
    for (int part = 0; part < q->parts; part++) {
        const sequence_part p = q->part[part];
        int token = p.token[0];
        for (sequence_run run = { 0 }; tg__sequence_next_run(p, &token, p.token[q->steps], &run);)
            for (int i = run.row; i < run.row + run.rows; i++)
                *to++ = row[q->offset[run.t] + p.first + i * p.apart];
    }
}

void tg__rows_into_parts(tg_context *cx, const sequence *q, int n, int k, int rows, const tg_real *A,
                         const int row[], const tg_real *B, tg_real *C)
{
    arena *room = &cx->packed;
    tg__arena_reset(room);
    tg_real *panels = tg__arena_take(room, tg__panels_room(k, n) * sizeof *panels),
            *product = tg__arena_take(room, at(rows, n) * sizeof *product);
    int *from = tg__arena_take(room, (size_t)q->tokens * sizeof *from);
    if (cx->status) return;
    const matrix m = tg__matrix(NORMAL, k, n, B, n, panels);
    tg__matrices_pack(cx, true, 1, &m);
    tg__matrix_product_all(cx, &m, rows, A, k, NULL, product, n);
    order_by_parts(q, row, from);
    tg__embedding_forward(cx, q->tokens, n, from, product, C);
}

void tg__product_out_of_parts(tg_context *cx, const sequence *q, int n, int k, const tg_real *A,
                              const tg_real *B, bool add, tg_real *C)
{
    if (q->parts == 1)
        tg__matmul(cx, NORMAL, TRANSPOSED, q->tokens, n, k, A, k, B, k, NULL, add, C, n);
    else
        run(cx, (part_product){ .q = q, .A = A, .C = C, .add = add }, TRANSPOSED, n, k, B);
}
