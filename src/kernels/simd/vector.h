/* kernels/simd/vector.h -- vector operations for the instruction set that the file is compiled for.
 *
 * `vec` is a vector of VL numbers, with the arithmetic operators of C (a GCC extension). fma_(a, b, c) is
 * a*b+c, rounded once if the processor has an instruction for that. load_part and store_part read and write
 * the last, partial vector of an array, so kernels need no scalar loop for the rest. */
#ifndef KERNELS_SIMD_VECTOR_H
#define KERNELS_SIMD_VECTOR_H

#include <math.h>
#include <string.h>
#include <tidegate/core.h>

#if defined(SIMD_AVX512) || defined(SIMD_AVX2)
#include <immintrin.h>
#elif defined(__aarch64__) /* its baseline */
#include <arm_neon.h>
#define SIMD_NEON
#endif

#if defined(SIMD_AVX512)
enum { VECTOR_BYTES = 64 };
#elif defined(SIMD_AVX2)
enum { VECTOR_BYTES = 32 };
#else
enum { VECTOR_BYTES = 16 };
#endif
enum { VL = VECTOR_BYTES / (int)sizeof(tg_real) };

typedef tg_real vec __attribute__((vector_size(VECTOR_BYTES)));
typedef tg_real unaligned_vec __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(tg_real)), may_alias));
#if TG_DOUBLE
typedef int64_t ivec __attribute__((vector_size(VECTOR_BYTES)));
#else
typedef int32_t ivec __attribute__((vector_size(VECTOR_BYTES)));
typedef uint32_t bits __attribute__((vector_size(VECTOR_BYTES))); /* may wrap around */
#endif

#define INLINE static inline __attribute__((always_inline))

INLINE vec all(tg_real x) { return x - (vec){ 0 }; } /* minus: keeps -0 */

#if defined(SIMD_AVX512) && !TG_DOUBLE
INLINE vec load_part(const tg_real *p, int n)
{
    return (vec)_mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p);
}
INLINE void store_part(tg_real *p, int n, vec x)
{
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), (__m512)x);
}
#else
INLINE vec load_part(const tg_real *p, int n)
{
    vec x = { 0 };
    memcpy(&x, p, (size_t)n * sizeof *p);
    return x;
}
INLINE void store_part(tg_real *p, int n, vec x) { memcpy(p, &x, (size_t)n * sizeof *p); }
#endif

/* n: how many numbers are left at p */
INLINE vec load(const tg_real *p, int n)
{
    if (__builtin_expect(n >= VL, 1)) return (vec) * (const unaligned_vec *)(const void *)p;
    return load_part(p, n);
}
INLINE void store(tg_real *p, int n, vec x)
{
    if (__builtin_expect(n >= VL, 1))
        *(unaligned_vec *)(void *)p = (unaligned_vec)x;
    else
        store_part(p, n, x);
}

INLINE vec fma_(vec a, vec b, vec c)
{
#if defined(SIMD_AVX512) && !TG_DOUBLE
    return (vec)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(SIMD_AVX2) && !TG_DOUBLE
    return (vec)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#elif defined(SIMD_NEON) && !TG_DOUBLE
    return (vec)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
#else
    return a * b + c;
#endif
}

/* mask: all bits of a lane are set or none, as a comparison gives it; a comparison with a NaN gives none */
INLINE vec blend(ivec mask, vec yes, vec no) { return (vec)((mask & (ivec)yes) | (~mask & (ivec)no)); }
INLINE vec at_least(vec x, tg_real low) { return blend(x < all(low), all(low), x); }
INLINE vec at_most(vec x, tg_real high) { return blend(x > all(high), all(high), x); }
INLINE vec magnitude(vec x) { return (vec)((ivec)x & ~(ivec)all((tg_real)-0.0)); }
INLINE vec with_sign_of(vec x, vec sign) { return (vec)((ivec)x | ((ivec)sign & (ivec)all((tg_real)-0.0))); }

/* Transposes VL rows in place. Each of log2(VL) rounds interleaves the first half of the rows with the
 * second. */
INLINE void transpose(vec x[VL])
{
    ivec low, high;
#pragma GCC unroll 16
    for (int i = 0; i < VL; i++) low[i] = i / 2 + i % 2 * VL, high[i] = low[i] + VL / 2;
#pragma GCC unroll 4
    for (int round = 1; round < VL; round *= 2) {
        vec y[VL];
#pragma GCC unroll 16
        for (int i = 0; i < VL / 2; i++) {
            y[2 * i] = __builtin_shuffle(x[i], x[i + VL / 2], low);
            y[2 * i + 1] = __builtin_shuffle(x[i], x[i + VL / 2], high);
        }
#pragma GCC unroll 16
        for (int i = 0; i < VL; i++) x[i] = y[i];
    }
}

/* ---- exp, sigmoid, tanh ----
 *
 * Error bounds, which tests/test_kernels_pointwise.c checks for 17 million floats: exp 2 ulp, sigmoid 4 ulp,
 * tanh 4 ulp (8 without fused multiply-add). exp and sigmoid of x < -87.336, less than the smallest normal
 * number (1.18e-38), are 0: so the derivative of a saturated sigmoid, s (1 - s), is 0 at both ends. A NaN
 * gives a NaN. The double build calls libm. */
#if TG_DOUBLE

INLINE vec exp_(vec x)
{
    for (int i = 0; i < VL; i++) x[i] = exp(x[i]);
    return x;
}
INLINE vec exp_nonpositive(vec x) { return exp_(x); }
INLINE vec sigmoid_(vec x)
{
    for (int i = 0; i < VL; i++) x[i] = x[i] >= 0 ? 1 / (1 + exp(-x[i])) : exp(x[i]) / (1 + exp(x[i]));
    return x;
}
INLINE vec tanh_(vec x)
{
    for (int i = 0; i < VL; i++) x[i] = tanh(x[i]);
    return x;
}

#else

/* exp(x) = 2^n exp(r), n = round(x / ln 2), |r| <= ln 2 / 2; the polynomial of exp(r) as in Cephes
 * (Moshier 1989). For x in [-87.336, 88.7], and NaN; 2^n is made in the exponent bits. */
INLINE vec exp_in_range(vec x)
{
    const vec round = all(12582912.0f); /* 1.5 2^23: adding it leaves the integer in the low bits */
    const vec shifted = fma_(x, all(1.44269504088896341f), round), n = shifted - round;
    const vec r = fma_(n, all(2.12194440e-4f), fma_(n, all(-0.693359375f), x));
    vec p = all(1.9875691500e-4f);
    p = fma_(p, r, all(1.3981999507e-3f));
    p = fma_(p, r, all(8.3334519073e-3f));
    p = fma_(p, r, all(4.1665795894e-2f));
    p = fma_(p, r, all(1.6666665459e-1f));
    p = fma_(p, r, all(5.0000001201e-1f));
    p = fma_(p * r, r, r) + 1;
    const vec y = (vec)((bits)p + (((bits)shifted - (bits)round) << 23));
    return blend(x == x, y, x); /* the bits of a NaN would make any number of it */
}

/* Any x: 0 below, infinity above, NaN stays NaN. */
INLINE vec exp_(vec x)
{
    /* half the exponent twice, so that 2^n itself never overflows */
    const vec inside = at_most(at_least(x, -87.336f), 88.0f),
              rest = at_most(at_least(x - inside, 0.0f), 1.0f);
    const vec y = exp_in_range(inside) * blend(rest > all(0), exp_in_range(rest), all(1));
    return blend(x < all(-87.336f), all(0), blend(x > all(88.7228394f), all(INFINITY), y));
}

/* The same for x <= 0, which cannot overflow. */
INLINE vec exp_nonpositive(vec x)
{
    return blend(x < all(-87.336f), all(0), exp_in_range(at_least(x, -87.336f)));
}

INLINE vec sigmoid_(vec x)
{
    const vec y = 1 / (1 + exp_in_range(at_most(at_least(-x, -87.336f), 87.336f)));
    return blend(x < all(-87.336f), all(0), y);
}

/* |x| < 0.625: an odd polynomial (Cephes), so that small values keep their relative accuracy; else
 * 1 - 2 / (exp(2|x|) + 1), with the sign of x. */
INLINE vec tanh_(vec x)
{
    const vec a = magnitude(x), s = x * x;
    vec p = all(-5.70498872745e-3f);
    p = fma_(p, s, all(2.06390887954e-2f));
    p = fma_(p, s, all(-5.37397155531e-2f));
    p = fma_(p, s, all(1.33314422036e-1f));
    p = fma_(p, s, all(-3.33332819422e-1f));
    const vec small = fma_(p * s, a, a);
    const vec large = 1 - 2 / (exp_in_range(at_most(a + a, 40.0f)) + 1);
    return with_sign_of(blend(a < all(0.625f), small, large), x);
}

#endif

#endif
