/* tensor/archive.c -- a named tree of arrays and values, in memory. */
#include "tensor/archive.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/check.h"
#include "core/utf8.h"

static const struct {
    const char *name, *plural;
    size_t element;
} type_table[] = {
    [TG_INT64] = { "integer", "int64", 8 }, [TG_FLOAT64] = { "number", "float64", 8 },
    [TG_TEXT] = { "text", "texts", 0 },     [TG_FLOAT32] = { "float32", "float32", 4 },
    [TG_INT32] = { "int32", "int32", 4 },   [TG_BYTES] = { "bytes", "bytes", 1 },
};

size_t tg__archive_element(tg_type type) { return type_table[type].element; }

static bool known_type(tg_type type) { return (unsigned)type < sizeof type_table / sizeof *type_table; }

archive_text tg__archive_describe(tg_type type, bool array, int rank, const int dim[])
{
    archive_text t;
    if (!array) {
        snprintf(t.s, sizeof t.s, "one %s", type_table[type].name);
        return t;
    }
    int at = snprintf(t.s, sizeof t.s, "%s (", type_table[type].plural);
    for (int i = 0; i < rank && i < ARCHIVE_RANK; i++)
        at += snprintf(t.s + at, sizeof t.s - (size_t)at, "%s%d", i ? "," : "", dim[i]);
    snprintf(t.s + at, sizeof t.s - (size_t)at, ")");
    return t;
}

/* ---- lifetime ---- */

tg_archive *tg_archive_new(tg_context *cx)
{
    tg_archive *a = cx ? tg__allocate(cx, sizeof *a) : NULL;
    if (a) a->cx = cx;
    return a;
}

void tg_archive_free(tg_archive *a)
{
    if (!a) return;
    for (int i = 0; i < a->count; i++) tg__release(a->cx, a->entry[i].block);
    tg__release(a->cx, a->entry);
    tg__release(a->cx, a->name);
    tg__release(a->cx, a->source);
    tg__release(a->cx, a);
}

/* ---- paths ---- */

/* FNV-1a */
static uint64_t hash_of(const char *path, size_t length)
{
    uint64_t h = 14695981039346656037u;
    for (size_t i = 0; i < length; i++) h = (h ^ (unsigned char)path[i]) * 1099511628211u;
    return h;
}

/* The slot of an entry's name, or of a group's; where it would be if it is not there. There is always a free one. */
static archive_name *slot_of(const tg_archive *a, const char *path, size_t length, bool group)
{
    const uint64_t hash = hash_of(path, length);
    for (size_t k = hash & (a->names - 1);; k = (k + 1) & (a->names - 1)) {
        archive_name *n = &a->name[k];
        if (!n->path || (n->hash == hash && n->length == length && (n->entry < 0) == group &&
                         !memcmp(n->path, path, length)))
            return n;
    }
}

/* NULL: there is no such name. */
static const archive_name *look_for(const tg_archive *a, const char *path, size_t length, bool group)
{
    const archive_name *n = a->names ? slot_of(a, path, length, group) : NULL;
    return n && n->path ? n : NULL;
}

static void take_name(tg_archive *a, const char *path, size_t length, int entry)
{
    archive_name *n = slot_of(a, path, length, entry < 0);
    if (!n->path) a->taken++;
    *n = (archive_name){ hash_of(path, length), path, length, entry };
}

/* The names of entry i: its own, and those of its groups. */
static void take_names(tg_archive *a, int i)
{
    const char *path = a->entry[i].entry.path;
    for (const char *p = strchr(path, '/'); p; p = strchr(p + 1, '/'))
        take_name(a, path, (size_t)(p - path), -1);
    take_name(a, path, a->entry[i].length, i);
}

static void take_all_names(tg_archive *a)
{
    memset(a->name, 0, a->names * sizeof *a->name);
    a->taken = 0;
    for (int i = 0; i < a->count; i++) take_names(a, i);
}

const tg_entry *tg__archive_find(const tg_archive *a, const char *path)
{
    const archive_name *n = a && path ? look_for(a, path, strlen(path), false) : NULL;
    return n ? &a->entry[n->entry].entry : NULL;
}

const char *tg__archive_bad_path(const char *path, int before)
{
    int parts = before;
    const char *part = path;
    if (!path || !*path) return "it is empty";
    if (strlen(path) >= ARCHIVE_PATH) return "it is longer than 1023 bytes";
    if (!tg__utf8_valid(path, NULL)) return "it is not valid UTF-8";
    for (const char *p = path;; p++) {
        if (*p && *p != '/') continue;
        const size_t n = (size_t)(p - part);
        if (n == 0 || (n <= 2 && !strncmp(part, "..", n))) return "a part of it is empty, '.' or '..'";
        if (++parts > ARCHIVE_PARTS)
            return before ? "it has more than 32 parts, with those that a file puts before it"
                          : "it has more than 32 parts";
        if (!*p) return NULL;
        part = p + 1;
    }
}

static tg_status refuse(tg_archive *a, tg_status status) { return a->status = status; }

static tg_status check_new_path(tg_archive *a, const char *path, bool array)
{
    const char *why = tg__archive_bad_path(path, 0);
    if (why)
        return refuse(a, tg_context_note(a->cx, TG_ERR_ARGUMENT, "archive: '%.100s' cannot be a path: %s",
                                         path ? path : "", why));
    if (a->count >= ARCHIVE_ENTRIES)
        return refuse(a, tg_context_note(a->cx, TG_ERR_ARGUMENT,
                                         "archive: '%.100s' would be entry %d, at most %d fit", path,
                                         a->count + 1, (int)ARCHIVE_ENTRIES));
    const size_t length = strlen(path);
    if (look_for(a, path, length, false))
        return refuse(a, tg_context_note(a->cx, TG_ERR_EXISTS, "archive: '%s' is there already", path));
    const archive_name *other = array ? look_for(a, path, length, true) : NULL;
    for (const char *p = strchr(path, '/'); p && !other; p = strchr(p + 1, '/')) {
        other = look_for(a, path, (size_t)(p - path), false);
        if (other && !a->entry[other->entry].entry.array) other = NULL;
    }
    if (!other) return TG_OK;
    return refuse(a, tg_context_note(a->cx, TG_ERR_EXISTS,
                                     "archive: '%s' and '%s': an array cannot be a group too", path,
                                     other->path));
}

/* ---- writing ---- */

/* Room for the names of one more entry. */
static bool grow_names(tg_archive *a)
{
    if (2 * (a->taken + ARCHIVE_PARTS) <= a->names) return true;
    const size_t names = a->names ? 2 * a->names : 4 * ARCHIVE_PARTS;
    archive_name *name = tg__allocate(a->cx, tg__bytes(names, sizeof *name));
    if (!name) return false;
    tg__release(a->cx, a->name);
    a->name = name;
    a->names = names;
    take_all_names(a);
    return true;
}

static bool grow(tg_archive *a)
{
    if (!grow_names(a)) return false;
    if (a->count < a->capacity) return true;
    const int capacity = a->capacity ? 2 * a->capacity : 32;
    archive_entry *entry = tg__allocate(a->cx, tg__bytes((size_t)capacity, sizeof *entry));
    if (!entry) return false;
    if (a->count) memcpy(entry, a->entry, (size_t)a->count * sizeof *entry);
    tg__release(a->cx, a->entry);
    a->entry = entry;
    a->capacity = capacity;
    return true;
}

void *tg__archive_reserve(tg_archive *a, const char *path, tg_type type, bool array, int rank,
                          const int dim[], size_t bytes)
{
    if (a->status || check_new_path(a, path, array)) return NULL;
    const size_t length = strlen(path);
    const size_t start = (length + 1 + 63) & ~(size_t)63; /* of the data, behind the path */
    size_t whole;
    char *block = NULL;
    if (__builtin_add_overflow(bytes, start, &whole)) whole = (size_t)-1;
    if (grow(a)) block = tg__allocate(a->cx, whole);
    if (!block) {
        refuse(a, TG_ERR_MEMORY);
        return NULL;
    }
    memcpy(block, path, length + 1);
    archive_entry *e = &a->entry[a->count++];
    *e = (archive_entry){ .entry = { block, type, array, rank, { 0 }, block + start },
                          .length = length,
                          .block = block };
    for (int i = 0; i < rank; i++) e->entry.dim[i] = dim[i];
    take_names(a, a->count - 1);
    return block + start;
}

static tg_status put_value(tg_archive *a, const char *path, tg_type type, const void *value, size_t bytes)
{
    if (!a) return TG_ERR_MEMORY; /* tg_archive_new() said so */
    void *data = tg__archive_reserve(a, path, type, false, 0, NULL, bytes);
    if (data) memcpy(data, value, bytes);
    return a->status;
}

tg_status tg_archive_put_integer(tg_archive *a, const char *path, int64_t value)
{
    return put_value(a, path, TG_INT64, &value, sizeof value);
}

tg_status tg_archive_put_number(tg_archive *a, const char *path, double value)
{
    return put_value(a, path, TG_FLOAT64, &value, sizeof value);
}

/* Reports a missing pointer once, the first time. */
static tg_status missing(tg_archive *a, const char *path, const char *what)
{
    if (a->status) return a->status;
    return refuse(
        a, tg_context_note(a->cx, TG_ERR_ARGUMENT, "archive: '%.200s': %s is NULL", path ? path : "", what));
}

tg_status tg_archive_put_text(tg_archive *a, const char *path, const char *value)
{
    if (a && !value) return missing(a, path, "the text");
    return put_value(a, path, TG_TEXT, value, value ? strlen(value) + 1 : 0);
}

/* Bytes of an array, or false with a sentence. */
static bool array_bytes(tg_archive *a, const char *path, tg_type type, int rank, const int dim[],
                        size_t *bytes)
{
    const char *name = path ? path : "";
    if (!known_type(type) || type == TG_TEXT) {
        refuse(a, tg_context_note(a->cx, TG_ERR_ARGUMENT, "archive: '%.200s': type %d is no type of an array",
                                  name, (int)type));
        return false;
    }
    if (rank < 0 || rank > ARCHIVE_RANK) {
        refuse(a, tg_context_note(a->cx, TG_ERR_ARGUMENT, "archive: '%.200s': rank %d is outside 0..%d", name,
                                  rank, ARCHIVE_RANK));
        return false;
    }
    if (rank && !dim) {
        missing(a, path, "dim");
        return false;
    }
    size_t n = tg__archive_element(type);
    for (int i = 0; i < rank; i++)
        if (dim[i] < 0) {
            refuse(a, tg_context_note(a->cx, TG_ERR_ARGUMENT, "archive: '%.200s': dimension %d of %d is %d",
                                      name, i, rank, dim[i]));
            return false;
        } else if (n != (size_t)-1) /* stays there once too large: no allocator grants it */
            n = tg__bytes(n, (size_t)dim[i]);
    *bytes = n;
    return true;
}

tg_status tg_archive_put_array(tg_archive *a, const char *path, tg_type type, int rank, const int dim[],
                               const void *data)
{
    size_t bytes;
    if (!a) return TG_ERR_MEMORY;
    if (a->status || !array_bytes(a, path, type, rank, dim, &bytes)) return a->status;
    if (bytes && !data) return missing(a, path, "the array");
    void *copy = tg__archive_reserve(a, path, type, true, rank, dim, bytes);
    if (copy && bytes) memcpy(copy, data, bytes);
    return a->status;
}

/* In one piece: n pointers, then the texts that they point to. */
tg_status tg_archive_put_texts(tg_archive *a, const char *path, int n, const char *const text[])
{
    if (!a) return TG_ERR_MEMORY;
    if (a->status) return a->status;
    if (n < 0)
        return refuse(
            a, tg_context_note(a->cx, TG_ERR_ARGUMENT, "archive: '%.200s': %d texts", path ? path : "", n));
    size_t bytes = (size_t)n * sizeof *text;
    for (int i = 0; i < n; i++) {
        if (!text || !text[i]) return missing(a, path, "a text");
        bytes += strlen(text[i]) + 1;
    }
    const char **copy = tg__archive_reserve(a, path, TG_TEXT, true, 1, &n, bytes);
    if (!copy) return a->status;
    char *s = (char *)(copy + n);
    for (int i = 0; i < n; i++) {
        const size_t length = strlen(text[i]) + 1;
        copy[i] = memcpy(s, text[i], length);
        s += length;
    }
    return TG_OK;
}

tg_status tg_archive_status(const tg_archive *a) { return a ? a->status : TG_ERR_MEMORY; }

/* ---- reading ---- */

static const char *source_of(const tg_archive *a) { return a->source ? a->source : "archive"; }

/* The entry, if it is there and of this kind; value: where the caller wants what is in it. */
static tg_status look_up(const tg_archive *a, const char *path, tg_type type, bool array, const void *value,
                         const tg_entry **e)
{
    if (!a) return TG_ERR_ARGUMENT;
    if (!path || !value)
        return tg_context_note(a->cx, TG_ERR_ARGUMENT, "%s: %s is NULL", source_of(a),
                               path ? "the place of the result" : "path");
    *e = tg__archive_find(a, path);
    if (!*e) return tg_context_note(a->cx, TG_ERR_ABSENT, "%s: there is no '%.200s'", source_of(a), path);
    if ((*e)->type == type && (*e)->array == array) return TG_OK;
    return tg_context_note(a->cx, TG_ERR_FORMAT, "%s: '%s' is %s, not %s%s", source_of(a), path,
                           tg__archive_describe((*e)->type, (*e)->array, (*e)->rank, (*e)->dim).s,
                           array ? "an array of " : "one ",
                           !known_type(type) ? "an unknown type"
                           : array           ? type_table[type].plural
                                             : type_table[type].name);
}

bool tg_archive_has(const tg_archive *a, const char *path) { return tg__archive_find(a, path) != NULL; }

tg_status tg_archive_get_integer(const tg_archive *a, const char *path, int64_t *value)
{
    const tg_entry *e;
    const tg_status s = look_up(a, path, TG_INT64, false, value, &e);
    if (!s) memcpy(value, e->data, sizeof *value);
    return s;
}

tg_status tg_archive_get_number(const tg_archive *a, const char *path, double *value)
{
    const tg_entry *e;
    const tg_status s = look_up(a, path, TG_FLOAT64, false, value, &e);
    if (!s) memcpy(value, e->data, sizeof *value);
    return s;
}

tg_status tg_archive_get_text(const tg_archive *a, const char *path, const char **value)
{
    const tg_entry *e;
    const tg_status s = look_up(a, path, TG_TEXT, false, value, &e);
    if (!s) *value = e->data;
    return s;
}

tg_status tg_archive_get_array(const tg_archive *a, const char *path, tg_type type, int rank, const int dim[],
                               void *data)
{
    const tg_entry *e;
    const tg_status s = look_up(a, path, type, true, a, &e);
    if (s) return s;
    bool same = rank == e->rank && type != TG_TEXT && (dim || !rank);
    for (int i = 0; same && i < rank; i++) same = dim[i] == e->dim[i];
    if (!same)
        return tg_context_note(a->cx, TG_ERR_SHAPE, "%s: '%s' is %s, not %s", source_of(a), path,
                               tg__archive_describe(type, true, e->rank, e->dim).s,
                               tg__archive_describe(type, true, dim ? rank : 0, dim).s);
    size_t bytes = tg__archive_element(type);
    for (int i = 0; i < rank; i++) bytes *= (size_t)dim[i];
    if (bytes && !data)
        return tg_context_note(a->cx, TG_ERR_ARGUMENT, "%s: the place of the result is NULL", source_of(a));
    if (bytes) memcpy(data, e->data, bytes);
    return TG_OK;
}

tg_status tg_archive_get_texts(const tg_archive *a, const char *path, int *n, const char *const **text)
{
    const tg_entry *e;
    const tg_status s = look_up(a, path, TG_TEXT, true, n && text ? text : NULL, &e);
    if (s) return s;
    *n = e->dim[0];
    *text = e->data;
    return TG_OK;
}

/* ---- walking ---- */

/* Of what is called `name` in its group. */
static int class_of(const tg_entry *e, const char *name)
{
    enum { VALUE, ARRAY, GROUP };
    return strchr(name, '/') ? GROUP : e->array ? ARRAY : VALUE;
}

static int by_place(const void *a, const void *b)
{
    const tg_entry *x = &((const archive_entry *)a)->entry, *y = &((const archive_entry *)b)->entry;
    const char *p = x->path, *q = y->path, *name_p = p, *name_q = q; /* in the group that both lie in */
    for (; *p && *p == *q; p++, q++)
        if (*p == '/') name_p = p + 1, name_q = q + 1;
    const int classes = class_of(x, name_p) - class_of(y, name_q);
    const int c = *p == '/' ? 0 : (unsigned char)*p, d = *q == '/' ? 0 : (unsigned char)*q;
    return classes ? classes : c - d;
}

void tg__archive_sort(tg_archive *a)
{
    if (!a->count) return;
    qsort(a->entry, (size_t)a->count, sizeof *a->entry, by_place);
    take_all_names(a);
}

int tg_archive_count(const tg_archive *a) { return a ? a->count : 0; }

void tg_archive_entry(const tg_archive *a, int i, tg_entry *entry)
{
    if (entry) *entry = a && i >= 0 && i < a->count ? a->entry[i].entry : (tg_entry){ .path = "" };
}
