/* The tape: what it promises when things go wrong, and the search for the first NaN. */
#include <math.h>
#include <string.h>
#include <sys/wait.h>
#include <tidegate/tidegate.h>
#include <unistd.h>

#include "check_main.h"
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
             stale_tensor_is_caught_by_the_address_sanitizer)
