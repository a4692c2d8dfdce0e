/* kernels/dispatch.c -- chooses the instruction set of the kernels, at run time. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/simd/table.h"

#if TG_SIMD_VARIANTS > 1
static bool has_avx512(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}
#endif

const simd_table *tg__simd_variant(int k)
{
#if TG_SIMD_VARIANTS > 1
    __builtin_cpu_init();
    if (k == 1)
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? &tg__simd_avx2 : NULL;
    if (k == 2) return has_avx512() ? &tg__simd_avx512 : NULL;
    if (k == 3) return has_avx512() && __builtin_cpu_supports("avx512vnni") ? &tg__simd_avx512vnni : NULL;
#endif
    return k == 0 ? &tg__simd_baseline : NULL;
}

static const simd_table *best(void)
{
    const simd_table *table = &tg__simd_baseline;
    const char *wish = getenv("TIDEGATE_SIMD");
    for (int k = 0; k < TG_SIMD_VARIANTS; k++) {
        const simd_table *one = tg__simd_variant(k);
        if (one) table = one;
        if (one && wish && !strcmp(wish, one->name)) break;
    }
    return table;
}

const simd_table *tg__simd(void)
{
    static _Atomic(const simd_table *) chosen;
    const simd_table *table = atomic_load_explicit(&chosen, memory_order_relaxed);
    if (!table) atomic_store_explicit(&chosen, table = best(), memory_order_relaxed);
    return table;
}
