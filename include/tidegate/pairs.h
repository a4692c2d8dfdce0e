/* tidegate/pairs.h -- parallel text: source<TAB>target, UTF-8, one pair a line. */
#ifndef TIDEGATE_PAIRS_H
#define TIDEGATE_PAIRS_H

#include "tokenizer.h"

#ifdef __cplusplus
extern "C" {
#endif

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

#ifdef __cplusplus
}
#endif
#endif
