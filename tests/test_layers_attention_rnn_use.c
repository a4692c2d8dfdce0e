/* tests/test_layers_attention_rnn_use.c -- the recurrent layer that attends, as a program meets it: names, errors, threads,
 * memory. */
#include "attention_rnn_fixture.h"
#include "workers.h"

/* ---- names ---- */

#define FORWARD(n)                                                                                           \
    { "d/forward/W_xz", { n, 4 } }, { "d/forward/W_xr", { n, 4 } }, { "d/forward/W_xg", { n, 4 } },          \
        { "d/forward/W_hz", { 4, 4 } }, { "d/forward/W_hr", { 4, 4 } }, { "d/forward/W_hg", { 4, 4 } },      \
        { "d/forward/b_z", { 4, 0 } }, { "d/forward/b_r", { 4, 0 } },                                        \
    {                                                                                                        \
        "d/forward/b_g", { 4, 0 }                                                                            \
    }
#define AFTER                                                                                                \
    { "d/forward/b_hz", { 4, 0 } }, { "d/forward/b_hr", { 4, 0 } },                                          \
    {                                                                                                        \
        "d/forward/b_hg", { 4, 0 }                                                                           \
    }

START_TEST(parameters_have_the_documented_names_and_shapes)
{
    static const struct { /* I 3, H 4 */
        tg_attention_rnn_config config;
        int M, n;
        expected_parameter expected[16];
    } table[] = {
        { { .attention = { .kind = TG_ATTENTION_ADDITIVE, .units = 2, .coverage = true } },
          5,
          13,
          { FORWARD(3 + 5),
            { "d/attention/W_q", { 4, 2 } },
            { "d/attention/W_k", { 5, 2 } },
            { "d/attention/v", { 2, 0 } },
            { "d/attention/w", { 2, 0 } } } },
        { { .attention = { .kind = TG_ATTENTION_DOT } },
          4,
          11,
          { FORWARD(3), { "d/W_u", { 4 + 4, 4 } }, { "d/b_u", { 4, 0 } } } },
        { { .cell = TG_GRU_RESET_AFTER,
            .attention = { .kind = TG_ATTENTION_GENERAL },
            .attentional = 6,
            .input_feeding = true },
          5,
          15,
          { FORWARD(3 + 6),
            AFTER,
            { "d/W_u", { 4 + 5, 6 } },
            { "d/b_u", { 6, 0 } },
            { "d/attention/W_k", { 5, 4 } } } },
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        tg_context *cx = tg_context_new(NULL);
        tg_params *ps = tg_params_new(cx);
        tg_attention_rnn_new(ps, "d", 3, 4, table[i].M, &table[i].config);
        assert_parameters(ps, table[i].expected, table[i].n);
        ck_assert_msg(tg_context_ok(cx), "%s", tg_context_message(cx));
        tg_context_free(cx);
    }
}
END_TEST

/* ---- errors ---- */

START_TEST(wrong_config_fails_with_a_sentence_and_declares_nothing)
{
    static const struct {
        tg_attention_rnn_config config;
        int I, H, M;
        tg_status status;
        const char *says;
    } wrong[] = {
        { { .cell = TG_GRU }, 3, 4, 4, TG_ERR_ARGUMENT, "no attention of kind 0" },
        { { .attention = { .kind = (tg_attention_kind)5 } }, 3, 4, 4, TG_ERR_ARGUMENT, "of kind 5" },
        { { .cell = (tg_cell)7, .attention = { TG_ATTENTION_DOT } }, 3, 4, 4, TG_ERR_ARGUMENT, "no cell 7" },
        { { .attention = { TG_ATTENTION_DOT } }, 3, 4, 5, TG_ERR_SHAPE, "they are 4 and 5" },
        { { .attention = { TG_ATTENTION_DOT } }, 0, 4, 4, TG_ERR_ARGUMENT, "input size 0" },
        { { .attention = { TG_ATTENTION_GENERAL } }, 3, -1, 4, TG_ERR_ARGUMENT, "hidden size -1" },
        { { .attention = { TG_ATTENTION_ADDITIVE } }, 3, 4, 0, TG_ERR_ARGUMENT, "memory size 0" },
        { { .attention = { TG_ATTENTION_ADDITIVE } },
          3,
          4,
          INT_MAX,
          TG_ERR_ARGUMENT,
          "memory size 2147483647" },
        { { .attention = { TG_ATTENTION_GENERAL } },
          INT_MAX,
          4,
          4,
          TG_ERR_ARGUMENT,
          "input size 2147483647" },
        { { .attention = { TG_ATTENTION_ADDITIVE, .units = -3 } }, 3, 4, 4, TG_ERR_ARGUMENT, "-3 units" },
        { { .attention = { TG_ATTENTION_DOT }, .attentional = -2 },
          3,
          4,
          4,
          TG_ERR_ARGUMENT,
          "attentional size -2" },
        { { .attention = { TG_ATTENTION_ADDITIVE }, .input_feeding = true },
          3,
          4,
          4,
          TG_ERR_ARGUMENT,
          "input feeding" },
        { { .attention = { TG_ATTENTION_ADDITIVE }, .attentional = 3 },
          3,
          4,
          4,
          TG_ERR_ARGUMENT,
          "attentional" },
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        tg_context *cx = tg_context_new(NULL);
        tg_params *ps = tg_params_new(cx);
        tg_tape *t = tg_tape_new(cx);
        tg_attention_rnn *l =
            tg_attention_rnn_new(ps, "d", wrong[i].I, wrong[i].H, wrong[i].M, &wrong[i].config);
        assert_fails(cx, wrong[i].status, wrong[i].says);
        ck_assert_msg(tg_params_count(ps) == 0, "'%s' left %d parameters", wrong[i].says,
                      tg_params_count(ps));
        const tg_real x[4] = { 0 };
        for (int again = 0; again < 2; again++) { /* born in error, it keeps failing */
            tg_tape_begin(t, TG_EVAL);
            tg_tensor *in = tg_input(t, 3, (int[]){ 1, 1, 4 }, x);
            tg_attention_state out;
            tg_attention_rnn_memory(l, t, in, NULL);
            assert_fails(cx, TG_ERR_STATE, "could not be made");
            const tg_attended y =
                tg_attention_rnn_run(l, t, in, NULL, &(tg_memory){ in, in, NULL }, NULL, &out);
            assert_fails(cx, TG_ERR_STATE, "could not be made");
            ck_assert(y.output && y.context && y.attentional && y.weights && out.h);
            tg_attention_rnn_run(NULL, t, in, NULL, NULL, NULL, NULL);
            assert_fails(cx, TG_ERR_STATE, "could not be made");
        }
        tg_context_free(cx);
    }
}
END_TEST

START_TEST(wrong_arguments_fail_with_their_numbers_and_harm_nothing)
{
    enum { T = 2, B = 3, S = 4 };
    const int too_long[B] = { 1, 3, 2 }, negative[B] = { 1, 1, -1 }, memory_too_long[B] = { 4, 4, 5 };
    fixture f = fixture_new(0), g = fixture_new(4); /* without feeding and coverage, and with feeding */
    arrays a = arrays_new(&f, T, B, S);
    size_t n, m;
    run(&f, &a, NULL, NULL);
    tg_real *before = gradients_of(f.ps, &n);
    outcome o = begin(&f, &a);
    tg_memory memory = tg_attention_rnn_memory(f.l, f.t, o.rows, NULL), other = memory;
    tg_tensor *four = tg_input(f.t, 2, (int[]){ 4, H }, a.rows);
#define RUN(x, lengths, memory, ...)                                                                         \
    tg_attention_rnn_run(f.l, f.t, x, lengths, memory, &(tg_attention_state){ __VA_ARGS__ }, &o.after)
    RUN(o.rows, NULL, &memory, NULL);
    assert_fails(f.cx, TG_ERR_SHAPE, "x is [4,3,7], it takes [T,B,6]");
    RUN(NULL, NULL, &memory, NULL);
    assert_fails(f.cx, TG_ERR_ARGUMENT, "x is NULL");
    RUN(o.x, too_long, &memory, NULL);
    assert_fails(f.cx, TG_ERR_ARGUMENT, "the length of row 1 is 3, outside 0..2");
    RUN(o.x, negative, &memory, NULL);
    assert_fails(f.cx, TG_ERR_ARGUMENT, "the length of row 2 is -1, outside 0..2");
    RUN(o.x, NULL, NULL, NULL);
    assert_fails(f.cx, TG_ERR_ARGUMENT, "memory is NULL");
    other.keys = o.rows;
    RUN(o.x, NULL, &other, NULL);
    assert_fails(f.cx, TG_ERR_SHAPE, "with keys [4,3,7], for 3 rows it takes [S,3,7] and [S,3,5]");
    other = memory, other.lengths = memory_too_long;
    RUN(o.x, NULL, &other, NULL);
    assert_fails(f.cx, TG_ERR_ARGUMENT, "the memory's length of row 2 is 5, outside 0..4");
    RUN(o.x, NULL, &memory, .h = four);
    assert_fails(f.cx, TG_ERR_SHAPE, "the state's h is [4,10], it takes [3,10]");
    RUN(o.x, NULL, &memory, .attentional = o.h0);
    assert_fails(f.cx, TG_ERR_SHAPE, "the state's attentional is [3,10], it takes [3,0]");
    RUN(o.x, NULL, &memory, .coverage = o.h0);
    assert_fails(f.cx, TG_ERR_SHAPE, "the state's coverage is [3,10], it takes [3,0]");
    ck_assert(o.after.h && o.after.attentional && o.after.coverage);
    const outcome z = begin(&g, &a);
    memory = tg_attention_rnn_memory(g.l, g.t, z.rows, NULL);
    tg_attention_rnn_run(g.l, g.t, z.x, NULL, &memory, &(tg_attention_state){ .attentional = z.h0 }, NULL);
    assert_fails(g.cx, TG_ERR_SHAPE, "the state's attentional is [3,10], it takes [3,3]");
    tg_attention_rnn_memory(f.l, g.t, z.rows, NULL);
    assert_fails(g.cx, TG_ERR_STATE, "different contexts");
    tg_params_zero_gradients(f.ps);
    run(&f, &a, NULL, NULL);
    tg_real *after = gradients_of(f.ps, &m);
    ck_assert(n == m && !memcmp(before, after, n * sizeof *before));
    free(before);
    free(after);
    arrays_free(&a);
    tg_context_free(f.cx);
    tg_context_free(g.cx);
}
END_TEST

/* ---- the same bits for any number of workers ---- */

typedef struct bits {
    size_t n;
    tg_real *x; /* outputs, contexts, gradients of inputs, memory and all weights */
} bits;

static void append(bits *b, const tg_real *x, size_t n)
{
    b->x = realloc(b->x, (b->n + n) * sizeof *x);
    memcpy(b->x + b->n, x, n * sizeof *x);
    b->n += n;
}

static bits train_step(int workers, const tg_attention_rnn_config *config, int T, int B, int S, int D)
{
    fixture f = { .cx = context_of_workers(workers, 9),
                  .M = D,
                  .R = config->attention.kind == TG_ATTENTION_ADDITIVE ? 0 : D };
    bits b = { 0 };
    int lengths[128], memory_lengths[128];
    size_t n;
    ck_assert_int_le(B, 128);
    for (int i = 0; i < B; i++) lengths[i] = i * 7 % (T + 1), memory_lengths[i] = i * 5 % (S + 1);
    f.ps = tg_params_new(f.cx);
    f.l = tg_attention_rnn_new(f.ps, "decoder", D, D, D, config);
    f.t = tg_tape_new(f.cx);
    shake(f.ps, f.cx);
    tg_real *x = filled(&f, "x", T, B, D), *rows = filled(&f, "rows", S, B, D),
            *dy = filled(&f, "dy", T, B, D);
    for (time_t until = time(NULL) + 20, first = 1; first || (workers > 1 && tg__team_worked(f.cx) < 2);
         first = 0) {
        ck_assert_msg(time(NULL) < until, "of %d workers one did it all", workers);
        b.n = 0;
        tg_params_zero_gradients(f.ps);
        tg_tape_begin(f.t, TG_TRAIN);
        tg_tensor *in = tg_input(f.t, 3, (int[]){ T, B, D }, x),
                  *m = tg_input(f.t, 3, (int[]){ S, B, D }, rows);
        const tg_memory memory = tg_attention_rnn_memory(f.l, f.t, m, memory_lengths);
        const tg_attended y = tg_attention_rnn_run(f.l, f.t, in, lengths, &memory, NULL, NULL);
        ck_assert_msg(tg_tape_backward_from(f.t, f.R ? 3 : 2,
                                            (tg_tensor *[]){ y.output, y.context, y.attentional },
                                            (const tg_real *const[]){ dy, dy, dy }) == TG_OK,
                      "%s", tg_context_message(f.cx));
        append(&b, y.output->data, tg_tensor_size(y.output));
        append(&b, y.context->data, tg_tensor_size(y.context));
        append(&b, in->grad, tg_tensor_size(in));
        append(&b, m->grad, tg_tensor_size(m));
        tg_real *gradients = gradients_of(f.ps, &n);
        append(&b, gradients, n);
        free(gradients);
    }
    free(x);
    free(rows);
    free(dy);
    tg_context_free(f.cx);
    return b;
}

START_TEST(same_bits_for_1_2_3_and_8_workers_and_on_every_repeat)
{
    static const struct {
        int config, T, B, S, D;
    } cases[] = { { 0, 9, 70, 11, 33 }, { 3, 7, 100, 9, 40 }, { 5, 12, 40, 10, 31 } };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        tg_attention_rnn_config config = configs[cases[c].config];
        config.attentional = config.attention.units = 0;
        const bits one = train_step(1, &config, cases[c].T, cases[c].B, cases[c].S, cases[c].D);
        const int workers[] = { 1, 2, 3, 8, 8, 2 };
        for (size_t w = 0; w < sizeof workers / sizeof *workers; w++) {
            const bits many = train_step(workers[w], &config, cases[c].T, cases[c].B, cases[c].S, cases[c].D);
            ck_assert_uint_eq(many.n, one.n);
            ck_assert_msg(!memcmp(many.x, one.x, one.n * sizeof *one.x),
                          "case %zu: %d workers give other bits", c, workers[w]);
            free(many.x);
        }
        free(one.x);
    }
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

static void check_allocations(const tg_attention_rnn_config *config)
{
    enum { T = 8, B = 5, S = 6, LOOK = 2 };
    tg_context *cx = tg_context_new(
        &(tg_context_config){ .seed = 1, .allocate = count_allocate, .release = count_release });
    tg_params *ps = tg_params_new(cx);
    tg_attention_rnn *l = tg_attention_rnn_new(ps, "decoder", I, H, H, config);
    tg_attention *look = tg_attention_new(
        ps, "look", H, H, &(tg_attention_config){ .kind = TG_ATTENTION_ADDITIVE, .coverage = true });
    tg_optimizer *adam = tg_adam_new(ps, NULL);
    tg_tape *t = tg_tape_new(cx);
    tg_real x[T * B * I], rows[S * B * H];
    int lengths[B], memory_lengths[B];
    long steady = 0;
    fill(cx, "x", x, T * B * I);
    fill(cx, "rows", rows, S * B * H);
    for (int k = 0; k < 3 * T * S; k++) {
        for (int b = 0; b < B; b++) /* full, then ragged with a period of (T+1)(S+1) */
            lengths[b] = k < LOOK ? T : (b + k) % (T + 1),
            memory_lengths[b] = k < LOOK ? S : (b + k) % (S + 1);
        tg_tape_begin(t, TG_TRAIN);
        tg_tensor *m = tg_input(t, 3, (int[]){ S, B, H }, rows);
        const tg_memory memory = tg_attention_rnn_memory(l, t, m, memory_lengths),
                        again = tg_attention_memory(look, t, m, memory_lengths);
        const tg_attended y =
            tg_attention_rnn_run(l, t, tg_input(t, 3, (int[]){ T, B, I }, x), lengths, &memory, NULL, NULL);
        tg_tensor *loss = tg_sum(t, tg_add(t, y.context, tg_attention_run(look, t, y.output, &again, NULL)));
        ck_assert_msg(tg_tape_backward(t, loss) == TG_OK, "%s", tg_context_message(cx));
        ck_assert_int_eq(tg_optimizer_step(adam), TG_OK);
        if (k == (T + 1) * (S + 1) + LOOK) steady = allocations; /* every shape was there once */
    }
#if defined(TG_DEBUG_ARENA) && TG_DEBUG_ARENA
    ck_assert_int_gt(allocations, steady); /* every piece is a block of its own there */
#else
    ck_assert_int_eq(allocations, steady);
#endif
    tg_context_free(cx);
}

START_TEST(steady_training_step_allocates_nothing)
{
    for (int c = 0; c < CONFIGS; c++) check_allocations(&configs[c]);
}
END_TEST

TG_TEST_MAIN("layers/attention_rnn_use", parameters_have_the_documented_names_and_shapes,
             wrong_config_fails_with_a_sentence_and_declares_nothing,
             wrong_arguments_fail_with_their_numbers_and_harm_nothing,
             same_bits_for_1_2_3_and_8_workers_and_on_every_repeat, steady_training_step_allocates_nothing)
