/* tools/tidegate/tokenizer.c -- what a token is: as --tokenizer and --pretokenized say, and, with auto, what the text
 * asks for: words or characters.
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

/* Settles what of --tokenizer and --pretokenized is left to the text. */
static bool choose(training_settings *o)
{
    const bool any = o->tokenizer == TOKENIZER_AUTO, quiet = o->quiet;
    const bool looks = o->pretokenized == PRETOKENIZED_AUTO &&
                       (any || o->tokenizer == TOKENIZER_WORDS || o->tokenizer == TOKENIZER_BPE);
    if (!any && !looks) return true;
    tg_context *cx = new_context(0, 1);
    tg_pairs *pairs;
    bool ok = tg_pairs_read(cx, o->train, &(tg_pairs_config){ .max_length = INT_MAX }, &pairs, NULL) == TG_OK;
    if (ok && looks) o->pretokenized = tg_pairs_tokenized(pairs) ? PRETOKENIZED_YES : PRETOKENIZED_NO;
    if (ok && looks && !quiet && o->pretokenized == PRETOKENIZED_YES)
        tell("The text is tokenized already: spaces separate its tokens.");
    if (ok && any) {
        const bool spaces = o->pretokenized == PRETOKENIZED_YES;
        const tg_tokenizer *words =
            tg_tokenizer_new(cx, &(tg_tokenizer_config){ .kind = spaces ? TG_SPACES : TG_WORDS });
        const double source = share_unseen(words, cx, pairs, tg_pairs_source),
                     target = share_unseen(words, cx, pairs, tg_pairs_target),
                     unseen = source > target ? source : target;
        ok = tg_context_ok(cx);
        o->tokenizer = unseen > most_unseen ? TOKENIZER_CHARACTERS : TOKENIZER_WORDS;
        if (ok && !quiet)
            tell("Tokens are %s: about %.0f %% of the words of new text would be unknown.",
                 o->tokenizer == TOKENIZER_WORDS ? "words" : "characters", 100 * unseen);
    }
    if (!ok) fail_context(cx);
    tg_context_free(cx);
    return ok;
}

/* ---- made ---- */

/* By rules, and for text whose tokens are separated by spaces already. */
static const struct {
    tg_tokenizer_kind by_rules, pretokenized;
} kinds[] = {
    [TOKENIZER_WORDS] = { TG_WORDS, TG_SPACES },
    [TOKENIZER_CHARACTERS] = { TG_CHARACTERS, TG_CHARACTERS },
    [TOKENIZER_BPE] = { TG_BPE, TG_BPE_SPACES },
    [TOKENIZER_SPACES] = { TG_SPACES, TG_SPACES },
};

int tokenizer_choice(const tg_tokenizer *k)
{
    const tg_tokenizer_kind kind = tg_tokenizer_settings(k).kind;
    int choice = TOKENIZER_SPACES;
    while (kinds[choice].by_rules != kind && kinds[choice].pretokenized != kind) choice--;
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
    if (!choose(o)) return false;
    const tg_tokenizer_kind kind =
        o->pretokenized == PRETOKENIZED_YES ? kinds[o->tokenizer].pretokenized : kinds[o->tokenizer].by_rules;
    tg_tokenizer *k = tg_tokenizer_new(t->cx, &(tg_tokenizer_config){ kind, .lowercase = o->lowercase });
    t->source_tokenizer = t->target_tokenizer = k;
    if (!tg_context_ok(t->cx)) return fail_context(t->cx), false;
    return o->tokenizer != TOKENIZER_BPE || give_codes(k, t->cx, o);
}
