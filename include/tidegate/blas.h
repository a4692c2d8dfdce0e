/* tidegate/blas.h -- is OpenBLAS running the right kernels for this processor?
 *
 * OpenBLAS 0.3.21 (Debian 12) does not know recent processors and then silently runs kernels of
 * 2004, five to ten times slower. The choice is made when the library is loaded, from the
 * environment variable OPENBLAS_CORETYPE, so only a program, before anything else, can mend it. */
#ifndef TIDEGATE_BLAS_H
#define TIDEGATE_BLAS_H

#include "core.h"

#ifdef __cplusplus
extern "C" {
#endif

/* NULL: all is well. Otherwise a sentence for the user that names the core in use and the better
 * setting ("OpenBLAS runs its Prescott kernels on a processor with AVX-512; set ..."). */
TG_API const char *tg_blas_advice(void);
TG_API const char *tg_blas_core(void);    /* the core name that OpenBLAS chose: "SkylakeX" */
TG_API const char *tg_blas_version(void); /* OpenBLAS' own description of its build */

/* The instruction set that tidegate's own kernels use: "baseline", "avx2", "avx512" or "avx512vnni". The last
 * two give the same bits. */
TG_API const char *tg_simd_variant(void);

/* Call first in main(): executes the program again, once, with OPENBLAS_CORETYPE set where tg_blas_advice() has one, and
 * with OPENBLAS_NUM_THREADS=1 where the address space is limited (ulimit -v): each thread of OpenBLAS' own would take 128 MiB
 * of it, or hang. Leaves a variable alone that the user set. Does nothing if it was tried already, or under valgrind, an
 * emulator or a debugger. argv as main() got it; returns if nothing was done. */
TG_API void tg_program_fix_blas(char *argv[]);

#ifdef __cplusplus
}
#endif
#endif
