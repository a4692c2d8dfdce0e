/* tests/test_train_faults.c -- a run whose system calls fail, or which is killed at one of them. */
#include <errno.h>
#include <fcntl.h>

#include "hdf5/calls.h"
#include "train_fixture.h"

/* ---- system calls that fail ---- */

static struct {
    long done, from, until; /* calls number from ... until-1 fail; from 0: none */
    bool writes_only;       /* only calls that put data on the disk count */
    bool kills;             /* the process ends in place of a failing call */
    int error;
    const char *unreadable; /* the end of a path whose reads fail */
    char path[64][600];     /* of an open descriptor */
    off_t safe[64];         /* how much of it was synced */
    bool log_is_dirty;      /* metrics.csv has content that was not synced */
    int last_saved;         /* how often last.h5 was put in place */
    int synced_parent;      /* how often the folder `parent` was synced */
    const char *parent;
} seam;

static bool fails(bool writes)
{
    if (seam.writes_only && !writes) return false;
    const long n = ++seam.done;
    if (!seam.from || n < seam.from || n >= seam.until) return false;
    if (seam.kills) _exit(77);
    errno = seam.error;
    return true;
}

static bool ends_in(const char *path, const char *end)
{
    const size_t n = strlen(path), m = strlen(end);
    return n >= m && !strcmp(path + n - m, end);
}

static char *path_of(int fd)
{
    ck_assert_int_lt(fd, 64);
    return seam.path[fd];
}

/* Under the name that it was opened by. */
static bool is_log(int fd)
{
    return ends_in(path_of(fd), "/metrics.csv") || ends_in(path_of(fd), "/metrics.csv.part");
}

static int f_open(const char *path, int flags, mode_t mode)
{
    const int fd = fails(false) ? -1 : tg__file_calls_libc.open(path, flags, mode);
    if (fd >= 0) snprintf(path_of(fd), 600, "%s", path), seam.safe[fd] = 0;
    return fd;
}

static int f_dup(int fd)
{
    const int copy = fails(false) ? -1 : tg__file_calls_libc.dup(fd);
    if (copy >= 0) memcpy(path_of(copy), path_of(fd), 600);
    return copy;
}

static ssize_t f_read(int fd, void *to, size_t n)
{
    if (seam.unreadable && ends_in(path_of(fd), seam.unreadable)) return errno = EIO, -1;
    return fails(false) ? -1 : tg__file_calls_libc.read(fd, to, n);
}

static ssize_t f_write(int fd, const void *from, size_t n)
{
    if (is_log(fd)) seam.log_is_dirty = true;
    if (!fails(true)) return tg__file_calls_libc.write(fd, from, n);
    if (n > 1 && tg__file_calls_libc.write(fd, from, n / 2) < 0) return -1; /* half of it got there */
    return errno = seam.error, -1;
}

/* One that fails throws away what was written since the last one, as the kernel may. */
static int f_fsync(int fd)
{
    struct stat is;
    ck_assert_int_eq(fstat(fd, &is), 0);
    if (fails(true)) {
        if (S_ISREG(is.st_mode)) ck_assert_int_eq(ftruncate(fd, seam.safe[fd]), 0);
        return errno = seam.error, -1;
    }
    seam.safe[fd] = is.st_size;
    if (is_log(fd)) seam.log_is_dirty = false;
    if (seam.parent && !strcmp(path_of(fd), seam.parent)) seam.synced_parent++;
    return 0; /* no test pulls the plug */
}

static int f_rename(const char *from, const char *to)
{
    if (fails(true)) return -1;
    if (ends_in(to, "/last.h5")) {
        ck_assert_msg(seam.from || !seam.log_is_dirty,
                      "the rows of metrics.csv are not on the disk before last.h5");
        seam.last_saved++;
    }
    return tg__file_calls_libc.rename(from, to);
}

static int f_link(const char *from, const char *to)
{
    return fails(true) ? -1 : tg__file_calls_libc.link(from, to);
}

static int f_unlink(const char *path)
{
    if (seam.kills) fails(true);
    return tg__file_calls_libc.unlink(path);
}

static void watch_calls(void)
{
    static file_calls watched;
    memset(&seam, 0, sizeof seam);
    seam.error = EIO;
    watched = tg__file_calls_libc;
    watched.open = f_open, watched.dup = f_dup, watched.read = f_read, watched.write = f_write;
    watched.fsync = f_fsync, watched.rename = f_rename, watched.link = f_link;
    watched.unlink = f_unlink;
    tg__file_calls = &watched;
}

/* ---- runs ---- */

static const double valid[] = { 3, 2, 2.5 }; /* the best is that of the second epoch */
static const net_config plain = { .seed = 5, .batches = 3, .valid = valid };
enum { STEPS = 8 }; /* the third epoch is not ended, so that the last save is due only because the run ends */

static char message[512];

static tg_status train(const net_config *c, const char *directory, bool resume, int *losses)
{
    net *n = net_new(c);
    tg_training g = net_training(n, directory);
    g.steps = STEPS, g.log_every = 2, g.resume = resume;
    const tg_status s = tg_train(&g, NULL);
    snprintf(message, sizeof message, "%s", tg_context_message(n->cx));
    if (losses) *losses = n->losses;
    net_free(n);
    return s;
}

static void straight_run(char directory[256])
{
    snprintf(directory, 256, "%s", fresh_directory());
    ck_assert_int_eq(train(&plain, directory, false, NULL), TG_OK);
}

static void assert_same_run(const char *x, const char *y, const char *how)
{
    static const char *const files[] = { "last.h5", "best.h5" };
    for (int i = 0; i < 2; i++) {
        const char *what = difference(in(x, files[i]).s, in(y, files[i]).s);
        ck_assert_msg(!*what, "%s: %s: %s", how, files[i], what);
    }
    char *rows_x = numbers_of(x), *rows_y = numbers_of(y);
    ck_assert_msg(!strcmp(rows_x, rows_y), "%s: metrics.csv:\n%s\nand\n%s", how, rows_x, rows_y);
    free(rows_x), free(rows_y);
}

START_TEST(call_that_fails_once_does_not_end_a_run)
{
    static const int errors[] = { EIO, ENOSPC };
    char straight[256], how[64];
    watch_calls();
    straight_run(straight);
    const long calls = seam.done;
    ck_assert_int_gt(calls, 50);
    for (long k = 1; k <= calls; k++) {
        const char *d = fresh_directory();
        int losses;
        watch_calls();
        seam.from = k, seam.until = k + 1, seam.error = errors[k % 2];
        const tg_status s = train(&plain, d, false, &losses);
        seam.from = 0;
        snprintf(how, sizeof how, "call %ld of %ld", k, calls);
        ck_assert_msg(!s || (s == TG_ERR_IO && !losses), "%s: %d: %s", how, s, message);
        if (!s) assert_same_run(straight, d, how);
        remove_directory(d);
    }
    remove_directory(straight);
}
END_TEST

static void disk_is_full(int64_t step)
{
    seam.from = step >= 4 && step < 7 ? 1 : 0; /* at the best validation and the save after it */
    seam.until = LONG_MAX;
    seam.writes_only = true;
}

START_TEST(disk_that_is_full_for_a_while_loses_nothing)
{
    char straight[256];
    net_config c = plain;
    watch_calls();
    straight_run(straight);
    const char *d = fresh_directory();
    c.at_step = disk_is_full;
    int losses;
    const tg_status s = train(&c, d, false, &losses);
    ck_assert_msg(s == TG_OK, "%s", message);
    ck_assert_int_eq(losses, STEPS);
    assert_same_run(straight, d, "full for a while");
    remove_directory(d);
    remove_directory(straight);
}
END_TEST

static void disk_fills_up(int64_t step)
{
    seam.from = step >= 4 ? 1 : 0;
    seam.until = LONG_MAX;
    seam.writes_only = true;
}

START_TEST(disk_that_stays_full_ends_in_an_error_that_names_the_files)
{
    char straight[256];
    net_config c = plain;
    watch_calls();
    straight_run(straight);
    const char *d = fresh_directory();
    c.at_step = disk_fills_up;
    seam.error = ENOSPC;
    int losses;
    ck_assert_int_eq(train(&c, d, false, &losses), TG_ERR_IO);
    ck_assert_int_eq(losses, STEPS); /* all the same */
    ck_assert_msg(strstr(message, "last.h5 best.h5 metrics.csv could not be written") &&
                      strstr(message, "No space left"),
                  "%s", message);
    seam.from = 0;
    c.at_step = NULL; /* there is room again: it goes on from the end of the first epoch */
    static const double others[] = { 2, 2.5 };
    c.valid = others;
    ck_assert_int_eq(train(&c, d, true, &losses), TG_OK);
    ck_assert_int_eq(losses, STEPS - 3);
    assert_same_run(straight, d, "there was room again");
    remove_directory(d);
    remove_directory(straight);
}
END_TEST

static int warnings_of(const char *log, const char *word)
{
    int n = 0;
    for (const char *p = log; (p = strstr(p, word)); p++) n++;
    return n;
}

START_TEST(write_that_fails_is_told)
{
    watch_calls();
    const char *d = fresh_directory();
    net_config c = plain;
    c.at_step = disk_is_full;
    net *n = net_new(&c);
    tg_training g = net_training(n, d);
    g.steps = STEPS, g.log_every = 1;
    ck_assert_train(&g, TG_OK, NULL);
    ck_assert_msg(warnings_of(n->log, "best.h5") == 2 && warnings_of(n->log, "last.h5.part") == 1, "%s",
                  n->log);
    ck_assert_int_eq(warnings_of(n->log, "metrics.csv cannot be written"), 1); /* not for every row */
    ck_assert_int_eq(warnings_of(n->log, "metrics.csv can be written again"), 1);
    net_free(n);
    remove_directory(d);
}
END_TEST

START_TEST(log_is_synced_before_the_checkpoint_that_counts_on_it)
{
    watch_calls(); /* f_rename() looks */
    char d[256];
    straight_run(d);
    ck_assert_int_eq(seam.last_saved, 1 + 3);
    ck_assert(!seam.log_is_dirty);
    remove_directory(d);
}
END_TEST

START_TEST(parent_of_a_new_directory_is_synced_once)
{
    watch_calls();
    const char *d = fresh_directory();
    const file_path made = in(d, "run");
    seam.parent = d;
    ck_assert_int_eq(train(&plain, made.s, false, NULL), TG_OK);
    ck_assert_int_eq(seam.synced_parent, 1);
    remove_directory(d);
}
END_TEST

/* The seed of the run that the file is of; 0: no file. */
static int64_t seed_of(const char *directory, const char *file)
{
    tg_context *cx = tg_context_new(NULL);
    tg_archive *a = NULL;
    int64_t seed = 0;
    const tg_status s = tg_checkpoint_read(cx, in(directory, file).s, &a);
    ck_assert_msg(!s || s == TG_ERR_ABSENT, "%s", tg_context_message(cx));
    if (!s) ck_assert_int_eq(tg_archive_get_integer(a, "training/seed", &seed), TG_OK);
    tg_archive_free(a);
    tg_context_free(cx);
    return seed;
}

START_TEST(forced_start_killed_at_any_call_leaves_no_best_of_another_run)
{
    bool over = false;
    int old = 0, new = 0;
    for (long k = 1; !over; k++) {
        const char *d = fresh_directory();
        watch_calls();
        ck_assert_int_eq(train(&plain, d, false, NULL), TG_OK);
        fflush(NULL);
        const pid_t child = fork();
        if (!child) {
            net_config c = plain;
            c.seed = 6;
            watch_calls();
            seam.from = k, seam.until = k + 1, seam.kills = true;
            net *n = net_new(&c);
            tg_training g = net_training(n, d);
            g.steps = 1, g.force = true, g.validate = NULL;
            _exit(tg_train(&g, NULL) ? 1 : 0);
        }
        int status;
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert_msg(WIFEXITED(status) && (WEXITSTATUS(status) == 77 || !WEXITSTATUS(status)), "status %x",
                      status);
        over = !WEXITSTATUS(status);
        const int64_t last = seed_of(d, "last.h5"), before = seed_of(d, "last.h5.1"),
                      best = seed_of(d, "best.h5");
        ck_assert(last == 5 || last == 6);
        ck_assert_msg(!best || best == last, "call %ld: best.h5 of run %d, last.h5 of run %d", k, (int)best,
                      (int)last);
        ck_assert_msg(!before || before == last, "call %ld: last.h5.1 of run %d", k, (int)before);
        old += last == 5, new += last == 6;
        remove_directory(d);
    }
    ck_assert(old > 5 && new > 5);
}
END_TEST

START_TEST(unreadable_checkpoint_goes_back_to_the_one_before)
{
    char straight[256];
    watch_calls();
    straight_run(straight);
    const char *d = fresh_directory();
    net *n = net_new(&plain);
    tg_training g = net_training(n, d);
    g.steps = 6, g.log_every = 2; /* last.h5.1 is of step 3 */
    ck_assert_train(&g, TG_OK, NULL);
    net_free(n);
    seam.unreadable = "/last.h5";
    net_config c = plain;
    static const double others[] = { 2, 2.5 };
    c.valid = others;
    int losses;
    const tg_status s = train(&c, d, true, &losses);
    ck_assert_msg(s == TG_OK, "%s", message);
    ck_assert_int_eq(losses, STEPS - 3);
    seam.unreadable = NULL;
    assert_same_run(straight, d, "gone back");
    remove_directory(d);
    remove_directory(straight);
}
END_TEST

TG_TEST_MAIN("train/faults", call_that_fails_once_does_not_end_a_run,
             disk_that_is_full_for_a_while_loses_nothing,
             disk_that_stays_full_ends_in_an_error_that_names_the_files, write_that_fails_is_told,
             log_is_synced_before_the_checkpoint_that_counts_on_it, parent_of_a_new_directory_is_synced_once,
             forced_start_killed_at_any_call_leaves_no_best_of_another_run,
             unreadable_checkpoint_goes_back_to_the_one_before)
