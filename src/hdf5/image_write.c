/* hdf5/image_write.c -- an archive becomes the bytes of an HDF5 file. */
#include "hdf5/image.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/context.h"
#include "hdf5/calls.h"
#include "tensor/archive.h"

enum { INCREMENT = 1 << 20 }; /* HDF5 asks for memory in steps of so many bytes */

/* The memory of the file, which outlives it: H5Fget_file_image() of 1.10.8 gives a copy that cannot be opened
 * in the newer formats, so we keep the very memory when the file is closed. */
typedef struct image_memory {
    tg_context *cx;
    void *base;
    size_t capacity;
    bool taken; /* HDF5 has it, until the file is closed */
} image_memory;

static void *image_malloc(size_t bytes, H5FD_file_image_op_t op, void *to)
{
    (void)bytes, (void)op, (void)to;
    return NULL; /* only for files that begin with an image */
}

static void *image_memcpy(void *to, const void *from, size_t bytes, H5FD_file_image_op_t op, void *memory)
{
    (void)op, (void)memory;
    return memcpy(to, from, bytes);
}

static void *image_realloc(void *base, size_t bytes, H5FD_file_image_op_t op, void *to)
{
    image_memory *m = to;
    (void)op;
    m->taken = true;
    if (bytes <= m->capacity) return m->base;
    const size_t capacity = bytes + bytes / 2;
    void *larger = tg__allocate(m->cx, capacity);
    if (!larger) return NULL;
    if (base) memcpy(larger, base, m->capacity);
    tg__release(m->cx, m->base);
    m->base = larger;
    m->capacity = capacity;
    return larger;
}

static herr_t image_free(void *base, H5FD_file_image_op_t op, void *to)
{
    (void)base;
    if (op == H5FD_FILE_IMAGE_OP_FILE_CLOSE) ((image_memory *)to)->taken = false;
    return 0;
}

static void *same_user(void *memory) { return memory; }
static herr_t keep_user(void *memory)
{
    (void)memory;
    return 0;
}

typedef struct writer {
    tg_context *cx;
    const tg_archive *a;
    image_memory memory;
    hid_t file_access, file_create, group_create, dataset_create, link_create, attribute_create;
    hid_t file, group;
    char group_path[ARCHIVE_PATH]; /* of `group`; "" is the root */
} writer;

static tg_status failed(const writer *w, const char *what, const char *path)
{
    const hdf5_failure failure = tg__hdf5_failure();
    return tg_context_note(w->cx, failure.memory ? TG_ERR_MEMORY : TG_ERR_IO,
                           "HDF5 could not %s '%.200s': %s", what, path, failure.s);
}

/* ---- property lists ---- */

static bool set_file_access(const writer *w, image_memory *memory)
{
    H5FD_file_image_callbacks_t callbacks = { image_malloc, image_memcpy, image_realloc, image_free,
                                              same_user,    keep_user,    memory };
    return H5_TRY(H5Pset_fapl_core(w->file_access, INCREMENT, false)) >= 0 &&
           H5_TRY(H5Pset_file_image_callbacks(w->file_access, &callbacks)) >= 0 &&
           H5_TRY(H5Pset_libver_bounds(w->file_access, H5F_LIBVER_V110, H5F_LIBVER_V110)) >= 0 &&
           H5_TRY(H5Pset_fclose_degree(w->file_access, H5F_CLOSE_STRONG)) >= 0;
}

/* Without times two saves of the same state are the same bytes. */
static bool open_lists(writer *w)
{
    return (w->file_access = H5_TRY(H5Pcreate(H5P_FILE_ACCESS))) >= 0 &&
           (w->file_create = H5_TRY(H5Pcreate(H5P_FILE_CREATE))) >= 0 &&
           (w->group_create = H5_TRY(H5Pcreate(H5P_GROUP_CREATE))) >= 0 &&
           (w->dataset_create = H5_TRY(H5Pcreate(H5P_DATASET_CREATE))) >= 0 &&
           (w->link_create = H5_TRY(H5Pcreate(H5P_LINK_CREATE))) >= 0 &&
           (w->attribute_create = H5_TRY(H5Pcreate(H5P_ATTRIBUTE_CREATE))) >= 0 &&
           set_file_access(w, &w->memory) &&
           H5_TRY(H5Pset_userblock(w->file_create, IMAGE_USER_BLOCK)) >= 0 &&
           H5_TRY(H5Pset_obj_track_times(w->file_create, false)) >= 0 &&
           H5_TRY(H5Pset_obj_track_times(w->group_create, false)) >= 0 &&
           H5_TRY(H5Pset_obj_track_times(w->dataset_create, false)) >= 0 &&
           H5_TRY(H5Pset_layout(w->dataset_create, H5D_CONTIGUOUS)) >= 0 &&
           H5_TRY(H5Pset_alloc_time(w->dataset_create, H5D_ALLOC_TIME_EARLY)) >= 0 &&
           H5_TRY(H5Pset_fill_time(w->dataset_create, H5D_FILL_TIME_NEVER)) >= 0 &&
           H5_TRY(H5Pset_char_encoding(w->link_create, H5T_CSET_UTF8)) >= 0 &&
           H5_TRY(H5Pset_char_encoding(w->attribute_create, H5T_CSET_UTF8)) >= 0;
}

static void close_lists(const writer *w)
{
    const hid_t list[] = { w->file_access,    w->file_create, w->group_create,
                           w->dataset_create, w->link_create, w->attribute_create };
    for (size_t i = 0; i < sizeof list / sizeof *list; i++)
        if (list[i] > 0) H5Pclose(list[i]);
}

/* ---- groups ---- */

/* Makes each part of w->group_path that is not there. */
static bool make_groups(const writer *w)
{
    char prefix[ARCHIVE_PATH];
    for (const char *p = w->group_path; *p; p++) {
        if (p[1] && p[1] != '/') continue;
        snprintf(prefix, sizeof prefix, "%.*s", (int)(p + 1 - w->group_path), w->group_path);
        const htri_t there = H5_TRY(H5Lexists(w->file, prefix, H5P_DEFAULT));
        if (there < 0) return false;
        if (there) continue;
        const hid_t group = H5_TRY(H5Gcreate2(w->file, prefix, w->link_create, w->group_create, H5P_DEFAULT));
        if (group < 0 || H5_CLOSE(H5Gclose(group)) < 0) return false;
    }
    return true;
}

/* Makes w->group the one that holds `path`. */
static tg_status enter_group(writer *w, const char *path)
{
    const char *slash = strrchr(path, '/');
    const size_t n = slash ? (size_t)(slash - path) : 0;
    if (w->group > 0 && strlen(w->group_path) == n && !strncmp(w->group_path, path, n)) return TG_OK;
    if (w->group > 0) {
        const hid_t old = w->group;
        w->group = -1;
        if (H5_CLOSE(H5Gclose(old)) < 0) return failed(w, "close the group before", path);
    }
    memcpy(w->group_path, path, n);
    w->group_path[n] = 0;
    if (!make_groups(w)) return failed(w, "make the groups of", path);
    w->group = H5_TRY(H5Gopen2(w->file, n ? w->group_path : "/", H5P_DEFAULT));
    return w->group < 0 ? failed(w, "open the group of", path) : TG_OK;
}

static const char *name_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* ---- values and arrays ---- */

static const struct {
    const hid_t *file, *memory;
} type_table[] = {
    /* (these are variables of HDF5) */
    [TG_INT64] = { &H5T_STD_I64LE_g, &H5T_NATIVE_INT64_g },
    [TG_FLOAT64] = { &H5T_IEEE_F64LE_g, &H5T_NATIVE_DOUBLE_g },
    [TG_FLOAT32] = { &H5T_IEEE_F32LE_g, &H5T_NATIVE_FLOAT_g },
    [TG_INT32] = { &H5T_STD_I32LE_g, &H5T_NATIVE_INT32_g },
    [TG_BYTES] = { &H5T_STD_U8LE_g, &H5T_NATIVE_UINT8_g },
};

/* Texts of `bytes` bytes, filled up with zeros; HDF5 has no type of none. -1: failed. */
static hid_t text_type(size_t bytes)
{
    const hid_t type = H5_TRY(H5Tcopy(H5T_C_S1));
    if (type < 0) return -1;
    if (H5_TRY(H5Tset_size(type, bytes ? bytes : 1)) >= 0 &&
        H5_TRY(H5Tset_strpad(type, H5T_STR_NULLPAD)) >= 0 && H5_TRY(H5Tset_cset(type, H5T_CSET_UTF8)) >= 0)
        return type;
    H5Tclose(type);
    return -1;
}

static bool write_attribute(const writer *w, const tg_entry *e, hid_t file_type, hid_t memory_type)
{
    bool done = false;
    const hid_t space = H5_TRY(H5Screate(H5S_SCALAR));
    if (space < 0) return false;
    const hid_t attribute =
        H5_TRY(H5Acreate2(w->group, name_of(e->path), file_type, space, w->attribute_create, H5P_DEFAULT));
    if (attribute >= 0) {
        done = H5_TRY(H5Awrite(attribute, memory_type, e->data)) >= 0;
        done = H5_CLOSE(H5Aclose(attribute)) >= 0 && done;
    }
    return H5_CLOSE(H5Sclose(space)) >= 0 && done;
}

static bool write_dataset(const writer *w, const tg_entry *e, hid_t file_type, hid_t memory_type,
                          const void *data)
{
    hsize_t dim[ARCHIVE_RANK];
    bool done = false, empty = false;
    for (int i = 0; i < e->rank; i++) {
        dim[i] = (hsize_t)e->dim[i];
        empty = empty || !e->dim[i];
    }
    const hid_t space =
        e->rank ? H5_TRY(H5Screate_simple(e->rank, dim, NULL)) : H5_TRY(H5Screate(H5S_SCALAR));
    if (space < 0) return false;
    const hid_t dataset = H5_TRY(H5Dcreate2(w->group, name_of(e->path), file_type, space, w->link_create,
                                            w->dataset_create, H5P_DEFAULT));
    if (dataset >= 0) {
        done = empty || H5_TRY(H5Dwrite(dataset, memory_type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data)) >= 0;
        done = H5_CLOSE(H5Dclose(dataset)) >= 0 && done;
    }
    return H5_CLOSE(H5Sclose(space)) >= 0 && done;
}

/* The longest of the texts, in bytes. */
static size_t widest(const tg_entry *e)
{
    const char *const *text = e->data;
    size_t most = 0;
    for (int i = 0; i < e->dim[0]; i++) {
        const size_t n = strlen(text[i]);
        if (n > most) most = n;
    }
    return most;
}

static tg_status write_texts(const writer *w, const tg_entry *e)
{
    const char *const *text = e->data;
    const size_t n = (size_t)e->dim[0], width = widest(e) ? widest(e) : 1;
    char *packed = tg__allocate(w->cx, tg__bytes(n ? n : 1, width)); /* (n, width), zeros */
    if (!packed) return TG_ERR_MEMORY;
    for (size_t i = 0; i < n; i++) memcpy(packed + i * width, text[i], strlen(text[i]));
    const hid_t type = text_type(width);
    bool done = type >= 0 && write_dataset(w, e, type, type, packed);
    if (type >= 0) done = H5_CLOSE(H5Tclose(type)) >= 0 && done;
    tg__release(w->cx, packed);
    return done ? TG_OK : failed(w, "write", e->path);
}

static tg_status write_entry(writer *w, const tg_entry *e)
{
    tg_status s = enter_group(w, e->path);
    if (s) return s;
    if (e->type == TG_TEXT && e->array) return write_texts(w, e);
    bool done;
    if (e->type == TG_TEXT) {
        const hid_t type = text_type(strlen(e->data));
        done = type >= 0 && write_attribute(w, e, type, type);
        if (type >= 0) done = H5_CLOSE(H5Tclose(type)) >= 0 && done;
    } else {
        const hid_t file = *type_table[e->type].file, memory = *type_table[e->type].memory;
        done = e->array ? write_dataset(w, e, file, memory, e->data) : write_attribute(w, e, file, memory);
    }
    return done ? TG_OK : failed(w, "write", e->path);
}

/* ---- the whole ---- */

/* More than the file will take, so that HDF5 need not ask twice. A refusal in the middle of its work is what
 * HDF5 bears least. */
static size_t generous_size(const tg_archive *a)
{
    enum {
        FIXED = 2 * INCREMENT,
        EACH = 1024
    }; /* a dataset takes 305 bytes at most of its own, a group 135 */
    size_t bytes = FIXED;
    for (int i = 0; i < tg_archive_count(a); i++) {
        tg_entry e;
        size_t data = 1, overhead = EACH;
        tg_archive_entry(a, i, &e);
        for (const char *p = e.path; *p; p++) overhead += *p == '/' ? EACH : 2;
        for (int k = 0; k < e.rank; k++) data = tg__bytes(data, (size_t)e.dim[k]);
        data = tg__bytes(data, e.type != TG_TEXT ? tg__archive_element(e.type)
                               : e.array         ? widest(&e)
                                                 : 2 * strlen(e.data));
        if (__builtin_add_overflow(bytes, overhead, &bytes) || __builtin_add_overflow(bytes, data, &bytes))
            return (size_t)-1;
    }
    return bytes;
}

/* The length is asked for before the close: afterwards the memory is known only in whole increments. */
static tg_status close_file(writer *w, size_t *bytes)
{
    const hid_t group = w->group, file = w->file;
    ssize_t length = -1;
    bool done = true;
    w->group = w->file = -1;
    if (group > 0) done = H5_CLOSE(H5Gclose(group)) >= 0;
    done = done && H5_TRY(H5Fflush(file, H5F_SCOPE_GLOBAL)) >= 0 &&
           (length = H5_TRY(H5Fget_file_image(file, NULL, 0))) > 0;
    done = H5_CLOSE(H5Fclose(file)) >= 0 && done;
    *bytes = (size_t)length + IMAGE_USER_BLOCK;
    return done && !w->memory.taken && *bytes <= w->memory.capacity ? TG_OK : failed(w, "close", "the image");
}

static tg_status write_all(writer *w, size_t *bytes)
{
    if (!open_lists(w)) return failed(w, "prepare", "the image");
    w->file = H5_TRY(H5Fcreate(tg__hdf5_no_file().s, H5F_ACC_TRUNC, w->file_create, w->file_access));
    if (w->file < 0) return failed(w, "create", "the image");
    tg_status s = TG_OK;
    for (int i = 0; !s && i < tg_archive_count(w->a); i++) {
        tg_entry e;
        tg_archive_entry(w->a, i, &e);
        s = write_entry(w, &e);
    }
    const tg_status closed = close_file(w, bytes);
    return s ? s : closed;
}

tg_status tg__image_write(tg_context *cx, const tg_archive *a, unsigned char **image, size_t *bytes)
{
    writer w = { .cx = cx, .a = a, .memory = { .cx = cx, .capacity = generous_size(a) } };
    *image = NULL;
    *bytes = 0;
    if (!tg__hdf5_has_memory()) return tg_context_note(cx, TG_ERR_MEMORY, "out of memory: 16 MiB for HDF5");
    w.memory.base = tg__allocate(cx, w.memory.capacity);
    if (!w.memory.base) return TG_ERR_MEMORY;

    hdf5_visit visit;
    if (!tg__hdf5_enter(&visit)) {
        tg__release(cx, w.memory.base);
        return tg_context_note(cx, TG_ERR_IO, "HDF5 could not be started");
    }
    const tg_status s = write_all(&w, bytes);
    close_lists(&w);
    tg__hdf5_leave(&visit);
    if (!s) {
        *image = w.memory.base;
        return TG_OK;
    }
    *bytes = 0;
    /* a file that HDF5 could not close keeps its memory until the process ends */
    if (!w.memory.taken) tg__release(cx, w.memory.base);
    return s;
}
