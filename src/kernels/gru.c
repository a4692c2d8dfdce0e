/* kernels/gru.c -- the unrolled GRU and its gradients; equations and layout in gru.h.
 *
 * Order of work: one product for the input side of all steps; the recurrent weights packed once; then the
 * sweep, step by step, with the recurrent products; backward the sweep in the other direction, and after
 * it one product for each weight gradient. The sweep is cut into blocks of rows of the batch, which do not
 * meet, so a block runs from the first step to the last on one worker. */
#include "kernels/gru.h"

#include <string.h>

#include "core/team.h"
#include "kernels/matmul.h"
#include "kernels/panels.h"
#include "kernels/simd/table.h"

typedef struct sweep {
    gru_shape s;
    gru_cell cell;
    int blocks;
    const tg_real *h0, *y_in, *dy; /* backward */
    tg_real *h, *y, *dh;
    gru_saved saved;
    tg_real *rh;       /* forward (B,H); backward (tokens,H): r * h_before, for dW_hg */
    tg_real *h_before; /* (tokens,H): h(t-1) of every token, backward */
    tg_real *drh;      /* (B,H) */
} sweep;

static size_t at(int row, int width) { return (size_t)row * (size_t)width; }

/* ---- what sweeps share ---- */

int tg__sweep_blocks(int B)
{
    const int blocks = tg__pieces(B, 32);
    return blocks < 2 && B >= 16 ? 2 : blocks;
}

bool tg__sweep_packs(const sequence *q) { return q->B > 1 && q->steps > 1; }

int tg__sweep_rows(const sequence *q, int t, int first, int last)
{
    const int end = q->active[t] < last ? q->active[t] : last;
    return end > first ? end - first : 0;
}

/* ---- the cell ---- */

size_t tg__gru_cell_room(int H)
{
    const size_t forward = tg__panels_room(H, 2 * H), backward = tg__panels_room(2 * H, H);
    return (forward > backward ? forward : backward) + tg__panels_room(H, H);
}

size_t tg__gru_panels_room(gru_shape s) { return tg__sweep_packs(s.sequence) ? tg__gru_cell_room(s.H) : 0; }

gru_cell tg__gru_cell(tg_context *cx, transposed direction, int H, bool reset_after, gru_weights w,
                      tg_real *room)
{
    const int k = direction == NORMAL ? H : 2 * H, n = direction == NORMAL ? 2 * H : H;
    /* the third gate's columns of W_h (H,3H) */
    tg_real *const g = room ? room + tg__panels_room(k, n) : NULL;
    return (gru_cell){ .H = H,
                       .reset_after = reset_after,
                       .w = w,
                       .zr = tg__matrix(cx, direction, k, n, w.W_h, 3 * H, room),
                       .g = tg__matrix(cx, direction, H, H, w.W_h + 2 * H, 3 * H, g) };
}

/* ---- forward ---- */

void tg__gru_step(const gru_cell *c, int rows, tg_real *h, tg_real *gates, tg_real *q, tg_real *rh,
                  tg_real *y, int y_stride)
{
    const int H = c->H;

    /* z and r:  + h(t-1) W_hz, + h(t-1) W_hr */
    tg__matrix_product(&c->zr, rows, h, H, 1, gates, 3 * H);
    if (c->reset_after) {
        /* q = h(t-1) W_hg */
        tg__matrix_product(&c->g, rows, h, H, 0, q, H);
        tg__simd()->gru_output_reset_after(rows, H, c->w.b, c->w.b_h, gates, q, h, y, y_stride);
    } else {
        tg__simd()->gru_update_and_reset(rows, H, c->w.b, h, gates, rh);
        /* g:  + (r * h(t-1)) W_hg */
        tg__matrix_product(&c->g, rows, rh, H, 1, gates + 2 * H, 3 * H);
        tg__simd()->gru_output(rows, H, c->w.b, gates, h, y, y_stride);
    }
}

static void forward_block(void *argument, int block)
{
    const sweep *w = argument;
    const sequence *q = w->s.sequence;
    const int H = w->s.H, first = (int)tg__piece_start(q->B, w->blocks, block),
              last = (int)tg__piece_start(q->B, w->blocks, block + 1);
    for (int k = 0; k < q->steps; k++) {
        const int t = w->s.reverse ? q->steps - 1 - k : k, rows = tg__sweep_rows(q, t, first, last),
                  token = q->offset[t] + first;
        if (!rows) continue;
        tg__gru_step(&w->cell, rows, w->h + at(first, H), w->saved.gates + at(token, 3 * H),
                     w->saved.q ? w->saved.q + at(token, H) : NULL, w->rh + at(first, H),
                     w->y + at(token, w->s.y_stride), w->s.y_stride);
    }
}

void tg__gru_forward(tg_context *cx, gru_shape s, gru_weights w, const tg_real *x, tg_real *h, tg_real *y,
                     gru_saved saved, tg_real *scratch, tg_real *panels)
{
    const sequence *q = s.sequence;
    tg__matmul(cx, NORMAL, NORMAL, q->tokens, 3 * s.H, s.I, x, s.I, w.W_x, 3 * s.H, NULL, 0, saved.gates,
               3 * s.H);
    sweep all = { .s = s,
                  .cell = tg__gru_cell(cx, NORMAL, s.H, s.reset_after, w, tg__sweep_packs(q) ? panels : NULL),
                  .blocks = tg__sweep_blocks(q->B),
                  .h = h,
                  .y = y,
                  .saved = saved,
                  .rh = scratch };
    tg__team_run(cx, all.blocks, forward_block, &all);
}

/* ---- backward ---- */

void tg__gru_step_backward(const gru_cell *c, int rows, const tg_real *h_before, tg_real *dh, tg_real *gates,
                           tg_real *q, tg_real *rh, tg_real *drh)
{
    const int H = c->H;

    if (c->reset_after) {
        tg__simd()->gru_backward_reset_after(rows, H, h_before, gates, q, dh);
        /* dh(t-1) += dq W_hg' */
        tg__matrix_product(&c->g, rows, q, H, 1, dh, H);
    } else {
        tg__simd()->gru_backward_output(rows, H, h_before, gates, dh);
        /* d(r * h(t-1)) = dg W_hg' */
        tg__matrix_product(&c->g, rows, gates + 2 * H, 3 * H, 0, drh, H);
        tg__simd()->gru_backward_reset(rows, H, h_before, drh, gates, dh, rh);
    }
    /* dh(t-1) += dz W_hz' + dr W_hr' */
    tg__matrix_product(&c->zr, rows, gates, 3 * H, 1, dh, H);
}

/* h_before (rows,H) = h(t-1): the output of the step before, or h0 for the rows that began at t. */
static void gather_before(const sweep *w, int t, int first, int rows, tg_real *h_before)
{
    const sequence *q = w->s.sequence;
    const int H = w->s.H, before = w->s.reverse ? t + 1 : t - 1;
    const int ran = before < 0 || before >= q->steps ? 0 : tg__sweep_rows(q, before, first, first + rows);
    for (int i = 0; i < rows; i++)
        memcpy(h_before + at(i, H),
               i < ran ? w->y_in + at(q->offset[before] + first + i, w->s.y_stride)
                       : w->h0 + at(first + i, H),
               (size_t)H * sizeof *h_before);
}

static void backward_block(void *argument, int block)
{
    const sweep *w = argument;
    const sequence *q = w->s.sequence;
    const int H = w->s.H, first = (int)tg__piece_start(q->B, w->blocks, block),
              last = (int)tg__piece_start(q->B, w->blocks, block + 1);
    for (int k = q->steps - 1; k >= 0; k--) {
        const int t = w->s.reverse ? q->steps - 1 - k : k, rows = tg__sweep_rows(q, t, first, last),
                  token = q->offset[t] + first;
        if (!rows) continue;
        tg_real *dh = w->dh + at(first, H), *h_before = w->h_before + at(token, H);
        gather_before(w, t, first, rows, h_before);
        for (int i = 0; i < rows; i++) { /* dL/dh(t): what came back from step t+1, and what y(t) received */
            const tg_real *dy = w->dy + at(token + i, w->s.y_stride);
            for (int j = 0; j < H; j++) dh[at(i, H) + (size_t)j] += dy[j];
        }
        tg__gru_step_backward(&w->cell, rows, h_before, dh, w->saved.gates + at(token, 3 * H),
                              w->saved.q ? w->saved.q + at(token, H) : NULL, w->rh + at(token, H),
                              w->drh + at(first, H));
    }
}

void tg__gru_recurrent_gradients(tg_context *cx, int N, int H, bool reset_after, const tg_real *h_before,
                                 const tg_real *rh, gru_saved saved, gru_gradients d)
{
    const tg_real *dgates = saved.gates, *dg = dgates + 2 * H; /* dz dr dg side by side (N,3H) */
    tg__matmul(cx, TRANSPOSED, NORMAL, H, 2 * H, N, h_before, H, dgates, 3 * H, NULL, 1, d.W_h,
               3 * H); /* dW_hz, dW_hr */
    tg__add_rows(cx, N, 3 * H, dgates, 3 * H, d.b);
    if (reset_after) {
        tg__matmul(cx, TRANSPOSED, NORMAL, H, H, N, h_before, H, saved.q, H, NULL, 1, d.W_h + 2 * H,
                   3 * H); /* dW_hg += h' dq */
        tg__add_rows(cx, N, 2 * H, dgates, 3 * H, d.b_h);
        tg__add_rows(cx, N, H, saved.q, H, d.b_h + 2 * H);
    } else {
        tg__matmul(cx, TRANSPOSED, NORMAL, H, H, N, rh, H, dg, 3 * H, NULL, 1, d.W_h + 2 * H,
                   3 * H); /* dW_hg += (r*h)' dg */
    }
}

size_t tg__gru_backward_scratch(gru_shape s)
{
    return (size_t)s.H * (2 * (size_t)s.sequence->tokens + (size_t)s.sequence->B);
}

void tg__gru_backward(tg_context *cx, gru_shape s, gru_weights w, gru_gradients d, const tg_real *x,
                      const tg_real *h0, const tg_real *y, const tg_real *dy, gru_saved saved, tg_real *dh,
                      tg_real *dx, tg_real *scratch, tg_real *panels)
{
    const sequence *q = s.sequence;
    const int H = s.H, I = s.I, N = q->tokens;
    tg_real *h_before = scratch, *rh = scratch + at(N, H), *drh = rh + at(N, H);

    sweep all = { .s = s,
                  .cell =
                      tg__gru_cell(cx, TRANSPOSED, H, s.reset_after, w, tg__sweep_packs(q) ? panels : NULL),
                  .blocks = tg__sweep_blocks(q->B),
                  .h0 = h0,
                  .y_in = y,
                  .dy = dy,
                  .dh = dh,
                  .saved = saved,
                  .rh = rh,
                  .h_before = h_before,
                  .drh = drh };
    tg__team_run(cx, all.blocks, backward_block, &all);

    tg__matmul(cx, TRANSPOSED, NORMAL, I, 3 * H, N, x, I, saved.gates, 3 * H, NULL, 1, d.W_x,
               3 * H); /* dW_x += x' d */
    tg__gru_recurrent_gradients(cx, N, H, s.reset_after, h_before, rh, saved, d);
    if (dx)
        tg__matmul(cx, NORMAL, TRANSPOSED, N, I, 3 * H, saved.gates, 3 * H, w.W_x, 3 * H, NULL, 1, dx,
                   I); /* dx += d W_x' */
}
