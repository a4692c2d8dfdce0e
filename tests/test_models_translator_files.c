/* tests/test_models_translator_files.c -- translators in archives and checkpoints, and what is wrong there. */
#include "models_world.h"

START_TEST(saved_and_opened_translator_gives_the_same_translations)
{
    world w = world_new(5, TG_WORDS, 7);
    tg_translator tr = babbler(&w, TG_GRU_RESET_AFTER, 2), opened;
    char text[SENTENCES][MOST_TEXT], *out[SENTENCES], *again[SENTENCES];
    const char *sentence[SENTENCES];
    invent(w.cx, text, sentence);
    tg_archive *a = put(&tr, w.cx);
    const tg_status saved =
        tg_checkpoint_save(w.file, &(tg_checkpoint){ .params = tr.params, .also = a, .task = "translate" });
    ck_assert_msg(saved == TG_OK, "%s", tg_context_message(w.cx));
    tg_archive_free(a);

    tg_context *cx = tg_context_new(&(tg_context_config){ .seed = 99 });
    ck_assert_msg(tg_translator_open(cx, w.file, &opened) == TG_OK, "%s", tg_context_message(cx));
    ck_assert_int_eq(opened.config.cell, TG_GRU_RESET_AFTER);
    ck_assert_int_eq(opened.config.layers, 2);
    ck_assert_int_eq(tg_vocabulary_size(opened.source), tg_vocabulary_size(w.source));
    ck_assert_int_eq(tg_translator_translate(&tr, SENTENCES, sentence, 0, out), TG_OK);
    ck_assert_int_eq(tg_translator_translate(&opened, SENTENCES, sentence, 0, again), TG_OK);
    for (int i = 0; i < SENTENCES; i++) ck_assert_str_eq(out[i], again[i]);
    free_all(SENTENCES, out);
    free_all(SENTENCES, again);
    tg_context_free(cx);
    world_free(&w);
}
END_TEST

START_TEST(opening_what_is_no_translator_says_so_with_the_path)
{
    world w = world_new(5, TG_WORDS, 7);
    tg_translator tr = babbler(&w, TG_GRU, 1), untouched = { 0 };
    ck_assert_int_eq(tg_translator_open(w.cx, w.file, &untouched), TG_ERR_ABSENT);
    ck_assert_msg(strstr(tg_context_message(w.cx), "model.h5") != NULL, "%s", tg_context_message(w.cx));

    /* a checkpoint of something else */
    ck_assert_int_eq(tg_checkpoint_save(w.file, &(tg_checkpoint){ .params = tr.params }), TG_OK);
    ck_assert_int_eq(tg_translator_open(w.cx, w.file, &untouched), TG_ERR_ABSENT);
    ck_assert_msg(strstr(tg_context_message(w.cx), "model.h5") &&
                      strstr(tg_context_message(w.cx), "model/kind"),
                  "%s", tg_context_message(w.cx));

    /* a translator's configuration with the parameters of another */
    world v = world_new(6, TG_WORDS, 7);
    tg_translator other = babbler(&v, TG_GRU, 2);
    tg_archive *a = put(&tr, w.cx);
    ck_assert_int_eq(tg_checkpoint_save(w.file, &(tg_checkpoint){ .params = other.params, .also = a }),
                     TG_OK);
    tg_archive_free(a);
    ck_assert_int_ne(tg_translator_open(w.cx, w.file, &untouched), TG_OK);
    ck_assert_msg(strstr(tg_context_message(w.cx), "model.h5") != NULL, "%s", tg_context_message(w.cx));
    ck_assert_ptr_null(untouched.model);
    ck_assert(tg_context_ok(w.cx));
    world_free(&v);
    world_free(&w);
}
END_TEST

START_TEST(wrong_configuration_in_a_file_fails_with_a_sentence_and_changes_nothing)
{
    static const change wrong[] = {
        { "model/kind", 0 },
        { "model/kind", 't', .text = "classifier", .says = "classifier" },
        { "model/kind", 'i', 1 },
        { "model/cell", 0 },
        { "model/cell", 't', .text = "sru", .says = "'sru'" },
        { "model/embed", 0 },
        { "model/embed", 'i', 0, .says = "is 0" },
        { "model/hidden", 0 },
        { "model/hidden", 'i', -3, .says = "is -3" },
        { "model/hidden", 'i', (int64_t)1 << 40, .says = "1099511627776" },
        { "model/hidden", 'i', 1 << 20, .says = "1048576" },
        { "model/layers", 0 },
        { "model/layers", 'i', 1000, .says = "1000" },
        { "model/layers", 'n', .number = 1.5 },
        { "model/dropout", 0 },
        { "model/dropout", 'n', .number = 1.5, .says = "1.5" },
        { "model/dropout", 'n', .number = NAN, .says = "nan" },
        { "model/source_vocabulary", 0 },
        { "model/source_vocabulary", 'i', 7, .says = "is 7, but vocabulary/source has 9 tokens" },
        { "model/target_vocabulary", 0 },
        { "model/target_vocabulary", 'i', 90, .says = "is 90, but vocabulary/target has 9 tokens" },
        { "vocabulary/source", 0 },
        { "vocabulary/source_tokenizer", 0 },
        { "vocabulary/target", 0 },
        { "vocabulary/target_tokenizer", 't', .text = "syllables", .says = "syllables" },
        { "vocabulary/source_tokenizer_version", 'i', 9, .says = "is 9" },
        { "vocabulary/source_tokenizer_lowercase", 0 },
    };
    world w = world_new(5, TG_WORDS, 7);
    tg_translator tr = babbler(&w, TG_GRU, 1), untouched = { 0 };
    tg_archive *a = put(&tr, w.cx);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        tg_archive *b = changed(w.cx, a, &wrong[i]);
        const tg_status s = tg_translator_get(w.cx, b, &untouched);
        const char *message = tg_context_message(w.cx), *last = strrchr(wrong[i].path, '/') + 1;
        ck_assert_msg(wrong[i].kind ? s == TG_ERR_FORMAT : s == TG_ERR_ABSENT, "%s: status %d: %s",
                      wrong[i].path, s, message);
        ck_assert_msg(strstr(message, last) != NULL, "%s: '%s'", wrong[i].path, message);
        ck_assert_msg(!wrong[i].says || strstr(message, wrong[i].says), "%s: '%s'", wrong[i].path, message);
        ck_assert(tg_context_ok(w.cx));
        ck_assert_ptr_null(untouched.model);
        tg_archive_free(b);
    }
    ck_assert_int_eq(tg_translator_get(w.cx, a, &untouched), TG_OK);
    tg_archive_free(a);
    world_free(&w);
}
END_TEST

/* An allocator that counts what it was asked for. */
static size_t asked_for;
static void *counting_allocate(void *user, size_t bytes)
{
    (void)user;
    asked_for += bytes;
    return malloc(bytes);
}
static void counting_release(void *user, void *block)
{
    (void)user;
    free(block);
}

START_TEST(a_file_that_declares_a_huge_model_is_refused_before_anything_is_allocated_for_it)
{
    static const change huge[] = { { "model/hidden", 'i', 20000 },
                                   { "model/embed", 'i', 60000 },
                                   { "model/readout", 'i', 60000 },
                                   { "model/layers", 'i', 32 } };
    world w = world_new(5, TG_WORDS, 7);
    tg_translator tr = babbler(&w, TG_GRU, 1), untouched = { 0 };
    tg_archive *a = put(&tr, w.cx);
    for (size_t i = 0; i < sizeof huge / sizeof *huge; i++) {
        tg_archive *b = changed(w.cx, a, &huge[i]);
        ck_assert_int_eq(tg_checkpoint_save(w.file, &(tg_checkpoint){ .params = tr.params, .also = b }),
                         TG_OK);
        tg_archive_free(b);
        tg_context *cx = tg_context_new(
            &(tg_context_config){ .allocate = counting_allocate, .release = counting_release });
        asked_for = 0;
        const tg_status s = tg_translator_open(cx, w.file, &untouched);
        ck_assert_msg(s == TG_ERR_SHAPE || s == TG_ERR_FORMAT, "%s: %d: %s", huge[i].path, s,
                      tg_context_message(cx));
        ck_assert_msg(strstr(tg_context_message(cx), "parameters/"), "%s", tg_context_message(cx));
        ck_assert_msg(asked_for < 4 << 20, "%s: %zu bytes", huge[i].path, asked_for);
        ck_assert(!untouched.model && tg_context_ok(cx));
        /* by whoever goes on with the run, too: before an optimizer has moments of that size */
        tg_archive *read;
        ck_assert_int_eq(tg_checkpoint_read(cx, w.file, &read), TG_OK);
        ck_assert_int_eq(tg_translator_get(cx, read, &untouched), s);
        tg_archive_free(read);
        ck_assert_msg(asked_for < 8 << 20, "%s: %zu bytes", huge[i].path, asked_for);
        tg_context_free(cx);
    }
    tg_archive_free(a);
    world_free(&w);
}
END_TEST

START_TEST(one_vocabulary_for_both_sides_is_one_when_read_again)
{
    world w = world_new(5, TG_WORDS, 7);
    tg_translator tr, back = { 0 };
    w.target = w.source;
    tr = babbler(&w, TG_GRU, 1);
    tg_archive *a = put(&tr, w.cx);
    ck_assert(!tg_archive_has(a, "vocabulary/target"));
    ck_assert_msg(tg_translator_get(w.cx, a, &back) == TG_OK, "%s", tg_context_message(w.cx));
    ck_assert(back.source == back.target);
    ck_assert_int_eq(tg_vocabulary_size(back.source), tg_vocabulary_size(w.source));
    const change wrong[] = { { "vocabulary/joint", 0 },
                             { "vocabulary/joint", 'i', 2, .says = "is 2, must be 0 or 1" },
                             { "vocabulary/joint", 't', .text = "yes" },
                             { "model/target_vocabulary", 'i', 90, .says = "is 90, but vocabulary/joint" } };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        tg_archive *b = changed(w.cx, a, &wrong[i]);
        const tg_status s = tg_translator_get(w.cx, b, &back);
        ck_assert_int_eq(s, wrong[i].kind ? TG_ERR_FORMAT : TG_ERR_ABSENT);
        ck_assert(!wrong[i].says || strstr(tg_context_message(w.cx), wrong[i].says));
        tg_archive_free(b);
    }
    tg_archive_free(a);
    world_free(&w);
}
END_TEST

START_TEST(translator_of_wrong_settings_or_vocabularies_poisons_nothing)
{
    world w = world_new(5, TG_WORDS, 7);
    tg_translator untouched = { 0 };
    tg_vocabulary *raw = tg_vocabulary_new(w.cx, NULL);
    ck_assert_int_eq(tg_translator_new(w.cx, raw, w.target, NULL, &untouched), TG_ERR_STATE);
    ck_assert_ptr_nonnull(strstr(tg_context_message(w.cx), "source vocabulary is not frozen"));
    ck_assert_int_eq(tg_translator_new(w.cx, w.source, NULL, NULL, &untouched), TG_ERR_ARGUMENT);
    const tg_encoder_decoder_config config = { .hidden = -5 };
    ck_assert_int_eq(tg_translator_new(w.cx, w.source, w.target, &config, &untouched), TG_ERR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(tg_context_message(w.cx), "hidden is -5"));
    ck_assert_ptr_null(untouched.model);
    ck_assert(tg_context_ok(w.cx));
    ck_assert_int_eq(tg_translator_new(w.cx, w.source, w.target, NULL, &untouched), TG_OK);
    ck_assert_int_eq(untouched.config.hidden, 256); /* the default is what a file will say */
    world_free(&w);
}
END_TEST

TG_TEST_MAIN("models/translator_files", saved_and_opened_translator_gives_the_same_translations,
             opening_what_is_no_translator_says_so_with_the_path,
             wrong_configuration_in_a_file_fails_with_a_sentence_and_changes_nothing,
             a_file_that_declares_a_huge_model_is_refused_before_anything_is_allocated_for_it,
             one_vocabulary_for_both_sides_is_one_when_read_again,
             translator_of_wrong_settings_or_vocabularies_poisons_nothing)
