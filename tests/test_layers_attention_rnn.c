/* tests/test_layers_attention_rnn.c -- the recurrent layer that attends: steps against sequences, batches against single
 * rows, threads, names, errors, memory. Its numbers are those of PyTorch in test_golden_translation.c. */
#include "attention_fixture.h"
#include "workers.h"

enum { I = 6, H = 10, M = 7 }; /* M of dot: H */

static const tg_attention_rnn_config configs[] = {
    { .attention = { .kind = TG_ATTENTION_ADDITIVE, .units = 5 } },
    { .cell = TG_GRU_RESET_AFTER, .attention = { .kind = TG_ATTENTION_ADDITIVE, .coverage = true } },
    { .attention = { .kind = TG_ATTENTION_DOT }, .attentional = 5 },
    { .cell = TG_GRU_RESET_AFTER,
      .attention = { .kind = TG_ATTENTION_DOT, .coverage = true },
      .input_feeding = true },
    { .attention = { .kind = TG_ATTENTION_GENERAL }, .attentional = 3, .input_feeding = true },
    { .cell = TG_GRU_RESET_AFTER, .attention = { .kind = TG_ATTENTION_GENERAL, .coverage = true } },
};
enum { CONFIGS = sizeof configs / sizeof *configs };

typedef struct fixture {
    tg_context *cx;
    tg_params *ps;
    tg_tape *t;
    tg_attention_rnn *l;
    int M, R; /* R: 0 of additive */
} fixture;

static fixture fixture_new(int c)
{
    const tg_attention_rnn_config *k = &configs[c];
    fixture f = { .cx = tg_context_new(&(tg_context_config){ .seed = 4, .threads = 2 }),
                  .M = k->attention.kind == TG_ATTENTION_DOT ? H : M,
                  .R = k->attention.kind == TG_ATTENTION_ADDITIVE ? 0
                       : k->attentional                           ? k->attentional
                                                                  : H };
    f.ps = tg_params_new(f.cx);
    f.l = tg_attention_rnn_new(f.ps, "decoder", I, H, f.M, k);
    f.t = tg_tape_new(f.cx);
    shake(f.ps, f.cx);
    ck_assert_msg(tg_context_ok(f.cx), "%s", tg_context_message(f.cx));
    return f;
}

/* ---- a batch: what goes in, and what arrives at the outputs on the way back ---- */

typedef struct arrays {
    int T, B, S;
    tg_real *x, *rows, *h0, *dy, *dc, *du; /* (T,B,I), (S,B,M), (B,H), (T,B,.) */
} arrays;

static tg_real *filled(const fixture *f, const char *name, int a, int b, int c)
{
    const size_t n = (size_t)a * (size_t)b * (size_t)c;
    tg_real *x = malloc((n + 1) * sizeof *x);
    fill(f->cx, name, x, n);
    return x;
}
static arrays arrays_new(const fixture *f, int T, int B, int S)
{
    return (arrays){ T,
                     B,
                     S,
                     filled(f, "x", T, B, I),
                     filled(f, "rows", S, B, f->M),
                     filled(f, "h0", 1, B, H),
                     filled(f, "dy", T, B, H),
                     filled(f, "dc", T, B, f->M),
                     filled(f, "du", T, B, f->R) };
}
static void arrays_free(arrays *a)
{
    tg_real *all[] = { a->x, a->rows, a->h0, a->dy, a->dc, a->du };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
}

typedef struct outcome {
    tg_tensor *x, *rows, *h0;
    tg_attended y;
    tg_attention_state after;
} outcome;

static outcome begin(fixture *f, const arrays *a)
{
    tg_tape_begin(f->t, TG_TRAIN);
    return (outcome){ .x = tg_input(f->t, 3, (int[]){ a->T, a->B, I }, a->x),
                      .rows = tg_input(f->t, 3, (int[]){ a->S, a->B, f->M }, a->rows),
                      .h0 = tg_input(f->t, 2, (int[]){ a->B, H }, a->h0) };
}

/* The whole run, and all gradients; those of parameters are added. */
static outcome run(fixture *f, const arrays *a, const int *lengths, const int *memory_lengths)
{
    outcome o = begin(f, a);
    const tg_memory memory = tg_attention_rnn_memory(f->l, f->t, o.rows, memory_lengths);
    o.y =
        tg_attention_rnn_run(f->l, f->t, o.x, lengths, &memory, &(tg_attention_state){ .h = o.h0 }, &o.after);
    ck_assert_msg(tg_tape_backward_from(f->t, f->R ? 3 : 2,
                                        (tg_tensor *[]){ o.y.output, o.y.context, o.y.attentional },
                                        (const tg_real *const[]){ a->dy, a->dc, a->du }) == TG_OK,
                  "%s", tg_context_message(f->cx));
    return o;
}

/* Coverage after a run that began without any: what each row was given by all steps together. */
static void assert_coverage_is_the_sum_of_weights(const outcome *o, int T, int B, int S)
{
    tg_real sum[64] = { 0 };
    if (!o->after.coverage) return;
    ck_assert_int_le(B * S, 64);
    for (int t = 0; t < T; t++)
        for (int i = 0; i < B * S; i++) sum[i] += o->y.weights->data[t * B * S + i];
    assert_near(o->after.coverage->data, sum, (size_t)(B * S), "the coverage");
}

static void assert_states_are_near(const tg_attention_state *a, const tg_attention_state *b)
{
    ck_assert(!a->attentional == !b->attentional && !a->coverage == !b->coverage);
    assert_near(a->h->data, b->h->data, tg_tensor_size(b->h), "the state");
    if (a->attentional)
        assert_near(a->attentional->data, b->attentional->data, tg_tensor_size(b->attentional), "u carried");
    if (a->coverage)
        assert_near(a->coverage->data, b->coverage->data, tg_tensor_size(b->coverage), "the coverage");
}

/* ---- steps against sequences ---- */

static void check_step(const tg_attended *step, const tg_attended *whole, int t)
{
    const struct {
        const tg_tensor *one, *all;
        const char *what;
    } parts[] = { { step->output, whole->output, "a step's output" },
                  { step->context, whole->context, "a step's context" },
                  { step->attentional, whole->attentional, "a step's u" },
                  { step->weights, whole->weights, "a step's weights" } };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        ck_assert(!parts[i].one == !parts[i].all);
        if (!parts[i].one) continue;
        const size_t n = tg_tensor_size(parts[i].one);
        assert_near(parts[i].one->data, parts[i].all->data + (size_t)t * n, n, parts[i].what);
    }
}

START_TEST(steps_with_carried_state_equal_the_run)
{
    enum { T = 9, B = 3, S = 5 };
    const int memory_lengths[B] = { 5, 0, 3 };
    for (int c = 0; c < CONFIGS; c++) {
        fixture f = fixture_new(c), g = fixture_new(c);
        arrays a = arrays_new(&f, T, B, S);
        size_t n, m;
        const outcome whole = run(&f, &a, NULL, memory_lengths);
        assert_coverage_is_the_sum_of_weights(&whole, T, B, S);
        outcome o = begin(&g, &a);
        const tg_memory memory = tg_attention_rnn_memory(g.l, g.t, o.rows, memory_lengths);
        tg_attention_state state = { .h = o.h0 };
        tg_tensor *y[3 * T];
        const tg_real *dy[3 * T];
        int outputs = 0;
        for (int t = 0; t < T; t++) { /* in and out are one */
            const tg_attended step =
                tg_attention_rnn_run(g.l, g.t, tg_rows(g.t, o.x, t, 1), NULL, &memory, &state, &state);
            ck_assert_msg(tg_context_ok(g.cx), "%s", tg_context_message(g.cx));
            check_step(&step, &whole.y, t);
            y[outputs] = step.output, dy[outputs++] = a.dy + t * B * H;
            y[outputs] = step.context, dy[outputs++] = a.dc + t * B * g.M;
            if (g.R) y[outputs] = step.attentional, dy[outputs++] = a.du + t * B * g.R;
        }
        assert_states_are_near(&state, &whole.after);
        ck_assert_int_eq(tg_tape_backward_from(g.t, outputs, y, dy), TG_OK);
        tg_real *p = gradients_of(f.ps, &n), *q = gradients_of(g.ps, &m);
        ck_assert_uint_eq(n, m);
        assert_near(q, p, n, "a parameter's gradient");
        assert_near(o.x->grad, whole.x->grad, T * B * I, "the gradient of x");
        assert_near(o.rows->grad, whole.rows->grad, (size_t)(S * B * f.M), "the gradient of the memory");
        assert_near(o.h0->grad, whole.h0->grad, B * H, "the gradient of the state before");
        free(p);
        free(q);
        arrays_free(&a);
        tg_context_free(f.cx);
        tg_context_free(g.cx);
    }
}
END_TEST

START_TEST(no_state_before_is_a_state_of_zeros)
{
    enum { T = 3, B = 2, S = 4 };
    for (int c = 0; c < CONFIGS; c++) {
        fixture f = fixture_new(c);
        arrays a = arrays_new(&f, T, B, S);
        const tg_real zeros[B * 2 * H] = { 0 };
        outcome o = begin(&f, &a);
        const tg_memory memory = tg_attention_rnn_memory(f.l, f.t, o.rows, NULL);
        const tg_attended y = tg_attention_rnn_run(f.l, f.t, o.x, NULL, &memory, NULL, &o.after);
        const tg_attention_state in = {
            .h = tg_input(f.t, 2, (int[]){ B, H }, zeros),
            .attentional = o.after.attentional ? tg_input(f.t, 2, (int[]){ B, f.R }, zeros) : NULL,
            .coverage = o.after.coverage ? tg_input(f.t, 2, (int[]){ B, S }, zeros) : NULL
        };
        ck_assert(!o.after.attentional == !configs[c].input_feeding);
        ck_assert(!o.after.coverage == !configs[c].attention.coverage);
        const tg_attended z = tg_attention_rnn_run(f.l, f.t, o.x, NULL, &memory, &in, NULL);
        ck_assert_msg(tg_context_ok(f.cx), "%s", tg_context_message(f.cx));
        ck_assert(!memcmp(y.output->data, z.output->data, T * B * H * sizeof(tg_real)));
        ck_assert(!memcmp(y.weights->data, z.weights->data, T * B * S * sizeof(tg_real)));
        arrays_free(&a);
        tg_context_free(f.cx);
    }
}
END_TEST

/* ---- batches against single rows ---- */

/* Row b of an array (n,B,D) -> (n,D). */
static void take_row(tg_real *to, const tg_real *from, int n, int B, int b, int D)
{
    for (int k = 0; k < n; k++)
        memcpy(to + (size_t)k * (size_t)D, from + ((size_t)k * (size_t)B + (size_t)b) * (size_t)D,
               (size_t)D * sizeof *to);
}

/* Steps 0..n-1 of row b of x (T,B,D) are those of one (n,1,D), and the others zero. */
static void assert_row(const tg_real *x, int T, int B, int b, int D, const tg_real *one, int n,
                       const char *what)
{
    tg_real row[16];
    ck_assert_int_le(D, 16);
    for (int t = 0; t < T; t++) {
        take_row(row, x + (size_t)t * (size_t)(B * D), 1, B, b, D);
        if (t < n) assert_near(row, one + t * D, (size_t)D, what);
        for (int j = 0; j < D && t >= n; j++) ck_assert_msg(row[j] == 0, "%s is not zero in padding", what);
    }
}

static void check_row(fixture *f, const arrays *a, const outcome *o, int b, int length, int memory_length)
{
    const int S = memory_length ? memory_length : 1;
    arrays one = arrays_new(f, length, 1, S);
    take_row(one.x, a->x, length, a->B, b, I);
    take_row(one.rows, a->rows, S, a->B, b, f->M);
    take_row(one.h0, a->h0, 1, a->B, b, H);
    take_row(one.dy, a->dy, length, a->B, b, H);
    take_row(one.dc, a->dc, length, a->B, b, f->M);
    take_row(one.du, a->du, length, a->B, b, f->R);
    fixture g = *f;
    g.t = tg_tape_new(f->cx);
    const outcome z = run(&g, &one, NULL, &memory_length);
    assert_row(o->y.output->data, a->T, a->B, b, H, z.y.output->data, length, "an output");
    assert_row(o->y.context->data, a->T, a->B, b, f->M, z.y.context->data, length, "a context");
    if (f->R) assert_row(o->y.attentional->data, a->T, a->B, b, f->R, z.y.attentional->data, length, "u");
    for (int t = 0; t < length; t++)
        for (int s = 0; s < a->S; s++) {
            const double w = (double)o->y.weights->data[(t * a->B + b) * a->S + s];
            if (s >= memory_length) ck_assert(w == 0);
            if (s < memory_length) ck_assert(fabs(w - (double)z.y.weights->data[t * S + s]) <= 1e-5);
        }
    assert_row(o->x->grad, a->T, a->B, b, I, z.x->grad, length, "an input's gradient");
    assert_row(o->rows->grad, a->S, a->B, b, f->M, z.rows->grad, memory_length, "a memory row's gradient");
    assert_row(o->h0->grad, 1, a->B, b, H, z.h0->grad, 1, "the gradient of the state before");
    assert_row(o->after.h->data, 1, a->B, b, H, z.after.h->data, 1, "a state");
    if (o->after.attentional)
        assert_row(o->after.attentional->data, 1, a->B, b, f->R, z.after.attentional->data, 1, "u carried");
    if (o->after.coverage)
        assert_near(o->after.coverage->data + b * a->S, z.after.coverage->data, (size_t)memory_length,
                    "the coverage");
    arrays_free(&one);
}

/* Outputs, states and gradients, those of parameters in sum; padding gives 0 and gets none, even if some arrives there. Two blocks of rows. */
START_TEST(padded_batches_equal_unpadded_single_rows)
{
    enum { T = 7, B = 35, S = 6 };
    int lengths[B], memory_lengths[B];
    for (int b = 0; b < B; b++) lengths[b] = (b * 3 + 4) % (T + 1), memory_lengths[b] = (b * 5 + 6) % (S + 1);
    for (int c = 0; c < CONFIGS; c++) {
        fixture f = fixture_new(c);
        arrays a = arrays_new(&f, T, B, S);
        size_t n;
        const outcome o = run(&f, &a, lengths, memory_lengths);
        tg_real *together = gradients_of(f.ps, &n);
        tg_params_zero_gradients(f.ps);
        for (int b = 0; b < B; b++) {
            if (lengths[b]) check_row(&f, &a, &o, b, lengths[b], memory_lengths[b]);
            if (lengths[b]) continue;
            const tg_real nothing[1] = { 0 };
            assert_row(o.y.output->data, T, B, b, H, nothing, 0, "an output");
            assert_row(o.y.weights->data, T, B, b, S, nothing, 0, "weights");
            ck_assert(!memcmp(o.after.h->data + b * H, a.h0 + b * H, H * sizeof(tg_real)));
        }
        tg_real *summed = gradients_of(f.ps, &n);
        assert_near(together, summed, n, "the sum of the rows' gradients");
        free(together);
        free(summed);
        arrays_free(&a);
        tg_context_free(f.cx);
    }
}
END_TEST

START_TEST(gradient_of_the_state_after_a_row_of_length_zero_goes_straight_back)
{
    enum { T = 3, B = 2, S = 4 };
    for (int c = 0; c < CONFIGS; c++) {
        fixture f = fixture_new(c);
        arrays a = arrays_new(&f, T, B, S);
        outcome o = begin(&f, &a);
        const tg_memory memory = tg_attention_rnn_memory(f.l, f.t, o.rows, NULL);
        tg_attention_rnn_run(f.l, f.t, o.x, (const int[]){ 0, 2 }, &memory,
                             &(tg_attention_state){ .h = o.h0 }, &o.after);
        ck_assert_int_eq(tg_tape_backward_from(f.t, 1, &o.after.h, (const tg_real *const[]){ a.dy }), TG_OK);
        ck_assert(!memcmp(o.after.h->data, a.h0, H * sizeof(tg_real)));
        ck_assert(!memcmp(o.h0->grad, a.dy, H * sizeof(tg_real)));
        ck_assert(memcmp(o.h0->grad + H, a.dy + H, H * sizeof(tg_real)));
        arrays_free(&a);
        tg_context_free(f.cx);
    }
}
END_TEST

START_TEST(padding_of_memory_and_input_is_not_looked_at)
{
    enum { T = 5, B = 4, S = 6 };
    const int lengths[B] = { 3, 5, 0, 1 }, memory_lengths[B] = { 2, 6, 4, 0 };
    for (int c = 0; c < CONFIGS; c++) {
        fixture f = fixture_new(c), g = fixture_new(c);
        arrays a = arrays_new(&f, T, B, S);
        size_t n, m;
        const outcome o = run(&f, &a, lengths, memory_lengths);
        tg_real *p = gradients_of(f.ps, &n);
        for (int b = 0; b < B; b++) {
            for (int i = memory_lengths[b] * B + b; i < S * B; i += B)
                for (int j = 0; j < g.M; j++) a.rows[i * g.M + j] = (tg_real)(j % 2 ? 1e6 : -1e6);
            for (int i = lengths[b] * B + b; i < T * B; i += B)
                for (int j = 0; j < I; j++) a.x[i * I + j] = (tg_real)(j % 2 ? 1e6 : -1e6);
        }
        const outcome z = run(&g, &a, lengths, memory_lengths);
        tg_real *q = gradients_of(g.ps, &m);
        const struct {
            const tg_real *x, *y;
            size_t n;
        } same[] = { { o.y.output->data, z.y.output->data, T * B * H },
                     { o.y.context->data, z.y.context->data, (size_t)(T * B * f.M) },
                     { o.y.weights->data, z.y.weights->data, T * B * S },
                     { o.rows->grad, z.rows->grad, (size_t)(S * B * f.M) },
                     { o.x->grad, z.x->grad, T * B * I },
                     { p, q, n } };
        for (size_t k = 0; k < sizeof same / sizeof *same; k++)
            for (size_t i = 0; i < same[k].n; i++) /* == : a zero may change its sign */
                if (same[k].x[i] != same[k].y[i])
                    ck_abort_msg("config %d, part %zu: number %zu was %.9g and is %.9g", c, k, i,
                                 (double)same[k].x[i], (double)same[k].y[i]);
        free(p);
        free(q);
        arrays_free(&a);
        tg_context_free(f.cx);
        tg_context_free(g.cx);
    }
}
END_TEST

START_TEST(parameters_learn_where_input_memory_and_state_do_not)
{
    enum { T = 4, B = 3, S = 5 };
    const int lengths[B] = { 4, 2, 0 };
    for (int c = 0; c < CONFIGS; c++)
        for (int ragged = 0; ragged < 2; ragged++) {
            fixture f = fixture_new(c);
            arrays a = arrays_new(&f, T, B, S);
            tg_real *gradients[2];
            size_t n;
            for (int apart = 0; apart < 2; apart++) {
                outcome o = begin(&f, &a);
                if (apart) {
                    o.x = tg_detach(f.t, o.x), o.rows = tg_detach(f.t, o.rows);
                    o.h0 = tg_detach(f.t, o.h0);
                }
                tg_params_zero_gradients(f.ps);
                const tg_memory memory = tg_attention_rnn_memory(f.l, f.t, o.rows, NULL);
                o.y = tg_attention_rnn_run(f.l, f.t, o.x, ragged ? lengths : NULL, &memory,
                                           &(tg_attention_state){ .h = o.h0 }, NULL);
                ck_assert_int_eq(tg_tape_backward_from(f.t, 2, (tg_tensor *[]){ o.y.output, o.y.context },
                                                       (const tg_real *const[]){ a.dy, a.dc }),
                                 TG_OK);
                gradients[apart] = gradients_of(f.ps, &n);
            }
            ck_assert(!memcmp(gradients[0], gradients[1], n * sizeof **gradients));
            free(gradients[0]);
            free(gradients[1]);
            arrays_free(&a);
            tg_context_free(f.cx);
        }
}
END_TEST

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
    assert_fails(f.cx, TG_ERR_SHAPE, "x is NULL");
    RUN(o.x, too_long, &memory, NULL);
    assert_fails(f.cx, TG_ERR_ARGUMENT, "the length of row 1 is 3, outside 0..2");
    RUN(o.x, negative, &memory, NULL);
    assert_fails(f.cx, TG_ERR_ARGUMENT, "the length of row 2 is -1, outside 0..2");
    RUN(o.x, NULL, NULL, NULL);
    assert_fails(f.cx, TG_ERR_SHAPE, "memory NULL");
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

TG_TEST_MAIN("layers/attention_rnn", steps_with_carried_state_equal_the_run,
             no_state_before_is_a_state_of_zeros, padded_batches_equal_unpadded_single_rows,
             gradient_of_the_state_after_a_row_of_length_zero_goes_straight_back,
             padding_of_memory_and_input_is_not_looked_at,
             parameters_learn_where_input_memory_and_state_do_not,
             parameters_have_the_documented_names_and_shapes,
             wrong_config_fails_with_a_sentence_and_declares_nothing,
             wrong_arguments_fail_with_their_numbers_and_harm_nothing,
             same_bits_for_1_2_3_and_8_workers_and_on_every_repeat, steady_training_step_allocates_nothing)
