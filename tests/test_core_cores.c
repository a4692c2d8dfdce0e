/* How many threads a context gets. */
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <tidegate/tidegate.h>

#include "check_main.h"
#include "core/cores.h"

/* A machine of so many processors, whose kernel has masks for so many. */
static int processors, longest_mask;

static int affinity(pid_t process, size_t size, cpu_set_t *set)
{
    (void)process;
    if (size * 8 < (size_t)longest_mask) return errno = EINVAL, -1;
    CPU_ZERO_S(size, set);
    for (int i = 0; i < processors; i++) CPU_SET_S((size_t)(i + longest_mask - processors), size, set);
    return 0;
}

static int threads_of(int wished)
{
    tg_context *cx = tg_context_new(&(tg_context_config){ .threads = wished });
    const int threads = tg_context_threads(cx);
    tg_context_free(cx);
    return threads;
}

/* ---- the folder that takes the place of the root directory ---- */

static char root[200];

static void root_make(void)
{
    const char *tmp = getenv("TMPDIR");
    snprintf(root, sizeof root, "%.150s/tidegate-XXXXXX", tmp ? tmp : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(root));
    tg__cores_root = root;
    tg__cores_affinity = affinity;
    processors = longest_mask = 64;
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *where)
{
    (void)status, (void)kind, (void)where;
    return remove(path);
}
static void root_remove(void) { nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS); }

static void write_file(const char *path, const char *text)
{
    char whole[400];
    snprintf(whole, sizeof whole, "%s%s", root, path);
    for (char *end = strchr(whole + strlen(root) + 1, '/'); end; end = strchr(end + 1, '/')) {
        *end = 0;
        mkdir(whole, 0700);
        *end = '/';
    }
    FILE *file = fopen(whole, "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
}

START_TEST(threads_are_never_more_than_the_processors)
{
    root_make();
    ck_assert_int_eq(threads_of(1), 1);
    ck_assert_int_eq(threads_of(63), 63);
    ck_assert_int_eq(threads_of(4096), 64);
    ck_assert_int_eq(threads_of(0), 64);
    ck_assert_int_eq(threads_of(-1), 64);
    root_remove();
}
END_TEST

START_TEST(machine_may_have_more_than_1024_processors)
{
    root_make();
    longest_mask = 8192;
    for (processors = 1; processors <= 5000; processors = processors * 7 + 3)
        ck_assert_int_eq(threads_of(0), processors);
    root_remove();
}
END_TEST

START_TEST(quota_of_the_control_group_counts_in_the_default)
{
    static const struct {
        const char *group, *file[3], *text[3];
        int threads;
    } cases[] = {
        { "0::/\n", { "/sys/fs/cgroup/cpu.max" }, { "200000 100000\n" }, 2 },
        { "0::/\n", { "/sys/fs/cgroup/cpu.max" }, { "150000 100000\n" }, 2 }, /* rounded up */
        { "0::/\n", { "/sys/fs/cgroup/cpu.max" }, { "5000 100000\n" }, 1 },
        { "0::/\n", { "/sys/fs/cgroup/cpu.max" }, { "max 100000\n" }, 64 },
        { "0::/\n", { "/sys/fs/cgroup/cpu.max" }, { "9900000 100000\n" }, 64 },
        { "0::/\n", { "/sys/fs/cgroup/cpu.max" }, { "" }, 64 },
        { "0::/\n", { "/sys/fs/cgroup/cpu.max" }, { "-7 0\n" }, 64 },
        { "", { NULL }, { NULL }, 64 },
        { "nothing that is known\n0::\n", { NULL }, { NULL }, 64 },
        /* of the group, of one above it, of the lesser of both */
        { "0::/a.slice/b.scope\n", { "/sys/fs/cgroup/a.slice/b.scope/cpu.max" }, { "300000 100000\n" }, 3 },
        { "0::/a.slice/b.scope\n", { "/sys/fs/cgroup/a.slice/cpu.max" }, { "400000 100000\n" }, 4 },
        { "0::/a.slice/b.scope\n",
          { "/sys/fs/cgroup/a.slice/cpu.max", "/sys/fs/cgroup/a.slice/b.scope/cpu.max" },
          { "400000 100000\n", "max 100000\n" },
          4 },
        /* a container that sees the host's path, and its own group as the root */
        { "0::/docker/0123456789abcdef\n", { "/sys/fs/cgroup/cpu.max" }, { "250000 50000\n" }, 5 },
        /* version 1, alone and beside version 2 */
        { "5:cpuset:/\n4:cpu,cpuacct:/x\n0::/\n",
          { "/sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_quota_us",
            "/sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_period_us" },
          { "600000\n", "100000\n" },
          6 },
        { "2:cpuacct:/y\n1:cpu:/x\n",
          { "/sys/fs/cgroup/cpu/x/cpu.cfs_quota_us", "/sys/fs/cgroup/cpu/x/cpu.cfs_period_us" },
          { "-1\n", "100000\n" },
          64 },
        { "1:cpu:/x\n0::/\n",
          { "/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "/sys/fs/cgroup/cpu/cpu.cfs_period_us",
            "/sys/fs/cgroup/unified/cpu.max" },
          { "800000\n", "100000\n", "700000 100000\n" },
          7 },
        { "2:cpuacct:/x\n", /* not this controller */
          { "/sys/fs/cgroup/cpu/x/cpu.cfs_quota_us", "/sys/fs/cgroup/cpu/x/cpu.cfs_period_us" },
          { "100000\n", "100000\n" },
          64 },
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        root_make();
        write_file("/proc/self/cgroup", cases[k].group);
        for (int i = 0; i < 3 && cases[k].file[i]; i++) write_file(cases[k].file[i], cases[k].text[i]);
        ck_assert_msg(threads_of(0) == cases[k].threads, "case %zu: %d threads, not %d", k, threads_of(0),
                      cases[k].threads);
        ck_assert_int_eq(threads_of(20), 20); /* who asks for more gets it */
        root_remove();
    }
}
END_TEST

TG_TEST_MAIN("core/cores", threads_are_never_more_than_the_processors,
             machine_may_have_more_than_1024_processors, quota_of_the_control_group_counts_in_the_default)
