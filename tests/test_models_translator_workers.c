/* tests/test_models_translator_workers.c -- many sentences, batches of which different workers search. */
#include "models/encoder_decoder.h"
#include "models_world.h"
#include "workers.h"

enum { MANY = 18 * SENTENCES, NBEST = 2, MOST_WORKERS = 5 };

/* A translator of its own context, over the parameters of another. */
static tg_translator translator_of(tg_context *cx, const tg_translator *shared, const tg_archive *a)
{
    tg_translator tr = { .params = tg_params_share(cx, shared->params), .config = shared->config };
    tr.model = tg_encoder_decoder_new(tr.params, &tr.config);
    ck_assert_int_eq(tg_vocabulary_get(cx, a, "vocabulary/source", &tr.source), TG_OK);
    ck_assert_int_eq(tg_vocabulary_get(cx, a, "vocabulary/target", &tr.target), TG_OK);
    return tr;
}

static void repeat(const char *const sentence[SENTENCES], const char *many[MANY])
{
    for (int i = 0; i < MANY; i++) many[i] = sentence[i % SENTENCES];
}

static void check_same(int n, const tg_translation x[], const tg_translation y[])
{
    for (int i = 0; i < n; i++) {
        ck_assert((x[i].text != NULL) == (y[i].text != NULL));
        if (!x[i].text) continue;
        ck_assert_str_eq(x[i].text, y[i].text);
        ck_assert(x[i].score == y[i].score && x[i].log_probability == y[i].log_probability);
        ck_assert_int_eq(x[i].S * x[i].T, y[i].S * y[i].T);
        if (x[i].attention)
            ck_assert(!memcmp(x[i].attention, y[i].attention, sizeof(tg_real) * (size_t)(x[i].S * x[i].T)));
    }
}

static void free_translations(int n, tg_translation x[])
{
    for (int i = 0; i < n; i++) tg_translation_free(&x[i]);
}

static void check_any_number_of_workers(const tg_encoder_decoder_config *model, const tg_decoding_config *how)
{
    static tg_translation first[NBEST * MANY], now[NBEST * MANY];
    world w = world_new(8, TG_WORDS, 7);
    tg_translator shared = babbler_of(&w, model);
    tg_archive *a = put(&shared, w.cx);
    char text[SENTENCES][MOST_TEXT];
    const char *sentence[SENTENCES], *many[MANY];
    const int n = MANY * (how->nbest ? how->nbest : 1);
    invent(w.cx, text, sentence);
    repeat(sentence, many);
    for (int workers = 1; workers <= MOST_WORKERS; workers += workers < 3 ? 1 : 2) {
        tg_context *cx = context_of_workers(workers, 4);
        tg_translator tr = translator_of(cx, &shared, a);
        tg_translation *out = workers == 1 ? first : now;
        ck_assert_int_eq(tg_translator_search(&tr, MANY, many, how, out), TG_OK);
        ck_assert_int_eq(tr.model->workers, workers == 1 || workers == MOST_WORKERS ? 0 : workers);
        for (int again = 0; again < 2 && workers > 1; again++) {
            check_same(n, first, now);
            free_translations(n, now);
            ck_assert_int_eq(tg_translator_search(&tr, MANY, many, how, now), TG_OK);
        }
        if (workers > 1) free_translations(n, now);
        tg_context_free(cx);
    }
    free_translations(n, first);
    tg_archive_free(a);
    world_free(&w);
}

START_TEST(translations_are_the_same_for_any_number_of_workers)
{
    const tg_encoder_decoder_config plain = { .embed = 8, .hidden = 16, .layers = 2 },
                                    attending = { .embed = 8,
                                                  .hidden = 16,
                                                  .cell = TG_GRU_RESET_AFTER,
                                                  .attention = TG_ATTENTION_ADDITIVE },
                                    feeding = { .embed = 8,
                                                .hidden = 16,
                                                .attention = TG_ATTENTION_GENERAL,
                                                .input_feeding = true,
                                                .tying = TG_TIE_TARGET };
    const tg_decoding_config words = { .unscored = true }, scored = { 0 },
                             beam = { .beam = 3, .nbest = NBEST };
    check_any_number_of_workers(&plain, &words);
    check_any_number_of_workers(&attending, &words);
    check_any_number_of_workers(&attending, &scored);
    check_any_number_of_workers(&feeding, &words);
    check_any_number_of_workers(&feeding, &beam);
}
END_TEST

/* That the message names, by its place in the input. */
static int words_of_sentence(const char *const many[MANY], const char *message)
{
    int i, words = 1;
    ck_assert_int_eq(sscanf(message, "tg_translator_search: sentence %d,", &i), 1);
    ck_assert(i > 0 && i < MANY);
    for (const char *p = many[i]; *p; p++) words += *p == ' ';
    return words;
}

/* The same sentence about it, and nothing of it is left when the numbers are finite again. */
START_TEST(what_goes_wrong_with_a_worker_is_told_and_forgotten)
{
    world w = world_new(8, TG_WORDS, 7);
    tg_translator shared = babbler(&w, TG_GRU, 1);
    tg_archive *a = put(&shared, w.cx);
    char text[SENTENCES][MOST_TEXT], message[512] = "", *out[MANY];
    const char *sentence[SENTENCES], *many[MANY];
    const int V = shared.config.target_vocabulary;
    const size_t size = (size_t)(shared.config.hidden * V);
    tg_real good[16 * 16], bad[16 * 16];
    for (size_t i = 0; i < size; i++) bad[i] = (tg_real)3e38;
    invent(w.cx, text, sentence);
    repeat(sentence, many);
    for (int workers = 1; workers <= 3; workers++) {
        tg_context *cx = context_of_workers(workers, 4);
        tg_translator tr = translator_of(cx, &shared, a);
        ck_assert_int_eq(tg_translator_translate(&tr, MANY, many, 0, out), TG_OK);
        free_all(MANY, out);
        ck_assert_int_eq(tg_params_get(shared.params, "output/W", good, size), TG_OK);
        ck_assert_int_eq(tg_params_set(shared.params, "output/W", bad, size), TG_OK);
        for (int again = 0; again < 2; again++) {
            ck_assert_int_eq(tg_translator_translate(&tr, MANY, many, 0, out), TG_ERR_NUMBER);
            ck_assert(tg_context_ok(cx));
            ck_assert_ptr_nonnull(strstr(tg_context_message(cx), "tg_translator_search: sentence "));
            if (!*message) strcpy(message, tg_context_message(cx));
            ck_assert_int_ge(words_of_sentence(many, message), 6); /* long ones come first */
            ck_assert_str_eq(tg_context_message(cx), message);
            for (int i = 0; i < MANY; i++) ck_assert_ptr_null(out[i]);
        }
        ck_assert_int_eq(tg_params_set(shared.params, "output/W", good, size), TG_OK);
        ck_assert_int_eq(tg_translator_translate(&tr, MANY, many, 0, out), TG_OK);
        free_all(MANY, out);
        tg_context_free(cx);
    }
    tg_archive_free(a);
    world_free(&w);
}
END_TEST

/* ---- memory that cannot be had ---- */

static struct {
    int taken, fail_at; /* the fail_at-th allocation from now fails */
    int live, inside, together;
    bool slow;
} memory;

static void *meagre_allocate(void *user, size_t bytes)
{
    (void)user;
    memory.together += memory.inside++;
    const bool fails = ++memory.taken == memory.fail_at;
    if (memory.slow) usleep(200); /* time for somebody else */
    void *block = fails ? NULL : malloc(bytes);
    memory.live += block != NULL;
    memory.inside--;
    return block;
}
static void meagre_release(void *user, void *block)
{
    (void)user;
    memory.together += memory.inside++;
    memory.live -= block != NULL;
    free(block);
    memory.inside--;
}

/* Which allocations fail: all, one after the other. With debug_arena each of some 1300 tensors is an allocation of its own. */
#ifdef TG_DEBUG_ARENA
enum { STEP = 13 };
#else
enum { STEP = 1 };
#endif

START_TEST(workers_that_get_no_memory_lose_nothing_and_ask_one_at_a_time)
{
    world w = world_new(8, TG_WORDS, 7);
    tg_translator shared = babbler(&w, TG_GRU, 1);
    tg_archive *a = put(&shared, w.cx);
    char text[SENTENCES][MOST_TEXT];
    const char *sentence[SENTENCES], *many[MANY];
    int failures = 0;
    invent(w.cx, text, sentence);
    repeat(sentence, many);
    memory.taken = 0;
    for (int k = 1; memory.taken >= k - STEP; k += STEP) {
        char *out[MANY] = { NULL };
        memory.taken = memory.live = 0, memory.fail_at = k, memory.slow = k % 10 == 0;
        tg__team_cores_override = 3;
        tg_context *cx = tg_context_new(&(tg_context_config){
            .seed = 2, .threads = 3, .allocate = meagre_allocate, .release = meagre_release });
        tg__team_cores_override = 0;
        tg_translator tr = { 0 };
        tg_status s = tg_translator_get(cx, a, &tr);
        if (!s) s = tg_translator_translate(&tr, MANY, many, 3, out);
        ck_assert_msg(s == TG_OK || s == TG_ERR_MEMORY, "allocation %d: status %d", k, s);
        for (int i = 0; i < MANY; i++) ck_assert((out[i] != NULL) == (s == TG_OK));
        if (s && tg_context_ok(cx) && tr.model) { /* now there is enough */
            ck_assert_ptr_nonnull(strstr(tg_context_message(cx), "out of memory"));
            ck_assert_int_eq(tg_translator_translate(&tr, MANY, many, 3, out), TG_OK);
        }
        tg_context_free(cx);
        ck_assert_msg(memory.live == 0, "allocation %d (status %d): %d blocks are lost", k, s, memory.live);
        free_all(MANY, out);
        failures += s != TG_OK;
        ck_assert_int_lt(k, 1000 * STEP);
    }
    ck_assert_int_gt(failures, 10);
    ck_assert_int_eq(memory.together, 0);
    tg_archive_free(a);
    world_free(&w);
}
END_TEST

TG_TEST_MAIN("models/translator_workers", translations_are_the_same_for_any_number_of_workers,
             what_goes_wrong_with_a_worker_is_told_and_forgotten,
             workers_that_get_no_memory_lose_nothing_and_ask_one_at_a_time)
