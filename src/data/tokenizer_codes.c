/* data/tokenizer_codes.c -- the codes of TG_BPE: learnt from texts, or read from a file. */
#include <string.h>

#include "data/codes.h"
#include "data/tokenizer.h"

enum { STANDARD_MERGES = 8000, STANDARD_FREQUENCY = 2 };

static void release(void *object)
{
    tg_tokenizer *k = object;
    tg__lexicon_free(&k->words);
    tg__codes_free(&k->codes);
}

bool tg__tokenizer_begin_codes(tg_tokenizer *k)
{
    tg__arena_init(&k->words.memory, k->cx);
    tg__arena_init(&k->codes.symbols.memory, k->cx);
    tg__context_on_free(k->cx, release, k);
    return !k->cx->status && tg__lexicon_init(&k->words, k->cx);
}

/* ---- learnt ---- */

/* Can k be given codes? If not, the context is in error. */
static bool is_open(tg_tokenizer *k, const char *who)
{
    if (k->cx->status) return false;
    if (k->config.kind == TG_BPE && !k->ready) return true;
    tg_context_fail(k->cx, TG_ERR_STATE, "%s: a tokenizer of kind %s%s", who,
                    tg_tokenizer_name(k->config.kind),
                    k->ready && k->config.kind == TG_BPE ? " that has its codes" : " has no codes");
    return false;
}

static void count_word(void *user, const char *text, size_t bytes)
{
    tg_tokenizer *k = user;
    const int i = tg__lexicon_enter(&k->words, text, bytes);
    if (i >= 0) k->words.entry[i].count++;
}

void tg_tokenizer_add(tg_tokenizer *k, const char *text)
{
    size_t at;
    if (!is_open(k, "tg_tokenizer_add")) return;
    if (!tg_utf8_valid(text, &at))
        tg_context_fail(k->cx, TG_ERR_DATA,
                        "tg_tokenizer_add: byte %zu of the text: not valid UTF-8 (byte 0x%02X)", at + 1,
                        (unsigned char)text[at]);
    else if (tg__tokenizer_bodies(k, text, count_word, k))
        tg_context_fail(k->cx, TG_ERR_MEMORY, "tg_tokenizer_add: out of memory: a text of %zu bytes",
                        strlen(text));
}

void tg_tokenizer_learn(tg_tokenizer *k, int merges, int min_frequency)
{
    if (!is_open(k, "tg_tokenizer_learn")) return;
    if (merges < 0 || min_frequency < 0) {
        tg_context_fail(k->cx, TG_ERR_ARGUMENT,
                        "tg_tokenizer_learn: %d merges, min_frequency %d: both are at least 0", merges,
                        min_frequency);
        return;
    }
    k->ready = tg__codes_init(&k->codes, k->cx, false) &&
               tg__codes_learn(&k->codes, &k->words, merges ? merges : STANDARD_MERGES,
                               min_frequency ? min_frequency : STANDARD_FREQUENCY);
    if (k->ready)
        tg__lexicon_free(&k->words);
    else
        tg__codes_free(&k->codes); /* still to be learnt, and nothing lost */
}

/* ---- read ---- */

/* "#version: 0.2"; without such a line, 0.1. Moves *p past it. */
static tg_status read_version(tg_tokenizer *k, const char *name, const char **p, bool *old)
{
    static const char mark[] = "#version:";
    const size_t bytes = strcspn(*p, "\r\n");
    *old = true;
    if (strncmp(*p, mark, strlen(mark)) != 0) return TG_OK;
    const char *version = *p + strlen(mark) + strspn(*p + strlen(mark), " ");
    const size_t n = (size_t)(*p + bytes - version);
    *old = n == 3 && !memcmp(version, "0.1", 3);
    if (!*old && (n != 3 || memcmp(version, "0.2", 3) != 0)) {
        char shown[64] = "";
        memcpy(shown, version, n < sizeof shown ? n : sizeof shown - 1);
        return tg_context_note(k->cx, TG_ERR_FORMAT, "%s: codes of version '%s': 0.1 and 0.2 can be read",
                               tg__shown_path(name).s, tg__shown_text(shown).s);
    }
    *p += bytes;
    if (**p) *p += strspn(*p, "\r") + 1;
    return TG_OK;
}

/* White space around a line is no part of it; nor are empty lines at the end. */
static tg_status read_lines(tg_tokenizer *k, const char *name, const char *p, const char *end, int line)
{
    while (end > p && (end[-1] == '\n' || end[-1] == '\r' || end[-1] == ' ')) end--;
    for (; p < end; line++) {
        const char *newline = memchr(p, '\n', (size_t)(end - p));
        const char *stop = newline ? newline : end, *next = stop + (newline != NULL);
        while (p < stop && *p == ' ') p++;
        while (stop > p && (stop[-1] == ' ' || stop[-1] == '\r')) stop--;
        if (!tg__is_code(p, (size_t)(stop - p)))
            return tg_context_note(k->cx, TG_ERR_FORMAT,
                                   "%s: line %d is not two symbols with a space between",
                                   tg__shown_path(name).s, line);
        if (!tg__codes_add(&k->codes, p, (size_t)(stop - p))) return tg__status_taken(k->cx);
        p = next;
    }
    return TG_OK;
}

tg_status tg_tokenizer_read(tg_tokenizer *k, const char *path)
{
    tg_context *cx = k->cx;
    char *text;
    size_t bytes;
    bool old;
    if (cx->status) return cx->status;
    if (!is_open(k, "tg_tokenizer_read")) return tg__status_taken(cx);
    tg_status s = tg__text_read(cx, path, &text, &bytes);
    if (s) return s;
    const char *p = text;
    s = read_version(k, path, &p, &old);
    if (!s && !tg__codes_init(&k->codes, cx, old)) s = tg__status_taken(cx);
    if (!s) s = read_lines(k, path, p, text + bytes, p == text ? 1 : 2);
    if (s)
        tg__codes_free(&k->codes);
    else
        k->ready = true;
    tg__release(cx, text);
    return s;
}

/* ---- asked ---- */

int tg_tokenizer_merges(const tg_tokenizer *k) { return k->ready ? k->codes.n : 0; }

const char *tg_tokenizer_merge(const tg_tokenizer *k, int i)
{
    return k->ready && i >= 0 && i < k->codes.n ? k->codes.text[i] : "";
}
