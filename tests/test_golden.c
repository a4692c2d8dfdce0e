/* Against PyTorch: golden files of golden/make_golden.py.
 *
 * In double everything, and all parameters after ten steps of each optimizer, within 1e-11; in float
 * outputs, loss and gradients within 1e-5 of each tensor's largest element. */
#include "golden_fixture.h"

enum { T = 5, B = 4, I = 3, H = 6, L = 2, V = 4, STEPS = 10 };

static void assert_close(const array *wanted, const tg_real *got, size_t n)
{
    assert_within(wanted, got, n, sizeof(tg_real) == 8 ? 1e-11 : 1e-5 * largest_of(wanted));
}

typedef struct model {
    tg_context *cx;
    tg_params *ps;
    tg_rnn *gru;
    tg_linear *out;
    tg_tape *t;
    tg_tensor *x, *h0, *y, *h, *loss;
    int lengths[B], target[T * B];
    const golden *g;
} model;

static model model_new(const golden *g, tg_cell cell)
{
    model m = { .cx = tg_context_new(&(tg_context_config){ .threads = 2 }), .g = g };
    m.ps = tg_params_new(m.cx);
    m.gru = tg_rnn_new(m.ps, "gru", I, H, &(tg_rnn_config){ .cell = cell, .layers = L });
    m.out = tg_linear_new(m.ps, "out", H, V, NULL);
    m.t = tg_tape_new(m.cx);
    for (int i = 0; i < tg_params_count(m.ps); i++) {
        tg_parameter_info info;
        tg_params_info(m.ps, i, &info);
        const array *a = find(g, "", info.name);
        ck_assert_int_eq(tg_params_set(m.ps, info.name, a->value, a->n), TG_OK);
    }
    for (int b = 0; b < B; b++) m.lengths[b] = (int)find(g, "", "lengths")->value[b];
    for (int i = 0; i < T * B; i++) m.target[i] = (int)find(g, "", "target")->value[i];
    return m;
}

static void forward(model *m)
{
    tg_tape_begin(m->t, TG_TRAIN);
    m->x = tg_input(m->t, 3, (int[]){ T, B, I }, find(m->g, "", "x")->value);
    m->h0 = tg_input(m->t, 3, (int[]){ L, B, H }, find(m->g, "", "h0")->value);
    tg_state after;
    m->y = tg_rnn_run(m->gru, m->t, m->x, m->lengths, &(tg_state){ m->h0 }, &after);
    m->h = after.h;
    tg_tensor *entropy = tg_cross_entropy(m->t, tg_linear_run(m->out, m->t, m->y), m->target, NULL);
    m->loss =
        tg_add(m->t, entropy, tg_scale(m->t, tg_sum(m->t, tg_multiply(m->t, m->h, m->h)), (tg_real)0.1));
}

static const struct {
    const char *name;
    tg_cell cell;
} variants[] = { { "gru", TG_GRU }, { "gru-reset-after", TG_GRU_RESET_AFTER } };

START_TEST(outputs_loss_and_every_gradient_are_those_of_pytorch)
{
    static golden g;
    read_golden(&g, variants[_i].name);
    model m = model_new(&g, variants[_i].cell);
    forward(&m);
    ck_assert_int_eq(tg_tape_backward(m.t, m.loss), TG_OK);
    assert_close(find(&g, "", "y"), m.y->data, T * B * H);
    assert_close(find(&g, "", "h"), m.h->data, L * B * H);
    assert_close(find(&g, "", "loss"), m.loss->data, 1);
    assert_close(find(&g, "gradient:", "x"), m.x->grad, T * B * I);
    assert_close(find(&g, "gradient:", "h0"), m.h0->grad, L * B * H);
    for (int i = 0; i < tg_params_count(m.ps); i++) {
        tg_parameter_info info;
        tg_real got[MOST];
        tg_params_info(m.ps, i, &info);
        ck_assert_int_eq(tg_params_get_gradient(m.ps, info.name, got, info.size), TG_OK);
        assert_close(find(&g, "gradient:", info.name), got, info.size);
    }
    tg_context_free(m.cx);
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
    for (int v = 0; v < 2; v++) {
        read_golden(&g, variants[v].name);
        model m = model_new(&g, variants[v].cell);
        tg_optimizer *o = make_optimizer(m.ps, _i);
        for (int k = 0; k < STEPS; k++) {
            forward(&m);
            ck_assert_int_eq(tg_tape_backward(m.t, m.loss), TG_OK);
            if (_i == 7) tg_params_clip_norm(m.ps, (tg_real)0.1);
            ck_assert_msg(tg_optimizer_step(o) == TG_OK, "%s", tg_context_message(m.cx));
        }
        for (int i = 0; i < tg_params_count(m.ps); i++) {
            tg_parameter_info info;
            tg_real got[MOST];
            tg_params_info(m.ps, i, &info);
            ck_assert_int_eq(tg_params_get(m.ps, info.name, got, info.size), TG_OK);
            assert_close(find(&g, optimizers[_i], info.name), got, info.size);
        }
        tg_context_free(m.cx);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("golden");
    TCase *all = tcase_create("all");
    tcase_add_loop_test(all, outputs_loss_and_every_gradient_are_those_of_pytorch, 0, 2);
    tcase_add_loop_test(all, ten_steps_of_each_optimizer_are_those_of_pytorch, 0, 8);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
