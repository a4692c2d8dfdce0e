/* data/tokenizer_archive.c -- a tokenizer beside its vocabulary, in an archive.
 *
 *     <path>_tokenizer            its kind's name
 *     <path>_tokenizer_version    of the rules by which its vocabulary was made: 2. Of 1, some words with an
 *                                 apostrophe, or with a full stop in front, were cut in another way, and no sigma
 *                                 became final. Absent: of tidegate 0.1.0, when "words" meant what white space
 *                                 separates, and no text was brought into normal form; no more is stored
 *     <path>_tokenizer_lowercase  0 or 1
 *     <path>_tokenizer_merges     of kinds with codes: how many there are
 *     <path>_tokenizer_codes      those, "left right", if there are any
 *     <path>_tokenizer_format     of kinds with codes: "0.1" or "0.2", subword-nmt's version */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "data/tokenizer.h"

typedef struct entry_path {
    char s[256];
} entry_path;

/* The path of one of the tokenizer's entries; false: too long, which was noted. */
static bool name_entry(tg_context *cx, const char *path, const char *what, entry_path *entry)
{
    const int n = snprintf(entry->s, sizeof entry->s, "%s_tokenizer%s", path, what);
    if (n >= 0 && (size_t)n < sizeof entry->s) return true;
    tg_context_note(cx, TG_ERR_ARGUMENT, "vocabulary: the path %.60s... has %zu bytes, at most %zu fit", path,
                    strlen(path), sizeof entry->s - 1 - strlen("_tokenizer") - strlen(what));
    return false;
}

static tg_status put_integer(const tg_tokenizer *k, tg_archive *a, const char *path, const char *what,
                             int64_t value)
{
    entry_path entry;
    return name_entry(k->cx, path, what, &entry) ? tg_archive_put_integer(a, entry.s, value)
                                                 : TG_ERR_ARGUMENT;
}

static tg_status put_codes(const tg_tokenizer *k, tg_archive *a, const char *path)
{
    entry_path entry;
    const codes *x = &k->codes;
    tg_status s = put_integer(k, a, path, "_merges", x->n);
    if (s || !name_entry(k->cx, path, "_format", &entry)) return s ? s : TG_ERR_ARGUMENT;
    if ((s = tg_archive_put_text(a, entry.s, x->old ? "0.1" : "0.2"))) return s;
    if (!name_entry(k->cx, path, "_codes", &entry)) return TG_ERR_ARGUMENT;
    return x->n ? tg_archive_put_texts(a, entry.s, x->n, x->text) : TG_OK;
}

tg_status tg__tokenizer_put(const tg_tokenizer *k, tg_archive *a, const char *path)
{
    entry_path entry;
    const char *name = tg_tokenizer_name(k->config.kind);
    if (k->raw && k->config.kind == TG_SPACES) name = "words";
    if (!name_entry(k->cx, path, "", &entry)) return TG_ERR_ARGUMENT;
    tg_status s = tg_archive_put_text(a, entry.s, name);
    if (s || k->raw) return s;
    if ((s = put_integer(k, a, path, "_version", k->version))) return s;
    if ((s = put_integer(k, a, path, "_lowercase", k->config.lowercase))) return s;
    return tg__has_codes(k) ? put_codes(k, a, path) : TG_OK;
}

/* An integer from least to most. */
static tg_status get_integer(tg_context *cx, const tg_archive *a, const char *path, const char *what,
                             int least, int most, int *value)
{
    entry_path entry;
    int64_t n;
    if (!name_entry(cx, path, what, &entry)) return TG_ERR_ARGUMENT;
    const tg_status s = tg_archive_get_integer(a, entry.s, &n);
    if (s) return s;
    if (n < least || n > most)
        return tg_context_note(cx, TG_ERR_FORMAT, "%s is %lld: known is %d to %d", entry.s, (long long)n,
                               least, most);
    *value = (int)n;
    return TG_OK;
}

static bool is_versioned(tg_context *cx, const tg_archive *a, const char *path)
{
    entry_path entry;
    return name_entry(cx, path, "_version", &entry) && tg_archive_has(a, entry.s);
}

/* The kind that a name stands for; of version 0.1.0 two were known. */
static tg_status get_kind(tg_context *cx, const tg_archive *a, const char *path, bool versioned,
                          tg_tokenizer_kind *kind)
{
    entry_path entry;
    const char *name;
    if (!name_entry(cx, path, "", &entry)) return TG_ERR_ARGUMENT;
    const tg_status s = tg_archive_get_text(a, entry.s, &name);
    if (s) return s;
    if (!tg_tokenizer_named(name, kind) || (!versioned && *kind != TG_WORDS && *kind != TG_CHARACTERS))
        return tg_context_note(cx, TG_ERR_FORMAT, "%s: there is no tokenizer '%s'", entry.s,
                               tg__shown_text(name).s);
    if (!versioned && *kind == TG_WORDS) *kind = TG_SPACES;
    return TG_OK;
}

static tg_status get_format(tg_context *cx, const tg_archive *a, const char *path, bool *old)
{
    entry_path entry;
    const char *format;
    if (!name_entry(cx, path, "_format", &entry)) return TG_ERR_ARGUMENT;
    const tg_status s = tg_archive_get_text(a, entry.s, &format);
    if (s) return s;
    *old = !strcmp(format, "0.1");
    if (*old || !strcmp(format, "0.2")) return TG_OK;
    return tg_context_note(cx, TG_ERR_FORMAT, "%s is '%s': known are 0.1 and 0.2", entry.s,
                           tg__shown_text(format).s);
}

static tg_status add_codes(tg_tokenizer *k, const char *path, int n, const char *const text[])
{
    for (int i = 0; i < n; i++) {
        if (!tg__is_code(text[i], strlen(text[i])))
            return tg_context_note(k->cx, TG_ERR_FORMAT, "%s: code %d of %d, '%s', is not two symbols", path,
                                   i, n, tg__shown_text(text[i]).s);
        if (!tg__codes_add(&k->codes, text[i], strlen(text[i]))) return tg__status_taken(k->cx);
    }
    return TG_OK;
}

static tg_status get_codes(tg_tokenizer *k, const tg_archive *a, const char *path)
{
    tg_context *cx = k->cx;
    entry_path entry;
    const char *const *text = NULL;
    bool old;
    int merges, n = 0;
    tg_status s = get_integer(cx, a, path, "_merges", 0, INT_MAX, &merges);
    if (!s) s = get_format(cx, a, path, &old);
    if (s || !name_entry(cx, path, "_codes", &entry)) return s ? s : TG_ERR_ARGUMENT;
    if (merges && (s = tg_archive_get_texts(a, entry.s, &n, &text))) return s;
    if (n != merges)
        return tg_context_note(cx, TG_ERR_FORMAT, "%s_tokenizer_merges is %d, but there are %d codes", path,
                               merges, n);
    if (!tg__codes_init(&k->codes, cx, old)) return tg__status_taken(cx);
    s = add_codes(k, entry.s, n, text);
    k->ready = !s;
    tg__lexicon_free(&k->words); /* nothing is left to be learnt */
    if (s) tg__codes_free(&k->codes);
    return s;
}

/* A vocabulary keeps its tokens, but new text is cut by the rules of today. */
static void tell_changes(const tg_context *cx, const char *path, const tg_tokenizer_config *c)
{
    const bool by_rules = c->kind == TG_WORDS || c->kind == TG_BPE;
    if (!by_rules && !c->lowercase) return;
    tg__context_log(cx, TG_LOG_WARNING,
                    "%s was made by version 1 of the tokenizer's rules, and version %d is used now:%s%s%s",
                    path, TOKENIZER_VERSION,
                    by_rules ? " words like y'all, dogs'ear and .NET are cut in another way" : "",
                    by_rules && c->lowercase ? ", and" : "",
                    c->lowercase ? " a capital sigma at the end of a word becomes the final one" : "");
}

tg_status tg__tokenizer_get(tg_context *cx, const tg_archive *a, const char *path, tg_tokenizer **k)
{
    tg_tokenizer_config c = { 0 };
    int version = 0, lowercase = 0;
    const bool versioned = is_versioned(cx, a, path);
    tg_status s = get_kind(cx, a, path, versioned, &c.kind);
    if (!s && versioned) s = get_integer(cx, a, path, "_version", 1, TOKENIZER_VERSION, &version);
    if (!s && versioned) s = get_integer(cx, a, path, "_lowercase", 0, 1, &lowercase);
    if (s) return s;
    c.lowercase = lowercase;
    tg_tokenizer *got = tg_tokenizer_new(cx, &c);
    if (cx->status) return tg__status_taken(cx);
    got->raw = !versioned;
    got->version = version;
    if (version == 1) tell_changes(cx, path, &c);
    if (tg__has_codes(got) && (s = get_codes(got, a, path))) return s;
    *k = got;
    return TG_OK;
}
