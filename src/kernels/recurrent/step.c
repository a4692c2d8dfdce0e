/* kernels/recurrent/step.c -- see step.h; gradients: docs/gradients.md. */
#include "kernels/recurrent/step.h"

#include <string.h>

#include "core/clones.h"
#include "core/context.h"
#include "kernels/recurrent/regularize.h"
#include "kernels/simd/table.h"

const recurrent_cell *tg__cell(int cell) { return tg__simd()->cells[cell]; }

/* ---- weights ---- */

static matrix matrix_in(transposed direction, int k, int n, const tg_real *W, int stride, tg_real **room)
{
    const matrix m = tg__matrix(direction, k, n, W, stride, *room);
    if (*room) *room += tg__panels_room(k, n);
    return m;
}

/* The columns of W_h that a product multiplies with. */
static const tg_real *columns_of(const recurrent_product *m, const tg_real *W_h, int H)
{
    return W_h + (size_t)m->column * (size_t)H;
}

size_t tg__step_weights_room(const recurrent_cell *cell, int H)
{
    const size_t forward = (size_t)cell->recurrent * tg__panels_room(H, H);
    size_t backward = 0;
    for (int p = 0; p < cell->phases; p++)
        for (int i = 0; i < cell->phase[p].products; i++)
            backward += tg__panels_room(cell->phase[p].product[i].columns * H, H);
    return forward > backward ? forward : backward;
}

step_weights tg__step_weights(transposed direction, const recurrent_cell *cell, int H, recurrent_weights w,
                              tg_real *room)
{
    step_weights s = { .cell = cell, .H = H, .w = w, .packed = room != NULL };
    const int stride = cell->recurrent * H;
    tg_real *none = NULL;
    for (int c = 0; c < cell->recurrent && direction == NORMAL; c++)
        s.column[c] = matrix_in(NORMAL, H, H, w.W_h + (size_t)c * (size_t)H, stride, &room);
    for (int p = 0; p < cell->phases; p++)
        for (int i = 0; i < cell->phase[p].products; i++) {
            const recurrent_product *m = &cell->phase[p].product[i];
            const tg_real *W = columns_of(m, w.W_h, H);
            s.product[p][i] = direction == NORMAL
                                  ? matrix_in(NORMAL, H, m->columns * H, W, stride, &none)
                                  : matrix_in(TRANSPOSED, m->columns * H, H, W, stride, &room);
        }
    return s;
}

void tg__step_weights_pack(tg_context *cx, int threads, const step_weights *w)
{
    matrix all[CELL_GATES + CELL_PHASES * CELL_PRODUCTS];
    int n = 0;
    if (!w->packed) return;
    for (int c = 0; c < w->cell->recurrent; c++) all[n++] = w->column[c];
    for (int p = 0; p < w->cell->phases; p++)
        for (int i = 0; i < w->cell->phase[p].products; i++) all[n++] = w->product[p][i];
    tg__matrices_pack_by(cx, threads, n, all);
}

/* ---- what products read ---- */

/* The most columns of a row that are packed at once: of the gradients of a product's target. */
static int most_columns(const recurrent_cell *cell)
{
    int most = 1;
    for (int p = 0; p < cell->phases; p++)
        for (int i = 0; i < cell->phase[p].products; i++)
            if (cell->phase[p].product[i].columns > most) most = cell->phase[p].product[i].columns;
    return most;
}

size_t tg__step_packing_room(const recurrent_cell *cell, int H, int rows, int sets)
{
    /* each row set may leave a part of its last row panel unused */
    const int k = most_columns(cell) * H;
    const size_t room = tg__left_room(rows, k);
    return room ? room + (size_t)(sets - 1) * (size_t)tg__simd()->product->strip_lanes * (size_t)k : 0;
}

/* The left-hand matrices of a call, one a row set. */
typedef struct left_sides {
    left_matrix of[MOST_ROW_SETS];
    tg_real *room;
} left_sides;

static void add_left_side(left_sides *A, int set, const step_rows *s, int k, const tg_real *array,
                          size_t stride)
{
    A->of[set] = tg__left(s->cell.rows, k, array, s->cell.row_step * (int)stride, A->room);
    if (A->room) A->room += tg__left_room(s->cell.rows, k);
}

static tg_real *column_of_gates(const cell_step *s, int column)
{
    return s->gates + (size_t)column * (size_t)s->H;
}
static tg_real *column_of_kept(const cell_step *s, int column)
{
    return s->kept + (size_t)column * (size_t)s->H;
}

static void sources_of(left_sides *A, int sets, const step_rows s[], const cell_phase *f)
{
    for (int i = 0; i < sets; i++) {
        const cell_step *c = &s[i].cell;
        const size_t H = (size_t)c->H;
        if (f->from == FROM_KEPT)
            add_left_side(A, i, &s[i], c->H, column_of_kept(c, f->kept), (size_t)c->kept_columns * H);
        else if (s[i].hidden)
            add_left_side(A, i, &s[i], c->H, s[i].hidden, H);
        else
            add_left_side(A, i, &s[i], c->H, c->before[0], c->before_stride[0]);
    }
}

/* Some columns of a matrix of the step: the result of a recurrent product, or the gradient of that result. */
typedef struct columns {
    tg_real *at;
    size_t stride;
} columns;

static columns target_of(const step_weights *w, const recurrent_product *m, const cell_step *s)
{
    const size_t H = (size_t)w->H;
    return m->into == INTO_GATES ? (columns){ column_of_gates(s, m->to), (size_t)s->gate_columns * H }
                                 : (columns){ column_of_kept(s, m->to), (size_t)s->kept_columns * H };
}

/* The gradients of a product's sums: those of its target, or what normalization makes of them. */
static columns gradient_of(const step_weights *w, const recurrent_product *m, const step_rows *s)
{
    const size_t H = (size_t)w->H;
    if (!s->norm_h) return target_of(w, m, &s->cell);
    return (columns){ s->dsum_h + (size_t)m->column * H, (size_t)w->cell->recurrent * H };
}

/* ---- blocks of units ----
 *
 * A block is a few panels wide: the result of a product is still in the cache when the element-wise function reads it, and so
 * are the weights when the next row set is multiplied with them. Weights that are not packed are not cut into blocks. */
typedef struct block {
    int first, end;
} block;

static bool next_block(const step_weights *w, const cell_step *s, block *b)
{
    enum { BLOCK_PANELS = 4 };
    const int most = w->packed ? BLOCK_PANELS * tg__simd()->product->panel_columns : w->H;
    b->first = b->end;
    b->end = s->end - b->first < most ? s->end : b->first + most;
    return b->first < s->end;
}
static block before_first_block(const cell_step *s) { return (block){ s->first, s->first }; }
static cell_step units_of_block(const cell_step *s, block b)
{
    cell_step c = *s;
    c.first = b.first, c.end = b.end;
    return c;
}

/* ---- forward ---- */

static void multiply(const step_weights *w, int phase, int i, const step_rows *s, block b, left_matrix A)
{
    const recurrent_product *m = &w->cell->phase[phase].product[i];
    const int H = w->H, keep = !s->norm_h && m->into == INTO_GATES;
    const columns C = s->norm_h ? (columns){ s->norm_h + (size_t)m->column * (size_t)H,
                                             (size_t)w->cell->recurrent * (size_t)H }
                                : target_of(w, m, &s->cell);
    const int stride = s->cell.row_step * (int)C.stride;
    if (!w->packed && b.first == 0 && b.end == H)
        tg__matrix_product(&w->product[phase][i], s->cell.rows, A.A, A.stride, keep, C.at, stride);
    else
        for (int c = 0; c < m->columns; c++)
            tg__matrix_product_columns(&w->column[m->column + c], b.first, b.end, s->cell.rows, A, keep,
                                       C.at + (size_t)c * (size_t)H, stride);
}

/* Before the products of a phase: masks what they read; normalizes the input side at the first. */
static void prepare(const step_weights *w, int phase, const step_rows *s)
{
    const cell_phase *f = &w->cell->phase[phase];
    const cell_step *c = &s->cell;
    const size_t step = (size_t)c->row_step, H = (size_t)c->H, G = (size_t)c->gate_columns;
    const size_t mask = step * s->hidden_mask_stride;
    if (s->hidden_mask && f->from == FROM_HIDDEN)
        tg__mask_rows(c->rows, c->H, c->before[0], step * c->before_stride[0], s->hidden_mask, mask,
                      s->hidden, step * H);
    if (s->hidden_mask && f->from == FROM_KEPT) {
        const size_t stride = step * (size_t)c->kept_columns * H;
        tg_real *kept = column_of_kept(c, f->kept);
        tg__mask_rows(c->rows, c->H, kept, stride, s->hidden_mask, mask, kept, stride);
    }
    if (!s->norm_x || phase > 0) return;
    for (int i = 0; i < c->rows; i++) {
        const size_t row = (size_t)i * step;
        tg_real *x = s->norm_x + row * G * H, *gates = c->gates + row * G * H;
        memcpy(x, gates, G * H * sizeof *x);
        tg__normalize_rows(1, c->gate_columns, c->H, x, 0, s->scale_x + row * G, 0);
        tg__scale_rows(1, c->gate_columns * c->H, w->w.gain_x, x, 0, false, gates, 0);
    }
}

/* The products of a phase with layer normalization: the sums, then what normalization makes of them, into their target. */
static void multiply_and_normalize(const step_weights *w, int phase, const step_rows *s, left_matrix A)
{
    const cell_phase *f = &w->cell->phase[phase];
    const size_t step = (size_t)s->cell.row_step, H = (size_t)w->H, R = (size_t)w->cell->recurrent;
    for (int i = 0; i < f->products; i++) {
        const recurrent_product *m = &f->product[i];
        const size_t column = (size_t)m->column;
        tg_real *sums = s->norm_h + column * H;
        const columns target = target_of(w, m, &s->cell);
        multiply(w, phase, i, s, (block){ 0, w->H }, A);
        tg__normalize_rows(s->cell.rows, m->columns, w->H, sums, step * R * H, s->scale_h + column, step * R);
        tg__scale_rows(s->cell.rows, m->columns * w->H, w->w.gain_h + column * H, sums, step * R * H,
                       m->into == INTO_GATES, target.at, step * target.stride);
    }
}

static void zoneout(const step_weights *w, const step_rows *s)
{
    const cell_step *c = &s->cell;
    const size_t step = (size_t)c->row_step, first = (size_t)c->first;
    for (int k = 0; k < w->cell->states; k++) {
        if (!s->zoneout[k]) continue;
        tg_real *state = k ? column_of_kept(c, k - 1) : c->y;
        const size_t stride = k ? (size_t)c->kept_columns * (size_t)c->H : c->y_stride;
        tg__zoneout_rows(c->rows, c->end - c->first, s->zoneout[k] + first, step * s->zoneout_stride,
                         c->before[k] + first, step * c->before_stride[k], state + first, step * stride);
    }
}

void tg__step_forward(const step_weights *w, int phase, int sets, const step_rows s[])
{
    const cell_phase *f = &w->cell->phase[phase];
    left_sides A = { .room = s->packing };
    for (int i = 0; i < sets; i++) prepare(w, phase, &s[i]);
    if (f->products) sources_of(&A, sets, s, f);
    if (s->norm_h) {
        for (int i = 0; i < sets; i++) {
            multiply_and_normalize(w, phase, &s[i], A.of[i]);
            f->forward(&s[i].cell);
        }
    } else {
        for (block b = before_first_block(&s->cell); next_block(w, &s->cell, &b);)
            for (int i = 0; i < sets; i++) {
                const cell_step part = units_of_block(&s[i].cell, b);
                for (int m = 0; m < f->products; m++) multiply(w, phase, m, &s[i], b, A.of[i]);
                f->forward(&part);
            }
    }
    for (int i = 0; phase == w->cell->phases - 1 && i < sets; i++) zoneout(w, &s[i]);
}

/* ---- backward ---- */

CLONED static void add_received(const cell_step *c, const tg_real *dy, tg_real *dh)
{
    const size_t step = (size_t)c->row_step, H = (size_t)c->H;
    for (int i = 0; i < c->rows; i++, dy += step * c->y_stride, dh += step * H)
        for (int j = c->first; j < c->end; j++) dh[j] += dy[j];
}

static void zoneout_backward(const step_weights *w, const step_rows *s)
{
    const cell_step *c = &s->cell;
    const size_t step = (size_t)c->row_step, first = (size_t)c->first;
    for (int k = 0; k < w->cell->states; k++)
        if (s->zoneout[k])
            tg__zoneout_rows_backward(c->rows, c->end - c->first, s->zoneout[k] + first,
                                      step * s->zoneout_stride, c->d[k] + first, s->retained[k] + first,
                                      step * (size_t)c->H);
}

static void retained_back(const step_weights *w, const step_rows *s)
{
    const cell_step *c = &s->cell;
    const size_t row = (size_t)c->row_step * (size_t)c->H;
    for (int k = 0; k < w->cell->states; k++)
        for (size_t i = 0; s->zoneout[k] && i < (size_t)c->rows; i++)
            for (int j = c->first; j < c->end; j++)
                c->d[k][i * row + (size_t)j] += s->retained[k][i * row + (size_t)j];
}

/* The gradients of the sums of a phase's products and, after the first phase, of the input side. */
static void normalize_backward_of(const step_weights *w, int phase, const step_rows *s)
{
    const cell_phase *f = &w->cell->phase[phase];
    const cell_step *c = &s->cell;
    const size_t step = (size_t)c->row_step, H = (size_t)w->H, R = (size_t)w->cell->recurrent,
                 G = (size_t)c->gate_columns;
    for (int i = 0; s->norm_h && i < f->products; i++) {
        const recurrent_product *m = &f->product[i];
        const size_t column = (size_t)m->column;
        const columns d = target_of(w, m, c);
        tg__normalize_rows_backward(c->rows, m->columns, w->H, w->w.gain_h + column * H,
                                    s->norm_h + column * H, step * R * H, s->scale_h + column, step * R, d.at,
                                    step * d.stride, s->dsum_h + column * H, step * R * H);
    }
    if (s->norm_x && phase == 0)
        tg__normalize_rows_backward(c->rows, c->gate_columns, w->H, w->w.gain_x, s->norm_x, step * G * H,
                                    s->scale_x, step * G, c->gates, step * G * H, s->dsum_x, step * G * H);
}

/* Takes the gradients of product i of a phase as the left side for its transposed product. */
static void gradients_of(left_sides *A, const step_weights *w, int phase, int i, int sets,
                         const step_rows s[])
{
    const recurrent_product *m = &w->cell->phase[phase].product[i];
    for (int k = 0; k < sets; k++) {
        const columns d = gradient_of(w, m, &s[k]);
        add_left_side(A, k, &s[k], m->columns * w->H, d.at, d.stride);
    }
}

static void transposed_product(const step_weights *w, int phase, int i, const step_rows *s, block b,
                               left_matrix A, int keep, tg_real *C)
{
    tg__matrix_product_columns(&w->product[phase][i], b.first, b.end, s->cell.rows, A, keep, C,
                               s->cell.row_step * w->H);
}

/* dkept = d(what a kept column was multiplied into) W_h', then the element-wise gradients of the phase that made it. */
static void kept_backward(const step_weights *w, int phase, int sets, const step_rows s[])
{
    left_sides A = { .room = s->packing };
    gradients_of(&A, w, phase + 1, 0, sets, s);
    for (block b = before_first_block(&s->cell); next_block(w, &s->cell, &b);)
        for (int i = 0; i < sets; i++) {
            cell_step part = units_of_block(&s[i].cell, b);
            const size_t step = (size_t)part.row_step, row = step * (size_t)w->H, first = (size_t)b.first;
            transposed_product(w, phase + 1, 0, &s[i], b, A.of[i], 0, s[i].dkept);
            if (s[i].hidden_mask)
                tg__mask_rows(part.rows, b.end - b.first, s[i].dkept + first, row, s[i].hidden_mask + first,
                              step * s[i].hidden_mask_stride, s[i].dkept + first, row);
            part.dkept = s[i].dkept;
            w->cell->phase[phase].backward(&part);
        }
}

void tg__step_backward(const step_weights *w, int phase, int sets, const step_rows s[])
{
    const int p = w->cell->phases - 1 - phase; /* forward */
    for (int i = 0; phase == 0 && i < sets; i++) {
        if (s[i].dy) add_received(&s[i].cell, s[i].dy, s[i].cell.d[0]);
        zoneout_backward(w, &s[i]);
    }
    if (phase > 0 && w->cell->phase[p + 1].from == FROM_KEPT)
        kept_backward(w, p, sets, s);
    else
        for (int i = 0; i < sets; i++) w->cell->phase[p].backward(&s[i].cell);
    for (int i = 0; i < sets; i++) normalize_backward_of(w, p, &s[i]);
}

void tg__step_backward_products(const step_weights *w, int sets, const step_rows s[])
{
    for (int p = 0; p < w->cell->phases; p++)
        for (int m = 0; w->cell->phase[p].from == FROM_HIDDEN && m < w->cell->phase[p].products; m++) {
            left_sides A = { .room = s->packing };
            gradients_of(&A, w, p, m, sets, s);
            for (block b = before_first_block(&s->cell); next_block(w, &s->cell, &b);)
                for (int i = 0; i < sets; i++) {
                    const cell_step *c = &s[i].cell;
                    const size_t row = (size_t)c->row_step * (size_t)w->H, first = (size_t)b.first;
                    if (!s[i].hidden_mask) {
                        transposed_product(w, p, m, &s[i], b, A.of[i], 1, c->d[0]);
                        continue;
                    }
                    transposed_product(w, p, m, &s[i], b, A.of[i], 0, s[i].dkept);
                    tg__add_masked_rows(c->rows, b.end - b.first, s[i].dkept + first, row,
                                        s[i].hidden_mask + first,
                                        (size_t)c->row_step * s[i].hidden_mask_stride, c->d[0] + first, row);
                }
        }
    for (int i = 0; i < sets; i++) retained_back(w, &s[i]);
}
