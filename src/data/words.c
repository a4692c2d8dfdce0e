/* data/words.c -- text to words and punctuation; the rules are in tidegate/tokenizer.h.
 *
 * Atoms are what is never cut: a character with its marks (an extended grapheme cluster, UAX 29), or one of
 * Moses' entities. Chunks are what white space separates. */
#include <string.h>

#include <utf8proc.h>

#include "data/lexicon.h"
#include "data/tokenizer.h"

/* ---- atoms ---- */

typedef enum sign { END, SPACE, LETTER, DIGIT, APOSTROPHE, HYPHEN, STOP, COMMA, OTHER } sign;

typedef struct atom {
    const char *at;
    size_t bytes;
    int32_t code; /* of its first character; of an entity, that of '&'; -1: a byte that is none */
    sign sign;
} atom;

static sign sign_of(int32_t code)
{
    switch (code) {
    case '\'':
    case 0x2019: return APOSTROPHE;
    case '-':
    case 0x2010:
    case 0x2011: return HYPHEN;
    case '.': return STOP;
    case ',': return COMMA;
    case 0x85: return SPACE; /* next line */
    default: break;
    }
    if (code < 0) return LETTER;
    if (code < 0x80 && tg__is_space((char)code)) return SPACE;
    const utf8proc_category_t c = utf8proc_category(code);
    if (c >= UTF8PROC_CATEGORY_ZS && c <= UTF8PROC_CATEGORY_ZP) return SPACE;
    if (c >= UTF8PROC_CATEGORY_ND && c <= UTF8PROC_CATEGORY_NO) return DIGIT;
    if (c >= UTF8PROC_CATEGORY_PC && c <= UTF8PROC_CATEGORY_SO) return OTHER;
    return c == UTF8PROC_CATEGORY_CC ? OTHER : LETTER; /* with marks, and what is invisible or unknown */
}

/* The character at p: its code, and its bytes in *bytes; -1 and one byte: none. */
static int32_t code_at(const char *p, size_t *bytes)
{
    utf8proc_int32_t code = -1;
    const int n = tg__utf8_bytes(p);
    *bytes = n ? (size_t)n : 1;
    if (n == 1) return (unsigned char)*p;
    if (n) utf8proc_iterate((const utf8proc_uint8_t *)p, n, &code);
    return code;
}

/* Bytes of the characters at p that belong to the one before it. ASCII never does. */
static size_t extension(const char *p, int32_t before)
{
    utf8proc_int32_t state = 0;
    size_t n = 0, bytes;
    while ((unsigned char)p[n] >= 0x80) {
        const int32_t code = code_at(p + n, &bytes);
        if (code < 0 || before < 0 || sign_of(code) == SPACE ||
            utf8proc_grapheme_break_stateful(before, code, &state))
            break;
        before = code;
        n += bytes;
    }
    return n;
}

static const struct {
    const char *text;
    sign sign;
} entities[] = {
    { "&amp;", OTHER },  { "&lt;", OTHER },        { "&gt;", OTHER },
    { "&quot;", OTHER }, { "&apos;", APOSTROPHE }, { "&#39;", APOSTROPHE },
    { "&#91;", OTHER },  { "&#93;", OTHER },       { "&#124;", OTHER },
};

static atom atom_at(const char *p)
{
    atom a = { .at = p };
    if (!*p) return a;
    a.code = code_at(p, &a.bytes);
    a.sign = sign_of(a.code);
    for (size_t i = 0; *p == '&' && i < sizeof entities / sizeof *entities; i++) {
        const size_t n = strlen(entities[i].text);
        if (!strncmp(p, entities[i].text, n)) a.bytes = n, a.sign = entities[i].sign;
    }
    if (a.sign != SPACE) a.bytes += extension(p + a.bytes, a.code);
    return a;
}

static bool is_end(atom a) { return a.sign == END || a.sign == SPACE; }
static bool is_word(atom a) { return a.sign == LETTER || a.sign == DIGIT; }
static atom after(atom a) { return is_end(a) ? a : atom_at(a.at + a.bytes); }

static bool is_same(atom a, atom b) { return a.bytes == b.bytes && !memcmp(a.at, b.at, a.bytes); }

/* ---- words ---- */

/* In lower case, without what stands on it. */
static int32_t plain_letter(int32_t code)
{
    utf8proc_int32_t part[8];
    int last = 0;
    const utf8proc_int32_t lower = utf8proc_tolower(code);
    return utf8proc_decompose_char(lower, part, 8, UTF8PROC_DECOMPOSE, &last) > 0 ? part[0] : lower;
}

static bool is_vowel(int32_t letter)
{
    return letter == 0x153 || letter == 0xE6 || (letter > 0 && letter < 0x80 && strchr("aeiouy", letter));
}

/* Is text[0..n-1] this, but for the case of ASCII letters? */
static bool spells(const char *text, size_t n, const char *lower)
{
    for (size_t i = 0; i < n; i++) {
        const char c = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] + ('a' - 'A')) : text[i];
        if (!lower[i] || c != lower[i]) return false;
    }
    return !lower[n];
}

static bool is_one_of(const char *text, size_t n, const char *const list[], size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (spells(text, n, list[i])) return true;
    return false;
}
#define IS_ONE_OF(text, n, list) is_one_of(text, n, list, sizeof(list) / sizeof *(list))

/* Can a word that begins with a follow an elided one? It begins with a vowel or h, and is none of English. */
static bool invites_elision(atom a)
{
    static const char *const english[] = { "you", "ya", "ye", "em" }; /* d'you, tell'em */
    const int32_t letter = a.sign == LETTER ? plain_letter(a.code) : 0;
    if (letter != 'h' && !is_vowel(letter)) return false;
    atom end = a;
    while (is_word(end)) end = after(end);
    return !IS_ONE_OF(a.at, (size_t)(end.at - a.at), english);
}

/* Can what stands before the apostrophe be an elided word? It has lost its last vowel: l', qu', grand'; not dogs', y'. */
static bool is_elided(const char *start, atom apostrophe)
{
    static const char *const longer[] = { "aujourd", "dall",  "dell", "grand", "nell",
                                          "quell",   "quest", "sant", "sull" };
    int32_t last = 0, before = 0;
    int n = 0;
    for (atom a = atom_at(start); a.at < apostrophe.at; a = after(a), n++)
        before = last, last = a.sign == LETTER ? plain_letter(a.code) : 0;
    if (before == 'q' && last == 'u') return true;
    if (last < 'a' || last > 'z' || is_vowel(last) || (last == 's' && n > 1)) return false;
    return apostrophe.code != 0x2019 || n <= 2 || IS_ONE_OF(start, (size_t)(apostrophe.at - start), longer);
}

/* Does a full stop after the word belong to it? J. U.S. Ph.D. Mr. */
static bool is_abbreviation(const char *start, const char *stop)
{
    static const char *const titles[] = { "mr",   "mrs", "ms", "mme", "mlle", "dr",
                                          "prof", "st",  "jr", "sr",  "vs" };
    int parts = 1, longest = 0, n = 0;
    if (IS_ONE_OF(start, (size_t)(stop - start), titles)) return true;
    for (atom a = atom_at(start); a.at < stop; a = after(a)) {
        if (a.sign != LETTER && a.sign != STOP) return false;
        n = a.sign == LETTER ? n + 1 : 0;
        parts += a.sign == STOP;
        if (n > longest) longest = n;
    }
    return longest == 1 || (parts > 1 && longest == 2);
}

/* The end of the word that begins at start and is scanned from a on. quoted: a quotation may end here, so
 * that an apostrophe at the end is no part of the word. *elided: it ends in an apostrophe. */
static const char *word_end(const char *start, atom a, bool quoted, bool *elided)
{
    *elided = false;
    for (atom before = a;; before = a, a = after(a)) {
        const atom next = after(a);
        const bool inside = is_word(next);
        if (is_word(a)) continue;
        if (a.sign == HYPHEN && (inside || is_end(next))) {
            if (!inside) return next.at;
        } else if (a.sign == STOP) {
            if (!inside) return next.sign != STOP && is_abbreviation(start, a.at) ? next.at : a.at;
        } else if (a.sign == APOSTROPHE) {
            *elided =
                is_elided(start, a) && (inside ? invites_elision(next) : !quoted && next.sign != APOSTROPHE);
            return *elided ? next.at : a.at;
        } else if (a.sign != COMMA || before.sign != DIGIT || next.sign != DIGIT) {
            return a.at;
        }
    }
}

/* Does an apostrophe close the quotation that one before a opened, in the same word? */
static bool is_closed(atom a)
{
    for (;; a = after(a)) {
        const atom next = after(a);
        if (is_end(a)) return false;
        if (is_word(a)) continue;
        if (a.sign == APOSTROPHE && !is_word(next)) return true;
        if (!is_word(next) || a.sign == COMMA || a.sign == OTHER) /* 'yes,' */
            return next.sign == APOSTROPHE && !is_word(after(next));
    }
}

/* ---- chunks ---- */

typedef struct token {
    const char *at, *end;
    bool word; /* rather than punctuation */
} token;

/* The token at p, where the one before ended, if there is one in this chunk. */
static token token_at(const char *p, const token *before)
{
    const atom a = atom_at(p), next = after(a);
    bool quoted = false, elided;
    if (is_word(a)) {
        for (atom b = before ? atom_at(before->at) : a; b.at < p; b = after(b)) quoted = b.sign == APOSTROPHE;
        return (token){ p, word_end(p, a, quoted, &elided), true };
    }
    if (a.sign == APOSTROPHE && is_word(next) && ((before && before->word) || !is_closed(next))) {
        const char *end = word_end(next.at, next, true, &elided);
        if (!elided) return (token){ p, end, true }; /* else it is a quotation that begins: 'l'eau */
    }
    if ((a.sign == HYPHEN && is_word(next)) || (a.sign == STOP && next.sign == DIGIT) ||
        (a.sign == STOP && is_word(next) && !before)) /* .NET */
        return (token){ p, word_end(p, next, false, &elided), true };
    atom end = next;
    while (a.code != '@' && is_same(a, end)) end = after(end);
    return (token){ p, end.at, false };
}

/* Which of two tokens that touch has the joiner: the punctuation; of two words, that with the apostrophe;
 * of two signs, the one farther from the chunk's first word. */
static bool is_joined_behind(const token *now, const token *then, bool word_seen)
{
    if (now->word && then->word) return is_word(atom_at(then->at));
    return now->word != then->word ? then->word : !word_seen && !is_end(atom_at(then->end));
}

/* Bytes of a chunk that is one token whatever it holds; 0: it is none. */
static size_t whole_chunk(const char *p)
{
    static const char *const forms[] = { "n't", "n&apos;t", "n\xE2\x80\x99t" };
    size_t bytes = 0;
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        const size_t n = strlen(forms[i]);
        if (strnlen(p, n) == n && spells(p, n, forms[i])) bytes = n;
    }
    for (int i = 0; i < TG_SPECIAL_TOKENS; i++)
        if (!strncmp(p, tg__special[i], strlen(tg__special[i]))) bytes = strlen(tg__special[i]);
    const atom a = atom_at(p), inner = after(a), last = after(inner);
    if (a.code == '@' && a.bytes == 1 && inner.code != '@' && !is_word(inner) && is_same(a, last)) /* @-@ */
        bytes = (size_t)(last.at - p) + last.bytes;
    return bytes && is_end(atom_at(p + bytes)) ? bytes : 0;
}

/* Returns the end of the chunk at p. */
static const char *cut_chunk(const char *p, void (*found)(void *user, const cut_word *w), void *user)
{
    const size_t whole = whole_chunk(p);
    if (whole) {
        found(user, &(cut_word){ p, whole, .whole = tg__is_special(p, whole) });
        return p + whole;
    }
    bool left = false, word_seen = false;
    for (token now = token_at(p, NULL), then;; now = then) {
        const bool last = is_end(atom_at(now.end));
        then = last ? now : token_at(now.end, &now);
        word_seen = word_seen || now.word;
        const bool right = !last && is_joined_behind(&now, &then, word_seen);
        found(user, &(cut_word){ now.at, (size_t)(now.end - now.at), left, right });
        if (last) return now.end;
        left = !right;
    }
}

void tg__words(const char *text, void (*found)(void *user, const cut_word *w), void *user)
{
    for (atom a = atom_at(text); a.sign != END; a = atom_at(text))
        text = a.sign == SPACE ? a.at + a.bytes : cut_chunk(a.at, found, user);
}

bool tg__is_blank(const char *text)
{
    size_t bytes;
    for (; *(text = tg__after_marks(text)); text += bytes)
        if (sign_of(code_at(text, &bytes)) != SPACE) return false;
    return true;
}

bool tg__is_word_token(const char *t)
{
    size_t n = strlen(t), bytes;
    if (n > JOINER_BYTES && tg__starts(t, JOINER)) t += JOINER_BYTES, n -= JOINER_BYTES;
    if (n > JOINER_BYTES && tg__starts(t + n - JOINER_BYTES, JOINER)) n -= JOINER_BYTES;
    for (size_t i = 0; i < n; i += bytes)
        if (tg__starts(t + i, JOINER) || sign_of(code_at(t + i, &bytes)) == SPACE) return false;
    return n;
}
