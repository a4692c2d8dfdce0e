/* tidegate/data.h -- parallel text, vocabularies, and batches that are a function of seed and epoch.
 */
#ifndef TIDEGATE_DATA_H
#define TIDEGATE_DATA_H

#include "archive.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- text to tokens ----
 *
 * A tokenizer cuts a sentence into tokens, and puts tokens together to a sentence again. Whatever the kind, the text
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

/* ---- vocabularies ---- */

enum { TG_PAD, TG_UNKNOWN, TG_BEGIN, TG_END, TG_SPECIAL_TOKENS }; /* <pad> <unk> <s> </s> */

/* Bytes of a vocabulary's longest token, joiners and "@@" included. A longer one is an unknown word, which a warning in the
 * log counts: a file stores all tokens as wide as the longest. A vocabulary of an older file keeps its longer ones. */
enum { TG_LONGEST_TOKEN = 128 };

typedef struct tg_vocabulary tg_vocabulary;

/* Made in steps: new, count texts, freeze. Then ids 0..3 are the special tokens, and the others
 * follow by falling frequency, equal ones in byte order; tokens seen less than min_frequency times
 * become <unk>. Lives as long as the context. Never NULL.
 * A text that spells a special token, such as "<s>", means an unknown word: no text reaches their ids.
 * A text that is not UTF-8 (TG_ERR_DATA), adding to or freezing a frozen vocabulary, and asking one that
 * is not frozen (TG_ERR_STATE; the answers are 0, "<unk>", TG_UNKNOWN and "") are failures of the context. */
TG_API tg_vocabulary *tg_vocabulary_new(tg_context *cx, const tg_tokenizer *k); /* NULL: words */
TG_API void tg_vocabulary_add(tg_vocabulary *v, const char *text);
TG_API void tg_vocabulary_freeze(tg_vocabulary *v, int min_frequency);
TG_API int tg_vocabulary_size(const tg_vocabulary *v);
TG_API const tg_tokenizer *tg_vocabulary_tokenizer(const tg_vocabulary *v);
TG_API const char *tg_vocabulary_token(const tg_vocabulary *v, int id); /* "<unk>" out of range */
/* TG_UNKNOWN if it is not there. */
TG_API int tg_vocabulary_id(const tg_vocabulary *v, const char *token, size_t bytes);
/* text -> ids, without <s> and </s>; returns the number of tokens, of which at most capacity are
 * stored. */
TG_API int tg_vocabulary_encode(const tg_vocabulary *v, const char *text, int ids[], int capacity);
/* ids up to the first </s> or n -> text, as tg_tokenizer_join() does; special tokens but <unk> are
 * left out. */
TG_API size_t tg_vocabulary_decode(const tg_vocabulary *v, const int ids[], int n, char *text, size_t bytes);
/* As "<path>" (texts, in id order) and "<path>_tokenizer...", so that nothing else is needed. What is read
 * back must be a vocabulary: the special tokens first, each other one a token of the tokenizer, in valid
 * UTF-8, and there once; else TG_ERR_FORMAT with the id. On failure *v stays as it was.
 * Vocabularies of version 0.1.0 cut text as they did: words at white space, and no normal form. Of those made by
 * other rules of TG_WORDS, or of lower case, than today's, the log tells (TG_LOG_WARNING). */
TG_API tg_status tg_vocabulary_put(const tg_vocabulary *v, tg_archive *a, const char *path);
TG_API tg_status tg_vocabulary_get(tg_context *cx, const tg_archive *a, const char *path,
                                   tg_vocabulary **v) TG_MUST_CHECK;

/* ---- parallel text: source<TAB>target, UTF-8, one pair a line ---- */

typedef struct tg_pairs tg_pairs; /* lives as long as the context */

typedef struct tg_pairs_config {
    const tg_tokenizer *tokenizer; /* NULL: TG_SPACES */
    int max_length;                /* tokens on either side; longer pairs are left out and counted; 0: 100 */
    const tg_tokenizer *target_tokenizer; /* NULL: the same */
} tg_pairs_config;

typedef struct tg_pairs_info {
    int64_t lines;            /* in the file; the last may lack its LF */
    int64_t pairs;            /* kept */
    int64_t blank;            /* lines of nothing but white space, without a tab, passed over */
    int64_t too_long;         /* pairs left out, see max_length */
    int64_t extra_columns;    /* lines with more than two columns: what follows the second is ignored */
    int64_t repeated_sources; /* pairs kept whose source came before in one that was kept, too */
    int64_t first_too_long, first_extra_column, first_repeated; /* line numbers, from 1; 0: none */
    uint64_t digest;                                            /* XXH64 of the file's bytes */
    int64_t bytes;
} tg_pairs_info;

/* CR LF is read as LF. Byte order marks (U+FEFF) at the start of a line or a side are dropped, and ASCII white
 * space around a side is cut off. Control characters but CR are text like any other.
 * A line without a tab, a side without anything but white space (by Unicode), bytes that are not UTF-8
 * (overlong forms and surrogates included), a NUL, a CR that is not at the end of its line, or a line over a
 * million bytes: TG_ERR_DATA with file, line and byte in the line, both from 1. A
 * file that is empty, without any pair, or over 1 GiB: TG_ERR_DATA. No such file: TG_ERR_ABSENT. What is
 * not a plain file, cannot be read, or changes meanwhile: TG_ERR_IO. On failure *pairs and *info stay as
 * they were. config and info may be NULL. */
TG_API tg_status tg_pairs_read(tg_context *cx, const char *path, const tg_pairs_config *config,
                               tg_pairs **pairs, tg_pairs_info *info) TG_MUST_CHECK;
TG_API int tg_pairs_count(const tg_pairs *p);
/* Has the text been tokenized before, so that spaces separate its tokens? In such text full stops or commas are set off
 * by a space before them, and at most one text in ten of those has one that is not. */
TG_API bool tg_pairs_tokenized(const tg_pairs *p);
TG_API const char *tg_pairs_source(const tg_pairs *p, int i); /* "" out of range */
TG_API const char *tg_pairs_target(const tg_pairs *p, int i);

/* Is text (0-terminated) valid UTF-8? If not, *at (unless NULL) is the offset where the first
 * character that is none begins. */
TG_API bool tg_utf8_valid(const char *text, size_t *at);

/* Makes text from outside (a file's name, what a file holds, tg_context_message()) safe to show on a terminal. Escaped
 * are control characters, bidirectional controls, line and paragraph separators, tags, other characters that show
 * nothing, and bytes that are not UTF-8: as \x1b (a byte), \u202e or \U000e0041 (a code point). All else stays as it is; so
 * do the zero-width joiners and the variation selectors, one at a time, behind a character beyond ASCII.
 * Returns the length of the result in bytes without its 0. to gets as much of it as fits into `bytes`, ended by a 0,
 * no escape or character in part; it may be NULL if bytes is 0. text NULL: as "". */
TG_API size_t tg_text_printable(const char *text, char *to, size_t bytes);

/* ---- batches ---- */

/* Sequences are time-major; beyond a row's length the ids are TG_PAD in source and target_in, and -1 in
 * target_out, where cross entropy ignores them. */
typedef struct tg_pair_batch {
    int B, S, T;               /* rows, longest source + 1, longest target + 1 */
    const int *source;         /* (S,B): tokens, </s> */
    const int *source_lengths; /* (B), </s> included */
    const int *target_in;      /* (T,B): <s>, tokens */
    const int *target_out;     /* (T,B): tokens, </s> */
    const int *target_lengths; /* (B), </s> included */
    const int *pair;           /* (B): which pair of the file each row is */
    int64_t target_tokens;     /* sum of target_lengths */
} tg_pair_batch;

typedef struct tg_batches tg_batches; /* lives as long as the context */

typedef struct tg_batches_config {
    int batch;     /* rows; 0: 64 */
    bool in_order; /* false: shuffled anew each epoch; true: in the file's order */
} tg_batches_config;

/* Batches of sentences of similar length. Which pairs are in batch k of epoch e, and in which
 * order, is a function of the context's seed, e and k alone, so a position is enough to go on.
 * Every pair is in one batch of each epoch; the one batch that may have fewer rows can be any.
 *
 * The order of epoch e: tg_random_permutation("batches", e) of all pairs is cut into windows of 64 batches. Each
 * window is sorted by the tokens of the source, then of the target, and otherwise keeps its order. The whole is cut
 * into batches, and batch k is number order[k] of them, order = tg_random_permutation("batch order", e).
 *
 * The texts are encoded here, once: pairs and vocabularies are not looked at again. */
TG_API tg_batches *tg_batches_new(tg_context *cx, const tg_pairs *pairs, const tg_vocabulary *source,
                                  const tg_vocabulary *target, const tg_batches_config *config);
TG_API int64_t tg_batches_count(const tg_batches *b); /* a pass over the data */
/* Fills *batch, which borrows from b until the next call. Allocates nothing. Out of range (e below 0, k
 * outside of 0..count-1): the context fails, and B = S = T = 0. */
TG_API void tg_batches_get(tg_batches *b, int64_t epoch, int64_t k, tg_pair_batch *batch);

#ifdef __cplusplus
}
#endif
#endif
