/* kernels/gru.c -- the unrolled GRU and its gradients; equations and layout in gru.h.
 *
 * Order of work: one product for the input side of all steps; the recurrent weights packed once; then the
 * sweep, step by step, with the recurrent products; backward the sweep in the other direction, and after
 * it one product for each weight gradient. The sweep is cut into blocks of rows of the batch, which do not
 * meet, so a block runs from the first step to the last on one worker. */
#include "kernels/gru.h"

#include <string.h>

#include "core/team.h"
#include "kernels/blas.h"
#include "kernels/panels.h"
#include "kernels/simd/table.h"

/* A recurrent weight matrix (k,n) as the sweep multiplies with it: packed where that pays. */
typedef struct matrix {
    transposed b;
    int k, n, stride;
    const tg_real *B;
    const tg_real *panels; /* NULL: not packed */
} matrix;

typedef struct sweep {
    gru_shape s;
    gru_weights w;
    matrix zr, g; /* forward W_hz and W_hr side by side, W_hg; backward their transposes */
    const simd_table *simd;
    int blocks;
    const tg_real *h0, *y_in, *dy; /* backward */
    tg_real *h, *y, *dh;
    gru_saved saved;
    tg_real *rh;       /* forward (B,H); backward (tokens,H): r * h_before, for dW_hg */
    tg_real *h_before; /* (tokens,H): h(t-1) of every token, backward */
    tg_real *drh;      /* (B,H) */
} sweep;

/* Blocks of at most 32 rows, at least two where there are 16 rows: a function of B alone. */
static int row_blocks(int B)
{
    const int blocks = tg__pieces(B, 32);
    return blocks < 2 && B >= 16 ? 2 : blocks;
}

static size_t at(int row, int width) { return (size_t)row * (size_t)width; }

/* Packing costs about one step: it does not pay for one step, nor for one row, which reads every weight
 * but once a step. */
static bool worth_packing(const sequence *q) { return q->B > 1 && q->steps > 1; }

size_t tg__gru_panels_room(gru_shape s)
{
    const size_t forward = tg__panels_room(s.H, 2 * s.H), backward = tg__panels_room(2 * s.H, s.H);
    return worth_packing(s.sequence) ? (forward > backward ? forward : backward) + tg__panels_room(s.H, s.H)
                                     : 0;
}

static void pack_weights(tg_context *cx, sweep *w, transposed b, tg_real *room)
{
    const int H = w->s.H;
    w->zr = (matrix){ b, b == NORMAL ? H : 2 * H, b == NORMAL ? 2 * H : H, 3 * H, w->w.W_h, NULL };
    w->g = (matrix){ b, H, H, 3 * H, w->w.W_h + 2 * H, NULL }; /* the third gate's columns of W_h (H,3H) */
    if (!worth_packing(w->s.sequence)) return;
    tg_real *const g = room + tg__panels_room(w->zr.k, w->zr.n);
    tg__panels_pack(cx, b, w->zr.k, w->zr.n, w->zr.B, 3 * H, room);
    tg__panels_pack(cx, b, H, H, w->g.B, 3 * H, g);
    w->zr.panels = room;
    w->g.panels = g;
}

/* C (rows,n) = A (rows,k) B + keep * C */
static void multiply(const matrix *m, int rows, const tg_real *A, int A_stride, int keep, tg_real *C,
                     int C_stride)
{
    if (m->panels)
        tg__panels_product(rows, m->n, m->k, A, A_stride, m->panels, keep, C, C_stride);
    else
        tg__matmul_piece(NORMAL, m->b, rows, m->n, m->k, A, A_stride, m->B, m->stride, keep, C, C_stride);
}

/* Rows of block [first, last) that run at step t. */
static int rows_at(const sequence *q, int t, int first, int last)
{
    const int end = q->active[t] < last ? q->active[t] : last;
    return end > first ? end - first : 0;
}

/* ---- forward ---- */

/* One step of one block. In `gates` stands x(t) W_x, for z, r and g. */
static void forward_step(const sweep *w, int rows, tg_real *h, tg_real *gates, tg_real *q, tg_real *rh,
                         tg_real *y)
{
    const int H = w->s.H;

    /* z and r:  + h(t-1) W_hz, + h(t-1) W_hr */
    multiply(&w->zr, rows, h, H, 1, gates, 3 * H);
    if (w->s.reset_after) {
        /* q = h(t-1) W_hg */
        multiply(&w->g, rows, h, H, 0, q, H);
        w->simd->gru_output_reset_after(rows, H, w->w.b, w->w.b_h, gates, q, h, y, w->s.y_stride);
    } else {
        w->simd->gru_update_and_reset(rows, H, w->w.b, h, gates, rh);
        /* g:  + (r * h(t-1)) W_hg */
        multiply(&w->g, rows, rh, H, 1, gates + 2 * H, 3 * H);
        w->simd->gru_output(rows, H, w->w.b, gates, h, y, w->s.y_stride);
    }
}

static void forward_block(void *argument, int block)
{
    const sweep *w = argument;
    const sequence *q = w->s.sequence;
    const int H = w->s.H, first = (int)tg__piece_start(q->B, w->blocks, block),
              last = (int)tg__piece_start(q->B, w->blocks, block + 1);
    for (int k = 0; k < q->steps; k++) {
        const int t = w->s.reverse ? q->steps - 1 - k : k, rows = rows_at(q, t, first, last),
                  token = q->offset[t] + first;
        if (!rows) continue;
        forward_step(w, rows, w->h + at(first, H), w->saved.gates + at(token, 3 * H),
                     w->saved.q ? w->saved.q + at(token, H) : NULL, w->rh + at(first, H),
                     w->y + at(token, w->s.y_stride));
    }
}

void tg__gru_forward(tg_context *cx, gru_shape s, gru_weights w, const tg_real *x, tg_real *h, tg_real *y,
                     gru_saved saved, tg_real *scratch, tg_real *panels)
{
    const sequence *q = s.sequence;
    tg__matmul(cx, NORMAL, NORMAL, q->tokens, 3 * s.H, s.I, x, s.I, w.W_x, 3 * s.H, NULL, 0, saved.gates,
               3 * s.H);
    sweep all = { .s = s,
                  .w = w,
                  .simd = tg__simd(),
                  .blocks = row_blocks(q->B),
                  .h = h,
                  .y = y,
                  .saved = saved,
                  .rh = scratch };
    pack_weights(cx, &all, NORMAL, panels);
    tg__team_run(cx, all.blocks, forward_block, &all);
}

/* ---- backward ---- */

/* One step of one block. dh holds dL/dh(t), and leaves as dL/dh(t-1). The saved gates z r g become
 * dz dr dg, the gradients before sigmoid and tanh; a saved q becomes dq. */
static void backward_step(const sweep *w, int rows, const tg_real *h_before, tg_real *dh, tg_real *gates,
                          tg_real *q, tg_real *rh, tg_real *drh)
{
    const int H = w->s.H;

    if (w->s.reset_after) {
        w->simd->gru_backward_reset_after(rows, H, h_before, gates, q, dh);
        /* dh(t-1) += dq W_hg' */
        multiply(&w->g, rows, q, H, 1, dh, H);
    } else {
        w->simd->gru_backward_output(rows, H, h_before, gates, dh);
        /* d(r * h(t-1)) = dg W_hg' */
        multiply(&w->g, rows, gates + 2 * H, 3 * H, 0, drh, H);
        w->simd->gru_backward_reset(rows, H, h_before, drh, gates, dh, rh);
    }
    /* dh(t-1) += dz W_hz' + dr W_hr' */
    multiply(&w->zr, rows, gates, 3 * H, 1, dh, H);
}

/* h_before (rows,H) = h(t-1): the output of the step before, or h0 for the rows that began at t. */
static void gather_before(const sweep *w, int t, int first, int rows, tg_real *h_before)
{
    const sequence *q = w->s.sequence;
    const int H = w->s.H, before = w->s.reverse ? t + 1 : t - 1;
    const int ran = before < 0 || before >= q->steps ? 0 : rows_at(q, before, first, first + rows);
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
        const int t = w->s.reverse ? q->steps - 1 - k : k, rows = rows_at(q, t, first, last),
                  token = q->offset[t] + first;
        if (!rows) continue;
        tg_real *dh = w->dh + at(first, H), *h_before = w->h_before + at(token, H);
        gather_before(w, t, first, rows, h_before);
        for (int i = 0; i < rows; i++) { /* dL/dh(t): what came back from step t+1, and what y(t) received */
            const tg_real *dy = w->dy + at(token + i, w->s.y_stride);
            for (int j = 0; j < H; j++) dh[at(i, H) + (size_t)j] += dy[j];
        }
        backward_step(w, rows, h_before, dh, w->saved.gates + at(token, 3 * H),
                      w->saved.q ? w->saved.q + at(token, H) : NULL, w->rh + at(token, H),
                      w->drh + at(first, H));
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
                  .w = w,
                  .simd = tg__simd(),
                  .blocks = row_blocks(q->B),
                  .h0 = h0,
                  .y_in = y,
                  .dy = dy,
                  .dh = dh,
                  .saved = saved,
                  .rh = rh,
                  .h_before = h_before,
                  .drh = drh };
    pack_weights(cx, &all, TRANSPOSED, panels);
    tg__team_run(cx, all.blocks, backward_block, &all);

    const tg_real *dgates = saved.gates, *dg = dgates + 2 * H; /* dz dr dg side by side (N,3H) */
    tg__matmul(cx, TRANSPOSED, NORMAL, I, 3 * H, N, x, I, dgates, 3 * H, NULL, 1, d.W_x,
               3 * H); /* dW_x += x' d */
    tg__matmul(cx, TRANSPOSED, NORMAL, H, 2 * H, N, h_before, H, dgates, 3 * H, NULL, 1, d.W_h,
               3 * H); /* dW_hz, dW_hr */
    tg__add_rows(cx, N, 3 * H, dgates, 3 * H, d.b);
    if (s.reset_after) {
        tg__matmul(cx, TRANSPOSED, NORMAL, H, H, N, h_before, H, saved.q, H, NULL, 1, d.W_h + 2 * H,
                   3 * H); /* dW_hg += h' dq */
        tg__add_rows(cx, N, 2 * H, dgates, 3 * H, d.b_h);
        tg__add_rows(cx, N, H, saved.q, H, d.b_h + 2 * H);
    } else {
        tg__matmul(cx, TRANSPOSED, NORMAL, H, H, N, rh, H, dg, 3 * H, NULL, 1, d.W_h + 2 * H,
                   3 * H); /* dW_hg += (r*h)' dg */
    }
    if (dx)
        tg__matmul(cx, NORMAL, TRANSPOSED, N, I, 3 * H, dgates, 3 * H, w.W_x, 3 * H, NULL, 1, dx,
                   I); /* dx += d W_x' */
}
