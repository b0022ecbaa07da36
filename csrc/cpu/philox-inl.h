// Philox4x32-10 (Salmon, Moraes, Dror, Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3"), one block a lane.
// Included inside an ISA namespace after its vocabulary; see common/philox.h for the scalar form and the draw mapping.

struct Philox4 {
    vi word[4];
};

// Even and odd lanes go through the rounds apart, each value in the low half of a 64-bit lane: the 32x32 -> 64 products
// then need no shuffles, and what gathers in the high halves is never read.
static inline void philox_rounds(vi c[4], uint32_t key0, uint32_t key1) {
    const vi m0 = iset1(0xD2511F53u), m1 = iset1(0xCD9E8D57u);
    for (int round = 0; round < 10; ++round) {
        const vi p0 = mul_even(m0, c[0]), p1 = mul_even(m1, c[2]);
        c[0] = xor3(high_to_even(p1), c[1], iset1(key0));
        c[2] = xor3(high_to_even(p0), c[3], iset1(key1));
        c[1] = p1;
        c[3] = p0;
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
}

static inline Philox4 philox(vi c0, vi c1, vi c2, vi c3, uint32_t key0, uint32_t key1) {
    vi even[4] = {c0, c1, c2, c3};
    vi odd[4] = {high_to_even(c0), high_to_even(c1), high_to_even(c2), high_to_even(c3)};
    philox_rounds(even, key0, key1);
    philox_rounds(odd, key0, key1);
    Philox4 out;
    for (int w = 0; w < 4; ++w) out.word[w] = merge_even_odd(even[w], odd[w]);
    return out;
}

// Word -> uniform in (0, 1): ((w >> 9) + 0.5) * 2^-23, exact in float32.
static inline vf uniform(vi word) {
    return fma(to_float(shr<9>(word)), set1(0x1p-23f), set1(0x1p-24f));
}

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
