// Philox4x32-10 (Salmon, Moraes, Dror, Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3"), one block a lane.
// Included inside an ISA namespace after its vocabulary; see common/philox.h for the scalar form and the draw mapping.

struct Philox4 {
    vi word[4];
};

// Blocks of kBlocks counters (c0, c1) under shared c2, c3 and key. Even and odd lanes go through the rounds apart, each
// value in the low half of a 64-bit lane: the 32x32 -> 64 products then need no shuffles, and what gathers in the high
// halves is never read. The rounds of all blocks advance together: one alone is a chain of latencies.
template <int kBlocks>
static inline void philox_blocks_of(const vi* c0, const vi* c1, vi c2, vi c3, uint32_t key0, uint32_t key1,
                                    Philox4* out) {
    const vi m0 = iset1(0xD2511F53u), m1 = iset1(0xCD9E8D57u);
    vi c[2 * kBlocks][4];
#pragma GCC unroll 4
    for (int b = 0; b < kBlocks; ++b) {
        const vi even[4] = {c0[b], c1[b], c2, c3};
#pragma GCC unroll 4
        for (int w = 0; w < 4; ++w) {
            c[2 * b][w] = even[w];
            c[2 * b + 1][w] = high_to_even(even[w]);
        }
    }
#pragma GCC unroll 10
    for (int round = 0; round < 10; ++round) {
        const vi k0 = iset1(key0), k1 = iset1(key1);
#pragma GCC unroll 8
        for (int b = 0; b < 2 * kBlocks; ++b) {
            const vi p0 = mul_even(m0, c[b][0]), p1 = mul_even(m1, c[b][2]);
            c[b][0] = xor3(high_to_even(p1), c[b][1], k0);
            c[b][2] = xor3(high_to_even(p0), c[b][3], k1);
            c[b][1] = p1;
            c[b][3] = p0;
        }
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
#pragma GCC unroll 4
    for (int b = 0; b < kBlocks; ++b)
#pragma GCC unroll 4
        for (int w = 0; w < 4; ++w) out[b].word[w] = merge_even_odd(c[2 * b][w], c[2 * b + 1][w]);
}

static inline Philox4 philox(vi c0, vi c1, vi c2, vi c3, uint32_t key0, uint32_t key1) {
    Philox4 out;
    philox_blocks_of<1>(&c0, &c1, c2, c3, key0, key1, &out);
    return out;
}

// Word -> uniform in (0, 1): ((w >> 9) + 0.5) * 2^-23, exact in float32. The upper bits become the mantissa of a number in
// [1, 2), from which 1 - 2^-24 is taken: a product less than a conversion has, where the sampler waits for its products.
static inline vf uniform(vi word) { return sub(cast_f(ior(shr<9>(word), iset1(0x3F800000u))), set1(0x1.fffffep-1f)); }

static void philox_uniform(const PhiloxUniformArgs* a) {
    const uint32_t key0 = static_cast<uint32_t>(a->seed), key1 = static_cast<uint32_t>(a->seed >> 32);
    const vi c1 = iset1(a->unit);
    const vi c2 = iset1(static_cast<uint32_t>(a->offset)), c3 = iset1(static_cast<uint32_t>(a->offset >> 32));
    for (int64_t block = 0; block * 64 < a->n; ++block) {
        const uint32_t base = static_cast<uint32_t>((a->first / 64 + block) * 16);
        for (int lane = 0; lane < 16; lane += kLanes) {
            const Philox4 p = philox(iadd(iset1(base + lane), iota()), c1, c2, c3, key0, key1);
            for (int w = 0; w < 4; ++w) {
                const int64_t at = block * 64 + w * 16 + lane;
                const int64_t left = a->n - at;
                if (left >= kLanes)
                    store(a->out + at, uniform(p.word[w]));
                else if (left > 0)
                    store_masked(a->out + at, first_lanes(static_cast<int>(left)), uniform(p.word[w]));
            }
        }
    }
}

static void philox_blocks(const PhiloxBlocksArgs* a) {
    for (int64_t i = 0; i < a->n; i += kLanes) {
        uint32_t in[4][kLanes] = {};
        uint32_t out[4][kLanes];
        const int live = a->n - i < kLanes ? static_cast<int>(a->n - i) : kLanes;
        for (int l = 0; l < live; ++l)
            for (int w = 0; w < 4; ++w) in[w][l] = a->counters[(i + l) * 4 + w];
        const Philox4 p = philox(iload(in[0]), iload(in[1]), iload(in[2]), iload(in[3]), a->key[0], a->key[1]);
        for (int w = 0; w < 4; ++w) istore(out[w], p.word[w]);
        for (int l = 0; l < live; ++l)
            for (int w = 0; w < 4; ++w) a->out[(i + l) * 4 + w] = out[w][l];
    }
}
