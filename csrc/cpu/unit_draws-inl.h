// Philox draws of many units for the same 64 samples under one seed and offset (common/philox.h): SIMD lanes are samples.
//
// The counter is (sample, unit, offset, offset). Only its second word changes from unit to unit, and Philox lets it reach
// a vector late: what the first three rounds compute without it is computed once, its own path through two of them is
// scalar, and one product of the third is left. So a unit costs 7 1/2 vector rounds in place of 10, for the same words.
// Included inside an ISA namespace after philox-inl.h.

constexpr int kDrawVectors = 16 / kLanes;  // vectors of 16 counters, which give 64 draws
constexpr int kChainVectors = 64 / kLanes;

struct UnitDraws {
    vi a[2 * kDrawVectors], b[2 * kDrawVectors], c[2 * kDrawVectors], d[2 * kDrawVectors];  // even and odd lanes apart
    uint32_t unit_xor, key0, key1;
};

static inline uint32_t high_word(uint64_t x) { return static_cast<uint32_t>(x >> 32); }

static inline UnitDraws unit_draws(uint64_t seed, uint64_t offset, uint64_t block) {
    constexpr uint32_t w0 = 0x9E3779B9u, w1 = 0xBB67AE85u, m1 = 0xCD9E8D57u;
    const uint32_t k0 = static_cast<uint32_t>(seed), k1 = high_word(seed), offset_high = high_word(offset);
    const uint64_t p = static_cast<uint64_t>(m1) * static_cast<uint32_t>(offset);
    UnitDraws s;
    s.unit_xor = high_word(p) ^ k0;
    s.key0 = k0 + 3 * w0;
    s.key1 = k1 + 3 * w1;
    const vi vm0 = iset1(0xD2511F53u), vm1 = iset1(m1);
    for (int v = 0; v < kDrawVectors; ++v) {
        const vi sample = iadd(iset1(static_cast<uint32_t>(block * 16) + v * kLanes), iota());
        const vi halves[2] = {sample, high_to_even(sample)};
        for (int h = 0; h < 2; ++h) {
            const vi first = mul_even(vm0, halves[h]);
            const vi second = mul_even(vm1, xor3(high_to_even(first), iset1(offset_high), iset1(k1)));
            const vi third = mul_even(vm0, xor3(high_to_even(second), iset1(static_cast<uint32_t>(p)), iset1(k0 + w0)));
            s.a[2 * v + h] = ixor(first, iset1(k1 + w1));
            s.b[2 * v + h] = ixor(second, iset1(k0 + 2 * w0));
            s.c[2 * v + h] = ixor(high_to_even(third), iset1(k1 + 2 * w1));
            s.d[2 * v + h] = third;
        }
    }
    return s;
}

// draws[u * kDrawVectors + v].word[w], lane l: the draw of unit[u] for sample 16 w + v * kLanes + l of the block.
template <int kUnits>
static HC_INLINE void draw_units(const UnitDraws& s, const uint32_t* unit, Philox4* draws) {
    constexpr int kHalves = 2 * kUnits * kDrawVectors;
    const vi m0 = iset1(0xD2511F53u), m1 = iset1(0xCD9E8D57u);
    vi c[kHalves][4];
#pragma GCC unroll 4
    for (int u = 0; u < kUnits; ++u) {
        const uint64_t q = static_cast<uint64_t>(0xD2511F53u) * (unit[u] ^ s.unit_xor);
        const vi high = iset1(high_word(q)), low = iset1(static_cast<uint32_t>(q));
#pragma GCC unroll 8
        for (int i = 0; i < 2 * kDrawVectors; ++i) {
            const int at = u * 2 * kDrawVectors + i;
            const vi p = mul_even(m1, ixor(s.a[i], high));
            c[at][0] = ixor(high_to_even(p), s.b[i]);
            c[at][1] = p;
            c[at][2] = ixor(s.c[i], low);
            c[at][3] = s.d[i];
        }
    }
    uint32_t key0 = s.key0, key1 = s.key1;
#pragma GCC unroll 7
    for (int round = 3; round < 10; ++round) {
        const vi k0 = iset1(key0), k1 = iset1(key1);
#pragma GCC unroll 16
        for (int i = 0; i < kHalves; ++i) {
            const vi p0 = mul_even(m0, c[i][0]), p1 = mul_even(m1, c[i][2]);
            c[i][0] = xor3(high_to_even(p1), c[i][1], k0);
            c[i][2] = xor3(high_to_even(p0), c[i][3], k1);
            c[i][1] = p1;
            c[i][3] = p0;
        }
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
#pragma GCC unroll 8
    for (int b = 0; b < kUnits * kDrawVectors; ++b)
#pragma GCC unroll 4
        for (int w = 0; w < 4; ++w) draws[b].word[w] = merge_even_odd(c[2 * b][w], c[2 * b + 1][w]);
}

// Word of draws of one unit that belongs to chains v * kLanes ..
static HC_INLINE vi chain_word(const Philox4* draws, int v) { return draws[v % kDrawVectors].word[v / kDrawVectors]; }
