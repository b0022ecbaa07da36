// Bernoulli sampling of a tile of pre-activations: temperature, sigmoid, Philox draw and compare in registers, packed bits
// and probabilities out. SIMD lanes are units; one Philox block serves 4 samples 16 apart of one 64-sample block.
// The compare u * (1 + exp(-x/T)) < 1 needs no division. Included inside an ISA namespace.

template <bool kBits, bool kProbs>
static inline uint32_t sample_16_units(const SampleRowsArgs* a, const float* x, const Philox4* draws, int word, float* probs, int live) {
    const vf minus_inv_t = set1(-a->inv_temperature), one = set1(1.0f);
    uint32_t bits = 0;
    for (int u = 0; u < 16; u += kLanes) {
        const vf e = add(exp_clamped(mul(load(x + u), minus_inv_t)), one);
        if (kProbs) {
            const vf p = div(set1(a->prob_scale), e);
            if (live - u >= kLanes)
                store(probs + u, p);
            else if (live > u)
                store_masked(probs + u, first_lanes(live - u), p);
        }
        if (kBits) bits |= mask_bits(cmp_lt(mul(uniform(draws[u / kLanes].word[word]), e), one)) << u;
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
                    const uint32_t bits =
                        sample_16_units<kBits, kProbs>(a, a->x + r * a->x_stride + column, draws, word, probs, live);
                    if (kBits) {
                        uint16_t packed = static_cast<uint16_t>(bits & ((1u << live) - 1));
                        memcpy(reinterpret_cast<char*>(a->bits + r * a->bits_row_words) + unit / 8, &packed, sizeof packed);
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
