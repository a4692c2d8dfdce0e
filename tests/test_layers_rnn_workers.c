/* The recurrent layer gives the same bits for any number of workers: outputs, and gradients of inputs and weights. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <tidegate/tidegate.h>

#include "check_main.h"
#include "core/random.h"
#include "kernels/recurrent/plan.h"
#include "workers.h"

static void fill(tg_real *x, size_t n)
{
    for (size_t i = 0; i < n; i++) x[i] = (tg_real)sin(0.7 * (double)i + 1);
}

typedef struct outcome {
    size_t n;
    tg_real *bits; /* outputs, then gradients of the input and of all weights */
    int worked;
} outcome;

static outcome train_step(int threads, const tg_rnn_config *config, int T, int B, int i, int h,
                          const int *lengths, bool repeat)
{
    tg__team_cores_override = threads;
    tg_context *cx = tg_context_new(&(tg_context_config){ .seed = 9, .threads = threads });
    tg__team_cores_override = 0;
    tg_params *ps = tg_params_new(cx);
    tg_rnn *rnn = tg_rnn_new(ps, "rnn", i, h, config);
    tg_linear *out = tg_linear_new(ps, "out", config->bidirectional ? 2 * h : h, 40, NULL);
    tg_tape *t = tg_tape_new(cx);
    const size_t nx = (size_t)T * (size_t)B * (size_t)i;
    tg_real *x = malloc(nx * sizeof *x);
    int *id = malloc((size_t)T * (size_t)B * sizeof *id);
    fill(x, nx);
    for (int k = 0; k < T * B; k++) id[k] = k % 40;
    outcome o = { 0 };
    for (int k = 0; k < 300 && (!k || (repeat && threads > 1 && o.worked < 2));
         k++) { /* if asked, until another worker was awake in time */
        tg_params_zero_gradients(ps);
        tg_context_set_step(cx, 1); /* from another step and back: the same dropout masks */
        tg_tape_begin(t, TG_TRAIN);
        tg_context_set_step(cx, 0);
        tg_tape_begin(t, TG_TRAIN);
        tg_tensor *in = tg_input(t, 3, (int[]){ T, B, i }, x),
                  *y = tg_rnn_run(rnn, t, in, lengths, NULL, NULL);
        tg_tensor *loss = tg_cross_entropy(t, tg_linear_run(out, t, y), id, NULL);
        ck_assert_int_eq(tg_tape_backward(t, loss), TG_OK);
        tg_params_clip_norm(ps, (tg_real)0.1);
        o = (outcome){ .worked = tg__team_worked(cx),
                       .bits = realloc(o.bits,
                                       (tg_tensor_size(y) + nx + tg_params_size(ps) + 1) * sizeof *o.bits) };
        memcpy(o.bits, y->data, tg_tensor_size(y) * sizeof *o.bits);
        o.n = tg_tensor_size(y);
        memcpy(o.bits + o.n, in->grad, nx * sizeof *o.bits);
        o.n += nx;
        for (int p = 0; p < tg_params_count(ps); p++) {
            tg_parameter_info info;
            tg_params_info(ps, p, &info);
            ck_assert_int_eq(tg_params_get_gradient(ps, info.name, o.bits + o.n, info.size), TG_OK);
            o.n += info.size;
        }
        o.bits[o.n++] = *loss->data;
    }
    free(x);
    free(id);
    tg_context_free(cx);
    return o;
}

typedef struct size {
    tg_rnn_config config;
    int T, B, I, H;
    bool ragged;
} size;

/* worked: at least two workers must have taken part. */
static void assert_same_bits(const char *what, size z, const int *workers, size_t n, bool worked)
{
    int lengths[512];
    ck_assert_int_le(z.B, 512);
    for (int b = 0; b < z.B; b++) lengths[b] = b * 7 % (z.T + 1);
    const int *ragged = z.ragged ? lengths : NULL;
    outcome one = train_step(1, &z.config, z.T, z.B, z.I, z.H, ragged, worked);
    ck_assert_int_eq(one.worked, 1);
    for (size_t w = 0; w < n; w++) {
        outcome many = train_step(workers[w], &z.config, z.T, z.B, z.I, z.H, ragged, worked);
        ck_assert_uint_eq(many.n, one.n);
        ck_assert_msg(!memcmp(many.bits, one.bits, one.n * sizeof *one.bits),
                      "%s: T %d, B %d, I %d, H %d: %d workers give other bits", what, z.T, z.B, z.I, z.H,
                      workers[w]);
        if (worked && workers[w] > 1)
            ck_assert_msg(many.worked > 1, "%s: of %d workers only one worked", what, workers[w]);
        free(many.bits);
    }
    free(one.bits);
}

START_TEST(same_bits_for_any_number_of_workers_and_on_every_repeat)
{
    static const size sizes[] = {
        { { .cell = TG_GRU, .layers = 2, .dropout = (tg_real)0.2 }, 12, 40, 50, 96, true },
        { { .cell = TG_GRU_RESET_AFTER, .layers = 2 }, 20, 33, 64, 64, false },
        { { .cell = TG_GRU, .bidirectional = true }, 15, 70, 31, 65, true },
        { { .cell = TG_GRU }, 200, 1, 128, 128, false },
        { { .cell = TG_LSTM, .zoneout = (tg_real)0.1, .zoneout_c = (tg_real)0.2 }, 20, 40, 64, 96, true },
        { { .cell = TG_GRU, .state_dropout = (tg_real)0.3, .layer_norm = true }, 20, 40, 64, 96, true },
    };
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++)
        assert_same_bits("mixed", sizes[k], (const int[]){ 1, 2, 3, 5, 8, 8, 2 }, 7, true);
}
END_TEST

/* Sizes that docs/performance.md times, the large ones with fewer steps; not those with 650 and 1024 units, whose weights
 * take too long to make. */
START_TEST(same_bits_for_1_2_3_5_and_8_workers_at_sizes_that_are_timed)
{
    static const int sizes[][4] = { { 20, 1, 64, 64 },
                                    { 50, 1, 128, 128 },
                                    { 32, 16, 128, 128 },
                                    { 20, 32, 128, 256 },
                                    { 4, 64, 256, 512 } };
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++)
        for (int cell = TG_GRU; cell < TG_CELLS; cell++)
            assert_same_bits(
                "timed",
                (size){
                    { .cell = (tg_cell)cell }, sizes[k][0], sizes[k][1], sizes[k][2], sizes[k][3], false },
                (const int[]){ 2, 8, 3, 5 }, sizes[k][3] < 512 ? 4 : 2, false);
}
END_TEST

/* With eight workers neither eight rows nor two panels of units each are enough for all: a grid of both. (The small cells may
 * be done by one worker before another wakes.) */
START_TEST(same_bits_where_both_rows_and_units_are_shared_out)
{
    for (int cell = TG_GRU; cell < TG_CELLS; cell++)
        for (int ragged = 0; ragged <= 1; ragged++)
            assert_same_bits("grid", (size){ { .cell = (tg_cell)cell }, 12, 30, 40, 160, ragged },
                             (const int[]){ 3, 6, 8, 16 }, 4, cell <= TG_LSTM);
}
END_TEST

/* One step, as programs that go step by step take it. */
START_TEST(same_bits_for_1_2_3_5_and_8_workers_for_single_steps)
{
    static const int sizes[][3] = {
        { 1, 64, 128 }, { 1, 70, 333 }, { 2, 40, 200 }, { 13, 64, 150 }, { 40, 90, 330 }
    };
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++)
        for (int cell = TG_GRU; cell < TG_CELLS; cell++)
            assert_same_bits(
                "one step",
                (size){ { .cell = (tg_cell)cell }, 1, sizes[k][0], sizes[k][1], sizes[k][2], false },
                (const int[]){ 2, 3, 5, 8 }, 4, false);
}
END_TEST

START_TEST(same_bits_for_1_2_3_5_and_8_workers_at_50_random_sizes)
{
    const uint64_t key = tg__random_key(5, "sizes");
    for (uint64_t k = 0; k < 50; k++) {
        int n[4];
        tg__recurrent_sharing_override = k % 4 ? 1 : 0; /* small ones, too */
        for (uint64_t i = 0; i < 4; i++) {              /* small ones as likely as large ones */
            static const int most[4] = { 20, 80, 150, 150 };
            n[i] = (int)pow((double)most[i], tg__random_uniform(key, k, i));
        }
        const size z = { { .cell = (tg_cell)(k % TG_CELLS), .bidirectional = k % 5 == 0 },
                         n[0],
                         n[1],
                         n[2],
                         n[3],
                         k % 3 == 0 };
        assert_same_bits("random", z, (const int[]){ 2, 3, 5, 8 }, 4, false);
    }
}
END_TEST

START_TEST(a_batch_with_little_to_do_is_not_shared_out)
{
    enum { T = 20, B = 16, N = 16 };
    static tg_real x[T * B * N];
    fill(x, T * B * N);
    tg_context *cx = context_of_workers(2, 1);
    tg__recurrent_sharing_override = 0;
    tg_params *ps = tg_params_new(cx);
    tg_rnn *rnn = tg_rnn_new(ps, "rnn", N, N, NULL);
    tg_tape *t = tg_tape_new(cx);
    for (int k = 0; k < 100; k++) {
        tg_tape_begin(t, TG_TRAIN);
        tg_tensor *y = tg_rnn_run(rnn, t, tg_input(t, 3, (int[]){ T, B, N }, x), NULL, NULL, NULL);
        ck_assert_int_eq(tg_tape_backward_from(t, 1, &y, (const tg_real *const[]){ x }), TG_OK);
    }
    ck_assert_int_eq(tg__team_worked(cx), 1);
    ck_assert_int_eq(tg_context_threads(cx), 2);
    tg_context_free(cx);
}
END_TEST

TG_TEST_MAIN("layers/rnn workers", same_bits_for_any_number_of_workers_and_on_every_repeat,
             same_bits_for_1_2_3_5_and_8_workers_at_sizes_that_are_timed,
             same_bits_where_both_rows_and_units_are_shared_out,
             same_bits_for_1_2_3_5_and_8_workers_for_single_steps,
             same_bits_for_1_2_3_5_and_8_workers_at_50_random_sizes,
             a_batch_with_little_to_do_is_not_shared_out)
