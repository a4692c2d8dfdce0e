/* hdf5/sealed.c -- the user block and its digest. */
#include "hdf5/sealed.h"

#include <string.h>

#include <xxhash.h>

#include "core/context.h"
#include "hdf5/file.h"
#include "hdf5/image.h"

enum { VERSION = 1, AT_VERSION = 8, AT_BLOCK = 12, AT_LENGTH = 16, AT_DIGEST = 24, AT_ZEROS = 32 };

static const unsigned char magic[8] = { 0211, 'T', 'G', 'A', 13, 10, 26, 10 };
static const unsigned char hdf5_magic[8] = { 0211, 'H', 'D', 'F', 13, 10, 26, 10 };

static void put_number(unsigned char *to, int bytes, uint64_t value)
{
    for (int i = 0; i < bytes; i++) to[i] = (unsigned char)(value >> 8 * i);
}

static uint64_t get_number(const unsigned char *from, int bytes)
{
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++) value |= (uint64_t)from[i] << 8 * i;
    return value;
}

static void seal(unsigned char *image, size_t bytes)
{
    const size_t length = bytes - IMAGE_USER_BLOCK;
    memset(image, 0, IMAGE_USER_BLOCK);
    memcpy(image, magic, sizeof magic);
    put_number(image + AT_VERSION, 4, VERSION);
    put_number(image + AT_BLOCK, 4, IMAGE_USER_BLOCK);
    put_number(image + AT_LENGTH, 8, length);
    put_number(image + AT_DIGEST, 8, XXH64(image + IMAGE_USER_BLOCK, length, 0));
}

tg_status tg__sealed_save(tg_context *cx, const tg_archive *a, const char *path, bool keep_previous)
{
    unsigned char *image;
    size_t bytes;
    if (!a || tg_archive_status(a)) return a ? tg_archive_status(a) : TG_ERR_MEMORY;
    tg_status s = tg__image_write(cx, a, &image, &bytes);
    if (s) return s;
    seal(image, bytes);
    s = tg__file_replace(cx, path, image, bytes, keep_previous);
    tg__release(cx, image);
    return s;
}

/* ---- loading ---- */

static tg_status damaged(tg_context *cx, const char *path, const char *how)
{
    return tg_context_note(cx, TG_ERR_DAMAGED, "%.300s: is damaged: %s", path, how);
}

/* What an edit of the content leaves alone: the user block but for its length and digest. */
static tg_status check_block(tg_context *cx, const char *path, const unsigned char *head, size_t head_bytes,
                             size_t file_bytes)
{
    const size_t known = head_bytes < sizeof magic ? head_bytes : sizeof magic;
    if (memcmp(head, magic, known))
        return tg_context_note(cx, TG_ERR_FORMAT, "%.300s: is no file of tidegate", path);
    if (head_bytes < IMAGE_USER_BLOCK)
        return tg_context_note(cx, TG_ERR_DAMAGED, "%.300s: is damaged: it ends after %zu bytes", path,
                               file_bytes);
    const uint64_t version = get_number(head + AT_VERSION, 4);
    if (version > VERSION)
        return tg_context_note(
            cx, TG_ERR_VERSION,
            "%.300s: is of format %llu; this library reads format %d: a newer one is needed", path,
            (unsigned long long)version, (int)VERSION);
    if (version < VERSION) return damaged(cx, path, "its header says that it is of format 0");
    if (get_number(head + AT_BLOCK, 4) != IMAGE_USER_BLOCK)
        return damaged(cx, path, "its header is not 4096 bytes long");
    for (size_t i = AT_ZEROS; i < IMAGE_USER_BLOCK; i++)
        if (head[i]) return damaged(cx, path, "there is something where its header has zeros");
    return TG_OK;
}

/* All that can be said of a sealed file before the whole of it is in memory. */
static tg_status check_head(tg_context *cx, const char *path, const unsigned char *head, size_t head_bytes,
                            size_t file_bytes)
{
    const tg_status s = check_block(cx, path, head, head_bytes, file_bytes);
    if (s) return s;
    const uint64_t length = get_number(head + AT_LENGTH, 8);
    if (length == file_bytes - IMAGE_USER_BLOCK) return TG_OK;
    return tg_context_note(cx, TG_ERR_DAMAGED,
                           "%.300s: is damaged: %llu bytes should follow its header, %zu do", path,
                           (unsigned long long)length, file_bytes - IMAGE_USER_BLOCK);
}

tg_status tg__sealed_load(tg_context *cx, const char *path, tg_archive **a)
{
    unsigned char *image;
    size_t bytes;
    *a = NULL;
    tg_status s = tg__file_read(cx, path, IMAGE_USER_BLOCK, check_head, &image, &bytes);
    if (s) return s;
    const uint64_t should = get_number(image + AT_DIGEST, 8),
                   is = XXH64(image + IMAGE_USER_BLOCK, bytes - IMAGE_USER_BLOCK, 0);
    if (should != is)
        s = tg_context_note(cx, TG_ERR_DAMAGED,
                            "%.300s: is damaged: its content is not what was saved: its digest should be "
                            "%016llx and is %016llx",
                            path, (unsigned long long)should, (unsigned long long)is);
    else
        s = tg__image_read(cx, path, image, bytes, a);
    tg__release(cx, image);
    return s;
}

/* ---- sealing anew ---- */

/* A file of ours whose content was edited, or an HDF5 file with room for a seal. */
static tg_status check_hdf5(tg_context *cx, const char *path, const unsigned char *head, size_t head_bytes,
                            size_t file_bytes)
{
    if (head_bytes >= sizeof magic && !memcmp(head, magic, sizeof magic))
        return check_block(cx, path, head, head_bytes, file_bytes);
    bool empty = head_bytes == IMAGE_USER_BLOCK && file_bytes > IMAGE_USER_BLOCK;
    for (size_t i = 0; empty && i < IMAGE_USER_BLOCK; i++) empty = !head[i];
    if (empty) return TG_OK;
    return tg_context_note(cx, TG_ERR_FORMAT, "%.300s: is no HDF5 file with a user block of %d bytes", path,
                           (int)IMAGE_USER_BLOCK);
}

tg_status tg__sealed_renew(tg_context *cx, const char *path,
                           tg_status (*accept)(tg_context *cx, const tg_archive *a))
{
    unsigned char *image;
    size_t bytes;
    tg_archive *a;
    tg_status s = tg__file_read(cx, path, IMAGE_USER_BLOCK, check_hdf5, &image, &bytes);
    if (s) return s;
    if (bytes < IMAGE_USER_BLOCK + sizeof hdf5_magic ||
        memcmp(image + IMAGE_USER_BLOCK, hdf5_magic, sizeof hdf5_magic))
        s = tg_context_note(cx, TG_ERR_FORMAT, "%.300s: is no HDF5 file with a user block of %d bytes", path,
                            (int)IMAGE_USER_BLOCK);
    if (!s) s = tg__image_read(cx, path, image, bytes, &a);
    if (!s) {
        s = accept(cx, a);
        tg_archive_free(a);
    }
    if (!s) {
        seal(image, bytes);
        s = tg__file_replace(cx, path, image, bytes, false);
    }
    tg__release(cx, image);
    return s;
}
