/* kernels/embedding.c -- see embedding.h. */
#include "kernels/embedding.h"

#include <string.h>

#include "core/team.h"

typedef struct lookup {
    int n, E, pieces;
    const int *ids;
    const tg_real *from;
    tg_real *to;
} lookup;

static void embedding_forward_piece(void *argument, int piece)
{
    const lookup *l = argument;
    const size_t E = (size_t)l->E;
    for (int64_t i = tg__piece_start(l->n, l->pieces, piece),
                 end = tg__piece_start(l->n, l->pieces, piece + 1);
         i < end; i++) {
        if (l->ids[i] >= 0)
            memcpy(l->to + (size_t)i * E, l->from + (size_t)l->ids[i] * E, E * sizeof *l->to);
        else
            memset(l->to + (size_t)i * E, 0, E * sizeof *l->to);
    }
}

void tg__embedding_forward(tg_context *cx, int n, int E, const int *ids, const tg_real *W, tg_real *y)
{
    lookup l = { n, E, tg__pieces(n, 1024), ids, W, y };
    tg__team_run(cx, l.pieces, embedding_forward_piece, &l);
}

/* A piece of work is some columns of all rows: so each sum has a fixed order, and no two pieces write the
 * same number. */
static void embedding_backward_piece(void *argument, int piece)
{
    const lookup *l = argument;
    const int j0 = (int)tg__piece_start(l->E, l->pieces, piece),
              j1 = (int)tg__piece_start(l->E, l->pieces, piece + 1);
    for (int i = 0; i < l->n; i++) {
        if (l->ids[i] < 0) continue;
        const tg_real *dy = l->from + (size_t)i * (size_t)l->E;
        tg_real *dW = l->to + (size_t)l->ids[i] * (size_t)l->E;
        for (int j = j0; j < j1; j++) dW[j] += dy[j];
    }
}

void tg__embedding_backward(tg_context *cx, int n, int E, const int *ids, const tg_real *dy, tg_real *dW)
{
    lookup l = { n, E, (double)n * E > 32768 ? tg__pieces(E, 64) : 1, ids, dy, dW };
    tg__team_run(cx, l.pieces, embedding_backward_piece, &l);
}
