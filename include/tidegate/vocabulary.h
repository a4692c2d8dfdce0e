/* tidegate/vocabulary.h -- tokens and their numbers. */
#ifndef TIDEGATE_VOCABULARY_H
#define TIDEGATE_VOCABULARY_H

#include "archive.h"
#include "tokenizer.h"

#ifdef __cplusplus
extern "C" {
#endif

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

#ifdef __cplusplus
}
#endif
#endif
