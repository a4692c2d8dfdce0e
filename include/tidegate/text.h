/* tidegate/text.h -- is it UTF-8, and how to show it safely. */
#ifndef TIDEGATE_TEXT_H
#define TIDEGATE_TEXT_H

#include "core.h"

#ifdef __cplusplus
extern "C" {
#endif

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

#ifdef __cplusplus
}
#endif
#endif
