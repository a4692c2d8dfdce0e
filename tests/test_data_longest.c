/* The longest token: what is longer, in texts, codes and files. */
#include <stdio.h>
#include <string.h>

#include <tidegate/tidegate.h>

#include "check_main.h"

static const tg_tokenizer *tokenizer_of(tg_context *cx, tg_tokenizer_kind kind)
{
    return tg_tokenizer_new(cx, &(tg_tokenizer_config){ .kind = kind });
}

static char logged[300];
static void keep_log(void *user, tg_log_level level, const char *message)
{
    (void)user, (void)level;
    snprintf(logged, sizeof logged, "%s", message);
}

static const char *word_of(size_t bytes)
{
    static char word[6000];
    memset(word, 'a', bytes);
    word[bytes] = 0;
    return word;
}

START_TEST(one_long_token_does_not_make_every_token_as_wide)
{
    static const tg_tokenizer_kind kinds[] = { TG_WORDS, TG_SPACES };
    for (int k = 0; k < 2; k++) {
        tg_context *cx = tg_context_new(&(tg_context_config){ .log = keep_log });
        tg_vocabulary *v = tg_vocabulary_new(cx, tokenizer_of(cx, kinds[k]));
        const size_t bytes[] = { TG_LONGEST_TOKEN, TG_LONGEST_TOKEN + 1, 5000 };
        logged[0] = 0;
        for (int i = 0; i < 3; i++) tg_vocabulary_add(v, word_of(bytes[i]));
        tg_vocabulary_freeze(v, 0);
        ck_assert_int_eq(tg_vocabulary_size(v), TG_SPECIAL_TOKENS + 1);
        ck_assert_uint_eq(strlen(tg_vocabulary_token(v, TG_SPECIAL_TOKENS)), TG_LONGEST_TOKEN);
        ck_assert_str_eq(logged, "tokens longer than 128 bytes are unknown words: the text has 2 of them");
        int id = 0;
        ck_assert_int_eq(tg_vocabulary_encode(v, word_of(5000), &id, 1), 1);
        ck_assert_int_eq(id, TG_UNKNOWN);
        tg_context_free(cx);
    }
}
END_TEST

START_TEST(codes_make_no_token_that_is_too_long)
{
    tg_context *cx = tg_context_new(&(tg_context_config){ .log = keep_log });
    tg_tokenizer *k = tg_tokenizer_new(cx, &(tg_tokenizer_config){ .kind = TG_BPE });
    for (int i = 0; i < 3; i++) tg_tokenizer_add(k, word_of(900));
    for (int i = 0; i < 3; i++) tg_tokenizer_add(k, "words of a text, and no others");
    tg_tokenizer_learn(k, 1000, 0);
    ck_assert_msg(tg_context_ok(cx), "%s", tg_context_message(cx));
    size_t widest = 0;
    for (int i = 0; i < tg_tokenizer_merges(k); i++) {
        const size_t n = strlen(tg_tokenizer_merge(k, i)) - 1;
        widest = n > widest ? n : widest;
    }
    ck_assert_uint_gt(widest, 50);
    ck_assert_uint_le(widest, TG_LONGEST_TOKEN - 8);
    bool there = false; /* what comes after the pairs that are passed over */
    for (int i = 0; i < tg_tokenizer_merges(k); i++) {
        char both[TG_LONGEST_TOKEN];
        const char *code = tg_tokenizer_merge(k, i), *space = strchr(code, ' ');
        snprintf(both, sizeof both, "%.*s%s", (int)(space - code), code, space + 1);
        there |= !strcmp(both, "others</w>");
    }
    ck_assert(there);
    tg_vocabulary *v = tg_vocabulary_new(cx, k);
    logged[0] = 0;
    tg_vocabulary_add(v, word_of(900));
    tg_vocabulary_freeze(v, 0);
    ck_assert_str_eq(logged, ""); /* every piece is a token */

    FILE *f = fopen("codes.tmp", "w");
    fprintf(f, "#version: 0.2\na b\n%s b\n", word_of(TG_LONGEST_TOKEN - 8));
    fclose(f);
    tg_tokenizer *other = tg_tokenizer_new(cx, &(tg_tokenizer_config){ .kind = TG_BPE });
    ck_assert_int_eq(tg_tokenizer_read(other, "codes.tmp"), TG_ERR_FORMAT);
    ck_assert_ptr_nonnull(strstr(tg_context_message(cx), "line 3: a code of 121 bytes, at most 120"));
    remove("codes.tmp"), tg_context_free(cx);
}
END_TEST

START_TEST(longer_tokens_of_an_older_file_are_kept)
{
    tg_context *cx = tg_context_new(NULL);
    tg_archive *a = tg_archive_new(cx), *b = tg_archive_new(cx);
    tg_vocabulary *v;
    const char *const text[] = { "<pad>", "<unk>", "<s>", "</s>", word_of(5000), "b" };
    tg_archive_put_texts(a, "v", 6, text);
    tg_archive_put_text(a, "v_tokenizer", "spaces");
    tg_archive_put_integer(a, "v_tokenizer_version", 1);
    tg_archive_put_integer(a, "v_tokenizer_lowercase", 0);
    ck_assert_msg(tg_vocabulary_get(cx, a, "v", &v) == TG_OK, "%s", tg_context_message(cx));
    int id = 0;
    ck_assert_int_eq(tg_vocabulary_encode(v, text[4], &id, 1), 1);
    ck_assert_int_eq(id, 4);
    ck_assert_int_eq(tg_vocabulary_put(v, b, "v"), TG_OK);
    int n;
    const char *const *again;
    ck_assert_int_eq(tg_archive_get_texts(b, "v", &n, &again), TG_OK);
    ck_assert_str_eq(again[4], text[4]);
    tg_archive_free(a), tg_archive_free(b);
    tg_context_free(cx);
}
END_TEST

TG_TEST_MAIN("data/longest", one_long_token_does_not_make_every_token_as_wide,
             codes_make_no_token_that_is_too_long, longer_tokens_of_an_older_file_are_kept)
