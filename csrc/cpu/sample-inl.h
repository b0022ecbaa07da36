// Bernoulli sampling of a tile of pre-activations: temperature, sigmoid, Philox draw and compare in registers; packed bits
// and probabilities out. Two forms, for the two lookup products: SIMD lanes are units (sample_rows) or samples
// (sample_lanes). A Philox block serves 4 samples of a unit, 16 apart in a block of 64 (common/philox.h).
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
    const uint32_t key0 = static_cast<uint32_t>(a->seed), key1 = static_cast<uint32_t>(a->seed >> 32);
    const vi c2 = iset1(static_cast<uint32_t>(a->offset)), c3 = iset1(static_cast<uint32_t>(a->offset >> 32));
    for (int column = 0; column < a->n_units; column += 16) {
        const int live = a->n_units - column < 16 ? a->n_units - column : 16;
        const uint32_t unit = a->first_unit + static_cast<uint32_t>(column);
        for (int64_t block = 0; block < a->n_rows; block += 64) {
            const uint32_t base = static_cast<uint32_t>((a->first_sample + block) / 64 * 16);
            for (int i = 0; i < 16 && block + i < a->n_rows; ++i) {
                Philox4 draws[16 / kLanes];
                if (kBits)
                    for (int u = 0; u < 16; u += kLanes)
                        draws[u / kLanes] = philox(iset1(base + i), iadd(iset1(unit + u), iota()), c2, c3, key0, key1);
                for (int word = 0; word < 4; ++word) {
                    const int64_t r = block + word * 16 + i;
                    if (r >= a->n_rows) break;
                    float* probs = kProbs ? a->probs + r * a->probs_stride + unit : nullptr;
                    const uint32_t bits = sample_16_units<kBits, kProbs>(a, a->x + r * a->x_stride + column, draws,
                                                                         word, probs, live);
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

#if defined(HC_HAS_LOOKUP32)
// The tile's probabilities, samples along the rows of x, to rows of samples.
static inline void store_transposed_probs(const SampleLanesArgs* a) {
    const vm live = first_lanes(a->n_units);
    for (int64_t s = 0; s < a->n_samples; s += kLanes) {
        vf tile[kLanes];
        for (int u = 0; u < kLanes; ++u) tile[u] = u < a->n_units ? load(a->x + u * a->x_stride + s) : zero();
        transpose(tile);
        const int64_t n = a->n_samples - s < kLanes ? a->n_samples - s : kLanes;
        for (int64_t i = 0; i < n; ++i) store_masked(a->probs + (s + i) * a->probs_stride + a->first_unit, live, tile[i]);
    }
}

template <bool kBits, bool kProbs>
static void sample_lanes_as(const SampleLanesArgs* a) {
    const uint32_t key0 = static_cast<uint32_t>(a->seed), key1 = static_cast<uint32_t>(a->seed >> 32);
    const vi c2 = iset1(static_cast<uint32_t>(a->offset)), c3 = iset1(static_cast<uint32_t>(a->offset >> 32));
    const vf scale = logistic_scale(a->inv_temperature), one = set1(1.0f), prob_scale = set1(a->prob_scale);
    for (int u = 0; u < a->n_units; ++u) {
        const vi unit = iset1(a->first_unit + static_cast<uint32_t>(u));
        for (int64_t block = 0; block < a->n_samples; block += 64) {
            const uint32_t base = static_cast<uint32_t>((a->first_sample + block) / 64 * 16);
            Philox4 draws;
            if (kBits) draws = philox(iadd(iset1(base), iota()), unit, c2, c3, key0, key1);
            float* x = a->x + u * a->x_stride + block;
            uint64_t bits = 0;
            for (int word = 0; word < 4 && block + word * 16 < a->n_samples; ++word) {
                const vf e = one_plus_exp(load(x + word * 16), scale);
                if (kBits) bits |= static_cast<uint64_t>(mask_bits(cmp_lt(mul(uniform(draws.word[word]), e), one))) << (word * 16);
                if (kProbs) store(x + word * 16, div(prob_scale, e));
            }
            if (kBits) {
                const int64_t left = a->n_samples - block;
                if (left < 64) bits &= (uint64_t{1} << left) - 1;
                a->bits[u * a->bits_row_words + block / 64] = bits;
            }
        }
    }
    if (kProbs) store_transposed_probs(a);
}

static void sample_lanes(const SampleLanesArgs* a) {
    if (a->bits && a->probs)
        sample_lanes_as<true, true>(a);
    else if (a->bits)
        sample_lanes_as<true, false>(a);
    else if (a->probs)
        sample_lanes_as<false, true>(a);
}
#endif
