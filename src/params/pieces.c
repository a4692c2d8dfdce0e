/* params/pieces.c -- the flat block, cut for the workers. */
#include "params/pieces.h"

#include "core/clones.h"
#include "core/team.h"

enum { PIECE = 1 << 17 };

typedef struct walk {
    tg_params *ps;
    int pieces;
    void (*work)(void *argument, const param_range *r);
    void *argument;
} walk;

static void walk_piece(void *argument, int piece)
{
    const walk *w = argument;
    const size_t first = (size_t)tg__piece_start((int64_t)w->ps->flat, w->pieces, piece);
    const size_t end = (size_t)tg__piece_start((int64_t)w->ps->flat, w->pieces, piece + 1);
    for (const param_block *b = w->ps->first; b && b->offset < end; b = b->next) {
        const size_t b_end = b->offset + tg__size(&b->x);
        const size_t from = b->offset > first ? b->offset : first, to = b_end < end ? b_end : end;
        if (from < to) w->work(w->argument, &(param_range){ b, from, to - from, piece });
    }
}

int tg__params_walk(tg_params *ps, void (*work)(void *argument, const param_range *r), void *argument)
{
    const int pieces =
        ps->flat / PIECE < PARAM_MOST_PIECES ? tg__pieces((int64_t)ps->flat, PIECE) : PARAM_MOST_PIECES;
    tg__team_run(ps->cx, pieces, walk_piece, &(walk){ ps, pieces, work, argument });
    return pieces;
}

typedef struct squares {
    const tg_real *g;
    double sum[PARAM_MOST_PIECES];
} squares;

CLONED static double sum_of_squares(const tg_real *g, size_t n)
{
    enum { LANES = 32 };
    double sum[LANES] = { 0 }, total = 0;
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int k = 0; k < LANES; k++) sum[k] += (double)g[i + k] * (double)g[i + k];
    for (; i < n; i++) sum[0] += (double)g[i] * (double)g[i];
    for (int k = 0; k < LANES; k++) total += sum[k];
    return total;
}

static void add_squares(void *argument, const param_range *r)
{
    squares *s = argument;
    if (!r->b->flags.frozen) s->sum[r->piece] += sum_of_squares(s->g + r->first, r->n);
}

double tg__params_gradient_square(tg_params *ps)
{
    squares s = { .g = ps->gradient };
    double total = 0;
    if (!ps->gradient) return 0;
    const int pieces = tg__params_walk(ps, add_squares, &s);
    for (int k = 0; k < pieces; k++) total += s.sum[k];
    return total;
}
