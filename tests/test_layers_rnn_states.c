/* The recurrent layer: states before of two directions, states that are huge, and what an evaluation keeps. */
#include <string.h>

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

TG_TEST_MAIN("layers/rnn_states", each_of_two_directions_has_an_initial_state_of_its_own,
             state_made_for_two_directions_can_be_carried,
             saturated_gates_pass_no_gradient_however_large_the_state, evaluation_keeps_no_layer_but_the_last)
