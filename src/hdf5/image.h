/* hdf5/image.h -- an archive as the bytes of an HDF5 file, in memory, and back.
 *
 * HDF5 never sees the disk: after a failed write to a full disk, HDF5 1.10 brings the whole process down at
 * its exit; and its files are not safe against a crash in the middle of a save. */
#ifndef HDF5_IMAGE_H
#define HDF5_IMAGE_H

#include <tidegate/archive.h>

enum { IMAGE_USER_BLOCK = 4096 }; /* bytes before HDF5's own; zeros until sealed.c fills them */

/* The closed file, user block included; *image is the caller's, by tg__release(). The same archive always gives
 * the same bytes. */
tg_status tg__image_write(tg_context *cx, const tg_archive *a, unsigned char **image, size_t *bytes);

/* Accepts only what tg__image_write makes: hard links, contiguous data, no filters, no other files, the types
 * of an archive; TG_ERR_FORMAT otherwise. Takes no more memory than the image can account for. `path` is for
 * messages. The image is not changed. */
tg_status tg__image_read(tg_context *cx, const char *path, unsigned char *image, size_t bytes,
                         tg_archive **a);

#endif
