/* core/clones.h -- simple loops over arrays, compiled for several instruction sets.
 *
 * A function marked CLONED is compiled once for each, and the loader takes the one for the processor, whatever
 * TIDEGATE_SIMD says. The bits are the same in all: nothing is contracted, and a sum is made in the order in which it
 * is written. */
#ifndef CORE_CLONES_H
#define CORE_CLONES_H

#include <stdlib.h> /* __GLIBC__: other loaders cannot choose */

#if defined(__x86_64__) && defined(__GLIBC__) && !defined(__clang__) && __GNUC__ >= 12 &&                    \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define CLONED __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define CLONED
#endif

#endif
