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

/* A fork copies the locks of HDF5 and this one as they are, but not the threads that hold them: the child would wait for
 * them for ever, in its exit at the latest. So a fork comes in by the door, too. */
static void close_door(void) { pthread_mutex_lock(&door); }
static void open_door(void) { pthread_mutex_unlock(&door); }
static void watch_forks(void) { pthread_atfork(close_door, open_door, open_door); }

long tg__hdf5_fail_at, tg__hdf5_done;
bool tg__hdf5_fail_for_good;

bool tg__hdf5_fails(void)
{
    tg__hdf5_done++;
    if (!tg__hdf5_fail_at || tg__hdf5_done < tg__hdf5_fail_at) return false;
    if (tg__hdf5_done > tg__hdf5_fail_at && !tg__hdf5_fail_for_good) return false;
    H5Epush2(H5E_DEFAULT, __FILE__, __func__, __LINE__, H5E_ERR_CLS_g, H5E_FILE_g, H5E_BADVALUE_g, "planted");
    return true;
}

/* Printing is switched per thread, and belongs to the host: it gets back what it had. */
bool tg__hdf5_enter(hdf5_visit *v)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, watch_forks);
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

static herr_t look_at_error(unsigned n, const H5E_error2_t *error, void *to)
{
    hdf5_failure *failure = to;
    if (!n) snprintf(failure->s, sizeof failure->s, "%s", error->desc ? error->desc : "");
    failure->memory = failure->memory || error->maj_num == H5E_RESOURCE_g ||
                      error->min_num == H5E_NOSPACE_g || error->min_num == H5E_CANTALLOC_g;
    return 0;
}

hdf5_failure tg__hdf5_failure(void)
{
    hdf5_failure failure = { "", false };
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, look_at_error, &failure);
    return failure;
}

bool tg__hdf5_has_memory(void)
{
    void *volatile trial = malloc((size_t)16 << 20); /* volatile: or the compiler knows it would do */
    free(trial);
    return trial != NULL;
}

hdf5_text tg__hdf5_no_file(void)
{
    static unsigned long count;
    hdf5_text name;
    snprintf(name.s, sizeof name.s, "/dev/null/tidegate-%lu", ++count);
    return name;
}
