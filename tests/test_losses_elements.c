/* Mean squared error and binary cross entropy: losses that are a weighted sum over elements. */
#include <math.h>
#include <string.h>

#include <tidegate/tidegate.h>

#include "check_main.h"
#include "tensor/tape.h"
#include "workers.h"

typedef tg_tensor *loss_op(tg_tape *t, tg_tensor *x, const tg_real target[], const tg_real weight[],
                           const tg_element_loss_config *config);

static double square(double x, double t) { return (x - t) * (x - t); }
static double square_slope(double x, double t) { return 2 * (x - t); }
static double binary(double x, double t)
{
    return -t * log(1 / (1 + exp(-x))) - (1 - t) * log(1 / (1 + exp(x)));
}
static double binary_slope(double x, double t) { return 1 / (1 + exp(-x)) - t; }

static const struct {
    loss_op *op;
    const char *name;
    double (*value)(double x, double target);
    double (*slope)(double x, double target);
} losses[] = {
    { tg_mean_squared_error, "tg_mean_squared_error", square, square_slope },
    { tg_binary_cross_entropy, "tg_binary_cross_entropy", binary, binary_slope },
};

START_TEST(loss_and_gradient_are_those_of_the_definition)
{
    enum { N = 3 * 1050 };
    static tg_real x[N], target[N], weight[N];
    for (int i = 0; i < N; i++) {
        x[i] = (tg_real)(4 * sin(1.3 * i));
        target[i] = (tg_real)(i % 7 / 6.0);
        weight[i] = (tg_real)(i % 4 * 0.5);
    }
    for (int k = 0; k < 8; k++) {
        const int which = k & 1, weighted = k & 2;
        const tg_reduction reduction = k & 4 ? TG_SUM : TG_MEAN;
        double sum = 0, counted = 0;
        for (int i = 0; i < N; i++) {
            const double w = weighted ? (double)weight[i] : 1;
            sum += w * losses[which].value((double)x[i], (double)target[i]);
            counted += w != 0;
        }
        const double factor = reduction == TG_SUM ? 1 : 1 / counted;
        tg_context *cx = tg_context_new(NULL);
        tg_tape *t = tg_tape_new(cx);
        tg_tape_begin(t, TG_TRAIN);
        tg_tensor *input = tg_input(t, 2, (int[]){ 3, 1050 }, x);
        tg_tensor *y = losses[which].op(t, input, target, weighted ? weight : NULL,
                                        &(tg_element_loss_config){ .reduction = reduction });
        ck_assert_double_eq_tol((double)*y->data / (factor * sum), 1, TG_DOUBLE ? 1e-13 : 1e-6);
        ck_assert_int_eq(tg_tape_backward(t, tg_scale(t, y, 3)), TG_OK);
        for (int i = 0; i < N; i++) {
            const double slope =
                losses[which].slope((double)x[i], (double)target[i]) * (weighted ? (double)weight[i] : 1);
            ck_assert_double_eq_tol((double)input->grad[i], 3 * factor * slope,
                                    (TG_DOUBLE ? 1e-14 : 1e-5) * factor * (1 + fabs(slope)));
        }
        tg_context_free(cx);
    }
}
END_TEST

START_TEST(binary_cross_entropy_of_huge_logits_is_finite)
{
    tg_context *cx = tg_context_new(NULL);
    tg_tape *t = tg_tape_new(cx);
    tg_tape_begin(t, TG_TRAIN);
    tg_tensor *x = tg_input(t, 1, (int[]){ 4 }, (tg_real[]){ (tg_real)1e38, (tg_real)-1e38, 1000, -1000 });
    tg_tensor *y = tg_binary_cross_entropy(t, x, (tg_real[]){ 1, 0, 0, 1 }, NULL,
                                           &(tg_element_loss_config){ .reduction = TG_SUM });
    ck_assert_double_eq_tol((double)*y->data, 2000, 1e-3);
    ck_assert_int_eq(tg_tape_backward(t, y), TG_OK);
    const double slopes[] = { 0, 0, 1, -1 };
    for (int i = 0; i < 4; i++) ck_assert_double_eq_tol((double)x->grad[i], slopes[i], 1e-6);
    tg_context_free(cx);
}
END_TEST

START_TEST(elements_without_weight_may_miss_their_target)
{
    for (int k = 0; k < 2; k++) {
        tg_context *cx = tg_context_new(NULL);
        tg_tape *t = tg_tape_new(cx);
        tg_tape_begin(t, TG_TRAIN);
        tg_tensor *x = tg_input(t, 1, (int[]){ 3 }, (tg_real[]){ 1, 2, 3 });
        tg_tensor *y = losses[k].op(t, x, (tg_real[]){ 0, (tg_real)NAN, 1 }, (tg_real[]){ 1, 0, 1 }, NULL);
        ck_assert_double_eq_tol((double)*y->data, (losses[k].value(1, 0) + losses[k].value(3, 1)) / 2, 1e-5);
        ck_assert_int_eq(tg_tape_backward(t, y), TG_OK);
        ck_assert(x->grad[0] != 0 && x->grad[1] == 0 && x->grad[2] != 0);

        tg_tape_begin(t, TG_TRAIN); /* and with no weight at all the loss is 0 */
        x = tg_input(t, 1, (int[]){ 2 }, (tg_real[]){ 1, 2 });
        y = losses[k].op(t, x, (tg_real[]){ 1, 1 }, (tg_real[]){ 0, 0 }, NULL);
        ck_assert(*y->data == 0);
        ck_assert_int_eq(tg_tape_backward(t, y), TG_OK);
        ck_assert(x->grad[0] == 0 && x->grad[1] == 0);
        tg_context_free(cx);
    }
}
END_TEST

START_TEST(misuse_is_told_with_its_numbers)
{
    static const struct {
        tg_real target[3], weight[3];
        tg_status status;
        const char *sentence;
        int only; /* of one loss, or -1 */
    } cases[] = {
        { { 0, (tg_real)NAN, 1 }, { 1, 1, 1 }, TG_ERR_NUMBER, "target 1 of 3 is nan", -1 },
        { { 0, 1, (tg_real)INFINITY }, { 1, 1, 1 }, TG_ERR_NUMBER, "target 2 of 3 is inf", -1 },
        { { 0, 1, 1 }, { 1, 1, (tg_real)NAN }, TG_ERR_NUMBER, "weight 2 of 3 is nan", -1 },
        { { 0, 1, 1.5 }, { 1, 1, 1 }, TG_ERR_ARGUMENT, "target 2 of 3 is 1.5, outside [0, 1]", 1 },
        { { -2, 1, 1 }, { 1, 1, 1 }, TG_ERR_ARGUMENT, "target 0 of 3 is -2, outside [0, 1]", 1 },
    };
    tg_context *cx = tg_context_new(NULL);
    tg_tape *t = tg_tape_new(cx);
    char sentence[100];
    for (int k = 0; k < 2; k++) {
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            if (cases[i].only >= 0 && cases[i].only != k) continue;
            tg_tape_begin(t, TG_TRAIN);
            tg_tensor *x = tg_input(t, 1, (int[]){ 3 }, (tg_real[]){ 1, 2, 3 });
            ck_assert_ptr_eq(losses[k].op(t, x, cases[i].target, cases[i].weight, NULL), &cx->nil);
            snprintf(sentence, sizeof sentence, "%s: %s", losses[k].name, cases[i].sentence);
            ck_assert_str_eq(tg_context_message(cx), sentence);
            ck_assert_int_eq(tg_context_status(cx), cases[i].status);
            tg_context_clear(cx);
        }
        tg_tape_begin(t, TG_TRAIN);
        losses[k].op(t, tg_input(t, 1, (int[]){ 1 }, (tg_real[]){ 1 }), NULL, NULL, NULL);
        snprintf(sentence, sizeof sentence, "%s: target is NULL", losses[k].name);
        ck_assert_str_eq(tg_context_message(cx), sentence);
        tg_context_clear(cx);
        const struct {
            tg_element_loss_config config;
            int rank;
            const char *sentence;
        } layouts[] = {
            { { .lengths = (const int[]){ 3 } }, 2, "length 3 of row 0 is outside 0..2" },
            { { .lengths = (const int[]){ -1 } }, 2, "length -1 of row 0 is outside 0..2" },
            { { .lengths = (const int[]){ 1 } }, 1, "x is [2], but with lengths must be (T,B,..)" },
            { { .batch_first = true }, 1, "x is [2], but with batch_first must be (T,B,..)" },
        };
        for (size_t i = 0; i < sizeof layouts / sizeof *layouts; i++) {
            tg_tape_begin(t, TG_TRAIN);
            tg_tensor *x = tg_input(t, layouts[i].rank, (int[]){ 2, 1 }, (tg_real[]){ 1, 2 });
            losses[k].op(t, x, (tg_real[]){ 1, 1 }, NULL, &layouts[i].config);
            snprintf(sentence, sizeof sentence, "%s: %s", losses[k].name, layouts[i].sentence);
            ck_assert_str_eq(tg_context_message(cx), sentence);
            tg_context_clear(cx);
        }
    }
    tg_context_free(cx);
}
END_TEST

/* Targets and weights of x (T,B,D), and the same (B,T,D). */
START_TEST(batch_first_is_time_major_with_the_arrays_transposed)
{
    enum { T = 3, B = 4, D = 5, N = T * B * D };
    static const int ragged[B] = { 2, 0, 3, 1 };
    tg_real x[N], by_time[2][N], by_row[2][N];
    for (int k = 0; k < T; k++)
        for (int b = 0; b < B; b++)
            for (int d = 0; d < D; d++) {
                const int i = (k * B + b) * D + d, j = (b * T + k) * D + d;
                x[i] = (tg_real)sin(1.9 * i);
                by_row[0][j] = by_time[0][i] = (tg_real)(i % 11 / 10.0);
                by_row[1][j] = by_time[1][i] = (tg_real)(i % 3 * 0.7);
            }
    for (int k = 0; k < 16; k++) {
        const int which = k & 1, weighted = k & 2, D_apart = k & 8; /* also of x (T,B D) */
        const int *lengths = k & 4 ? ragged : NULL;
        tg_context *cx = tg_context_new(NULL);
        tg_tape *t = tg_tape_new(cx);
        tg_tape_begin(t, TG_TRAIN);
        tg_tensor *input[2], *y[2];
        for (int first = 0; first < 2; first++) {
            tg_real(*array)[N] = first ? by_row : by_time;
            const tg_element_loss_config c = { .lengths = lengths, .batch_first = first };
            input[first] = tg_input(t, D_apart ? 3 : 4, (int[]){ T, B, D, 1 }, x);
            y[first] = losses[which].op(t, input[first], array[0], weighted ? array[1] : NULL, &c);
        }
        ck_assert_msg(tg_context_ok(cx), "%s", tg_context_message(cx));
        ck_assert(*y[0]->data != 0 && *y[0]->data == *y[1]->data);
        ck_assert_int_eq(tg_tape_backward(t, tg_add(t, y[0], y[1])), TG_OK);
        ck_assert_mem_eq(input[0]->grad, input[1]->grad, sizeof x);
        for (int i = 0; i < N; i++)
            if (lengths && i / D / B >= lengths[i / D % B]) ck_assert(input[0]->grad[i] == 0);
        tg_context_free(cx);
    }
}
END_TEST

/* As with a weight of 0 there; whatever stands in the padding of the target. */
START_TEST(padding_is_not_counted_and_gets_no_gradient)
{
    const int lengths[] = { 1, 2 };
    const tg_real nan = (tg_real)NAN, target[] = { 0, 1, nan, 1 }, weight[] = { 1, 1, 0, 1 };
    for (int which = 0; which < 2; which++) {
        tg_context *cx = tg_context_new(NULL);
        tg_tape *t = tg_tape_new(cx);
        tg_tape_begin(t, TG_TRAIN);
        tg_tensor *x = tg_input(t, 2, (int[]){ 2, 2 }, (tg_real[]){ 1, 2, 3, 4 });
        tg_tensor *weighted = losses[which].op(t, x, target, weight, NULL),
                  *padded =
                      losses[which].op(t, x, target, NULL, &(tg_element_loss_config){ .lengths = lengths });
        ck_assert(*weighted->data > 0 && *padded->data == *weighted->data);
        ck_assert_int_eq(tg_tape_backward(t, padded), TG_OK);
        for (int i = 0; i < 4; i++) ck_assert_int_eq(x->grad[i] != 0, i != 2);
        tg_context_free(cx);
    }
}
END_TEST

START_TEST(any_number_of_workers_gives_the_same_bits)
{
    enum { N = 200001 };
    static tg_real x[N], target[N], dx[N], value;
    for (int i = 0; i < N; i++) x[i] = (tg_real)(3 * sin(0.7 * i)), target[i] = (tg_real)(i % 3 / 2.0);
    for (int which = 0; which < 2; which++)
        for (int workers = 1; workers <= 3; workers++) {
            tg_context *cx = context_of_workers(workers, 1);
            tg_tape *t = tg_tape_new(cx);
            for (int round = 0; round < 1000 && (!round || (workers > 1 && tg__team_worked(cx) < 2));
                 round++) {
                tg_tape_begin(t, TG_TRAIN);
                tg_tensor *input = tg_input(t, 1, (int[]){ N }, x),
                          *y = losses[which].op(t, input, target, NULL, NULL);
                ck_assert_int_eq(tg_tape_backward(t, y), TG_OK);
                if (workers == 1) memcpy(dx, input->grad, sizeof dx), value = *y->data;
                ck_assert(*y->data == value);
                ck_assert_mem_eq(input->grad, dx, sizeof dx);
            }
            ck_assert_int_eq(tg__team_worked(cx) > 1, workers > 1);
            tg_context_free(cx);
        }
}
END_TEST

TG_TEST_MAIN("losses/elements", loss_and_gradient_are_those_of_the_definition,
             binary_cross_entropy_of_huge_logits_is_finite, elements_without_weight_may_miss_their_target,
             batch_first_is_time_major_with_the_arrays_transposed,
             padding_is_not_counted_and_gets_no_gradient, misuse_is_told_with_its_numbers,
             any_number_of_workers_gives_the_same_bits)
