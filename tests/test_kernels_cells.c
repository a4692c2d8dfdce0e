/* Every recurrent cell, for every instruction set, against plain loops in double: outputs, last states and all gradients. */
#include <stdio.h>
#include <tidegate/tidegate.h>

#include "check_main.h"
#include "core/random.h"
#include "kernels/simd/table.h"
#include "reference_cell.h"

enum { T = 3, I = 5, MOST_B = 5, MOST_H = 37, VARIANTS = 4, MOST_TENSORS = 4 * 4 + 3 };
enum { MOST = 4 * MOST_H * (I + MOST_H + 2) + MOST_B * (T * I + 2 * MOST_H) };

/* What the loss is differentiated by: a parameter, x, h0 or c0. */
typedef struct tensor {
    char name[64];
    int first, size; /* in the problem's value and gradient */
} tensor;

typedef struct problem {
    reference_cell cell;
    int B, tensors, numbers;
    tensor tensor[MOST_TENSORS];
    double value[MOST], gradient[MOST]; /* gradient: what the tape gave */
    const double *x, *h0, *c0;          /* in value; c0: NULL if there is no state c */
    double y[T * MOST_B * MOST_H], h[MOST_B * MOST_H], c[MOST_B * MOST_H]; /* of the reference */
    tg_real dy[T * MOST_B * MOST_H], dh[MOST_B * MOST_H], dc[MOST_B * MOST_H];
} problem;

static void fill(tg_real *x, size_t n, const char *stream, double scale)
{
    for (size_t i = 0; i < n; i++)
        x[i] = (tg_real)(scale * (2 * tg__random_uniform(tg__random_key(5, stream), 0, i) - 1));
}

/* Appends a tensor; returns where its values are. */
static const double *add_tensor(problem *p, const char *name, size_t size, const tg_real *value,
                                const tg_real *gradient)
{
    ck_assert(p->tensors < MOST_TENSORS && p->numbers + (int)size <= MOST);
    tensor *one = &p->tensor[p->tensors++];
    *one = (tensor){ .first = p->numbers, .size = (int)size };
    snprintf(one->name, sizeof one->name, "%s", name);
    p->numbers += one->size;
    for (int i = 0; i < one->size; i++) {
        p->value[one->first + i] = (double)value[i];
        p->gradient[one->first + i] = (double)gradient[i];
    }
    return p->value + one->first;
}

/* The parameter's name ends in "W_x<gate>", "W_h<gate>", "b_<gate>" or "b_h<gate>", where a gate is a letter. */
static void add_parameter(problem *p, const char *name, size_t size, const tg_real *value,
                          const tg_real *gradient)
{
    const double *added = add_tensor(p, name, size, value, gradient);
    const char *last = strrchr(name, '/') + 1;
    const int gate = last[strlen(last) - 1];
    if (!strncmp(last, "W_x", 3))
        p->cell.W_x[gate] = added;
    else if (!strncmp(last, "W_h", 3))
        p->cell.W_h[gate] = added;
    else if (strlen(last) == 3)
        p->cell.b[gate] = added;
    else
        p->cell.b_h[gate] = added;
}

/* sum( dy * y ) + sum( dh * h(T) ) + sum( dc * c(T) ) of the reference, whose y, h and c it sets */
static double reference_loss(problem *p)
{
    const int states = p->B * p->cell.H;
    double loss = 0;
    for (int i = 0; i < states; i++) p->h[i] = p->h0[i], p->c[i] = p->c0 ? p->c0[i] : 0;
    ck_assert_msg(reference_run(&p->cell, T, p->B, p->x, p->h, p->c, p->y),
                  "tests/reference_cell.h has no cell %s", p->cell.name);
    for (int i = 0; i < T * states; i++) loss += (double)p->dy[i] * p->y[i];
    for (int i = 0; i < states; i++) loss += (double)p->dh[i] * p->h[i] + (double)p->dc[i] * p->c[i];
    return loss;
}

static double largest_of(const double *x, int n)
{
    double largest = 0;
    for (int i = 0; i < n; i++) largest = fmax(largest, fabs(x[i]));
    return largest;
}

/* A value is the result of T steps. In each, a sum of at most I + H + 2 = 44 terms of magnitude up to 0.5 is rounded in float
 * (errors of about sqrt(44) * 2^-24 = 4e-7), then goes through functions whose slope is at most 1. The values are of
 * magnitude 1; where a small tensor's values are small by cancellation, the errors are not, so 1 is the least scale. */
static void assert_values(const char *where, const char *what, const tg_real *is, const double *should, int n)
{
    const double bound = 2e-6 * fmax(1, largest_of(should, n));
    for (int i = 0; i < n; i++)
        ck_assert_msg(fabs((double)is[i] - should[i]) <= bound, "%s: %s[%d] is %.9g, not %.9g", where, what,
                      i, (double)is[i], should[i]);
}

/* An element of a gradient is a sum over T * B tokens of products of rounded values, with more cancellation than a value:
 * ten times that bound. The central differences themselves are better than 1e-8: with e = 1e-6 the rounding of a loss of
 * magnitude 100 gives 100 * 2^-53 / e = 1e-8, the third derivative e * e. */
static void assert_gradients(problem *p, const char *where)
{
    static double difference[MOST];
    const double e = 1e-6;
    for (int i = 0; i < p->numbers; i++) {
        const double value = p->value[i];
        p->value[i] = value + e;
        const double above = reference_loss(p);
        p->value[i] = value - e;
        difference[i] = (above - reference_loss(p)) / (2 * e);
        p->value[i] = value;
    }
    for (const tensor *one = p->tensor; one < p->tensor + p->tensors; one++) {
        const double bound = 2e-5 * fmax(0.1, largest_of(difference + one->first, one->size));
        for (int i = one->first; i < one->first + one->size; i++)
            ck_assert_msg(fabs(p->gradient[i] - difference[i]) <= bound,
                          "%s: the gradient of %s[%d] is %.9g, not %.9g", where, one->name, i - one->first,
                          p->gradient[i], difference[i]);
    }
}

static void check_cell(tg_cell cell, const char *variant, int H, int B, bool gradients)
{
    static problem p;
    static tg_real value[MOST_H * MOST_H], gradient[MOST_H * MOST_H];
    char where[96];
    snprintf(where, sizeof where, "%s, %s, H %d, B %d", tg_cell_name(cell), variant, H, B);
    p = (problem){ .cell = { .name = tg_cell_name(cell), .I = I, .H = H }, .B = B };
    tg_context *cx = tg_context_new(&(tg_context_config){ .threads = 2 });
    tg_params *ps = tg_params_new(cx);
    tg_rnn *rnn = tg_rnn_new(ps, "rnn", I, H, &(tg_rnn_config){ .cell = cell });
    const bool has_c = tg_rnn_describe(rnn).states == 2;
    tg_parameter_info info;
    for (int k = 0; k < tg_params_count(ps); k++) {
        tg_params_info(ps, k, &info);
        fill(value, info.size, info.name, 0.5);
        ck_assert_int_eq(tg_params_set(ps, info.name, value, info.size), TG_OK);
    }

    tg_real x0[T * MOST_B * I], h0[MOST_B * MOST_H], c0[MOST_B * MOST_H];
    const size_t states = (size_t)(B * H);
    fill(x0, (size_t)(T * B * I), "x", 1);
    fill(h0, states, "h0", 1);
    fill(c0, states, "c0", 1);
    fill(p.dy, T * states, "dy", 1);
    fill(p.dh, states, "dh", 1);
    if (has_c) fill(p.dc, states, "dc", 1);
    tg_tape *t = tg_tape_new(cx);
    tg_tape_begin(t, TG_TRAIN);
    tg_tensor *x = tg_input(t, 3, (int[]){ T, B, I }, x0);
    tg_state in = { .h = tg_input(t, 3, (int[]){ 1, B, H }, h0) }, out;
    if (has_c) in.c = tg_input(t, 3, (int[]){ 1, B, H }, c0);
    tg_tensor *y = tg_rnn_run(rnn, t, x, NULL, &in, &out);
    ck_assert_msg(tg_context_ok(cx), "%s: %s", where, tg_context_message(cx));
    ck_assert_int_eq(tg_tape_backward_from(t, has_c ? 3 : 2, (tg_tensor *const[]){ y, out.h, out.c },
                                           (const tg_real *const[]){ p.dy, p.dh, p.dc }),
                     TG_OK);

    for (int k = 0; k < tg_params_count(ps); k++) {
        tg_params_info(ps, k, &info);
        ck_assert_int_eq(tg_params_get(ps, info.name, value, info.size), TG_OK);
        ck_assert_int_eq(tg_params_get_gradient(ps, info.name, gradient, info.size), TG_OK);
        add_parameter(&p, info.name, info.size, value, gradient);
    }
    p.x = add_tensor(&p, "x", (size_t)(T * B * I), x0, x->grad);
    p.h0 = add_tensor(&p, "h0", states, h0, in.h->grad);
    if (has_c) p.c0 = add_tensor(&p, "c0", states, c0, in.c->grad);
    reference_loss(&p);
    assert_values(where, "y", y->data, p.y, T * B * H);
    assert_values(where, "h", out.h->data, p.h, B * H);
    if (has_c) assert_values(where, "c", out.c->data, p.c, B * H);
    if (gradients) assert_gradients(&p, where);
    tg_context_free(cx);
}

/* One cell and one instruction set, which is chosen once in a process: each loop test runs in its own. Values are compared for
 * every H and B, gradients for one B of each H (central differences cost about B * H^4). */
START_TEST(cells_compute_their_equations_and_gradients)
{
    static const int H[] = { 1, 3, 17, 33, MOST_H }, B[] = { 1, 3, MOST_B };
    const simd_table *variant = tg__simd_variant(_i % VARIANTS);
    if (!variant) return;
    setenv("TIDEGATE_SIMD", variant->name, 1);
    ck_assert_str_eq(tg__simd()->name, variant->name);
    for (int h = 0; h < 5; h++)
        for (int b = 0; b < 3; b++)
            check_cell((tg_cell)(_i / VARIANTS), variant->name, H[h], B[b], b == (h + 2) % 3);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("kernels/cells");
    TCase *all = tcase_create("all");
    tcase_set_timeout(all, 60);
    tcase_add_loop_test(all, cells_compute_their_equations_and_gradients, 0, TG_CELLS * VARIANTS);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
