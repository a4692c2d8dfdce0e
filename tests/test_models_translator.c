/* tests/test_models_translator.c -- sentences in, sentences out: batches against single sentences, bad
 * input, threads, scarce memory, and that the whole learns. */
#include <pthread.h>

#include "models_world.h"

/* ---- batches, single sentences ---- */

static void check_one_by_one(tg_tokenizer_kind tokenizer, tg_cell cell, int layers)
{
    world w = world_new(11, tokenizer, 7);
    tg_translator tr = babbler(&w, cell, layers);
    char text[SENTENCES][MOST_TEXT], *together[SENTENCES];
    const char *sentence[SENTENCES];
    size_t bytes = 0;
    invent(w.cx, text, sentence);
    ck_assert_int_eq(tg_translator_translate(&tr, SENTENCES, sentence, 0, together), TG_OK);
    for (int i = 0; i < SENTENCES; i++) {
        char *single;
        ck_assert_int_eq(tg_translator_translate(&tr, 1, &sentence[i], 0, &single), TG_OK);
        ck_assert_str_eq(single, together[i]);
        if (!*sentence[i]) ck_assert_str_eq(single, "");
        bytes += strlen(single);
        free(single);
    }
    ck_assert_uint_gt(bytes, SENTENCES); /* it did say something */
    free_all(SENTENCES, together);
    world_free(&w);
}

START_TEST(translating_one_by_one_gives_the_text_of_translating_in_batches)
{
    check_one_by_one(TG_WORDS, TG_GRU, 1);
    check_one_by_one(TG_WORDS, TG_GRU_RESET_AFTER, 2);
    check_one_by_one(TG_CHARACTERS, TG_GRU, 2);
}
END_TEST

START_TEST(more_sentences_than_a_batch_holds_keep_their_order)
{
    enum { MANY = 3 * SENTENCES };
    world w = world_new(3, TG_WORDS, 7);
    tg_translator tr = babbler(&w, TG_GRU, 1);
    char text[SENTENCES][MOST_TEXT], *all[MANY], *once[SENTENCES];
    const char *sentence[SENTENCES], *repeated[MANY];
    invent(w.cx, text, sentence);
    for (int i = 0; i < MANY; i++) repeated[i] = sentence[i % SENTENCES];
    ck_assert_int_eq(tg_translator_translate(&tr, SENTENCES, sentence, 0, once), TG_OK);
    ck_assert_int_eq(tg_translator_translate(&tr, MANY, repeated, 0, all), TG_OK);
    for (int i = 0; i < MANY; i++) ck_assert_str_eq(all[i], once[i % SENTENCES]);
    free_all(MANY, all);
    free_all(SENTENCES, once);
    ck_assert_int_eq(tg_translator_translate(&tr, 0, NULL, 0, NULL), TG_OK);
    world_free(&w);
}
END_TEST

static int words_in(const char *text)
{
    int n = *text != 0;
    for (; *text; text++) n += *text == ' ';
    return n;
}

START_TEST(outputs_are_at_most_as_long_as_asked)
{
    world w = world_new(3, TG_WORDS, 7);
    tg_translator tr = babbler(&w, TG_GRU, 1);
    const int V = tr.config.target_vocabulary;
    tg_real b[16] = { 0 };
    const char *sentence[] = { "a", "a b c" };
    char *out[2];
    b[V - 1] = 50; /* the last word, for ever */
    ck_assert_int_eq(tg_params_set(tr.params, "output/b", b, (size_t)V), TG_OK);
    ck_assert_int_eq(tg_translator_translate(&tr, 2, sentence, 0, out), TG_OK);
    ck_assert_int_eq(words_in(out[0]), 2 * 1 + 10);
    ck_assert_int_eq(words_in(out[1]), 2 * 3 + 10);
    free_all(2, out);
    ck_assert_int_eq(tg_translator_translate(&tr, 2, sentence, 4, out), TG_OK);
    ck_assert_int_eq(words_in(out[0]), 4);
    ck_assert_int_eq(words_in(out[1]), 4);
    free_all(2, out);
    world_free(&w);
}
END_TEST

START_TEST(empty_sentence_gives_an_empty_translation)
{
    world w = world_new(3, TG_CHARACTERS, 7);
    tg_translator tr = babbler(&w, TG_GRU, 1);
    const char *sentence[] = { "", "a b", " \t\r\n" };
    char *out[3];
    ck_assert_int_eq(tg_translator_translate(&tr, 3, sentence, 5, out), TG_OK);
    ck_assert_str_eq(out[0], "");
    ck_assert_str_eq(out[2], "");
    ck_assert_str_ne(out[1], "");
    free_all(3, out);
    world_free(&w);
}
END_TEST

START_TEST(white_space_around_a_sentence_changes_nothing)
{
    for (int k = 0; k < 2; k++) {
        world w = world_new(3, k ? TG_CHARACTERS : TG_WORDS, 7);
        tg_translator tr = babbler(&w, TG_GRU, 1);
        const char *sentence[] = { "a b e", " \ta b e\r\n" };
        char *out[2];
        ck_assert_int_eq(tg_translator_translate(&tr, 2, sentence, 9, out), TG_OK);
        ck_assert_str_ne(out[0], "");
        ck_assert_str_eq(out[0], out[1]);
        free_all(2, out);
        world_free(&w);
    }
}
END_TEST

START_TEST(unknown_words_become_unk_and_still_give_output)
{
    world w = world_new(3, TG_WORDS, 7);
    tg_translator tr = babbler(&w, TG_GRU, 1);
    const char *sentence[] = { "zebra", "<unk>", "quagga", "\xc3\xa9t\xc3\xa9 zebra" };
    char *out[4];
    ck_assert_int_eq(tg_translator_translate(&tr, 4, sentence, 9, out), TG_OK);
    ck_assert_str_ne(out[0], "");
    ck_assert_str_eq(out[0], out[2]);
    ck_assert_str_ne(out[3], "");
    free_all(4, out);
    world_free(&w);
}
END_TEST

START_TEST(invalid_utf8_fails_with_the_sentence_and_byte)
{
    world w = world_new(3, TG_WORDS, 7);
    tg_translator tr = babbler(&w, TG_GRU, 1);
    const char *sentence[] = { "a", "b", "a b\xff" }, *missing[] = { "a", NULL };
    char *out[3] = { NULL };
    ck_assert_int_eq(tg_translator_translate(&tr, 3, sentence, 0, out), TG_ERR_DATA);
    ck_assert_ptr_nonnull(strstr(tg_context_message(w.cx), "sentence 2, byte 4"));
    for (int i = 0; i < 3; i++) ck_assert_ptr_null(out[i]);
    ck_assert_int_eq(tg_translator_translate(&tr, 2, missing, 0, out), TG_ERR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(tg_context_message(w.cx), "sentence 1"));
    ck_assert_int_eq(tg_translator_translate(&tr, 2, sentence, -1, out), TG_ERR_ARGUMENT);
    ck_assert(tg_context_ok(w.cx));
    world_free(&w);
}
END_TEST

/* ---- learning, and the loss ---- */

static void train(world *w, tg_translator *tr, tg_batches *data, int epochs)
{
    tg_optimizer *adam = tg_adam_new(tr->params, &(tg_adam_config){ .lr = (tg_real)5e-3 });
    tg_tape *t = tg_tape_new(w->cx);
    for (int64_t e = 0; e < epochs; e++)
        for (int64_t k = 0; k < tg_batches_count(data); k++) {
            tg_pair_batch batch;
            tg_batches_get(data, e, k, &batch);
            tg_tape_begin(t, TG_TRAIN);
            ck_assert_int_eq(tg_tape_backward(t, tg_encoder_decoder_loss(tr->model, t, &batch, 0)), TG_OK);
            tg_params_clip_norm(tr->params, 1);
            ck_assert_int_eq(tg_optimizer_step(adam), TG_OK);
        }
}

START_TEST(learns_to_say_sequences_backwards)
{
    world w = world_new(1, TG_WORDS, 1);
    tg_translator tr;
    const tg_encoder_decoder_config config = { .embed = 16, .hidden = 64 };
    ck_assert_int_eq(tg_translator_new(w.cx, w.source, w.target, &config, &tr), TG_OK);
    tg_batches *data = tg_batches_new(w.cx, w.pairs, w.source, w.target, &(tg_batches_config){ .batch = 32 });
    double before, after;
    ck_assert_int_eq(tg_translator_loss(&tr, data, &before), TG_OK);
    train(&w, &tr, data, 40);
    ck_assert_int_eq(tg_translator_loss(&tr, data, &after), TG_OK);

    const int n = tg_pairs_count(w.pairs);
    const char **sentence = malloc((size_t)n * sizeof *sentence);
    char **out = malloc((size_t)n * sizeof *out);
    int right = 0;
    for (int i = 0; i < n; i++) sentence[i] = tg_pairs_source(w.pairs, i);
    ck_assert_int_eq(tg_translator_translate(&tr, n, sentence, 0, out), TG_OK);
    for (int i = 0; i < n; i++) right += !strcmp(out[i], tg_pairs_target(w.pairs, i));
    ck_assert_double_gt(before, 1.5);
    ck_assert_double_lt(after, 0.05);
    ck_assert_int_eq(right, n);
    free_all(n, out);
    free(out);
    free(sentence);
    world_free(&w);
}
END_TEST

START_TEST(loss_is_a_mean_over_all_tokens_and_the_same_each_time)
{
    world w = world_new(1, TG_WORDS, 3);
    tg_translator tr = babbler(&w, TG_GRU, 2);
    double loss[3], sum = 0, tokens = 0;
    tg_batches *whole = tg_batches_new(w.cx, w.pairs, w.source, w.target,
                                       &(tg_batches_config){ .batch = 16, .in_order = true });
    tg_batches *single =
        tg_batches_new(w.cx, w.pairs, w.source, w.target, &(tg_batches_config){ .batch = 1 });
    ck_assert_int_eq(tg_translator_loss(&tr, whole, &loss[0]), TG_OK);
    ck_assert_int_eq(tg_translator_loss(&tr, whole, &loss[1]), TG_OK);
    ck_assert_int_eq(tg_translator_loss(&tr, single, &loss[2]), TG_OK);
    ck_assert(loss[0] == loss[1]);
    ck_assert_double_eq_tol(loss[0], loss[2], 1e-5 * loss[0]);

    tg_tape *t = tg_tape_new(w.cx);
    for (int64_t k = 0; k < tg_batches_count(whole); k++) {
        tg_pair_batch batch;
        tg_batches_get(whole, 0, k, &batch);
        tg_tape_begin(t, TG_EVAL);
        sum += (double)*tg_encoder_decoder_loss(tr.model, t, &batch, 0)->data * (double)batch.target_tokens;
        tokens += (double)batch.target_tokens;
    }
    ck_assert_double_eq_tol(loss[0], sum / tokens, 1e-5 * loss[0]);
    world_free(&w);
}
END_TEST

/* ---- two threads, one model ---- */

typedef struct reader {
    const tg_translator *shared;
    const tg_archive *a;
    const char *const *sentence;
    char *out[SENTENCES];
    tg_status status;
} reader;

static void *read_on(void *argument)
{
    reader *r = argument;
    tg_context *cx = tg_context_new(&(tg_context_config){ .seed = 4 });
    tg_translator tr = { .params = tg_params_share(cx, r->shared->params), .config = r->shared->config };
    tr.model = tg_encoder_decoder_new(tr.params, &tr.config);
    r->status = tg_vocabulary_get(cx, r->a, "vocabulary/source", &tr.source);
    if (!r->status) r->status = tg_vocabulary_get(cx, r->a, "vocabulary/target", &tr.target);
    for (int i = 0; i < 5 && !r->status; i++) {
        if (i) free_all(SENTENCES, r->out);
        r->status = tg_translator_translate(&tr, SENTENCES, r->sentence, 0, r->out);
    }
    tg_context_free(cx);
    return NULL;
}

START_TEST(two_threads_translate_from_one_model_as_one_does)
{
    world w = world_new(8, TG_WORDS, 7);
    tg_translator tr = babbler(&w, TG_GRU, 2);
    char text[SENTENCES][MOST_TEXT], *out[SENTENCES];
    const char *sentence[SENTENCES];
    tg_archive *a = put(&tr, w.cx);
    pthread_t thread[2];
    reader r[2] = { { &tr, a, sentence, { NULL }, TG_OK }, { &tr, a, sentence, { NULL }, TG_OK } };
    invent(w.cx, text, sentence);
    ck_assert_int_eq(tg_translator_translate(&tr, SENTENCES, sentence, 0, out), TG_OK);
    for (int k = 0; k < 2; k++) ck_assert_int_eq(pthread_create(&thread[k], NULL, read_on, &r[k]), 0);
    for (int k = 0; k < 2; k++) ck_assert_int_eq(pthread_join(thread[k], NULL), 0);
    for (int k = 0; k < 2; k++) {
        ck_assert_int_eq(r[k].status, TG_OK);
        for (int i = 0; i < SENTENCES; i++) ck_assert_str_eq(r[k].out[i], out[i]);
        free_all(SENTENCES, r[k].out);
    }
    free_all(SENTENCES, out);
    tg_archive_free(a);
    world_free(&w);
}
END_TEST

/* ---- memory that cannot be had ---- */

static struct {
    int taken, fail_at; /* the fail_at-th allocation from now fails; 0: none */
    int live;
} memory;

static void *meagre_allocate(void *user, size_t bytes)
{
    (void)user;
    if (memory.fail_at && ++memory.taken == memory.fail_at) return NULL;
    void *block = malloc(bytes);
    memory.live += block != NULL;
    return block;
}
static void meagre_release(void *user, void *block)
{
    (void)user;
    memory.live -= block != NULL;
    free(block);
}

/* A translator with a context of its own, over the vocabularies in the archive. */
static tg_status meagre_translate(const tg_archive *a, const char *const sentence[], char *out[SENTENCES],
                                  tg_status *after)
{
    tg_context *cx = tg_context_new(&(tg_context_config){
        .seed = 2, .threads = 1, .allocate = meagre_allocate, .release = meagre_release });
    tg_translator tr;
    tg_status s = tg_translator_get(cx, a, &tr);
    if (!s) s = tg_translator_translate(&tr, SENTENCES, sentence, 0, out);
    *after = tg_context_status(cx);
    if (s && tg_context_ok(cx)) ck_assert_ptr_nonnull(strstr(tg_context_message(cx), "out of memory"));
    tg_context_free(cx);
    return s;
}

START_TEST(memory_that_cannot_be_had_is_a_status_and_nothing_is_lost)
{
    world w = world_new(8, TG_WORDS, 7);
    tg_translator tr = babbler(&w, TG_GRU, 2);
    char text[SENTENCES][MOST_TEXT];
    const char *sentence[SENTENCES];
    tg_archive *a = put(&tr, w.cx);
    int failures = 0;
    tg_status s = TG_ERR_MEMORY, after;
    invent(w.cx, text, sentence);
    for (int k = 1; s; k++) {
        char *out[SENTENCES] = { NULL };
        memory.taken = memory.live = 0, memory.fail_at = k;
        s = meagre_translate(a, sentence, out, &after);
        ck_assert_msg(s == TG_OK || s == TG_ERR_MEMORY, "allocation %d: status %d", k, s);
        for (int i = 0; i < SENTENCES; i++) ck_assert((out[i] != NULL) == (s == TG_OK));
        if (k > 1) ck_assert_int_eq(after, TG_OK); /* the first is the context itself */
        ck_assert_msg(memory.live == 0, "allocation %d (status %d): %d blocks are lost", k, s, memory.live);
        free_all(SENTENCES, out);
        failures += s != TG_OK;
        ck_assert_int_lt(k, 1000);
    }
    ck_assert_int_gt(failures, 10);
    tg_archive_free(a);
    world_free(&w);
}
END_TEST

TG_TEST_MAIN("models/translator", translating_one_by_one_gives_the_text_of_translating_in_batches,
             more_sentences_than_a_batch_holds_keep_their_order, outputs_are_at_most_as_long_as_asked,
             empty_sentence_gives_an_empty_translation, white_space_around_a_sentence_changes_nothing,
             unknown_words_become_unk_and_still_give_output, invalid_utf8_fails_with_the_sentence_and_byte,
             learns_to_say_sequences_backwards, loss_is_a_mean_over_all_tokens_and_the_same_each_time,
             two_threads_translate_from_one_model_as_one_does,
             memory_that_cannot_be_had_is_a_status_and_nothing_is_lost)
