/* Long sentences: what is promised of them, and memory that is bounded. */
#include <malloc.h>

#include "models_world.h"

static struct {
    size_t now, peak; /* bytes */
} memory;

static void *counted_allocate(void *user, size_t bytes)
{
    (void)user;
    void *block = malloc(bytes);
    memory.now += block ? malloc_usable_size(block) : 0;
    if (memory.now > memory.peak) memory.peak = memory.now;
    return block;
}

static void counted_release(void *user, void *block)
{
    (void)user;
    memory.now -= block ? malloc_usable_size(block) : 0;
    free(block);
}

/* A context that counts, and in it a model with attention over the letters of w. */
static tg_translator counting(world *w, tg_context **counted)
{
    tg_translator plain = babbler_of(
        w, &(tg_encoder_decoder_config){
               .embed = 8, .hidden = 16, .attention = TG_ATTENTION_ADDITIVE, .bidirectional = true });
    tg_archive *a = put(&plain, w->cx);
    tg_context *cx = *counted = tg_context_new(
        &(tg_context_config){ .seed = 2, .allocate = counted_allocate, .release = counted_release });
    tg_translator tr;
    ck_assert_int_eq(tg_translator_get(cx, a, &tr), TG_OK);
    shake(tr.params, cx, 0.8);
    tg_archive_free(a);
    return tr;
}

/* n times the word. */
static char *repeated(const char *word, int n)
{
    const size_t bytes = strlen(word) + 1;
    char *text = malloc(bytes * (size_t)n + 1);
    for (int i = 0; i < n; i++) sprintf(text + bytes * (size_t)i, "%s ", word);
    return text;
}

/* A batch of long sentences that would need more than twice the memory if all were computed together. */
START_TEST(loss_of_long_sentences_takes_bounded_memory)
{
    enum { PAIRS = 60, TOKENS = 540, MOST = 100 << 20 };
    world w = world_new(3, TG_WORDS, 7);
    tg_context *cx;
    tg_translator tr = counting(&w, &cx);
    char path[96], *source = repeated("a b", TOKENS / 2), *target = repeated("b c e", TOKENS / 3);
    snprintf(path, sizeof path, "%s/long.tsv", w.directory);
    FILE *f = fopen(path, "w");
    for (int i = 0; i < PAIRS; i++) fprintf(f, "%s\t%s\n", source, target);
    fprintf(f, "a b\tb a\n");
    fclose(f);
    tg_pairs *pairs;
    ck_assert_int_eq(tg_pairs_read(cx, path, &(tg_pairs_config){ .max_length = TOKENS }, &pairs, NULL),
                     TG_OK);
    unlink(path);
    double loss[2];
    for (int i = 0; i < 2; i++) {
        tg_batches *all =
            tg_batches_new(cx, pairs, tr.source, tr.target,
                           &(tg_batches_config){ .batch = i ? 1 : PAIRS + 1, .in_order = true });
        memory.peak = memory.now;
        ck_assert_int_eq(tg_translator_loss(&tr, all, &loss[i]), TG_OK);
        ck_assert_msg(memory.peak < MOST, "the loss took %zu MiB", memory.peak >> 20);
    }
    ck_assert_double_eq_tol(loss[0], loss[1], 1e-5 * loss[1]);
    free(source);
    free(target);
    tg_context_free(cx);
    world_free(&w);
}
END_TEST

/* A model that says <unk> and </s>, and whose attention for a sentence of that length would be more than a GiB if all
 * results were as long as they may be. */
START_TEST(unknown_words_are_replaced_in_sentences_of_any_length)
{
    enum { LONG = 3000 };
    world w = world_new(3, TG_WORDS, 7);
    tg_context *cx;
    tg_translator tr = counting(&w, &cx);
    const int V = tr.config.target_vocabulary;
    tg_real *b = calloc((size_t)V, sizeof *b);
    char *text = repeated("zz", LONG);
    const char *sentence[] = { text };
    tg_translation best[2];
    b[TG_UNKNOWN] = b[TG_END] = 20;
    ck_assert_int_eq(tg_params_set(tr.params, "output/b", b, (size_t)V), TG_OK);
    const tg_decoding_config config = {
        .beam = 3, .nbest = 2, .max_length = 10 * LONG, .normalization = TG_LENGTH_NONE
    };
    memory.peak = memory.now;
    ck_assert_int_eq(tg_translator_search(&tr, 1, sentence, &config, best), TG_OK);
    ck_assert_msg(memory.peak < 64 << 20, "it took %zu MiB", memory.peak >> 20);
    for (int k = 0; k < 2; k++) {
        ck_assert(!best[k].attention && best[k].T < 100);
        ck_assert_ptr_null(strstr(best[k].text, "<unk>"));
        ck_assert(best[k].T == 1 || strstr(best[k].text, "zz"));
        tg_translation_free(&best[k]);
    }
    free(b);
    free(text);
    tg_context_free(cx);
    world_free(&w);
}
END_TEST

START_TEST(attention_that_nobody_asks_for_changes_no_translation)
{
    world w = world_new(3, TG_WORDS, 7);
    tg_context *cx;
    tg_translator tr = counting(&w, &cx);
    char text[SENTENCES][MOST_TEXT];
    const char *sentence[SENTENCES];
    tg_translation with[SENTENCES], without[SENTENCES];
    int replaced = 0;
    invent(w.cx, text, sentence);
    tg_decoding_config config = { .beam = 2 };
    ck_assert_int_eq(tg_translator_search(&tr, SENTENCES, sentence, &config, with), TG_OK);
    config.no_attention = true;
    ck_assert_int_eq(tg_translator_search(&tr, SENTENCES, sentence, &config, without), TG_OK);
    for (int i = 0; i < SENTENCES; i++) {
        ck_assert_str_eq(with[i].text, without[i].text);
        ck_assert(!without[i].attention && (with[i].attention || !*text[i]));
        replaced += strchr(with[i].text, 'a' + LETTERS) != NULL; /* a letter that no vocabulary has */
        tg_translation_free(&with[i]);
        tg_translation_free(&without[i]);
    }
    ck_assert_int_gt(replaced, 0);
    tg_context_free(cx);
    world_free(&w);
}
END_TEST

TG_TEST_MAIN("models/translator_long", loss_of_long_sentences_takes_bounded_memory,
             unknown_words_are_replaced_in_sentences_of_any_length,
             attention_that_nobody_asks_for_changes_no_translation)
