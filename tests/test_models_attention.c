/* tests/test_models_attention.c -- encoder-decoders of every kind: steps against sequences, batches against single rows,
 * the loss, settings that contradict each other, and what a checkpoint keeps. */
#include "models/decoder.h"
#include "models_kinds.h"
#include "models_world.h"
#include "params/params.h"

enum { B = RAGGED_B, S = RAGGED_S, V = KIND_V, MOST_WORDS = 9 };

/* ---- steps, and company ---- */

/* What the model says about a greedy output when it is given as the truth: sums of log-probabilities. */
static void teacher_forced(small_model *s, const ragged *r, const int *out, double sum[B])
{
    int in[MOST_WORDS * B], lengths[B];
    for (int b = 0; b < B; b++) {
        int n = 0;
        while (n < MOST_WORDS && out[n * B + b] != TG_PAD) n++;
        lengths[b] = n;
        for (int k = 0; k < MOST_WORDS; k++) in[k * B + b] = k ? out[(k - 1) * B + b] : TG_BEGIN;
    }
    tg_pair_batch batch = r->batch;
    batch.T = MOST_WORDS, batch.target_in = in, batch.target_lengths = lengths;
    tg_tape_begin(s->t, TG_EVAL);
    const tg_tensor *logits = tg_encoder_decoder_logits(s->m, s->t, &batch);
    ck_assert_msg(tg_context_ok(s->cx), "%s", tg_context_message(s->cx));
    for (int b = 0; b < B; b++) {
        sum[b] = 0;
        for (int k = 0; k < lengths[b]; k++)
            sum[b] += log_softmax_of(logits->data + (k * B + b) * V, V, out[k * B + b]);
    }
}

START_TEST(greedy_steps_give_the_log_probabilities_of_the_sequence)
{
    int ends = 0;
    for (int k = 0; k < KINDS; k++)
        for (uint64_t seed = 1; seed <= 4; seed++) {
            small_model s = small_model_kind(k, seed);
            ragged r;
            int out[MOST_WORDS * B];
            double stepped[B], forced[B];
            ragged_make(&r, s.cx, V, V);
            ck_assert_int_eq(tg_encoder_decoder_greedy(s.m, s.t, S, B, r.source, r.source_lengths, MOST_WORDS,
                                                       out, stepped),
                             TG_OK);
            teacher_forced(&s, &r, out, forced);
            for (int b = 0; b < B; b++) {
                ck_assert_double_lt(stepped[b], 0);
                ck_assert_msg(fabs(stepped[b] - forced[b]) <= 1e-5 * fabs(forced[b]),
                              "kind %d, seed %d, row %d: %.9g in steps, %.9g in one", k, (int)seed, b,
                              stepped[b], forced[b]);
                for (int i = 0; i < MOST_WORDS; i++) ends |= (out[i * B + b] == TG_END) << i;
            }
            tg_context_free(s.cx);
        }
    ck_assert_msg(ends & (ends - 1), "the test must see outputs of different lengths");
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

START_TEST(company_in_a_batch_changes_no_output_of_any_kind)
{
    for (int k = 0; k < KINDS; k++) {
        small_model s = small_model_kind(k, 4);
        ragged r;
        int out[MOST_WORDS * B], one[MOST_WORDS];
        double p[B], q;
        ragged_make(&r, s.cx, V, V);
        ck_assert_int_eq(
            tg_encoder_decoder_greedy(s.m, s.t, S, B, r.source, r.source_lengths, MOST_WORDS, out, p), TG_OK);
        for (int b = 0; b < B; b++) {
            int source[S], in[RAGGED_T];
            alone(&r, b, source, in);
            ck_assert_int_eq(tg_encoder_decoder_greedy(s.m, s.t, r.source_lengths[b], 1, source,
                                                       b % 2 ? NULL : &r.source_lengths[b], MOST_WORDS, one,
                                                       &q),
                             TG_OK);
            for (int i = 0; i < MOST_WORDS; i++) ck_assert_int_eq(one[i], out[i * B + b]);
            ck_assert_double_eq_tol(q, p[b], 1e-5 * fabs(q));
        }
        tg_context_free(s.cx);
    }
}
END_TEST

START_TEST(padded_batch_of_any_kind_equals_unpadded_single_rows)
{
    for (int k = 0; k < KINDS; k++) {
        small_model s = small_model_kind(k, 3);
        ragged r;
        tg_real whole[RAGGED_T * B * V];
        ragged_make(&r, s.cx, V, V);
        for (int i = 0; i < S * B; i++) /* what stands in padding does not matter */
            if (i / B >= r.source_lengths[i % B]) r.source[i] = 5;
        tg_tape_begin(s.t, TG_EVAL);
        const tg_tensor *all = tg_encoder_decoder_logits(s.m, s.t, &r.batch);
        ck_assert_uint_eq(tg_tensor_size(all), RAGGED_T * B * V);
        memcpy(whole, all->data, sizeof whole);
        for (int b = 0; b < B; b++) {
            int source[S], target_in[RAGGED_T];
            const tg_pair_batch one = alone(&r, b, source, target_in);
            tg_tape_begin(s.t, TG_EVAL);
            const tg_tensor *y = tg_encoder_decoder_logits(s.m, s.t, &one);
            ck_assert_msg(tg_context_ok(s.cx), "%s", tg_context_message(s.cx));
            for (int i = 0; i < one.T * V; i++)
                ck_assert_double_eq_tol((double)y->data[i], (double)whole[(i / V * B + b) * V + i % V], 5e-5);
        }
        tg_context_free(s.cx);
    }
}
END_TEST

START_TEST(loss_without_padding_is_the_loss_of_all_logits)
{
    for (int k = 0; k < KINDS; k++) {
        small_model s = small_model_kind(k, 2);
        ragged r;
        ragged_make(&r, s.cx, V, V);
        for (int smooth = 0; smooth < 2; smooth++) {
            const tg_real smoothing = (tg_real)(0.2 * smooth);
            tg_tape_begin(s.t, TG_TRAIN);
            const tg_tensor *packed = tg_encoder_decoder_loss(s.m, s.t, &r.batch, smoothing);
            const tg_tensor *plain = tg_cross_entropy(
                s.t, tg_encoder_decoder_logits(s.m, s.t, &r.batch), r.target_out,
                &(tg_cross_entropy_config){ .label_smoothing = smoothing, .lengths = r.target_lengths });
            ck_assert_msg(tg_context_ok(s.cx), "%s", tg_context_message(s.cx));
            ck_assert_double_eq_tol((double)*packed->data, (double)*plain->data, 1e-6 * (double)*plain->data);
        }
        tg_context_free(s.cx);
    }
}
END_TEST

/* Dropout: on both embeddings and before the output; with attention on the memory and below the layer that attends, too. */
START_TEST(dropout_acts_on_the_memory_and_in_training_alone)
{
    for (int k = 0; k < KINDS; k++) {
        small_model dry = small_model_kind(k, 2);
        tg_encoder_decoder_config config = dry.config;
        config.dropout = (tg_real)0.5;
        small_model wet = small_model_of(tg_context_new(&(tg_context_config){ .seed = 2 }), config);
        ragged r;
        ragged_make(&r, dry.cx, V, V);
        double loss[2][2];
        for (int training = 0; training < 2; training++)
            for (int wets = 0; wets < 2; wets++) {
                small_model *s = wets ? &wet : &dry;
                tg_tape_begin(s->t, training ? TG_TRAIN : TG_EVAL);
                loss[training][wets] = (double)*tg_encoder_decoder_loss(s->m, s->t, &r.batch, 0)->data;
            }
        ck_assert_double_eq(loss[0][0], loss[0][1]);
        ck_assert_double_ne(loss[1][0], loss[1][1]);
        const int more = config.attention == TG_ATTENTION_NONE ? 0 : config.layers > 1 ? 2 : 1;
        ck_assert_int_eq(tg_tape_length(wet.t), tg_tape_length(dry.t) + 3 + more);
        tg_context_free(wet.cx);
        tg_context_free(dry.cx);
    }
}
END_TEST

/* ---- settings ---- */

#define SIZES .source_vocabulary = 9, .target_vocabulary = 9
static const struct {
    tg_encoder_decoder_config config;
    const char *says;
} contradictions[] = {
    { { SIZES, .input_feeding = true }, "input feeding belongs to dot and general" },
    { { SIZES, .attention = TG_ATTENTION_ADDITIVE, .input_feeding = true },
      "input feeding belongs to dot and general" },
    { { SIZES, .coverage = true }, "coverage belongs to attention" },
    { { SIZES, .attention = TG_ATTENTION_DOT, .readout = TG_NO_READOUT }, "have a readout" },
    { { SIZES, .attention = TG_ATTENTION_GENERAL, .readout = TG_NO_READOUT }, "have a readout" },
    { { SIZES, .attention = TG_ATTENTION_ADDITIVE, .embed = 8, .readout = 9, .tying = TG_TIE_TARGET },
      "size of the embedding" },
    { { SIZES, .attention = TG_ATTENTION_ADDITIVE, .readout = TG_NO_READOUT, .tying = TG_TIE_TARGET },
      "size of the embedding" },
    { { SIZES, .readout = TG_NO_READOUT, .tying = TG_TIE_ALL }, "size of the embedding" },
    { { .source_vocabulary = 9, .target_vocabulary = 8, .tying = TG_TIE_ALL },
      "one vocabulary for both sides" },
    { { SIZES, .attention = TG_ATTENTION_DOT, .bidirectional = true, .hidden = 7 }, "an even hidden size" },
    { { SIZES, .attention = (tg_attention_kind)4 }, "attention is 4" },
    { { SIZES, .attention = (tg_attention_kind)-1 }, "attention is -1" },
    { { SIZES, .tying = (tg_tying)3 }, "tying is 3" },
    { { SIZES, .readout = -2 }, "readout is -2" },
    { { SIZES, .readout = 1 << 20 }, "readout is 1048576" },
};

START_TEST(contradictory_settings_fail_with_a_sentence)
{
    for (size_t i = 0; i < sizeof contradictions / sizeof *contradictions; i++) {
        tg_context *cx = tg_context_new(NULL);
        tg_params *ps = tg_params_new(cx);
        tg_encoder_decoder_new(ps, &contradictions[i].config);
        ck_assert_msg(tg_context_status(cx) == TG_ERR_ARGUMENT, "'%s' is %d", contradictions[i].says,
                      tg_context_status(cx));
        ck_assert_msg(strstr(tg_context_message(cx), contradictions[i].says) != NULL, "%s",
                      tg_context_message(cx));
        ck_assert_int_eq(tg_params_count(ps), 0);
        tg_context_free(cx);
    }
}
END_TEST

START_TEST(tyings_have_names)
{
    ck_assert_str_eq(tg_tying_name(TG_TIE_NONE), "none");
    ck_assert_str_eq(tg_tying_name(TG_TIE_TARGET), "target");
    ck_assert_str_eq(tg_tying_name(TG_TIE_ALL), "all");
    ck_assert_ptr_nonnull(tg_tying_name((tg_tying)9));
}
END_TEST

static bool has_parameter(const tg_params *ps, const char *name)
{
    bool found = false;
    for (int i = 0; i < tg_params_count(ps); i++) {
        tg_parameter_info info;
        tg_params_info(ps, i, &info);
        found |= !strcmp(info.name, name);
    }
    return found;
}

START_TEST(tied_weights_are_no_parameters_of_their_own_and_learn_from_both_sides)
{
    for (int tying = TG_TIE_NONE; tying <= TG_TIE_ALL; tying++) {
        tg_encoder_decoder_config c = kinds[0];
        c.source_vocabulary = c.target_vocabulary = V, c.embed = 6, c.hidden = 8, c.tying = (tg_tying)tying;
        small_model s = small_model_of(tg_context_new(&(tg_context_config){ .seed = 2 }), c);
        ragged r;
        tg_real d[V * 6];
        ragged_make(&r, s.cx, V, V);
        ck_assert_int_eq(has_parameter(s.ps, "source_embedding/W"), tying != TG_TIE_ALL);
        ck_assert_int_eq(has_parameter(s.ps, "output/W"), tying == TG_TIE_NONE);
        ck_assert(has_parameter(s.ps, "target_embedding/W") && has_parameter(s.ps, "output/b"));
        tg_tape_begin(s.t, TG_TRAIN);
        ck_assert_int_eq(tg_tape_backward(s.t, tg_encoder_decoder_loss(s.m, s.t, &r.batch, 0)), TG_OK);
        ck_assert_int_eq(tg_params_get_gradient(s.ps, "target_embedding/W", d, V * 6), TG_OK);
        bool pad = false; /* <pad> is never read, but always a word that could have come out */
        for (int j = 0; j < 6; j++) pad |= d[TG_PAD * 6 + j] != 0;
        ck_assert_int_eq(pad, tying != TG_TIE_NONE);
        tg_context_free(s.cx);
    }
}
END_TEST

/* ---- archives ---- */

static void assert_same_config(const tg_encoder_decoder_config *a, const tg_encoder_decoder_config *b)
{
    ck_assert_int_eq(a->source_vocabulary, b->source_vocabulary);
    ck_assert_int_eq(a->target_vocabulary, b->target_vocabulary);
    ck_assert_int_eq(a->embed, b->embed);
    ck_assert_int_eq(a->hidden, b->hidden);
    ck_assert_int_eq(a->layers, b->layers);
    ck_assert_int_eq(a->cell, b->cell);
    ck_assert_double_eq((double)a->dropout, (double)b->dropout);
    ck_assert_int_eq(a->bidirectional, b->bidirectional);
    ck_assert_int_eq(a->attention, b->attention);
    ck_assert_int_eq(a->input_feeding, b->input_feeding);
    ck_assert_int_eq(a->coverage, b->coverage);
    ck_assert_int_eq(a->readout, b->readout);
    ck_assert_int_eq(a->tying, b->tying);
}

START_TEST(checkpoint_keeps_every_setting_and_translates_alike)
{
    world w = world_new(5, TG_WORDS, 7);
    char text[SENTENCES][MOST_TEXT];
    const char *sentence[SENTENCES];
    invent(w.cx, text, sentence);
    for (int k = 0; k < KINDS; k++) {
        tg_encoder_decoder_config config = kinds[k];
        config.embed = 7, config.hidden = 10, config.dropout = (tg_real)0.25;
        tg_translator tr = babbler_of(&w, &config), opened;
        tg_archive *a = put(&tr, w.cx);
        char *out[SENTENCES], *again[SENTENCES];
        remove(w.file);
        ck_assert_msg(tg_checkpoint_save(w.file, &(tg_checkpoint){ .params = tr.params, .also = a }) == TG_OK,
                      "%s", tg_context_message(w.cx));
        tg_archive_free(a);
        tg_context *cx = tg_context_new(&(tg_context_config){ .seed = 99 });
        ck_assert_msg(tg_translator_open(cx, w.file, &opened) == TG_OK, "%s", tg_context_message(cx));
        assert_same_config(&opened.config, &tr.config);
        const bool bare = !config.attention && !config.tying; /* has no readout by default */
        const int readout = config.readout ? config.readout : bare ? TG_NO_READOUT : 7;
        ck_assert_int_eq(opened.config.readout, readout);
        ck_assert_int_eq(tg_translator_translate(&tr, SENTENCES, sentence, 0, out), TG_OK);
        ck_assert_int_eq(tg_translator_translate(&opened, SENTENCES, sentence, 0, again), TG_OK);
        for (int i = 0; i < SENTENCES; i++) ck_assert_str_eq(out[i], again[i]);
        free_all(SENTENCES, out);
        free_all(SENTENCES, again);
        tg_context_free(cx);
    }
    world_free(&w);
}
END_TEST

/* Where nobody asks for scores, most of them are not computed. */
START_TEST(results_without_scores_are_those_with_scores)
{
    world w = world_new(5, TG_WORDS, 7);
    char text[SENTENCES][MOST_TEXT];
    const char *sentence[SENTENCES];
    invent(w.cx, text, sentence);
    for (int k = 0; k < KINDS; k++) {
        tg_encoder_decoder_config config = kinds[k];
        config.embed = 7, config.hidden = 10;
        tg_translator tr = babbler_of(&w, &config);
        tg_translation scored[SENTENCES], unscored[SENTENCES];
        ck_assert_int_eq(
            tg_translator_search(&tr, SENTENCES, sentence, &(tg_decoding_config){ .max_length = 12 }, scored),
            TG_OK);
        ck_assert_int_eq(tg_translator_search(&tr, SENTENCES, sentence,
                                              &(tg_decoding_config){ .max_length = 12, .unscored = true },
                                              unscored),
                         TG_OK);
        for (int i = 0; i < SENTENCES; i++) {
            const tg_translation *x = &scored[i], *y = &unscored[i];
            ck_assert_str_eq(x->text, y->text);
            ck_assert(x->T == y->T && x->S == y->S && x->cut == y->cut && !x->attention == !y->attention);
            if (x->attention)
                ck_assert(!memcmp(x->attention, y->attention, (size_t)(x->T * x->S) * sizeof *x->attention));
            tg_translation_free(&scored[i]);
            tg_translation_free(&unscored[i]);
        }
    }
    world_free(&w);
}
END_TEST

/* Also if the word would not have been chosen; in company, where most scores are not computed, and alone. */
START_TEST(numbers_that_are_not_finite_are_refused_with_and_without_scores)
{
    const tg_real wrong[] = { (tg_real)NAN, (tg_real)-INFINITY };
    world w = world_new(5, TG_WORDS, 7);
    char text[SENTENCES][MOST_TEXT];
    const char *sentence[SENTENCES];
    invent(w.cx, text, sentence);
    tg_translator tr = babbler(&w, TG_GRU, 1);
    tg_real *b = NULL; /* no call of the library would let such a number in */
    ck_assert(tg__params_freeze(tr.params));
    for (int i = 0; i < tr.params->views; i++)
        if (!strcmp(tr.params->view[i].name, "output/b")) b = tr.params->view[i].block->x.data;
    ck_assert_ptr_nonnull(b);
    for (int i = 0; i < 8; i++) {
        const int n = i & 1 ? SENTENCES : 1;
        const tg_decoding_config config = { .max_length = 12, .unscored = i & 2 };
        tg_translation best[SENTENCES];
        const char *const *from = n == 1 ? (const char *const[]){ "a b" } : sentence;
        b[5] = wrong[i / 4];
        ck_assert_int_eq(tg_translator_search(&tr, n, from, &config, best), TG_ERR_NUMBER);
        ck_assert_msg(strstr(tg_context_message(w.cx), "is not finite for token 5"), "%s",
                      tg_context_message(w.cx));
    }
    world_free(&w);
}
END_TEST

START_TEST(tied_source_embedding_takes_one_vocabulary)
{
    world w = world_new(5, TG_WORDS, 7);
    tg_translator tr;
    const tg_encoder_decoder_config config = { .attention = TG_ATTENTION_ADDITIVE, .tying = TG_TIE_ALL };
    ck_assert_int_eq(tg_vocabulary_size(w.source), tg_vocabulary_size(w.target));
    ck_assert_int_eq(tg_translator_new(w.cx, w.source, w.target, &config, &tr), TG_ERR_ARGUMENT);
    ck_assert_msg(strstr(tg_context_message(w.cx), "one vocabulary for both sides") != NULL, "%s",
                  tg_context_message(w.cx));
    ck_assert_int_eq(tg_translator_new(w.cx, w.source, w.source, &config, &tr), TG_OK);
    world_free(&w);
}
END_TEST

START_TEST(archive_from_before_attention_is_a_model_without)
{
    static const char *const later[] = { "model/attention", "model/bidirectional", "model/input_feeding",
                                         "model/coverage",  "model/readout",       "model/tying" };
    world w = world_new(5, TG_WORDS, 7);
    tg_translator tr = babbler(&w, TG_GRU_RESET_AFTER, 2), got;
    tg_archive *a = put(&tr, w.cx);
    for (size_t i = 0; i < sizeof later / sizeof *later; i++) {
        ck_assert_msg(tg_archive_has(a, later[i]), "a new archive has no %s", later[i]);
        tg_archive *b = changed(w.cx, a, &(change){ .path = later[i] });
        tg_archive_free(a);
        a = b;
    }
    ck_assert_msg(tg_translator_get(w.cx, a, &got) == TG_OK, "%s", tg_context_message(w.cx));
    assert_same_config(&got.config, &tr.config);
    ck_assert_int_eq(got.config.attention, TG_ATTENTION_NONE);
    ck_assert_int_eq(got.config.readout, TG_NO_READOUT);
    ck_assert_int_eq(tg_params_count(got.params), tg_params_count(tr.params));
    tg_archive_free(a);
    world_free(&w);
}
END_TEST

START_TEST(wrong_settings_of_attention_in_an_archive_fail_with_a_sentence)
{
    static const change wrong[] = {
        { "model/attention", 't', .text = "hard", .says = "'hard', which this version does not know" },
        { "model/attention", 'i', 1 },
        { "model/attention", 't', .text = "none", .says = "coverage belongs to attention" },
        { "model/attention", 't', .text = "dot", .says = "takes an even hidden size" },
        { "model/tying", 0 },
        { "model/tying", 't', .text = "source", .says = "'source', which" },
        { "model/bidirectional", 0 },
        { "model/bidirectional", 'i', 2, .says = "is 2, must be 0 or 1" },
        { "model/input_feeding", 0 },
        { "model/input_feeding", 'i', -1, .says = "is -1, must be 0 or 1" },
        { "model/input_feeding", 'i', 1, .says = "input feeding belongs to dot and general" },
        { "model/coverage", 0 },
        { "model/coverage", 'n', .number = 1 },
        { "model/readout", 0 },
        { "model/readout", 'i', -1, .says = "is -1" },
        { "model/readout", 'i', 0, .says = "size of the embedding" },
        { "model/readout", 'i', (int64_t)1 << 40, .says = "1099511627776" },
        { "model/readout", 'i', 1 << 20, .says = "1048576" },
    };
    world w = world_new(5, TG_WORDS, 7);
    const tg_encoder_decoder_config config = { .embed = 6,
                                               .hidden = 7,
                                               .attention = TG_ATTENTION_ADDITIVE,
                                               .bidirectional = true,
                                               .coverage = true,
                                               .tying = TG_TIE_TARGET };
    tg_translator tr = babbler_of(&w, &config), untouched = { 0 };
    tg_archive *a = put(&tr, w.cx);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        tg_archive *b = changed(w.cx, a, &wrong[i]);
        const tg_status s = tg_translator_get(w.cx, b, &untouched);
        const char *message = tg_context_message(w.cx);
        ck_assert_msg(s == (wrong[i].kind ? TG_ERR_FORMAT : TG_ERR_ABSENT), "%s: status %d: %s",
                      wrong[i].path, s, message);
        ck_assert_msg(strstr(message, wrong[i].says ? wrong[i].says : wrong[i].path) != NULL, "%s: '%s'",
                      wrong[i].path, message);
        ck_assert(tg_context_ok(w.cx));
        ck_assert_ptr_null(untouched.model);
        tg_archive_free(b);
    }
    ck_assert_int_eq(tg_translator_get(w.cx, a, &untouched), TG_OK);
    assert_same_config(&untouched.config, &tr.config);
    tg_archive_free(a);
    world_free(&w);
}
END_TEST

/* ---- memory ---- */

static int blocks;
#if defined(TG_DEBUG_ARENA) && TG_DEBUG_ARENA
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

START_TEST(decoding_of_any_kind_allocates_nothing_however_long_the_output)
{
    const int source[] = { 4, 5, 6, TG_END };
    for (int k = 0; k < KINDS; k++) {
        tg_encoder_decoder_config c = kinds[k];
        c.source_vocabulary = c.target_vocabulary = V, c.embed = 6, c.hidden = 8;
        small_model s = small_model_of(tg_context_new(&(tg_context_config){
                                           .seed = 1, .allocate = count_block, .release = release_block }),
                                       c);
        int out[100];
        ck_assert_int_eq(tg_params_set(s.ps, "output/b", (tg_real[V]){ [7] = 90 }, V),
                         TG_OK);    /* nothing ends */
        for (int i = 0; i < 2; i++) /* the tapes grow, and then settle */
            ck_assert_int_eq(tg_encoder_decoder_greedy(s.m, s.t, 4, 1, source, NULL, 2, out, NULL), TG_OK);
        const int before = blocks;
        const size_t bytes = tg_tape_bytes(s.t);
        for (int i = 0; i < 2; i++)
            ck_assert_int_eq(tg_encoder_decoder_greedy(s.m, s.t, 4, 1, source, NULL, 100, out, NULL), TG_OK);
        ck_assert_int_ne(out[99], TG_PAD); /* not always 7: the states of ReLU cells grow */
        ck_assert_msg(piece_is_block || blocks == before, "kind %d: %d blocks, then %d", k, before, blocks);
        ck_assert_uint_eq(tg_tape_bytes(s.t), bytes);
        tg_context_free(s.cx);
    }
}
END_TEST

/* ---- the words met so far ---- */

/* More than are kept, in steps of new ones alone. */
enum { MANY_WORDS = 4600, STEP_ROWS = 460, STEPS_OF_NEW_WORDS = MANY_WORDS / STEP_ROWS };

/* One logit of each row, after the words first, first + 1, ...: each row has one word. */
static void first_logits(small_model *s, decoder_weights *w, int first, tg_real own[STEP_ROWS])
{
    const int source[] = { 5, 7, TG_END }, lengths[] = { 3 };
    int from[STEP_ROWS] = { 0 }, word[STEP_ROWS];
    const tg_real *logits;
    for (int r = 0; r < STEP_ROWS; r++) word[r] = first + r;
    decoder *d = tg__decoder_begin(w, s->t, 3, 1, source, lengths, STEP_ROWS);
    ck_assert(d && !tg__decoder_step(d, STEP_ROWS, from, word, &logits, NULL));
    for (int r = 0; r < STEP_ROWS; r++)
        own[r] = logits[(size_t)r * MANY_WORDS + (size_t)(17 * r % MANY_WORDS)];
}

/* From the first word on and from the last one on: other words find no room to be kept. */
START_TEST(a_step_is_the_same_for_words_met_before_and_for_more_words_than_are_kept)
{
    static tg_real up[STEPS_OF_NEW_WORDS][STEP_ROWS], again[STEP_ROWS];
    small_model s = small_model_of(tg_context_new(&(tg_context_config){ .seed = 31, .threads = 2 }),
                                   (tg_encoder_decoder_config){ .source_vocabulary = 11,
                                                                .target_vocabulary = MANY_WORDS,
                                                                .embed = 5,
                                                                .hidden = 7,
                                                                .attention = TG_ATTENTION_ADDITIVE });
    decoder_weights *w = tg__decoder_pack(s.m, 0);
    for (int k = 0; k < 2 * STEPS_OF_NEW_WORDS; k++) {
        const int step = k % STEPS_OF_NEW_WORDS;
        first_logits(&s, w, STEP_ROWS * step, k == step ? up[step] : again);
        ck_assert(k == step || !memcmp(up[step], again, sizeof again));
        ck_assert(!step || memcmp(up[0], up[step], sizeof again));
    }
    w = tg__decoder_pack(s.m, 0);
    for (int step = STEPS_OF_NEW_WORDS - 1; step >= 0; step--) {
        first_logits(&s, w, STEP_ROWS * step, again);
        ck_assert(!memcmp(up[step], again, sizeof again));
    }
    tg_context_free(s.cx);
}
END_TEST

TG_TEST_MAIN("models/attention", greedy_steps_give_the_log_probabilities_of_the_sequence,
             company_in_a_batch_changes_no_output_of_any_kind,
             padded_batch_of_any_kind_equals_unpadded_single_rows,
             loss_without_padding_is_the_loss_of_all_logits, dropout_acts_on_the_memory_and_in_training_alone,
             contradictory_settings_fail_with_a_sentence, tyings_have_names,
             tied_weights_are_no_parameters_of_their_own_and_learn_from_both_sides,
             checkpoint_keeps_every_setting_and_translates_alike,
             results_without_scores_are_those_with_scores,
             numbers_that_are_not_finite_are_refused_with_and_without_scores,
             tied_source_embedding_takes_one_vocabulary, archive_from_before_attention_is_a_model_without,
             wrong_settings_of_attention_in_an_archive_fail_with_a_sentence,
             decoding_of_any_kind_allocates_nothing_however_long_the_output,
             a_step_is_the_same_for_words_met_before_and_for_more_words_than_are_kept)
