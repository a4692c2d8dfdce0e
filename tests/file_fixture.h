/* tests/file_fixture.h -- a folder of one's own, whole files, and system calls that fail. */
#ifndef FILE_FIXTURE_H
#define FILE_FIXTURE_H

#include "check_main.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hdf5/calls.h"

/* ---- a folder ---- */
static char folder[128];

static void calls_usual(void);

static void folder_make(void)
{
    calls_usual();
    const char *tmp = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%.90s/tidegate-XXXXXX", tmp ? tmp : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

/* Files only; the folder too if `all`. */
static void folder_empty(bool all)
{
    DIR *d = opendir(folder);
    ck_assert_ptr_nonnull(d);
    for (struct dirent *e; (e = readdir(d));)
        if (strcmp(e->d_name, ".") && strcmp(e->d_name, "..")) {
            unlinkat(dirfd(d), e->d_name, 0);
            unlinkat(dirfd(d), e->d_name, AT_REMOVEDIR);
        }
    closedir(d);
    if (all) rmdir(folder);
}

static void folder_remove(void) { folder_empty(true); }

/* How many names are in it. */
static int __attribute__((unused)) folder_count(void)
{
    int n = 0;
    DIR *d = opendir(folder);
    ck_assert_ptr_nonnull(d);
    for (struct dirent *e; (e = readdir(d));) n += strcmp(e->d_name, ".") && strcmp(e->d_name, "..");
    closedir(d);
    return n;
}

/* "<folder>/<name>"; good for four calls. */
static const char *in_folder(const char *name)
{
    static char path[4][256];
    static int k;
    k = (k + 1) % 4;
    snprintf(path[k], sizeof path[k], "%s/%s", folder, name);
    return path[k];
}

/* ---- whole files ---- */
typedef struct bytes {
    unsigned char *data; /* NULL: no file */
    size_t n;
} bytes;

static bytes __attribute__((unused)) bytes_of(const char *path)
{
    bytes b = { NULL, 0 };
    FILE *f = fopen(path, "rb");
    if (!f) return b;
    fseek(f, 0, SEEK_END);
    b.n = (size_t)ftell(f);
    rewind(f);
    b.data = malloc(b.n + 1);
    ck_assert(b.data && fread(b.data, 1, b.n, f) == b.n);
    fclose(f);
    return b;
}

static bool __attribute__((unused)) same_bytes(bytes a, bytes b)
{
    return a.n == b.n && !a.data == !b.data && (!a.n || !memcmp(a.data, b.data, a.n));
}

static void __attribute__((unused)) bytes_to(const char *path, const void *data, size_t n)
{
    FILE *f = fopen(path, "wb");
    ck_assert(f && fwrite(data, 1, n, f) == n && !fclose(f));
}

static int __attribute__((unused)) open_descriptors(void)
{
    int n = 0;
    DIR *d = opendir("/proc/self/fd");
    if (!d) return 0;
    while (readdir(d)) n++;
    closedir(d);
    return n;
}

/* ---- system calls that fail ---- */

/* The call number `at` (from 1) fails with `error`, or ends the process; `for_good`: all after it fail too, but those
 * that clean up: an unlink, and a close, which closes all the same. error 0: a write does half of its work. */
static struct {
    long at, done;
    int error;
    bool for_good, kill, halfway, no_links;
    char first[16]; /* the name of the call that failed first */
    bool renamed_before;
    bool renamed; /* a rename to the final name was done */
} fault;

/* No test pulls the plug, so nothing need reach the disk: a hundred times faster. */
static int fsync_not(int fd)
{
    (void)fd;
    return 0;
}

static void calls_usual(void)
{
    static file_calls quick;
    quick = tg__file_calls_libc;
    quick.fsync = fsync_not;
    tg__file_calls = &quick;
}

static void __attribute__((unused)) fault_none(void)
{
    memset(&fault, 0, sizeof fault);
    calls_usual();
}

static bool fails(const char *call)
{
    fault.done++;
    if (!fault.at || fault.done < fault.at || (fault.done > fault.at && !fault.for_good)) return false;
    if (fault.kill && !(fault.halfway && !strcmp(call, "write"))) _exit(77);
    if (fault.done == fault.at) {
        snprintf(fault.first, sizeof fault.first, "%s", call);
        fault.renamed_before = fault.renamed;
    }
    errno = fault.error;
    return true;
}

#define OR(call) (fails(#call) ? -1 : tg__file_calls_libc.call
static int f_open(const char *p, int flags, mode_t m) {return OR(open)(p, flags, m)); }
static int f_fstat(int fd, struct stat *to) {return OR(fstat)(fd, to)); }
static int f_stat(const char *p, struct stat *to) {return OR(stat)(p, to)); }
static int f_lstat(const char *p, struct stat *to) {return OR(lstat)(p, to)); }
static char *f_realpath(const char *p, char *to)
{
    return fails("realpath") ? NULL : tg__file_calls_libc.realpath(p, to);
}
static int f_flock(int fd, int what) {return OR(flock)(fd, what)); }
static int f_fchown(int fd, uid_t u, gid_t g) {return OR(fchown)(fd, u, g)); }
static int f_fchmod(int fd, mode_t m) {return OR(fchmod)(fd, m)); }
static int f_dup(int fd) {return OR(dup)(fd)); }
static ssize_t f_read(int fd, void *to, size_t n)
{
    if (!fails("read")) return tg__file_calls_libc.read(fd, to, n);
    return fault.error ? -1 : tg__file_calls_libc.read(fd, to, n > 1 ? n / 2 : n);
}
static ssize_t f_write(int fd, const void *from, size_t n)
{
    if (!fails("write")) return tg__file_calls_libc.write(fd, from, n);
    if (fault.error) return -1;
    const ssize_t half = tg__file_calls_libc.write(fd, from, n > 1 ? n / 2 : n);
    if (fault.kill) _exit(77);
    return half;
}
static int f_fsync(int fd) { return fails("fsync") ? -1 : fsync_not(fd); }
static int f_close(int fd)
{
    const bool bad = fails("close");
    const int s = tg__file_calls_libc.close(fd);
    if (bad) errno = fault.error;
    return bad ? -1 : s;
}
static int f_link(const char *from, const char *to)
{
    if (fault.no_links) return fails("link"), errno = EPERM, -1;
    return OR(link)(from, to));
}
static int f_rename(const char *from, const char *to)
{
    const int s = OR(rename)(from, to));
    const size_t n = strlen(from);
    if (!s && n > 8 && !strcmp(from + n - 8, ".h5.part")) fault.renamed = true;
    return s;
}
static int f_unlink(const char *p)
{
    if (fault.kill) fails("unlink");
    return tg__file_calls_libc.unlink(p);
}
#undef OR

static const file_calls failing_calls = {
    .open = f_open,
    .fstat = f_fstat,
    .stat = f_stat,
    .lstat = f_lstat,
    .realpath = f_realpath,
    .flock = f_flock,
    .fchmod = f_fchmod,
    .fchown = f_fchown,
    .dup = f_dup,
    .read = f_read,
    .write = f_write,
    .fsync = f_fsync,
    .close = f_close,
    .link = f_link,
    .rename = f_rename,
    .unlink = f_unlink,
};

static void __attribute__((unused)) fault_at(long at, int error, bool for_good)
{
    fault_none();
    fault.at = at;
    fault.error = error;
    fault.for_good = for_good;
    tg__file_calls = &failing_calls;
}

/* TG_TEST_MAIN with a setup and a teardown around every test. */
#define TG_TEST_MAIN_FIXTURE(suite_name, before, after, ...)                                                 \
    int main(void)                                                                                           \
    {                                                                                                        \
        const TTest *const tests[] = { __VA_ARGS__ };                                                        \
        Suite *suite = suite_create(suite_name);                                                             \
        TCase *all = tcase_create("all");                                                                    \
        tcase_set_timeout(all, 60);                                                                          \
        tcase_add_checked_fixture(all, before, after);                                                       \
        for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) tcase_add_test(all, tests[i]);             \
        suite_add_tcase(suite, all);                                                                         \
        return run_suite(suite);                                                                             \
    }

#endif
