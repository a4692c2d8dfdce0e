/* Against PyTorch: golden files of golden/make_golden.py, in both precisions. */
#include "golden_fixture.h"

enum { T = 5, B = 4, I = 3, H = 6, L = 2, V = 4, STEPS = 10 };

/* In double every element within 1e-11; in float within 1e-5 of the tensor's largest element. */
static void assert_close(const array *wanted, const tg_real *got, size_t n)
{
    assert_within(wanted, got, n, sizeof(tg_real) == 8 ? 1e-11 : 1e-5 * largest_of(wanted));
}

static void set_parameters(tg_params *ps, const golden *g)
{
    for (int i = 0; i < tg_params_count(ps); i++) {
        tg_parameter_info info;
        tg_params_info(ps, i, &info);
        const array *a = find(g, "", info.name);
        ck_assert_int_eq(tg_params_set(ps, info.name, a->value, a->n), TG_OK);
    }
}

static void assert_gradients(tg_params *ps, const golden *g)
{
    for (int i = 0; i < tg_params_count(ps); i++) {
        tg_parameter_info info;
        tg_real got[MOST];
        tg_params_info(ps, i, &info);
        ck_assert_int_eq(tg_params_get_gradient(ps, info.name, got, info.size), TG_OK);
        assert_close(find(g, "gradient:", info.name), got, info.size);
    }
}

static void read_lengths(int lengths[B], const golden *g)
{
    for (int b = 0; b < B; b++) lengths[b] = (int)find(g, "", "lengths")->value[b];
}

static tg_tensor *input(tg_tape *t, const array *a) { return tg_input(t, a->rank, a->dim, a->value); }

/* Checks a result, and returns its part of the loss: the sum of its elements, each by its weight. */
static tg_tensor *checked(tg_tape *t, const golden *g, const char *name, tg_tensor *result)
{
    assert_close(find(g, "", name), result->data, tg_tensor_size(result));
    return tg_sum(t, tg_multiply(t, result, input(t, find(g, "weight:", name))));
}

/* Every cell there is. */
static const tg_cell cells[] = {
#define TG_CELL(enumerator, file, name) enumerator,
#include <tidegate/cells.def>
#undef TG_CELL
};

START_TEST(outputs_states_and_every_gradient_are_those_of_pytorch)
{
    static golden g;
    read_golden(&g, tg_cell_name(cells[_i]));
    int lengths[B];
    read_lengths(lengths, &g);
    tg_context *cx = tg_context_new(&(tg_context_config){ .threads = 2 });
    tg_params *ps = tg_params_new(cx);
    tg_rnn *rnn = tg_rnn_new(ps, "rnn", I, H,
                             &(tg_rnn_config){ .cell = cells[_i], .layers = L, .bidirectional = true });
    set_parameters(ps, &g);

    tg_tape *t = tg_tape_new(cx);
    tg_tape_begin(t, TG_TRAIN);
    tg_tensor *x = input(t, find(&g, "", "x"));
    tg_state before = { .h = input(t, find(&g, "", "h0")) }, after = { 0 };
    if (has(&g, "c0")) before.c = input(t, find(&g, "", "c0"));
    tg_tensor *y = tg_rnn_run(rnn, t, x, lengths, &before, &after);
    tg_tensor *loss = tg_add(t, checked(t, &g, "y", y), checked(t, &g, "h", after.h));
    ck_assert(!after.c == !before.c);
    if (after.c) loss = tg_add(t, loss, checked(t, &g, "c", after.c));
    ck_assert_int_eq(tg_tape_backward(t, loss), TG_OK);
    assert_close(find(&g, "gradient:", "x"), x->grad, tg_tensor_size(x));
    assert_close(find(&g, "gradient:", "h0"), before.h->grad, tg_tensor_size(before.h));
    if (before.c) assert_close(find(&g, "gradient:", "c0"), before.c->grad, tg_tensor_size(before.c));
    assert_gradients(ps, &g);
    tg_context_free(cx);
}
END_TEST

/* The settings of make_golden.py. */
static tg_optimizer *make_optimizer(tg_params *ps, int k)
{
    switch (k) {
    case 0: return tg_sgd_new(ps, &(tg_sgd_config){ .lr = (tg_real)0.1 });
    case 1:
        return tg_sgd_new(
            ps, &(tg_sgd_config){ .lr = (tg_real)0.1, .momentum = (tg_real)0.9, .dampening = (tg_real)0.5 });
    case 2:
        return tg_sgd_new(ps, &(tg_sgd_config){ .lr = (tg_real)0.1,
                                                .momentum = (tg_real)0.9,
                                                .nesterov = true,
                                                .weight_decay = (tg_real)0.01 });
    case 3:
        return tg_adam_new(ps, &(tg_adam_config){ .lr = (tg_real)0.02,
                                                  .beta1 = (tg_real)0.8,
                                                  .beta2 = (tg_real)0.99,
                                                  .epsilon = (tg_real)1e-6,
                                                  .weight_decay = (tg_real)0.01 });
    case 4: return tg_adamw_new(ps, &(tg_adam_config){ .lr = (tg_real)0.02, .weight_decay = (tg_real)0.1 });
    case 5: return tg_rmsprop_new(ps, &(tg_rmsprop_config){ .lr = (tg_real)0.01, .alpha = (tg_real)0.9 });
    case 6:
        return tg_rmsprop_new(ps, &(tg_rmsprop_config){ .lr = (tg_real)0.01,
                                                        .momentum = (tg_real)0.9,
                                                        .weight_decay = (tg_real)0.01 });
    default: return tg_sgd_new(ps, &(tg_sgd_config){ .lr = (tg_real)0.1 });
    }
}
static const char *const optimizers[] = { "sgd:",   "sgd_momentum:", "sgd_nesterov:",     "adam:",
                                          "adamw:", "rmsprop:",      "rmsprop_momentum:", "clipped_sgd:" };

START_TEST(ten_steps_of_each_optimizer_are_those_of_pytorch)
{
    static golden g;
    if (sizeof(tg_real) == 4) return; /* ten steps amplify rounding: a claim about double */
    read_golden(&g, "optimizers");
    int lengths[B], target[T * B];
    read_lengths(lengths, &g);
    for (int i = 0; i < T * B; i++) target[i] = (int)find(&g, "", "target")->value[i];
    tg_context *cx = tg_context_new(&(tg_context_config){ .threads = 2 });
    tg_params *ps = tg_params_new(cx);
    tg_rnn *rnn = tg_rnn_new(ps, "rnn", I, H, &(tg_rnn_config){ .cell = TG_GRU_RESET_AFTER });
    tg_linear *out = tg_linear_new(ps, "out", H, V, NULL);
    tg_optimizer *o = make_optimizer(ps, _i);
    set_parameters(ps, &g);

    tg_tape *t = tg_tape_new(cx);
    for (int k = 0; k < STEPS; k++) {
        tg_tape_begin(t, TG_TRAIN);
        tg_tensor *y = tg_rnn_run(rnn, t, input(t, find(&g, "", "x")), lengths, NULL, NULL);
        tg_tensor *loss = tg_cross_entropy(t, tg_linear_run(out, t, y), target, NULL);
        if (k == 0) assert_close(find(&g, "", "loss"), loss->data, 1);
        ck_assert_int_eq(tg_tape_backward(t, loss), TG_OK);
        if (_i == 7) tg_params_clip_norm(ps, (tg_real)0.1);
        ck_assert_msg(tg_optimizer_step(o) == TG_OK, "%s", tg_context_message(cx));
    }
    for (int i = 0; i < tg_params_count(ps); i++) {
        tg_parameter_info info;
        tg_real got[MOST];
        tg_params_info(ps, i, &info);
        ck_assert_int_eq(tg_params_get(ps, info.name, got, info.size), TG_OK);
        assert_close(find(&g, optimizers[_i], info.name), got, info.size);
    }
    tg_context_free(cx);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("golden");
    TCase *all = tcase_create("all");
    tcase_add_loop_test(all, outputs_states_and_every_gradient_are_those_of_pytorch, 0,
                        sizeof cells / sizeof *cells);
    tcase_add_loop_test(all, ten_steps_of_each_optimizer_are_those_of_pytorch, 0, 8);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
