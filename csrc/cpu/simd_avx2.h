// The vector vocabulary at level AVX2 + FMA: 8 float lanes, masks as all-ones lanes.
// The same names exist in simd_avx512.h and simd_scalar.h; kernel bodies (*-inl.h) use nothing else.
#pragma once

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#define HC_ISA avx2

namespace hc {
namespace avx2 {

constexpr int kLanes = 8;
constexpr int kRegisters = 16;

using vf = __m256;   // 8 x float32
using vi = __m256i;  // 8 x int32 / uint32
using vm = __m256;   // all ones or all zeros a lane

static inline vf zero() { return _mm256_setzero_ps(); }
static inline vf set1(float x) { return _mm256_set1_ps(x); }
static inline vf load(const float* p) { return _mm256_loadu_ps(p); }
static inline void store(float* p, vf x) { _mm256_storeu_ps(p, x); }
static inline vi iset1(uint32_t x) { return _mm256_set1_epi32(static_cast<int>(x)); }
static inline vi iota() { return _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7); }
static inline vm first_lanes(int n) { return _mm256_castsi256_ps(_mm256_cmpgt_epi32(_mm256_set1_epi32(n), iota())); }
// Lanes outside the mask are neither read nor written, and read as zero.
static inline vf load_masked(const float* p, vm m) { return _mm256_maskload_ps(p, _mm256_castps_si256(m)); }
static inline void store_masked(float* p, vm m, vf x) { _mm256_maskstore_ps(p, _mm256_castps_si256(m), x); }
static inline __attribute__((always_inline)) void prefetch(const float* p) {
    _mm_prefetch(reinterpret_cast<const char*>(p), _MM_HINT_T0);
}
// To be written: takes the line from the other cores.
static inline __attribute__((always_inline)) void prefetch_write(const float* p) { __builtin_prefetch(p, 1); }
static inline __attribute__((always_inline)) void prefetch_far(const float* p) {
    _mm_prefetch(reinterpret_cast<const char*>(p), _MM_HINT_T1);
}
static inline void stream(float* p, vf x) { _mm256_stream_ps(p, x); }

static inline vf add(vf a, vf b) { return _mm256_add_ps(a, b); }
static inline vf sub(vf a, vf b) { return _mm256_sub_ps(a, b); }
static inline vf mul(vf a, vf b) { return _mm256_mul_ps(a, b); }
static inline vf div(vf a, vf b) { return _mm256_div_ps(a, b); }
static inline vf min(vf a, vf b) { return _mm256_min_ps(a, b); }                 // b where either is NaN
static inline vf max(vf a, vf b) { return _mm256_max_ps(a, b); }                 // b where either is NaN
static inline vf fma(vf a, vf b, vf c) { return _mm256_fmadd_ps(a, b, c); }      // one rounding, everywhere
static inline vf fnma(vf a, vf b, vf c) { return _mm256_fnmadd_ps(a, b, c); }    // c - a*b, one rounding
static inline vf mul_add(vf a, vf b, vf c) { return _mm256_fmadd_ps(a, b, c); }  // the fast form
static inline vf sqrt(vf a) { return _mm256_sqrt_ps(a); }
// Computes x before what follows in the source: a chain of additions in another order waits for itself.
static inline __attribute__((always_inline)) void keep_here(vf& x) { asm volatile("" : "+x"(x)); }
static inline vf abs(vf a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a); }
static inline vf round_nearest(vf a) { return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }

static inline vm cmp_lt(vf a, vf b) { return _mm256_cmp_ps(a, b, _CMP_LT_OQ); }
static inline vm cmp_eq(vf a, vf b) { return _mm256_cmp_ps(a, b, _CMP_EQ_OQ); }
static inline vm cmp_lt_int(vi a, vi b) { return _mm256_castsi256_ps(_mm256_cmpgt_epi32(b, a)); }  // signed
static inline vm is_nan(vf a) { return _mm256_cmp_ps(a, a, _CMP_UNORD_Q); }
static inline vf select(vm m, vf yes, vf no) { return _mm256_blendv_ps(no, yes, m); }
static inline uint32_t mask_bits(vm m) { return static_cast<uint32_t>(_mm256_movemask_ps(m)); }
static inline vm mask_from_bits(uint32_t bits) {
    const vi bit = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
    return _mm256_castsi256_ps(_mm256_cmpeq_epi32(_mm256_and_si256(iset1(bits), bit), bit));
}
static inline vm mask_and(vm a, vm b) { return _mm256_and_ps(a, b); }
static inline vm mask_or(vm a, vm b) { return _mm256_or_ps(a, b); }

static inline vf add_masked(vf a, vm m, vf b) { return _mm256_add_ps(a, _mm256_and_ps(m, b)); }  // a + b under the mask

static inline vi iload(const uint32_t* p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }
static inline void istore(uint32_t* p, vi x) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), x); }
static inline vi iadd(vi a, vi b) { return _mm256_add_epi32(a, b); }
static inline vi isub(vi a, vi b) { return _mm256_sub_epi32(a, b); }
static inline vi iand(vi a, vi b) { return _mm256_and_si256(a, b); }
static inline vi ior(vi a, vi b) { return _mm256_or_si256(a, b); }
static inline vi ixor(vi a, vi b) { return _mm256_xor_si256(a, b); }
template <int kBits>
static inline vi shl(vi a) {
    return _mm256_slli_epi32(a, kBits);
}
template <int kBits>
static inline vi shr(vi a) {
    return _mm256_srli_epi32(a, kBits);
}  // logical
template <int kBits>
static inline vi sar(vi a) {
    return _mm256_srai_epi32(a, kBits);
}  // arithmetic
static inline vi xor3(vi a, vi b, vi c) { return _mm256_xor_si256(_mm256_xor_si256(a, b), c); }
// 64-bit lanes, for 32x32 -> 64 products: of the even 32-bit lanes, high half down, even lanes of a with odd lanes of b.
static inline vi mul_even(vi a, vi b) { return _mm256_mul_epu32(a, b); }
static inline vi high_to_even(vi a) { return _mm256_srli_epi64(a, 32); }
static inline vi merge_even_odd(vi a, vi b_in_even) {
    return _mm256_blend_epi32(a, _mm256_slli_epi64(b_in_even, 32), 0xAA);
}

static inline vf cast_f(vi a) { return _mm256_castsi256_ps(a); }
static inline vi cast_i(vf a) { return _mm256_castps_si256(a); }
static inline vf to_float(vi a) { return _mm256_cvtepi32_ps(a); }  // signed
static inline vi to_int(vf a) { return _mm256_cvtps_epi32(a); }    // nearest even
// a * 2^n for integral n, where neither a nor the result is subnormal or overflows
static inline vf scale_by_power(vf a, vf n) { return cast_f(iadd(cast_i(a), shl<23>(to_int(n)))); }
// The larger of n and -126, unless scale_by_power takes a smaller one: the result is nothing beside 1 either way.
static inline vf at_least_scalable(vf n) { return max(n, set1(-126.0f)); }

// table[index] for kEntries = 16 or 64 entries, indices below kEntries.
template <int kEntries>
static inline vi lookup(const uint32_t* table, vi index) {
    if (kEntries > 16) return _mm256_i32gather_epi32(reinterpret_cast<const int*>(table), index, 4);
    const vi low = _mm256_permutevar8x32_epi32(iload(table), index);
    const vi high = _mm256_permutevar8x32_epi32(iload(table + 8), index);
    return cast_i(_mm256_blendv_ps(cast_f(low), cast_f(high), cast_f(shl<28>(index))));
}
// 64 codes of kPlanes bits: lane l of out[v] = sum over j of bit v * kLanes + l of plane[j], times 2^j.
template <int kPlanes>
static inline void gather_codes(const uint64_t* plane, vi* out) {
    const __m256i byte_of = _mm256_setr_epi8(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 3,
                                             3, 3, 3, 3, 3, 3, 3);
    const __m256i bit_of = _mm256_set1_epi64x(static_cast<long long>(0x8040201008040201ull));
#pragma GCC unroll 2
    for (int half = 0; half < 2; ++half) {
        __m256i code = _mm256_setzero_si256();
#pragma GCC unroll 8
        for (int j = 0; j < kPlanes; ++j) {
            const vi bits = _mm256_shuffle_epi8(iset1(static_cast<uint32_t>(plane[j] >> (32 * half))), byte_of);
            const vi on = _mm256_cmpeq_epi8(_mm256_and_si256(bits, bit_of), bit_of);
            code = _mm256_or_si256(code, _mm256_and_si256(on, _mm256_set1_epi8(static_cast<char>(1 << j))));
        }
        const __m128i low = _mm256_castsi256_si128(code), high = _mm256_extracti128_si256(code, 1);
        out[4 * half] = _mm256_cvtepu8_epi32(low);
        out[4 * half + 1] = _mm256_cvtepu8_epi32(_mm_srli_si128(low, 8));
        out[4 * half + 2] = _mm256_cvtepu8_epi32(high);
        out[4 * half + 3] = _mm256_cvtepu8_epi32(_mm_srli_si128(high, 8));
    }
}

// Groups of 5 bits of a code of 60 that are not zero.
static inline int count_groups(uint64_t code) {
    const uint64_t pairs = code | code >> 1;
    return __builtin_popcountll((pairs | pairs >> 2 | code >> 4) & 0x084210842108421u);
}
// They, first to last, as fields of 9 bits, group << 5 | bits: five in fields[0], seven in fields[1], the rest zero. Returns
// how many.
static inline int nonzero_groups(uint64_t code, uint64_t fields[2]) {
    fields[0] = fields[1] = 0;
    int n = 0;
    for (int g = 0; g < 12; ++g) {
        const uint64_t bits = code >> (5 * g) & 31;
        const uint64_t field = bits ? static_cast<uint64_t>(g) << 5 | bits : 0;
        fields[n >= 5] |= field << (9 * (n < 5 ? n : n - 5));
        n += bits != 0;
    }
    return n;
}

using vd = __m256d;  // 4 x float64
constexpr int kDoubles = 4;
static inline vd set1_d(double x) { return _mm256_set1_pd(x); }
static inline vd load_d(const double* p) { return _mm256_loadu_pd(p); }
static inline void store_d(double* p, vd x) { _mm256_storeu_pd(p, x); }
static inline vd mul_d(vd a, vd b) { return _mm256_mul_pd(a, b); }
static inline vd mul_add_d(vd a, vd b, vd c) { return _mm256_fmadd_pd(a, b, c); }  // the fast form

// In-register transpose of a kLanes x kLanes tile.
static inline void transpose(vf r[8]) {
    vf t[8], u[8];
    for (int i = 0; i < 8; i += 2) {
        t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
        t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
    }
    for (int i = 0; i < 8; i += 4) {
        u[i] = _mm256_shuffle_ps(t[i], t[i + 2], 0x44);
        u[i + 1] = _mm256_shuffle_ps(t[i], t[i + 2], 0xEE);
        u[i + 2] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0x44);
        u[i + 3] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0xEE);
    }
    for (int i = 0; i < 4; ++i) {
        r[i] = _mm256_permute2f128_ps(u[i], u[i + 4], 0x20);
        r[i + 4] = _mm256_permute2f128_ps(u[i], u[i + 4], 0x31);
    }
}

}  // namespace avx2
}  // namespace hc
