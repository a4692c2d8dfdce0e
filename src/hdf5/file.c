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
    bool existed; /* there is an old file, and `old` describes it */
    bool safe;    /* `safety` is a second name of it, or a copy */
    struct stat old;
    int lock;    /* a second descriptor of the .part file: its lock outlasts the checked close */
    bool locked; /* false: this file system has no locks */
    int folder_fd;
    struct stat part_is;
    bool committed; /* .part has become the file */
    unsigned char buffer[1 << 16];
} replacement;

/* A warning that each context gives once. */
static void warn_once(const replacement *r, unsigned kind, const char *path, const char *what,
                      const char *consequence)
{
    char buffer[128];
    if (r->cx->warned & kind) return;
    r->cx->warned |= kind;
    tg__context_log(r->cx, TG_LOG_WARNING, "%.200s: %s (%s): %s", path, what,
                    strerror_r(errno, buffer, sizeof buffer), consequence);
}

/* Names, and what is there now. The previous file lies beside the path as it was given, where a reader looks for it;
 * if that path is a symbolic link, the file itself may be in another folder. */
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
    r->existed = tg__file_calls->stat(r->path, &r->old) == 0;
    if (!r->existed && errno != ENOENT) return failed(r->cx, TG_ERR_IO, path, "cannot be examined");
    if (r->existed && !S_ISREG(r->old.st_mode))
        return tg_context_note(r->cx, TG_ERR_IO, "%.300s: not a regular file: it is not replaced", path);
    snprintf(r->part, sizeof r->part, "%s.part", r->path);
    snprintf(r->safety, sizeof r->safety, "%s.1.part", path);
    snprintf(r->previous, sizeof r->previous, "%s.1", path);
    memcpy(r->folder, r->path, sizeof r->folder);
    char *slash = strrchr(r->folder, '/');
    if (!slash)
        memcpy(r->folder, ".", 2);
    else
        slash[slash == r->folder] = 0; /* "/x" lies in "/" */
    return TG_OK;
}

static tg_status busy(const replacement *r)
{
    return tg_context_note(r->cx, TG_ERR_EXISTS, "%.300s: is being saved by somebody else just now", r->path);
}

/* Does the .part name still belong to the file that we have opened? Whoever held the lock before us may have renamed or
 * removed it; by now the name may be another save's. */
static tg_status look_at_part(const replacement *r, struct stat *there, bool *ours)
{
    *ours = false;
    if (tg__file_calls->stat(r->part, there))
        return errno == ENOENT ? TG_OK : failed(r->cx, TG_ERR_IO, r->part, "cannot be examined");
    *ours = there->st_ino == r->part_is.st_ino && there->st_dev == r->part_is.st_dev;
    return TG_OK;
}

/* Locks the .part file just opened. */
static tg_status lock_part(replacement *r, int fd, bool *ours)
{
    struct stat there;
    r->locked = !tg__file_calls->flock(fd, LOCK_EX | LOCK_NB);
    if (!r->locked && errno == EWOULDBLOCK) return busy(r);
    if (!r->locked)
        warn_once(r, WARNED_NO_LOCKS, r->part, "cannot be locked", "two saves at once cannot be told apart");
    if (tg__file_calls->fstat(fd, &r->part_is))
        return failed(r->cx, TG_ERR_IO, r->part, "cannot be examined");
    const tg_status s = look_at_part(r, &there, ours);
    if (!s && *ours && (!S_ISREG(there.st_mode) || there.st_nlink > 1))
        return tg_context_note(r->cx, TG_ERR_IO,
                               "%.300s: is in the way: no regular file, or one with other names", r->part);
    return s;
}

/* A new file, which nobody else has open. One that is there already, and is locked by nobody, was left over by a save that
 * was killed: it is removed. */
static tg_status open_part(replacement *r, int *fd)
{
    enum { ATTEMPTS = 100, FLAGS = O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK };
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        *fd = tg__file_calls->open(r->part, FLAGS | O_CREAT | O_EXCL, r->existed ? 0600 : 0666);
        const bool fresh = *fd >= 0;
        if (!fresh && errno == EEXIST) {
            *fd = tg__file_calls->open(r->part, FLAGS, 0);
            if (*fd < 0 && errno == ENOENT) continue;
        }
        if (*fd < 0) return failed(r->cx, TG_ERR_IO, r->part, "cannot be created");
        bool ours = false;
        const tg_status s = lock_part(r, *fd, &ours);
        if (!s && ours && fresh) return TG_OK;
        if (fresh ? s == TG_ERR_IO : !s && ours) tg__file_calls->unlink(r->part);
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

/* Gives a new, empty file the old file's owner, group and mode. Only the superuser can give files away; where the group
 * cannot be kept, its members get no more than everybody. A file system without modes is fine. */
static bool take_over(const replacement *r, int fd)
{
    const struct stat *old = &r->old;
    struct stat is;
    mode_t mode = old->st_mode & 0777;
    if (tg__file_calls->fstat(fd, &is)) return false;
    if ((is.st_uid != old->st_uid || is.st_gid != old->st_gid) &&
        tg__file_calls->fchown(fd, old->st_uid, old->st_gid) && is.st_gid != old->st_gid &&
        tg__file_calls->fchown(fd, (uid_t)-1, old->st_gid))
        mode &= (mode_t)(0707 | (mode & 07) << 3);
    if ((is.st_mode & 0777) == mode || !tg__file_calls->fchmod(fd, mode)) return true;
    return errno == EPERM || errno == ENOSYS || errno == ENOTSUP;
}

/* The new content, on the disk. Closes fd. A failed fsync is never tried again: the kernel may have thrown the
 * data away and would call the second try a success. */
static tg_status fill_part(replacement *r, int fd, const unsigned char *data, size_t bytes)
{
    const char *what = NULL;
    errno = 0;
    if (r->existed && !take_over(r, fd))
        what = "cannot be given the old file's mode";
    else if (!write_all(fd, data, bytes))
        what = "cannot be written";
    else if (tg__file_calls->fsync(fd))
        what = "cannot be brought to the disk";
    const tg_status s = what ? failed(r->cx, TG_ERR_IO, r->part, what) : TG_OK;
    if (tg__file_calls->close(fd) && !s) return failed(r->cx, TG_ERR_IO, r->part, "cannot be closed");
    return s;
}

/* ---- the old file: to go back to, and to be kept ---- */

static bool copy_data(replacement *r, int from, int to)
{
    ssize_t n;
    if (!take_over(r, to)) return false;
    while ((n = read_all(from, r->buffer, sizeof r->buffer)) > 0)
        if (!write_all(to, r->buffer, (size_t)n)) return false;
    return n == 0 && !tg__file_calls->fsync(to);
}

static bool copy_old(replacement *r)
{
    bool done = false;
    int error = 0;
    const int from = tg__file_calls->open(r->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0);
    if (from < 0) return false;
    const int to =
        tg__file_calls->open(r->safety, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (to >= 0) {
        done = copy_data(r, from, to);
        error = errno;
        if (tg__file_calls->close(to) && done) done = false, error = errno;
        if (!done) tg__file_calls->unlink(r->safety);
    } else
        error = errno;
    tg__file_calls->close(from);
    errno = error;
    return done;
}

/* Gives the old file a second name; a copy will do where there are no hard links, or not to another file system. If it can
 * be neither linked nor copied, the new content is worth more than it. */
static void make_safe(replacement *r, bool keep_previous)
{
    struct stat old, previous;
    if (!r->existed) return;
    tg__file_calls->unlink(r->safety); /* of a save that was killed */
    if (keep_previous && !tg__file_calls->lstat(r->previous, &previous) &&
        !tg__file_calls->lstat(r->path, &old) && previous.st_ino == old.st_ino &&
        previous.st_dev == old.st_dev)
        tg__file_calls->unlink(r->previous); /* a rename of one name of a file to another does nothing */
    r->safe = tg__file_calls->link(r->path, r->safety) == 0;
    if (r->safe || !keep_previous) return; /* a copy just for the moment is not worth its time */
    warn_once(r, WARNED_NO_LINKS, r->previous, "cannot be a hard link",
              "the previous file is kept as a copy");
    r->safe = copy_old(r);
    if (!r->safe)
        warn_once(r, WARNED_NOT_KEPT, r->previous, "cannot be written", "the previous file is not kept");
}

static bool sync_folder(const replacement *r)
{
    if (!tg__file_calls->fsync(r->folder_fd)) return true;
    return errno == EINVAL || errno == ENOTSUP || errno == ENOSYS; /* a file system that does not know this */
}

/* After the rename something failed: the old file gets its name back. */
static tg_status go_back(replacement *r, const char *path, const char *what)
{
    struct stat now;
    const tg_status s = failed(r->cx, TG_ERR_IO, path, what);
    if (tg__file_calls->stat(r->path, &now) || now.st_ino != r->part_is.st_ino ||
        now.st_dev != r->part_is.st_dev)
        return s;
    if (!r->existed) {
        tg__file_calls->unlink(r->path);
        return s;
    }
    if (r->safe && !tg__file_calls->rename(r->safety, r->path)) return s;
    return tg_context_note(r->cx, TG_ERR_IO,
                           "%.200s: the new content is there, but after a power cut the old one may be back: "
                           "%.200s %s",
                           r->path, path, what);
}

/* Is another save between the rename of its .part file and its end? The second name of the old file is still there then, and
 * the lock that the save holds is that of the file which is now called `path`. */
static bool another_is_ending(const replacement *r)
{
    struct stat about;
    if (tg__file_calls->lstat(r->safety, &about)) return false;
    const int fd = tg__file_calls->open(r->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0);
    if (fd < 0) return false;
    const bool locked = tg__file_calls->flock(fd, LOCK_SH | LOCK_NB) && errno == EWOULDBLOCK;
    tg__file_calls->close(fd);
    return locked;
}

/* Without locks another save may have taken our .part file for one that was left over. */
static tg_status check_part(const replacement *r)
{
    struct stat there;
    bool ours;
    if (r->locked) return TG_OK;
    const tg_status s = look_at_part(r, &there, &ours);
    return s || ours ? s : busy(r);
}

/* With the new content safe under the .part name: makes it the file, and only then the old one the previous. So at no
 * moment are the two names one file, which one bad sector, or one program that writes into it, would take together. */
static tg_status commit(replacement *r, bool keep_previous)
{
    if (another_is_ending(r)) return busy(r);
    make_safe(r, keep_previous);
    tg_status s = check_part(r);
    if (!s && tg__file_calls->rename(r->part, r->path))
        s = failed(r->cx, TG_ERR_IO, r->path, "cannot be replaced");
    if (!s) {
        r->committed = true; /* from here on the .part name may be another save's */
        if (!sync_folder(r))
            s = go_back(r, r->folder, "cannot be brought to the disk");
        else if (r->safe && keep_previous && tg__file_calls->rename(r->safety, r->previous))
            s = go_back(r, r->previous, "cannot be replaced");
    }
    if (r->safe && (s || !keep_previous)) tg__file_calls->unlink(r->safety);
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
    replacement *r = tg__allocate(cx, sizeof *r); /* too large for a thread's small stack */
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
