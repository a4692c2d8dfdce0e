/* kernels/recurrent/attending.c -- see attending.h. */
#include "kernels/recurrent/attending.h"

#include <string.h>

#include "kernels/pointwise.h"

static size_t at(int row, int width) { return (size_t)row * (size_t)width; }

/* ---- weights ---- */

size_t tg__attending_room(attending_shape s, int D)
{
    const int F = tg__attending_fed(s);
    const struct {
        int k, n;
    } W[] = {
        { F, s.cell->gates * s.H }, { s.R ? 0 : s.H, D }, { s.R ? s.H : 0, s.R }, { s.R ? s.M : 0, s.R }
    };
    size_t room = 0;
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

attending_matrices tg__attending_matrices(tg_context *cx, transposed direction, attending_shape s, int D,
                                          attending_weights w, tg_real *room)
{
    const int F = tg__attending_fed(s), G = s.cell->gates * s.H;
    attending_matrices m = { .s = s, .w = w };
    if (F) m.W_f = take_matrix(direction, F, G, w.cell.W_x + at(s.I, G), &room);
    if (!s.R) m.W_q = take_matrix(direction, s.H, D, w.W_q, &room);
    if (s.R) m.W_uh = take_matrix(direction, s.H, s.R, w.W_u, &room);
    if (s.R) m.W_uc = take_matrix(direction, s.M, s.R, w.W_u + at(s.H, s.R), &room);
    tg__matrices_pack(cx, true, 4, (const matrix[]){ m.W_f, m.W_q, m.W_uh, m.W_uc });
    return m;
}

/* ---- forward ---- */

/* The rows look at their sentences with queries (rows,D). */
static void attend(const attending_run *r, const hook_rows *h, const tg_real *query)
{
    const attention_memory *x = &r->memory;
    for (int i = 0; i < h->rows; i++) {
        tg_real *a = r->a + at(h->token + i, x->S), *coverage = r->coverage + at(h->first + i, x->S);
        if (x->w) memcpy(r->coverage_before + at(h->token + i, x->S), coverage, (size_t)x->S * sizeof *a);
        tg__attention_look(x, r->sentence[h->first + i], query + at(i, x->D), x->w ? coverage : NULL, a,
                           r->c + at(h->token + i, x->M));
        for (int s = 0; x->w && s < x->S; s++) coverage[s] += a[s];
    }
}

/* gates += what is fed times its rows of W_x; of additive attention that is the context, which is computed first. */
static void before_step(void *user, const hook_rows *h)
{
    const attending_run *r = user;
    const attending_shape s = r->m->s;
    const int H = s.H, D = r->memory.D, G = s.cell->gates * H;
    if (!s.R) {
        tg_real *query = r->query + at(h->token, D);
        tg__matrix_product(&r->m->W_q, h->rows, h->h_before, H, 0, query, D);
        attend(r, h, query);
        tg__matrix_product(&r->m->W_f, h->rows, r->c + at(h->token, s.M), s.M, 1, h->gates, G);
    } else if (s.feeds) {
        tg__matrix_product(&r->m->W_f, h->rows, r->u + at(h->first, s.R), s.R, 1, h->gates, G);
    }
}

/* a, c and u = tanh(h W_uh + c W_uc + b_u), copied to the state that is fed. */
static void after_step(void *user, const hook_rows *h)
{
    const attending_run *r = user;
    const attending_shape s = r->m->s;
    const int R = s.R, token = h->token, rows = h->rows;
    if (!R) return;
    tg_real *u = r->attentional + at(token, R);
    attend(r, h, r->y + at(token, s.H));
    for (int i = 0; i < rows; i++) memcpy(u + at(i, R), r->m->w.b_u, (size_t)R * sizeof *u);
    tg__matrix_product(&r->m->W_uh, rows, r->y + at(token, s.H), s.H, 1, u, R);
    tg__matrix_product(&r->m->W_uc, rows, r->c + at(token, s.M), s.M, 1, u, R);
    tg__tanh(at(rows, R), u, u);
    if (s.feeds) memcpy(r->u + at(h->first, R), u, at(rows, R) * sizeof *u);
}

sweep_hooks tg__attending_forward(attending_run *r) { return (sweep_hooks){ r, before_step, after_step }; }

/* ---- backward ---- */

/* The gradients of attend(): dcontext (rows,M) -> dquery (rows,D), added to. */
static void attend_backward(const attending_backward *b, const hook_rows *h, const tg_real *query,
                            tg_real *dquery)
{
    const attending_run *r = b->r;
    const attention_memory *x = &r->memory;
    attention_gradients d = b->d;
    if (d.v) d.v += at(h->group, x->D);
    if (d.w) d.w += at(h->group, x->D);
    for (int i = 0; i < h->rows; i++)
        tg__attention_look_backward(x, r->sentence[h->first + i], query + at(i, x->D),
                                    x->w ? r->coverage_before + at(h->token + i, x->S) : NULL,
                                    r->a + at(h->token + i, x->S), b->dcontext + at(h->first + i, x->M), d,
                                    x->w ? b->dcoverage + at(h->first + i, x->S) : NULL, dquery + at(i, x->D),
                                    b->scratch + at(h->first + i, x->S));
}

/* du(t), which the next step's feeding and the output u(t) received -> dh(t), dc(t). */
static void attentional_backward(const attending_backward *b, const hook_rows *h)
{
    const attending_matrices *m = b->r->m;
    const int R = m->s.R, H = m->s.H, M = m->s.M;
    tg_real *dpre = b->dpre + at(h->token, R);
    const tg_real *u = b->r->attentional + at(h->token, R), *du = b->dattentional + at(h->token, R),
                  *fed = m->s.feeds ? b->du + at(h->first, R) : NULL;
    for (size_t j = 0; j < at(h->rows, R); j++) dpre[j] = (du[j] + (fed ? fed[j] : 0)) * (1 - u[j] * u[j]);
    tg__matrix_product(&m->W_uh, h->rows, dpre, R, 1, h->dh, H);
    tg__matrix_product(&m->W_uc, h->rows, dpre, R, 1, b->dcontext + at(h->first, M), M);
}

static void before_step_backward(void *user, const hook_rows *h)
{
    const attending_backward *b = user;
    const attending_shape s = b->r->m->s;
    memcpy(b->dcontext + at(h->first, s.M), b->dc + at(h->token, s.M), at(h->rows, s.M) * sizeof *b->dc);
    if (!s.R) return;
    attentional_backward(b, h);
    attend_backward(b, h, b->r->y + at(h->token, s.H), h->dh);
}

static void after_step_backward(void *user, const hook_rows *h)
{
    const attending_backward *b = user;
    const attending_matrices *m = b->r->m;
    const int H = m->s.H, M = m->s.M, D = b->r->memory.D, G = m->s.cell->gates * H;
    if (!m->s.R) {
        tg_real *dquery = b->dquery + at(h->token, D);
        tg__matrix_product(&m->W_f, h->rows, h->gates, G, 1, b->dcontext + at(h->first, M), M);
        memset(dquery, 0, at(h->rows, D) * sizeof *dquery);
        attend_backward(b, h, b->r->query + at(h->token, D), dquery);
        tg__matrix_product(&m->W_q, h->rows, dquery, D, 1, h->dh, H);
    } else if (m->s.feeds) {
        tg__matrix_product(&m->W_f, h->rows, h->gates, G, 0, b->du + at(h->first, m->s.R), m->s.R);
    }
}

sweep_hooks tg__attending_backward(attending_backward *b)
{
    return (sweep_hooks){ b, before_step_backward, after_step_backward };
}
