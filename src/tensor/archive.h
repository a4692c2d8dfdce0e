/* tensor/archive.h -- what is inside an archive, for those who fill one without a second copy. */
#ifndef TENSOR_ARCHIVE_H
#define TENSOR_ARCHIVE_H

#include <tidegate/archive.h>

/* What an archive may hold is what a file may hold: the reader of files has the same limits. */
enum {
    ARCHIVE_RANK = 4,    /* dimensions of an array */
    ARCHIVE_PATH = 1024, /* bytes of a path, its final zero included */
    ARCHIVE_PARTS = 32,  /* names in a path */
    ARCHIVE_ENTRIES = 64 * 1024
};

typedef struct archive_entry {
    tg_entry entry;
    size_t length; /* of the path */
    void *block;   /* path and data */
} archive_entry;

/* A name that is taken: the path of an entry, or of a group that an entry lies in. */
typedef struct archive_name {
    uint64_t hash;
    const char *path; /* of an entry, of which `length` bytes are this name; NULL: a free slot */
    size_t length;
    int entry; /* its number; -1: a group */
} archive_name;

struct tg_archive {
    tg_context *cx;
    tg_status status; /* the first failure of a put */
    char *source;     /* the file it was read from, for messages; NULL: made in memory */
    archive_entry *entry;
    int count, capacity;
    archive_name *name; /* (names), a hash table with open addressing */
    size_t names, taken;
};

/* Why a path cannot be one, or NULL. `before`: how many more names will stand before it. */
const char *tg__archive_bad_path(const char *path, int before);
/* Are two paths of arrays equal, or does one lie below the other? An array and what is below it cannot both be. */
static inline bool tg__archive_clash(const char *a, const char *b)
{
    size_t n = 0;
    while (a[n] && a[n] == b[n]) n++;
    return (!a[n] && (!b[n] || b[n] == '/')) || (!b[n] && a[n] == '/');
}

/* Bytes of one element; 0 for TG_TEXT. */
size_t tg__archive_element(tg_type type);

/* A new entry whose `bytes` of data the caller fills in (zero as yet). NULL: refused, see a->status. */
void *tg__archive_reserve(tg_archive *a, const char *path, tg_type type, bool array, int rank,
                          const int dim[], size_t bytes);

/* Brings the entries into one order, whatever they were put in: of each group the values, then the arrays, then the groups,
 * each by name. */
void tg__archive_sort(tg_archive *a);

/* The entry of that path, or NULL. */
const tg_entry *tg__archive_find(const tg_archive *a, const char *path);

/* "float32 (3,4)", "integer", "text", "texts (7)": what an entry is, for messages. */
typedef struct archive_text {
    char s[80];
} archive_text;
archive_text tg__archive_describe(tg_type type, bool array, int rank, const int dim[]);

#endif
