/* core/random.h -- counter-based random numbers: a key names a stream, a counter an element.
 *
 * Philox 4x32-10 (Salmon, Moraes, Dror, Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3"):
 * a number is a function of (key, step, element), so threads, skipped steps and validation change
 * nothing, and nothing needs to be saved but the seed. */
#ifndef CORE_RANDOM_H
#define CORE_RANDOM_H

#include <stdint.h>

/* The key of the stream `name` under `seed`. */
uint64_t tg__random_key(uint64_t seed, const char *name);

/* 128 random bits: counter (64-bit step, 64-bit element) under the key. */
void tg__random_block(uint64_t key, uint64_t step, uint64_t element, uint32_t out[4]);

double tg__random_uniform(uint64_t key, uint64_t step, uint64_t element); /* [0, 1), 53 bits */
double tg__random_normal(uint64_t key, uint64_t step, uint64_t element);  /* N(0, 1), Box-Muller */

#endif
