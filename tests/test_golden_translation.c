/* tests/test_golden_translation.c -- the whole encoder-decoder, with each attention and without, against PyTorch: golden
 * files of golden/make_golden_translation.py.
 *
 * Loss and every gradient, of ragged sentences with padding: within 1e-11 of each tensor's largest element in double, 1e-5
 * in float. Names and shapes of all parameters are those of the file. */
#include "golden_fixture.h"

enum { E = 4, H = 6, S = 5, T = 6, B = 4 };

static const struct {
    const char *file;
    tg_encoder_decoder_config config;
} cases[] = {
    { "translation-additive",
      { .attention = TG_ATTENTION_ADDITIVE, .bidirectional = true, .tying = TG_TIE_TARGET } },
    { "translation-coverage",
      { .cell = TG_GRU_RESET_AFTER,
        .attention = TG_ATTENTION_ADDITIVE,
        .coverage = true,
        .layers = 2,
        .readout = TG_NO_READOUT } },
    { "translation-general-feeding",
      { .attention = TG_ATTENTION_GENERAL, .input_feeding = true, .tying = TG_TIE_ALL } },
    { "translation-dot-feeding",
      { .cell = TG_GRU_RESET_AFTER,
        .attention = TG_ATTENTION_DOT,
        .bidirectional = true,
        .input_feeding = true,
        .coverage = true } },
    { "translation-dot", { .attention = TG_ATTENTION_DOT, .layers = 2, .readout = 5 } },
    { "translation-general",
      { .cell = TG_GRU_RESET_AFTER,
        .attention = TG_ATTENTION_GENERAL,
        .bidirectional = true,
        .coverage = true } },
    { "translation-none", { .bidirectional = true, .layers = 2 } },
    { "translation-none-tied",
      { .cell = TG_GRU_RESET_AFTER, .bidirectional = true, .tying = TG_TIE_TARGET } },
};
enum { CASES = sizeof cases / sizeof *cases };

static double bound_of(const array *a) { return (sizeof(tg_real) == 8 ? 1e-11 : 1e-5) * largest_of(a); }

static void take_integers(const golden *g, const char *name, int *x, size_t n)
{
    const array *a = find(g, "", name);
    ck_assert_uint_eq(a->n, n);
    for (size_t i = 0; i < n; i++) x[i] = (int)a->value[i];
}

/* Sets all parameters, and sees that the file has these, in these shapes, and no other. */
static void set_parameters(const golden *g, tg_params *ps)
{
    int gradients = 0;
    for (int i = 0; i < tg_params_count(ps); i++) {
        tg_parameter_info info;
        tg_params_info(ps, i, &info);
        const array *a = find(g, "", info.name);
        ck_assert_int_eq(a->rank, info.rank);
        for (int d = 0; d < info.rank; d++) ck_assert_int_eq(a->dim[d], info.dim[d]);
        ck_assert_int_eq(tg_params_set(ps, info.name, a->value, a->n), TG_OK);
    }
    for (int i = 0; i < g->n; i++) gradients += !strncmp(g->array[i].name, "gradient:", 9);
    ck_assert_int_eq(gradients, tg_params_count(ps));
}

START_TEST(loss_and_every_gradient_of_translation_are_those_of_pytorch)
{
    static golden g;
    int source[S * B], source_lengths[B], in[T * B], out[T * B], target_lengths[B];
    read_golden(&g, cases[_i].file);
    take_integers(&g, "source", source, S * B);
    take_integers(&g, "source_lengths", source_lengths, B);
    take_integers(&g, "target_in", in, T * B);
    take_integers(&g, "target_out", out, T * B);
    take_integers(&g, "target_lengths", target_lengths, B);
    tg_pair_batch batch = { .B = B,
                            .S = S,
                            .T = T,
                            .source = source,
                            .source_lengths = source_lengths,
                            .target_in = in,
                            .target_out = out,
                            .target_lengths = target_lengths };
    for (int b = 0; b < B; b++) batch.target_tokens += target_lengths[b];
    tg_encoder_decoder_config config = cases[_i].config;
    config.embed = E, config.hidden = H;
    config.source_vocabulary = 9, config.target_vocabulary = config.tying == TG_TIE_ALL ? 9 : 8;

    tg_context *cx = tg_context_new(&(tg_context_config){ .threads = 2 });
    tg_params *ps = tg_params_new(cx);
    tg_encoder_decoder *m = tg_encoder_decoder_new(ps, &config);
    tg_tape *t = tg_tape_new(cx);
    ck_assert_msg(tg_context_ok(cx), "%s", tg_context_message(cx));
    set_parameters(&g, ps);
    tg_tape_begin(t, TG_TRAIN);
    tg_tensor *loss = tg_encoder_decoder_loss(m, t, &batch, (tg_real)0.1);
    ck_assert_msg(tg_tape_backward(t, loss) == TG_OK, "%s", tg_context_message(cx));
    assert_within(find(&g, "", "loss"), loss->data, 1, bound_of(find(&g, "", "loss")));
    for (int i = 0; i < tg_params_count(ps); i++) {
        tg_parameter_info info;
        tg_real got[MOST];
        tg_params_info(ps, i, &info);
        ck_assert_int_eq(tg_params_get_gradient(ps, info.name, got, info.size), TG_OK);
        const array *wanted = find(&g, "gradient:", info.name);
        ck_assert_msg(largest_of(wanted) > 1e-4, "%s has no gradient worth the name", info.name);
        assert_within(wanted, got, info.size, bound_of(wanted));
    }
    tg_context_free(cx);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("golden_translation");
    TCase *all = tcase_create("all");
    tcase_add_loop_test(all, loss_and_every_gradient_of_translation_are_those_of_pytorch, 0, CASES);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
