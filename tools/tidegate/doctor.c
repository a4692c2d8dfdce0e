/* tools/tidegate/doctor.c -- tidegate doctor: how this machine is used, and what could be better. */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "options.h"
#include "program.h"

static const command doctor_command = {
    "doctor", "", "Shows versions, processor, OpenBLAS and the speed of a matrix product.", NULL, 0, 0,
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

static double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* 10^9 floating-point operations a second of (N,N) times (N,N), by way of a linear layer; 0: it failed. */
static double product_speed(tg_context *cx)
{
    enum { N = 768, REPEATS = 5 };
    static tg_real x[N * N];
    tg_params *ps = tg_params_new(cx);
    tg_linear *layer = tg_linear_new(ps, "product", N, N, NULL);
    tg_tape *tape = tg_tape_new(cx);
    double best = 0;
    for (size_t i = 0; i < sizeof x / sizeof *x; i++) x[i] = (tg_real)tg_random_uniform(cx, "doctor", 0, i);
    for (int k = 0; k <= REPEATS; k++) {
        tg_tape_begin(tape, TG_EVAL);
        tg_tensor *input = tg_input(tape, 2, (int[]){ N, N }, x);
        const double begin = seconds_now();
        tg_linear_run(layer, tape, input);
        const double speed = 2.0 * N * N * N / (seconds_now() - begin) / 1e9;
        if (k > 0 && speed > best) best = speed; /* the first warms up */
    }
    return tg_context_ok(cx) ? best : 0;
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
    const double speed = product_speed(cx);
    printf("tidegate         %s, %d-bit numbers\n", tg_version(), 8 * (int)sizeof(tg_real));
    printf("processor        %s\n", processor);
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
