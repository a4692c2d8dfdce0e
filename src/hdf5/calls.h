/* hdf5/calls.h -- the seam: every system call and every HDF5 call of this floor goes through here, so
 * that tests can make each of them fail, and HDF5 is entered by one thread at a time, in silence. */
#ifndef HDF5_CALLS_H
#define HDF5_CALLS_H

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

#include <hdf5.h>

/* ---- system calls ---- */
typedef struct file_calls {
    int (*open)(const char *path, int flags, mode_t mode);
    int (*fstat)(int fd, struct stat *to);
    int (*stat)(const char *path, struct stat *to);
    int (*lstat)(const char *path, struct stat *to);
    char *(*realpath)(const char *path, char *resolved);
    int (*flock)(int fd, int operation);
    int (*fchmod)(int fd, mode_t mode);
    int (*fchown)(int fd, uid_t owner, gid_t group);
    int (*dup)(int fd); /* closed on exec */
    ssize_t (*read)(int fd, void *to, size_t bytes);
    ssize_t (*write)(int fd, const void *from, size_t bytes);
    int (*fsync)(int fd);
    int (*close)(int fd);
    int (*link)(const char *old, const char *new);
    int (*rename)(const char *old, const char *new);
    int (*unlink)(const char *path);
} file_calls;

extern const file_calls tg__file_calls_libc;
extern const file_calls *tg__file_calls; /* tests put their own here */

/* ---- HDF5 ---- */

/* Until the matching leave this thread alone is in HDF5, which prints nothing and loads no plugin. A fork waits until no
 * thread is in it, so that the child may use HDF5, and exit. False: HDF5 could not be started (leave must not be called). */
typedef struct hdf5_visit {
    H5E_auto2_t print;
    void *print_data;
    unsigned int plugins;
} hdf5_visit;
bool tg__hdf5_enter(hdf5_visit *v);
void tg__hdf5_leave(const hdf5_visit *v);

/* HDF5's own words for its last failure, innermost first; "" if it has none. `memory`: the failure was that it got no
 * memory, which says nothing about the file. Between enter and leave. */
typedef struct hdf5_failure {
    char s[160];
    bool memory;
} hdf5_failure;
hdf5_failure tg__hdf5_failure(void);

/* HDF5 1.10 may crash when an allocation of its own is refused, now or when the process ends. So what it needs is asked
 * for beforehand: false if that is refused. */
bool tg__hdf5_has_memory(void);

/* The name of a file in memory. HDF5 looks on the disk for a file of that name all the same, and refuses two of
 * the same name: there can be none, and it is another every time. Between enter and leave. */
typedef struct hdf5_text {
    char s[64];
} hdf5_text;
hdf5_text tg__hdf5_no_file(void);

/* Tests: the n-th HDF5 call from now fails; with `for_good` all after it too. 0: none. _done counts. */
extern long tg__hdf5_fail_at, tg__hdf5_done;
extern bool tg__hdf5_fail_for_good;
bool tg__hdf5_fails(void);

/* A failing call is not made; a failing close is made and then reported, so that nothing leaks. */
#define H5_TRY(call)   (tg__hdf5_fails() ? -1 : (call))
#define H5_CLOSE(call) ((call) < 0 || tg__hdf5_fails() ? -1 : 0)

#endif
