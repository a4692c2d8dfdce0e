/* Pointwise ops, and what all ops promise. Their gradients against finite differences: gradcheck.c. */
#include <math.h>
#include <string.h>

#include <tidegate/tidegate.h>

#include "check_main.h"
#include "tensor/tape.h"
#include "workers.h"

typedef tg_tensor *one_input(tg_tape *t, tg_tensor *x);
typedef tg_tensor *two_inputs(tg_tape *t, tg_tensor *x, tg_tensor *y);

static double sigmoid(double x) { return 1 / (1 + exp(-x)); }
static double relu(double x) { return x > 0 ? x : 0; }

START_TEST(values_are_those_of_the_formulas)
{
    static const struct {
        one_input *op;
        double (*f)(double);
    } cases[] = { { tg_sigmoid, sigmoid }, { tg_tanh, tanh }, { tg_relu, relu } };
    static const tg_real values[] = { -100, -5, -1, (tg_real)-0.1, 0, (tg_real)1e-3, 1, 3, 50 };
    static const tg_real others[] = { 2, -3, 0, 5, -1, 7, (tg_real)0.5, 1, -2 };
    tg_context *cx = tg_context_new(NULL);
    tg_tape *t = tg_tape_new(cx);
    tg_tape_begin(t, TG_TRAIN);
    tg_tensor *x = tg_input(t, 2, (int[]){ 3, 3 }, values), *y = tg_input(t, 2, (int[]){ 3, 3 }, others);
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        const tg_tensor *z = cases[k].op(t, x);
        ck_assert(tg__same_shape(z, x));
        for (int i = 0; i < 9; i++)
            ck_assert_double_eq_tol((double)z->data[i], cases[k].f((double)values[i]), 1e-6);
    }
    const tg_tensor *sum = tg_add(t, x, y), *difference = tg_subtract(t, x, y),
                    *product = tg_multiply(t, x, y), *scaled = tg_scale(t, x, -2);
    for (int i = 0; i < 9; i++) {
        ck_assert(sum->data[i] == values[i] + others[i]);
        ck_assert(difference->data[i] == values[i] - others[i]);
        ck_assert(product->data[i] == values[i] * others[i]);
        ck_assert(scaled->data[i] == -2 * values[i]);
    }
    ck_assert(tg_context_ok(cx));
    tg_context_free(cx);
}
END_TEST

START_TEST(relu_at_zero_has_no_slope_and_lets_nan_through)
{
    tg_context *cx = tg_context_new(NULL);
    tg_tape *t = tg_tape_new(cx);
    tg_tape_begin(t, TG_TRAIN);
    tg_tensor *x = tg_input(t, 1, (int[]){ 3 }, (tg_real[]){ -1, 0, 2 }), *y = tg_relu(t, x);
    ck_assert_int_eq(tg_tape_backward_from(t, 1, &y, (const tg_real *[]){ (tg_real[]){ 5, 6, 7 } }), TG_OK);
    ck_assert(x->grad[0] == 0 && x->grad[1] == 0 && x->grad[2] == 7);
    tg_tape_begin(t, TG_TRAIN);
    x = tg_input(t, 0, NULL, (tg_real[]){ 1 });
    *x->data = (tg_real)NAN;
    ck_assert(isnan(*tg_relu(t, x)->data));
    tg_context_free(cx);
}
END_TEST

START_TEST(gradients_add_up_where_a_tensor_is_used_twice)
{
    tg_context *cx = tg_context_new(NULL);
    tg_tape *t = tg_tape_new(cx);
    tg_tape_begin(t, TG_TRAIN);
    tg_tensor *x = tg_input(t, 1, (int[]){ 2 }, (tg_real[]){ 3, -4 });
    tg_tensor *y = tg_add(t, tg_multiply(t, x, x), tg_subtract(t, tg_scale(t, x, 10), x)); /* x^2 + 9 x */
    ck_assert_int_eq(tg_tape_backward(t, tg_sum(t, y)), TG_OK);
    ck_assert_double_eq_tol((double)x->grad[0], 15, 1e-5);
    ck_assert_double_eq_tol((double)x->grad[1], 1, 1e-5);
    tg_context_free(cx);
}
END_TEST

START_TEST(evaluation_records_nothing_and_gives_the_same_values)
{
    const tg_real values[] = { 1, -2, 3 };
    tg_real trained[3];
    tg_context *cx = tg_context_new(NULL);
    tg_tape *t = tg_tape_new(cx);
    for (int mode = TG_TRAIN; mode <= TG_EVAL; mode++) {
        tg_tape_begin(t, (tg_mode)mode);
        tg_tensor *x = tg_input(t, 1, (int[]){ 3 }, values);
        tg_tensor *y = tg_tanh(t, tg_multiply(t, tg_sigmoid(t, x), x));
        ck_assert_int_eq(tg_tape_length(t), mode == TG_TRAIN ? 3 : 0);
        if (mode == TG_TRAIN)
            memcpy(trained, y->data, sizeof trained);
        else
            ck_assert_mem_eq(trained, y->data, sizeof trained);
        ck_assert(mode == TG_TRAIN ? y->grad != NULL : !y->grad);
    }
    tg_context_free(cx);
}
END_TEST

START_TEST(inputs_without_gradient_are_not_recorded)
{
    tg_context *cx = tg_context_new(NULL);
    tg_tape *t = tg_tape_new(cx);
    tg_tensor *x = tg_tensor_new(cx, 1, (int[]){ 3 });
    tg_tape_begin(t, TG_TRAIN);
    ck_assert_ptr_null(tg_tanh(t, tg_add(t, x, x))->grad);
    ck_assert_int_eq(tg_tape_length(t), 0);
    tg_tensor *y = tg_input(t, 1, (int[]){ 3 }, (tg_real[]){ 1, 2, 3 }),
              *loss = tg_sum(t, tg_multiply(t, x, y));
    ck_assert_int_eq(tg_tape_backward(t, loss), TG_OK);
    ck_assert(y->grad[0] == 0);
    tg_context_free(cx);
}
END_TEST

START_TEST(wrong_shapes_fail_with_both_and_the_result_is_harmless)
{
    static const struct {
        two_inputs *op;
        const char *name;
    } ops[] = { { tg_add, "tg_add" }, { tg_subtract, "tg_subtract" }, { tg_multiply, "tg_multiply" } };
    static const tg_real zeros[12];
    tg_context *cx = tg_context_new(NULL);
    tg_tape *t = tg_tape_new(cx);
    for (size_t k = 0; k < sizeof ops / sizeof *ops; k++) {
        char sentence[100];
        tg_tape_begin(t, TG_TRAIN);
        tg_tensor *z =
            ops[k].op(t, tg_input(t, 2, (int[]){ 2, 3 }, zeros), tg_input(t, 2, (int[]){ 3, 2 }, zeros));
        snprintf(sentence, sizeof sentence, "%s: x is [2,3] but y is [3,2]", ops[k].name);
        ck_assert_int_eq(tg_context_status(cx), TG_ERR_SHAPE);
        ck_assert_str_eq(tg_context_message(cx), sentence);
        ck_assert_ptr_eq(z, ops[k].op(t, z, z)); /* later calls do nothing */
        ck_assert_int_eq(tg_tape_backward(t, tg_sum(t, z)), TG_ERR_SHAPE);
        tg_context_clear(cx);
        tg_tape_begin(t, TG_TRAIN);
        ops[k].op(t, tg_input(t, 2, (int[]){ 2, 3 }, zeros), tg_input(t, 1, (int[]){ 6 }, zeros));
        snprintf(sentence, sizeof sentence, "%s: x is [2,3] but y is [6]", ops[k].name);
        ck_assert_str_eq(tg_context_message(cx), sentence);
        tg_context_clear(cx);
    }
    tg_context_free(cx);
}
END_TEST

START_TEST(null_tensors_and_tapes_not_begun_fail_with_a_sentence)
{
    tg_context *cx = tg_context_new(NULL);
    tg_tape *t = tg_tape_new(cx);
    tg_tensor *x = tg_tensor_new(cx, 1, (int[]){ 2 });
    tg_tanh(t, x);
    ck_assert_int_eq(tg_context_status(cx), TG_ERR_STATE);
    ck_assert_str_eq(tg_context_message(cx), "tg_tanh: the tape has not begun: call tg_tape_begin first");
    tg_context_clear(cx);
    tg_tape_begin(t, TG_EVAL);
    tg_relu(t, NULL);
    ck_assert_str_eq(tg_context_message(cx), "tg_relu: x is NULL");
    tg_context_clear(cx);
    tg_add(t, x, NULL);
    ck_assert_str_eq(tg_context_message(cx), "tg_add: y is NULL");
    tg_context_free(cx);
}
END_TEST

/* Rows 0..62 and 1..63 of x, multiplied: their gradients overlap, so that two workers could meet. */
static void run_overlapping(tg_context *cx, tg_tape *t, const tg_real *values, tg_real *y_copy,
                            tg_real *dx_copy)
{
    enum { ROWS = 64, COLUMNS = 1000 };
    tg_tape_begin(t, TG_TRAIN);
    tg_tensor *x = tg_input(t, 2, (int[]){ ROWS, COLUMNS }, values);
    tg_tensor *y =
        tg_multiply(t, tg_rows(t, tg_sigmoid(t, x), 0, ROWS - 1), tg_rows(t, tg_tanh(t, x), 1, ROWS - 1));
    tg_tensor *z = tg_multiply(t, tg_rows(t, x, 0, ROWS - 1), tg_rows(t, x, 1, ROWS - 1));
    ck_assert_int_eq(tg_tape_backward(t, tg_sum(t, tg_relu(t, tg_add(t, y, tg_scale(t, z, 3))))), TG_OK);
    memcpy(y_copy, y->data, tg__size(y) * sizeof *y_copy);
    memcpy(dx_copy, x->grad, tg__size(x) * sizeof *dx_copy);
    ck_assert(tg_context_ok(cx));
}

START_TEST(any_number_of_workers_gives_the_same_bits_even_where_views_overlap)
{
    enum { N = 64000 };
    static tg_real values[N], y[2][N], dx[2][N];
    for (int i = 0; i < N; i++) values[i] = (tg_real)sin(i * 0.37);
    for (int workers = 1; workers <= 8; workers += workers == 1 ? 1 : 3) {
        tg_context *cx = context_of_workers(workers, 1);
        tg_tape *t = tg_tape_new(cx);
        const int k = workers > 1;
        run_overlapping(cx, t, values, y[k], dx[k]);
        for (int round = 0; k && round < 50; round++) {
            run_overlapping(cx, t, values, y[k], dx[k]);
            ck_assert_mem_eq(y[0], y[1], sizeof y[0]);
            ck_assert_mem_eq(dx[0], dx[1], sizeof dx[0]);
        }
        if (k) UNTIL_SHARED(cx) run_overlapping(cx, t, values, y[k], dx[k]);
        tg_context_free(cx);
    }
}
END_TEST

TG_TEST_MAIN("ops/pointwise", values_are_those_of_the_formulas,
             relu_at_zero_has_no_slope_and_lets_nan_through, gradients_add_up_where_a_tensor_is_used_twice,
             evaluation_records_nothing_and_gives_the_same_values, inputs_without_gradient_are_not_recorded,
             wrong_shapes_fail_with_both_and_the_result_is_harmless,
             null_tensors_and_tapes_not_begun_fail_with_a_sentence,
             any_number_of_workers_gives_the_same_bits_even_where_views_overlap)
