/* tests/test_models_encoder_decoder.c -- sequences against steps, batches against single rows, and what
 * greedy decoding may and may not say. */
#include "models_fixture.h"
#include "params/params.h"

enum { B = RAGGED_B, S = RAGGED_S, LONGEST = 9 };

static const struct {
    tg_cell cell;
    int layers;
} kinds[] = { { TG_GRU, 1 }, { TG_GRU, 2 }, { TG_GRU_RESET_AFTER, 1 }, { TG_GRU_RESET_AFTER, 3 } };
enum { KINDS = sizeof kinds / sizeof *kinds };

/* What the model says about a greedy output when it is given as the truth: sums of log-probabilities. */
static void teacher_forced(small_model *s, const ragged *r, const int *out, double sum[B])
{
    int in[LONGEST * B], lengths[B];
    for (int b = 0; b < B; b++) {
        int n = 0;
        while (n < LONGEST && out[n * B + b] != TG_PAD) n++;
        lengths[b] = n;
        for (int k = 0; k < LONGEST; k++) in[k * B + b] = k ? out[(k - 1) * B + b] : TG_BEGIN;
    }
    tg_pair_batch batch = r->batch;
    batch.T = LONGEST, batch.target_in = in, batch.target_lengths = lengths;
    tg_tape_begin(s->t, TG_EVAL);
    const tg_tensor *logits = tg_encoder_decoder_logits(s->m, s->t, &batch);
    ck_assert_msg(tg_context_ok(s->cx), "%s", tg_context_message(s->cx));
    const int V = logits->dim[2];
    for (int b = 0; b < B; b++) {
        sum[b] = 0;
        for (int k = 0; k < lengths[b]; k++)
            sum[b] += log_softmax_of(logits->data + (k * B + b) * V, V, out[k * B + b]);
    }
}

START_TEST(steps_give_the_log_probabilities_of_the_sequence)
{
    int lengths_seen = 0;
    for (int k = 0; k < KINDS; k++)
        for (uint64_t seed = 1; seed <= 6; seed++) {
            small_model s = small_model_new(seed, kinds[k].cell, kinds[k].layers, 0);
            ragged r;
            int out[LONGEST * B];
            double stepped[B], forced[B];
            ragged_make(&r, s.cx, s.config.source_vocabulary, s.config.target_vocabulary);
            ck_assert_int_eq(
                tg_encoder_decoder_greedy(s.m, s.t, S, B, r.source, r.source_lengths, LONGEST, out, stepped),
                TG_OK);
            teacher_forced(&s, &r, out, forced);
            for (int b = 0; b < B; b++) {
                ck_assert_double_lt(stepped[b], 0);
                ck_assert_double_eq_tol(stepped[b], forced[b], 1e-5 * fabs(forced[b]));
                for (int i = 0; i < LONGEST; i++) lengths_seen |= (out[i * B + b] == TG_END) << i;
            }
            tg_context_free(s.cx);
        }
    ck_assert_msg(lengths_seen & (lengths_seen - 1), "the test must see outputs of different lengths");
}
END_TEST

/* Row b of the batch alone and without padding. */
static tg_pair_batch alone(const ragged *r, int b, int source[S], int target_in[RAGGED_T])
{
    for (int k = 0; k < S; k++) source[k] = r->source[k * B + b];
    for (int k = 0; k < RAGGED_T; k++) target_in[k] = r->target_in[k * B + b];
    return (tg_pair_batch){ .B = 1,
                            .S = r->source_lengths[b],
                            .T = r->target_lengths[b],
                            .source = source,
                            .source_lengths = &r->source_lengths[b],
                            .target_in = target_in,
                            .target_lengths = &r->target_lengths[b] };
}

START_TEST(padded_batch_equals_unpadded_single_rows)
{
    for (int k = 0; k < KINDS; k++) {
        small_model s = small_model_new(3, kinds[k].cell, kinds[k].layers, 0);
        ragged r;
        ragged_make(&r, s.cx, s.config.source_vocabulary, s.config.target_vocabulary);
        const int V = s.config.target_vocabulary;
        tg_real whole[RAGGED_T * B * 13];
        tg_tape_begin(s.t, TG_EVAL);
        const tg_tensor *all = tg_encoder_decoder_logits(s.m, s.t, &r.batch);
        ck_assert_uint_eq(tg_tensor_size(all), sizeof whole / sizeof *whole);
        memcpy(whole, all->data, sizeof whole);
        double largest = 0;
        for (size_t i = 0; i < sizeof whole / sizeof *whole; i++)
            largest = fmax(largest, fabs((double)whole[i]));
        for (int b = 0; b < B; b++) {
            int source[S], target_in[RAGGED_T];
            const tg_pair_batch one = alone(&r, b, source, target_in);
            tg_tape_begin(s.t, TG_EVAL);
            const tg_tensor *y = tg_encoder_decoder_logits(s.m, s.t, &one);
            ck_assert_msg(tg_context_ok(s.cx), "%s", tg_context_message(s.cx));
            for (int i = 0; i < one.T; i++)
                for (int v = 0; v < V; v++)
                    ck_assert_double_eq_tol((double)y->data[i * V + v], (double)whole[(i * B + b) * V + v],
                                            1e-5 * largest);
        }
        tg_real bias[13];
        ck_assert_int_eq(tg_params_get(s.ps, "output/b", bias, 13), TG_OK);
        for (int i = 0; i < RAGGED_T * B; i++) /* padding is not computed: there the state is 0 */
            for (int v = 0; v < V && r.target_out[i] < 0; v++)
                ck_assert_double_eq((double)whole[i * V + v], (double)bias[v]);
        tg_context_free(s.cx);
    }
}
END_TEST

START_TEST(company_in_a_batch_changes_no_output)
{
    for (int k = 0; k < KINDS; k++) {
        small_model s = small_model_new(4, kinds[k].cell, kinds[k].layers, 0);
        ragged r;
        int out[LONGEST * B], one[LONGEST];
        ragged_make(&r, s.cx, s.config.source_vocabulary, s.config.target_vocabulary);
        ck_assert_int_eq(
            tg_encoder_decoder_greedy(s.m, s.t, S, B, r.source, r.source_lengths, LONGEST, out, NULL), TG_OK);
        for (int b = 0; b < B; b++) {
            int source[S], in[RAGGED_T];
            alone(&r, b, source, in);
            ck_assert_int_eq(tg_encoder_decoder_greedy(s.m, s.t, r.source_lengths[b], 1, source,
                                                       &r.source_lengths[b], LONGEST, one, NULL),
                             TG_OK);
            for (int i = 0; i < LONGEST; i++) ck_assert_int_eq(one[i], out[i * B + b]);
        }
        tg_context_free(s.cx);
    }
}
END_TEST

/* The output layer without weights and with this bias: the same logits at every step. */
static void say(small_model *s, const tg_real bias[13])
{
    const tg_real zeros[7 * 13] = { 0 };
    ck_assert_int_eq(tg_params_set(s->ps, "output/W", zeros, 7 * 13), TG_OK);
    ck_assert_int_eq(tg_params_set(s->ps, "output/b", bias, 13), TG_OK);
}

static tg_status decode_two(small_model *s, int max_length, int *out, double *log_probability)
{
    static const int source[] = { 4, 5, TG_END, TG_END }, lengths[] = { 2, 1 };
    return tg_encoder_decoder_greedy(s->m, s->t, 2, 2, source, lengths, max_length, out, log_probability);
}

START_TEST(greedy_never_says_pad_or_begin)
{
    small_model s = small_model_new(1, TG_GRU, 1, 0);
    int out[3 * 2];
    double p[2];
    say(&s, (tg_real[13]){ [TG_PAD] = 9, [TG_BEGIN] = 8, [7] = 1 });
    ck_assert_int_eq(decode_two(&s, 3, out, p), TG_OK);
    for (int i = 0; i < 6; i++) ck_assert_int_eq(out[i], 7);
    /* the probability is still one among all words */
    const double one = 1 - log(exp(9.0) + exp(8.0) + exp(1.0) + 10);
    ck_assert_double_eq_tol(p[0], 3 * one, 1e-5 * fabs(one));
    ck_assert_double_eq_tol(p[1], 3 * one, 1e-5 * fabs(one));
    tg_context_free(s.cx);
}
END_TEST

START_TEST(ties_go_to_the_lower_id)
{
    small_model s = small_model_new(1, TG_GRU, 1, 0);
    int out[2];
    say(&s, (tg_real[13]){ 0 });
    ck_assert_int_eq(decode_two(&s, 1, out, NULL), TG_OK);
    ck_assert_int_eq(out[0], TG_UNKNOWN);
    say(&s, (tg_real[13]){ [6] = 2, [12] = 2 });
    ck_assert_int_eq(decode_two(&s, 1, out, NULL), TG_OK);
    ck_assert_int_eq(out[1], 6);
    tg_context_free(s.cx);
}
END_TEST

START_TEST(what_follows_the_end_is_padding_and_does_not_count)
{
    small_model s = small_model_new(1, TG_GRU, 1, 0);
    int out[4 * 2];
    double p[2];
    say(&s, (tg_real[13]){ [TG_END] = 3 });
    ck_assert_int_eq(decode_two(&s, 4, out, p), TG_OK);
    for (int i = 0; i < 8; i++) ck_assert_int_eq(out[i], i < 2 ? TG_END : TG_PAD);
    ck_assert_double_eq_tol(p[0], 3 - log(exp(3.0) + 12), 1e-6);
    tg_context_free(s.cx);
}
END_TEST

START_TEST(greedy_of_wrong_arguments_fails_with_a_sentence_and_poisons_nothing)
{
    small_model s = small_model_new(1, TG_GRU, 1, 0);
    const int source[] = { 4, TG_END }, outside[] = { 4, 11 }, length[] = { 2 }, too_long[] = { 3 };
    int out[4];
    ck_assert_int_eq(tg_encoder_decoder_greedy(s.m, s.t, 0, 1, source, length, 4, out, NULL),
                     TG_ERR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(tg_context_message(s.cx), "S is 0"));
    ck_assert_int_eq(tg_encoder_decoder_greedy(s.m, s.t, 2, 1, source, length, 0, out, NULL),
                     TG_ERR_ARGUMENT);
    ck_assert_int_eq(tg_encoder_decoder_greedy(s.m, s.t, 2, 1, NULL, length, 4, out, NULL), TG_ERR_ARGUMENT);
    ck_assert_int_eq(tg_encoder_decoder_greedy(s.m, s.t, 2, 1, outside, length, 4, out, NULL),
                     TG_ERR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(tg_context_message(s.cx), "11"));
    ck_assert_int_eq(tg_encoder_decoder_greedy(s.m, s.t, 2, 1, source, too_long, 4, out, NULL),
                     TG_ERR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(tg_context_message(s.cx), "3"));
    ck_assert(tg_context_ok(s.cx));
    ck_assert_int_eq(tg_encoder_decoder_greedy(s.m, s.t, 2, 1, source, length, 4, out, NULL), TG_OK);
    tg_context_free(s.cx);
}
END_TEST

START_TEST(greedy_of_numbers_that_are_not_finite_is_refused)
{
    small_model s = small_model_new(1, TG_GRU, 1, 0);
    tg_real W[7 * 13];
    int out[2 * 2];
    for (int i = 0; i < 7 * 13; i++) W[i] = (tg_real)(i % 2 ? 3e38 : -3e38);
    ck_assert_int_eq(tg_params_set(s.ps, "output/W", W, 7 * 13), TG_OK);
    const tg_real b[13] = { 3e38f, 3e38f, 3e38f, 3e38f, 3e38f, 3e38f, 3e38f,
                            3e38f, 3e38f, 3e38f, 3e38f, 3e38f, 3e38f };
    ck_assert_int_eq(tg_params_set(s.ps, "output/b", b, 13), TG_OK);
    const tg_real big[7] = {
        20, 20, 20, 20, 20, 20, 20
    }; /* saturates the bridge: the state is far from zero */
    ck_assert_int_eq(tg_params_set(s.ps, "bridge/layer0/b", big, 7), TG_OK);
    ck_assert_int_eq(decode_two(&s, 2, out, NULL), TG_ERR_NUMBER);
    ck_assert(tg_context_ok(s.cx));
    tg_context_free(s.cx);
}
END_TEST

/* Scored or not: the same words, or the same refusal; and the score is that of the words. */
START_TEST(greedy_choice_and_its_log_probability_agree_for_any_logits)
{
    const tg_real nan = (tg_real)NAN, huge = (tg_real)3e38, tiny = (tg_real)1e-38;
    const struct {
        tg_real at_3, at_7, all;
        tg_status status;
        int word;
        double log_probability;
    } cases[] = { { huge, huge, -huge, TG_OK, 3, -0.6931471805599453 },
                  { -huge, huge, huge / 2, TG_OK, 7, 0 },
                  { tiny / 64, tiny / 8, 0, TG_OK, 1, -2.5649493574615367 }, /* all are 0: the first one */
                  { 2 * tiny, 4 * tiny, 0, TG_OK, 7, -2.5649493574615367 },
                  { nan, 1, 0, TG_ERR_NUMBER, 0, 0 },
                  { 1, nan, 0, TG_ERR_NUMBER, 0, 0 },
                  { -(tg_real)INFINITY, 1, 0, TG_ERR_NUMBER, 0, 0 } };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++)
        for (int scored = 0; scored < 2; scored++) {
            small_model s = small_model_new(1, TG_GRU, 1, 0);
            int out[2];
            double log_probability[2];
            tg_real W[7 * 13] = { 0 }, b[13];
            ck_assert_int_eq(tg_params_set(s.ps, "output/W", W, 7 * 13), TG_OK);
            for (int v = 0; v < 13; v++)
                b[v] = v == 3 ? cases[k].at_3 : v == 7 ? cases[k].at_7 : cases[k].all;
            tg__params_scatter(tg__params_find(s.ps, "output/b"), s.ps->value, b);
            ck_assert_int_eq(decode_two(&s, 1, out, scored ? log_probability : NULL), cases[k].status);
            if (cases[k].status) ck_assert_ptr_nonnull(strstr(tg_context_message(s.cx), "not finite"));
            for (int i = 0; i < 2 && !cases[k].status; i++) {
                ck_assert_msg(out[i] == cases[k].word, "case %zu: word %d", k, out[i]);
                if (scored) ck_assert_double_eq_tol(log_probability[i], cases[k].log_probability, 1e-6);
            }
            tg_context_free(s.cx);
        }
}
END_TEST

START_TEST(parameters_have_the_documented_names)
{
    static const char *const names[] = { "source_embedding/W", "encoder/layer1/forward/W_xz",
                                         "bridge/layer0/W",    "bridge/layer1/b",
                                         "target_embedding/W", "decoder/layer0/forward/W_xg",
                                         "output/W",           "output/b" };
    static const size_t sizes[] = { 11 * 5, 7 * 7, 7 * 7, 7, 13 * 5, (5 + 7) * 7, 7 * 13, 13 };
    small_model s = small_model_new(1, TG_GRU, 2, 0);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        tg_real x[256];
        ck_assert_msg(tg_params_get(s.ps, names[i], x, sizes[i]) == TG_OK, "%s", tg_context_message(s.cx));
    }
    tg_context_free(s.cx);
}
END_TEST

static double loss_of(small_model *s, const ragged *r, tg_mode mode, tg_real smoothing)
{
    tg_tape_begin(s->t, mode);
    return (double)*tg_encoder_decoder_loss(s->m, s->t, &r->batch, smoothing)->data;
}

START_TEST(loss_is_the_mean_over_real_tokens)
{
    small_model s = small_model_new(2, TG_GRU, 1, 0);
    ragged r;
    ragged_make(&r, s.cx, s.config.source_vocabulary, s.config.target_vocabulary);
    tg_tape_begin(s.t, TG_EVAL);
    const tg_tensor *y = tg_encoder_decoder_logits(s.m, s.t, &r.batch);
    double sum = 0;
    for (int i = 0; i < RAGGED_T * B; i++)
        if (r.target_out[i] >= 0) sum -= log_softmax_of(y->data + i * 13, 13, r.target_out[i]);
    ck_assert_double_eq_tol(loss_of(&s, &r, TG_EVAL, 0), sum / (double)r.batch.target_tokens, 1e-5);
    ck_assert_double_gt(loss_of(&s, &r, TG_EVAL, (tg_real)0.1), 0);
    ck_assert_double_ne(loss_of(&s, &r, TG_EVAL, (tg_real)0.1), loss_of(&s, &r, TG_EVAL, 0));
    tg_context_free(s.cx);
}
END_TEST

START_TEST(dropout_acts_in_training_alone)
{
    small_model wet = small_model_new(2, TG_GRU, 2, (tg_real)0.5), dry = small_model_new(2, TG_GRU, 2, 0);
    ragged r;
    ragged_make(&r, dry.cx, dry.config.source_vocabulary, dry.config.target_vocabulary);
    ck_assert_double_eq(loss_of(&wet, &r, TG_EVAL, 0), loss_of(&dry, &r, TG_EVAL, 0));
    ck_assert_double_ne(loss_of(&wet, &r, TG_TRAIN, 0), loss_of(&dry, &r, TG_TRAIN, 0));
    /* on both embeddings and before the output; what is between layers belongs to the recurrent ops */
    ck_assert_int_eq(tg_tape_length(wet.t), tg_tape_length(dry.t) + 3);
    tg_context_set_step(wet.cx, 1);
    const double first = loss_of(&wet, &r, TG_TRAIN, 0);
    tg_context_set_step(wet.cx, 2);
    ck_assert_double_ne(loss_of(&wet, &r, TG_TRAIN, 0), first);
    tg_context_free(wet.cx);
    tg_context_free(dry.cx);
}
END_TEST

START_TEST(wrong_config_fails_with_a_sentence)
{
    static const struct {
        tg_encoder_decoder_config config;
        const char *says;
    } wrong[] = {
        { { .target_vocabulary = 9 }, "source_vocabulary is 0" },
        { { .source_vocabulary = 9, .target_vocabulary = 3 }, "target_vocabulary is 3" },
        { { .source_vocabulary = 9, .target_vocabulary = 9, .embed = -1 }, "embed is -1" },
        { { .source_vocabulary = 9, .target_vocabulary = 9, .hidden = 1 << 20 }, "hidden is 1048576" },
        { { .source_vocabulary = 9, .target_vocabulary = 9, .layers = 33 }, "layers is 33" },
        { { .source_vocabulary = 9, .target_vocabulary = 9, .cell = (tg_cell)7 }, "cell is 7" },
        { { .source_vocabulary = 9, .target_vocabulary = 9, .dropout = 1 }, "dropout is 1" },
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        tg_context *cx = tg_context_new(NULL);
        tg_tape *t = tg_tape_new(cx);
        tg_encoder_decoder *m = tg_encoder_decoder_new(tg_params_new(cx), &wrong[i].config);
        ck_assert_int_eq(tg_context_status(cx), TG_ERR_ARGUMENT);
        ck_assert_msg(strstr(tg_context_message(cx), wrong[i].says) != NULL, "%s", tg_context_message(cx));

        tg_context_clear(cx); /* a model born in error keeps failing */
        int out[1];
        const int source[] = { 4 }, length[] = { 1 };
        tg_pair_batch batch = { .B = 1,
                                .S = 1,
                                .T = 1,
                                .source = source,
                                .source_lengths = length,
                                .target_in = source,
                                .target_out = source,
                                .target_lengths = length };
        ck_assert_int_eq(tg_encoder_decoder_greedy(m, t, 1, 1, source, length, 1, out, NULL), TG_ERR_STATE);
        tg_tape_begin(t, TG_EVAL);
        ck_assert_ptr_nonnull(tg_encoder_decoder_loss(m, t, &batch, 0));
        ck_assert_int_eq(tg_context_status(cx), TG_ERR_STATE);
        tg_context_free(cx);
    }
}
END_TEST

/* ---- memory ---- */

static int blocks;
#ifdef TG_DEBUG_ARENA
static const bool piece_is_block = true; /* so that each begin allocates anew */
#else
static const bool piece_is_block = false;
#endif

static void *count_block(void *user, size_t bytes)
{
    (void)user;
    blocks++;
    return malloc(bytes);
}
static void release_block(void *user, void *block)
{
    (void)user;
    free(block);
}

START_TEST(decoding_again_allocates_nothing_however_long_the_output)
{
    tg_context *cx =
        tg_context_new(&(tg_context_config){ .seed = 1, .allocate = count_block, .release = release_block });
    tg_params *ps = tg_params_new(cx);
    tg_encoder_decoder *m = tg_encoder_decoder_new(
        ps, &(tg_encoder_decoder_config){
                .source_vocabulary = 9, .target_vocabulary = 500, .embed = 16, .hidden = 32, .layers = 2 });
    tg_tape *t = tg_tape_new(cx);
    const int source[] = { 4, 5, 6, TG_END };
    static int out[200];
    /* the highest logit by far is a word, so that nothing ends */
    static tg_real b[500];
    b[77] = 50;
    ck_assert_int_eq(tg_params_set(ps, "output/b", b, 500), TG_OK);
    for (int i = 0; i < 2; i++) /* the tapes grow, and then settle */
        ck_assert_int_eq(tg_encoder_decoder_greedy(m, t, 4, 1, source, NULL, 2, out, NULL), TG_OK);
    const int before = blocks;
    const size_t bytes = tg_tape_bytes(t);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(tg_encoder_decoder_greedy(m, t, 4, 1, source, NULL, 200, out, NULL), TG_OK);
    ck_assert_int_eq(out[199], 77);
    ck_assert_msg(piece_is_block || blocks == before, "%d blocks, then %d", before, blocks);
    ck_assert_uint_eq(tg_tape_bytes(t), bytes);
    tg_context_free(cx);
}
END_TEST

TG_TEST_MAIN("models/encoder_decoder", steps_give_the_log_probabilities_of_the_sequence,
             padded_batch_equals_unpadded_single_rows, company_in_a_batch_changes_no_output,
             greedy_never_says_pad_or_begin, ties_go_to_the_lower_id,
             what_follows_the_end_is_padding_and_does_not_count,
             greedy_of_wrong_arguments_fails_with_a_sentence_and_poisons_nothing,
             greedy_choice_and_its_log_probability_agree_for_any_logits,
             greedy_of_numbers_that_are_not_finite_is_refused, parameters_have_the_documented_names,
             loss_is_the_mean_over_real_tokens, dropout_acts_in_training_alone,
             wrong_config_fails_with_a_sentence, decoding_again_allocates_nothing_however_long_the_output)
