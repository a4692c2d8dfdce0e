/* core/random.c -- Philox 4x32-10; see random.h. */
#include "core/random.h"

#include <math.h>

#include "core/context.h"

void tg__random_block(uint64_t key, uint64_t step, uint64_t element, uint32_t out[4])
{
    uint32_t c0 = (uint32_t)element, c1 = (uint32_t)(element >> 32);
    uint32_t c2 = (uint32_t)step, c3 = (uint32_t)(step >> 32);
    uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
    for (int round = 0; round < 10; round++) {
        const uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)p1;
        c3 = (uint32_t)p0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = c0, out[1] = c1, out[2] = c2, out[3] = c3;
}

/* FNV-1a of the name, then the finalizer of splitmix64 over both (Steele, Lea, Flood 2014). */
uint64_t tg__random_key(uint64_t seed, const char *name)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (const unsigned char *p = (const unsigned char *)name; *p; p++) h = (h ^ *p) * 0x100000001b3u;
    h ^= seed * 0x9e3779b97f4a7c15u;
    h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9u;
    h = (h ^ (h >> 27)) * 0x94d049bb133111ebu;
    return h ^ (h >> 31);
}

static double uniform_from(uint32_t high, uint32_t low)
{
    return (double)(((uint64_t)high << 32 | low) >> 11) * 0x1p-53;
}

double tg__random_uniform(uint64_t key, uint64_t step, uint64_t element)
{
    uint32_t bits[4];
    tg__random_block(key, step, element, bits);
    return uniform_from(bits[0], bits[1]);
}

double tg__random_normal(uint64_t key, uint64_t step, uint64_t element)
{
    uint32_t bits[4];
    tg__random_block(key, step, element, bits);
    const double u = 1 - uniform_from(bits[0], bits[1]); /* (0, 1]: the logarithm is finite */
    const double v = uniform_from(bits[2], bits[3]);
    return sqrt(-2 * log(u)) * cos(6.283185307179586 * v);
}

double tg_random_uniform(const tg_context *cx, const char *stream, int64_t step, uint64_t element)
{
    if (!cx || !stream) return 0;
    return tg__random_uniform(tg__random_key(cx->config.seed, stream), (uint64_t)step, element);
}

/* Fisher and Yates; the shuffle of n elements takes numbers n-1 ... 1 of the stream. */
void tg_random_permutation(const tg_context *cx, const char *stream, int64_t step, int n, int *order)
{
    if (!cx || !stream || !order) return;
    const uint64_t key = tg__random_key(cx->config.seed, stream);
    for (int i = 0; i < n; i++) order[i] = i;
    for (int i = n - 1; i > 0; i--) {
        const int j = (int)(tg__random_uniform(key, (uint64_t)step, (uint64_t)i) * (i + 1));
        const int swap = order[i];
        order[i] = order[j];
        order[j] = swap;
    }
}
