/* tools/tidegate/tokenizer.c -- what a token is: as --tokenizer says, and, with auto, words or characters.
 *
 * By Good's estimate (Good 1953, with Turing): the share of new text's words that were never seen is
 * about n1 / N, where N counts the words of the text at hand and n1 those that stand in it once.
 * Where that is more than a third, on either side, a vocabulary of words would mostly be <unk>
 * (dates, numbers, identifiers, names), and characters are the better tokens.                    */
#include <limits.h>

#include "training.h"

static const double most_unseen = 1.0 / 3;

/* n1 / N of one side of the text. */
static double share_unseen(const tg_tokenizer *words, tg_context *cx, const tg_pairs *pairs,
                           const char *(*side)(const tg_pairs *, int))
{
    tg_vocabulary *all = tg_vocabulary_new(cx, words), *repeated = tg_vocabulary_new(cx, words);
    double N = 0;
    for (int i = 0; i < tg_pairs_count(pairs); i++) {
        N += tg_tokenize(words, side(pairs, i), NULL, NULL);
        tg_vocabulary_add(all, side(pairs, i));
        tg_vocabulary_add(repeated, side(pairs, i));
    }
    tg_vocabulary_freeze(all, 1);
    tg_vocabulary_freeze(repeated, 2);
    return N > 0 ? (tg_vocabulary_size(all) - tg_vocabulary_size(repeated)) / N : 0;
}

static bool choose(const char *path, bool quiet, int *tokenizer)
{
    tg_context *cx = new_context(0, 1);
    const tg_tokenizer *words = tg_tokenizer_new(cx, NULL);
    tg_pairs *pairs;
    tg_pairs_info info;
    double unseen = 0;
    bool ok = tg_pairs_read(cx, path, &(tg_pairs_config){ .max_length = INT_MAX }, &pairs, &info) == TG_OK;
    if (ok) {
        const double source = share_unseen(words, cx, pairs, tg_pairs_source);
        const double target = share_unseen(words, cx, pairs, tg_pairs_target);
        unseen = source > target ? source : target;
        ok = tg_context_ok(cx);
    }
    *tokenizer = unseen > most_unseen ? TOKENIZER_CHARACTERS : TOKENIZER_WORDS;
    if (!ok)
        fail_context(cx);
    else if (!quiet)
        tell("Tokens are %s: about %.0f %% of the words of new text would be unknown.",
             *tokenizer == TOKENIZER_WORDS ? "words" : "characters", 100 * unseen);
    tg_context_free(cx);
    return ok;
}

/* ---- made ---- */

static const tg_tokenizer_kind kinds[] = { [TOKENIZER_WORDS] = TG_WORDS,
                                           [TOKENIZER_CHARACTERS] = TG_CHARACTERS,
                                           [TOKENIZER_BPE] = TG_BPE,
                                           [TOKENIZER_SPACES] = TG_SPACES };

int tokenizer_choice(const tg_tokenizer *k)
{
    int choice = TOKENIZER_WORDS;
    while (kinds[choice] != tg_tokenizer_settings(k).kind) choice++;
    return choice;
}

/* One list of codes for both sides, learnt from both together. false: the reason was said. */
static bool learn(tg_tokenizer *k, const training_settings *o)
{
    tg_context *cx = new_context(0, 1); /* for the text, which is read again with this tokenizer */
    tg_pairs *pairs;
    const bool ok =
        tg_pairs_read(cx, o->train, &(tg_pairs_config){ .max_length = INT_MAX }, &pairs, NULL) == TG_OK;
    for (int i = 0; ok && i < tg_pairs_count(pairs); i++) {
        tg_tokenizer_add(k, tg_pairs_source(pairs, i));
        tg_tokenizer_add(k, tg_pairs_target(pairs, i));
    }
    if (ok)
        tg_tokenizer_learn(k, (int)o->merges, 0);
    else
        fail_context(cx);
    tg_context_free(cx);
    return ok;
}

static bool give_codes(tg_tokenizer *k, tg_context *cx, const training_settings *o)
{
    if (o->codes && tg_tokenizer_read(k, o->codes)) return fail_context(cx), false;
    if (!o->codes && !learn(k, o)) return false;
    if (!tg_context_ok(cx)) return fail_context(cx), false;
    if (!o->quiet)
        tell("Tokens are pieces of words, by %d merge%s.", tg_tokenizer_merges(k),
             PLURAL(tg_tokenizer_merges(k)));
    return true;
}

bool new_tokenizer(training *t)
{
    training_settings *o = &t->settings;
    if (o->tokenizer == TOKENIZER_AUTO && o->codes) o->tokenizer = TOKENIZER_BPE;
    if (o->tokenizer == TOKENIZER_AUTO && !choose(o->train, o->quiet, &o->tokenizer)) return false;
    tg_tokenizer *k =
        tg_tokenizer_new(t->cx, &(tg_tokenizer_config){ kinds[o->tokenizer], .lowercase = o->lowercase });
    t->source_tokenizer = t->target_tokenizer = k;
    if (!tg_context_ok(t->cx)) return fail_context(t->cx), false;
    return o->tokenizer != TOKENIZER_BPE || give_codes(k, t->cx, o);
}
