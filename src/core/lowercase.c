/* core/lowercase.c -- see lowercase.h. */
#include "core/lowercase.h"

#include <stdbool.h>

#include <utf8proc.h>

enum { CAPITAL_SIGMA = 0x3A3, FINAL_SIGMA = 0x3C2 };

typedef struct range {
    uint32_t from, to;
} range;

static bool is_in(const range *ranges, size_t n, uint32_t c)
{
    for (size_t i = 0; i < n; i++)
        if (c >= ranges[i].from && c <= ranges[i].to) return true;
    return false;
}

/* The property Cased, but for modifier letters, which are passed over before it is asked for. */
static bool is_cased(uint32_t c)
{
    static const range others[] = { { 0xAA, 0xAA },      { 0xBA, 0xBA },       { 0x2160, 0x217F },
                                    { 0x24B6, 0x24E9 },  { 0x1F130, 0x1F149 }, { 0x1F150, 0x1F169 },
                                    { 0x1F170, 0x1F189 } };
    switch (utf8proc_category((utf8proc_int32_t)c)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT: return true;
    default: return is_in(others, sizeof others / sizeof *others, c);
    }
}

/* The property Case_Ignorable: marks and modifiers, and punctuation that stands within words. */
static bool is_ignorable(uint32_t c)
{
    static const range within_words[] = { { '\'', '\'' },     { '.', '.' },       { ':', ':' },
                                          { 0xB7, 0xB7 },     { 0x387, 0x387 },   { 0x55F, 0x55F },
                                          { 0x5F4, 0x5F4 },   { 0x2018, 0x2019 }, { 0x2024, 0x2024 },
                                          { 0x2027, 0x2027 }, { 0xFE13, 0xFE13 }, { 0xFE52, 0xFE52 },
                                          { 0xFE55, 0xFE55 }, { 0xFF07, 0xFF07 }, { 0xFF0E, 0xFF0E },
                                          { 0xFF1A, 0xFF1A } };
    switch (utf8proc_category((utf8proc_int32_t)c)) {
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_SK: return true;
    default: return is_in(within_words, sizeof within_words / sizeof *within_words, c);
    }
}

/* The condition Final_Sigma: a cased letter before it and none after it, within the word. */
static bool is_final(const uint32_t *code, size_t n, size_t i)
{
    size_t before = i, after = i + 1;
    while (before && is_ignorable(code[before - 1])) before--;
    if (!before || !is_cased(code[before - 1])) return false;
    while (after < n && is_ignorable(code[after])) after++;
    return after == n || !is_cased(code[after]);
}

uint32_t tg__lowercase(const uint32_t *code, size_t n, size_t i)
{
    if (code[i] == CAPITAL_SIGMA && is_final(code, n, i)) return FINAL_SIGMA;
    return (uint32_t)utf8proc_tolower((utf8proc_int32_t)code[i]);
}
