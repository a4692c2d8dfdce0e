/* tools/tidegate/doctor.c -- tidegate doctor: how this machine is used, and what could be better. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "options.h"
#include "program.h"

static const command doctor_command = {
    "doctor",
    "",
    "Shows versions, processor, OpenBLAS and the speed of a matrix product.",
    NULL,
    0,
    0,
    "  tidegate doctor\n"
    "  OPENBLAS_CORETYPE=Haswell tidegate doctor\n",
};

/* "model name : Intel(R) ..." of the first processor. */
static void processor_name(char *name, size_t bytes)
{
    char line[512];
    FILE *f = fopen("/proc/cpuinfo", "re");
    snprintf(name, bytes, "unknown");
    while (f && fgets(line, sizeof line, f)) {
        const char *colon = strchr(line, ':');
        if (!colon || strncmp(line, "model name", 10) != 0) continue;
        snprintf(name, bytes, "%.*s", (int)strcspn(colon + 2, "\n"), colon + 2);
        break;
    }
    if (f) fclose(f);
}

int command_doctor(int argc, char *argv[])
{
    const char *none[1];
    char processor[256];
    const parsed p = options_parse(&doctor_command, argc, argv, NULL, none);
    if (p != PARSED) return options_exit(p);

    tg_context *cx = new_context(0, 0);
    if (!tg_context_ok(cx)) {
        const int result = fail_context(cx);
        tg_context_free(cx);
        return result;
    }
    processor_name(processor, sizeof processor);
    const char *advice = tg_blas_advice();
    const double speed = tg_measure_product(cx, PRODUCT_ROWS) * 1e-9;
    printf("tidegate         %s, %d-bit numbers\n", tg_version(), 8 * (int)sizeof(tg_real));
    printf("processor        ");
    put_printable(processor);
    printf("\n");
    printf("cores            %ld here, %d threads in use\n", sysconf(_SC_NPROCESSORS_ONLN),
           tg_context_threads(cx));
    printf("instructions     %s\n", tg_simd_variant());
    printf("OpenBLAS         %s\n", tg_blas_version());
    printf("OpenBLAS core    %s\n", tg_blas_core());
    if (speed > 0) printf("matrix product   %.0f Gflop/s\n", speed);
    printf("advice           %s\n", advice ? advice : "none: all is well");
    tg_context_free(cx);
    return finish_output(EXIT_DONE);
}
