/* tidegate/archive.h -- a named tree of arrays and values, in memory.
 *
 * Every module writes itself into an archive and reads itself back; the hdf5 floor turns an archive
 * into a sealed file. A path is "group/subgroup/name". Values (integers, numbers, texts) are
 * attributes of their group in the file; arrays and lists of texts are datasets.              */
#ifndef TIDEGATE_ARCHIVE_H
#define TIDEGATE_ARCHIVE_H

#include "core.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tg_archive tg_archive;

/* Memory of its own, from the context's allocator. NULL: out of memory (the message says so). Any context may read what is in
 * it. To put into one that is NULL is TG_ERR_MEMORY. */
TG_API tg_archive *tg_archive_new(tg_context *cx);
TG_API void tg_archive_free(tg_archive *a); /* NULL is fine */

typedef enum tg_type { TG_INT64, TG_FLOAT64, TG_TEXT, TG_FLOAT32, TG_INT32, TG_BYTES } tg_type;

/* ---- writing: the archive keeps a copy. A path written twice is TG_ERR_EXISTS. After a failure
 * every later call returns that failure, so that one look at the end is enough: tg_archive_status(). */
TG_API tg_status tg_archive_put_integer(tg_archive *a, const char *path, int64_t value);
TG_API tg_status tg_archive_put_number(tg_archive *a, const char *path, double value);
TG_API tg_status tg_archive_put_text(tg_archive *a, const char *path, const char *value); /* UTF-8 */
/* type: TG_FLOAT32, TG_FLOAT64, TG_INT32, TG_INT64 or TG_BYTES (uint8) */
TG_API tg_status tg_archive_put_array(tg_archive *a, const char *path, tg_type type, int rank,
                                      const int dim[], const void *data);
TG_API tg_status tg_archive_put_texts(tg_archive *a, const char *path, int n, const char *const text[]);
TG_API tg_status tg_archive_status(const tg_archive *a);

/* ---- reading: TG_ERR_ABSENT names the path, TG_ERR_FORMAT another type, TG_ERR_SHAPE both shapes ---- */
TG_API bool tg_archive_has(const tg_archive *a, const char *path);
TG_API tg_status tg_archive_get_integer(const tg_archive *a, const char *path, int64_t *value) TG_MUST_CHECK;
TG_API tg_status tg_archive_get_number(const tg_archive *a, const char *path, double *value) TG_MUST_CHECK;
/* *value is borrowed from the archive. */
TG_API tg_status tg_archive_get_text(const tg_archive *a, const char *path, const char **value) TG_MUST_CHECK;
/* Copies; type, rank and dimensions must be exactly these. */
TG_API tg_status tg_archive_get_array(const tg_archive *a, const char *path, tg_type type, int rank,
                                      const int dim[], void *data) TG_MUST_CHECK;
/* *text is borrowed from the archive: n strings. */
TG_API tg_status tg_archive_get_texts(const tg_archive *a, const char *path, int *n,
                                      const char *const **text) TG_MUST_CHECK;

/* ---- walking: entries in the order they were put, or as the file has them ---- */
typedef struct tg_entry {
    const char *path;
    tg_type type;
    bool array;       /* false: one value */
    int rank, dim[4]; /* of an array; a list of texts is rank 1, type TG_TEXT */
    const void *data; /* int64_t, double, char (0-terminated), or the array; of texts: const char *const * */
} tg_entry;
TG_API int tg_archive_count(const tg_archive *a);
TG_API void tg_archive_entry(const tg_archive *a, int i,
                             tg_entry *entry); /* out of range: all zero, path "" */

#ifdef __cplusplus
}
#endif
#endif
