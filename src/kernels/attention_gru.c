/* kernels/attention_gru.c -- the unrolled GRU with attention; equations in attention_gru.h. */
#include "kernels/attention_gru.h"

#include <string.h>

#include "core/context.h"
#include "core/team.h"
#include "kernels/pointwise.h"

static size_t at(int row, int width) { return (size_t)row * (size_t)width; }

/* ---- weights ---- */

size_t tg__attention_gru_room(attention_gru_shape s, int D)
{
    const int F = tg__attention_gru_fed(s);
    const struct {
        int k, n;
    } W[] = { { F, 3 * s.H }, { s.R ? 0 : s.H, D }, { s.R ? s.H : 0, s.R }, { s.R ? s.M : 0, s.R } };
    size_t room = tg__gru_cell_room(s.H);
    for (size_t i = 0; i < sizeof W / sizeof *W; i++) {
        const size_t forward = tg__panels_room(W[i].k, W[i].n), backward = tg__panels_room(W[i].n, W[i].k);
        room += forward > backward ? forward : backward;
    }
    return room;
}

/* B (rows,columns), or its transpose, to be packed into what is left of *room. */
static matrix take_matrix(transposed direction, int rows, int columns, const tg_real *B, tg_real **room)
{
    const int k = direction == NORMAL ? rows : columns, n = direction == NORMAL ? columns : rows;
    tg_real *const panels = *room;
    if (*room) *room += tg__panels_room(k, n);
    return tg__matrix(direction, k, n, B, columns, panels);
}

attention_gru tg__attention_gru(tg_context *cx, transposed direction, attention_gru_shape s, int D,
                                attention_gru_weights w, tg_real *room)
{
    const int F = tg__attention_gru_fed(s);
    attention_gru m = { .s = s, .w = w, .cell = tg__gru_cell(direction, s.H, s.reset_after, w.gru, room) };
    if (room) room += tg__gru_cell_room(s.H);
    if (F) m.W_f = take_matrix(direction, F, 3 * s.H, w.gru.W_x + at(s.I, 3 * s.H), &room);
    if (!s.R) m.W_q = take_matrix(direction, s.H, D, w.W_q, &room);
    if (s.R) m.W_uh = take_matrix(direction, s.H, s.R, w.W_u, &room);
    if (s.R) m.W_uc = take_matrix(direction, s.M, s.R, w.W_u + at(s.H, s.R), &room);
    tg__gru_cell_pack(cx, true, &m.cell);
    tg__matrices_pack(cx, true, 4, (const matrix[]){ m.W_f, m.W_q, m.W_uh, m.W_uc });
    return m;
}

/* ---- forward ---- */

typedef struct sweep {
    const attention_gru *m;
    const attention_gru_run *r;
    const attention_gru_backward *b;
    int blocks;
    gru_strips strips;
} sweep;

/* Forward no number depends on where rows are cut: one block for each worker reads the weights least often, but not so many
 * rows that what is made of them leaves the cache. */
static int forward_blocks(const tg_context *cx, int B)
{
    enum { MOST_ROWS = 128 };
    const int least = tg__pieces(B, MOST_ROWS), most = tg__sweep_blocks(B);
    return cx->threads < least ? least : cx->threads < most ? cx->threads : most;
}

static sweep sweep_of(tg_context *cx, const attention_gru *m, const attention_gru_run *r,
                      const attention_gru_backward *b)
{
    const int B = r->sequence->B, blocks = b ? tg__sweep_blocks(B) : forward_blocks(cx, B);
    return (sweep){ m, r, b, blocks, tg__gru_strips(cx, &m->cell, blocks, tg__pieces(B, blocks), 1) };
}

/* `rows` rows from `first` on look at their sentences: queries (rows,D) of tokens from `token` on. */
static void look(const attention_gru_run *r, int first, int rows, int token, const tg_real *query)
{
    const attention_memory *x = &r->memory;
    for (int i = 0; i < rows; i++) {
        tg_real *a = r->a + at(token + i, x->S), *coverage = r->coverage + at(first + i, x->S);
        if (x->w) memcpy(r->coverage_before + at(token + i, x->S), coverage, (size_t)x->S * sizeof *a);
        tg__attention_look(x, r->sentence[first + i], query + at(i, x->D), x->w ? coverage : NULL, a,
                           r->c + at(token + i, x->M));
        for (int s = 0; x->w && s < x->S; s++) coverage[s] += a[s];
    }
}

/* u = tanh(h W_uh + c W_uc + b_u), copied to the state that is fed. */
static void attentional_vector(const attention_gru *m, const attention_gru_run *r, int first, int rows,
                               int token)
{
    const int R = m->s.R;
    tg_real *u = r->attentional + at(token, R);
    for (int i = 0; i < rows; i++) memcpy(u + at(i, R), m->w.b_u, (size_t)R * sizeof *u);
    tg__matrix_product(&m->W_uh, rows, r->y + at(token, m->s.H), m->s.H, 1, u, R);
    tg__matrix_product(&m->W_uc, rows, r->c + at(token, m->s.M), m->s.M, 1, u, R);
    tg__tanh(at(rows, R), u, u);
    if (m->s.feeds) memcpy(r->u + at(first, R), u, at(rows, R) * sizeof *u);
}

static void forward_step(const sweep *w, int block, int first, int rows, int token)
{
    const attention_gru *m = w->m;
    const attention_gru_run *r = w->r;
    const int H = m->s.H, D = r->memory.D;
    tg_real *h = r->h + at(first, H), *gates = r->saved.gates + at(token, 3 * H), *y = r->y + at(token, H);
    if (!m->s.R) {
        tg_real *query = r->query + at(token, D);
        tg__matrix_product(&m->W_q, rows, h, H, 0, query, D);
        look(r, first, rows, token, query);
        tg__matrix_product(&m->W_f, rows, r->c + at(token, m->s.M), m->s.M, 1, gates, 3 * H);
    } else if (m->s.feeds) {
        tg__matrix_product(&m->W_f, rows, r->u + at(first, m->s.R), m->s.R, 1, gates, 3 * H);
    }
    tg__gru_step(&m->cell, rows,
                 (gru_step){ .h_before = h,
                             .h_stride = H,
                             .y = y,
                             .y_stride = H,
                             .gates = gates,
                             .q = r->saved.q ? r->saved.q + at(token, H) : NULL,
                             .rh = r->saved.rh ? r->saved.rh + at(token, H) : NULL,
                             .strips = tg__gru_strips_of(w->strips, block) });
    memcpy(h, y, at(rows, H) * sizeof *h);
    if (m->s.R) {
        look(r, first, rows, token, y);
        attentional_vector(m, r, first, rows, token);
    }
}

static void forward_block(void *argument, int block)
{
    const sweep *w = argument;
    const sequence *q = w->r->sequence;
    const int first = (int)tg__piece_start(q->B, w->blocks, block),
              last = (int)tg__piece_start(q->B, w->blocks, block + 1);
    for (int t = 0; t < q->steps; t++) {
        const int rows = tg__sweep_rows(q, t, first, last);
        if (rows) forward_step(w, block, first, rows, q->offset[t] + first);
    }
}

void tg__attention_gru_forward(tg_context *cx, const attention_gru *m, const attention_gru_run *r)
{
    sweep w = sweep_of(cx, m, r, NULL);
    tg__team_run(cx, w.blocks, forward_block, &w);
}

/* ---- backward ---- */

/* The way back of look(): dcontext (rows,M) from `first` on -> dquery (rows,D), added to. */
static void look_backward(const sweep *w, int block, int first, int rows, int token, const tg_real *query,
                          tg_real *dquery)
{
    const attention_gru_run *r = w->r;
    const attention_gru_backward *b = w->b;
    const attention_memory *x = &r->memory;
    attention_gradients d = b->d;
    if (d.v) d.v += at(block, x->D);
    if (d.w) d.w += at(block, x->D);
    for (int i = 0; i < rows; i++)
        tg__attention_look_backward(x, r->sentence[first + i], query + at(i, x->D),
                                    x->w ? r->coverage_before + at(token + i, x->S) : NULL,
                                    r->a + at(token + i, x->S), b->dcontext + at(first + i, x->M), d,
                                    x->w ? b->dcoverage + at(first + i, x->S) : NULL, dquery + at(i, x->D),
                                    b->scratch + at(first + i, x->S));
}

/* du(t): what the next step fed and what u(t) received -> dh(t), dc(t) */
static void attentional_backward(const sweep *w, int first, int rows, int token)
{
    const attention_gru *m = w->m;
    const attention_gru_backward *b = w->b;
    const int R = m->s.R, H = m->s.H, M = m->s.M;
    tg_real *dpre = b->dpre + at(token, R);
    const tg_real *u = w->r->attentional + at(token, R), *du = b->dattentional + at(token, R),
                  *fed = m->s.feeds ? b->du + at(first, R) : NULL;
    for (size_t j = 0; j < at(rows, R); j++) dpre[j] = (du[j] + (fed ? fed[j] : 0)) * (1 - u[j] * u[j]);
    tg__matrix_product(&m->W_uh, rows, dpre, R, 1, b->dh + at(first, H), H);
    tg__matrix_product(&m->W_uc, rows, dpre, R, 1, b->dcontext + at(first, M), M);
}

static void backward_step(const sweep *w, int block, int first, int rows, int token)
{
    const attention_gru *m = w->m;
    const attention_gru_run *r = w->r;
    const attention_gru_backward *b = w->b;
    const int H = m->s.H, M = m->s.M, D = r->memory.D;
    tg_real *dh = b->dh + at(first, H), *dc = b->dcontext + at(first, M),
            *gates = r->saved.gates + at(token, 3 * H);
    const tg_real *y = r->y + at(token, H);

    memcpy(dc, b->dc + at(token, M), at(rows, M) * sizeof *dc);
    if (m->s.R) {
        attentional_backward(w, first, rows, token);
        look_backward(w, block, first, rows, token, y, dh);
    }
    tg__gru_step_backward(&m->cell, rows,
                          (gru_step){ .h_before = b->h_before + at(token, H),
                                      .h_stride = H,
                                      .gates = gates,
                                      .q = r->saved.q ? r->saved.q + at(token, H) : NULL,
                                      .dy = b->dy + at(token, H),
                                      .y_stride = H,
                                      .dh = dh,
                                      .drh = b->drh + at(first, H),
                                      .strips = tg__gru_strips_of(w->strips, block) });
    if (!m->s.R) {
        tg_real *dquery = b->dquery + at(token, D);
        tg__matrix_product(&m->W_f, rows, gates, 3 * H, 1, dc, M);
        memset(dquery, 0, at(rows, D) * sizeof *dquery);
        look_backward(w, block, first, rows, token, r->query + at(token, D), dquery);
        tg__matrix_product(&m->W_q, rows, dquery, D, 1, dh, H);
    } else if (m->s.feeds) {
        tg__matrix_product(&m->W_f, rows, gates, 3 * H, 0, b->du + at(first, m->s.R), m->s.R);
    }
}

static void backward_block(void *argument, int block)
{
    const sweep *w = argument;
    const sequence *q = w->r->sequence;
    const int first = (int)tg__piece_start(q->B, w->blocks, block),
              last = (int)tg__piece_start(q->B, w->blocks, block + 1);
    for (int t = q->steps - 1; t >= 0; t--) {
        const int rows = tg__sweep_rows(q, t, first, last);
        if (rows) backward_step(w, block, first, rows, q->offset[t] + first);
    }
}

void tg__attention_gru_backward(tg_context *cx, const attention_gru *m, const attention_gru_run *r,
                                const attention_gru_backward *b)
{
    sweep w = sweep_of(cx, m, r, b);
    tg__team_run(cx, w.blocks, backward_block, &w);
}
