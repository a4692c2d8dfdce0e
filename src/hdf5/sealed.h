/* hdf5/sealed.h -- archives in sealed files: what checkpoints are made of.
 *
 * The user block, 4096 bytes before HDF5's own (numbers little-endian):
 *
 *     0   8   magic: 211 'T' 'G' 'A' 13 10 26 10 (octal 211), damaged by any transfer as text
 *     8   4   version of this block: 1
 *     12  4   length of this block: 4096
 *     16  8   length of what follows, in bytes
 *     24  8   XXH64 of what follows, seed 0
 *     32      zeros
 *
 * Every bit is checked before HDF5 sees any. That is against accidents: whoever means harm can make a seal. */
#ifndef HDF5_SEALED_H
#define HDF5_SEALED_H

#include <tidegate/archive.h>

/* Durably, see hdf5/file.h; errors are those of tg__image_write and tg__file_replace. */
tg_status tg__sealed_save(tg_context *cx, const tg_archive *a, const char *path, bool keep_previous);

/* TG_ERR_ABSENT: no file; TG_ERR_DAMAGED: the seal is broken; TG_ERR_VERSION: a newer library's; TG_ERR_FORMAT: no file
 * of ours, or one with content that we do not write; TG_ERR_IO, TG_ERR_MEMORY. *a is NULL then. */
tg_status tg__sealed_load(tg_context *cx, const char *path, tg_archive **a);

/* A new seal for content that somebody has edited. accept(cx, a) looks at it first. TG_ERR_DAMAGED: the user block was
 * changed in other places than an edit of the content breaks. HDF5 reads what nobody vouches for: it may crash. */
tg_status tg__sealed_renew(tg_context *cx, const char *path,
                           tg_status (*accept)(tg_context *cx, const tg_archive *a));

#endif
