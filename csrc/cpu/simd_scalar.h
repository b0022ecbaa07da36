// The vector vocabulary in plain C++: 4 lanes as a struct the compiler may map to SSE2 or NEON. Baseline of every
// build (x86-64 of any age, aarch64), and the level HINTONCORE_ISA=scalar forces. Same names as simd_avx512.h.
#pragma once

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define HC_ISA scalar

namespace hc {
namespace scalar {

constexpr int kLanes = 4;
constexpr int kRegisters = 16;

struct vf {
    float v[kLanes];
};
struct vi {
    uint32_t v[kLanes];
};
struct vm {
    uint32_t v[kLanes];  // 0 or ~0
};

#define HC_EACH for (int i = 0; i < kLanes; ++i)
#define HC_MAP(type, expr) \
    type r;                \
    HC_EACH r.v[i] = expr; \
    return r

static inline vf set1(float x) { HC_MAP(vf, x); }
static inline vf zero() { return set1(0.0f); }
static inline vf load(const float* p) { HC_MAP(vf, p[i]); }
static inline void store(float* p, vf x) { HC_EACH p[i] = x.v[i]; }
static inline vm first_lanes(int n) { HC_MAP(vm, i < n ? ~0u : 0u); }
// Lanes outside the mask are neither read nor written, and read as zero.
static inline vf load_masked(const float* p, vm m) { HC_MAP(vf, m.v[i] ? p[i] : 0.0f); }
static inline void store_masked(float* p, vm m, vf x) { HC_EACH if (m.v[i]) p[i] = x.v[i]; }
static inline __attribute__((always_inline)) void prefetch(const float* p) { __builtin_prefetch(p); }
static inline __attribute__((always_inline)) void prefetch_write(const float* p) { __builtin_prefetch(p, 1); }
static inline __attribute__((always_inline)) void prefetch_far(const float* p) { __builtin_prefetch(p, 0, 2); }
static inline void stream(float* p, vf x) { store(p, x); }

static inline vf add(vf a, vf b) { HC_MAP(vf, a.v[i] + b.v[i]); }
static inline vf sub(vf a, vf b) { HC_MAP(vf, a.v[i] - b.v[i]); }
static inline vf mul(vf a, vf b) { HC_MAP(vf, a.v[i] * b.v[i]); }
static inline vf div(vf a, vf b) { HC_MAP(vf, a.v[i] / b.v[i]); }
static inline vf min(vf a, vf b) { HC_MAP(vf, a.v[i] < b.v[i] ? a.v[i] : b.v[i]); }  // b where either is NaN
static inline vf max(vf a, vf b) { HC_MAP(vf, a.v[i] > b.v[i] ? a.v[i] : b.v[i]); }  // b where either is NaN

// One rounding even where the processor has no fused multiply-add, so that all levels agree to the last bit. The product
// of two floats is exact in double; the sum is rounded to odd, which makes the second rounding (to float) innocuous
// (Boldo and Melquiond 2008, "Emulation of a FMA and correctly rounded sums").
static inline float fma1(float a, float b, float c) {
#if defined(__FP_FAST_FMAF) || defined(__aarch64__)
    return __builtin_fmaf(a, b, c);
#else
    const double p = static_cast<double>(a) * b, d = c;
    double s = p + d;
    const double t = s - p;
    const double err = (p - (s - t)) + (d - t);
    uint64_t bits;
    memcpy(&bits, &s, sizeof bits);
    // (bits + bits) skips infinities and NaN: their exponent is all ones.
    if (err != 0.0 && !(bits & 1) && (bits << 1) < 0xFFE0000000000000ull) {
        bits += ((err > 0.0) == (s > 0.0)) ? 1 : static_cast<uint64_t>(-1);
        memcpy(&s, &bits, sizeof s);
    }
    return static_cast<float>(s);
#endif
}
static inline vf fma(vf a, vf b, vf c) { HC_MAP(vf, fma1(a.v[i], b.v[i], c.v[i])); }
static inline vf fnma(vf a, vf b, vf c) { HC_MAP(vf, fma1(-a.v[i], b.v[i], c.v[i])); }  // c - a*b, one rounding
static inline vf mul_add(vf a, vf b, vf c) { HC_MAP(vf, a.v[i] * b.v[i] + c.v[i]); }    // the fast form
static inline vf sqrt(vf a) { HC_MAP(vf, sqrtf(a.v[i])); }
// Computes x before what follows in the source: a chain of additions in another order waits for itself.
static inline void keep_here(vf&) {}
static inline vf abs(vf a) { HC_MAP(vf, fabsf(a.v[i])); }
static inline vf round_nearest(vf a) { HC_MAP(vf, nearbyintf(a.v[i])); }

static inline vm cmp_lt(vf a, vf b) { HC_MAP(vm, a.v[i] < b.v[i] ? ~0u : 0u); }
static inline vm cmp_eq(vf a, vf b) { HC_MAP(vm, a.v[i] == b.v[i] ? ~0u : 0u); }
static inline vm cmp_lt_int(vi a, vi b) {
    HC_MAP(vm, static_cast<int32_t>(a.v[i]) < static_cast<int32_t>(b.v[i]) ? ~0u : 0u);  // signed
}
static inline vm is_nan(vf a) { HC_MAP(vm, a.v[i] != a.v[i] ? ~0u : 0u); }
static inline vf select(vm m, vf yes, vf no) { HC_MAP(vf, m.v[i] ? yes.v[i] : no.v[i]); }
static inline uint32_t mask_bits(vm m) {
    uint32_t bits = 0;
    HC_EACH bits |= (m.v[i] & 1u) << i;
    return bits;
}
static inline vm mask_from_bits(uint32_t bits) { HC_MAP(vm, (bits >> i) & 1u ? ~0u : 0u); }
static inline vm mask_and(vm a, vm b) { HC_MAP(vm, a.v[i] & b.v[i]); }
static inline vm mask_or(vm a, vm b) { HC_MAP(vm, a.v[i] | b.v[i]); }

static inline vf add_masked(vf a, vm m, vf b) { HC_MAP(vf, m.v[i] ? a.v[i] + b.v[i] : a.v[i]); }

static inline vi iset1(uint32_t x) { HC_MAP(vi, x); }
static inline vi iota() { HC_MAP(vi, static_cast<uint32_t>(i)); }
static inline vi iload(const uint32_t* p) { HC_MAP(vi, p[i]); }
static inline void istore(uint32_t* p, vi x) { HC_EACH p[i] = x.v[i]; }
static inline vi iadd(vi a, vi b) { HC_MAP(vi, a.v[i] + b.v[i]); }
static inline vi isub(vi a, vi b) { HC_MAP(vi, a.v[i] - b.v[i]); }
static inline vi iand(vi a, vi b) { HC_MAP(vi, a.v[i] & b.v[i]); }
static inline vi ior(vi a, vi b) { HC_MAP(vi, a.v[i] | b.v[i]); }
static inline vi ixor(vi a, vi b) { HC_MAP(vi, a.v[i] ^ b.v[i]); }
template <int kBits>
static inline vi shl(vi a) {
    HC_MAP(vi, a.v[i] << kBits);
}
template <int kBits>
static inline vi shr(vi a) {
    HC_MAP(vi, a.v[i] >> kBits);
}  // logical
template <int kBits>
static inline vi sar(vi a) {
    HC_MAP(vi, static_cast<uint32_t>(static_cast<int32_t>(a.v[i]) >> kBits));
}
static inline vi xor3(vi a, vi b, vi c) { HC_MAP(vi, a.v[i] ^ b.v[i] ^ c.v[i]); }
// 64-bit lanes, for 32x32 -> 64 products: of the even 32-bit lanes, high half down, even lanes of a with odd lanes of b.
static inline vi mul_even(vi a, vi b) {
    vi r;
    for (int i = 0; i < kLanes; i += 2) {
        const uint64_t p = static_cast<uint64_t>(a.v[i]) * b.v[i];
        r.v[i] = static_cast<uint32_t>(p);
        r.v[i + 1] = static_cast<uint32_t>(p >> 32);
    }
    return r;
}
static inline vi high_to_even(vi a) { HC_MAP(vi, i % 2 ? 0u : a.v[i + 1]); }
static inline vi merge_even_odd(vi a, vi b_in_even) { HC_MAP(vi, i % 2 ? b_in_even.v[i - 1] : a.v[i]); }

static inline vf cast_f(vi a) {
    vf r;
    memcpy(&r, &a, sizeof r);
    return r;
}
static inline vi cast_i(vf a) {
    vi r;
    memcpy(&r, &a, sizeof r);
    return r;
}
static inline vf to_float(vi a) { HC_MAP(vf, static_cast<float>(static_cast<int32_t>(a.v[i]))); }  // signed
static inline vi to_int(vf a) { HC_MAP(vi, static_cast<uint32_t>(static_cast<int32_t>(lrintf(a.v[i])))); }
// a * 2^n for integral n, where neither a nor the result is subnormal or overflows
static inline vf scale_by_power(vf a, vf n) { return cast_f(iadd(cast_i(a), shl<23>(to_int(n)))); }
// The larger of n and -126, unless scale_by_power takes a smaller one: the result is nothing beside 1 either way.
static inline vf at_least_scalable(vf n) { return max(n, set1(-126.0f)); }

// table[index] for kEntries = 16 or 64 entries, indices below kEntries.
template <int kEntries>
static inline vi lookup(const uint32_t* table, vi index) {
    HC_MAP(vi, table[index.v[i]]);
}
// 64 codes of kPlanes bits: lane l of out[v] = sum over j of bit v * kLanes + l of plane[j], times 2^j.
template <int kPlanes>
static inline void gather_codes(const uint64_t* plane, vi* out) {
    for (int v = 0; v < 64 / kLanes; ++v) HC_EACH {
            uint32_t code = 0;
            for (int j = 0; j < kPlanes; ++j) code |= static_cast<uint32_t>(plane[j] >> (v * kLanes + i) & 1) << j;
            out[v].v[i] = code;
        }
}

constexpr int kDoubles = 2;
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

struct vd {
    double v[kDoubles];
};
static inline vd set1_d(double x) { return {{x, x}}; }
static inline vd load_d(const double* p) { return {{p[0], p[1]}}; }
static inline void store_d(double* p, vd x) {
    p[0] = x.v[0];
    p[1] = x.v[1];
}
static inline vd mul_d(vd a, vd b) { return {{a.v[0] * b.v[0], a.v[1] * b.v[1]}}; }
static inline vd mul_add_d(vd a, vd b, vd c) { return {{a.v[0] * b.v[0] + c.v[0], a.v[1] * b.v[1] + c.v[1]}}; }

// Transpose of a kLanes x kLanes tile.
static inline void transpose(vf r[kLanes]) {
    for (int i = 0; i < kLanes; ++i)
        for (int j = i + 1; j < kLanes; ++j) {
            const float t = r[i].v[j];
            r[i].v[j] = r[j].v[i];
            r[j].v[i] = t;
        }
}

#undef HC_EACH
#undef HC_MAP

}  // namespace scalar
}  // namespace hc
