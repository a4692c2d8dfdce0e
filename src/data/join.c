/* data/join.c -- tokens to text. */
#include <string.h>

#include "data/tokenizer.h"

/* Like strlcat over several pieces: `needed` counts on when the room is used up. */
static void append(joining *j, const char *piece, size_t n)
{
    for (size_t i = 0; i < n; i++, j->needed++)
        if (j->needed + 1 < j->bytes) j->text[j->needed] = piece[i];
}

/* A word's text: ESCAPE with a digit is a character again. */
static void append_body(joining *j, const char *p, const char *end)
{
    while (p < end) {
        const size_t plain = strcspn(p, "\xEF");
        const size_t n = plain < (size_t)(end - p) ? plain : (size_t)(end - p);
        append(j, p, n);
        p += n;
        if (p == end) break;
        const bool escaped = end - p >= ESCAPE_BYTES && tg__starts(p, ESCAPE) && (p[3] == '0' || p[3] == '1');
        append(j, escaped && p[3] == '1' ? JOINER : p, escaped ? JOINER_BYTES : 1);
        p += escaped ? ESCAPE_BYTES : 1;
    }
}

static void join_word(joining *j, const char *token)
{
    const char *end = token + strlen(token);
    const bool left = tg__starts(token, JOINER);
    if (left) token += JOINER_BYTES;
    const bool right = end - token >= JOINER_BYTES && tg__starts(end - JOINER_BYTES, JOINER);
    const bool more = tg__has_codes(j->k) && !right && end - token > MORE_BYTES &&
                      !memcmp(end - MORE_BYTES, MORE, MORE_BYTES);
    if (right) end -= JOINER_BYTES;
    if (more) end -= MORE_BYTES;
    if (j->begun && !j->joined && !left) append(j, " ", 1);
    append_body(j, token, end);
    j->joined = right || more;
}

void tg__join_token(joining *j, const char *token)
{
    const tg_tokenizer_kind kind = j->k->config.kind;
    if (kind == TG_WORDS || tg__has_codes(j->k)) {
        join_word(j, token);
    } else {
        if (j->begun && kind == TG_SPACES) append(j, " ", 1);
        append(j, token, strlen(token));
    }
    j->begun = true;
}

/* Ends the text after what was stored, or before its last character if that was cut. */
size_t tg__join_end(joining *j)
{
    if (!j->bytes) return j->needed;
    const size_t stored = j->needed < j->bytes ? j->needed : j->bytes - 1;
    size_t last = stored;
    j->text[stored] = 0;
    while (last && ((unsigned char)j->text[--last] & 0xC0) == 0x80) {}
    if (stored < j->needed && !tg__utf8_bytes(j->text + last)) j->text[last] = 0;
    return j->needed;
}

/* Are the tokens there, and room where room was promised? */
static bool tokens_hold(const tg_tokenizer *k, const char *who, int n, const char *const token[],
                        const char *text, size_t bytes)
{
    const char *missing = !text && bytes ? "text" : !token && n > 0 ? "token" : NULL;
    if (missing) tg_context_fail(k->cx, TG_ERR_ARGUMENT, "%s: %s is NULL", who, missing);
    for (int i = 0; !missing && i < n; i++)
        if (!token[i]) {
            tg_context_fail(k->cx, TG_ERR_ARGUMENT, "%s: token %d of %d is NULL", who, i, n);
            return false;
        }
    return !missing;
}

size_t tg_tokenizer_join(const tg_tokenizer *k, int n, const char *const token[], char *text, size_t bytes)
{
    if (!k) k = &tg__tokenizer_nil;
    joining j = { .k = k, .text = text, .bytes = text ? bytes : 0 };
    if (!tokens_hold(k, "tg_tokenizer_join", n, token, text, bytes)) return tg__join_end(&j);
    for (int i = 0; i < n; i++) tg__join_token(&j, token[i]);
    return tg__join_end(&j);
}

/* Does a piece's word go on in the next token? */
static bool goes_on(const char *token)
{
    const size_t n = strlen(token);
    return n > MORE_BYTES && !memcmp(token + n - MORE_BYTES, MORE, MORE_BYTES);
}

size_t tg_tokenizer_word(const tg_tokenizer *k, int n, const char *const token[], int i, char *text,
                         size_t bytes)
{
    if (!k) k = &tg__tokenizer_nil;
    joining j = { .k = k, .text = text, .bytes = text ? bytes : 0 };
    if (!tokens_hold(k, "tg_tokenizer_word", n, token, text, bytes)) return tg__join_end(&j);
    const bool pieces = tg__has_codes(k);
    int first = i;
    if (i < 0 || i >= n) return tg__join_end(&j);
    while (pieces && first > 0 && goes_on(token[first - 1])) first--;
    for (bool more = true; more && first < n; first++) {
        more = pieces && goes_on(token[first]);
        append(&j, token[first], strlen(token[first]) - (more ? MORE_BYTES : 0));
    }
    return tg__join_end(&j);
}
