/* tools/tidegate/unicode.h -- characters of UTF-8 text, and how wide they are on a screen. */
#ifndef UNICODE_H
#define UNICODE_H

#include <stddef.h>
#include <stdint.h>

enum { UNICODE_REPLACEMENT = 0xFFFD };

/* The character at the start of a text that is not empty: its code point, and how many bytes it has. A byte
 * that is not UTF-8 is a character of its own: UNICODE_REPLACEMENT, 1. */
int unicode_next(const char *text, uint32_t *code);

/* Columns of a terminal: 2 for characters of East Asia and most emoji, 0 for marks that sit on the character
 * before them, 1 for all others. An approximation: terminals and fonts differ. */
int unicode_columns(const char *text);

/* The text, made printable (tg_text_printable()), in at most `columns` columns and bytes - 1 bytes, at most 1023 of them;
 * cut with an ellipsis if need be. bytes >= 1. */
void unicode_elide(const char *text, int columns, char *to, size_t bytes);

#endif
