// Bernoulli sampling of a tile of pre-activations: temperature, sigmoid, Philox draw and compare in registers; packed bits
// and probabilities out. SIMD lanes are units; a Philox block serves 4 samples of a unit, 16 apart in a block of 64
// (common/philox.h).
// The compare u * (1 + exp(-x/T)) < 1 needs no division. Included inside an ISA namespace.

// t = 1 + 2^t for kN vectors, with t clamped to [-126, 126] (below, 1 + 2^t is 1 whatever t is). 2^r on [-1/2, 1/2] is
// 1 + r q(r), q of degree 4, minimax, relative error 1.1e-7: its effect on a probability, and that of rounding t, are below
// the spacing 2^-23 of the draws. Cheaper than math-inl.h's exp, which holds an ulp bound over the whole range.
template <int kN>
static HC_INLINE void one_plus_power(vf* t) {
    vf n[kN], q[kN];
#pragma GCC unroll 8
    for (int k = 0; k < kN; ++k) {
        t[k] = at_least_scalable(min(t[k], set1(126.0f)));
        n[k] = round_nearest(t[k]);
        t[k] = sub(t[k], n[k]);
    }
    // The vectors together, step by step: one alone is a chain of latencies.
    const float coefficients[] = {0x1.3cea88p-7f, 0x1.c6b752p-5f, 0x1.ebf9bcp-3f, 0x1.62e42ap-1f, 1.0f};
#pragma GCC unroll 8
    for (int k = 0; k < kN; ++k) q[k] = set1(0x1.5bba14p-10f);
#pragma GCC unroll 5
    for (int i = 0; i < 5; ++i)
#pragma GCC unroll 8
        for (int k = 0; k < kN; ++k) q[k] = fma(q[k], t[k], set1(coefficients[i]));
#pragma GCC unroll 8
    for (int k = 0; k < kN; ++k) t[k] = add(scale_by_power(q[k], n[k]), set1(1.0f));
}

// 1 + exp(-x/T) for scale = -log2(e)/T.
static inline vf one_plus_exp(vf x, vf scale) {
    vf t = mul(x, scale);
    one_plus_power<1>(&t);
    return t;
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
// unit, offset, offset). The first two rounds and half of the third mix little: what of them depends on the units alone is
// computed once for all samples, and what depends on the sample alone, for 64 samples at a time, with samples along the lanes,
// by unit_draws-inl.h. So a draw costs 7 1/2 rounds in place of 10, for the same words.
struct UnitPart {
    vi high[2], low[2];  // of the second round's product; even and odd lanes apart
};
static inline UnitPart unit_part(uint32_t unit_xor, uint32_t unit) {
    const vi units = ixor(iadd(iset1(unit), iota()), iset1(unit_xor));
    UnitPart d;
    for (int h = 0; h < 2; ++h) {
        d.low[h] = mul_even(iset1(0xD2511F53u), h ? high_to_even(units) : units);
        d.high[h] = high_to_even(d.low[h]);
    }
    return d;
}

// UnitDraws sample by sample: 16 counters, each for 4 of a block's samples.
struct SamplePart {
    uint32_t a[16], b[16], c[16], d[16], key0, key1;

    explicit SamplePart(const UnitDraws& s) : key0(s.key0), key1(s.key1) {
        for (int v = 0; v < kDrawVectors; ++v) {
            istore(a + v * kLanes, merge_even_odd(s.a[2 * v], s.a[2 * v + 1]));
            istore(b + v * kLanes, merge_even_odd(s.b[2 * v], s.b[2 * v + 1]));
            istore(c + v * kLanes, merge_even_odd(s.c[2 * v], s.c[2 * v + 1]));
            istore(d + v * kLanes, merge_even_odd(s.d[2 * v], s.d[2 * v + 1]));
        }
    }
};

// out[b]: the draws of units[b] for sample[b] of `samples`. Rounds of all blocks advance together, and `meanwhile(0)` ..
// `meanwhile(3)` run between them: a block alone is a chain of latencies.
template <int kBlocks, class Meanwhile>
static HC_INLINE void draw_samples(const UnitPart* units, const SamplePart& samples, const int* sample, Philox4* out,
                                   Meanwhile&& meanwhile) {
    const vi m0 = iset1(0xD2511F53u), m1 = iset1(0xCD9E8D57u);
    vi c[2 * kBlocks][4];
#pragma GCC unroll 4
    for (int b = 0; b < kBlocks; ++b) {
        const vi sample_a = iset1(samples.a[sample[b]]), sample_b = iset1(samples.b[sample[b]]);
        const vi sample_c = iset1(samples.c[sample[b]]), sample_d = iset1(samples.d[sample[b]]);
#pragma GCC unroll 2
        for (int h = 0; h < 2; ++h) {
            const vi p = mul_even(m1, ixor(units[b].high[h], sample_a));
            c[2 * b + h][0] = ixor(high_to_even(p), sample_b);
            c[2 * b + h][1] = p;
            c[2 * b + h][2] = ixor(units[b].low[h], sample_c);
            c[2 * b + h][3] = sample_d;
        }
    }
    uint32_t key0 = samples.key0, key1 = samples.key1;
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
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
        if (round < 7) meanwhile(round - 3);
    }
#pragma GCC unroll 4
    for (int b = 0; b < kBlocks; ++b)
#pragma GCC unroll 4
        for (int w = 0; w < 4; ++w) out[b].word[w] = merge_even_odd(c[2 * b][w], c[2 * b + 1][w]);
}

// Draws for the next samples are made while those before them are compared.
template <bool kProbs>
static void sample_rows_bits(const SampleRowsArgs* args) {
    constexpr int kVectors = 16 / kLanes, kAtOnce = kLanes == 16 ? 2 : 1, kBlocks = kVectors * kAtOnce;
    const SampleRowsArgs copy = *args, *const a = &copy;  // which, unlike *args, no bits stored can change
    const vf scale = logistic_scale(a->inv_temperature);
    const uint32_t unit_xor = unit_draws(a->seed, a->offset, 0).unit_xor;  // of any block
    for (int column = 0; column < a->n_units; column += 16) {
        const int live = a->n_units - column < 16 ? a->n_units - column : 16;
        const uint32_t unit = a->first_unit + static_cast<uint32_t>(column), live_bits = (1u << live) - 1;
        UnitPart units[kBlocks];
        for (int i = 0; i < kBlocks; ++i)
            units[i] = unit_part(unit_xor, unit + static_cast<uint32_t>(i % kVectors * kLanes));
        Philox4 draws[kBlocks] = {};
        int64_t first = a->n_rows;  // of the rows that `draws` are for
        const auto compare = [&](int word) HC_INLINE_LAMBDA {
            for (int i = 0; i < kAtOnce; ++i) {
                const int64_t r = first + word * 16 + i;
                if (r >= a->n_rows) return;
                float* probs = kProbs ? a->probs + r * a->probs_stride + column : nullptr;
                const float* x = a->x + r * a->x_stride + column;
                const uint16_t packed = static_cast<uint16_t>(
                    sample_16_units<true, kProbs>(a, scale, x, draws + i * kVectors, word, probs, live) & live_bits);
                memcpy(reinterpret_cast<char*>(a->bits + r * a->bits_row_step) + unit % 64 / 8, &packed, sizeof packed);
            }
        };
        for (int64_t block = 0; block < a->n_rows; block += 64) {
            const SamplePart samples(
                unit_draws(a->seed, a->offset, static_cast<uint64_t>((a->first_sample + block) / 64)));
            for (int i = 0; i < 16 && block + i < a->n_rows; i += kAtOnce) {
                int sample[kBlocks];
                for (int v = 0; v < kBlocks; ++v) sample[v] = i + v / kVectors;
                Philox4 next[kBlocks];
                draw_samples<kBlocks>(units, samples, sample, next, compare);
                for (int v = 0; v < kBlocks; ++v) draws[v] = next[v];
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
