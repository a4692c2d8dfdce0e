/* The tape: what it promises when things go wrong, and the search for the first NaN. */
#include <float.h>
#include <math.h>
#include <string.h>
#include <sys/wait.h>
#include <tidegate/tidegate.h>
#include <unistd.h>

#include "check_main.h"
#include "params/params.h"
#include "tensor/tape.h"

typedef struct fixture {
    tg_context *cx;
    tg_params *ps;
    tg_linear *out;
    tg_tape *t;
} fixture;

static fixture fixture_new(bool check_finite)
{
    fixture f = { .cx = tg_context_new(&(tg_context_config){ .seed = 1, .check_finite = check_finite }) };
    f.ps = tg_params_new(f.cx);
    f.out = tg_linear_new(f.ps, "out", 3, 2, NULL);
    f.t = tg_tape_new(f.cx);
    return f;
}

static const tg_real x[6] = { 1, 2, 3, 4, 5, 6 };
static tg_tensor *input(fixture *f) { return tg_input(f->t, 2, (int[]){ 2, 3 }, x); }

static void assert_says(const tg_context *cx, const char *part)
{
    ck_assert_msg(strstr(tg_context_message(cx), part) != NULL, "'%s' does not say '%s'",
                  tg_context_message(cx), part);
}

START_TEST(backward_consumes_the_tape)
{
    fixture f = fixture_new(false);
    tg_tape_begin(f.t, TG_TRAIN);
    tg_tensor *loss = tg_sum(f.t, tg_linear_run(f.out, f.t, input(&f)));
    ck_assert_int_eq(tg_tape_backward(f.t, loss), TG_OK);
    ck_assert_int_eq(tg_tape_backward(f.t, loss), TG_ERR_STATE);
    assert_says(f.cx, "consumed");
    ck_assert(tg_context_ok(f.cx));
    tg_scale(f.t, loss, 2); /* nor may an op follow */
    ck_assert_int_eq(tg_context_status(f.cx), TG_ERR_STATE);
    tg_context_free(f.cx);
}
END_TEST

START_TEST(gradients_add_up_until_a_step_or_zeroing)
{
    fixture f = fixture_new(false);
    tg_real once[6], twice[6];
    for (int k = 0; k < 2; k++) {
        tg_tape_begin(f.t, TG_TRAIN);
        ck_assert_int_eq(tg_tape_backward(f.t, tg_sum(f.t, tg_linear_run(f.out, f.t, input(&f)))), TG_OK);
        ck_assert_int_eq(tg_params_get_gradient(f.ps, "out/W", k ? twice : once, 6), TG_OK);
    }
    for (int i = 0; i < 6; i++) ck_assert(twice[i] == 2 * once[i] && once[i] != 0);
    tg_params_zero_gradients(f.ps);
    ck_assert_int_eq(tg_params_get_gradient(f.ps, "out/W", once, 6), TG_OK);
    for (int i = 0; i < 6; i++) ck_assert(once[i] == 0);
    tg_context_free(f.cx);
}
END_TEST

START_TEST(ops_before_begin_and_in_an_erring_context_do_nothing)
{
    fixture f = fixture_new(false);
    input(&f);
    ck_assert_int_eq(tg_context_status(f.cx), TG_ERR_STATE);
    assert_says(f.cx, "not begun");
    tg_context_clear(f.cx);
    tg_tape_begin(f.t, TG_TRAIN);
    tg_tensor *bad = tg_linear_run(f.out, f.t, tg_input(f.t, 2, (int[]){ 3, 2 }, x));
    assert_says(f.cx, "x is [3,2], the weights are [3,2]");
    const int length = tg_tape_length(f.t);
    tg_tensor *loss = tg_sum(f.t, tg_tanh(f.t, bad));
    ck_assert_int_eq(tg_tape_length(f.t), length);
    ck_assert_int_eq(tg_tape_backward(f.t, loss), TG_ERR_SHAPE); /* whatever the context remembers */
    tg_context_free(f.cx);
}
END_TEST

START_TEST(erring_step_moves_nothing_and_training_goes_on_after_clear)
{
    fixture f = fixture_new(false);
    tg_optimizer *sgd = tg_sgd_new(f.ps, NULL);
    tg_real before[6], after[6];
    ck_assert_int_eq(tg_params_get(f.ps, "out/W", before, 6), TG_OK);
    tg_tape_begin(f.t, TG_TRAIN);
    ck_assert_int_ne(
        tg_tape_backward(f.t, tg_sum(f.t, tg_add(f.t, tg_linear_run(f.out, f.t, input(&f)), input(&f)))),
        TG_OK);
    ck_assert_int_ne(tg_optimizer_step(sgd), TG_OK);
    tg_context_clear(f.cx);
    ck_assert_int_eq(tg_params_get(f.ps, "out/W", after, 6), TG_OK);
    ck_assert(!memcmp(before, after, sizeof before));
    tg_tape_begin(f.t, TG_TRAIN);
    ck_assert_int_eq(tg_tape_backward(f.t, tg_sum(f.t, tg_linear_run(f.out, f.t, input(&f)))), TG_OK);
    ck_assert_int_eq(tg_optimizer_step(sgd), TG_OK);
    ck_assert_int_eq(tg_params_get(f.ps, "out/W", after, 6), TG_OK);
    ck_assert(memcmp(before, after, sizeof before));
    tg_context_free(f.cx);
}
END_TEST

START_TEST(loss_must_be_one_finite_number_that_depends_on_something)
{
    fixture f = fixture_new(false);
    tg_tape_begin(f.t, TG_TRAIN);
    ck_assert_int_eq(tg_tape_backward(f.t, input(&f)), TG_ERR_SHAPE);
    assert_says(f.cx, "it is [2,3]");
    ck_assert_int_eq(tg_tape_backward(f.t, tg_sum(f.t, tg_detach(f.t, input(&f)))), TG_ERR_STATE);
    tg_tensor *loss = tg_sum(f.t, input(&f));
    *loss->data = (tg_real)INFINITY;
    ck_assert_int_eq(tg_tape_backward(f.t, loss), TG_ERR_NUMBER);
    assert_says(f.cx, "inf");
    tg_tape_begin(f.t, TG_EVAL);
    ck_assert_int_eq(tg_tape_backward(f.t, tg_sum(f.t, input(&f))), TG_ERR_STATE);
    assert_says(f.cx, "TG_EVAL");
    ck_assert(tg_context_ok(f.cx));
    tg_context_free(f.cx);
}
END_TEST

START_TEST(input_refuses_numbers_that_are_not_finite)
{
    fixture f = fixture_new(false);
    tg_tape_begin(f.t, TG_EVAL);
    tg_input(f.t, 1, (int[]){ 3 }, (const tg_real[]){ 1, (tg_real)NAN, 2 });
    ck_assert_int_eq(tg_context_status(f.cx), TG_ERR_NUMBER);
    assert_says(f.cx, "element 1 of 3 is");
    tg_context_free(f.cx);
}
END_TEST

START_TEST(batch_first_arrays_become_time_major)
{
    fixture f = fixture_new(false);
    tg_tape_begin(f.t, TG_EVAL);
    const tg_tensor *y = tg_input_batch_first(f.t, 2, 3, 1, x);
    const tg_real wanted[6] = { 1, 4, 2, 5, 3, 6 };
    ck_assert(y->dim[0] == 3 && y->dim[1] == 2 && !memcmp(y->data, wanted, sizeof wanted));
    tg_context_free(f.cx);
}
END_TEST

START_TEST(eval_records_nothing)
{
    fixture f = fixture_new(false);
    tg_tape_begin(f.t, TG_EVAL);
    ck_assert_ptr_null(tg_linear_run(f.out, f.t, input(&f))->grad);
    ck_assert_int_eq(tg_tape_length(f.t), 0);
    tg_context_free(f.cx);
}
END_TEST

START_TEST(first_op_that_makes_a_number_not_finite_is_named)
{
    fixture f = fixture_new(true);
    tg_tape_begin(f.t, TG_TRAIN);
    tg_tensor *y = tg_linear_run(f.out, f.t, input(&f));
    const tg_real huge = sizeof(tg_real) == 4 ? (tg_real)3e38 : (tg_real)1.7e308;
    tg_tensor *big = tg_scale(f.t, tg_scale(f.t, tg_multiply(f.t, y, y), huge), huge);
    tg_tanh(f.t, big);
    ck_assert_int_eq(tg_context_status(f.cx), TG_ERR_NUMBER);
    assert_says(f.cx, "the first op whose output is not finite: scale, op ");
    tg_context_clear(f.cx);

    /* and backward: a finite loss whose gradient overflows */
    tg_tape_begin(f.t, TG_TRAIN);
    y = tg_linear_run(f.out, f.t, input(&f));
    tg_tensor *loss = tg_sum(f.t, tg_scale(f.t, tg_scale(f.t, tg_scale(f.t, y, 1 / huge), huge), 1));
    loss->grad[0] = huge;
    ck_assert_int_eq(tg_tape_backward(f.t, loss), TG_ERR_NUMBER);
    assert_says(f.cx, "the first op whose backward is not finite: scale");
    tg_context_free(f.cx);
}
END_TEST

START_TEST(checked_gradient_is_traced_to_where_it_came_from)
{
    const tg_real nan = (tg_real)NAN, dy[2] = { 1, nan };
    fixture f = fixture_new(true);
    tg_rnn *gru = tg_rnn_new(f.ps, "gru", 3, 2, NULL);
    /* what arrives from outside is no op's */
    tg_tape_begin(f.t, TG_TRAIN);
    tg_tensor *y = tg_row(f.t, tg_linear_run(f.out, f.t, input(&f)), 0);
    ck_assert_int_eq(tg_tape_backward_from(f.t, 1, &y, (const tg_real *const[]){ dy }), TG_ERR_NUMBER);
    assert_says(f.cx, "tg_tape_backward_from: element 1 of the gradient arriving at tensor 0 [2] is");
    /* nor is what a parameter's gradient held before */
    tg_tape_begin(f.t, TG_TRAIN);
    tg_tensor *loss = tg_sum(f.t, tg_tanh(f.t, tg_linear_run(f.out, f.t, input(&f))));
    f.ps->gradient[3] = nan;
    ck_assert_int_eq(tg_tape_backward(f.t, loss), TG_ERR_NUMBER);
    assert_says(
        f.cx,
        "a gradient was not finite before backward began: linear, op 0 of the tape, gradient 3 of input 1");
    tg_params_zero_gradients(f.ps);
    /* an output that is not the first */
    const tg_real huge = sizeof(tg_real) == 4 ? (tg_real)3e38 : (tg_real)1.7e308;
    tg_state h = tg_state_new(f.cx, gru, 1), after;
    h.h->data[1] = nan;
    tg_tape_begin(f.t, TG_EVAL);
    tg_scale(f.t, tg_sum(f.t, input(&f)), 1);
    tg_rnn_run(gru, f.t, tg_input(f.t, 3, (int[]){ 1, 1, 3 }, x), (const int[]){ 0 }, &h, &after);
    ck_assert_int_eq(tg_context_status(f.cx), TG_ERR_NUMBER);
    assert_says(f.cx, "not finite: rnn, op 2 of the tape, element 1 of output 1 [1,1,2] is");
    tg_context_clear(f.cx);
    /* an input that is not among the first */
    tg_tape_begin(f.t, TG_TRAIN);
    tg_tensor *many[9], *one = input(&f);
    for (int k = 0; k < 9; k++) many[k] = k < 8 ? one : tg_scale(f.t, one, 1 / huge);
    loss = tg_sum(f.t, tg_tanh(f.t, tg_scale(f.t, tg_stack(f.t, 9, many), 1)));
    many[8]->grad[5] = TG_DOUBLE ? (tg_real)DBL_MAX : (tg_real)FLT_MAX;
    loss->grad[0] = huge / 9;
    ck_assert_int_eq(tg_tape_backward(f.t, loss), TG_ERR_NUMBER);
    assert_says(f.cx,
                "the first op whose backward is not finite: stack, op 1 of the tape, gradient 5 of input 8");
    tg_context_free(f.cx);
}
END_TEST

/* ---- what the loss does not depend on ---- */

static void assert_gradient(const fixture *f, tg_real expected)
{
    for (size_t i = 0; i < f->ps->flat; i++)
        ck_assert_msg(f->ps->gradient[i] == expected || f->ps->gradient[i] == 0, "gradient %zu is %g", i,
                      (double)f->ps->gradient[i]);
}

START_TEST(ops_that_the_loss_does_not_depend_on_reach_nothing)
{
    const tg_real huge = sizeof(tg_real) == 4 ? (tg_real)3e38 : (tg_real)1.7e308, ones[3] = { 1, 1, 1 };
    for (int k = 0; k < 5; k++) {
        fixture f = fixture_new(false);
        tg_parameter *p = tg_parameter_new(f.ps, "p", 1, (int[]){ 3 }, (tg_init){ TG_INIT_ONES, 0 });
        tg_tape_begin(f.t, TG_TRAIN);
        tg_tensor *w = tg_parameter_tensor(p, f.t), *loss = tg_sum(f.t, w),
                  *infinite = tg_scale(f.t, tg_scale(f.t, w, huge), 10), *y = loss;
        ck_assert(isinf(infinite->data[0]));
        /* each of these would add 0 * infinity to the gradient of w */
        switch (k) {
        case 0: tg_multiply(f.t, w, infinite); break;
        case 1: tg_sum(f.t, tg_tanh(f.t, tg_multiply(f.t, infinite, w))); break;
        case 2: tg_row(f.t, tg_reshape(f.t, tg_multiply(f.t, w, infinite), 2, (int[]){ 3, 1 }), -1); break;
        case 3: tg_detach(f.t, tg_multiply(f.t, w, infinite)); break;
        default: y = w, tg_multiply(f.t, w, infinite); /* the gradient arrives at a parameter itself */
        }
        ck_assert_int_eq(y == loss ? tg_tape_backward(f.t, loss)
                                   : tg_tape_backward_from(f.t, 1, &y, (const tg_real *const[]){ ones }),
                         TG_OK);
        assert_gradient(&f, 1);
        tg_context_free(f.cx);
    }
}
END_TEST

typedef struct ops_with_many_ways {
    tg_rnn *gru;
    tg_attention_rnn *attends;
} ops_with_many_ways;

/* Something that depends on w (2,3) by one input and one output of an op alone; NULL: there are no more. */
static tg_tensor *way(const fixture *f, ops_with_many_ways l, int k, tg_tensor *w)
{
    enum { MANY = 20 };
    static const tg_real numbers[18] = { 1, 2, 3, 4, 5, 6, 7, -7, 6, -5, 4, -3, 2, -1, 1, -2, 3, 4 };
    tg_tensor *const rest = tg_input(f->t, 2, (int[]){ 2, 3 }, numbers), *const one_step = tg_reshape(
                                                                             f->t, k < 3 || k >= 8 ? rest : w,
                                                                             3, (int[]){ 1, 2, 3 });
    tg_tensor *many[MANY];
    for (int i = 0; i < MANY; i++) many[i] = i == MANY - 1 ? w : rest;
    tg_state before = { tg_reshape(f->t, w, 3, (int[]){ 1, 2, 3 }) }, after;
    const tg_attention_state in = { .h = k == 8 ? w : rest,
                                    .attentional = k == 9 ? w : rest,
                                    .coverage = k == 10 ? w : rest };
    tg_attention_state out;
    const tg_memory memory =
        tg_attention_rnn_memory(l.attends, f->t, tg_input(f->t, 3, (int[]){ 3, 2, 3 }, numbers), NULL);
    if (k == 0) return tg_row(f->t, tg_stack(f->t, MANY, many), -1);
    if (k == 1) return tg_rnn_run(l.gru, f->t, one_step, NULL, &before, NULL);
    if (k == 2) return tg_rnn_run(l.gru, f->t, before.h, NULL, NULL, &after), after.h;
    const tg_attended a = tg_attention_rnn_run(l.attends, f->t, one_step, NULL, &memory, &in, &out);
    tg_tensor *const ways[] = { a.context,    a.attentional, out.h,    out.attentional,
                                out.coverage, a.output,      a.output, out.coverage };
    return k < 11 ? ways[k - 3] : NULL;
}

START_TEST(ops_that_the_loss_depends_on_in_any_way_are_run)
{
    fixture f = fixture_new(false);
    tg_parameter *p = tg_parameter_new(f.ps, "p", 2, (int[]){ 2, 3 }, (tg_init){ TG_INIT_NORMAL, 0 });
    const tg_attention_rnn_config config = { .attention = { .kind = TG_ATTENTION_DOT, .coverage = true },
                                             .input_feeding = true };
    const ops_with_many_ways layers = { tg_rnn_new(f.ps, "gru", 3, 3, NULL),
                                        tg_attention_rnn_new(f.ps, "attends", 3, 3, 3, &config) };
    for (int k = 0;; k++) {
        tg_real g[6];
        tg_tape_begin(f.t, TG_TRAIN);
        tg_tensor *y = way(&f, layers, k, tg_scale(f.t, tg_parameter_tensor(p, f.t), 1));
        if (!y) break;
        ck_assert_msg(tg_context_ok(f.cx), "way %d: %s", k, tg_context_message(f.cx));
        ck_assert_int_eq(tg_tape_backward(f.t, tg_sum(f.t, tg_tanh(f.t, y))), TG_OK);
        ck_assert_int_eq(tg_params_get_gradient(f.ps, "p", g, 6), TG_OK);
        for (int i = 0; i < 6; i++) ck_assert_msg(g[i] != 0, "way %d: gradient %d is 0", k, i);
        tg_params_zero_gradients(f.ps);
    }
    tg_context_free(f.cx);
}
END_TEST

/* With -Ddebug_arena=true and the address sanitizer a stale tensor is caught; elsewhere there is nothing to see. */
START_TEST(stale_tensor_is_caught_by_the_address_sanitizer)
{
#if defined(__SANITIZE_ADDRESS__) && defined(TG_DEBUG_ARENA) && TG_DEBUG_ARENA
    const pid_t child = fork();
    if (!child) {
        fixture f = fixture_new(false);
        close(STDERR_FILENO); /* the report is expected */
        tg_tape_begin(f.t, TG_EVAL);
        const tg_tensor *stale = input(&f);
        tg_tape_begin(f.t, TG_EVAL);
        input(&f);
        volatile tg_real *p = stale->data;
        _exit(p[0] == 99 ? 3 : 0);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(!(WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 3)),
                  "nobody noticed");
#endif
}
END_TEST

TG_TEST_MAIN("tensor/tape", backward_consumes_the_tape, gradients_add_up_until_a_step_or_zeroing,
             ops_before_begin_and_in_an_erring_context_do_nothing,
             erring_step_moves_nothing_and_training_goes_on_after_clear,
             loss_must_be_one_finite_number_that_depends_on_something,
             input_refuses_numbers_that_are_not_finite, batch_first_arrays_become_time_major,
             eval_records_nothing, first_op_that_makes_a_number_not_finite_is_named,
             checked_gradient_is_traced_to_where_it_came_from,
             ops_that_the_loss_does_not_depend_on_reach_nothing,
             ops_that_the_loss_depends_on_in_any_way_are_run, stale_tensor_is_caught_by_the_address_sanitizer)
