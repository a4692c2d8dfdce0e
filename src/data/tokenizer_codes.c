/* data/tokenizer_codes.c -- byte-pair codes: learnt from texts, or read from a file. */
#include <string.h>

#include "core/check.h"
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
    if (!k || k->cx->status) return false;
    if (tg__has_codes(k) && !k->ready) return true;
    tg_context_fail(k->cx, TG_ERR_STATE, "%s: a tokenizer of kind %s%s", who,
                    tg_tokenizer_name(k->config.kind), k->ready ? " that has its codes" : " has no codes");
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
    if (!is_open(k, "tg_tokenizer_add") || !GIVEN(k->cx, ARG(text))) return;
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

typedef struct codes_file {
    tg_tokenizer *k;
    const char *name, *next, *end;
    int line;
} codes_file;

typedef struct piece {
    const char *at;
    size_t bytes;
} piece;

/* The next line without spaces and CRs around it, and without a byte order mark in front. */
static tg_status next_line(codes_file *f, piece *line)
{
    const char *newline = memchr(f->next, '\n', (size_t)(f->end - f->next)),
               *stop = newline ? newline : f->end, *p = tg__after_marks(f->next);
    f->next = newline ? newline + 1 : f->end;
    f->line++;
    while (p < stop && *p == ' ') p++;
    while (stop > p && (stop[-1] == ' ' || stop[-1] == '\r')) stop--;
    *line = (piece){ p, (size_t)(stop - p) };
    if (!memchr(p, '\r', line->bytes)) return TG_OK;
    return tg_context_note(f->k->cx, TG_ERR_FORMAT,
                           "%s: line %d has a carriage return (CR) inside: lines end in LF or CR LF",
                           tg__shown_path(f->name).s, f->line);
}

static bool is_version(piece x, const char *version)
{
    return x.bytes == strlen(version) && !memcmp(x.at, version, x.bytes);
}

/* subword-nmt: the last word of "#version: 0.2", without any ".0" at its end. */
static piece version_of(piece line)
{
    const char *end = line.at + line.bytes, *p = end;
    while (p > line.at && !tg__is_space(p[-1])) p--;
    for (const char *dot; (dot = memrchr(p, '.', (size_t)(end - p)));) {
        const size_t zeros = strspn(dot + 1, "0");
        if (!zeros || dot + 1 + zeros != end) break;
        end = dot;
    }
    return (piece){ p, (size_t)(end - p) };
}

/* "#version: 0.2", if the file begins so; without such a line the version is 0.1. */
static tg_status read_version(codes_file *f, bool *old)
{
    static const char mark[] = "#version:";
    const codes_file start = *f;
    piece line;
    const tg_status s = next_line(f, &line);
    const piece version = version_of(line);
    *old = true;
    if (s) return s;
    if (line.bytes < strlen(mark) || memcmp(line.at, mark, strlen(mark)) != 0) return *f = start, TG_OK;
    *old = is_version(version, "0.1");
    if (*old || is_version(version, "0.2")) return TG_OK;
    const char *said = line.at + strlen(mark) + strspn(line.at + strlen(mark), " ");
    const size_t bytes = (size_t)(line.at + line.bytes - said);
    char shown[64] = "";
    memcpy(shown, said, bytes < sizeof shown ? bytes : sizeof shown - 1);
    return tg_context_note(f->k->cx, TG_ERR_FORMAT,
                           "%s: codes of version '%s': 0.1 and 0.2 can be read, as by subword-nmt",
                           tg__shown_path(f->name).s, tg__shown_text(shown).s);
}

static tg_status read_lines(codes_file *f)
{
    while (f->end > f->next && strchr("\n\r ", f->end[-1])) f->end--; /* empty lines at the end */
    while (f->next < f->end) {
        piece x;
        const tg_status s = next_line(f, &x);
        if (s) return s;
        if (!tg__is_code(x.at, x.bytes))
            return tg_context_note(f->k->cx, TG_ERR_FORMAT,
                                   "%s: line %d is not two symbols with a space between",
                                   tg__shown_path(f->name).s, f->line);
        if (x.bytes - 1 > CODES_LONGEST_SYMBOL)
            return tg_context_note(
                f->k->cx, TG_ERR_FORMAT, "%s: line %d: a code of %zu bytes, at most %d make a token",
                tg__shown_path(f->name).s, f->line, x.bytes - 1, (int)CODES_LONGEST_SYMBOL);
        if (!tg__codes_add(&f->k->codes, x.at, x.bytes)) return tg__status_taken(f->k->cx);
    }
    return TG_OK;
}

tg_status tg_tokenizer_read(tg_tokenizer *k, const char *path)
{
    if (!k) return TG_ERR_ARGUMENT;
    tg_context *cx = k->cx;
    char *text;
    size_t bytes;
    bool old;
    if (cx->status) return cx->status;
    const tg_status missing = UNNAMED(cx, path);
    if (missing) return missing;
    if (!is_open(k, "tg_tokenizer_read")) return tg__status_taken(cx);
    tg_status s = tg__text_read(cx, path, &text, &bytes);
    if (s) return s;
    codes_file f = { .k = k, .name = path, .next = text, .end = text + bytes };
    s = read_version(&f, &old);
    if (!s && !tg__codes_init(&k->codes, cx, old)) s = tg__status_taken(cx);
    if (!s) s = read_lines(&f);
    if (s)
        tg__codes_free(&k->codes);
    else
        k->ready = true;
    tg__release(cx, text);
    return s;
}

/* ---- asked ---- */

int tg_tokenizer_merges(const tg_tokenizer *k) { return k && k->ready ? k->codes.n : 0; }

const char *tg_tokenizer_merge(const tg_tokenizer *k, int i)
{
    return k && k->ready && i >= 0 && i < k->codes.n ? k->codes.text[i] : "";
}
