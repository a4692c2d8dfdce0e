/* data/pairs.c -- source<TAB>target, one pair a line: read whole, looked at byte by byte, kept in place.
 *
 * The file's bytes stay where they were read; each side of a pair is cut out of them by a 0. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <xxhash.h>

#include "data/tokenizer.h"

typedef struct pair {
    uint32_t source, target; /* where in the text */
    int32_t line;            /* from 1 */
} pair;

struct tg_pairs {
    tg_context *cx;
    char *text;
    pair *pair;
    int n;
};

typedef struct reader {
    tg_context *cx;
    const char *name; /* of the file */
    tg_pairs_config config;
    tg_pairs *pairs;
    tg_pairs_info info; /* info.lines is the line being read */
    char *line;         /* where that starts */
} reader;

shown_path tg__shown_path(const char *path)
{
    shown_path p;
    const size_t n = strlen(path), room = sizeof p.s - 4;
    snprintf(p.s, sizeof p.s, "%s%s", n > room ? "..." : "", n > room ? path + n - room : path);
    return p;
}

/* "train.tsv: line 17, byte 5: ..."; at is in the line. */
static tg_status refuse(const reader *r, const char *at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static tg_status refuse(const reader *r, const char *at, const char *format, ...)
{
    char what[200];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    return tg_context_note(r->cx, TG_ERR_DATA, "%s: line %lld, byte %lld: %s", tg__shown_path(r->name).s,
                           (long long)r->info.lines, (long long)(at - r->line) + 1, what);
}

/* The bytes of what should have been a character: as many as the first one promises, up to the one
 * that breaks the promise. */
static tg_status refuse_bytes(const reader *r, const char *at, const char *end)
{
    const unsigned char first = (unsigned char)*at;
    const int promised = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : first >= 0xC0 ? 2 : 1;
    char bytes[32] = "";
    int n = 0;
    for (int i = 0; i < promised && at + i < end; i++) {
        n += snprintf(bytes + n, sizeof bytes - (size_t)n, " 0x%02X", (unsigned char)at[i]);
        if (i && ((unsigned char)at[i] & 0xC0) != 0x80) break;
    }
    const bool utf16 = r->info.lines == 1 && at == r->line && (first == 0xFE || first == 0xFF);
    return refuse(r, at, "not valid UTF-8 (byte%s)%s", bytes, utf16 ? "; it looks like UTF-16" : "");
}

static tg_status check_bytes(const reader *r, const char *end)
{
    for (const char *p = r->line; p < end;) {
        const int bytes = tg__utf8_bytes(p);
        if (!*p) return refuse(r, p, "a NUL byte: this is not text");
        if (*p == '\r') return refuse(r, p, "a carriage return (CR) inside a line: lines end in LF or CR LF");
        if (!bytes) return refuse_bytes(r, p, end);
        p += bytes;
    }
    return TG_OK;
}

/* The text of [from, end), without ASCII white space and byte order marks around it: ended with a 0, at end or
 * before. Empty if it is blank by Unicode. */
static char *cut(char *from, char *end)
{
    bool mark;
    while ((mark = end - from >= MARK_BYTES && tg__starts(from, MARK)) || (from < end && tg__is_space(*from)))
        from += mark ? MARK_BYTES : 1;
    while (end > from && tg__is_space(end[-1])) end--;
    *end = 0;
    return tg__is_blank(from) ? end : from;
}

static void count(int64_t *n, int64_t *first, int64_t line)
{
    if (!(*n)++) *first = line;
}

static tg_status count_tokens(const tg_tokenizer *k, const char *text, int *n)
{
    size_t bytes;
    if (k) return tg__tokenize(k, text, NULL, NULL, n);
    for (*n = 0; text = tg__next_spaced(text, &bytes), bytes; text += bytes) ++*n;
    return TG_OK;
}

/* The line [r->line, end), without its LF; *end may be overwritten. */
static tg_status read_line(reader *r, char *end)
{
    tg_pairs *p = r->pairs;
    while (end > r->line && end[-1] == '\r') end--;
    if (end - r->line > PAIRS_MOST_LINE)
        return refuse(r, r->line + PAIRS_MOST_LINE, "the line has %lld bytes, more than %d",
                      (long long)(end - r->line), PAIRS_MOST_LINE);
    const tg_status s = check_bytes(r, end);
    if (s) return s;

    char *tab = memchr(r->line, '\t', (size_t)(end - r->line));
    if (!tab) {
        if (!*cut(r->line, end)) return r->info.blank++, TG_OK;
        return refuse(r, end, "the line ends without a tab between source and target");
    }
    char *third = memchr(tab + 1, '\t', (size_t)(end - tab - 1));
    if (third) count(&r->info.extra_columns, &r->info.first_extra_column, r->info.lines);
    char *source = cut(r->line, tab), *target = cut(tab + 1, third ? third : end);
    if (!*source) return refuse(r, r->line, "nothing before the tab: the source is empty");
    if (!*target) return refuse(r, tab + 1, "nothing after the tab: the target is empty");

    int source_tokens, target_tokens = 0;
    tg_status failed = count_tokens(r->config.tokenizer, source, &source_tokens);
    if (!failed) failed = count_tokens(r->config.target_tokenizer, target, &target_tokens);
    if (failed) return failed;
    if (source_tokens > r->config.max_length || target_tokens > r->config.max_length)
        count(&r->info.too_long, &r->info.first_too_long, r->info.lines);
    else
        p->pair[p->n++] =
            (pair){ (uint32_t)(source - p->text), (uint32_t)(target - p->text), (int32_t)r->info.lines };
    return TG_OK;
}

static tg_status read_lines(reader *r)
{
    char *const begin = r->pairs->text, *const end = begin + r->info.bytes;
    char *next = begin;
    while (next < end) {
        char *newline = memchr(next, '\n', (size_t)(end - next));
        r->line = next + (tg__after_marks(next) - next);
        r->info.lines++;
        next = newline ? newline + 1 : end;
        const tg_status s = read_line(r, newline ? newline : end);
        if (s) return s;
    }
    r->info.pairs = r->pairs->n;
    return TG_OK;
}

/* Room for as many pairs as there are lines, or as fit: "a\tb\n" has four bytes. */
static tg_status make_room(tg_pairs *p, size_t bytes)
{
    size_t lines = 1;
    for (const char *q = p->text; (q = memchr(q, '\n', bytes - (size_t)(q - p->text))); q++) lines++;
    if (lines > bytes / 4 + 1) lines = bytes / 4 + 1;
    p->pair = tg__allocate(p->cx, tg__bytes(lines, sizeof *p->pair));
    return p->pair ? TG_OK : TG_ERR_MEMORY;
}

/* Pairs whose source came before, by open addressing. */
static tg_status count_repeated(const tg_pairs *p, tg_pairs_info *info)
{
    size_t slots = 4;
    while (slots < 2 * (size_t)p->n) slots *= 2;
    int32_t *seen = tg__allocate(p->cx, tg__bytes(slots, sizeof *seen)); /* pair + 1; 0: free */
    if (!seen) return TG_ERR_MEMORY;
    for (int i = 0; i < p->n; i++) {
        const char *source = tg_pairs_source(p, i);
        size_t k = (size_t)XXH64(source, strlen(source), 0) & (slots - 1);
        while (seen[k] && strcmp(source, tg_pairs_source(p, seen[k] - 1))) k = (k + 1) & (slots - 1);
        if (seen[k])
            count(&info->repeated_sources, &info->first_repeated, p->pair[i].line);
        else
            seen[k] = i + 1;
    }
    tg__release(p->cx, seen);
    return TG_OK;
}

static tg_status parse(reader *r)
{
    tg_status s;
    if ((s = make_room(r->pairs, (size_t)r->info.bytes)) || (s = read_lines(r))) return s;
    if (!r->pairs->n)
        return tg_context_note(
            r->cx, TG_ERR_DATA, "%s: no pair in %lld line%s: %lld blank, %lld longer than %d tokens",
            tg__shown_path(r->name).s, (long long)r->info.lines, r->info.lines == 1 ? "" : "s",
            (long long)r->info.blank, (long long)r->info.too_long, r->config.max_length);
    return count_repeated(r->pairs, &r->info);
}

static void pairs_release(void *object)
{
    tg_pairs *p = object;
    tg__release(p->cx, p->text);
    tg__release(p->cx, p->pair);
    tg__release(p->cx, p);
}

/* With the context from now on; a status if it has no room to remember that. */
static tg_status keep(tg_pairs *p)
{
    tg__context_on_free(p->cx, pairs_release, p);
    return tg__status_taken(p->cx);
}

tg_status tg__pairs_parse(tg_context *cx, const char *name, char *text, size_t bytes,
                          const tg_pairs_config *config, tg_pairs **pairs, tg_pairs_info *info)
{
    tg_pairs *p = tg__allocate(cx, sizeof *p);
    if (!p) {
        tg__release(cx, text);
        return TG_ERR_MEMORY;
    }
    *p = (tg_pairs){ .cx = cx, .text = text };
    reader r = { .cx = cx, .name = name, .config = *config, .pairs = p };
    r.info.bytes = (int64_t)bytes;
    r.info.digest = XXH64(text, bytes, 0);
    if (!r.config.max_length) r.config.max_length = 100;
    if (!r.config.target_tokenizer) r.config.target_tokenizer = r.config.tokenizer;

    tg_status s = parse(&r);
    if (!s) s = keep(p);
    if (s) {
        pairs_release(p);
        return s;
    }
    *pairs = p;
    if (info) *info = r.info;
    return TG_OK;
}

int tg_pairs_count(const tg_pairs *p) { return p ? p->n : 0; }
tg_context *tg__pairs_context(const tg_pairs *p) { return p->cx; }

const char *tg_pairs_source(const tg_pairs *p, int i)
{
    return p && i >= 0 && i < p->n ? p->text + p->pair[i].source : "";
}

const char *tg_pairs_target(const tg_pairs *p, int i)
{
    return p && i >= 0 && i < p->n ? p->text + p->pair[i].target : "";
}
