/* tests/test_layers_attention_rnn.c -- the recurrent layer that attends: steps against sequences, batches against single
 * rows, padding, inputs without gradients. Its numbers are those of PyTorch in test_golden_translation.c. */
#include "attention_rnn_fixture.h"

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

TG_TEST_MAIN("layers/attention_rnn", steps_with_carried_state_equal_the_run,
             no_state_before_is_a_state_of_zeros, padded_batches_equal_unpadded_single_rows,
             gradient_of_the_state_after_a_row_of_length_zero_goes_straight_back,
             padding_of_memory_and_input_is_not_looked_at,
             parameters_learn_where_input_memory_and_state_do_not)
