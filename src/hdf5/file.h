/* hdf5/file.h -- a whole file into memory, and a whole file replaced durably. */
#ifndef HDF5_FILE_H
#define HDF5_FILE_H

#include <tidegate/core.h>

/* Asked with the first bytes and the size of the file, before memory is taken for all of it. */
typedef tg_status (*file_check)(tg_context *cx, const char *path, const unsigned char *head,
                                size_t head_bytes, size_t file_bytes);

/* All of a regular file; *data is the caller's, by tg__release(). TG_ERR_ABSENT, TG_ERR_IO, what `check` says
 * of the first `head` bytes (fewer if the file is shorter). */
tg_status tg__file_read(tg_context *cx, const char *path, size_t head, file_check check, unsigned char **data,
                        size_t *bytes);

/* Puts `data` in the place of `path`, so that a crash or a power cut at any moment leaves the old file or the new one:
 *
 *     write "<path>.part" under a lock, fsync, close
 *     link the old file to "<path>.1.part"
 *     rename "<path>.part" to "<path>", fsync the folder
 *     with keep_previous rename "<path>.1.part" to "<path>.1", otherwise remove it
 *
 * A symbolic link is followed: its target is replaced, and the previous file lies beside the link. A new file gets the old
 * one's mode, owner and group before anything is written into it. On failure the old file is as it was, and nothing is left
 * over. TG_ERR_EXISTS: another save to the same path is going on.
 *
 * Where the file system cannot make hard links, the previous file is kept as a copy; if that fails too, it is not kept.
 * Where it cannot lock, two saves at once are noticed only if the second begins before the first has renamed its file. The
 * context's log is told of each once. */
tg_status tg__file_replace(tg_context *cx, const char *path, const unsigned char *data, size_t bytes,
                           bool keep_previous);

#endif
