/* tidegate/tokenizer.h -- text to tokens, and tokens to text. */
#ifndef TIDEGATE_TOKENIZER_H
#define TIDEGATE_TOKENIZER_H

#include "core.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A tokenizer cuts a sentence into tokens, and puts tokens together to a sentence again. Whatever the kind, the text
 * first loses byte order marks (U+FEFF) at its start, and gets Unicode's normal form C (an e and a combining accent
 * become one character); then TG_WORDS and TG_BPE take any Unicode white space, no-break spaces too, for a space. What
 * is put together again is that text, with one space for each run of white space (TG_CHARACTERS: with all of it). */

typedef enum tg_tokenizer_kind {
    TG_WORDS,      /* words and punctuation, see below */
    TG_CHARACTERS, /* every code point, white space included */
    TG_SPACES,     /* what white space separates: ASCII space, tab, LF, VT, FF, CR, and no other */
    TG_BPE,        /* pieces of the words of TG_WORDS, see below */
    TG_BPE_SPACES  /* pieces of the tokens of TG_SPACES */
} tg_tokenizer_kind;
/* "words", "chars", "spaces", "bpe", "bpe-spaces" */
TG_API const char *tg_tokenizer_name(tg_tokenizer_kind kind);
TG_API bool tg_tokenizer_named(const char *name, tg_tokenizer_kind *kind); /* false: none, *kind stays */

/* TG_WORDS. Letters, digits, and the marks on them make words; all else (Unicode's punctuation, symbols and
 * controls) makes tokens of its own, where the same sign again and again is one ("...", "--"; but not @).
 * A joiner, U+FFED, says where no space was: in front of a token that touched what is before it, behind one
 * that touched what follows (below, "_" stands for it):
 *     Say "yes, sir".        ->  Say "_ yes _, sir _" _.
 * Part of a word are also
 *     a hyphen between letters or digits, before the word and after it (well-known, -nous, pre-, -5), a
 *     full stop between them (3.50, x.com), before a number (.5), and before a letter after a space (.NET), a
 *     comma between digits (3,000.50);
 *     the last full stop of initials and of a few titles: J. U.S. a.m. Ph.D. Mr. Dr. (parts of one or two
 *     letters);
 *     an apostrophe (' or U+2019). Between letters it stays with what is before it in an elision (l'_ eau, qu'_ il),
 *     else with what follows (John _'s, don _'t, y _'all, o _'clock). It is an elision where what is before it may be
 *     elided, and what follows begins with a vowel or h and is none of the English you, ya, ye, em (d _'you). At the
 *     start of a word an apostrophe stays with it ('s, 'clock), unless another one closes the quotation in the same
 *     word ('yes'), or the word is elided itself ('l'eau'). At the end it stays where the word may be elided. So
 *     quotations of several words are best put in double quotes.
 *     An elided word has lost its last vowel: it ends in qu, or in a consonant (in s: if it is that alone; before
 *     U+2019, which also closes quotations: if it has two letters at most, or is one of aujourd, dall, dell, grand,
 *     nell, quell, quest, sant, sull).
 * Tokens are cut no further: with a space between them, and without joiners, they are cut into the same tokens again. So
 * text that was cut by these rules before is recognized. Other tokenizers have other rules. Of theirs, these stay whole
 * between spaces: clitics ('s, l', -nous, n't), Moses' entities (&apos; &quot; &amp; &lt; &gt; &#39; &#91; &#93;
 * &#124;, taken for what they mean), @-@ (with any sign between), and what spells a special token ("<unk>"). Where
 * spaces separate the tokens already and all must be kept (pp. 1. dogs&apos; &apos;t&apos;ve), use TG_SPACES, or
 * TG_BPE_SPACES: see tg_pairs_tokenized().
 * Neither characters nor bases and their combining marks are cut apart (extended grapheme clusters).
 * A joiner in the text is written U+FFEE 1 in a token, and U+FFEE is written U+FFEE 0. */

/* TG_BPE and TG_BPE_SPACES: byte-pair encoding (Sennrich, Haddow, Birch 2016, arXiv:1508.07909), compatible with
 * subword-nmt. Each word, without its joiners, is cut into pieces, of which all but the last end in "@@"; the joiners
 * are then put in front of the first piece and behind the last. What spells a special token is not cut, and words of
 * more than 1000 characters are cut after every 1000th first. A tokenizer needs codes before it is used, learnt or read.
 * TG_BPE_SPACES gives the pieces of subword-nmt itself, for text in normal form C. It has no joiners; as with
 * subword-nmt, a word that ends in "@@" comes back together with the next one. */

typedef struct tg_tokenizer_config {
    tg_tokenizer_kind kind;
    bool lowercase; /* to lower case, by Unicode's full default mapping: a sigma that ends a word is final */
} tg_tokenizer_config;

typedef struct tg_tokenizer tg_tokenizer; /* lives as long as the context */

/* config may be NULL: words. Never NULL. */
TG_API tg_tokenizer *tg_tokenizer_new(tg_context *cx, const tg_tokenizer_config *config);
TG_API tg_tokenizer_config tg_tokenizer_settings(const tg_tokenizer *k);

/* Calls found(user, token, bytes) for each token of text (0-terminated UTF-8); returns their number. The
 * token is gone after the call, and not 0-terminated. found may be NULL. Text that is not UTF-8 is taken as
 * it is: a byte that belongs to no character is a character. Out of memory (for long texts alone): the
 * context fails, and the number is 0. */
TG_API int tg_tokenize(const tg_tokenizer *k, const char *text,
                       void (*found)(void *user, const char *token, size_t bytes), void *user);

/* The tokens of text as 0-terminated texts, token[0..*n-1], all in one block to be given to free(). NULL:
 * out of memory, the context fails. */
TG_API char **tg_tokenizer_split(const tg_tokenizer *k, const char *text, int *n);

/* Of a kind with codes, in steps: count texts, learn. merges: how many pairs are merged at most; 0: 8000. Pairs that
 * are there less than min_frequency times are not; 0: 2. Of equally frequent ones the greater comes first:
 * the codes are those that subword-nmt learns from the same words, and do not depend on the order of the
 * texts; but no pair is merged to more than 120 bytes, which would make no token (TG_LONGEST_TOKEN). A text
 * that is not UTF-8 (TG_ERR_DATA), another kind of tokenizer, and codes given twice (TG_ERR_STATE) are
 * failures of the context, and so is to tokenize without codes. */
TG_API void tg_tokenizer_add(tg_tokenizer *k, const char *text);
TG_API void tg_tokenizer_learn(tg_tokenizer *k, int merges, int min_frequency);
/* Or read from a file of subword-nmt's, version 0.1 or 0.2: "left right", one a line, of at most 120 bytes
 * together. The version is what subword-nmt takes for it: the last word of a first line "#version: 0.2", less any ".0" at its end; without
 * such a line, 0.1. Byte order marks at the start of lines are dropped. Anything else, another version or a CR
 * inside a line too, is TG_ERR_FORMAT with the line; for files that cannot be read, as tg_pairs_read(). On failure
 * k is still without codes. */
TG_API tg_status tg_tokenizer_read(tg_tokenizer *k, const char *path) TG_MUST_CHECK;
TG_API int tg_tokenizer_merges(const tg_tokenizer *k);               /* how many codes it has */
TG_API const char *tg_tokenizer_merge(const tg_tokenizer *k, int i); /* "left right"; "" out of range */

/* Tokens to text. Like snprintf: returns the bytes needed but for the 0 at the end, stores at most
 * `bytes` with it, and always one if bytes > 0. Never cuts a character in two. */
TG_API size_t tg_tokenizer_join(const tg_tokenizer *k, int n, const char *const token[], char *text,
                                size_t bytes);

/* The word that token i belongs to, as one token: of kinds with codes its pieces in one, with the joiners, of other
 * kinds the token itself; "" out of range. As tg_tokenizer_join() stores it. It can stand among tokens to
 * be joined: what an unknown word is best replaced with is the word that the decoder looked at. */
TG_API size_t tg_tokenizer_word(const tg_tokenizer *k, int n, const char *const token[], int i, char *text,
                                size_t bytes);

#ifdef __cplusplus
}
#endif
#endif
