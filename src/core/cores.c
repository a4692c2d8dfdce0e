/* core/cores.c -- see cores.h. A quota is in the files of a control group (Linux, Documentation/admin-guide):
 *
 *     cgroup-v2.rst                 cpu.max: "200000 100000", microseconds of processor time in a period; or "max 100000"
 *     scheduler/sched-bwc.rst (v1)  cpu.cfs_quota_us: 200000, or -1; cpu.cfs_period_us: 100000
 *
 * The group's path is in /proc/self/cgroup, "0::/path" or "4:cpu,cpuacct:/path". In a container the path may
 * be the host's, and the file system begins at the container's own group: then no such directory is there,
 * and the walk to the root finds the group. */
#include "core/cores.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

int (*tg__cores_affinity)(pid_t process, size_t bytes, cpu_set_t *set) = sched_getaffinity;
const char *tg__cores_root = "";

int tg__cores_allowed(void)
{
    enum { MOST = 1 << 20 };
    int found = 0;
    bool too_small = true; /* the kernel's masks are longer than ours */
    for (int n = CPU_SETSIZE; too_small && n <= MOST; n *= 2) {
        cpu_set_t *set = CPU_ALLOC((size_t)n);
        const size_t bytes = CPU_ALLOC_SIZE((size_t)n);
        if (!set) break;
        const int failed = tg__cores_affinity(0, bytes, set);
        too_small = failed && errno == EINVAL;
        if (!failed) found = CPU_COUNT_S(bytes, set);
        CPU_FREE(set);
    }
    return found > 0 ? found : 1;
}

/* ---- quotas ---- */

enum { LINE = 4096 };

/* Reads a line of a file below the root. False: there is no such file. */
static bool read_first_line(const char *directory, const char *group, const char *name, char line[LINE])
{
    char path[3 * LINE];
    const int n = snprintf(path, sizeof path, "%s%s%s/%s", tg__cores_root, directory, group, name);
    FILE *file = n < (int)sizeof path ? fopen(path, "re") : NULL;
    const bool read = file && fgets(line, LINE, file);
    if (file) fclose(file);
    return read;
}

static double quota_of_version_2(const char *directory, const char *group)
{
    char line[LINE];
    double quota, period;
    const bool limited =
        read_first_line(directory, group, "cpu.max", line) && sscanf(line, "%lf %lf", &quota, &period) == 2;
    return limited && quota > 0 && period > 0 ? quota / period : (double)INFINITY;
}

static double quota_of_version_1(const char *directory, const char *group)
{
    char line[LINE], other[LINE];
    double quota, period;
    const bool limited = read_first_line(directory, group, "cpu.cfs_quota_us", line) &&
                         read_first_line(directory, group, "cpu.cfs_period_us", other) &&
                         sscanf(line, "%lf", &quota) == 1 && sscanf(other, "%lf", &period) == 1;
    return limited && quota > 0 && period > 0 ? quota / period : (double)INFINITY;
}

/* Where the file systems of control groups usually are. */
static const struct {
    int version;
    const char *directory;
    double (*quota)(const char *directory, const char *group);
} places[] = {
    { 2, "/sys/fs/cgroup", quota_of_version_2 },
    { 2, "/sys/fs/cgroup/unified", quota_of_version_2 },
    { 1, "/sys/fs/cgroup/cpu", quota_of_version_1 },
    { 1, "/sys/fs/cgroup/cpu,cpuacct", quota_of_version_1 },
};

/* The least quota of the group and of those above it. Cuts the path shorter and shorter. */
static double least_quota(int version, char *group)
{
    double least = (double)INFINITY;
    for (char *end = group + strlen(group); end; end = strrchr(group, '/')) {
        *end = 0;
        for (size_t k = 0; k < sizeof places / sizeof *places; k++)
            if (places[k].version == version)
                least = fmin(least, places[k].quota(places[k].directory, group));
    }
    return least;
}

/* Is name among the names, which commas separate? */
static bool is_among(const char *names, const char *name)
{
    const size_t n = strlen(name);
    for (const char *at = names; at; at = strchr(at, ','), at = at ? at + 1 : NULL)
        if (!strncmp(at, name, n) && (!at[n] || at[n] == ',')) return true;
    return false;
}

static double processor_quota(void)
{
    char path[LINE], line[LINE];
    double least = (double)INFINITY;
    if (snprintf(path, sizeof path, "%s/proc/self/cgroup", tg__cores_root) >= (int)sizeof path) return least;
    FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file)) { /* number:controllers:path */
        char *controllers = strchr(line, ':'), *group = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!group) continue;
        *group++ = 0;
        group[strcspn(group, "\n")] = 0;
        const int version = !controllers[1] ? 2 : is_among(controllers + 1, "cpu") ? 1 : 0;
        if (version) least = fmin(least, least_quota(version, group));
    }
    if (file) fclose(file);
    return least;
}

int tg__cores_worth_using(void)
{
    const int allowed = tg__cores_allowed();
    const double quota = allowed > 1 ? ceil(processor_quota()) : 1;
    return quota < allowed ? (int)quota : allowed;
}
