/* core/cores.h -- how many threads are worth starting in this process. */
#ifndef CORE_CORES_H
#define CORE_CORES_H

#include <sched.h>
#include <stddef.h>
#include <sys/types.h>

/* Processors that this process may run on, at least 1: those of its affinity mask, however many the machine has. */
int tg__cores_allowed(void);

/* The same, but no more than its control group, or one above it, may use at a time, rounded up. A group with a quota of 1.5
 * processors on a machine of 64 would otherwise start 64 threads, which stand still most of the time. */
int tg__cores_worth_using(void);

/* For tests: what takes the place of sched_getaffinity(), and of the root directory in front of /proc and /sys. */
extern int (*tg__cores_affinity)(pid_t process, size_t bytes, cpu_set_t *set);
extern const char *tg__cores_root;

#endif
