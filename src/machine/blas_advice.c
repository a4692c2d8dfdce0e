/* machine/blas_advice.c -- which kernels OpenBLAS and tidegate run on this processor, and how a program
 * corrects OpenBLAS' choice. */
#include <cblas.h>
#undef I
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <tidegate/blas.h>
#include <unistd.h>

#include "kernels/simd/table.h"

/* Set before the program is executed again, so that this happens once. */
#define SENTINEL "TIDEGATE_BLAS_CORE_TRIED"

const char *tg_blas_core(void) { return openblas_get_corename(); }
const char *tg_blas_version(void) { return openblas_get_config(); }
const char *tg_simd_variant(void) { return tg__simd()->name; }

/* The core that OpenBLAS should have chosen, if it is known to choose badly on this processor; else NULL. */
static const char *better_core(void)
{
#if defined(__x86_64__)
    static const char *const old[] = { "Prescott",   "Core2",   "Nehalem", "Penryn",
                                       "Dunnington", "Generic", "Unknown" };
    const char *core = openblas_get_corename();
    for (size_t i = 0; i < sizeof old / sizeof *old; i++) {
        if (strcmp(core, old[i])) continue;
        __builtin_cpu_init();
        if (__builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
            __builtin_cpu_supports("avx512dq"))
            return "SkylakeX";
        if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return "Haswell";
    }
#endif
    return NULL;
}

const char *tg_blas_advice(void)
{
    static char sentence[256]; /* threads may write it at the same time: always the same text */
    const char *better = better_core();
    if (!better) return NULL;
    snprintf(
        sentence, sizeof sentence,
        "OpenBLAS runs its slow %s kernels on this processor; set OPENBLAS_CORETYPE=%s in the environment "
        "(5 to 10 times faster)",
        openblas_get_corename(), better);
    return sentence;
}

/* True under a debugger, a tracer or valgrind, or if that cannot be found out: the program is not to be
 * replaced then. */
static bool traced(void)
{
    char text[4096];
    const int file = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    if (file < 0) return true;
    const ssize_t n = read(file, text, sizeof text - 1);
    close(file);
    if (n <= 0) return true;
    text[n] = 0;
    const char *tracer = strstr(text, "TracerPid:");
    if (!tracer || atoi(tracer + strlen("TracerPid:"))) return true;
    const char *preload = getenv("LD_PRELOAD");
    return (preload && (strstr(preload, "valgrind") || strstr(preload, "vgpreload"))) ||
           getenv("VALGRIND_LIB");
}

/* OpenBLAS starts threads when it is loaded, which tidegate does not use. With too little address space each
 * of them tries for ever to get 128 MiB, and exit() waits for it. */
static bool address_space_is_limited(void)
{
    struct rlimit limit;
    return !getrlimit(RLIMIT_AS, &limit) && limit.rlim_cur != RLIM_INFINITY;
}

void tg_program_fix_blas(char *argv[])
{
    const char *better = getenv("OPENBLAS_CORETYPE") ? NULL : better_core();
    const bool alone = address_space_is_limited() && !getenv("OPENBLAS_NUM_THREADS");
    if (!argv || (!better && !alone) || getenv(SENTINEL) || traced()) return;

    /* In an emulator, /proc/self/exe is the emulator: it must not be executed in place of the program. */
    char path[4096];
    const ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
    if (n <= 0) return;
    path[n] = 0;
    const char *base = strrchr(path, '/');
    if (base && (!strncmp(base + 1, "qemu-", 5) || strstr(base, "valgrind"))) return;

    if (setenv(SENTINEL, "1", 1) || (better && setenv("OPENBLAS_CORETYPE", better, 1)) ||
        (alone && setenv("OPENBLAS_NUM_THREADS", "1", 1)))
        return;
    execv("/proc/self/exe", argv);
    if (better) unsetenv("OPENBLAS_CORETYPE"); /* it could not: go on as we are */
    if (alone) unsetenv("OPENBLAS_NUM_THREADS");
}
