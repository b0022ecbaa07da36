// Bernoulli sampling of a tile of pre-activations: temperature, sigmoid, Philox draw and compare in registers; packed bits
// and probabilities out. SIMD lanes are units; a Philox block serves 4 samples of a unit, 16 apart in a block of 64
// (common/philox.h).
// The compare u * (1 + exp(-x/T)) < 1 needs no division. Included inside an ISA namespace.

// 1 + exp(-x/T) for scale = -log2(e)/T, as 1 + 2^t with t clamped to [-126, 126] (below, 1 + 2^t is 1 whatever t is). 2^r on [-1/2, 1/2] is 1 + r q(r), q of
// degree 4, minimax, relative error 1.1e-7: its effect on a probability, and that of rounding t, are below the spacing
// 2^-23 of the draws. Cheaper than math-inl.h's exp, which holds an ulp bound over the whole range.
static inline vf one_plus_exp(vf x, vf scale) {
    const vf t = at_least_scalable(min(mul(x, scale), set1(126.0f)));
    const vf n = round_nearest(t);
    const vf r = sub(t, n);
    vf q = set1(0x1.5bba14p-10f);
    q = fma(q, r, set1(0x1.3cea88p-7f));
    q = fma(q, r, set1(0x1.c6b752p-5f));
    q = fma(q, r, set1(0x1.ebf9bcp-3f));
    q = fma(q, r, set1(0x1.62e42ap-1f));
    return add(scale_by_power(fma(q, r, set1(1.0f)), n), set1(1.0f));
}

static inline vf logistic_scale(float inv_temperature) { return set1(-0x1.715476p+0f * inv_temperature); }

template <bool kBits, bool kProbs>
static HC_INLINE uint32_t sample_16_units(const SampleRowsArgs* a, vf scale, const float* x, const Philox4* draws,
                                          int word, float* probs, int live) {
    uint32_t bits = 0;
    for (int u = 0; u < 16; u += kLanes) {
        const vf e = one_plus_exp(load(x + u), scale);
        if (kProbs) {
            const vf p = div(set1(a->prob_scale), e);
            if (live - u >= kLanes)
                store(probs + u, p);
            else if (live > u)
                store_masked(probs + u, first_lanes(live - u), p);
        }
        if (kBits) bits |= mask_bits(cmp_lt(mul(uniform(draws[u / kLanes].word[word]), e), set1(1.0f))) << u;
    }
    return bits;
}

// Philox draws of 16 units for one sample after another (common/philox.h): SIMD lanes are units. The counter is (sample,
// unit, offset, offset). Its vector part is the same for all samples, and its first word, the sample, meets it late: the
// first round and the vectors of the second are computed once, the rest of those two is scalar, and one product of the third
// is left. So a sample costs 7 1/2 vector rounds in place of 10, for the same words. (unit_draws-inl.h has lanes the other
// way round.)
struct SampleDraws {
    vi high[2], low[2];  // of the second round's product; even and odd lanes apart
    uint32_t key0, key1, offset_high, second0, second1;
};

static inline SampleDraws sample_draws(const SampleRowsArgs* a, uint32_t unit) {
    constexpr uint32_t w0 = 0x9E3779B9u, w1 = 0xBB67AE85u;
    const uint32_t k0 = static_cast<uint32_t>(a->seed), k1 = static_cast<uint32_t>(a->seed >> 32);
    const uint64_t first = uint64_t{0xCD9E8D57u} * static_cast<uint32_t>(a->offset);
    SampleDraws d;
    d.key0 = k0;
    d.key1 = k1;
    d.offset_high = static_cast<uint32_t>(a->offset >> 32);
    d.second0 = static_cast<uint32_t>(first) ^ (k0 + w0);
    d.second1 = k1 + w1;
    const vi units = ixor(iadd(iset1(unit), iota()), iset1(static_cast<uint32_t>(first >> 32) ^ k0));
    for (int h = 0; h < 2; ++h) {
        d.low[h] = mul_even(iset1(0xD2511F53u), h ? high_to_even(units) : units);
        d.high[h] = high_to_even(d.low[h]);
    }
    return d;
}

// out[b]: the draws of the units of d[b] for sample[b]. `meanwhile(0)` .. `meanwhile(3)` run between rounds: a block is a chain
// of latencies, and other work has to stand near it to fill them.
template <int kBlocks, class Meanwhile>
static HC_INLINE void draw_samples(const SampleDraws* d, const uint32_t* sample, Philox4* out, Meanwhile&& meanwhile) {
    constexpr uint32_t w0 = 0x9E3779B9u, w1 = 0xBB67AE85u;
    const vi m0 = iset1(0xD2511F53u), m1 = iset1(0xCD9E8D57u);
    vi c[2 * kBlocks][4];
#pragma GCC unroll 4
    for (int b = 0; b < kBlocks; ++b) {
        const uint64_t p0 = uint64_t{0xD2511F53u} * sample[b];
        const uint64_t p1 = uint64_t{0xCD9E8D57u} * (static_cast<uint32_t>(p0 >> 32) ^ d[b].offset_high ^ d[b].key1);
        const uint64_t third = uint64_t{0xD2511F53u} * (static_cast<uint32_t>(p1 >> 32) ^ d[b].second0);
        const vi late = iset1(static_cast<uint32_t>(p0) ^ d[b].second1);
        const vi c0 = iset1(static_cast<uint32_t>(p1) ^ (d[b].key0 + 2 * w0));
        const vi c2 = iset1(static_cast<uint32_t>(third >> 32) ^ (d[b].key1 + 2 * w1));
        const vi c3 = iset1(static_cast<uint32_t>(third));
#pragma GCC unroll 2
        for (int h = 0; h < 2; ++h) {
            const vi p = mul_even(m1, ixor(d[b].high[h], late));
            c[2 * b + h][0] = ixor(high_to_even(p), c0);
            c[2 * b + h][1] = p;
            c[2 * b + h][2] = ixor(d[b].low[h], c2);
            c[2 * b + h][3] = c3;
        }
    }
    uint32_t key0 = d[0].key0 + 3 * w0, key1 = d[0].key1 + 3 * w1;
#pragma GCC unroll 7
    for (int round = 3; round < 10; ++round) {
        const vi k0 = iset1(key0), k1 = iset1(key1);
#pragma GCC unroll 8
        for (int b = 0; b < 2 * kBlocks; ++b) {
            const vi p0 = mul_even(m0, c[b][0]), p1 = mul_even(m1, c[b][2]);
            c[b][0] = xor3(high_to_even(p1), c[b][1], k0);
            c[b][2] = xor3(high_to_even(p0), c[b][3], k1);
            c[b][1] = p1;
            c[b][3] = p0;
        }
        key0 += w0;
        key1 += w1;
        if (round < 7) meanwhile(round - 3);
    }
#pragma GCC unroll 4
    for (int b = 0; b < kBlocks; ++b)
#pragma GCC unroll 4
        for (int w = 0; w < 4; ++w) out[b].word[w] = merge_even_odd(c[2 * b][w], c[2 * b + 1][w]);
}

// Draws for the next 4 samples are made while those before them are compared.
template <bool kProbs>
static void sample_rows_bits(const SampleRowsArgs* args) {
    constexpr int kVectors = 16 / kLanes;
    const SampleRowsArgs copy = *args, *const a = &copy;  // which, unlike *args, no bits stored can change
    const vf scale = logistic_scale(a->inv_temperature);
    for (int column = 0; column < a->n_units; column += 16) {
        const int live = a->n_units - column < 16 ? a->n_units - column : 16;
        const uint32_t unit = a->first_unit + static_cast<uint32_t>(column), live_bits = (1u << live) - 1;
        SampleDraws units[kVectors];
        for (int i = 0; i < kVectors; ++i) units[i] = sample_draws(a, unit + static_cast<uint32_t>(i * kLanes));
        Philox4 draws[kVectors] = {};
        int64_t first = a->n_rows;  // of the rows that `draws` are for
        const auto compare = [&](int word) HC_INLINE_LAMBDA {
            const int64_t r = first + word * 16;
            if (r >= a->n_rows) return;
            float* probs = kProbs ? a->probs + r * a->probs_stride + column : nullptr;
            const float* x = a->x + r * a->x_stride + column;
            const uint16_t packed =
                static_cast<uint16_t>(sample_16_units<true, kProbs>(a, scale, x, draws, word, probs, live) & live_bits);
            memcpy(reinterpret_cast<char*>(a->bits + r * a->bits_row_step) + unit % 64 / 8, &packed, sizeof packed);
        };
        for (int64_t block = 0; block < a->n_rows; block += 64) {
            const uint32_t base = static_cast<uint32_t>((a->first_sample + block) / 64 * 16);
            for (int i = 0; i < 16 && block + i < a->n_rows; ++i) {
                uint32_t sample[kVectors];
                for (int v = 0; v < kVectors; ++v) sample[v] = base + static_cast<uint32_t>(i);
                Philox4 next[kVectors];
                draw_samples<kVectors>(units, sample, next, compare);
                for (int v = 0; v < kVectors; ++v) draws[v] = next[v];
                first = block + i;
            }
        }
        for (int word = 0; word < 4; ++word) compare(word);
    }
}

static void sample_rows_probs(const SampleRowsArgs* a) {
    const vf scale = logistic_scale(a->inv_temperature);
    for (int64_t r = 0; r < a->n_rows; ++r)
        for (int column = 0; column < a->n_units; column += 16) {
            const int live = a->n_units - column < 16 ? a->n_units - column : 16;
            sample_16_units<false, true>(a, scale, a->x + r * a->x_stride + column, nullptr, 0,
                                         a->probs + r * a->probs_stride + column, live);
        }
}

static void sample_rows(const SampleRowsArgs* a) {
    if (a->bits && a->probs)
        sample_rows_bits<true>(a);
    else if (a->bits)
        sample_rows_bits<false>(a);
    else if (a->probs)
        sample_rows_probs(a);
}
