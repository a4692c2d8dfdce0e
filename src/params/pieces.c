/* params/pieces.c -- the flat block, cut for the workers. */
#include "params/pieces.h"

#include <math.h>

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
    double scale; /* of each gradient, before it is squared */
    double sum[PARAM_MOST_PIECES];
} squares;

CLONED static double sum_of_squares(const tg_real *g, size_t n, double scale)
{
    enum { LANES = 32 };
    double sum[LANES] = { 0 }, total = 0;
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int k = 0; k < LANES; k++) {
            const double x = scale * (double)g[i + k];
            sum[k] += x * x;
        }
    for (; i < n; i++) {
        const double x = scale * (double)g[i];
        sum[0] += x * x;
    }
    for (int k = 0; k < LANES; k++) total += sum[k];
    return total;
}

static void add_squares(void *argument, const param_range *r)
{
    squares *s = argument;
    if (!r->b->flags.frozen) s->sum[r->piece] += sum_of_squares(s->g + r->first, r->n, s->scale);
}

static double sum_of_all(tg_params *ps, double scale)
{
    squares s = { .g = ps->gradient, .scale = scale };
    double total = 0;
    const int pieces = tg__params_walk(ps, add_squares, &s);
    for (int k = 0; k < pieces; k++) total += s.sum[k];
    return total;
}

double tg__params_gradient_norm(tg_params *ps)
{
    const int SMALL = -600; /* 2^-600 times any double has a square that is finite */
    if (!ps->gradient) return 0;
    const double square = sum_of_all(ps, 1);
    return isfinite(square) ? sqrt(square) : ldexp(sqrt(sum_of_all(ps, ldexp(1, SMALL))), -SMALL);
}
