/* hdf5/image_read.c -- the bytes of an HDF5 file become an archive. */
#include "hdf5/image.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "core/context.h"
#include "hdf5/calls.h"
#include "tensor/archive.h"

typedef struct reader {
    tg_context *cx;
    const char *file; /* its path, for messages */
    tg_archive *a;
    size_t bytes;        /* of the image */
    size_t bytes_left;   /* how much data it can still account for */
    size_t objects_left; /* and how many groups, datasets and attributes: each takes some bytes */
    int depth;
    tg_status status;
    char path[ARCHIVE_PATH]; /* of the object at hand; "" is the root */
} reader;

/* ---- HDF5 works on the very image, and never frees it ---- */

typedef struct lent_image {
    unsigned char *base;
} lent_image;

static void *lend(size_t bytes, H5FD_file_image_op_t op, void *image)
{
    (void)bytes, (void)op;
    return ((lent_image *)image)->base;
}

static void *no_copy(void *to, const void *from, size_t bytes, H5FD_file_image_op_t op, void *image)
{
    (void)op, (void)image;
    return to == from ? to : memcpy(to, from, bytes);
}

static void *no_growth(void *base, size_t bytes, H5FD_file_image_op_t op, void *image)
{
    (void)base, (void)bytes, (void)op, (void)image;
    return NULL; /* it is read only */
}

static herr_t no_free(void *base, H5FD_file_image_op_t op, void *image)
{
    (void)base, (void)op, (void)image;
    return 0;
}

static void *same_user(void *image) { return image; }
static herr_t keep_user(void *image)
{
    (void)image;
    return 0;
}

/* ---- refusals ---- */

static bool fail(reader *r, tg_status status, const char *what)
{
    if (!r->status)
        r->status = tg_context_note(r->cx, status, "%.200s: '/%.200s' %s", r->file, r->path, what);
    return false;
}

/* Something that tidegate does not write. */
static bool refuse(reader *r, const char *what) { return fail(r, TG_ERR_FORMAT, what); }

/* HDF5 cannot go on: because of the file, or for want of memory, which it may lack for the reason, too. To be called before
 * anything else of HDF5. */
static bool unreadable(reader *r)
{
    char what[200];
    const hdf5_failure failure = tg__hdf5_failure();
    const bool memory = failure.memory || !*failure.s;
    snprintf(what, sizeof what, "cannot be read by HDF5: %s", *failure.s ? failure.s : "out of memory");
    return fail(r, memory ? TG_ERR_MEMORY : TG_ERR_FORMAT, what);
}

static bool spend(reader *r, size_t bytes)
{
    if (bytes > r->bytes_left) return refuse(r, "claims more data than the file has");
    r->bytes_left -= bytes;
    return true;
}

/* One more object, of the given name in the group at hand. */
static bool descend(reader *r, const char *name)
{
    enum { SMALLEST_OBJECT = 8 };
    const size_t at = strlen(r->path), n = strlen(name);
    if (r->objects_left < SMALLEST_OBJECT) return refuse(r, "holds more objects than the file has room for");
    r->objects_left -= SMALLEST_OBJECT;
    if (r->depth >= ARCHIVE_PARTS) return refuse(r, "lies too deep");
    if (at + 1 + n >= sizeof r->path) return refuse(r, "holds a name that is too long");
    snprintf(r->path + at, sizeof r->path - at, "%s%s", at ? "/" : "", name);
    r->depth++;
    return true;
}

static void ascend(reader *r)
{
    char *slash = strrchr(r->path, '/');
    *(slash ? slash : r->path) = 0;
    r->depth--;
}

/* ---- types ---- */

/* The type, if it is one of an archive; for texts *width is their bytes. */
static bool read_type(reader *r, hid_t type, bool array, tg_type *found, size_t *width)
{
    const struct {
        tg_type type;
        hid_t file;
        bool value; /* also a value, not only an array */
    } table[] = { { TG_INT64, H5T_STD_I64LE_g, true },
                  { TG_FLOAT64, H5T_IEEE_F64LE_g, true },
                  { TG_FLOAT32, H5T_IEEE_F32LE_g, false },
                  { TG_INT32, H5T_STD_I32LE_g, false },
                  { TG_BYTES, H5T_STD_U8LE_g, false } };
    *width = H5Tget_size(type);
    if (H5Tget_class(type) == H5T_STRING) {
        *found = TG_TEXT;
        if (H5Tis_variable_str(type) != 0 || H5Tget_cset(type) != H5T_CSET_UTF8 ||
            H5Tget_strpad(type) != H5T_STR_NULLPAD)
            return refuse(r, "is not a text of fixed length in UTF-8, filled up with zeros");
        return true;
    }
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (!array && !table[i].value) continue;
        const htri_t same = H5_TRY(H5Tequal(type, table[i].file));
        if (same < 0) return unreadable(r);
        if (!same) continue;
        *found = table[i].type;
        return true;
    }
    return refuse(r, array ? "is not of type float32, float64, int32, int64, uint8 or text, little-endian"
                           : "is not of type int64, float64 or text, little-endian");
}

static hid_t memory_type(tg_type type)
{
    return type == TG_INT64     ? H5T_NATIVE_INT64_g
           : type == TG_FLOAT64 ? H5T_NATIVE_DOUBLE_g
           : type == TG_FLOAT32 ? H5T_NATIVE_FLOAT_g
           : type == TG_INT32   ? H5T_NATIVE_INT32_g
                                : H5T_NATIVE_UINT8_g;
}

/* An entry for the path at hand. */
static void *reserve(reader *r, tg_type type, bool array, int rank, const int dim[], size_t bytes)
{
    void *data = tg__archive_reserve(r->a, r->path, type, array, rank, dim, bytes);
    if (data) return data;
    if (r->a->status == TG_ERR_MEMORY)
        r->status = TG_ERR_MEMORY; /* the sentence is there */
    else
        refuse(r, "cannot be an entry of an archive, or is there twice");
    return NULL;
}

/* ---- values: attributes of groups ---- */

static bool read_attribute_of(reader *r, hid_t attribute, hid_t type, hid_t space)
{
    tg_type found;
    size_t width;
    if (H5Sget_simple_extent_type(space) != H5S_SCALAR)
        return refuse(r, "is an attribute of more than one value");
    if (!read_type(r, type, false, &found, &width) || !spend(r, width)) return false;
    void *data = reserve(r, found, false, 0, NULL, found == TG_TEXT ? width + 1 : width);
    if (!data) return false;
    return H5_TRY(H5Aread(attribute, found == TG_TEXT ? type : memory_type(found), data)) >= 0 ||
           unreadable(r);
}

static herr_t read_attribute(hid_t group, const char *name, const H5A_info_t *info, void *to)
{
    reader *r = to;
    (void)info;
    if (!descend(r, name)) return -1;
    const hid_t attribute = H5_TRY(H5Aopen(group, name, H5P_DEFAULT));
    const hid_t type = attribute < 0 ? -1 : H5_TRY(H5Aget_type(attribute));
    const hid_t space = type < 0 ? -1 : H5_TRY(H5Aget_space(attribute));
    const bool done = space < 0 ? unreadable(r) : read_attribute_of(r, attribute, type, space);
    if (space >= 0) H5Sclose(space);
    if (type >= 0) H5Tclose(type);
    if (attribute >= 0) H5Aclose(attribute);
    ascend(r);
    return done ? 0 : -1;
}

/* ---- arrays: datasets ---- */

/* Contiguous, within this file, and nothing done to it. */
static bool check_storage(reader *r, hid_t dataset, size_t bytes)
{
    const hid_t list = H5_TRY(H5Dget_create_plist(dataset));
    if (list < 0) return unreadable(r);
    const H5D_layout_t layout = H5Pget_layout(list);
    const int filters = H5Pget_nfilters(list);
    const int external = layout == H5D_CONTIGUOUS ? H5Pget_external_count(list) : 0;
    H5Pclose(list);
    if (layout != H5D_CONTIGUOUS)
        return refuse(r, "is not stored in one piece (a chunked, compact or virtual dataset)");
    if (filters) return refuse(r, "is stored through a filter");
    if (external) return refuse(r, "has its data in another file");
    const hsize_t stored = H5Dget_storage_size(dataset);
    if (stored != bytes) return refuse(r, "has a storage size that is not that of its shape");
    const haddr_t offset = bytes ? H5Dget_offset(dataset) : 0;
    if (bytes && (offset == HADDR_UNDEF || offset > r->bytes || bytes > r->bytes - offset))
        return refuse(r, "lies outside the file");
    return true;
}

/* n texts of `width` bytes each become n pointers and the texts that they point to. */
static bool read_texts(reader *r, hid_t dataset, hid_t type, int n, size_t width)
{
    const size_t count = (size_t)n, each = sizeof(char *) + width + 1;
    const char **text = reserve(r, TG_TEXT, true, 1, &n, tg__bytes(count, each));
    if (!text) return false;
    if (!n) return true;
    char *packed = (char *)(text + n); /* (n, width), then spread from the end to (n, width+1) */
    if (H5_TRY(H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, packed)) < 0) return unreadable(r);
    for (size_t i = count; i-- > 0;) {
        char *s = packed + i * (width + 1);
        memmove(s, packed + i * width, width);
        s[width] = 0;
        text[i] = s;
    }
    return true;
}

static bool read_dataset_of(reader *r, hid_t dataset, hid_t type, hid_t space)
{
    tg_type found;
    size_t bytes;
    int dim[ARCHIVE_RANK] = { 0 };
    hsize_t size[ARCHIVE_RANK], most[ARCHIVE_RANK];
    const int rank = H5Sget_simple_extent_ndims(space);
    const H5S_class_t class = H5Sget_simple_extent_type(space);
    if ((class != H5S_SIMPLE && class != H5S_SCALAR) || rank < 0 || rank > ARCHIVE_RANK)
        return refuse(r, "has no shape of 0 to 4 dimensions");
    if (!read_type(r, type, true, &found, &bytes)) return false;
    const size_t width = bytes;
    if (found == TG_TEXT && rank != 1) return refuse(r, "is not a plain list of texts");
    if (rank && H5Sget_simple_extent_dims(space, size, most) < 0) return unreadable(r);
    for (int i = 0; i < rank; i++) {
        if (size[i] > INT_MAX || most[i] != size[i])
            return refuse(r, "has a dimension that is too large, or may grow");
        dim[i] = (int)size[i];
        bytes = tg__bytes(bytes, (size_t)dim[i]);
        if (bytes == (size_t)-1) return refuse(r, "claims more data than the file has");
    }
    if (!spend(r, bytes) || !check_storage(r, dataset, bytes)) return false;
    if (found == TG_TEXT) return read_texts(r, dataset, type, dim[0], width);
    void *data = reserve(r, found, true, rank, dim, bytes);
    if (!data) return false;
    return !bytes || H5_TRY(H5Dread(dataset, memory_type(found), H5S_ALL, H5S_ALL, H5P_DEFAULT, data)) >= 0 ||
           unreadable(r);
}

static bool read_dataset(reader *r, hid_t dataset)
{
    const hid_t type = H5_TRY(H5Dget_type(dataset));
    const hid_t space = type < 0 ? -1 : H5_TRY(H5Dget_space(dataset));
    const bool done = space < 0 ? unreadable(r) : read_dataset_of(r, dataset, type, space);
    if (space >= 0) H5Sclose(space);
    if (type >= 0) H5Tclose(type);
    return done;
}

/* ---- groups ---- */

static bool read_group(reader *r, hid_t group);

/* What lies behind a hard link. An object of one name cannot be its own group's group. */
static bool read_object(reader *r, hid_t object)
{
    H5O_info_t info;
    if (H5_TRY(H5Oget_info2(object, &info, H5O_INFO_BASIC | H5O_INFO_NUM_ATTRS)) < 0) return unreadable(r);
    if (info.rc != 1) return refuse(r, "has more than one name");
    if (info.type == H5O_TYPE_GROUP) return read_group(r, object);
    if (info.type != H5O_TYPE_DATASET) return refuse(r, "is neither a group nor a dataset");
    if (info.num_attrs) return refuse(r, "is a dataset with attributes of its own");
    return read_dataset(r, object);
}

static herr_t read_link(hid_t group, const char *name, const H5L_info_t *info, void *to)
{
    reader *r = to;
    if (!descend(r, name)) return -1;
    bool done = false;
    if (info->type != H5L_TYPE_HARD)
        refuse(r, "is a link to somewhere else");
    else {
        const hid_t object = H5_TRY(H5Oopen(group, name, H5P_DEFAULT));
        done = object < 0 ? unreadable(r) : read_object(r, object);
        if (object >= 0) H5Oclose(object);
    }
    ascend(r);
    return done ? 0 : -1;
}

/* In whatever order they are stored in: for any other HDF5 1.10 makes a table of all names first, and on damaged files it
 * crashes while it does. HDF5 itself reports -1 with no sentence of ours when it cannot go on. */
static bool read_group(reader *r, hid_t group)
{
    hsize_t start = 0, from = 0;
    if (H5_TRY(H5Aiterate2(group, H5_INDEX_NAME, H5_ITER_NATIVE, &start, read_attribute, r)) < 0)
        return unreadable(r);
    if (H5_TRY(H5Literate(group, H5_INDEX_NAME, H5_ITER_NATIVE, &from, read_link, r)) < 0)
        return unreadable(r);
    return true;
}

static hid_t open_image(reader *r, lent_image *image)
{
    H5FD_file_image_callbacks_t callbacks = {
        lend, no_copy, no_growth, no_free, same_user, keep_user, image
    };
    hid_t file = -1;
    const hid_t access = H5_TRY(H5Pcreate(H5P_FILE_ACCESS));
    if (access >= 0 && H5_TRY(H5Pset_fapl_core(access, 1 << 20, false)) >= 0 &&
        H5_TRY(H5Pset_file_image_callbacks(access, &callbacks)) >= 0 &&
        H5_TRY(H5Pset_file_image(access, image->base, r->bytes)) >= 0 &&
        H5_TRY(H5Pset_fclose_degree(access, H5F_CLOSE_STRONG)) >= 0)
        file = H5_TRY(H5Fopen(tg__hdf5_no_file().s, H5F_ACC_RDONLY, access));
    if (file < 0) unreadable(r); /* before the reason is lost to another call */
    if (access >= 0) H5Pclose(access);
    return file;
}

/* ---- the whole ---- */

static void read_all(reader *r, unsigned char *image)
{
    lent_image lent = { image };
    const hid_t file = open_image(r, &lent);
    if (file < 0) return;
    const hid_t root = H5_TRY(H5Gopen2(file, "/", H5P_DEFAULT));
    if (root < 0)
        unreadable(r);
    else {
        read_group(r, root);
        H5Gclose(root);
    }
    if (H5_CLOSE(H5Fclose(file)) < 0) unreadable(r);
}

tg_status tg__image_read(tg_context *cx, const char *path, unsigned char *image, size_t bytes, tg_archive **a)
{
    hdf5_visit visit;
    reader r = { .cx = cx, .file = path, .bytes = bytes, .bytes_left = bytes, .objects_left = bytes };
    *a = NULL;
    r.a = tg_archive_new(cx);
    if (!r.a) return TG_ERR_MEMORY;
    r.a->source = tg__allocate(cx, strlen(path) + 1);
    if (!r.a->source)
        r.status = TG_ERR_MEMORY;
    else if (!tg__hdf5_has_memory())
        r.status = tg_context_note(cx, TG_ERR_MEMORY, "%.200s: out of memory: 16 MiB for HDF5", path);
    else if (!tg__hdf5_enter(&visit))
        r.status = tg_context_note(cx, TG_ERR_IO, "%.200s: HDF5 could not be started", path);
    else {
        memcpy(r.a->source, path, strlen(path) + 1);
        read_all(&r, image);
        tg__hdf5_leave(&visit);
    }
    if (r.status) {
        tg_archive_free(r.a);
        return r.status;
    }
    tg__archive_sort(r.a);
    *a = r.a;
    return TG_OK;
}
