/* tests/replace_fixture.h -- files that are replaced: an old one, a new one, and the one before the old. */
#ifndef REPLACE_FIXTURE_H
#define REPLACE_FIXTURE_H

#include <tidegate/core.h>

#include "check_main.h"
#include "core/context.h"
#include "file_fixture.h"
#include "hdf5/file.h"

static tg_context *cx;
static int warnings;
static char warning[600];

static void count_warning(void *user, tg_log_level level, const char *message)
{
    (void)user;
    warnings += level == TG_LOG_WARNING;
    snprintf(warning, sizeof warning, "%s", message);
}

static unsigned char old_data[5000], new_data[7000];

static void setup_context(void)
{
    cx = tg_context_new(&(tg_context_config){ .log = count_warning });
    warnings = 0;
}

static void setup(void)
{
    folder_make();
    setup_context();
    memset(old_data, 'o', sizeof old_data);
    memset(new_data, 'n', sizeof new_data);
}

static void teardown(void)
{
    fault_none();
    tg_context_free(cx);
    folder_remove();
}

static unsigned char older_data[] = "older", victim_data[] = "v";
static const bytes the_older = { older_data, 5 }, the_victim = { victim_data, 1 };
static const bytes the_old = { old_data, sizeof old_data }, the_new = { new_data, sizeof new_data },
                   nothing = { NULL, 0 };

static bool holds(const char *path, bytes what)
{
    const bytes b = bytes_of(path);
    const bool same = same_bytes(b, what);
    free(b.data);
    return same;
}

static tg_status replace(const char *path, bytes with, bool keep)
{
    return tg__file_replace(cx, path, with.data, with.n, keep);
}

static void begin_with(bool old, bool older)
{
    folder_empty(false);
    if (old) bytes_to(in_folder("x.h5"), old_data, sizeof old_data);
    if (older) bytes_to(in_folder("x.h5.1"), "older", 5);
}

static bool same_file(const char *a, const char *b)
{
    struct stat x, y;
    return !stat(a, &x) && !stat(b, &y) && x.st_ino == y.st_ino && x.st_dev == y.st_dev;
}

/* The process ends before call `at`; `halfway`: or, in a write, after half of it. */
static void crash_everywhere(bool links)
{
    for (int variant = 0; variant < 8; variant++) {
        const bool old = variant & 1, keep = variant & 2, halfway = variant & 4;
        bool seen_old = false, seen_new = false;
        for (long at = 1, over = false; !over; at++) {
            begin_with(old, true);
            fflush(NULL);
            const pid_t child = fork();
            if (!child) {
                fault_at(at, 0, false);
                fault.kill = true;
                fault.halfway = halfway;
                fault.no_links = !links;
                _exit(replace(in_folder("x.h5"), the_new, keep) ? 1 : 0);
            }
            int status;
            waitpid(child, &status, 0);
            ck_assert(WIFEXITED(status) && (WEXITSTATUS(status) == 77 || WEXITSTATUS(status) == 0));
            over = WEXITSTATUS(status) == 0;
            const bool is_old = holds(in_folder("x.h5"), old ? the_old : nothing),
                       is_new = holds(in_folder("x.h5"), the_new);
            ck_assert_msg(is_old || is_new, "variant %d, call %ld", variant, at);
            ck_assert(!over || is_new);
            ck_assert(holds(in_folder("x.h5.1"), the_old) || holds(in_folder("x.h5.1"), the_older));
            ck_assert_msg(!same_file(in_folder("x.h5"), in_folder("x.h5.1")), "variant %d, call %ld", variant,
                          at);
            seen_old |= is_old;
            seen_new |= is_new;
            /* and the next save is as if nothing had happened */
            ck_assert_int_eq(replace(in_folder("x.h5"), the_old, keep), TG_OK);
            ck_assert(holds(in_folder("x.h5"), the_old));
            ck_assert_msg(folder_count() == 2, "variant %d, call %ld: something is left over", variant, at);
        }
        ck_assert(seen_old && seen_new);
    }
}

#endif
