/* Softmax cross entropy. */
#include <float.h>
#include <math.h>
#include <string.h>

#include <tidegate/tidegate.h>

#include "check_main.h"
#include "tensor/tape.h"
#include "workers.h"

typedef struct fixture {
    tg_context *cx;
    tg_tape *t;
} fixture;

static fixture begin(void)
{
    fixture f = { .cx = tg_context_new(NULL) };
    f.t = tg_tape_new(f.cx);
    tg_tape_begin(f.t, TG_TRAIN);
    return f;
}

/* The loss straight from its definition, and its gradient (rows,V). Returns the number of real rows. */
static int reference(const tg_real *x, int T, int B, int V, const int *ids, const tg_cross_entropy_config *c,
                     double *loss, double *gradient)
{
    int N = 0;
    const double e = (double)c->label_smoothing;
    *loss = 0;
    memset(gradient, 0, (size_t)T * (size_t)B * (size_t)V * sizeof *gradient);
    for (int i = 0; i < T * B; i++) {
        const tg_real *row = x + (size_t)i * (size_t)V;
        long double Z = 0;
        if (ids[i] < 0 || (c->lengths && i / B >= c->lengths[i % B])) continue;
        N++;
        for (int j = 0; j < V; j++) Z += expl(row[j]);
        for (int j = 0; j < V; j++) {
            const double target = (1 - e) * (j == ids[i]) + e / V;
            *loss -= target * (double)logl(expl(row[j]) / Z);
            gradient[(size_t)i * (size_t)V + (size_t)j] = (double)(expl(row[j]) / Z) - target;
        }
    }
    if (c->reduction == TG_MEAN && N) {
        *loss /= N;
        for (int i = 0; i < T * B * V; i++) gradient[i] /= N;
    }
    return N;
}

START_TEST(loss_and_gradient_are_those_of_the_definition)
{
    static const int shapes[][3] = { { 1, 1, 1 }, { 1, 1, 2 }, { 3, 2, 5 }, { 4, 3, 17 }, { 2, 3, 3000 } };
    static const int lengths[] = { 1, 2, 0 };
    static const tg_cross_entropy_config configs[] = {
        { 0 },
        { .reduction = TG_SUM },
        { .label_smoothing = (tg_real)0.1 },
        { .reduction = TG_SUM, .label_smoothing = (tg_real)0.3, .lengths = lengths },
        { .lengths = lengths },
        { .label_smoothing = TG_ZERO },
    };
    static tg_real x[18000];
    static double gradient[18000];
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
        for (size_t k = 0; k < sizeof configs / sizeof *configs; k++) {
            const int T = shapes[s][0], B = shapes[s][1], V = shapes[s][2];
            tg_cross_entropy_config c = configs[k];
            int ids[12];
            double loss;
            if (c.lengths && T < 2) continue;
            for (int i = 0; i < T * B * V; i++) x[i] = (tg_real)(3 * sin(1.7 * i));
            for (int i = 0; i < T * B; i++) ids[i] = i % 5 == 3 ? -1 - i : i * 7 % V;
            if (c.label_smoothing == TG_ZERO) c.label_smoothing = 0;
            reference(x, T, B, V, ids, &c, &loss, gradient);

            fixture f = begin();
            tg_tensor *logits = tg_input(f.t, 3, (int[]){ T, B, V }, x);
            tg_tensor *y = tg_cross_entropy(f.t, logits, ids, k ? &configs[k] : NULL);
            memset(ids, 0, sizeof ids); /* copied: no matter */
            ck_assert_int_eq(y->rank, 0);
            ck_assert_double_eq_tol((double)*y->data, loss, (TG_DOUBLE ? 1e-12 : 1e-6) * (1 + loss));
            ck_assert_int_eq(tg_tape_backward(f.t, tg_scale(f.t, y, 2)), TG_OK);
            for (int i = 0; i < T * B * V; i++)
                ck_assert_double_eq_tol((double)logits->grad[i], 2 * gradient[i], TG_DOUBLE ? 1e-13 : 5e-7);
            tg_context_free(f.cx);
        }
}
END_TEST

START_TEST(gradient_is_added_to_what_is_there)
{
    fixture f = begin();
    const int id[] = { 1, 0 };
    tg_tensor *x = tg_input(f.t, 2, (int[]){ 2, 2 }, (tg_real[]){ 0, 0, 0, 0 });
    tg_tensor *y = tg_add(f.t, tg_cross_entropy(f.t, x, id, NULL), tg_cross_entropy(f.t, x, id, NULL));
    ck_assert_int_eq(tg_tape_backward(f.t, tg_add(f.t, y, tg_sum(f.t, x))), TG_OK);
    for (int i = 0; i < 4; i++)
        ck_assert_double_eq_tol((double)x->grad[i], i == 1 || i == 2 ? 0.5 : 1.5, 1e-6);
    tg_context_free(f.cx);
}
END_TEST

START_TEST(equal_logits_cost_the_logarithm_of_the_number_of_classes)
{
    static const double levels[] = { 0, -1e38, 1e38, 12345 };
    static tg_real x[5000];
    for (int k = 0; k < 8; k++) {
        const tg_cross_entropy_config c = { .label_smoothing = (tg_real)(k % 2 * 0.1) };
        fixture f = begin();
        for (int i = 0; i < 5000; i++) x[i] = (tg_real)levels[k / 2];
        tg_tensor *y = tg_cross_entropy(f.t, tg_input(f.t, 2, (int[]){ 1, 5000 }, x), (int[]){ 4321 }, &c);
        ck_assert_double_eq_tol((double)*y->data, log(5000), 1e-5);
        tg_context_free(f.cx);
    }
}
END_TEST

/* The largest logit takes all the probability; the loss of another id is the difference. */
START_TEST(huge_logits_give_finite_losses_and_gradients)
{
    static const tg_real x[] = { (tg_real)1e38, (tg_real)-1e38, 0, (tg_real)-1e38, 50, (tg_real)-1e38 };
    for (int smoothed = 0; smoothed < 2; smoothed++) {
        const double e = 0.1;
        const int ids[] = { 0, 1 };
        fixture f = begin();
        tg_tensor *logits = tg_input(f.t, 2, (int[]){ 2, 3 }, x);
        const tg_cross_entropy_config c = { .reduction = TG_SUM,
                                            .label_smoothing = smoothed ? (tg_real)e : 0 };
        tg_tensor *y = tg_cross_entropy(f.t, logits, ids, &c);
        const double expected = smoothed ? e / 3 * (3e38 + 2e38) : 0;
        ck_assert_double_eq_tol((double)*y->data, expected, 1e-5 * expected + 1e-12);
        ck_assert_int_eq(tg_tape_backward(f.t, y), TG_OK);
        for (int i = 0; i < 6; i++) {
            const double target = smoothed ? e / 3 + (1 - e) * (i == 0 || i == 4) : i == 0 || i == 4;
            ck_assert_double_eq_tol((double)logits->grad[i], (i == 0 || i == 4) - target, 1e-6);
        }
        tg_context_free(f.cx);
    }
    fixture f = begin(); /* the probability of the id itself is far below the smallest number */
    tg_tensor *logits = tg_input(f.t, 1, (int[]){ 3 }, x);
    ck_assert_double_eq_tol((double)*tg_cross_entropy(f.t, logits, (int[]){ 2 }, NULL)->data / 1e38, 1, 1e-6);
    tg_tensor *y = tg_cross_entropy(f.t, logits, (int[]){ 1 }, NULL);
    ck_assert_double_eq_tol((double)*y->data / 2e38, 1, 1e-6);
    ck_assert_int_eq(tg_tape_backward(f.t, y), TG_OK);
    ck_assert(logits->grad[0] == 1 && logits->grad[1] == -1 && logits->grad[2] == 0);
    tg_context_free(f.cx);
#if !TG_DOUBLE
    f = begin(); /* a difference that overflows */
    logits = tg_input(f.t, 1, (int[]){ 2 }, (tg_real[]){ FLT_MAX, -FLT_MAX });
    y = tg_cross_entropy(f.t, logits, (int[]){ 0 }, NULL);
    ck_assert(*y->data == 0);
    ck_assert_int_eq(tg_tape_backward(f.t, y), TG_OK);
    ck_assert(logits->grad[0] == 0 && logits->grad[1] == 0);
    tg_context_free(f.cx);
#endif
}
END_TEST

START_TEST(all_padding_is_exactly_zero_and_backward_goes)
{
    static const tg_real x[12] = { 1, 2, 3, -4, 5, 6, 7, 8, 9, 10, 11, 12 };
    const int no_ids[] = { -1, -1, -5, -1 }, some_ids[] = { 0, 1, 2, 99 }, none[] = { 0, 0 };
    for (int k = 0; k < 2; k++)
        for (int sum = 0; sum < 2; sum++) {
            fixture f = begin();
            tg_tensor *logits = tg_input(f.t, 3, (int[]){ 2, 2, 3 }, x);
            const tg_cross_entropy_config c = { .reduction = sum ? TG_SUM : TG_MEAN,
                                                .lengths = k ? none : NULL };
            tg_tensor *y = tg_cross_entropy(f.t, logits, k ? some_ids : no_ids, &c);
            ck_assert(*y->data == 0);
            ck_assert_int_eq(tg_tape_backward(f.t, y), TG_OK);
            for (int i = 0; i < 12; i++) ck_assert(logits->grad[i] == 0);
            tg_context_free(f.cx);
        }
}
END_TEST

START_TEST(padding_is_not_counted_and_gets_no_gradient)
{
    static const tg_real x[12] = { 1, 2, 3, 1, 1, 2, 9, 9, 9, 0, 0, 0 };
    const int ids[] = { 0, 1, 77, -1 }, lengths[] = { 1, 2 }; /* 77 stands in the padding: never looked at */
    fixture f = begin();
    tg_tensor *logits = tg_input(f.t, 3, (int[]){ 2, 2, 3 }, x);
    tg_tensor *padded = tg_cross_entropy(f.t, logits, ids, &(tg_cross_entropy_config){ .lengths = lengths });
    tg_tensor *alone = tg_cross_entropy(f.t, tg_input(f.t, 2, (int[]){ 2, 3 }, x), ids, NULL);
    ck_assert(tg_context_ok(f.cx));
    ck_assert_double_eq_tol((double)*padded->data, (double)*alone->data, 1e-7);
    ck_assert_int_eq(tg_tape_backward(f.t, padded), TG_OK);
    for (int i = 0; i < 12; i++) ck_assert_int_eq(logits->grad[i] != 0, i < 6);
    tg_context_free(f.cx);
}
END_TEST

/* Ids of logits (T,B,V), and the same (B,T). */
START_TEST(batch_first_is_time_major_with_the_ids_transposed)
{
    enum { T = 4, B = 3, V = 5, N = T * B * V };
    static const int ragged[B] = { 3, 0, 4 };
    tg_real x[N];
    int by_time[T * B], by_row[B * T];
    for (int i = 0; i < N; i++) x[i] = (tg_real)(2 * sin(1.3 * i));
    for (int k = 0; k < T; k++)
        for (int b = 0; b < B; b++)
            by_row[b * T + k] = by_time[k * B + b] = (k * B + b) % 5 == 2 ? -1 : (k * B + b) * 7 % V;
    for (int k = 0; k < 4; k++) {
        fixture f = begin();
        tg_tensor *logits[2], *y[2];
        for (int first = 0; first < 2; first++) {
            const tg_cross_entropy_config c = { .lengths = k & 1 ? ragged : NULL,
                                                .label_smoothing = k & 2 ? (tg_real)0.1 : 0,
                                                .batch_first = first };
            logits[first] = tg_input(f.t, 3, (int[]){ T, B, V }, x);
            y[first] = tg_cross_entropy(f.t, logits[first], first ? by_row : by_time, &c);
        }
        ck_assert_msg(tg_context_ok(f.cx), "%s", tg_context_message(f.cx));
        ck_assert(*y[0]->data > 0 && *y[0]->data == *y[1]->data);
        ck_assert_int_eq(tg_tape_backward(f.t, tg_add(f.t, y[0], y[1])), TG_OK);
        ck_assert_mem_eq(logits[0]->grad, logits[1]->grad, sizeof x);
        tg_context_free(f.cx);
    }
}
END_TEST

/* The class of a step is whether the number before it was larger; sequences of several lengths, all arrays (B,T,..).
 * Returns the loss of the last of some training steps; *first: of the first. */
static double learn(bool batch_first, double *first)
{
    enum { B = 8, T = 9, STEPS = 60 };
    tg_real x[B][T];
    int target[B][T], lengths[B];
    double last = 0;
    tg_context *cx = tg_context_new(&(tg_context_config){ .seed = 5 });
    tg_params *ps = tg_params_new(cx);
    tg_rnn *gru = tg_rnn_new(ps, "gru", 1, 16, NULL);
    tg_linear *out = tg_linear_new(ps, "out", 16, 2, NULL);
    tg_optimizer *adam = tg_adam_new(ps, &(tg_adam_config){ .lr = (tg_real)0.03 });
    tg_tape *t = tg_tape_new(cx);
    for (int step = 0; step < STEPS; step++) {
        for (int b = 0; b < B; b++) {
            lengths[b] = T - b % 3;
            for (int k = 0; k < T; k++) {
                x[b][k] = (tg_real)tg_random_uniform(cx, "x", step, (uint64_t)(b * T + k));
                target[b][k] = k && x[b][k - 1] > x[b][k];
            }
        }
        tg_tape_begin(t, TG_TRAIN);
        tg_tensor *y = tg_rnn_run(gru, t, tg_input_batch_first(t, B, T, 1, &x[0][0]), lengths, NULL, NULL);
        tg_tensor *loss =
            tg_cross_entropy(t, tg_linear_run(out, t, y), &target[0][0],
                             &(tg_cross_entropy_config){ .lengths = lengths, .batch_first = batch_first });
        last = (double)*loss->data;
        if (!step) *first = last;
        ck_assert_int_eq(tg_tape_backward(t, loss), TG_OK);
        ck_assert_int_eq(tg_optimizer_step(adam), TG_OK);
    }
    tg_context_free(cx);
    return last;
}

START_TEST(arrays_that_are_all_batch_first_learn)
{
    double first;
    ck_assert_double_lt(learn(true, &first), 0.5 * first);
    ck_assert_double_gt(learn(false, &first), 0.8 * first); /* the ids of other steps: nothing to learn */
}
END_TEST

START_TEST(misuse_is_told_with_its_numbers)
{
    static const tg_real zeros[24];
    const int ids[] = { 0, 1, 2, 0, 1, 2 }, bad_id[] = { 0, 1, 4, 0, 0, 0 };
    fixture f = begin();
#define FAILS(expected, sentence, ...)                                                                       \
    do {                                                                                                     \
        tg_tape_begin(f.t, TG_TRAIN);                                                                        \
        tg_tensor *x = tg_input(f.t, 3, (int[]){ 3, 2, 4 }, zeros);                                          \
        ck_assert_ptr_eq(tg_cross_entropy(f.t, __VA_ARGS__), &f.cx->nil);                                    \
        (void)x;                                                                                             \
        ck_assert_str_eq(tg_context_message(f.cx), "tg_cross_entropy: " sentence);                           \
        ck_assert_int_eq(tg_context_status(f.cx), expected);                                                 \
        tg_context_clear(f.cx);                                                                              \
    } while (0)
    FAILS(TG_ERR_ARGUMENT, "ids[2] is 4, but there are 4 classes", x, bad_id, NULL);
    FAILS(TG_ERR_ARGUMENT, "length 4 of row 1 is outside 0..3", x, ids,
          &(tg_cross_entropy_config){ .lengths = (int[]){ 3, 4 } });
    FAILS(TG_ERR_ARGUMENT, "length -1 of row 0 is outside 0..3", x, ids,
          &(tg_cross_entropy_config){ .lengths = (int[]){ -1, 4 } });
    FAILS(TG_ERR_SHAPE, "logits are [2,4], but with lengths must be (T,B,V)", tg_row(f.t, x, 0), ids,
          &(tg_cross_entropy_config){ .lengths = (int[]){ 3, 3 } });
    FAILS(TG_ERR_SHAPE, "logits are [2,4], but with batch_first must be (T,B,V)", tg_row(f.t, x, 0), ids,
          &(tg_cross_entropy_config){ .batch_first = true });
    FAILS(TG_ERR_ARGUMENT, "ids[3] is 4, but there are 4 classes", x, (int[]){ 0, 1, 2, 4, 0, 0 },
          &(tg_cross_entropy_config){ .batch_first = true });
    FAILS(TG_ERR_ARGUMENT, "label_smoothing is 1, must be at least 0 and below 1", x, ids,
          &(tg_cross_entropy_config){ .label_smoothing = 1 });
    FAILS(TG_ERR_ARGUMENT, "label_smoothing is -0.5, must be at least 0 and below 1", x, ids,
          &(tg_cross_entropy_config){ .label_smoothing = (tg_real)-0.5 });
    FAILS(TG_ERR_ARGUMENT, "label_smoothing is nan, must be at least 0 and below 1", x, ids,
          &(tg_cross_entropy_config){ .label_smoothing = (tg_real)NAN });
    FAILS(TG_ERR_SHAPE, "logits are one number, must be (...,V)", tg_sum(f.t, x), ids, NULL);
    FAILS(TG_ERR_ARGUMENT, "ids is NULL", x, NULL, NULL);
    FAILS(TG_ERR_ARGUMENT, "logits is NULL", NULL, ids, NULL);
    tg_context_free(f.cx);
}
END_TEST

START_TEST(nan_among_the_logits_is_not_hidden)
{
    fixture f = begin();
    tg_tensor *x = tg_input(f.t, 1, (int[]){ 9 }, (tg_real[]){ 1, 2, 3, 4, 5, 6, 7, 8, 9 });
    x->data[4] = (tg_real)NAN;
    tg_tensor *y = tg_cross_entropy(f.t, x, (int[]){ 1 }, NULL);
    ck_assert(isnan(*y->data));
    ck_assert_int_eq(tg_tape_backward(f.t, y), TG_ERR_NUMBER);
    tg_context_free(f.cx);
}
END_TEST

START_TEST(any_number_of_workers_gives_the_same_bits)
{
    enum { T = 20, B = 10, V = 1003, N = T * B * V };
    static const int workers[] = { 1, 2, 3, 8 };
    static tg_real x[N], dx[N], loss;
    static int ids[T * B], lengths[B];
    for (int i = 0; i < N; i++) x[i] = (tg_real)(5 * sin(0.3 * i));
    for (int i = 0; i < T * B; i++) ids[i] = i * 31 % V;
    for (int b = 0; b < B; b++) lengths[b] = T - b;
    const tg_cross_entropy_config c = { .label_smoothing = (tg_real)0.1, .lengths = lengths };
    for (int k = 0; k < 4; k++) {
        tg_context *cx = context_of_workers(workers[k], 1);
        tg_tape *t = tg_tape_new(cx);
        tg_tensor *logits, *y;
        for (int round = 0; round < 1000 && (!round || (k && tg__team_worked(cx) < 2)); round++) {
            tg_tape_begin(t, TG_TRAIN);
            logits = tg_input(t, 3, (int[]){ T, B, V }, x);
            y = tg_cross_entropy(t, logits, ids, &c);
            ck_assert_int_eq(tg_tape_backward(t, y), TG_OK);
            if (!k) memcpy(dx, logits->grad, sizeof dx), loss = *y->data;
            ck_assert(*y->data == loss);
            ck_assert_mem_eq(logits->grad, dx, sizeof dx);
        }
        ck_assert_int_eq(tg__team_worked(cx) > 1, k > 0);
        tg_context_free(cx);
    }
}
END_TEST

TG_TEST_MAIN("losses/cross_entropy", loss_and_gradient_are_those_of_the_definition,
             gradient_is_added_to_what_is_there, equal_logits_cost_the_logarithm_of_the_number_of_classes,
             huge_logits_give_finite_losses_and_gradients, all_padding_is_exactly_zero_and_backward_goes,
             padding_is_not_counted_and_gets_no_gradient, batch_first_is_time_major_with_the_ids_transposed,
             arrays_that_are_all_batch_first_learn, misuse_is_told_with_its_numbers,
             nan_among_the_logits_is_not_hidden, any_number_of_workers_gives_the_same_bits)
