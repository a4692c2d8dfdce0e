/* core/lowercase.h -- lower case, as tokenizers and metrics both write it. */
#ifndef CORE_LOWERCASE_H
#define CORE_LOWERCASE_H

#include <stddef.h>
#include <stdint.h>

/* The lower case of code[i] in a text of n code points: Unicode's full default mapping (The Unicode Standard, section
 * 3.13, and SpecialCasing.txt), but for U+0130, whose i is followed by U+0307. A capital sigma becomes the final one at
 * the end of a word. The code points before i may be in lower case already. */
uint32_t tg__lowercase(const uint32_t *code, size_t n, size_t i);

#endif
