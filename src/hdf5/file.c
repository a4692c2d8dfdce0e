/* hdf5/file.c -- a whole file into memory, and a whole file replaced durably. */
#include "hdf5/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>

#include "core/context.h"
#include "hdf5/calls.h"

/* "path: what: why", with the reason that errno has now. */
static tg_status failed(tg_context *cx, tg_status status, const char *path, const char *what)
{
    char buffer[128];
    const char *why = strerror_r(errno, buffer, sizeof buffer);
    return tg_context_note(cx, status, "%.300s: %s: %s", path, what, why);
}

/* ---- reading ---- */

/* The number of bytes that were there, up to `bytes`; -1 and errno. */
static ssize_t read_all(int fd, unsigned char *to, size_t bytes)
{
    size_t done = 0;
    while (done < bytes) {
        const ssize_t n = tg__file_calls->read(fd, to + done, bytes - done);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return -1;
        if (n == 0) break;
        done += (size_t)n;
    }
    return (ssize_t)done;
}

static tg_status read_open(tg_context *cx, const char *path, int fd, size_t head, file_check check,
                           unsigned char **data, size_t *bytes)
{
    struct stat about;
    unsigned char first[4096];
    if (tg__file_calls->fstat(fd, &about)) return failed(cx, TG_ERR_IO, path, "cannot be examined");
    if (!S_ISREG(about.st_mode)) return tg_context_note(cx, TG_ERR_IO, "%.300s: not a regular file", path);
    const size_t size = (size_t)about.st_size;
    if (head > sizeof first) head = sizeof first;
    if (head > size) head = size;
    const ssize_t begun = read_all(fd, first, head);
    if (begun < 0) return failed(cx, TG_ERR_IO, path, "cannot be read");
    const tg_status s = check(cx, path, first, (size_t)begun, size);
    if (s) return s;

    unsigned char *all = tg__allocate(cx, size + 1);
    if (!all) return TG_ERR_MEMORY;
    memcpy(all, first, (size_t)begun);
    const ssize_t rest = read_all(fd, all + begun, size - (size_t)begun);
    if (rest < 0 || (size_t)(begun + rest) != size) {
        tg__release(cx, all);
        return rest < 0 ? failed(cx, TG_ERR_IO, path, "cannot be read")
                        : tg_context_note(cx, TG_ERR_IO,
                                          "%.300s: became shorter while it was read: %zu bytes of %zu", path,
                                          (size_t)(begun + rest), size);
    }
    *data = all;
    *bytes = size;
    return TG_OK;
}

tg_status tg__file_read(tg_context *cx, const char *path, size_t head, file_check check, unsigned char **data,
                        size_t *bytes)
{
    *data = NULL;
    *bytes = 0;
    /* without waiting for somebody to write into a pipe */
    const int fd = tg__file_calls->open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0);
    if (fd < 0) return failed(cx, errno == ENOENT ? TG_ERR_ABSENT : TG_ERR_IO, path, "cannot be opened");
    const tg_status s = read_open(cx, path, fd, head, check, data, bytes);
    tg__file_calls->close(fd); /* nothing was written: nothing can be lost */
    return s;
}

/* ---- replacing ---- */

typedef struct replacement {
    tg_context *cx;
    char path[PATH_MAX]; /* symbolic links resolved */
    char part[PATH_MAX + 8], safety[PATH_MAX + 8], previous[PATH_MAX + 8], folder[PATH_MAX];
    bool existed; /* there is an old file */
    bool safe;    /* `safety` is a link to it */
    mode_t mode;  /* its permissions */
    int lock;     /* a second descriptor of the .part file: its lock outlasts the checked close */
    int folder_fd;
    struct stat part_is;
    bool committed; /* .part has become the file */
} replacement;

/* Names, and what is there now. */
static tg_status examine(replacement *r, const char *path)
{
    struct stat about;
    if (strlen(path) >= sizeof r->path) {
        errno = ENAMETOOLONG;
        return failed(r->cx, TG_ERR_IO, path, "cannot be saved");
    }
    if (!tg__file_calls->realpath(path, r->path)) {
        if (errno != ENOENT) return failed(r->cx, TG_ERR_IO, path, "cannot be resolved");
        if (!tg__file_calls->lstat(path, &about))
            return tg_context_note(r->cx, TG_ERR_IO, "%.300s: a symbolic link to nothing: it is not replaced",
                                   path);
        memcpy(r->path, path, strlen(path) + 1);
    }
    r->existed = tg__file_calls->stat(r->path, &about) == 0;
    if (!r->existed && errno != ENOENT) return failed(r->cx, TG_ERR_IO, path, "cannot be examined");
    if (r->existed && !S_ISREG(about.st_mode))
        return tg_context_note(r->cx, TG_ERR_IO, "%.300s: not a regular file: it is not replaced", path);
    r->mode = r->existed ? about.st_mode & 0777 : 0;
    snprintf(r->part, sizeof r->part, "%s.part", r->path);
    snprintf(r->safety, sizeof r->safety, "%s.1.part", r->path);
    snprintf(r->previous, sizeof r->previous, "%s.1", r->path);
    memcpy(r->folder, r->path, sizeof r->folder);
    char *slash = strrchr(r->folder, '/');
    if (!slash)
        memcpy(r->folder, ".", 2);
    else
        slash[slash == r->folder] = 0; /* "/x" lies in "/" */
    return TG_OK;
}

/* Locks the .part file just opened. *again: whoever held the lock before us has renamed or removed what we
 * opened; by now that name may be somebody else's. */
static tg_status lock_part(replacement *r, int fd, bool *again)
{
    struct stat there;
    if (tg__file_calls->flock(fd, LOCK_EX | LOCK_NB)) {
        if (errno == EWOULDBLOCK)
            return tg_context_note(r->cx, TG_ERR_EXISTS, "%.300s: is being saved by somebody else just now",
                                   r->path);
        return failed(r->cx, TG_ERR_IO, r->part, "cannot be locked");
    }
    if (tg__file_calls->fstat(fd, &r->part_is))
        return failed(r->cx, TG_ERR_IO, r->part, "cannot be examined");
    if (tg__file_calls->stat(r->part, &there)) {
        if (errno != ENOENT) return failed(r->cx, TG_ERR_IO, r->part, "cannot be examined");
        *again = true;
    } else if (there.st_ino != r->part_is.st_ino || there.st_dev != r->part_is.st_dev)
        *again = true;
    else if (!S_ISREG(there.st_mode) || there.st_nlink > 1)
        return tg_context_note(r->cx, TG_ERR_IO,
                               "%.300s: is in the way: no regular file, or one with other names", r->part);
    return TG_OK;
}

static tg_status open_part(replacement *r, int *fd)
{
    enum { ATTEMPTS = 100, FLAGS = O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK };
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        *fd = tg__file_calls->open(r->part, FLAGS | O_CREAT | O_EXCL, 0666);
        const bool ours = *fd >= 0;
        if (!ours && errno == EEXIST) { /* left over, or in use */
            *fd = tg__file_calls->open(r->part, FLAGS, 0);
            if (*fd < 0 && errno == ENOENT) continue;
        }
        if (*fd < 0) return failed(r->cx, TG_ERR_IO, r->part, "cannot be created");
        bool again = false;
        const tg_status s = lock_part(r, *fd, &again);
        if (!s && !again) return TG_OK;
        if (s == TG_ERR_IO && ours) tg__file_calls->unlink(r->part);
        tg__file_calls->close(*fd);
        if (s) return s;
    }
    return tg_context_note(r->cx, TG_ERR_EXISTS, "%.300s: is being saved by others all the time", r->path);
}

static bool write_all(int fd, const unsigned char *from, size_t bytes)
{
    while (bytes) {
        const ssize_t n = tg__file_calls->write(fd, from, bytes);
        if (n < 0 && errno == EINTR) continue;
        if (n == 0) errno = ENOSPC; /* a device that takes nothing and gives no reason */
        if (n <= 0) return false;
        from += n;
        bytes -= (size_t)n;
    }
    return true;
}

/* The new content, on the disk. Closes fd. A failed fsync is never tried again: the kernel may have thrown the
 * data away and would call the second try a success. */
static tg_status fill_part(replacement *r, int fd, const unsigned char *data, size_t bytes)
{
    const char *what = NULL;
    errno = 0;
    if (tg__file_calls->ftruncate(fd, 0))
        what = "cannot be emptied";
    else if (!write_all(fd, data, bytes))
        what = "cannot be written";
    else if (r->existed && (r->part_is.st_mode & 0777) != r->mode && tg__file_calls->fchmod(fd, r->mode))
        what = "cannot be given the old file's mode";
    else if (tg__file_calls->fsync(fd))
        what = "cannot be brought to the disk";
    const tg_status s = what ? failed(r->cx, TG_ERR_IO, r->part, what) : TG_OK;
    if (tg__file_calls->close(fd) && !s) return failed(r->cx, TG_ERR_IO, r->part, "cannot be closed");
    return s;
}

/* The old file's second name: to go back to, and for keep_previous the one that stays. */
static tg_status link_old(replacement *r, bool keep_previous)
{
    if (!r->existed) return TG_OK;
    tg__file_calls->unlink(r->safety); /* of a save that was killed */
    r->safe = tg__file_calls->link(r->path, r->safety) == 0;
    if (!keep_previous)
        return TG_OK; /* not every file system has links: then there is no way back, that is all */
    if (!r->safe) return failed(r->cx, TG_ERR_IO, r->previous, "cannot be linked to the old file");
    if (tg__file_calls->rename(r->safety, r->previous)) {
        const tg_status s = failed(r->cx, TG_ERR_IO, r->previous, "cannot be replaced");
        tg__file_calls->unlink(r->safety);
        return s;
    }
    /* If .1 was the old file already, rename did nothing, and both names are there. */
    tg__file_calls->unlink(r->safety);
    return TG_OK;
}

static bool sync_folder(const replacement *r)
{
    if (!tg__file_calls->fsync(r->folder_fd)) return true;
    return errno == EINVAL || errno == ENOTSUP; /* a file system that does not know this */
}

/* After the rename, but the folder did not reach the disk: the old file gets its name back. */
static tg_status go_back(replacement *r, bool keep_previous)
{
    struct stat now;
    const tg_status s = failed(r->cx, TG_ERR_IO, r->folder, "cannot be brought to the disk");
    if (tg__file_calls->stat(r->path, &now) || now.st_ino != r->part_is.st_ino ||
        now.st_dev != r->part_is.st_dev)
        return s;
    if (!r->existed) {
        tg__file_calls->unlink(r->path);
        return s;
    }
    if (keep_previous) tg__file_calls->link(r->previous, r->safety);
    if (r->safe && !tg__file_calls->rename(r->safety, r->path)) return s;
    return tg_context_note(
        r->cx, TG_ERR_IO,
        "%.200s: the new content is there, but the folder cannot be brought to the disk: after a power "
        "cut the old one may be back",
        r->path);
}

/* With the new content safe under the .part name and its lock held: makes it the file. */
static tg_status commit(replacement *r, bool keep_previous)
{
    tg_status s = link_old(r, keep_previous);
    if (s) return s;
    if (tg__file_calls->rename(r->part, r->path))
        s = failed(r->cx, TG_ERR_IO, r->path, "cannot be replaced");
    else {
        r->committed = true; /* from here on the .part name may be another save's */
        if (!sync_folder(r)) s = go_back(r, keep_previous);
    }
    if (r->safe && !keep_previous) tg__file_calls->unlink(r->safety);
    return s;
}

static tg_status replace_folder_open(replacement *r, const unsigned char *data, size_t bytes,
                                     bool keep_previous)
{
    int fd;
    tg_status s = open_part(r, &fd);
    if (s) return s;
    r->lock = tg__file_calls->dup(fd);
    if (r->lock < 0) {
        s = failed(r->cx, TG_ERR_IO, r->part, "cannot be locked");
        tg__file_calls->unlink(r->part);
        tg__file_calls->close(fd);
        return s;
    }
    s = fill_part(r, fd, data, bytes);
    if (!s) s = commit(r, keep_previous);
    if (s && !r->committed) tg__file_calls->unlink(r->part); /* under the lock: it is ours */
    tg__file_calls->close(r->lock);
    return s;
}

tg_status tg__file_replace(tg_context *cx, const char *path, const unsigned char *data, size_t bytes,
                           bool keep_previous)
{
    replacement *r = tg__allocate(cx, sizeof *r); /* 20 kB of names: not for a thread's small stack */
    if (!r) return TG_ERR_MEMORY;
    r->cx = cx;
    tg_status s = examine(r, path);
    if (!s) {
        r->folder_fd = tg__file_calls->open(r->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
        if (r->folder_fd < 0) s = failed(cx, TG_ERR_IO, r->folder, "cannot be opened");
    }
    if (!s) {
        s = replace_folder_open(r, data, bytes, keep_previous);
        tg__file_calls->close(r->folder_fd);
    }
    tg__release(cx, r);
    return s;
}
