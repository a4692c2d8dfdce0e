/* train/run_directory.c -- one directory a run, one trainer a directory. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hdf5/calls.h"
#include "train/driver.h"

/* In the order in which --force removes them, but for last.h5, which the new run's takes the place of. */
static const char *const files_of_a_run[] = { "last.h5", "best.h5", "last.h5.1", "metrics.csv" };
enum { FILES = sizeof files_of_a_run / sizeof *files_of_a_run, LONGEST_NAME = 32 };

run_path tg__run_path(const run_directory *d, const char *file)
{
    run_path p = { "" };
    if (d->path) snprintf(p.s, sizeof p.s, "%s/%s", d->path, file);
    return p;
}

/* What was done in a folder survives a power cut after this. A folder that cannot be brought to the disk, one that
 * may be searched but not read for example, is no reason not to train. */
static void sync_or_warn(const run_directory *d, const char *folder)
{
    const int fd = tg__file_calls->open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    const bool bad = fd < 0 || (tg__file_calls->fsync(fd) && errno != EINVAL && errno != ENOTSUP);
    if (bad)
        tg__context_log(d->cx, TG_LOG_WARNING, "the directory %.300s cannot be brought to the disk: %s",
                        folder, strerror(errno));
    if (fd >= 0) tg__file_calls->close(fd);
}

static void sync_parent(const run_directory *d)
{
    char path[sizeof(run_path)];
    snprintf(path, sizeof path, "%s", d->path);
    sync_or_warn(d, dirname(path));
}

tg_status tg__run_file(const run_directory *d, const char *file, int flags, int *fd)
{
    const run_path path = tg__run_path(d, file);
    struct stat is;
    const char *why = NULL;
    *fd = tg__file_calls->open(path.s, flags | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0666);
    if (*fd < 0) {
        if (errno == ENOENT && !(flags & O_CREAT)) return TG_ERR_ABSENT;
        why = errno == ELOOP   ? "it is a symbolic link"
              : errno == ENXIO ? "it is not a regular file"
                               : strerror(errno);
    } else if (tg__file_calls->fstat(*fd, &is)) {
        why = strerror(errno);
    } else if (!S_ISREG(is.st_mode)) {
        why = "it is not a regular file";
    } else if (is.st_nlink != 1) {
        why = "it has another name elsewhere (a hard link)";
    }
    if (!why) return TG_OK;
    const tg_status s = tg_context_note(d->cx, TG_ERR_IO, "tg_train: %.300s cannot be used: %s", path.s, why);
    if (*fd >= 0) tg__file_calls->close(*fd);
    *fd = -1;
    return s;
}

static tg_status make(const run_directory *d, bool may_make)
{
    struct stat is;
    if (!stat(d->path, &is)) {
        if (S_ISDIR(is.st_mode)) return TG_OK;
        return tg_context_note(d->cx, TG_ERR_IO, "tg_train: %s is there, but is not a directory", d->path);
    }
    if (errno == ENOENT && !may_make)
        return tg_context_note(d->cx, TG_ERR_ABSENT, "tg_train: there is no directory %s to go on from",
                               d->path);
    if (errno == ENOENT && (!mkdir(d->path, 0777) || errno == EEXIST)) {
        sync_parent(d);
        return TG_OK;
    }
    return tg_context_note(d->cx, TG_ERR_IO, "tg_train: the directory %s cannot be made: %s", d->path,
                           strerror(errno));
}

/* Who holds the lock, as " (process 4711)", if that can be told. */
static run_path holder(int lock)
{
    run_path p = { "" };
    char text[24] = "";
    const ssize_t n = pread(lock, text, sizeof text - 1, 0);
    const long pid = n > 0 ? strtol(text, NULL, 10) : 0;
    if (pid > 0) snprintf(p.s, sizeof p.s, " (process %ld)", pid);
    return p;
}

/* The lock belongs to the open file, so it goes with the process, however that ends. The lock file
 * itself stays: removing it would let two trainers lock two files of the same name. */
static tg_status lock(run_directory *d)
{
    const run_path path = tg__run_path(d, "lock");
    const tg_status s = tg__run_file(d, "lock", O_RDWR | O_CREAT, &d->lock);
    if (s) return s;
    while (flock(d->lock, LOCK_EX | LOCK_NB)) {
        if (errno == EINTR) continue;
        if (errno == EWOULDBLOCK)
            return tg_context_note(d->cx, TG_ERR_EXISTS, "tg_train: another trainer%s is at work in %s",
                                   holder(d->lock).s, d->path);
        tg__context_log(d->cx, TG_LOG_WARNING,
                        "%.300s cannot be locked (%s): see to it that no other trainer uses the directory",
                        path.s, strerror(errno));
        return TG_OK; /* a file system without locks */
    }
    char pid[24];
    const int n = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
    /* for the message above alone: without it there is still a lock */
    if (ftruncate(d->lock, 0) || pwrite(d->lock, pid, (size_t)n, 0) != n)
        tg__context_log(d->cx, TG_LOG_WARNING, "%.300s: the process number cannot be written: %s", path.s,
                        strerror(errno));
    return TG_OK;
}

tg_status tg__run_open(run_directory *d, tg_context *cx, const char *path, bool may_make)
{
    *d = (run_directory){ cx, path, -1 };
    if (!path) return TG_OK;
    if (strlen(path) + LONGEST_NAME > sizeof(run_path))
        return tg_context_note(cx, TG_ERR_ARGUMENT,
                               "tg_train: the directory's path has %zu bytes, at most %zu fit", strlen(path),
                               sizeof(run_path) - LONGEST_NAME);
    const tg_status s = make(d, may_make);
    return s ? s : lock(d);
}

void tg__run_close(run_directory *d)
{
    if (d->lock >= 0) close(d->lock);
    d->lock = -1;
}

tg_status tg__run_must_be_new(const run_directory *d)
{
    struct stat is;
    for (int i = 0; i < FILES && d->path; i++)
        if (!lstat(tg__run_path(d, files_of_a_run[i]).s, &is))
            return tg_context_note(d->cx, TG_ERR_EXISTS,
                                   "tg_train: %s has a run already (%s is there): resume it, force a new one "
                                   "in its place, or take another directory",
                                   d->path, files_of_a_run[i]);
    return TG_OK;
}

tg_status tg__run_replace(const run_directory *d, const char *new)
{
    if (!d->path) return TG_OK;
    for (int i = 1; i < FILES; i++) {
        const run_path path = tg__run_path(d, files_of_a_run[i]);
        if (tg__file_calls->unlink(path.s) && errno != ENOENT)
            return tg_context_note(d->cx, TG_ERR_IO, "tg_train: the old run's %.300s cannot be removed: %s",
                                   path.s, strerror(errno));
    }
    sync_or_warn(d, d->path);
    const run_path from = tg__run_path(d, new), to = tg__run_path(d, "last.h5");
    if (tg__file_calls->rename(from.s, to.s))
        return tg_context_note(d->cx, TG_ERR_IO, "tg_train: %.300s cannot be put in place: %s", to.s,
                               strerror(errno));
    sync_or_warn(d, d->path);
    return TG_OK;
}
