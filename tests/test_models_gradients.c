/* tests/test_models_gradients.c -- the gradient of the whole encoder-decoder, in double, against central
 * differences: every element of every parameter,
 *
 *     | a - n | <= 1e-9 + 1e-5 max |n|,    n = ( L(p + e) - L(p - e) ) / 2e,    e = 1e-5 max(1, |p|)
 */
#include "models_fixture.h"

_Static_assert(sizeof(tg_real) == 8, "gradients are checked in double");

enum { MOST = 512 };

static double loss_of(small_model *s, const ragged *r, tg_real smoothing)
{
    tg_tape_begin(s->t, TG_EVAL);
    const double loss = *tg_encoder_decoder_loss(s->m, s->t, &r->batch, smoothing)->data;
    ck_assert_msg(tg_context_ok(s->cx), "%s", tg_context_message(s->cx));
    return loss;
}

static double numeric(small_model *s, const ragged *r, tg_real smoothing, const tg_parameter_info *info,
                      tg_real *p, size_t k)
{
    const double x = p[k], e = 1e-5 * fmax(1, fabs(x));
    double loss[2];
    for (int side = 0; side < 2; side++) {
        p[k] = side ? x + e : x - e;
        ck_assert_int_eq(tg_params_set(s->ps, info->name, p, info->size), TG_OK);
        loss[side] = loss_of(s, r, smoothing);
    }
    p[k] = x;
    ck_assert_int_eq(tg_params_set(s->ps, info->name, p, info->size), TG_OK);
    return (loss[1] - loss[0]) / (2 * e);
}

static void check_parameter(small_model *s, const ragged *r, tg_real smoothing, int i)
{
    tg_parameter_info info;
    tg_real p[MOST], a[MOST];
    double n[MOST], largest = 0;
    tg_params_info(s->ps, i, &info);
    ck_assert_uint_le(info.size, MOST);
    ck_assert_int_eq(tg_params_get(s->ps, info.name, p, info.size), TG_OK);
    ck_assert_int_eq(tg_params_get_gradient(s->ps, info.name, a, info.size), TG_OK);
    for (size_t k = 0; k < info.size; k++)
        largest = fmax(largest, fabs(n[k] = numeric(s, r, smoothing, &info, p, k)));
    for (size_t k = 0; k < info.size; k++)
        ck_assert_msg(fabs(a[k] - n[k]) <= 1e-9 + 1e-5 * largest,
                      "%s, element %zu of %zu: %.12g, by differences %.12g (largest %.3g)", info.name, k,
                      info.size, a[k], n[k], largest);
    ck_assert_msg(largest > 1e-6, "%s has no gradient worth the name: %g", info.name, largest);
}

static void check_model(tg_cell cell, int layers, tg_real smoothing)
{
    small_model s = small_model_new(5, cell, layers, 0);
    ragged r;
    ragged_make(&r, s.cx, s.config.source_vocabulary, s.config.target_vocabulary);
    tg_params_zero_gradients(s.ps);
    tg_tape_begin(s.t, TG_TRAIN);
    ck_assert_int_eq(tg_tape_backward(s.t, tg_encoder_decoder_loss(s.m, s.t, &r.batch, smoothing)), TG_OK);
    for (int i = 0; i < tg_params_count(s.ps); i++) check_parameter(&s, &r, smoothing, i);
    tg_context_free(s.cx);
}

START_TEST(gradients_of_one_layer_of_gru_are_right) { check_model(TG_GRU, 1, 0); }
END_TEST
START_TEST(gradients_of_two_layers_of_gru_are_right) { check_model(TG_GRU, 2, 0.1); }
END_TEST
START_TEST(gradients_of_one_layer_of_gru_reset_after_are_right) { check_model(TG_GRU_RESET_AFTER, 1, 0.1); }
END_TEST
START_TEST(gradients_of_two_layers_of_gru_reset_after_are_right) { check_model(TG_GRU_RESET_AFTER, 2, 0); }
END_TEST

TG_TEST_MAIN("models/gradients", gradients_of_one_layer_of_gru_are_right,
             gradients_of_two_layers_of_gru_are_right, gradients_of_one_layer_of_gru_reset_after_are_right,
             gradients_of_two_layers_of_gru_reset_after_are_right)
