/* kernels/simd/bytes.h -- the micro-kernel of products of small integers, with sums of 32 bits.
 *
 * The processor multiplies unsigned by signed bytes. So the left matrix holds its integers plus BYTE_ZERO
 * (the zero point); who uses a sum subtracts BYTE_ZERO times the sum of the column of the right matrix.
 * AVX-512 VNNI multiplies bytes and adds four products to a lane of 32 bits in one instruction, and integers
 * have 8 bits. Elsewhere products are added in lanes of 16 bits first, four to a lane, and integers have 7
 * bits: 4 * 127 * 63 < 2^15.
 *
 * The right matrix (k,n) is packed in panels of BYTE_COLUMNS columns. Four rows of a panel lie together, the
 * four bytes of a column side by side:
 *
 *     b(0,0) b(1,0) b(2,0) b(3,0)   b(0,1) b(1,1) b(2,1) b(3,1)   ...   for BYTE_COLUMNS columns
 *     b(4,0) b(5,0) b(6,0) b(7,0)   b(4,1) ...
 *
 * k is padded with zeros to a multiple of BYTE_STEP, in both matrices. */
#ifndef KERNELS_SIMD_BYTES_H
#define KERNELS_SIMD_BYTES_H

#include "kernels/simd/vector.h"

#if defined(SIMD_AVX512) || defined(SIMD_AVX2)

enum { BYTE_COLUMNS = 2 * VL };
#if defined(SIMD_AVX512VNNI)
enum { BYTE_ROWS = 8, BYTE_STEP = 4, BYTE_MOST = 127, BYTE_ZERO = 128 };
#else
enum { BYTE_ROWS = 4, BYTE_STEP = 8, BYTE_MOST = 63, BYTE_ZERO = 64 };
#endif

#if defined(SIMD_AVX512VNNI)
INLINE ivec add_four_products(ivec sum, ivec a, ivec b)
{
    return (ivec)_mm512_dpbusd_epi32((__m512i)sum, (__m512i)a, (__m512i)b);
}
#elif defined(SIMD_AVX512)
INLINE ivec multiply_bytes(ivec a, ivec b) { return (ivec)_mm512_maddubs_epi16((__m512i)a, (__m512i)b); }
INLINE ivec add_shorts(ivec a, ivec b) { return (ivec)_mm512_add_epi16((__m512i)a, (__m512i)b); }
INLINE ivec add_pairs(ivec a) { return (ivec)_mm512_madd_epi16((__m512i)a, _mm512_set1_epi16(1)); }
#else
INLINE ivec multiply_bytes(ivec a, ivec b) { return (ivec)_mm256_maddubs_epi16((__m256i)a, (__m256i)b); }
INLINE ivec add_shorts(ivec a, ivec b) { return (ivec)_mm256_add_epi16((__m256i)a, (__m256i)b); }
INLINE ivec add_pairs(ivec a) { return (ivec)_mm256_madd_epi16((__m256i)a, _mm256_set1_epi16(1)); }
#endif

INLINE ivec load_bytes(const void *p)
{
    ivec x;
    memcpy(&x, p, sizeof x);
    return x;
}

INLINE ivec broadcast_four_bytes(const uint8_t *p)
{
    int32_t four;
    memcpy(&four, p, sizeof four);
    return (ivec){ 0 } + four;
}

/* sum += BYTE_STEP products for each column of a vector. */
INLINE ivec add_byte_products(ivec sum, const uint8_t *a, const int8_t *panel)
{
#if defined(SIMD_AVX512VNNI)
    return add_four_products(sum, broadcast_four_bytes(a), load_bytes(panel));
#else
    return sum + add_pairs(add_shorts(
                     multiply_bytes(broadcast_four_bytes(a), load_bytes(panel)),
                     multiply_bytes(broadcast_four_bytes(a + 4), load_bytes(panel + 4 * BYTE_COLUMNS))));
#endif
}

/* sum (rows, BYTE_COLUMNS) = A (rows,k) times a panel; rows, a constant, is at most BYTE_ROWS. Prefetches the
 * panel that follows. */
INLINE void byte_tile(const int rows, int k, const uint8_t *A, const int8_t *panel, ivec sum[BYTE_ROWS][2])
{
#pragma GCC unroll 8
    for (int i = 0; i < rows; i++) sum[i][0] = sum[i][1] = (ivec){ 0 };
    for (int p = 0; p < k; p += BYTE_STEP, panel += BYTE_STEP * BYTE_COLUMNS) {
        for (int line = 0; line < BYTE_STEP * BYTE_COLUMNS; line += 64)
            __builtin_prefetch(panel + (size_t)k * BYTE_COLUMNS + line, 0, 2);
#pragma GCC unroll 8
        for (int i = 0; i < rows; i++) {
            const uint8_t *a = A + (size_t)i * (size_t)k + p;
            sum[i][0] = add_byte_products(sum[i][0], a, panel);
            sum[i][1] = add_byte_products(sum[i][1], a, panel + 4 * VL);
        }
    }
}

#endif

#endif
