/* The recurrent layer: lengths, states, directions, steps against sequences. */
#include <math.h>
#include <string.h>
#include <tidegate/tidegate.h>

#include "core/context.h"
#include "core/team.h"
#include "kernels/recurrent/plan.h"
#include "layers/layer.h"
#include "rnn_fixture.h"

static const tg_rnn_config configs[] = {
    { .layers = 1 },
    { .layers = 3 },
    { .layers = 2, .layer_norm = true },
    { .cell = TG_LSTM, .bidirectional = true, .layer_norm = true },
#define TG_CELL(enumerator, file, name)                                                                      \
    { .cell = enumerator, .layers = 2 }, { .cell = enumerator, .layers = 2, .bidirectional = true },
#include <tidegate/cells.def>
#undef TG_CELL
};
enum { CONFIGS = sizeof configs / sizeof *configs };

/* Zoneout and dropout of the state: the same bits as without, for every cell; and in training other ones. */
START_TEST(masks_inside_the_cell_are_exactly_off_in_evaluation)
{
    enum { T = 4, B = 3 };
    tg_real x[T * B * I];
    fill(x, T * B * I);
    for (int cell = 0; cell < TG_CELLS; cell++)
        for (int mode = TG_TRAIN; mode <= TG_EVAL; mode++) {
            const tg_real zoneout = (tg_real)0.4;
            fixture plain = fixture_new(&(tg_rnn_config){ .cell = (tg_cell)cell }),
                    masked = fixture_new(&(tg_rnn_config){
                        .cell = (tg_cell)cell, .zoneout = zoneout, .state_dropout = (tg_real)0.5 });
            tg_tensor *y[2];
            for (int k = 0; k < 2; k++) {
                fixture *f = k ? &masked : &plain;
                tg_tape_begin(f->t, (tg_mode)mode);
                y[k] = tg_rnn_run(f->rnn, f->t, tg_input(f->t, 3, (int[]){ T, B, I }, x), NULL, NULL, NULL);
            }
            const bool same = !memcmp(y[0]->data, y[1]->data, T * B * H * sizeof(tg_real));
            ck_assert_msg(same == (mode == TG_EVAL), "%s, mode %d", tg_cell_name((tg_cell)cell), mode);
            tg_context_free(plain.cx);
            tg_context_free(masked.cx);
        }
}
END_TEST

START_TEST(steps_equal_sequences)
{
    enum { T = 9, B = 3 };
    for (int c = 0; c < CONFIGS; c++) {
        if (configs[c].bidirectional) continue;
        fixture f = fixture_new(&configs[c]);
        tg_real x[T * B * I];
        fill(x, T * B * I);
        tg_tape_begin(f.t, TG_EVAL);
        tg_tensor *in = tg_input(f.t, 3, (int[]){ T, B, I }, x);
        tg_state whole, state = tg_state_new(f.cx, f.rnn, B);
        tg_tensor *y = tg_rnn_run(f.rnn, f.t, in, NULL, NULL, &whole);
        for (int t = 0; t < T; t++)
            assert_near(tg_rnn_step(f.rnn, f.t, tg_row(f.t, in, t), &state, &state)->data,
                        y->data + t * B * H, B * H, "a step's output");
        assert_near(state.h->data, whole.h->data, tg_tensor_size(whole.h), "the state h");
        if (whole.c) assert_near(state.c->data, whole.c->data, tg_tensor_size(whole.c), "the state c");
        ck_assert_msg(tg_context_ok(f.cx), "%s", tg_context_message(f.cx));
        tg_context_free(f.cx);
    }
}
END_TEST

START_TEST(two_halves_with_carried_state_equal_the_whole)
{
    enum { T = 8, B = 2 };
    fixture f = fixture_new(&configs[1]);
    tg_real x[T * B * I];
    fill(x, T * B * I);
    tg_state carried = tg_state_new(f.cx, f.rnn, B), after;
    tg_tape_begin(f.t, TG_TRAIN);
    tg_rnn_run(f.rnn, f.t, tg_input(f.t, 3, (int[]){ T / 2, B, I }, x), NULL, &carried, &after);
    for (size_t i = 0; i < tg_tensor_size(carried.h); i++)
        ck_assert(carried.h->data[i] == 0); /* in is left alone */
    tg_state_keep(&carried, &after);
    tg_tape_begin(f.t, TG_TRAIN);
    tg_tensor *second = tg_rnn_run(f.rnn, f.t, tg_input(f.t, 3, (int[]){ T / 2, B, I }, x + T / 2 * B * I),
                                   NULL, &carried, NULL);
    tg_tape *t2 = tg_tape_new(f.cx);
    tg_tape_begin(t2, TG_EVAL);
    tg_tensor *whole = tg_rnn_run(f.rnn, t2, tg_input(t2, 3, (int[]){ T, B, I }, x), NULL, NULL, NULL);
    assert_near(second->data, whole->data + T / 2 * B * H, T / 2 * B * H, "the second half");
    tg_context_free(f.cx);
}
END_TEST

/* Each row of a padded batch, of any length, gives what it gives alone: outputs, state, gradients of its
 * input; and padding gives 0 and gets no gradient, even if some arrives there. */
START_TEST(padded_batches_equal_unpadded_singles)
{
    enum { T = 7, B = 5 };
    const int lengths[B] = { 4, 7, 0, 1, 4 };
    for (int c = 0; c < CONFIGS; c++) {
        fixture f = fixture_new(&configs[c]);
        const int width = configs[c].bidirectional ? 2 * H : H,
                  parts = (configs[c].layers ? configs[c].layers : 1) * width / H;
        tg_real x[T * B * I], dy[T * B * 2 * H];
        fill(x, T * B * I);
        fill(dy, T * B * 2 * H);
        tg_tape_begin(f.t, TG_TRAIN);
        tg_state state;
        tg_tensor *in = tg_input(f.t, 3, (int[]){ T, B, I }, x),
                  *y = tg_rnn_run(f.rnn, f.t, in, lengths, NULL, &state);
        ck_assert_int_eq(tg_tape_backward_from(f.t, 1, &y, (const tg_real *const[]){ dy }), TG_OK);
        for (int b = 0; b < B; b++) {
            for (int t = lengths[b]; t < T; t++)
                for (int j = 0; j < width; j++) ck_assert(y->data[(t * B + b) * width + j] == 0);
            for (int t = lengths[b]; t < T; t++)
                for (int j = 0; j < I; j++) ck_assert(in->grad[(t * B + b) * I + j] == 0);
            if (!lengths[b]) {
                for (int k = 0; k < parts; k++)
                    for (int j = 0; j < H; j++) ck_assert(state.h->data[(k * B + b) * H + j] == 0);
                continue;
            }
            tg_tape *alone = tg_tape_new(f.cx);
            tg_real x1[T * I], dy1[T * 2 * H];
            for (int t = 0; t < lengths[b]; t++) {
                memcpy(x1 + t * I, x + (t * B + b) * I, sizeof(tg_real) * I);
                memcpy(dy1 + t * width, dy + (t * B + b) * width, sizeof(tg_real) * (size_t)width);
            }
            tg_tape_begin(alone, TG_TRAIN);
            tg_state state1;
            tg_tensor *in1 = tg_input(alone, 3, (int[]){ lengths[b], 1, I }, x1),
                      *y1 = tg_rnn_run(f.rnn, alone, in1, NULL, NULL, &state1);
            ck_assert_int_eq(tg_tape_backward_from(alone, 1, &y1, (const tg_real *const[]){ dy1 }), TG_OK);
            for (int t = 0; t < lengths[b]; t++) {
                assert_near(y1->data + t * width, y->data + (t * B + b) * width, (size_t)width, "an output");
                assert_near(in1->grad + t * I, in->grad + (t * B + b) * I, I, "an input's gradient");
            }
            for (int k = 0; k < parts; k++) {
                assert_near(state1.h->data + k * H, state.h->data + (k * B + b) * H, H, "a state h");
                if (state.c)
                    assert_near(state1.c->data + k * H, state.c->data + (k * B + b) * H, H, "a state c");
            }
        }
        tg_context_free(f.cx);
    }
}
END_TEST

/* A batch, and gradients of all weights, then of x, then of the state before. */
enum { WIDE_I = 20, WIDE_H = 40, NUMBERS = 100000 };
typedef struct batch {
    int T, B;
    const int *lengths;
    const tg_real *x, *h0, *dy, *dh; /* h0, dh: (layers * directions,B,H) */
    size_t n;
    double sum[NUMBERS];
} batch;

/* to (blocks,rows,D) = those rows of x (blocks,B,D) */
static void take_rows(int blocks, int B, int D, int first, int rows, const tg_real *x, tg_real *to)
{
    for (int k = 0; k < blocks; k++)
        memcpy(to + k * rows * D, x + (k * B + first) * D, sizeof *to * (size_t)(rows * D));
}

static void add_rows(int blocks, int B, int D, int first, int rows, const tg_real *x, double *sum)
{
    for (int k = 0; k < blocks; k++)
        for (int i = 0; i < rows * D; i++) sum[(k * B + first) * D + i] += (double)x[k * rows * D + i];
}

/* Adds what some rows give when they are a batch of their own. */
static void add_gradients(tg_tape *t, tg_params *ps, tg_rnn *rnn, const tg_rnn_config *c, batch *b, int first,
                          int rows)
{
    static tg_real x[NUMBERS], h0[NUMBERS], dy[NUMBERS], dh[NUMBERS], g[NUMBERS];
    const int width = c->bidirectional ? 2 * WIDE_H : WIDE_H,
              parts = (c->layers ? c->layers : 1) * width / WIDE_H;
    take_rows(b->T, b->B, WIDE_I, first, rows, b->x, x);
    take_rows(parts, b->B, WIDE_H, first, rows, b->h0, h0);
    take_rows(b->T, b->B, width, first, rows, b->dy, dy);
    take_rows(parts, b->B, WIDE_H, first, rows, b->dh, dh);
    tg_params_zero_gradients(ps);
    tg_tape_begin(t, TG_TRAIN);
    tg_tensor *in = tg_input(t, 3, (int[]){ b->T, rows, WIDE_I }, x),
              *before = tg_input(t, 3, (int[]){ parts, rows, WIDE_H }, h0);
    tg_state state = { before }, after;
    tg_tensor *out[2] = { tg_rnn_run(rnn, t, in, b->lengths ? b->lengths + first : NULL, &state, &after) };
    out[1] = after.h;
    ck_assert_int_eq(tg_tape_backward_from(t, 2, out, (const tg_real *const[]){ dy, dh }), TG_OK);
    double *sum = b->sum;
    for (int p = 0; p < tg_params_count(ps); p++) {
        tg_parameter_info info;
        tg_params_info(ps, p, &info);
        ck_assert_int_eq(tg_params_get_gradient(ps, info.name, g, info.size), TG_OK);
        for (size_t i = 0; i < info.size; i++) *sum++ += (double)g[i];
    }
    add_rows(b->T, b->B, WIDE_I, first, rows, in->grad, sum);
    sum += b->T * b->B * WIDE_I;
    add_rows(parts, b->B, WIDE_H, first, rows, before->grad, sum);
    b->n = (size_t)(sum - b->sum) + (size_t)(parts * b->B * WIDE_H);
}

/* Batches that are made in two parts, with few tokens and with many. */
START_TEST(gradients_of_a_batch_are_sums_of_those_of_its_rows)
{
    static tg_real numbers[NUMBERS];
    static batch whole, alone;
    static const int sizes[][2] = { { 5, 16 }, { 4, 19 }, { 33, 17 } };
    int lengths[19];
    const double bound = sizeof(tg_real) == 8 ? 1e-12 : 2e-5;
    tg__recurrent_sharing_override = 1;
    fill(numbers, NUMBERS);
    for (int k = 0; k < 6 * CONFIGS; k++) {
        const tg_rnn_config *c = &configs[k / 6];
        const int T = sizes[k % 3][0], B = sizes[k % 3][1];
        const bool ragged = k / 3 % 2;
        /* small sums are divided by their small deviation: in float the rounding of a gradient grows beyond the bound */
        if (c->layer_norm && sizeof(tg_real) == 4) continue;
        for (int row = 0; row < B; row++) lengths[row] = (row * 7 + 3) % (T + 1);
        tg_context *cx = tg_context_new(&(tg_context_config){ .seed = 4, .threads = 2 });
        tg_params *ps = tg_params_new(cx);
        tg_rnn *rnn = tg_rnn_new(ps, "rnn", WIDE_I, WIDE_H, c);
        tg_tape *t = tg_tape_new(cx);
        whole =
            (batch){ T, B, ragged ? lengths : NULL, numbers + 1, numbers + 3, numbers + 100, numbers + 17 };
        alone = whole;
        add_gradients(t, ps, rnn, c, &whole, 0, B);
        for (int row = 0; row < B; row++) add_gradients(t, ps, rnn, c, &alone, row, 1);
        ck_assert_uint_eq(whole.n, alone.n);
        for (size_t i = 0; i < whole.n; i++)
            if (!(fabs(whole.sum[i] - alone.sum[i]) <= bound * (1 + fabs(alone.sum[i]))))
                ck_abort_msg("configuration %d, T %d, B %d, %s: number %zu is %.9g, the rows' sum is %.9g",
                             k / 6, T, B, ragged ? "ragged" : "full", i, whole.sum[i], alone.sum[i]);
        tg_context_free(cx);
    }
}
END_TEST

START_TEST(length_zero_gives_the_state_that_went_in)
{
    enum { T = 3, B = 2 };
    fixture f = fixture_new(&configs[0]);
    tg_real x[T * B * I], h0[B * H];
    fill(x, T * B * I);
    fill(h0, B * H);
    tg_tape_begin(f.t, TG_TRAIN);
    tg_state in = { tg_input(f.t, 3, (int[]){ 1, B, H }, h0) }, out;
    tg_rnn_run(f.rnn, f.t, tg_input(f.t, 3, (int[]){ T, B, I }, x), (const int[]){ 0, 2 }, &in, &out);
    ck_assert(!memcmp(out.h->data, h0, sizeof(tg_real) * H));
    ck_assert(memcmp(out.h->data + H, h0 + H, sizeof(tg_real) * H));
    ck_assert_int_eq(tg_tape_backward_from(f.t, 1, &out.h, (const tg_real *const[]){ h0 }), TG_OK);
    ck_assert(!memcmp(in.h->grad, h0, sizeof(tg_real) * H)); /* and the gradient goes straight back */
    tg_context_free(f.cx);
}
END_TEST

START_TEST(reverse_direction_is_the_forward_one_on_the_reversed_row)
{
    enum { T = 5, B = 2 };
    const int lengths[B] = { 5, 3 };
    fixture f = fixture_new(&(tg_rnn_config){ .bidirectional = true });
    tg_rnn *plain = tg_rnn_new(f.ps, "plain", I, H, NULL);
    tg_real x[T * B * I], reversed[T * B * I] = { 0 }, value[H * H];
    fill(x, T * B * I);
    for (int b = 0; b < B; b++)
        for (int t = 0; t < lengths[b]; t++)
            memcpy(reversed + (t * B + b) * I, x + ((lengths[b] - 1 - t) * B + b) * I, sizeof(tg_real) * I);
    static const char *const names[] = {
        "W_xz", "W_hz", "b_z", "W_xr", "W_hr", "b_r", "W_xg", "W_hg", "b_g"
    };
    for (int k = 0; k < 9; k++) {
        char from[64], to[64];
        const size_t n = (size_t[]){ I * H, H * H, H }[k % 3];
        snprintf(from, sizeof from, "rnn/layer0/reverse/%s", names[k]);
        snprintf(to, sizeof to, "plain/layer0/forward/%s", names[k]);
        ck_assert_int_eq(tg_params_get(f.ps, from, value, n), TG_OK);
        ck_assert_int_eq(tg_params_set(f.ps, to, value, n), TG_OK);
    }
    tg_tape_begin(f.t, TG_EVAL);
    tg_tensor *y = tg_rnn_run(f.rnn, f.t, tg_input(f.t, 3, (int[]){ T, B, I }, x), lengths, NULL, NULL);
    tg_tensor *z =
        tg_rnn_run(plain, f.t, tg_input(f.t, 3, (int[]){ T, B, I }, reversed), lengths, NULL, NULL);
    ck_assert_msg(tg_context_ok(f.cx), "%s", tg_context_message(f.cx));
    for (int b = 0; b < B; b++)
        for (int t = 0; t < lengths[b]; t++)
            assert_near(y->data + (t * B + b) * 2 * H + H, z->data + ((lengths[b] - 1 - t) * B + b) * H, H,
                        "a reversed output");
    tg_context_free(f.cx);
}
END_TEST

/* ---- errors ---- */

static void assert_fails(fixture *f, tg_status status, const char *part)
{
    ck_assert_msg(tg_context_status(f->cx) == status, "%s", tg_context_message(f->cx));
    ck_assert_msg(strstr(tg_context_message(f->cx), part) != NULL, "'%s' does not say '%s'",
                  tg_context_message(f->cx), part);
    tg_context_clear(f->cx);
}

START_TEST(wrong_arguments_fail_with_their_numbers)
{
    fixture f = fixture_new(NULL);
    tg_rnn *two_ways = tg_rnn_new(f.ps, "both", I, H, &(tg_rnn_config){ .bidirectional = true });
    tg_real x[2 * 3 * I] = { 0 };
    const int shape[3] = { 2, 3, I };
    tg_state wrong = { tg_tensor_new(f.cx, 3, (int[]){ 1, 4, H }) }, right = tg_state_new(f.cx, f.rnn, 3);
    tg_tape_begin(f.t, TG_TRAIN);
    tg_rnn_run(f.rnn, f.t, tg_input(f.t, 3, (int[]){ 2, I, 3 }, x), NULL, NULL, NULL);
    assert_fails(&f, TG_ERR_SHAPE, "x is [2,6,3], it takes [T,B,6]");
    tg_rnn_run(f.rnn, f.t, tg_input(f.t, 3, shape, x), (const int[]){ 1, 3, 2 }, NULL, NULL);
    assert_fails(&f, TG_ERR_ARGUMENT, "the length of row 1 is 3, outside 0..2");
    tg_rnn_run(f.rnn, f.t, tg_input(f.t, 3, shape, x), (const int[]){ 1, 1, -1 }, NULL, NULL);
    assert_fails(&f, TG_ERR_ARGUMENT, "row 2 is -1");
    tg_rnn_run(f.rnn, f.t, tg_input(f.t, 3, shape, x), NULL, &wrong, NULL);
    assert_fails(&f, TG_ERR_SHAPE, "the state h is [1,4,10], it takes [1,3,10]");
    tg_rnn_run(two_ways, f.t, tg_input(f.t, 3, shape, x), NULL, &right, NULL);
    assert_fails(&f, TG_ERR_SHAPE, "the state h is [1,3,10], it takes [2,3,10]");
    tg_rnn_step(two_ways, f.t, tg_input(f.t, 2, (int[]){ 3, I }, x), NULL, NULL);
    assert_fails(&f, TG_ERR_ARGUMENT, "two directions");
    tg_rnn_new(f.ps, "late", I, H, NULL);
    assert_fails(&f, TG_ERR_STATE, "frozen");
    tg_context_free(f.cx);
}
END_TEST

START_TEST(layer_born_in_error_keeps_failing_with_a_sentence)
{
    fixture f = fixture_new(NULL);
    tg_rnn *no_size = tg_rnn_new(f.ps, "none", 0, H, NULL);
    assert_fails(&f, TG_ERR_ARGUMENT, "input size 0, hidden size 10");
    tg_linear *twice = (tg_linear_new(f.ps, "out", 2, 2, NULL), tg_linear_new(f.ps, "out", 2, 2, NULL));
    assert_fails(&f, TG_ERR_EXISTS, "'out/W'");
    tg_rnn_new(f.ps, "no dropout", I, H, &(tg_rnn_config){ .dropout = TG_ZERO });
    ck_assert_msg(tg_context_ok(f.cx), "%s", tg_context_message(f.cx));
    tg_rnn_new(f.ps, "dropped", I, H, &(tg_rnn_config){ .dropout = 1 });
    assert_fails(&f, TG_ERR_ARGUMENT, "dropout 1 is outside [0, 1)");
    const tg_real x[4] = { 0 };
    for (int k = 0; k < 2; k++) {
        tg_tape_begin(f.t, TG_EVAL);
        tg_rnn_run(no_size, f.t, tg_input(f.t, 3, (int[]){ 2, 2, 1 }, x), NULL, NULL, NULL);
        assert_fails(&f, TG_ERR_STATE, "could not be made");
        tg_linear_run(twice, f.t, tg_input(f.t, 2, (int[]){ 2, 2 }, x));
        assert_fails(&f, TG_ERR_STATE, "could not be made");
        tg_rnn_run(NULL, f.t, tg_input(f.t, 3, (int[]){ 2, 2, 1 }, x), NULL, NULL, NULL);
        assert_fails(&f, TG_ERR_STATE, "could not be made");
    }
    tg_context_free(f.cx);
}
END_TEST

START_TEST(shared_parameters_serve_another_context_and_cannot_be_trained)
{
    enum { T = 3, B = 2 };
    fixture f = fixture_new(&configs[1]);
    tg_real x[T * B * I];
    fill(x, T * B * I);
    tg_tape_begin(f.t, TG_EVAL);
    tg_tensor *y = tg_rnn_run(f.rnn, f.t, tg_input(f.t, 3, (int[]){ T, B, I }, x), NULL, NULL, NULL);
    fixture other = { .cx = tg_context_new(NULL) };
    other.ps = tg_params_share(other.cx, f.ps);
    other.rnn = tg_rnn_new(other.ps, "rnn", I, H, &configs[1]);
    other.t = tg_tape_new(other.cx);
    tg_tape_begin(other.t, TG_EVAL);
    tg_tensor *z =
        tg_rnn_run(other.rnn, other.t, tg_input(other.t, 3, (int[]){ T, B, I }, x), NULL, NULL, NULL);
    ck_assert_msg(tg_context_ok(other.cx), "%s", tg_context_message(other.cx));
    ck_assert(!memcmp(y->data, z->data, sizeof(tg_real) * T * B * H));
    tg_tape_begin(other.t, TG_TRAIN);
    tg_rnn_run(other.rnn, other.t, tg_input(other.t, 3, (int[]){ T, B, I }, x), NULL, NULL, NULL);
    assert_fails(&other, TG_ERR_STATE, "read only");
    tg_rnn_run(f.rnn, other.t, tg_input(other.t, 3, (int[]){ T, B, I }, x), NULL, NULL, NULL);
    assert_fails(&other, TG_ERR_STATE, "different contexts");
    tg_context_free(other.cx);
    tg_context_free(f.cx);
}
END_TEST

/* ---- memory ---- */

static long allocations;
static void *count_allocate(void *user, size_t bytes)
{
    (void)user;
    allocations++;
    return malloc(bytes);
}
static void count_release(void *user, void *block)
{
    (void)user;
    free(block);
}

START_TEST(steady_training_step_allocates_nothing)
{
    enum { T = 20, B = 8 };
    tg_context *cx = tg_context_new(
        &(tg_context_config){ .seed = 1, .allocate = count_allocate, .release = count_release });
    tg_params *ps = tg_params_new(cx);
    tg_embedding *embed = tg_embedding_new(ps, "embed", 30, I);
    tg_rnn *rnn = tg_rnn_new(ps, "rnn", I, H,
                             &(tg_rnn_config){ .layers = 2, .bidirectional = true, .dropout = (tg_real)0.1 });
    tg_linear *out = tg_linear_new(ps, "out", 2 * H, 30, NULL);
    tg_optimizer *adam = tg_adam_new(ps, NULL);
    tg_tape *t = tg_tape_new(cx);
    int id[T * B], lengths[B];
    for (int i = 0; i < T * B; i++) id[i] = i % 30;
    long steady = 0;
    for (int k = 0; k < 80; k++) {
        for (int b = 0; b < B; b++)
            lengths[b] = k < 2 ? T : (b + k) % (T + 1); /* full, then ragged with a period of T+1 */
        tg_tape_begin(t, TG_TRAIN);
        tg_tensor *y = tg_rnn_run(rnn, t, tg_embedding_run(embed, t, id, T, B), lengths, NULL, NULL);
        tg_tensor *loss = tg_cross_entropy(t, tg_linear_run(out, t, tg_dropout(t, y, (tg_real)0.1)), id,
                                           &(tg_cross_entropy_config){ .lengths = lengths });
        ck_assert_int_eq(tg_tape_backward(t, loss), TG_OK);
        tg_params_clip_norm(ps, 1);
        ck_assert_int_eq(tg_optimizer_step(adam), TG_OK);
        if (k == T + 5) steady = allocations; /* every shape was there once */
    }
#if defined(TG_DEBUG_ARENA) && TG_DEBUG_ARENA
    ck_assert_int_gt(allocations, steady); /* every piece is a block of its own there */
#else
    ck_assert_int_eq(allocations, steady);
#endif
    tg_context_free(cx);
}
END_TEST

/* Values and gradients; ids (T,B), and the same (B,T). */
START_TEST(batch_first_ids_give_what_the_transposed_ones_give)
{
    enum { T = 3, B = 5, V = 4, E = 2 };
    int by_time[T * B], by_row[B * T];
    tg_real gradient[2][V * E];
    for (int k = 0; k < T; k++)
        for (int b = 0; b < B; b++)
            by_row[b * T + k] = by_time[k * B + b] = (k * B + b) % 6 == 3 ? -1 : (k * B + b) % (V - 1);
    tg_context *cx = tg_context_new(NULL);
    tg_params *ps = tg_params_new(cx);
    tg_embedding *table = tg_embedding_new(ps, "table", V, E);
    tg_tape *t = tg_tape_new(cx);
    tg_tape_begin(t, TG_TRAIN);
    tg_tensor *y[2] = { tg_embedding_run(table, t, by_time, T, B),
                        tg_embedding_run_batch_first(table, t, by_row, B, T) };
    memset(by_row, 0, sizeof by_row); /* copied: no matter */
    ck_assert(tg__same_shape(y[0], y[1]));
    ck_assert_mem_eq(y[0]->data, y[1]->data, tg__size(y[0]) * sizeof(tg_real));
    for (int k = 0; k < 2; k++) {
        tg_tape_begin(t, TG_TRAIN);
        for (int i = 0; i < T * B; i++) by_row[i % B * T + i / B] = by_time[i];
        y[k] = k ? tg_embedding_run_batch_first(table, t, by_row, B, T)
                 : tg_embedding_run(table, t, by_time, T, B);
        tg_params_zero_gradients(ps);
        ck_assert_int_eq(tg_tape_backward(t, tg_sum(t, tg_multiply(t, y[k], y[k]))), TG_OK);
        ck_assert_int_eq(tg_params_get_gradient(ps, "table/W", gradient[k], V * E), TG_OK);
    }
    ck_assert_mem_eq(gradient[0], gradient[1], sizeof gradient[0]);
    tg_tape_begin(t, TG_TRAIN);
    tg_embedding_run_batch_first(table, t, (const int[]){ 0, 1, 4, 2 }, 2, 2);
    ck_assert_str_eq(tg_context_message(cx),
                     "tg_embedding_run: 'table': id 4 at step 0 of row 1, the table has 4 rows");
    tg_context_clear(cx);
    tg_embedding_run_batch_first(table, t, by_row, 0, 2);
    ck_assert_str_eq(tg_context_message(cx), "tg_embedding_run_batch_first: 'table': T is 2 and B is 0");
    tg_context_clear(cx);
    tg_embedding_run_batch_first(table, t, NULL, 2, 2);
    ck_assert_str_eq(tg_context_message(cx), "tg_embedding_run_batch_first: 'table': ids is NULL");
    tg_context_free(cx);
}
END_TEST

/* One call that each kind of layer refuses. */
static void refused(int kind, tg_params *ps, tg_tape *t)
{
    const int ids[2] = { 0, 9 }, too_long[2] = { 1, 2 };
    tg_tensor *x = tg_input(t, 3, (int[]){ 1, 2, 3 }, (tg_real[6]){ 0 });
    tg_memory memory = { x, x, too_long };
    switch (kind) {
    case 0: tg_embedding_run(tg_embedding_new(ps, "mine", 4, 3), t, ids, 1, 2); break;
    case 1: tg_linear_run(tg_linear_new(ps, "mine", 2, 3, NULL), t, x); break;
    case 2: tg_rnn_run(tg_rnn_new(ps, "mine", 2, 3, NULL), t, x, NULL, NULL, NULL); break;
    case 3:
        tg_attention_run(
            tg_attention_new(ps, "mine", 3, 3, &(tg_attention_config){ .kind = TG_ATTENTION_DOT }), t, x,
            &memory, NULL);
        break;
    default:
        tg_attention_rnn_run(
            tg_attention_rnn_new(ps, "mine", 3, 3, 3,
                                 &(tg_attention_rnn_config){ .attention = { .kind = TG_ATTENTION_DOT } }),
            t, x, NULL, &memory, NULL, NULL);
    }
}

START_TEST(layers_that_refuse_say_their_names)
{
    tg_context *mine = tg_context_new(NULL), *other = tg_context_new(NULL);
    tg_params *own = tg_params_new(mine);
    tg_linear *l = tg_linear_new(own, "mine", 2, 3, NULL);
    tg_tape *foreign = tg_tape_new(other);
    tg_tape_begin(foreign, TG_EVAL);
    tg_linear_run(l, foreign, tg_input(foreign, 2, (int[]){ 1, 2 }, (tg_real[2]){ 0 }));
    ck_assert_str_eq(
        tg_context_message(other),
        "tg_linear_run: layer 'mine' and tape belong to different contexts: see tg_params_share");
    tg_context_free(other);
    tg_context_free(mine);
    for (int kind = 0; kind < 5; kind++) {
        tg_context *cx = tg_context_new(NULL);
        tg_params *ps = tg_params_new(cx);
        tg_tape *t = tg_tape_new(cx);
        tg_tape_begin(t, TG_EVAL);
        refused(kind, ps, t);
        ck_assert_msg(!tg_context_ok(cx) && strstr(tg_context_message(cx), ": 'mine"), "kind %d: %s", kind,
                      tg_context_message(cx));
        tg_context_free(cx);
    }
}
END_TEST

TG_TEST_MAIN("layers/rnn", steps_equal_sequences, masks_inside_the_cell_are_exactly_off_in_evaluation,
             two_halves_with_carried_state_equal_the_whole, padded_batches_equal_unpadded_singles,
             gradients_of_a_batch_are_sums_of_those_of_its_rows, length_zero_gives_the_state_that_went_in,
             reverse_direction_is_the_forward_one_on_the_reversed_row,
             batch_first_ids_give_what_the_transposed_ones_give, layers_that_refuse_say_their_names,
             wrong_arguments_fail_with_their_numbers, layer_born_in_error_keeps_failing_with_a_sentence,
             shared_parameters_serve_another_context_and_cannot_be_trained,
             steady_training_step_allocates_nothing)
