// The product of a bit matrix and a float matrix by table lookup in registers, for vocabularies that have lookup32.
//
//   out[u, s] = init[u] + sum_i bit(i, s) * weights[i, u]
//
// SIMD lanes are samples. Inputs are taken in groups of 5: the 32 partial sums of a group and a unit fill two registers,
// and one two-source permute picks them for 16 samples at once, so 80 multiply-adds cost one permute and one add. A code
// word holds 6 groups (30 inputs) of one sample and is shifted along; 4 units share each shift.
//
// Tables are built for 16 units x 60 inputs at a time (24 KB, in L1), then every 4-unit x 64-sample block runs through its
// 12 groups with 16 accumulators in registers.
//
// Floor on Zen 5 (permutes on 2 pipes, adds on 2 of which they share one): about 1.4 permute+add pairs a cycle, 3.5 times
// the FMA ceiling. Measured share: see bench/gibbs.py. The order of summation is group by group, first to last, whatever
// the batch, tile or thread count. Included inside an ISA namespace after its vocabulary.

constexpr int kCodeGroups = 6;                    // groups in a code word
constexpr int kCodeInputs = 5 * kCodeGroups;      // inputs in a code word
constexpr int kChunkWords = 2;                    // code words a set of tables covers
constexpr int kChunkGroups = kCodeGroups * kChunkWords;
constexpr int kChunkInputs = kCodeInputs * kChunkWords;
constexpr int kQuad = 4;                          // units that share code words
static_assert(kLanes == 16 && kUnitBlock == 16, "lookup32 works on 16 lanes");
static_assert(sizeof(float) * 32 * kChunkGroups * 16 <= kLookupScratchBytes, "scratch");

// Code words of every sample: bit j of codes[word, s] is input 30 * word + j of sample s.
static void lane_codes(const LaneCodesArgs* a) {
    const int64_t first = a->word * kCodeInputs;
    const int n = a->n_inputs - first < kCodeInputs ? static_cast<int>(a->n_inputs - first) : kCodeInputs;
    for (int64_t s = 0; s < a->n_samples; s += kLanes) {
        const char* bits = reinterpret_cast<const char*>(a->bits + first * a->row_words) + s / 8;
        vi code = iset1(0);
        for (int i = 0; i < n; ++i) {
            uint16_t lanes;
            memcpy(&lanes, bits + i * a->row_words * sizeof(uint64_t), sizeof lanes);
            code = ior_masked(mask_from_bits(lanes), code, iset1(1u << i));
        }
        istore(a->codes + s, code);
    }
}

// The 32 partial sums of 5 weights, entry by entry of the bits that select them: entries 0-15 and, with the fifth weight
// added, 16-31. Products with 0 and 1 are exact, and fused they are plain additions.
struct LaneTableBits {
    vf of_weight[4];
};

static inline LaneTableBits lane_table_bits() {
    LaneTableBits b;
    const uint32_t masks[4] = {0xAAAA, 0xCCCC, 0xF0F0, 0xFF00};
    for (int i = 0; i < 4; ++i) b.of_weight[i] = select(mask_from_bits(masks[i]), set1(1.0f), zero());
    return b;
}

static inline vf lane_table(const LaneTableBits& b, const float* w, ptrdiff_t stride, float* table, vf poison) {
    vf low = mul(set1(w[0]), b.of_weight[0]);
    low = fma(set1(w[stride]), b.of_weight[1], low);
    low = fma(set1(w[2 * stride]), b.of_weight[2], low);
    low = fma(set1(w[3 * stride]), b.of_weight[3], low);
    const vf high = add(low, set1(w[4 * stride]));
    store(table, low);
    store(table + 16, high);
    return mul_add(high, zero(), poison);
}

// tables[unit][group][32] of one chunk; returns `poison` with NaN added where a weight is NaN or infinite.
static inline vf lane_tables(const LaneProductArgs* a, int64_t first_input, int n_inputs, float* tables, vf poison) {
    const LaneTableBits bits = lane_table_bits();
    const ptrdiff_t input_stride = a->input_stride, unit_stride = a->unit_stride;
    const int n_units = a->n_units, full = n_inputs / 5, rest = n_inputs % 5;
    const float* w = a->weights + first_input * input_stride;
    // Along whichever axis the weights are contiguous.
    if (unit_stride == 1)
        for (int g = 0; g < full; ++g)
            for (int u = 0; u < n_units; ++u)
                poison = lane_table(bits, w + g * 5 * input_stride + u, input_stride,
                                    tables + (u * kChunkGroups + g) * 32, poison);
    else
        for (int u = 0; u < n_units; ++u)
            for (int g = 0; g < full; ++g)
                poison = lane_table(bits, w + u * unit_stride + g * 5, 1, tables + (u * kChunkGroups + g) * 32, poison);
    if (rest)
        for (int u = 0; u < n_units; ++u) {
            float padded[5] = {};
            for (int i = 0; i < rest; ++i) padded[i] = w[(full * 5 + i) * input_stride + u * unit_stride];
            poison = lane_table(bits, padded, 1, tables + (u * kChunkGroups + full) * 32, poison);
        }
    return poison;
}

// kVectors x 16 samples of 4 units through the groups of one chunk.
template <int kVectors, bool kFirst>
static inline void lane_block(const uint32_t* codes, size_t code_stride, int n_groups, const float* tables,
                              const float* init, float* out, ptrdiff_t out_stride) {
    vf sum[kQuad][kVectors];
    for (int u = 0; u < kQuad; ++u)
        for (int s = 0; s < kVectors; ++s)
            sum[u][s] = kFirst ? set1(init[u]) : load(out + u * out_stride + s * kLanes);
    for (; n_groups > 0; n_groups -= kCodeGroups, codes += code_stride) {
        vi code[kVectors];
        for (int s = 0; s < kVectors; ++s) code[s] = iload(codes + s * kLanes);
        const int n = n_groups < kCodeGroups ? n_groups : kCodeGroups;
        for (int g = 0; g < n; ++g, tables += 32) {
#pragma GCC unroll 4
            for (int u = 0; u < kQuad; ++u) {
                const vf low = in_register(load(tables + u * kChunkGroups * 32));
                const vf high = in_register(load(tables + u * kChunkGroups * 32 + 16));
#pragma GCC unroll 4
                for (int s = 0; s < kVectors; ++s) sum[u][s] = add(sum[u][s], lookup32(low, high, code[s]));
            }
#pragma GCC unroll 4
            for (int s = 0; s < kVectors; ++s) code[s] = shr<5>(code[s]);
        }
    }
    for (int u = 0; u < kQuad; ++u)
        for (int s = 0; s < kVectors; ++s) store(out + u * out_stride + s * kLanes, sum[u][s]);
}

template <bool kFirst>
static inline void lane_quad(const LaneProductArgs* a, const uint32_t* codes, int n_groups, const float* tables,
                             const float* init, float* out) {
    for (int64_t s = 0; s < a->n_samples; s += 64) {
        const int64_t left = a->n_samples - s;
        const uint32_t* c = codes + s;
        float* o = out + s;
        if (left > 48)
            lane_block<4, kFirst>(c, a->code_stride, n_groups, tables, init, o, a->out_stride);
        else if (left > 32)
            lane_block<3, kFirst>(c, a->code_stride, n_groups, tables, init, o, a->out_stride);
        else if (left > 16)
            lane_block<2, kFirst>(c, a->code_stride, n_groups, tables, init, o, a->out_stride);
        else
            lane_block<1, kFirst>(c, a->code_stride, n_groups, tables, init, o, a->out_stride);
    }
}

static void lane_product(const LaneProductArgs* a) {
    float* tables = static_cast<float*>(a->scratch);
    float init[16] = {};
    for (int u = 0; u < a->n_units; ++u) init[u] = a->init ? a->init[u] : 0.0f;
    // Units past n_units run on whatever the tables hold: clear it once.
    for (int u = a->n_units; u % kQuad; ++u)
        for (int t = 0; t < kChunkGroups * 32; t += kLanes) store(tables + u * kChunkGroups * 32 + t, zero());
    vf poison = zero();
    for (int64_t i = 0; i < a->n_inputs; i += kChunkInputs) {
        const int n = a->n_inputs - i < kChunkInputs ? static_cast<int>(a->n_inputs - i) : kChunkInputs;
        poison = lane_tables(a, i, n, tables, poison);
        if (a->input_stride != 1)  // the next chunk's weights are too far apart for the hardware to guess
            for (int64_t k = i + kChunkInputs; k < i + 2 * kChunkInputs && k < a->n_inputs; ++k)
                __builtin_prefetch(a->weights + k * a->input_stride);
        const uint32_t* codes = a->codes + static_cast<size_t>(i / kCodeInputs) * a->code_stride;
        for (int u = 0; u < a->n_units; u += kQuad) {
            const float* t = tables + u * kChunkGroups * 32;
            float* out = a->out + u * a->out_stride;
            if (i == 0)
                lane_quad<true>(a, codes, (n + 4) / 5, t, init + u, out);
            else
                lane_quad<false>(a, codes, (n + 4) / 5, t, init + u, out);
        }
    }
    if (mask_bits(is_nan(poison))) *a->nonfinite = 1;
}
