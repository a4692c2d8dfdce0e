/* data/data.h -- what the files of this floor share. */
#ifndef DATA_DATA_H
#define DATA_DATA_H

#include <tidegate/batches.h>
#include <tidegate/text.h>

#include "core/context.h"
#include "core/utf8.h"

/* ---- text ---- */

/* ASCII white space: the same in every locale. A no-break space is part of its word. */
static inline bool tg__is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

/* The text after the byte order marks (U+FEFF) that it begins with, which are no part of it. */
const char *tg__after_marks(const char *text);

/* Does text hold nothing but white space, by Unicode, and byte order marks? */
bool tg__is_blank(const char *text);

/* ---- files ---- */

/* *text: the whole file, *bytes of it, and a 0; for tg__release(). A file that is empty, or over a GiB:
 * TG_ERR_DATA; else as tg_pairs_read(). */
tg_status tg__text_read(tg_context *cx, const char *path, char **text, size_t *bytes);

/* ---- pairs ---- */

enum { PAIRS_MOST_FILE = 1 << 30, PAIRS_MOST_LINE = 1000000 }; /* bytes */

/* text[0..bytes-1] and a 0 after it, from tg__allocate, is taken over in any case. `name` is for
 * messages. The rest as tg_pairs_read(). */
tg_status tg__pairs_parse(tg_context *cx, const char *name, char *text, size_t bytes,
                          const tg_pairs_config *config, tg_pairs **pairs, tg_pairs_info *info);

tg_context *tg__pairs_context(const tg_pairs *p);

/* A path as it stands in a message: of a long one the end, which says more. */
typedef struct shown_path {
    char s[256];
} shown_path;
shown_path tg__shown_path(const char *path);

/* Text from a file, as it may stand in a message: short, in one line. */
typedef struct shown_text {
    char s[48];
} shown_text;
shown_text tg__shown_text(const char *text);

/* ---- tokenizers and vocabularies ---- */

/* A tokenizer as "<path>_tokenizer...", and back; on failure *k stays. A failure poisons nothing. */
tg_status tg__tokenizer_put(const tg_tokenizer *k, tg_archive *a, const char *path);
tg_status tg__tokenizer_get(tg_context *cx, const tg_archive *a, const char *path, tg_tokenizer **k);

bool tg__vocabulary_frozen(const tg_vocabulary *v);
tg_context *tg__vocabulary_context(const tg_vocabulary *v);

/* ---- batches ---- */

tg_context *tg__batches_context(const tg_batches *b);

/* ---- errors ---- */

/* A call that returns a status poisons nothing: what a piece of memory that could not be had left in
 * the context becomes the call's own status. Only where the context was well on entry. */
static inline tg_status tg__status_taken(tg_context *cx)
{
    const tg_status s = cx->status;
    cx->status = TG_OK;
    return s;
}

#endif
