/* hdf5/calls.c -- the seam's usual side: the C library, and HDF5 behind one lock. */
#include "hdf5/calls.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

static int libc_open(const char *path, int flags, mode_t mode) { return open(path, flags, mode); }
static int libc_dup(int fd) { return fcntl(fd, F_DUPFD_CLOEXEC, 0); }
static int libc_fstat(int fd, struct stat *to) { return fstat(fd, to); }
static int libc_stat(const char *path, struct stat *to) { return stat(path, to); }
static int libc_lstat(const char *path, struct stat *to) { return lstat(path, to); }

const file_calls tg__file_calls_libc = {
    .open = libc_open,
    .fstat = libc_fstat,
    .stat = libc_stat,
    .lstat = libc_lstat,
    .realpath = realpath,
    .flock = flock,
    .fchmod = fchmod,
    .fchown = fchown,
    .dup = libc_dup,
    .read = read,
    .write = write,
    .fsync = fsync,
    .close = close,
    .link = link,
    .rename = rename,
    .unlink = unlink,
};
const file_calls *tg__file_calls = &tg__file_calls_libc;

/* ---- HDF5 ---- */

/* Process-wide: HDF5 may be a build that is not safe for threads. */
static pthread_mutex_t door = PTHREAD_MUTEX_INITIALIZER;

long tg__hdf5_fail_at, tg__hdf5_done;
bool tg__hdf5_fail_for_good;

bool tg__hdf5_fails(void)
{
    tg__hdf5_done++;
    if (!tg__hdf5_fail_at) return false;
    return tg__hdf5_fail_for_good ? tg__hdf5_done >= tg__hdf5_fail_at : tg__hdf5_done == tg__hdf5_fail_at;
}

/* Printing is switched per thread, and belongs to the host: it gets back what it had. */
bool tg__hdf5_enter(hdf5_visit *v)
{
    pthread_mutex_lock(&door);
    if (H5_TRY(H5open()) >= 0 && H5_TRY(H5Eget_auto2(H5E_DEFAULT, &v->print, &v->print_data)) >= 0) {
        if (H5_TRY(H5Eset_auto2(H5E_DEFAULT, NULL, NULL)) >= 0) {
            if (H5_TRY(H5PLget_loading_state(&v->plugins)) >= 0 && H5_TRY(H5PLset_loading_state(0)) >= 0)
                return true;
            H5Eset_auto2(H5E_DEFAULT, v->print, v->print_data);
        }
    }
    pthread_mutex_unlock(&door);
    return false;
}

void tg__hdf5_leave(const hdf5_visit *v)
{
    H5PLset_loading_state(v->plugins);
    H5Eclear2(H5E_DEFAULT);
    H5Eset_auto2(H5E_DEFAULT, v->print, v->print_data);
    pthread_mutex_unlock(&door);
}

static herr_t innermost(unsigned n, const H5E_error2_t *error, void *to)
{
    hdf5_text *reason = to;
    (void)n;
    snprintf(reason->s, sizeof reason->s, "%s", error->desc ? error->desc : "");
    return 1; /* enough */
}

hdf5_text tg__hdf5_reason(void)
{
    hdf5_text reason = { "" };
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, innermost, &reason);
    return reason;
}

hdf5_text tg__hdf5_no_file(void)
{
    static unsigned long count;
    hdf5_text name;
    snprintf(name.s, sizeof name.s, "/dev/null/tidegate-%lu", ++count);
    return name;
}
