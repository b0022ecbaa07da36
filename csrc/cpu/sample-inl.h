// Bernoulli sampling of a tile of pre-activations: temperature, sigmoid, Philox draw and compare in registers; packed bits
// and probabilities out. SIMD lanes are units; a Philox block serves 4 samples of a unit, 16 apart in a block of 64
// (common/philox.h).
// The compare u * (1 + exp(-x/T)) < 1 needs no division. Included inside an ISA namespace.

// 1 + exp(-x/T) for scale = -log2(e)/T, as 1 + 2^t with t clamped to [-126, 126]. 2^r on [-1/2, 1/2] is 1 + r q(r), q of
// degree 4, minimax, relative error 1.1e-7: its effect on a probability, and that of rounding t, are below the spacing
// 2^-23 of the draws. Cheaper than math-inl.h's exp, which holds an ulp bound over the whole range.
static inline vf one_plus_exp(vf x, vf scale) {
    const vf t = min(max(mul(x, scale), set1(-126.0f)), set1(126.0f));
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
static inline uint32_t sample_16_units(const SampleRowsArgs* a, const float* x, const Philox4* draws, int word,
                                       float* probs, int live) {
    const vf scale = logistic_scale(a->inv_temperature);
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

template <bool kBits, bool kProbs>
static void sample_rows_as(const SampleRowsArgs* a) {
    // Two Philox blocks a step, for enough independent work: two vectors of units, or one of two samples.
    constexpr int kVectors = 16 / kLanes, kSamples = kVectors >= 2 ? 1 : 2;
    const uint32_t key0 = static_cast<uint32_t>(a->seed), key1 = static_cast<uint32_t>(a->seed >> 32);
    const vi c2 = iset1(static_cast<uint32_t>(a->offset)), c3 = iset1(static_cast<uint32_t>(a->offset >> 32));
    for (int column = 0; column < a->n_units; column += 16) {
        const int live = a->n_units - column < 16 ? a->n_units - column : 16;
        const uint32_t unit = a->first_unit + static_cast<uint32_t>(column);
        for (int64_t block = 0; block < a->n_rows; block += 64) {
            const uint32_t base = static_cast<uint32_t>((a->first_sample + block) / 64 * 16);
            for (int i = 0; i < 16 && block + i < a->n_rows; i += kSamples) {
                Philox4 draws[kSamples][kVectors];
                if (kBits) {
                    vi sample[kSamples * kVectors], units[kSamples * kVectors];
                    for (int s = 0; s < kSamples; ++s)
                        for (int v = 0; v < kVectors; ++v) {
                            sample[s * kVectors + v] = iset1(base + i + s);
                            units[s * kVectors + v] = iadd(iset1(unit + v * kLanes), iota());
                        }
                    philox_blocks_of<kSamples * kVectors>(sample, units, c2, c3, key0, key1, draws[0]);
                }
                for (int word = 0; word < 4; ++word)
                    for (int s = 0; s < kSamples; ++s) {
                        const int64_t r = block + word * 16 + i + s;
                        if (r >= a->n_rows) break;
                        float* probs = kProbs ? a->probs + r * a->probs_stride + unit : nullptr;
                        const float* x = a->x + r * a->x_stride + column;
                        const uint32_t bits = sample_16_units<kBits, kProbs>(a, x, draws[s], word, probs, live);
                        if (kBits) {
                            uint16_t packed = static_cast<uint16_t>(bits & ((1u << live) - 1));
                            memcpy(reinterpret_cast<char*>(a->bits + r * a->bits_row_words) + unit / 8, &packed,
                                   sizeof packed);
                        }
                    }
            }
        }
    }
}

static void sample_rows(const SampleRowsArgs* a) {
    if (a->bits && a->probs)
        sample_rows_as<true, true>(a);
    else if (a->bits)
        sample_rows_as<true, false>(a);
    else if (a->probs)
        sample_rows_as<false, true>(a);
}
