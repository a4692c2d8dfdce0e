/* core/utf8.h -- what is UTF-8, strictly. */
#ifndef CORE_UTF8_H
#define CORE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* Bytes of the character that text starts with (a 0 is one byte), or 0: what is there is not UTF-8.
 * Reads no byte after one that settles it, so never past a terminating 0. */
int tg__utf8_bytes(const char *text);

/* Is the text (0-terminated) UTF-8? If not, *at (unless NULL) is where the first character that is none begins. */
bool tg__utf8_valid(const char *text, size_t *at);

#endif
