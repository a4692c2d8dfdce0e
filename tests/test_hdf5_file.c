/* Replacing a file durably: every failing call, every crash, two at once, odd paths. */
#include <pthread.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>

#include "replace_fixture.h"

START_TEST(replaces_the_whole_and_keeps_the_previous_one_if_asked)
{
    const char *path = in_folder("x.h5"), *previous = in_folder("x.h5.1");
    tg__file_calls = &tg__file_calls_libc;                 /* down to the disk, this once */
    ck_assert_int_eq(replace(path, the_new, true), TG_OK); /* there is none to keep */
    ck_assert(holds(path, the_new) && folder_count() == 1);
    ck_assert_int_eq(replace(path, the_old, true), TG_OK);
    ck_assert(holds(path, the_old) && holds(previous, the_new) && folder_count() == 2);
    ck_assert_int_eq(replace(path, the_new, true), TG_OK);
    ck_assert(holds(path, the_new) && holds(previous, the_old) && folder_count() == 2);
    ck_assert_int_eq(replace(path, the_old, false), TG_OK);
    ck_assert(holds(path, the_old) && holds(previous, the_old) && folder_count() == 2);
}
END_TEST

/* Every call of a save in turn, with and without an old file and a previous one. */
static void fail_everywhere(int error, bool for_good)
{
    for (int variant = 0; variant < 6; variant++) {
        const bool old = variant % 3, older = variant % 3 == 2, keep = variant / 3;
        long at = 1, failures = 0;
        for (bool over = false; !over; at++) {
            begin_with(old, older);
            const int descriptors = open_descriptors();
            fault_at(at, error, for_good);
            const tg_status s = replace(in_folder("x.h5"), the_new, keep);
            calls_usual();
            over = fault.done < at;
            const bool whole = holds(in_folder("x.h5"), the_new),
                       as_it_was = holds(in_folder("x.h5"), old ? the_old : nothing);
            char where[100];
            snprintf(where, sizeof where, "variant %d, call %ld (%s): %d", variant, at, fault.first, s);
            ck_assert_msg(s == TG_OK || s == TG_ERR_IO, "%s", where);
            if (over) ck_assert_int_eq(s, TG_OK);
            if (!s) {
                /* Nothing is lost without these: a way back, the difference between two errors, and what is only let go. */
                const bool harmless = !strcmp(fault.first, "lstat") || !strcmp(fault.first, "link") ||
                                      !strcmp(fault.first, "flock") ||
                                      (!strcmp(fault.first, "close") && fault.renamed_before);
                ck_assert_msg(whole && (over || harmless), "%s", where);
            } else {
                /* Only if the way back is barred too may the new file be there: whole. */
                const bool no_way_back = for_good && fault.renamed_before;
                ck_assert_msg(as_it_was || (no_way_back && whole), "%s", where);
                ck_assert_msg(strstr(tg_context_message(cx), folder) != NULL, "%s: %s", where,
                              tg_context_message(cx));
                failures++;
            }
            const bool previous = !holds(in_folder("x.h5.1"), nothing);
            ck_assert_msg(folder_count() ==
                              (whole || as_it_was ? !holds(in_folder("x.h5"), nothing) : 0) + previous,
                          "%s: left over", where);
            if (older && !keep) ck_assert_msg(holds(in_folder("x.h5.1"), the_older), "%s", where);
            if (keep && old && !s) ck_assert_msg(holds(in_folder("x.h5.1"), the_old), "%s", where);
            if (older) ck_assert_msg(previous, "%s", where);
            ck_assert_msg(open_descriptors() == descriptors, "%s: a descriptor is left", where);
            ck_assert(tg_context_ok(cx));
        }
        ck_assert_int_ge(at, 14); /* the seam is in use */
        ck_assert_int_ge(failures, 9);
    }
}

START_TEST(any_call_that_fails_once_leaves_the_old_file_and_nothing_else) { fail_everywhere(EIO, false); }
END_TEST
START_TEST(any_call_that_fails_for_good_leaves_the_old_file_and_nothing_else) { fail_everywhere(EIO, true); }
END_TEST
START_TEST(a_full_disk_leaves_the_old_file_and_nothing_else)
{
    fail_everywhere(ENOSPC, false);
    fail_everywhere(ENOSPC, true);
    ck_assert_ptr_nonnull(strstr(tg_context_message(cx), "No space left"));
}
END_TEST

START_TEST(short_and_interrupted_reads_and_writes_are_carried_on)
{
    for (int error = 0; error <= EINTR; error += EINTR)
        for (long at = 1; at < 30; at++) {
            begin_with(true, false);
            fault_at(at, error, false);
            const tg_status s = replace(in_folder("x.h5"), the_new, false);
            const bool carried_on = !strcmp(fault.first, "write") || !*fault.first;
            fault_none();
            if (carried_on) ck_assert(s == TG_OK && holds(in_folder("x.h5"), the_new));
        }
}
END_TEST

START_TEST(a_crash_before_or_within_any_call_leaves_the_old_file_or_the_new) { crash_everywhere(true); }
END_TEST
/* 100 replacements of one path, as often refused as it may be; each content is one byte, many times. */
static bool race(tg_context *mine, const char *path, int first)
{
    static const int sizes[] = { 100, 300000, 5000 };
    int done = 0;
    unsigned char *data = malloc(300000);
    while (done < 100) {
        memset(data, first + done % 13, 300000);
        const tg_status s = tg__file_replace(mine, path, data, (size_t)sizes[done % 3], done & 1);
        if (s && s != TG_ERR_EXISTS) break;
        if (s) usleep(200);
        done += !s;
    }
    free(data);
    return done == 100;
}

static bool uniform(const char *path)
{
    const bytes b = bytes_of(path);
    bool same = b.n == 100 || b.n == 300000 || b.n == 5000;
    for (size_t i = 1; same && i < b.n; i++) same = b.data[i] == b.data[0];
    free(b.data);
    return same;
}

START_TEST(two_processes_at_once_never_mix)
{
    const char *path = in_folder("x.h5");
    pid_t child[2];
    unsigned char data[100];
    memset(data, 'o', sizeof data);
    bytes_to(path, data, sizeof data);
    fflush(NULL);
    for (int k = 0; k < 2; k++)
        if (!(child[k] = fork())) _exit(race(cx, path, k ? 'a' : 'A') ? 0 : 1);
    int status, running = 2;
    while (running) {
        ck_assert(uniform(path)); /* at any moment */
        for (int k = 0; k < 2; k++)
            if (child[k] && waitpid(child[k], &status, WNOHANG) == child[k]) {
                ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
                child[k] = 0;
                running--;
            }
    }
    ck_assert(uniform(path) && uniform(in_folder("x.h5.1")));
    ck_assert_int_eq(folder_count(), 2);
}
END_TEST

static void *racer(void *argument)
{
    tg_context *mine = tg_context_new(NULL);
    const bool done = race(mine, in_folder("x.h5"), *(int *)argument);
    tg_context_free(mine);
    *(int *)argument = done;
    return NULL;
}

START_TEST(two_threads_at_once_never_mix)
{
    pthread_t thread[2];
    int first[2] = { 'a', 'A' };
    for (int k = 0; k < 2; k++) ck_assert(!pthread_create(&thread[k], NULL, racer, &first[k]));
    for (int k = 0; k < 2; k++) pthread_join(thread[k], NULL);
    ck_assert(first[0] == 1 && first[1] == 1);
    ck_assert(uniform(in_folder("x.h5")) && uniform(in_folder("x.h5.1")));
    ck_assert_int_eq(folder_count(), 2);
}
END_TEST

START_TEST(a_second_save_is_refused_while_one_is_going_on)
{
    begin_with(true, false);
    const int fd = open(in_folder("x.h5.part"), O_RDWR | O_CREAT, 0600);
    ck_assert(fd >= 0 && !flock(fd, LOCK_EX));
    ck_assert_int_eq(replace(in_folder("x.h5"), the_new, false), TG_ERR_EXISTS);
    ck_assert(holds(in_folder("x.h5"), the_old) && folder_count() == 2);
    close(fd);
    ck_assert_int_eq(replace(in_folder("x.h5"), the_new, false), TG_OK);
    ck_assert(holds(in_folder("x.h5"), the_new) && folder_count() == 1);
}
END_TEST

/* Just before our lock somebody else, who had it, renames the file that we have opened, and lets go. */
static int flock_after_a_rename(int fd, int operation)
{
    static bool done;
    if (!done) {
        done = true;
        bytes_to(in_folder("x.h5.part"), old_data, sizeof old_data);
        ck_assert(!link(in_folder("x.h5.part"), in_folder("witness")));
        ck_assert(!rename(in_folder("x.h5.part"), in_folder("x.h5")));
    }
    return flock(fd, operation);
}

START_TEST(a_file_that_was_saved_between_opening_and_locking_is_not_written_into)
{
    file_calls calls = *tg__file_calls;
    calls.flock = flock_after_a_rename;
    tg__file_calls = &calls;
    const tg_status s = replace(in_folder("x.h5"), the_new, false);
    calls_usual();
    ck_assert_msg(s == TG_OK, "%s", tg_context_message(cx));
    ck_assert(holds(in_folder("x.h5"), the_new) && holds(in_folder("witness"), the_old));
    ck_assert_int_eq(folder_count(), 2);
}
END_TEST

/* While the file is renamed, somebody else tries to get the lock of what is renamed. */
static int locked_at_rename;

static int rename_under_the_lock(const char *from, const char *to)
{
    const int fd = open(from, O_RDWR);
    if (fd >= 0) locked_at_rename += flock(fd, LOCK_EX | LOCK_NB) ? 1 : 0;
    if (fd >= 0) close(fd);
    return rename(from, to);
}

START_TEST(the_lock_is_held_until_the_file_has_its_name)
{
    file_calls calls = *tg__file_calls;
    calls.rename = rename_under_the_lock;
    tg__file_calls = &calls;
    ck_assert_int_eq(replace(in_folder("x.h5"), the_new, false), TG_OK);
    calls_usual();
    ck_assert_int_eq(locked_at_rename, 1);
}
END_TEST

START_TEST(left_overs_of_a_killed_save_do_no_harm)
{
    begin_with(true, false);
    unsigned char *rubbish = calloc(1, 100000);
    bytes_to(in_folder("x.h5.part"), rubbish, 100000); /* longer than what comes */
    free(rubbish);
    ck_assert(!link(in_folder("x.h5"), in_folder("x.h5.1"))); /* killed between link and rename */
    ck_assert(!link(in_folder("x.h5"), in_folder("x.h5.1.part")));
    ck_assert_int_eq(replace(in_folder("x.h5"), the_new, true), TG_OK);
    ck_assert(holds(in_folder("x.h5"), the_new) && holds(in_folder("x.h5.1"), the_old));
    ck_assert_int_eq(folder_count(), 2);
}
END_TEST

START_TEST(refuses_what_is_no_plain_file)
{
    char longest[5000];
    struct stat about;
    ck_assert(!mkdir(in_folder("folder"), 0700) && !mkfifo(in_folder("pipe"), 0600));
    bytes_to(in_folder("victim"), "v", 1);
    bytes_to(in_folder("other"), "v", 1);
    ck_assert(!symlink("other", in_folder("a.h5.part")) && !mkfifo(in_folder("b.h5.part"), 0600) &&
              !link(in_folder("victim"), in_folder("c.h5.part")));
    memset(longest, 'x', sizeof longest);
    longest[sizeof longest - 1] = 0;
    const char *const path[] = { in_folder("folder"), in_folder("pipe"), longest };
    for (int i = 0; i < 3; i++) ck_assert_int_eq(replace(path[i], the_new, true), TG_ERR_IO);
    ck_assert_int_eq(replace(in_folder("none/x.h5"), the_new, true), TG_ERR_IO);
    ck_assert_ptr_nonnull(strstr(tg_context_message(cx), "No such file"));
    ck_assert_int_eq(replace(in_folder("victim/x.h5"), the_new, true), TG_ERR_IO);
    ck_assert_int_eq(replace(in_folder("a.h5"), the_new, true), TG_ERR_IO);
    ck_assert_int_eq(replace(in_folder("b.h5"), the_new, true), TG_ERR_IO);
    ck_assert_int_eq(replace(in_folder("c.h5"), the_new, true), TG_ERR_IO);
    ck_assert(holds(in_folder("victim"), the_victim) && holds(in_folder("other"), the_victim));
    ck_assert(!lstat(in_folder("a.h5.part"), &about) &&
              S_ISLNK(about.st_mode)); /* it is not ours to remove */
    ck_assert_int_eq(folder_count(), 7);
}
END_TEST

START_TEST(saves_into_the_working_directory)
{
    ck_assert(!chdir(folder));
    ck_assert_int_eq(replace("x.h5", the_old, true), TG_OK);
    ck_assert_int_eq(replace("./x.h5", the_new, true), TG_OK);
    ck_assert(holds(in_folder("x.h5"), the_new) && holds(in_folder("x.h5.1"), the_old));
    ck_assert_int_eq(folder_count(), 2);
    ck_assert(!chdir("/"));
}
END_TEST

START_TEST(a_limit_of_the_file_size_is_an_error)
{
    begin_with(true, false);
    fflush(NULL);
    const pid_t child = fork();
    if (!child) {
        signal(SIGXFSZ, SIG_IGN); /* the program's business */
        setrlimit(RLIMIT_FSIZE, &(struct rlimit){ 4096, 4096 });
        _exit(replace(in_folder("x.h5"), the_new, true) == TG_ERR_IO &&
                      strstr(tg_context_message(cx), "too large")
                  ? 0
                  : 1);
    }
    int status;
    waitpid(child, &status, 0);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    ck_assert(holds(in_folder("x.h5"), the_old) && folder_count() == 1);
}
END_TEST

/* ---- reading ---- */

static tg_status accept_any(tg_context *c, const char *path, const unsigned char *head, size_t head_bytes,
                            size_t file_bytes)
{
    (void)c, (void)path, (void)head;
    return head_bytes == (file_bytes < 100 ? file_bytes : 100) ? TG_OK : TG_ERR_DATA;
}

static tg_status accept_none(tg_context *c, const char *path, const unsigned char *head, size_t head_bytes,
                             size_t file_bytes)
{
    (void)head, (void)head_bytes;
    return tg_context_note(c, TG_ERR_FORMAT, "%s: %zu bytes", path, file_bytes);
}

START_TEST(reads_the_whole_file_or_says_why_not)
{
    unsigned char *data;
    size_t n;
    begin_with(true, true);
    ck_assert_int_eq(tg__file_read(cx, in_folder("x.h5"), 100, accept_any, &data, &n), TG_OK);
    ck_assert(same_bytes((bytes){ data, n }, the_old));
    tg__release(cx, data);
    ck_assert_int_eq(tg__file_read(cx, in_folder("x.h5.1"), 100, accept_any, &data, &n),
                     TG_OK); /* shorter than the head */
    ck_assert(n == 5 && !memcmp(data, "older", 5));
    tg__release(cx, data);
    ck_assert_int_eq(tg__file_read(cx, in_folder("x.h5"), 100, accept_none, &data, &n), TG_ERR_FORMAT);
    ck_assert_ptr_null(data);
    ck_assert_int_eq(tg__file_read(cx, in_folder("none"), 100, accept_any, &data, &n), TG_ERR_ABSENT);
    ck_assert_int_eq(tg__file_read(cx, folder, 100, accept_any, &data, &n), TG_ERR_IO);
    ck_assert(!mkfifo(in_folder("pipe"), 0600));
    ck_assert_int_eq(tg__file_read(cx, in_folder("pipe"), 100, accept_any, &data, &n),
                     TG_ERR_IO); /* at once */
    const int descriptors = open_descriptors();
    for (int error = 0; error <= EIO; error++)
        for (long at = 1; at < 8; at++) {
            if (error && error != EINTR && error != EIO) continue;
            fault_at(at, error, false);
            const tg_status s = tg__file_read(cx, in_folder("x.h5"), 100, accept_any, &data, &n);
            const bool read = !strcmp(fault.first, "read"),
                       closed = !strcmp(fault.first, "close") || !*fault.first;
            fault_none();
            ck_assert_int_eq(open_descriptors(), descriptors);
            if (s) ck_assert(!data && s == TG_ERR_IO && !(read && error != EIO) && !closed);
            if (!s) ck_assert(same_bytes((bytes){ data, n }, the_old) && (closed || (read && error != EIO)));
            if (!s) tg__release(cx, data);
        }
}
END_TEST

TG_TEST_MAIN_FIXTURE("hdf5/file", setup, teardown, replaces_the_whole_and_keeps_the_previous_one_if_asked,
                     any_call_that_fails_once_leaves_the_old_file_and_nothing_else,
                     any_call_that_fails_for_good_leaves_the_old_file_and_nothing_else,
                     a_full_disk_leaves_the_old_file_and_nothing_else,
                     short_and_interrupted_reads_and_writes_are_carried_on,
                     a_crash_before_or_within_any_call_leaves_the_old_file_or_the_new,
                     two_processes_at_once_never_mix, two_threads_at_once_never_mix,
                     a_second_save_is_refused_while_one_is_going_on,
                     a_file_that_was_saved_between_opening_and_locking_is_not_written_into,
                     the_lock_is_held_until_the_file_has_its_name, left_overs_of_a_killed_save_do_no_harm,
                     refuses_what_is_no_plain_file, saves_into_the_working_directory,
                     a_limit_of_the_file_size_is_an_error, reads_the_whole_file_or_says_why_not)
