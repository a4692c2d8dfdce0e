/* Replacing a file where links or locks are missing, behind a symbolic link, and with the old file's rights. */
#include "replace_fixture.h"

START_TEST(a_crash_leaves_the_old_file_or_the_new_where_there_are_no_links) { crash_everywhere(false); }
END_TEST

/* ---- file systems that lack something ---- */

static int no_such_call; /* its errno */
static int no_link(const char *from, const char *to)
{
    (void)from, (void)to;
    return errno = no_such_call, -1;
}
static int no_flock(int fd, int operation)
{
    (void)fd, (void)operation;
    return errno = no_such_call, -1;
}

START_TEST(keeps_the_previous_one_where_there_are_no_links_or_no_locks)
{
    static const int errors[] = { EPERM, ENOSYS, EOPNOTSUPP, EMLINK, ENOLCK, EINVAL, EXDEV };
    for (int i = 0; i < 7; i++)
        for (int lacks = 1; lacks < 4; lacks++) {
            file_calls calls = *tg__file_calls;
            if (lacks & 1) calls.link = no_link;
            if (lacks & 2) calls.flock = no_flock;
            no_such_call = errors[i];
            tg_context_free(cx);
            setup_context();
            begin_with(true, true);
            bytes_to(in_folder("x.h5.part"), "left over", 9);
            bytes_to(in_folder("x.h5.1.part"), "left over", 9);
            tg__file_calls = &calls;
            const tg_status s = replace(in_folder("x.h5"), the_new, true);
            ck_assert_msg(s == TG_OK, "%s", tg_context_message(cx));
            ck_assert(holds(in_folder("x.h5"), the_new) && holds(in_folder("x.h5.1"), the_old));
            const int expected = (lacks & 1) + (lacks >> 1);
            ck_assert_int_eq(warnings, expected);
            ck_assert_int_eq(replace(in_folder("x.h5"), the_old, true), TG_OK);
            ck_assert(holds(in_folder("x.h5"), the_old) && holds(in_folder("x.h5.1"), the_new));
            ck_assert_int_eq(replace(in_folder("x.h5"), the_new, false), TG_OK);
            ck_assert_int_eq(warnings, expected); /* once a context */
            ck_assert_int_eq(folder_count(), 2);
            calls_usual();
        }
}
END_TEST

static ssize_t no_read(int fd, void *to, size_t n)
{
    (void)fd, (void)to, (void)n;
    return errno = EIO, -1;
}

START_TEST(saves_though_the_previous_one_can_neither_be_linked_nor_copied)
{
    file_calls calls = *tg__file_calls;
    calls.link = no_link;
    calls.read = no_read; /* a bad sector in the old file */
    no_such_call = EPERM;
    begin_with(true, true);
    tg__file_calls = &calls;
    ck_assert_int_eq(replace(in_folder("x.h5"), the_new, true), TG_OK);
    calls_usual();
    ck_assert(holds(in_folder("x.h5"), the_new) && holds(in_folder("x.h5.1"), the_older));
    ck_assert_int_eq(folder_count(), 2);
    ck_assert_msg(strstr(warning, "the previous file is not kept") != NULL, "%s", warning);
}
END_TEST

/* During the rename of ours another save, which has no lock either, takes our .part file for one that was left over. */
static ssize_t write_beside_another(int fd, const void *from, size_t n)
{
    static bool done;
    if (!done) {
        done = true;
        ck_assert(!unlink(in_folder("x.h5.part")));
        bytes_to(in_folder("x.h5.part"), "half", 4);
    }
    return write(fd, from, n);
}

START_TEST(another_save_without_locks_is_not_renamed_for_ours)
{
    file_calls calls = *tg__file_calls;
    calls.flock = no_flock;
    calls.write = write_beside_another;
    no_such_call = ENOLCK;
    begin_with(true, true);
    tg__file_calls = &calls;
    ck_assert_int_eq(replace(in_folder("x.h5"), the_new, true), TG_ERR_EXISTS);
    calls_usual();
    ck_assert(holds(in_folder("x.h5"), the_old) && holds(in_folder("x.h5.1"), the_older));
}
END_TEST

START_TEST(follows_a_symbolic_link_and_keeps_it)
{
    struct stat about;
    ck_assert(!mkdir(in_folder("there"), 0700));
    bytes_to(in_folder("there/x.h5"), old_data, sizeof old_data);
    ck_assert(!symlink("there/x.h5", in_folder("link.h5")));
    ck_assert_int_eq(replace(in_folder("link.h5"), the_new, true), TG_OK);
    ck_assert(!lstat(in_folder("link.h5"), &about) && S_ISLNK(about.st_mode));
    ck_assert(holds(in_folder("there/x.h5"), the_new));
    ck_assert(holds(in_folder("link.h5.1"), the_old)); /* where a reader of link.h5 looks for it */
    ck_assert_int_eq(folder_count(), 3);
    unlink(in_folder("there/x.h5"));
    ck_assert_int_eq(replace(in_folder("link.h5"), the_new, true), TG_ERR_IO); /* it leads nowhere now */
    ck_assert_ptr_nonnull(strstr(tg_context_message(cx), "symbolic link to nothing"));
    ck_assert(!lstat(in_folder("link.h5"), &about) && S_ISLNK(about.st_mode));
}
END_TEST

START_TEST(keeps_the_mode_of_the_old_file_and_obeys_umask_for_a_new_one)
{
    struct stat about;
    begin_with(true, false);
    chmod(in_folder("x.h5"), 0640);
    umask(0077);
    ck_assert_int_eq(replace(in_folder("x.h5"), the_new, false), TG_OK);
    ck_assert(!stat(in_folder("x.h5"), &about));
    ck_assert_int_eq(about.st_mode & 0777, 0640);
    umask(0027);
    ck_assert_int_eq(replace(in_folder("y.h5"), the_new, false), TG_OK);
    ck_assert(!stat(in_folder("y.h5"), &about));
    ck_assert_int_eq(about.st_mode & 0777, 0640);
}
END_TEST

static struct stat when_written;
static ssize_t write_and_look(int fd, const void *from, size_t n)
{
    ck_assert(!fstat(fd, &when_written));
    return write(fd, from, n);
}

START_TEST(a_file_has_its_mode_and_owner_before_it_has_content)
{
    file_calls calls = *tg__file_calls;
    calls.write = write_and_look;
    umask(0);
    for (int left_over = 0; left_over < 2; left_over++) {
        begin_with(true, false);
        ck_assert(!chmod(in_folder("x.h5"), 0600));
        if (!geteuid()) ck_assert(!chown(in_folder("x.h5"), 1234, 4321)); /* the superuser gives it back */
        if (left_over) bytes_to(in_folder("x.h5.part"), "readable by all", 15);
        const int reader = left_over ? open(in_folder("x.h5.part"), O_RDONLY) : -1;
        tg__file_calls = &calls;
        ck_assert_int_eq(replace(in_folder("x.h5"), the_new, true), TG_OK);
        calls_usual();
        ck_assert_int_eq(when_written.st_mode & 0777, 0600);
        if (!geteuid()) ck_assert(when_written.st_uid == 1234 && when_written.st_gid == 4321);
        struct stat is;
        if (reader >= 0) ck_assert(!fstat(reader, &is) && is.st_size == 15); /* nothing of ours */
        if (reader >= 0) close(reader);
    }
}
END_TEST

TG_TEST_MAIN_FIXTURE("hdf5/file_systems", setup, teardown,
                     a_crash_leaves_the_old_file_or_the_new_where_there_are_no_links,
                     keeps_the_previous_one_where_there_are_no_links_or_no_locks,
                     saves_though_the_previous_one_can_neither_be_linked_nor_copied,
                     another_save_without_locks_is_not_renamed_for_ours, follows_a_symbolic_link_and_keeps_it,
                     keeps_the_mode_of_the_old_file_and_obeys_umask_for_a_new_one,
                     a_file_has_its_mode_and_owner_before_it_has_content)
