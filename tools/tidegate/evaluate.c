/* tools/tidegate/evaluate.c -- tidegate evaluate: how good a model is on parallel text, as JSON. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "decoding.h"

enum { MOST_TOKENS = 10000, TOGETHER = 512 };

typedef struct settings {
    const char *data;
    int64_t threads;
    int tokenize;
    decoding_settings decoding;
} settings;

static const option options[] = {
    { "data", OPTION_TEXT, offsetof(settings, data), NULL, 0, 0, "FILE", "source<TAB>target, one pair a line",
      OPTION_REQUIRED },
    DECODING_OPTIONS(settings),
    THREADS_OPTION(settings, 0),
    { "tokenize", OPTION_CHOICE, offsetof(settings, tokenize), "13a", 0, 0, SCORES_TOKENIZERS,
      "BLEU's tokens: 13a sets punctuation apart, none takes words as they are" },
    { NULL },
};

static const command evaluate_command = {
    "evaluate",
    "MODEL --data FILE [options]",
    "Prints one JSON object: loss (nats a target token, given the true ones before it),\n"
    "perplexity (its exponential), perplexity_free_running (the same where the decoder reads\n"
    "its own words, not the true ones), exact_match (the share of translations that are their\n"
    "line's target, but for white space), bleu and chrf (0 to 100, as score has them), exact\n"
    "and pairs (the two counts), left_out (pairs of more than 10000 tokens). MODEL is a\n"
    "checkpoint, or a directory with one (best.h5, else last.h5).",
    options,
    1,
    1,
    "  tidegate evaluate run --data test.tsv\n"
    "  tidegate evaluate run/last.h5 --data test.tsv --beam 5 --tokenize none\n",
};

/* What evaluate tells of the translations, each against the target of its own line. */
typedef struct tally {
    scores scores;
    int64_t exact;
} tally;

/* The text as the model would write it: in its normal form, and its case. To be freed. NULL: out of memory. */
static char *as_written(const tg_tokenizer *k, const char *text)
{
    int n;
    char **token = tg_tokenizer_split(k, text, &n);
    const size_t bytes = token ? tg_tokenizer_join(k, n, (const char *const *)token, NULL, 0) + 1 : 0;
    char *written = token ? malloc(bytes) : NULL;
    if (written) tg_tokenizer_join(k, n, (const char *const *)token, written, bytes);
    free(token);
    return written;
}

/* All three figures compare the same two texts. */
static tg_status count(tally *all, const tg_tokenizer *k, const char *translation, const char *target)
{
    char *said = as_written(k, translation), *meant = as_written(k, target);
    tg_status s = said && meant ? TG_OK : TG_ERR_MEMORY;
    if (!s) all->exact += tg_exact_match(said, meant);
    if (!s) s = scores_add(&all->scores, said, 1, (const char *const[]){ meant });
    free(said);
    free(meant);
    return s;
}

typedef struct block { /* of pairs that are translated together */
    const char *source[TOGETHER];
    tg_translation best[TOGETHER];
} block;

static tg_status count_block(tg_translator *tr, const tg_pairs *pairs, int first, int n,
                             const tg_decoding_config *config, block *x, tally *all)
{
    for (int i = 0; i < n; i++) x->source[i] = tg_pairs_source(pairs, first + i);
    tg_status s = tg_translator_search(tr, n, x->source, config, x->best);
    const bool found = !s;
    for (int i = 0; i < n && found; i++) {
        if (!s)
            s = count(all, tg_vocabulary_tokenizer(tr->target), x->best[i].text,
                      tg_pairs_target(pairs, first + i));
        tg_translation_free(&x->best[i]);
    }
    return s;
}

static tg_status count_all(tg_context *cx, tg_translator *tr, const tg_pairs *pairs,
                           const tg_decoding_config *config, tally *all)
{
    const int n = tg_pairs_count(pairs);
    block *x = tg_context_allocate(cx, sizeof *x); /* a thread's stack may be smaller */
    tg_status s = x ? TG_OK : TG_ERR_MEMORY;
    for (int first = 0; first < n && !s; first += TOGETHER)
        s = count_block(tr, pairs, first, n - first < TOGETHER ? n - first : TOGETHER, config, x, all);
    return s;
}

/* JSON has no infinity and no NaN. */
static void print_number(const char *name, double x)
{
    if (isfinite(x))
        printf("\"%s\": %.9g, ", name, x);
    else
        printf("\"%s\": null, ", name);
}

static int evaluate(tg_context *cx, tg_translator *tr, const settings *given)
{
    const char *path = given->data;
    const tg_pairs_config config = { .tokenizer = tg_vocabulary_tokenizer(tr->source),
                                     .target_tokenizer = tg_vocabulary_tokenizer(tr->target),
                                     .max_length = MOST_TOKENS };
    tg_decoding_config decoding = decoding_config(&given->decoding);
    decoding.unscored = decoding.no_attention = true;
    const bool lowercase = tg_tokenizer_settings(config.target_tokenizer).lowercase;
    tg_pairs *pairs;
    tg_pairs_info info;
    double loss, free_running;
    tally all = { scores_new(cx, given->tokenize, lowercase), 0 };
    if (tg_pairs_read(cx, path, &config, &pairs, &info)) return fail_context(cx);
    if (info.too_long)
        warn("%s: %lld pairs longer than %d tokens are left out (the first in line %lld)", path,
             (long long)info.too_long, MOST_TOKENS, (long long)info.first_too_long);
    tg_batches *batches =
        tg_batches_new(cx, pairs, tr->source, tr->target, &(tg_batches_config){ .in_order = true });
    if (!tg_context_ok(cx) || tg_translator_loss(tr, batches, &loss) ||
        tg_translator_loss_free_running(tr, batches, &free_running) ||
        count_all(cx, tr, pairs, &decoding, &all))
        return fail_context(cx);
    printf("{");
    print_number("loss", loss);
    print_number("perplexity", exp(loss));
    print_number("perplexity_free_running", exp(free_running));
    print_number("exact_match", (double)all.exact / (double)info.pairs);
    scores_print_members(&all.scores);
    printf(", \"exact\": %lld, \"pairs\": %lld, \"left_out\": %lld}\n", (long long)all.exact,
           (long long)info.pairs, (long long)info.too_long);
    return EXIT_DONE;
}

int command_evaluate(int argc, char *argv[])
{
    settings given = { 0 };
    const char *model[2];
    const parsed p = options_parse(&evaluate_command, argc, argv, &given, model);
    if (p != PARSED) return options_exit(p);

    tg_translator translator;
    tg_context *cx = new_context(0, (int)given.threads);
    const bool ready =
        open_translator(cx, model[0], &translator) && decoding_fits(&given.decoding, model[0], &translator);
    const int result = ready ? evaluate(cx, &translator, &given) : EXIT_FAILED;
    tg_context_free(cx);
    return finish_output(result);
}
