// The product of a bit matrix and a float matrix by table lookup ("four Russians"): the engine of the Gibbs half-steps
// and of the CD statistics.
//
//   out[r, u] = init[u] + sum_i bit(r, i) * weights[i, u]
//
// Inputs are taken in groups of 4. For a block of unit_block output units (SIMD lanes = units) the 16 partial sums of a
// group are tabulated once, and every row r then adds the one its 4 bits select: one load+add replaces 4 * lanes
// multiply-adds, exactly and in fp32, with fewer roundings than a matrix product. 16 groups (64 inputs, one word of each
// row) are tabulated at a time: 16 KB of tables for 16 units, which stay in L1 while the rows stream past.
//
// Floor: 2 vector loads a cycle, i.e. 2 * 4 * lanes multiply-adds a cycle, twice the lanes * 2 FMA ceiling times two.
// Measured share of the fp32 FMA ceiling: see bench/gibbs.py.
// The order of summation depends on neither the batch, the thread count nor the tile: group by group, first to last.
// Included inside an ISA namespace after its vocabulary.

constexpr int kGroupBits = 4;
constexpr int kGroupEntries = 1 << kGroupBits;
constexpr int kGroupsPerWord = 64 / kGroupBits;
constexpr int kUnitVectors = kUnitBlock / kLanes;
constexpr int kEntryShift = kUnitBlock == 16 ? 6 : 7;  // log2 of the bytes of one table entry
static_assert(kUnitBlock * sizeof(float) == 1 << kEntryShift, "table entry size");
static_assert(kUnitBlock <= kMaxUnitBlock, "unit block");
static_assert(sizeof(float) * kUnitBlock * (kGroupEntries * kGroupsPerWord + 64) <= kLookupScratchBytes, "scratch");

// A panel of 64 inputs x kUnitBlock units, zero-padded: a copy only where the layout or an edge asks for one.
struct Panel {
    const float* data;
    ptrdiff_t stride;
};

static inline Panel bit_product_panel(const BitProductArgs* a, int64_t first_input, int n_inputs, float* copy) {
    const float* w = a->weights + first_input * a->input_stride;
    if (a->unit_stride == 1) {
        if (a->n_units == kUnitBlock && n_inputs % kGroupBits == 0) return {w, a->input_stride};
        for (int i = 0; i < n_inputs; ++i)
            for (int u = 0; u < kUnitBlock; u += kLanes)
                store(copy + i * kUnitBlock + u,
                      load_masked(w + i * a->input_stride + u, first_lanes(a->n_units - u)));
    } else {
        for (int u = 0; u < kUnitBlock; u += kLanes)
            for (int i = 0; i < n_inputs; i += kLanes) {
                vf tile[kLanes];
                const int left = n_inputs - i;
                for (int k = 0; k < kLanes; ++k) {
                    const float* row = w + (u + k) * a->unit_stride + i;
                    tile[k] = u + k >= a->n_units ? zero()
                              : left >= kLanes    ? load(row)
                                                  : load_masked(row, first_lanes(left));
                }
                transpose(tile);
                for (int k = 0; k < kLanes; ++k) store(copy + (i + k) * kUnitBlock + u, tile[k]);
            }
    }
    for (int i = n_inputs; i % kGroupBits; ++i)
        for (int u = 0; u < kUnitBlock; u += kLanes) store(copy + i * kUnitBlock + u, zero());
    return {copy, kUnitBlock};
}

// tables[group][entry][unit]; returns `poison` with NaN added in every lane that read a NaN or infinite weight.
static inline vf bit_product_tables(const Panel panel, int n_groups, float* tables, vf poison) {
    for (int g = 0; g < n_groups; ++g)
        for (int u = 0; u < kUnitBlock; u += kLanes) {
            const float* w = panel.data + g * kGroupBits * panel.stride + u;
            float* t = tables + g * (kGroupEntries * kUnitBlock) + u;
            const vf w0 = load(w), w1 = load(w + panel.stride);
            const vf w2 = load(w + 2 * panel.stride), w3 = load(w + 3 * panel.stride);
            vf low[8];
            low[0] = zero();
            low[1] = w0;
            low[2] = w1;
            low[3] = add(w0, w1);
            for (int j = 0; j < 4; ++j) low[4 + j] = add(low[j], w2);
            for (int j = 0; j < 8; ++j) store(t + j * kUnitBlock, low[j]);
            for (int j = 0; j < 7; ++j) store(t + (8 + j) * kUnitBlock, add(low[j], w3));
            const vf all = add(low[7], w3);
            store(t + 15 * kUnitBlock, all);
            poison = mul_add(all, zero(), poison);
        }
    return poison;
}

// Adds the table entries that kGroups groups of each row's word select.
template <int kGroups, bool kFirst>
static inline void bit_product_lookup(const BitProductArgs* a, size_t word, const float* tables, const vf* init) {
    constexpr uint64_t kMask = static_cast<uint64_t>(kGroupEntries - 1) << kEntryShift;
    const char* base = reinterpret_cast<const char*>(tables);
    const uint64_t* bits = a->bits + word;
    float* out = a->out;
    int64_t r = 0;
    for (; r + kRowUnroll <= a->n_rows; r += kRowUnroll) {
        uint64_t code[kRowUnroll];
        vf sum[kRowUnroll][kUnitVectors];
        for (int k = 0; k < kRowUnroll; ++k) {
            code[k] = bits[(r + k) * a->row_words];
            for (int u = 0; u < kUnitVectors; ++u)
                sum[k][u] = kFirst ? init[u] : load(out + (r + k) * kUnitBlock + u * kLanes);
        }
#pragma GCC unroll 16
        for (int g = 0; g < kGroups; ++g)
#pragma GCC unroll 4
            for (int k = 0; k < kRowUnroll; ++k) {
                const int shift = g * kGroupBits - kEntryShift;
                const uint64_t at = (shift < 0 ? code[k] << (shift < 0 ? -shift : 0) : code[k] >> (shift < 0 ? 0 : shift)) & kMask;
                const float* entry = reinterpret_cast<const float*>(base + (static_cast<size_t>(g) << (kEntryShift + kGroupBits)) + at);
#pragma GCC unroll 8
                for (int u = 0; u < kUnitVectors; ++u) sum[k][u] = add(sum[k][u], load(entry + u * kLanes));
            }
        for (int k = 0; k < kRowUnroll; ++k)
            for (int u = 0; u < kUnitVectors; ++u) store(out + (r + k) * kUnitBlock + u * kLanes, sum[k][u]);
    }
    for (; r < a->n_rows; ++r) {
        const uint64_t code = bits[r * a->row_words];
        for (int u = 0; u < kUnitVectors; ++u) {
            vf sum = kFirst ? init[u] : load(out + r * kUnitBlock + u * kLanes);
            for (int g = 0; g < kGroups; ++g)
                sum = add(sum, load(tables + (g * kGroupEntries + ((code >> (g * kGroupBits)) & (kGroupEntries - 1))) * kUnitBlock + u * kLanes));
            store(out + r * kUnitBlock + u * kLanes, sum);
        }
    }
}

template <bool kFirst>
static inline void bit_product_word(const BitProductArgs* a, size_t word, int n_groups, const float* tables, const vf* init) {
    if (n_groups > 12)
        bit_product_lookup<16, kFirst>(a, word, tables, init);
    else if (n_groups > 8)
        bit_product_lookup<12, kFirst>(a, word, tables, init);
    else if (n_groups > 4)
        bit_product_lookup<8, kFirst>(a, word, tables, init);
    else
        bit_product_lookup<4, kFirst>(a, word, tables, init);
}

static void bit_product(const BitProductArgs* a) {
    float* tables = static_cast<float*>(a->scratch);
    float* copy = tables + kGroupEntries * kGroupsPerWord * kUnitBlock;
    vf init[kUnitVectors];
    for (int u = 0; u < kUnitVectors; ++u)
        init[u] = a->init ? load_masked(a->init + u * kLanes, first_lanes(a->n_units - u * kLanes)) : zero();
    vf poison = zero();
    for (int64_t i = 0; i < a->n_inputs; i += 64) {
        const int n = a->n_inputs - i < 64 ? static_cast<int>(a->n_inputs - i) : 64;
        const int n_groups = (n + kGroupBits - 1) / kGroupBits;
        poison = bit_product_tables(bit_product_panel(a, i, n, copy), n_groups, tables, poison);
        // The lookup runs over 4, 8, 12 or 16 groups; groups past n_groups are selected by zero bits only.
        for (int g = n_groups; g % 4; ++g)
            for (int u = 0; u < kUnitBlock; u += kLanes) store(tables + g * kGroupEntries * kUnitBlock + u, zero());
        if (i == 0 && !a->accumulate)
            bit_product_word<true>(a, 0, n_groups, tables, init);
        else
            bit_product_word<false>(a, static_cast<size_t>(i / 64), n_groups, tables, init);
    }
    if (a->nonfinite) {
        uint32_t bad = mask_bits(is_nan(poison));
        if (bad) *a->nonfinite = 1;
    }
}
