// The vector vocabulary at level AVX-512 (F, BW, DQ, VL): 16 float lanes, mask registers.
// The same names exist in simd_avx2.h and simd_scalar.h; kernel bodies (*-inl.h) use nothing else.
#pragma once

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#define HC_ISA avx512

namespace hc {
namespace avx512 {

constexpr int kLanes = 16;
constexpr int kRegisters = 32;

using vf = __m512;     // 16 x float32
using vi = __m512i;    // 16 x int32 / uint32
using vm = __mmask16;  // one bit a lane

static inline vf zero() { return _mm512_setzero_ps(); }
static inline vf set1(float x) { return _mm512_set1_ps(x); }
static inline vf load(const float* p) { return _mm512_loadu_ps(p); }
static inline void store(float* p, vf x) { _mm512_storeu_ps(p, x); }
static inline vm first_lanes(int n) { return static_cast<vm>(n >= 16 ? 0xFFFF : (1u << n) - 1); }
// Lanes outside the mask are neither read nor written, and read as zero.
static inline vf load_masked(const float* p, vm m) { return _mm512_maskz_loadu_ps(m, p); }
static inline void store_masked(float* p, vm m, vf x) { _mm512_mask_storeu_ps(p, m, x); }
static inline __attribute__((always_inline)) void prefetch(const float* p) {
    _mm_prefetch(reinterpret_cast<const char*>(p), _MM_HINT_T0);
}
// To be written: takes the line from the other cores.
static inline __attribute__((always_inline)) void prefetch_write(const float* p) { __builtin_prefetch(p, 1); }
static inline __attribute__((always_inline)) void prefetch_far(const float* p) {
    _mm_prefetch(reinterpret_cast<const char*>(p), _MM_HINT_T1);
}
static inline void stream(float* p, vf x) { _mm512_stream_ps(p, x); }

static inline vf add(vf a, vf b) { return _mm512_add_ps(a, b); }
static inline vf sub(vf a, vf b) { return _mm512_sub_ps(a, b); }
static inline vf mul(vf a, vf b) { return _mm512_mul_ps(a, b); }
static inline vf div(vf a, vf b) { return _mm512_div_ps(a, b); }
static inline vf min(vf a, vf b) { return _mm512_min_ps(a, b); }                 // b where either is NaN
static inline vf max(vf a, vf b) { return _mm512_max_ps(a, b); }                 // b where either is NaN
static inline vf fma(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }      // one rounding, everywhere
static inline vf fnma(vf a, vf b, vf c) { return _mm512_fnmadd_ps(a, b, c); }    // c - a*b, one rounding
static inline vf mul_add(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }  // the fast form
static inline vf sqrt(vf a) { return _mm512_sqrt_ps(a); }
// Computes x before what follows in the source: a chain of additions in another order waits for itself.
static inline __attribute__((always_inline)) void keep_here(vf& x) { asm volatile("" : "+v"(x)); }
static inline vf abs(vf a) { return _mm512_abs_ps(a); }
static inline vf round_nearest(vf a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }

static inline vm cmp_lt(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
static inline vm cmp_eq(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ); }
static inline vm cmp_lt_int(vi a, vi b) { return _mm512_cmplt_epi32_mask(a, b); }  // signed
static inline vm is_nan(vf a) { return _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q); }
static inline vf select(vm m, vf yes, vf no) { return _mm512_mask_blend_ps(m, no, yes); }
static inline uint32_t mask_bits(vm m) { return m; }
static inline vm mask_from_bits(uint32_t bits) { return static_cast<vm>(bits); }
static inline vm mask_and(vm a, vm b) { return static_cast<vm>(a & b); }
static inline vm mask_or(vm a, vm b) { return static_cast<vm>(a | b); }

static inline vf add_masked(vf a, vm m, vf b) {
    return _mm512_mask_add_ps(a, m, a, b);
}  // a + b under the mask, else a

static inline vi iset1(uint32_t x) { return _mm512_set1_epi32(static_cast<int>(x)); }
static inline vi iota() { return _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15); }
static inline vi iload(const uint32_t* p) { return _mm512_loadu_si512(p); }
static inline void istore(uint32_t* p, vi x) { _mm512_storeu_si512(p, x); }
static inline vi iadd(vi a, vi b) { return _mm512_add_epi32(a, b); }
static inline vi isub(vi a, vi b) { return _mm512_sub_epi32(a, b); }
static inline vi iand(vi a, vi b) { return _mm512_and_si512(a, b); }
static inline vi ior(vi a, vi b) { return _mm512_or_si512(a, b); }
static inline vi ixor(vi a, vi b) { return _mm512_xor_si512(a, b); }
template <int kBits>
static inline vi shl(vi a) {
    return _mm512_slli_epi32(a, kBits);
}
template <int kBits>
static inline vi shr(vi a) {
    return _mm512_srli_epi32(a, kBits);
}  // logical
template <int kBits>
static inline vi sar(vi a) {
    return _mm512_srai_epi32(a, kBits);
}  // arithmetic
static inline vi xor3(vi a, vi b, vi c) { return _mm512_ternarylogic_epi32(a, b, c, 0x96); }
// 64-bit lanes, for 32x32 -> 64 products: of the even 32-bit lanes, high half down, even lanes of a with odd lanes of b.
static inline vi mul_even(vi a, vi b) { return _mm512_mul_epu32(a, b); }
static inline vi high_to_even(vi a) { return _mm512_shuffle_epi32(a, _MM_PERM_DDBB); }
static inline vi merge_even_odd(vi a, vi b_in_even) {
    return _mm512_mask_shuffle_epi32(a, 0xAAAA, b_in_even, _MM_PERM_CCAA);
}

static inline vf cast_f(vi a) { return _mm512_castsi512_ps(a); }
static inline vi cast_i(vf a) { return _mm512_castps_si512(a); }
static inline vf to_float(vi a) { return _mm512_cvtepi32_ps(a); }  // signed
static inline vi to_int(vf a) { return _mm512_cvtps_epi32(a); }    // nearest even
// a * 2^n for integral n, where neither a nor the result is subnormal or overflows
static inline vf scale_by_power(vf a, vf n) { return _mm512_scalef_ps(a, n); }
// The larger of n and -126, unless scale_by_power takes a smaller one: the result is nothing beside 1 either way.
static inline vf at_least_scalable(vf n) { return n; }

// table[index] for kEntries = 16 or 64 entries, indices below kEntries.
template <int kEntries>
static inline vi lookup(const uint32_t* table, vi index) {
    const vi t0 = _mm512_loadu_si512(table);
    if (kEntries == 16) return _mm512_permutexvar_epi32(index, t0);
    const vi low = _mm512_permutex2var_epi32(t0, index, _mm512_loadu_si512(table + 16));
    const vi high = _mm512_permutex2var_epi32(_mm512_loadu_si512(table + 32), index, _mm512_loadu_si512(table + 48));
    return _mm512_mask_blend_epi32(_mm512_test_epi32_mask(index, iset1(32)), low, high);
}
// 64 codes of kPlanes bits: lane l of out[v] = sum over j of bit v * kLanes + l of plane[j], times 2^j.
template <int kPlanes>
static inline void gather_codes(const uint64_t* plane, vi* out) {
    __m512i code = _mm512_maskz_mov_epi8(plane[0], _mm512_set1_epi8(1));
#pragma GCC unroll 8
    for (int j = 1; j < kPlanes; ++j)
        code = _mm512_mask_add_epi8(code, plane[j], code, _mm512_set1_epi8(static_cast<char>(1 << j)));
    out[0] = _mm512_cvtepu8_epi32(_mm512_castsi512_si128(code));
    out[1] = _mm512_cvtepu8_epi32(_mm512_extracti32x4_epi32(code, 1));
    out[2] = _mm512_cvtepu8_epi32(_mm512_extracti32x4_epi32(code, 2));
    out[3] = _mm512_cvtepu8_epi32(_mm512_extracti32x4_epi32(code, 3));
}

// Groups of 5 bits of a code of 60 that are not zero.
static inline int count_groups(uint64_t code) {
    const uint64_t pairs = code | code >> 1;
    return __builtin_popcountll((pairs | pairs >> 2 | code >> 4) & 0x084210842108421u);
}
// They, first to last, as fields of 9 bits, group << 5 | bits: five in fields[0], seven in fields[1], the rest zero. Returns
// how many.
static inline int nonzero_groups(uint64_t code, uint64_t fields[2]) {
    constexpr uint64_t kSeven = 0x40201008040201u, kFive = 0x1008040201u;  // ones, 9 bits apart
    const uint64_t pairs = code | code >> 1, flags = (pairs | pairs >> 2 | code >> 4) & 0x084210842108421u;
    const uint64_t nibbles = _pdep_u64(_pext_u64(flags, 0x084210842108421u), 0x111111111111u) * 15;
    const uint64_t bits = _pext_u64(code, flags * 31), groups = _pext_u64(0xBA9876543210u, nibbles);
    fields[0] = _pdep_u64(bits, kFive * 31) | _pdep_u64(groups, kFive * (15 << 5));
    fields[1] = _pdep_u64(bits >> 25, kSeven * 31) | _pdep_u64(groups >> 20, kSeven * (15 << 5));
    return __builtin_popcountll(flags);
}

using vd = __m512d;  // 8 x float64
constexpr int kDoubles = 8;
static inline vd set1_d(double x) { return _mm512_set1_pd(x); }
static inline vd load_d(const double* p) { return _mm512_loadu_pd(p); }
static inline void store_d(double* p, vd x) { _mm512_storeu_pd(p, x); }
static inline vd mul_d(vd a, vd b) { return _mm512_mul_pd(a, b); }
static inline vd mul_add_d(vd a, vd b, vd c) { return _mm512_fmadd_pd(a, b, c); }  // the fast form

// In-register transpose of a kLanes x kLanes tile.
static inline void transpose(vf r[16]) {
    vf t[16];
    for (int i = 0; i < 16; i += 2) {
        t[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
        t[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
    }
    for (int i = 0; i < 16; i += 4) {
        r[i] = _mm512_castpd_ps(_mm512_unpacklo_pd(_mm512_castps_pd(t[i]), _mm512_castps_pd(t[i + 2])));
        r[i + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(_mm512_castps_pd(t[i]), _mm512_castps_pd(t[i + 2])));
        r[i + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(_mm512_castps_pd(t[i + 1]), _mm512_castps_pd(t[i + 3])));
        r[i + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(_mm512_castps_pd(t[i + 1]), _mm512_castps_pd(t[i + 3])));
    }
    for (int i = 0; i < 4; ++i) {
        t[i] = _mm512_shuffle_f32x4(r[i], r[i + 4], 0x88);
        t[i + 4] = _mm512_shuffle_f32x4(r[i], r[i + 4], 0xDD);
        t[i + 8] = _mm512_shuffle_f32x4(r[i + 8], r[i + 12], 0x88);
        t[i + 12] = _mm512_shuffle_f32x4(r[i + 8], r[i + 12], 0xDD);
    }
    for (int i = 0; i < 4; ++i) {
        r[i] = _mm512_shuffle_f32x4(t[i], t[i + 8], 0x88);
        r[i + 4] = _mm512_shuffle_f32x4(t[i + 4], t[i + 12], 0x88);
        r[i + 8] = _mm512_shuffle_f32x4(t[i], t[i + 8], 0xDD);
        r[i + 12] = _mm512_shuffle_f32x4(t[i + 4], t[i + 12], 0xDD);
    }
}

}  // namespace avx512
}  // namespace hc
