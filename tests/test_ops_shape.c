/* Views, ops that copy, and reductions. */
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

/* A tensor of 0, 1, 2, ... */
static tg_tensor *counting(tg_tape *t, int rank, int a, int b, int c)
{
    tg_real values[256];
    for (int i = 0; i < 256; i++) values[i] = (tg_real)i;
    return tg_input(t, rank, (int[]){ a, b, c, 1 }, values);
}

static void assert_values(const tg_tensor *x, int rank, const int *dim, const double *values)
{
    ck_assert_int_eq(x->rank, rank);
    for (int i = 0; i < rank; i++) ck_assert_int_eq(x->dim[i], dim[i]);
    for (size_t i = 0; i < tg__size(x); i++) ck_assert_double_eq((double)x->data[i], values[i]);
}

START_TEST(views_share_values_and_gradient)
{
    fixture f = begin();
    tg_tensor *x = counting(f.t, 3, 3, 2, 2);
    tg_tensor *matrix = tg_reshape(f.t, x, 2, (int[]){ 2, 6 }), *row = tg_row(f.t, x, 1),
              *last = tg_row(f.t, x, -1), *rows = tg_rows(f.t, x, 1, 2);
    assert_values(matrix, 2, (int[]){ 2, 6 }, (double[]){ 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 });
    assert_values(row, 2, (int[]){ 2, 2 }, (double[]){ 4, 5, 6, 7 });
    assert_values(last, 2, (int[]){ 2, 2 }, (double[]){ 8, 9, 10, 11 });
    assert_values(rows, 3, (int[]){ 2, 2, 2 }, (double[]){ 4, 5, 6, 7, 8, 9, 10, 11 });
    assert_values(tg_row(f.t, tg_row(f.t, row, 1), -2), 0, NULL, (double[]){ 6 });
    ck_assert_ptr_eq(matrix->data, x->data);
    ck_assert_ptr_eq(last->grad, x->grad + 8);
    ck_assert_int_eq(tg_tape_length(f.t), 0);
    ck_assert_int_eq(tg_tape_backward(f.t, tg_sum(f.t, tg_add(f.t, row, tg_scale(f.t, last, 3)))), TG_OK);
    for (int i = 0; i < 12; i++) ck_assert_double_eq((double)x->grad[i], i < 4 ? 0 : i < 8 ? 1 : 3);
    tg_context_free(f.cx);
}
END_TEST

START_TEST(views_of_views_and_of_parameters_reach_the_gradient)
{
    fixture f = begin();
    tg_params *ps = tg_params_new(f.cx);
    tg_parameter *p = tg_parameter_new(ps, "p", 2, (int[]){ 4, 3 }, (tg_init){ TG_INIT_ONES, 0 });
    tg_tensor *x =
        tg_row(f.t, tg_reshape(f.t, tg_rows(f.t, tg_parameter_tensor(p, f.t), 2, 2), 1, (int[]){ 6 }), 4);
    tg_real g[12];
    ck_assert_int_eq(tg_tape_backward(f.t, tg_scale(f.t, x, 5)), TG_OK);
    ck_assert_int_eq(tg_params_get_gradient(ps, "p", g, 12), TG_OK);
    for (int i = 0; i < 12; i++) ck_assert_double_eq((double)g[i], i == 10 ? 5 : 0);
    tg_context_free(f.cx);
}
END_TEST

START_TEST(detached_values_send_no_gradient_back)
{
    fixture f = begin();
    tg_tensor *x = counting(f.t, 1, 3, 0, 0), *y = tg_detach(f.t, x);
    assert_values(y, 1, (int[]){ 3 }, (double[]){ 0, 1, 2 });
    ck_assert_ptr_null(y->grad);
    ck_assert_int_eq(tg_tape_backward(f.t, tg_sum(f.t, tg_multiply(f.t, x, y))), TG_OK);
    for (int i = 0; i < 3; i++) ck_assert_double_eq((double)x->grad[i], i); /* not 2 i */
    tg_context_free(f.cx);
}
END_TEST

START_TEST(stack_concatenate_and_repeat_copy_in_order)
{
    fixture f = begin();
    tg_tensor *x = counting(f.t, 2, 2, 2, 0), *y = tg_scale(f.t, counting(f.t, 2, 2, 3, 0), 10);
    tg_tensor *stack = tg_stack(f.t, 2, (tg_tensor *[]){ x, tg_scale(f.t, x, -1) });
    assert_values(stack, 3, (int[]){ 2, 2, 2 }, (double[]){ 0, 1, 2, 3, 0, -1, -2, -3 });
    assert_values(tg_concatenate(f.t, x, y), 2, (int[]){ 2, 5 },
                  (double[]){ 0, 1, 0, 10, 20, 2, 3, 30, 40, 50 });
    assert_values(tg_repeat(f.t, tg_row(f.t, x, 1), 3), 2, (int[]){ 3, 2 }, (double[]){ 2, 3, 2, 3, 2, 3 });
    tg_tensor *number = tg_sum(f.t, x);
    assert_values(tg_repeat(f.t, number, 2), 1, (int[]){ 2 }, (double[]){ 6, 6 });
    assert_values(tg_stack(f.t, 1, &number), 1, (int[]){ 1 }, (double[]){ 6 });
    tg_context_free(f.cx);
}
END_TEST

START_TEST(a_stack_of_many_gives_each_its_gradient)
{
    enum { N = 9 };
    tg_tensor *x[N];
    tg_real arriving[2 * N];
    fixture f = begin();
    for (int k = 0; k < N; k++) x[k] = counting(f.t, 1, 2, 0, 0);
    tg_tensor *kept[N];
    memcpy(kept, x, sizeof x);
    tg_tensor *y = tg_stack(f.t, N, x);
    memset(x, 0, sizeof x); /* the list is the caller's again */
    for (int i = 0; i < 2 * N; i++) arriving[i] = (tg_real)(i + 1);
    ck_assert_int_eq(tg_tape_backward_from(f.t, 1, &y, (const tg_real *[]){ arriving }), TG_OK);
    for (int k = 0; k < N; k++)
        ck_assert(kept[k]->grad[0] == arriving[2 * k] && kept[k]->grad[1] == arriving[2 * k + 1]);
    tg_context_free(f.cx);
}
END_TEST

START_TEST(last_takes_each_rows_last_valid_step_and_zeros_where_there_is_none)
{
    fixture f = begin();
    int lengths[] = { 2, 0, 3 };
    tg_scale(f.t, counting(f.t, 3, 16, 4, 4), 7); /* so that the tape's memory is not zero by chance */
    tg_tape_begin(f.t, TG_TRAIN);
    tg_tensor *x = counting(f.t, 3, 3, 3, 2), *y = tg_last(f.t, x, lengths);
    assert_values(y, 2, (int[]){ 3, 2 }, (double[]){ 6, 7, 0, 0, 16, 17 });
    lengths[0] = 1; /* copied: no matter */
    ck_assert_int_eq(
        tg_tape_backward_from(f.t, 1, &y, (const tg_real *[]){ (tg_real[]){ 1, 2, 3, 4, 5, 6 } }), TG_OK);
    for (int i = 0; i < 18; i++)
        ck_assert_double_eq((double)x->grad[i], i == 6 ? 1 : i == 7 ? 2 : i == 16 ? 5 : i == 17 ? 6 : 0);
    tg_context_free(f.cx);
}
END_TEST

typedef void misuse(tg_tape *t, tg_tensor *x); /* x (3,2,2) */
static void reshape_to_other_size(tg_tape *t, tg_tensor *x) { tg_reshape(t, x, 2, (int[]){ 5, 2 }); }
static void reshape_to_negative(tg_tape *t, tg_tensor *x) { tg_reshape(t, x, 2, (int[]){ -3, -4 }); }
static void reshape_to_rank_5(tg_tape *t, tg_tensor *x) { tg_reshape(t, x, 5, (int[]){ 1, 1, 1, 1, 12 }); }
static void reshape_by_overflow(tg_tape *t, tg_tensor *x)
{
    tg_reshape(t, x, 4, (int[]){ 1 << 30, 1 << 30, 1 << 4, 3 });
}
static void row_too_large(tg_tape *t, tg_tensor *x) { tg_row(t, x, 3); }
static void row_too_small(tg_tape *t, tg_tensor *x) { tg_row(t, x, -4); }
static void row_of_number(tg_tape *t, tg_tensor *x) { tg_row(t, tg_sum(t, x), 0); }
static void rows_too_many(tg_tape *t, tg_tensor *x) { tg_rows(t, x, 2, 2); }
static void rows_by_overflow(tg_tape *t, tg_tensor *x) { tg_rows(t, x, 2, 0x7fffffff); }
static void rows_none(tg_tape *t, tg_tensor *x) { tg_rows(t, x, 0, 0); }
static void rows_of_number(tg_tape *t, tg_tensor *x) { tg_rows(t, tg_sum(t, x), 0, 1); }
static void stack_of_none(tg_tape *t, tg_tensor *x) { tg_stack(t, 0, &x); }
static void stack_of_different(tg_tape *t, tg_tensor *x)
{
    tg_stack(t, 2, (tg_tensor *[]){ x, tg_row(t, x, 0) });
}
static void stack_of_null(tg_tape *t, tg_tensor *x) { tg_stack(t, 2, (tg_tensor *[]){ x, NULL }); }
static void stack_too_deep(tg_tape *t, tg_tensor *x)
{
    x = tg_stack(t, 1, &x);
    tg_stack(t, 1, &x);
}
static void concatenate_different(tg_tape *t, tg_tensor *x) { tg_concatenate(t, x, tg_rows(t, x, 0, 2)); }
static void concatenate_ranks(tg_tape *t, tg_tensor *x) { tg_concatenate(t, x, tg_row(t, x, 0)); }
static void concatenate_numbers(tg_tape *t, tg_tensor *x) { tg_concatenate(t, tg_sum(t, x), tg_sum(t, x)); }
static void repeat_none(tg_tape *t, tg_tensor *x) { tg_repeat(t, x, 0); }
static void repeat_too_deep(tg_tape *t, tg_tensor *x) { tg_repeat(t, tg_repeat(t, x, 2), 2); }
static void last_of_matrix(tg_tape *t, tg_tensor *x) { tg_last(t, tg_row(t, x, 0), (int[]){ 1, 1 }); }
static void last_too_long(tg_tape *t, tg_tensor *x) { tg_last(t, x, (int[]){ 1, 4 }); }
static void last_negative(tg_tape *t, tg_tensor *x) { tg_last(t, x, (int[]){ -1, 2 }); }
static void last_without_lengths(tg_tape *t, tg_tensor *x) { tg_last(t, x, NULL); }

/* Of x only the shape is looked at: so many numbers need not be there. */
static void pack_of_too_many(tg_tape *t, tg_tensor *x)
{
    enum { T = 65536, B = 32769 };
    tg_tensor huge = { .rank = 3, .dim = { T, B, 1 }, .data = x->data, .cx = x->cx };
    int *lengths = tg_context_allocate(x->cx, B * sizeof *lengths);
    for (int b = 0; b < B; b++) lengths[b] = T;
    tg_pack(t, &huge, lengths);
}

static const struct {
    misuse *run;
    tg_status status;
    const char *sentence;
} misuses[] = {
    { reshape_to_other_size, TG_ERR_SHAPE,
      "tg_reshape: x is [3,2,2], of 12 numbers, and cannot become [5,2]" },
    { reshape_to_negative, TG_ERR_SHAPE,
      "tg_reshape: x is [3,2,2], of 12 numbers, and cannot become [-3,-4]" },
    { reshape_to_rank_5, TG_ERR_ARGUMENT, "tg_reshape: rank 5 is outside 0..4" },
    { reshape_by_overflow, TG_ERR_SHAPE,
      "tg_reshape: x is [3,2,2], of 12 numbers, and cannot become [1073741824,1073741824,16,3]" },
    { row_too_large, TG_ERR_ARGUMENT, "tg_row: row 3 of x, which is [3,2,2]: it has rows -3 to 2" },
    { row_too_small, TG_ERR_ARGUMENT, "tg_row: row -4 of x, which is [3,2,2]: it has rows -3 to 2" },
    { row_of_number, TG_ERR_SHAPE, "tg_row: x is one number, and has no rows" },
    { rows_too_many, TG_ERR_ARGUMENT, "tg_rows: 2 rows from row 2 on, of x, which is [3,2,2]" },
    { rows_by_overflow, TG_ERR_ARGUMENT, "tg_rows: 2147483647 rows from row 2 on, of x, which is [3,2,2]" },
    { rows_none, TG_ERR_ARGUMENT, "tg_rows: 0 rows from row 0 on, of x, which is [3,2,2]" },
    { rows_of_number, TG_ERR_SHAPE, "tg_rows: x is one number, and has no rows" },
    { stack_of_none, TG_ERR_ARGUMENT, "tg_stack: n is 0, must be at least 1" },
    { stack_of_different, TG_ERR_SHAPE, "tg_stack: tensor 1 is [2,2] but tensor 0 is [3,2,2]" },
    { stack_of_null, TG_ERR_ARGUMENT, "tg_stack: tensor 1 of 2 is NULL" },
    { stack_too_deep, TG_ERR_SHAPE, "tg_stack: x is [1,3,2,2]: one dimension more than 4 does not fit" },
    { concatenate_different, TG_ERR_SHAPE,
      "tg_concatenate: x is [3,2,2] but y is [2,2,2]: all but the last dimension must agree" },
    { concatenate_ranks, TG_ERR_SHAPE,
      "tg_concatenate: x is [3,2,2] but y is [2,2]: all but the last dimension must agree" },
    { concatenate_numbers, TG_ERR_SHAPE,
      "tg_concatenate: x is [] but y is []: all but the last dimension must agree" },
    { repeat_none, TG_ERR_ARGUMENT, "tg_repeat: n is 0, must be at least 1" },
    { repeat_too_deep, TG_ERR_SHAPE, "tg_repeat: x is [2,3,2,2]: one dimension more than 4 does not fit" },
    { last_of_matrix, TG_ERR_SHAPE, "tg_last: x is [2,2], must be (T,B,D)" },
    { last_too_long, TG_ERR_ARGUMENT, "tg_last: length 4 of row 1 is outside 0..3" },
    { last_negative, TG_ERR_ARGUMENT, "tg_last: length -1 of row 0 is outside 0..3" },
    { pack_of_too_many, TG_ERR_SHAPE,
      "tg_pack: the lengths add up to 2147549184, but a dimension is at most 2147483647" },
    { last_without_lengths, TG_ERR_ARGUMENT,
      "tg_last: lengths is NULL: tg_row(t, x, -1) is the last step of all" },
};

START_TEST(misuse_is_told_with_its_numbers)
{
    for (size_t k = 0; k < sizeof misuses / sizeof *misuses; k++) {
        fixture f = begin();
        misuses[k].run(f.t, counting(f.t, 3, 3, 2, 2));
        ck_assert_str_eq(tg_context_message(f.cx), misuses[k].sentence);
        ck_assert_int_eq(tg_context_status(f.cx), misuses[k].status);
        tg_context_free(f.cx);
    }
}
END_TEST

START_TEST(erring_context_makes_every_op_harmless)
{
    fixture f = begin();
    tg_tensor *x = counting(f.t, 3, 3, 2, 2), *nil = &f.cx->nil;
    tg_context_fail(f.cx, TG_ERR_DATA, "the first");
    ck_assert_ptr_eq(tg_reshape(f.t, x, 1, (int[]){ 12 }), nil);
    ck_assert_ptr_eq(tg_row(f.t, nil, 0), nil);
    ck_assert_ptr_eq(tg_rows(f.t, nil, 0, 1), nil);
    ck_assert_ptr_eq(tg_stack(f.t, 1, &x), nil);
    ck_assert_ptr_eq(tg_concatenate(f.t, x, nil), nil);
    ck_assert_ptr_eq(tg_repeat(f.t, x, 2), nil);
    ck_assert_ptr_eq(tg_last(f.t, nil, NULL), nil);
    ck_assert_ptr_eq(tg_detach(f.t, x), nil);
    ck_assert_ptr_eq(tg_sum(f.t, x), nil);
    ck_assert_ptr_eq(tg_dropout(f.t, x, 7), nil);
    ck_assert_str_eq(tg_context_message(f.cx), "the first");
    ck_assert(isnan(*nil->data));
    tg_context_free(f.cx);
}
END_TEST

START_TEST(sum_and_mean_reduce_to_one_number_with_their_gradients)
{
    for (int mean = 0; mean < 2; mean++) {
        fixture f = begin();
        tg_tensor *x = counting(f.t, 2, 4, 5, 0), *y = mean ? tg_mean(f.t, x) : tg_sum(f.t, x);
        assert_values(y, 0, NULL, (double[]){ mean ? 9.5 : 190 });
        ck_assert_int_eq(tg_tape_backward(f.t, tg_scale(f.t, y, 4)), TG_OK);
        for (int i = 0; i < 20; i++) ck_assert_double_eq_tol((double)x->grad[i], mean ? 0.2 : 4, 1e-7);
        tg_context_free(f.cx);
    }
}
END_TEST

/* Sums kept in float would lose digits. */
START_TEST(long_sums_keep_their_digits_and_are_the_same_bits_for_any_number_of_workers)
{
    enum { N = 1 << 21 };
    tg_real sums[3];
    for (int k = 0; k < 3; k++) {
        tg_context *cx = context_of_workers(1 << k, 1);
        tg_tape *t = tg_tape_new(cx);
        tg_tensor *x = tg_tensor_new(cx, 1, (int[]){ N });
        for (int i = 0; i < N; i++) x->data[i] = (tg_real)0.1;
        tg_tape_begin(t, TG_TRAIN);
        sums[k] = *tg_sum(t, x)->data;
        ck_assert_double_eq_tol((double)sums[k] / (N * (double)(tg_real)0.1), 1, 1e-7);
        ck_assert(sums[k] == sums[0]);
        if (k) UNTIL_SHARED(cx) ck_assert(*tg_sum(t, x)->data == sums[0]);
        tg_context_free(cx);
    }
}
END_TEST

TG_TEST_MAIN("ops/shape", views_share_values_and_gradient,
             views_of_views_and_of_parameters_reach_the_gradient, detached_values_send_no_gradient_back,
             stack_concatenate_and_repeat_copy_in_order, a_stack_of_many_gives_each_its_gradient,
             last_takes_each_rows_last_valid_step_and_zeros_where_there_is_none,
             misuse_is_told_with_its_numbers, erring_context_makes_every_op_harmless,
             sum_and_mean_reduce_to_one_number_with_their_gradients,
             long_sums_keep_their_digits_and_are_the_same_bits_for_any_number_of_workers)
