/* The recurrent layer: states before of two directions, states that are huge, and what an evaluation keeps. */
#include <string.h>

#include "params/params.h"
#include "rnn_fixture.h"

/* The weights of one part of the layer "rnn" into those of another layer's only part. */
static void copy_part(tg_params *ps, const char *part, const char *layer)
{
    static const char *const names[] = { "W_xz", "W_xr", "W_xg", "W_hz", "W_hr", "W_hg",
                                         "b_z",  "b_r",  "b_g",  "b_hz", "b_hr", "b_hg" };
    tg_real value[H * H];
    for (int k = 0; k < 12; k++) {
        char from[64], to[64];
        const size_t n = (size_t[]){ I * H, H * H, H, H }[k / 3];
        snprintf(from, sizeof from, "rnn/layer0/%s/%s", part, names[k]);
        snprintf(to, sizeof to, "%s/layer0/forward/%s", layer, names[k]);
        if (k < 9 || tg_params_get(ps, from, value, n) != TG_ERR_ABSENT) {
            ck_assert_int_eq(tg_params_get(ps, from, value, n), TG_OK);
            ck_assert_int_eq(tg_params_set(ps, to, value, n), TG_OK);
        }
    }
}

/* Two directions give what two layers give, of which one reads the rows reversed: outputs, states, and all gradients but
 * those of weights. */
START_TEST(each_of_two_directions_has_an_initial_state_of_its_own)
{
    enum { T = 5, B = 3 };
    const int lengths[B] = { 3, 0, 5 }, full[B] = { T, T, T };
    for (int c = 0; c < 4; c++) {
        const tg_cell cell = c % 2 ? TG_GRU_RESET_AFTER : TG_GRU;
        const int *length = c / 2 ? lengths : full;
        tg_real x[2][T * B * I] = { { 0 } }, dy[2][T * B * H] = { { 0 } }, dy_both[T * B * 2 * H],
                             h0[2 * B * H], dh[2 * B * H];
        fixture f = fixture_new(&(tg_rnn_config){ .cell = cell, .bidirectional = true });
        tg_rnn *way[2];
        for (int d = 0; d < 2; d++)
            way[d] = tg_rnn_new(f.ps, d ? "back" : "forth", I, H, &(tg_rnn_config){ .cell = cell });
        copy_part(f.ps, "forward", "forth"), copy_part(f.ps, "reverse", "back");
        fill(x[0], T * B * I), fill(dy_both, T * B * 2 * H), fill(h0, 2 * B * H), fill(dh, 2 * B * H);
        for (int b = 0; b < B; b++)
            for (int t = 0; t < length[b]; t++) {
                const int back = length[b] - 1 - t;
                memcpy(x[1] + (t * B + b) * I, x[0] + (back * B + b) * I, sizeof(tg_real) * I);
                memcpy(dy[0] + (t * B + b) * H, dy_both + (t * B + b) * 2 * H, sizeof(tg_real) * H);
                memcpy(dy[1] + (t * B + b) * H, dy_both + (back * B + b) * 2 * H + H, sizeof(tg_real) * H);
            }
        tg_tape_begin(f.t, TG_TRAIN);
        tg_tensor *in = tg_input(f.t, 3, (int[]){ T, B, I }, x[0]),
                  *before = tg_input(f.t, 3, (int[]){ 2, B, H }, h0);
        tg_state both = { before };
        tg_tensor *out[2] = { tg_rnn_run(f.rnn, f.t, in, c / 2 ? lengths : NULL, &both, &both) };
        out[1] = both.h;
        ck_assert_msg(tg_context_ok(f.cx), "%s", tg_context_message(f.cx));
        ck_assert_int_eq(tg_tape_backward_from(f.t, 2, out, (const tg_real *const[]){ dy_both, dh }), TG_OK);

        tg_real dx[T * B * I] = { 0 };
        for (int d = 0; d < 2; d++) {
            tg_tape *t1 = tg_tape_new(f.cx);
            tg_tape_begin(t1, TG_TRAIN);
            tg_tensor *x1 = tg_input(t1, 3, (int[]){ T, B, I }, x[d]),
                      *h1 = tg_input(t1, 3, (int[]){ 1, B, H }, h0 + d * B * H);
            tg_state one = { h1 };
            tg_tensor *y1[2] = { tg_rnn_run(way[d], t1, x1, c / 2 ? lengths : NULL, &one, &one) };
            y1[1] = one.h;
            ck_assert_int_eq(
                tg_tape_backward_from(t1, 2, y1, (const tg_real *const[]){ dy[d], dh + d * B * H }), TG_OK);
            assert_near(both.h->data + d * B * H, one.h->data, B * H, "a state after");
            assert_near(before->grad + d * B * H, h1->grad, B * H, "the gradient of a state before");
            for (int b = 0; b < B; b++)
                for (int t = 0; t < length[b]; t++) {
                    const int at = d ? length[b] - 1 - t : t;
                    assert_near(out[0]->data + (at * B + b) * 2 * H + d * H, y1[0]->data + (t * B + b) * H, H,
                                "an output");
                    for (int j = 0; j < I; j++) dx[(at * B + b) * I + j] += x1->grad[(t * B + b) * I + j];
                }
        }
        assert_near(in->grad, dx, T * B * I, "the gradient of x");
        tg_context_free(f.cx);
    }
}
END_TEST

START_TEST(state_made_for_two_directions_can_be_carried)
{
    enum { T = 3, B = 2 };
    fixture f = fixture_new(&(tg_rnn_config){ .layers = 2, .bidirectional = true });
    tg_real x[T * B * I], first[T * B * 2 * H];
    fill(x, T * B * I);
    tg_state h = tg_state_new(f.cx, f.rnn, B), after;
    ck_assert(h.h->dim[0] == 4 && h.h->dim[1] == B && h.h->dim[2] == H);
    for (int k = 0; k < 2; k++) {
        tg_tape_begin(f.t, TG_EVAL);
        const tg_tensor *y =
            tg_rnn_run(f.rnn, f.t, tg_input(f.t, 3, (int[]){ T, B, I }, x), NULL, &h, &after);
        ck_assert_msg(tg_context_ok(f.cx), "%s", tg_context_message(f.cx));
        if (!k) memcpy(first, y->data, sizeof first);
        if (k) ck_assert(memcmp(first, y->data, sizeof first));
        tg_state_keep(&h, &after);
    }
    tg_context_free(f.cx);
}
END_TEST

/* With a state of 1e20 and these weights both gates are 0 at the first step: so is their derivative, and no gradient goes
 * back beyond that step, nor to the recurrent weights by way of that state. */
START_TEST(saturated_gates_pass_no_gradient_however_large_the_state)
{
    enum { T = 4, B = 3, WEIGHTS = 3 };
    static const char *const names[WEIGHTS] = { "W_hz", "W_hr", "W_hg" };
    for (int c = 0; c < 2; c++) {
        fixture f = fixture_new(&(tg_rnn_config){ .cell = c ? TG_GRU_RESET_AFTER : TG_GRU });
        tg_real x[T * B * I], dy[T * B * H], h0[B * H], h1[B * H], W[H * H], got[2][WEIGHTS * H * H];
        fill(x, T * B * I), fill(dy, T * B * H);
        for (int i = 0; i < B * H; i++) h0[i] = TG_DOUBLE ? (tg_real)1e200 : (tg_real)1e20;
        for (int i = 0; i < H * H; i++) W[i] = (tg_real)(-0.1 - 0.01 * (i % 7));
        ck_assert_int_eq(tg_params_set(f.ps, "rnn/layer0/forward/W_hz", W, H * H), TG_OK);
        ck_assert_int_eq(tg_params_set(f.ps, "rnn/layer0/forward/W_hr", W, H * H), TG_OK);
        for (int later = 0; later < 2; later++) { /* all steps; all but the first */
            tg_params_zero_gradients(f.ps);
            tg_tape_begin(f.t, TG_TRAIN);
            tg_tensor *before = tg_input(f.t, 3, (int[]){ 1, B, H }, later ? h1 : h0),
                      *in = tg_input(f.t, 3, (int[]){ T - later, B, I }, x + later * B * I);
            tg_tensor *y = tg_rnn_run(f.rnn, f.t, in, NULL, &(tg_state){ before }, NULL);
            const tg_real *const arriving[] = { dy + later * B * H };
            memcpy(h1, y->data, sizeof h1);
            ck_assert_int_eq(tg_tape_backward_from(f.t, 1, &y, arriving), TG_OK);
            for (int i = 0; i < B * H && !later; i++)
                ck_assert(before->grad[i] == 0 && fabs((double)h1[i]) <= 1);
            for (int k = 0; k < WEIGHTS; k++) {
                char name[64];
                snprintf(name, sizeof name, "rnn/layer0/forward/%s", names[k]);
                ck_assert_int_eq(tg_params_get_gradient(f.ps, name, got[later] + k * H * H, H * H), TG_OK);
            }
        }
        assert_near(got[0], got[1], WEIGHTS * H * H, "the gradient of a recurrent weight");
        tg_context_free(f.cx);
    }
}
END_TEST

/* Of several layers too: x and y, what one layer works with, and one output between layers. */
START_TEST(evaluation_keeps_no_layer_but_the_last)
{
    enum { T = 50, B = 8, WIDE = 64 };
    static tg_real x[T * B * WIDE];
    int lengths[B];
    fill(x, T * B * WIDE);
    for (int b = 0; b < B; b++) lengths[b] = T - b;
    for (int k = 0; k < 8; k++) {
        const int layers = k % 4 + 1, *given = k / 4 ? lengths : NULL;
        tg_context *cx = tg_context_new(&(tg_context_config){ .seed = 4, .threads = 1 });
        tg_params *ps = tg_params_new(cx);
        tg_rnn *rnn = tg_rnn_new(ps, "rnn", WIDE, WIDE, &(tg_rnn_config){ .layers = layers });
        tg_tape *t = tg_tape_new(cx), *training = tg_tape_new(cx);
        tg_tape_begin(training, TG_TRAIN);
        const tg_tensor *expected =
            tg_rnn_run(rnn, training, tg_input(training, 3, (int[]){ T, B, WIDE }, x), given, NULL, NULL);
        tg_tape_begin(t, TG_EVAL);
        const tg_tensor *y = tg_rnn_run(rnn, t, tg_input(t, 3, (int[]){ T, B, WIDE }, x), given, NULL, NULL);
        ck_assert_mem_eq(y->data, expected->data, T * B * WIDE * sizeof *x);
        const size_t one = T * B * WIDE * sizeof *x, bytes = tg_tape_bytes(t);
        ck_assert_msg(bytes < 9 * one, "%d layers: %.1f times x", layers, (double)bytes / (double)one);
        for (int i = 0; i < 3; i++)
            tg_rnn_run(rnn, t, tg_input(t, 3, (int[]){ T, B, WIDE }, x), given, NULL, NULL);
        ck_assert_msg(tg_tape_bytes(t) <= bytes + 3 * 2 * one + 4096, "later runs keep %.1f times x",
                      (double)(tg_tape_bytes(t) - bytes) / (double)one / 3);
        tg_context_free(cx);
    }
}
END_TEST

/* ---- padding ---- */

typedef struct padded {
    tg_context *cx;
    tg_params *ps;
    tg_tape *t;
    tg_rnn *rnn, *both;
    tg_attention *attention;
    tg_tensor *x; /* (T,B,I), not from tg_input */
} padded;

enum { PT = 4, PB = 3 };
static const int padded_lengths[PB] = { 2, 0, 4 };

/* Each: something made of x and its lengths. */
static tg_tensor *by_rnn(const padded *p)
{
    return tg_rnn_run(p->rnn, p->t, p->x, padded_lengths, NULL, NULL);
}
static tg_tensor *by_two_directions(const padded *p)
{
    return tg_rnn_run(p->both, p->t, p->x, padded_lengths, NULL, NULL);
}
static tg_tensor *by_attention(const padded *p)
{
    const tg_memory memory = tg_attention_memory(p->attention, p->t, p->x, padded_lengths);
    return tg_attention_run(p->attention, p->t, tg_rnn_run(p->rnn, p->t, p->x, padded_lengths, NULL, NULL),
                            &memory, NULL);
}
static tg_tensor *by_last(const padded *p) { return tg_last(p->t, p->x, padded_lengths); }
static tg_tensor *by_pack(const padded *p) { return tg_pack(p->t, p->x, padded_lengths); }
static tg_tensor *by_cross_entropy(const padded *p)
{
    const int ids[PT * PB] = { 0 };
    return tg_cross_entropy(p->t, p->x, ids, &(tg_cross_entropy_config){ .lengths = padded_lengths });
}
static tg_tensor *by_squares(const padded *p)
{
    const tg_real target[PT * PB * I] = { 1 };
    return tg_mean_squared_error(p->t, p->x, target, NULL,
                                 &(tg_element_loss_config){ .lengths = padded_lengths });
}

START_TEST(padding_may_hold_anything_where_lengths_are_known)
{
    static tg_tensor *(*const ways[])(const padded *) = { by_rnn,  by_two_directions, by_attention, by_last,
                                                          by_pack, by_cross_entropy,  by_squares };
    const double padding[] = { 0, NAN, INFINITY };
    for (size_t k = 0; k < sizeof ways / sizeof *ways; k++) {
        tg_real y[2][1000], g[2][3000];
        for (int n = 0; n < 3; n++) {
            padded p = { .cx = tg_context_new(&(tg_context_config){ .seed = 4 }) };
            p.ps = tg_params_new(p.cx), p.t = tg_tape_new(p.cx);
            p.rnn = tg_rnn_new(p.ps, "rnn", I, H, NULL);
            p.both = tg_rnn_new(p.ps, "both", I, H, &(tg_rnn_config){ .bidirectional = true });
            p.attention = tg_attention_new(p.ps, "attention", H, I,
                                           &(tg_attention_config){ .kind = TG_ATTENTION_GENERAL });
            tg_tape_begin(p.t, TG_TRAIN);
            tg_real x[PT * PB * I];
            fill(x, PT * PB * I);
            for (int t = 0; t < PT; t++)
                for (int b = 0; b < PB; b++)
                    for (int j = 0; j < I && t >= padded_lengths[b]; j++)
                        x[(t * PB + b) * I + j] = (tg_real)padding[n];
            p.x = tg_input(p.t, 3, (int[]){ PT, PB, I }, (const tg_real[PT * PB * I]){ 0 });
            tg_tensor_set(p.x, x, PT * PB * I);
            tg_tensor *made = ways[k](&p);
            ck_assert_msg(tg_context_ok(p.cx), "%s", tg_context_message(p.cx));
            const size_t size = tg_tensor_size(made);
            ck_assert(size <= 1000 && p.ps->flat + PT * PB * I <= 3000);
            memcpy(y[n > 0], made->data, size * sizeof *made->data);
            ck_assert_int_eq(tg_tape_backward(p.t, size == 1 ? made : tg_sum(p.t, tg_tanh(p.t, made))),
                             TG_OK);
            memset(g[n > 0], 0, sizeof g[0]);
            if (p.ps->gradient) memcpy(g[n > 0], p.ps->gradient, p.ps->flat * sizeof **g);
            memcpy(g[n > 0] + p.ps->flat, p.x->grad, PT * PB * I * sizeof **g);
            ck_assert_msg(!n || !memcmp(y[0], y[1], size * sizeof **y), "way %zu: the value hangs on padding",
                          k);
            ck_assert_msg(!n || !memcmp(g[0], g[1], sizeof g[0]), "way %zu: a gradient hangs on padding", k);
            tg_context_free(p.cx);
        }
    }
}
END_TEST

START_TEST(padded_input_takes_no_look_at_padding)
{
    tg_real x[PT * PB * I], first[PT * PB * I];
    tg_context *cx = tg_context_new(NULL);
    tg_tape *t = tg_tape_new(cx);
    fill(x, PT * PB * I);
    for (int k = 0; k < PT; k++)
        for (int b = 0; b < PB; b++)
            for (int j = 0; j < I; j++) {
                tg_real *value = &x[(k * PB + b) * I + j];
                if (k >= padded_lengths[b]) *value = (tg_real)NAN;
                first[(b * PT + k) * I + j] = *value;
            }
    tg_tape_begin(t, TG_TRAIN);
    for (int batch_first = 0; batch_first < 2; batch_first++) {
        const tg_tensor *y =
            tg_input_padded(t, PT, PB, I, batch_first ? first : x, padded_lengths, batch_first);
        ck_assert_msg(tg_context_ok(cx), "%s", tg_context_message(cx));
        ck_assert(y->rank == 3 && y->dim[0] == PT && y->dim[1] == PB && y->dim[2] == I && y->grad);
        for (int i = 0; i < PT * PB * I; i++) ck_assert(y->data[i] == (isnan(x[i]) ? 0 : x[i]));
    }
    tg_input_padded(t, PT, PB, I, x, (const int[]){ 2, 1, 4 }, false);
    ck_assert_int_eq(tg_context_status(cx), TG_ERR_NUMBER);
    ck_assert_ptr_nonnull(strstr(tg_context_message(cx), "element 0 of step 0 of row 1 is"));
    tg_context_clear(cx);
    tg_input_padded(t, PT, PB, I, x, (const int[]){ 2, 0, 5 }, false);
    ck_assert_int_eq(tg_context_status(cx), TG_ERR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(tg_context_message(cx), "the length of row 2 is 5, outside 0..4"));
    tg_context_clear(cx);
    tg_input_padded(t, PT, PB, I, x, NULL, false);
    ck_assert_int_eq(tg_context_status(cx), TG_ERR_ARGUMENT);
    tg_context_free(cx);
}
END_TEST

TG_TEST_MAIN("layers/rnn_states", padding_may_hold_anything_where_lengths_are_known,
             padded_input_takes_no_look_at_padding, each_of_two_directions_has_an_initial_state_of_its_own,
             state_made_for_two_directions_can_be_carried,
             saturated_gates_pass_no_gradient_however_large_the_state, evaluation_keeps_no_layer_but_the_last)
