// The product of a bit matrix and a float matrix by table lookup ("four Russians"): the engine of the Gibbs half-steps
// and of the CD statistics.
//
//   out[r, u] = init[u] + sum_i bit(r, i) * weights[i, u]
//
// Inputs are taken in groups of 5. For one vector of output units (SIMD lanes = units) the 32 partial sums of a group are
// tabulated once, and every row r then adds the one its 5 bits select: one load+add replaces 5 * lanes multiply-adds,
// exactly and in fp32, with fewer roundings than a matrix product. 12 groups (60 inputs) are tabulated at a time: 24 KB of
// tables at 16 lanes, which stay in L1 while the rows stream past, a word of 60 bits a row.
//
// Floor: 2 vector loads a cycle, 2 * 5 * lanes multiply-adds a cycle, against 2 * lanes for FMA: 5 times the FMA ceiling,
// before the 31 adds and stores of each table. Measured on Zen 5 at 16 lanes: a row of 12 lookups takes 8 cycles, 6 of them
// the loads of table entries at 2 a cycle, whatever the order of the entries; the load and the store of the row's sums take
// 0.5 and 0.7 more and the scalar load of its code 0.9, for it keeps both vector ports from loading. Measured share of the
// ceiling: bench/gibbs.py. (Also measured, and no faster: tables in registers, looked up by a two-source permute with samples
// along the lanes; two vectors of units a code; codes passed through vector registers; codes loaded a row ahead; weights
// prefetched ahead by a lone thread; the sampling of the tile before put off and done between the lookups of this one, which
// halves its time in a loop of its own and gains nothing here. Slower, since L1 is full: groups of 6; the tables of the next
// chunk made between the rows that read those of this one, with chunks of 8, 10 or 12 groups.)
//
// Several threads take cache lines from each other: half of the weights that one reads after an update were written by another.
// So rows ask, a few lines each time, for what the caller will read or write next (LinesAhead).
//
// A group whose bits are all zero adds nothing. Where that is frequent, as in digits or in the states of trained hidden units,
// rows are read by records of their other groups (lookup_plan-inl.h), in order of length and four at a time: a record costs
// 2.6 cycles and 0.6 an entry, so it pays up to about 7 of 12 groups. The sums are the same to the last bit.
//
// The order of summation depends on neither the batch, the thread count nor the tile: group by group, first to last.
// Included inside an ISA namespace after its vocabulary.

constexpr int kGroupBits = 5;
constexpr int kGroupEntries = 1 << kGroupBits;
constexpr int kEntryShift = kLanes == 16 ? 6 : kLanes == 8 ? 5 : 4;  // log2 of the bytes of one table entry
static_assert(kChunkInputs == kGroupBits * kChunkGroups, "chunk");
static_assert(kLanes * sizeof(float) == 1 << kEntryShift, "table entry size");
static_assert(kUnitBlock % kLanes == 0, "a unit block is a whole number of vectors");
static_assert(sizeof(float) * kLanes * (kGroupEntries * kChunkGroups + kChunkInputs + kLanes) <= kLookupScratchBytes,
              "scratch");

// The weights of one chunk of inputs and one vector of units: in place, or a zero-padded copy where the layout or an edge
// asks for one.
struct Panel {
    const float* data;
    ptrdiff_t stride;
};

static inline Panel bit_product_panel(const BitProductArgs* a, int64_t first_input, int n_inputs, int first_unit,
                                      float* copy) {
    const float* w = a->weights + first_input * a->input_stride + first_unit * a->unit_stride;
    const int n_units = a->n_units - first_unit;
    if (a->unit_stride == 1) {
        if (n_units >= kLanes && n_inputs % kGroupBits == 0) return {w, a->input_stride};
        const vm live = first_lanes(n_units);
        for (int i = 0; i < n_inputs; ++i) store(copy + i * kLanes, load_masked(w + i * a->input_stride, live));
    } else {
        for (int i = 0; i < n_inputs; i += kLanes) {
            vf tile[kLanes];
            const int left = n_inputs - i;
            for (int k = 0; k < kLanes; ++k) {
                const float* row = w + k * a->unit_stride + i;
                tile[k] = k >= n_units ? zero() : left >= kLanes ? load(row) : load_masked(row, first_lanes(left));
            }
            transpose(tile);
            for (int k = 0; k < kLanes; ++k) store(copy + (i + k) * kLanes, tile[k]);
        }
    }
    for (int i = n_inputs; i % kGroupBits; ++i) store(copy + i * kLanes, zero());
    return {copy, kLanes};
}

// The sum of a group's weights, added up as its table adds them.
static inline vf group_sum(const Panel group) {
    const float* w = group.data;
    const vf w01 = add(load(w), load(w + group.stride)), w2 = load(w + 2 * group.stride);
    return add(add(w01, w2), add(load(w + 3 * group.stride), load(w + 4 * group.stride)));
}

// tables[group][entry][lane], but for entry 0, which is always zero; returns `poison` with NaN added in every lane that read
// a NaN or infinite weight.
static inline vf bit_product_tables(const Panel panel, int n_groups, float* tables, vf poison) {
    const float* w = panel.data;
    for (int g = 0; g < n_groups; ++g, w += kGroupBits * panel.stride, tables += kGroupEntries * kLanes) {
        const vf w0 = load(w), w1 = load(w + panel.stride), w2 = load(w + 2 * panel.stride);
        const vf w3 = load(w + 3 * panel.stride), w4 = load(w + 4 * panel.stride);
        const vf w34 = add(w3, w4);
        vf low[8];
        low[0] = zero();
        low[1] = w0;
        low[2] = w1;
        low[3] = add(w0, w1);
#pragma GCC unroll 4
        for (int j = 0; j < 4; ++j) low[4 + j] = add(low[j], w2);
#pragma GCC unroll 8
        for (int j = 0; j < 8; ++j) {
            if (j > 0) store(tables + j * kLanes, low[j]);
            store(tables + (8 + j) * kLanes, add(low[j], w3));
            store(tables + (16 + j) * kLanes, add(low[j], w4));
            store(tables + (24 + j) * kLanes, add(low[j], w34));
        }
        poison = mul_add(add(low[7], w34), zero(), poison);
    }
    return poison;
}

// The same for the groups that have a bit in `used`; of the others, the weights are only looked through for NaN, in the same
// sum, so that whether a product is refused does not depend on the bits.
static inline vf bit_product_used_tables(const Panel panel, int n_groups, uint64_t used, float* tables, vf poison) {
    Panel group = panel;
    for (int g = 0; g < n_groups; ++g, group.data += kGroupBits * panel.stride, tables += kGroupEntries * kLanes)
        if (used >> g * kGroupBits & (kGroupEntries - 1))
            poison = bit_product_tables(group, 1, tables, poison);
        else
            poison = mul_add(group_sum(group), zero(), poison);
    return poison;
}

// (code >> 5g) & 31, as the byte offset of a table entry. A rotation, because it needs no copy of the code.
template <int kGroup>
static inline size_t entry_offset(uint64_t code) {
    constexpr int kRight = (kGroup * kGroupBits - kEntryShift) & 63;
    return (code >> kRight | code << (-kRight & 63)) & static_cast<size_t>((kGroupEntries - 1) << kEntryShift);
}

// One vector of units of kRows rows through groups kGroup .. kGroups - 1. Everything is unrolled, so that codes and sums
// stay in registers.
template <int kRows, int kGroup, int kGroups>
static HC_INLINE void bit_product_groups(const char* tables, const uint64_t* code, vf* sum) {
    if constexpr (kGroup < kGroups) {
        const char* table = tables + (static_cast<size_t>(kGroup) << (kEntryShift + kGroupBits));
#pragma GCC unroll 8
        for (int k = 0; k < kRows; ++k)
            sum[k] = add(sum[k], load(reinterpret_cast<const float*>(table + entry_offset<kGroup>(code[k]))));
#pragma GCC unroll 8
        for (int k = 0; k < kRows; ++k) keep_here(sum[k]);
        bit_product_groups<kRows, kGroup + 1, kGroups>(tables, code, sum);
    }
}

template <int kRows, int kGroups, bool kFirst>
static HC_INLINE void bit_product_rows(const uint64_t* codes, const float* tables, vf init, float* out) {
    uint64_t code[kRows];
    vf sum[kRows];
#pragma GCC unroll 8
    for (int k = 0; k < kRows; ++k) {
        code[k] = codes[k];
        sum[k] = kFirst ? init : load(out + k * kUnitBlock);
    }
    bit_product_groups<kRows, 0, kGroups>(reinterpret_cast<const char*>(tables), code, sum);
#pragma GCC unroll 8
    for (int k = 0; k < kRows; ++k) store(out + k * kUnitBlock, sum[k]);
}

// Lines to ask for between rows, `each` at a time.
struct AskingAhead {
    LinesAhead lines;
    int64_t each;
};

static inline AskingAhead asking_ahead(const BitProductArgs* a) {
    constexpr int64_t kFewest = 4;  // fewer are not worth asking
    const int64_t times = (a->n_rows / kRowUnroll) * ((a->n_inputs + kChunkInputs - 1) / kChunkInputs);
    const int64_t each = times ? (a->ahead.count + times - 1) / times : 0;
    return {a->ahead, each < kFewest ? kFewest : each};
}

static __attribute__((noinline)) void ask_ahead(AskingAhead* asking) {
    LinesAhead* lines = &asking->lines;
    int64_t n = lines->count < asking->each ? lines->count : asking->each;
    lines->count -= n;
    if (lines->write)
        for (; n > 0; --n, lines->next += lines->step) prefetch_write(lines->next);
    else
        for (; n > 0; --n, lines->next += lines->step) prefetch(lines->next);
}

template <int kGroups, bool kFirst>
static void bit_product_lookup(const uint64_t* codes, int64_t n_rows, const float* tables, vf init, float* out,
                               AskingAhead* asking) {
    int64_t left = n_rows;
    for (; left >= kRowUnroll; left -= kRowUnroll, codes += kRowUnroll, out += kRowUnroll * kUnitBlock) {
        if (asking->lines.count > 0) ask_ahead(asking);
        bit_product_rows<kRowUnroll, kGroups, kFirst>(codes, tables, init, out);
    }
    for (; left > 0; --left, ++codes, out += kUnitBlock) bit_product_rows<1, kGroups, kFirst>(codes, tables, init, out);
}

// The lookup runs over 4, 8 or 12 groups; those past n_groups are only ever selected by zero bits.
template <bool kFirst>
static inline void bit_product_chunk(const uint64_t* codes, int64_t n_rows, int n_groups, const float* tables, vf init,
                                     float* out, AskingAhead* asking) {
    if (n_groups > 8)
        bit_product_lookup<12, kFirst>(codes, n_rows, tables, init, out, asking);
    else if (n_groups > 4)
        bit_product_lookup<8, kFirst>(codes, n_rows, tables, init, out, asking);
    else
        bit_product_lookup<4, kFirst>(codes, n_rows, tables, init, out, asking);
}

// The byte offset of the table entry of a record's field.
template <int kField>
static HC_INLINE size_t field_offset(uint64_t word) {
    constexpr int kAt = (kField < kFirstFields ? kField : kField - kFirstFields) * kFieldBits;
    constexpr int kRight = (kAt - kEntryShift) & 63;
    return (word >> kRight | word << (-kRight & 63)) & static_cast<size_t>(((1 << kFieldBits) - 1) << kEntryShift);
}

// Fields kField .. kFields - 1 of kRows records, of which `word` has those up to kFirstFields.
template <int kRows, int kField, int kFields>
static HC_INLINE void record_fields(const char* tables, const uint64_t* records, const uint64_t* word, vf* sum) {
    if constexpr (kField < kFields) {
        uint64_t here[kRows];
#pragma GCC unroll 4
        for (int k = 0; k < kRows; ++k) here[k] = kField == kFirstFields ? records[2 * k + 1] : word[k];
#pragma GCC unroll 4
        for (int k = 0; k < kRows; ++k)
            sum[k] = add(sum[k], load(reinterpret_cast<const float*>(tables + field_offset<kField>(here[k]))));
#pragma GCC unroll 4
        for (int k = 0; k < kRows; ++k) keep_here(sum[k]);
        record_fields<kRows, kField + 1, kFields>(tables, records, here, sum);
    }
}

template <int kRows, int kFields, bool kFirst>
static HC_INLINE void bit_product_records(const uint64_t* records, const char* tables, vf init, float* out) {
    uint64_t word[kRows];
    float* x[kRows];
    vf sum[kRows];
#pragma GCC unroll 4
    for (int k = 0; k < kRows; ++k) {
        word[k] = records[2 * k];
        x[k] = out + (word[k] >> kRecordRowBit) * kUnitBlock;
        sum[k] = kFirst ? init : load(x[k]);
    }
    record_fields<kRows, 0, kFields>(tables, records, word, sum);
#pragma GCC unroll 4
    for (int k = 0; k < kRows; ++k) store(x[k], sum[k]);
}

// Reads kFields fields of the records up to `end`, and returns where it stopped.
template <int kFields, bool kFirst>
static HC_INLINE const uint64_t* bit_product_length(const uint64_t* records, const uint64_t* end, const float* tables,
                                                    vf init, float* out, AskingAhead* asking) {
    constexpr int kRows = 4;
    const char* t = reinterpret_cast<const char*>(tables);
    for (; records + 2 * kRows <= end; records += 2 * kRows) {
        if (asking->lines.count > 0) ask_ahead(asking);
        bit_product_records<kRows, kFields, kFirst>(records, t, init, out);
    }
    for (; records < end; records += 2) bit_product_records<1, kFields, kFirst>(records, t, init, out);
    return records;
}

// All records of kFields fields and of fewer, from `records` on.
template <int kFields, bool kFirst>
static HC_INLINE void bit_product_lengths(const LookupChunk* c, const uint64_t* records, const float* tables, vf init,
                                          float* out, AskingAhead* asking) {
    // Rows without a field only want their start.
    if constexpr (kFields > 0 || kFirst)
        records = bit_product_length<kFields, kFirst>(records, c->records + 2 * c->ends[kChunkGroups - kFields], tables,
                                                      init, out, asking);
    if constexpr (kFields > 0) bit_product_lengths<kFields - 1, kFirst>(c, records, tables, init, out, asking);
}

template <bool kFirst>
static void bit_product_by_record(const LookupChunk* c, const float* tables, vf init, float* out, AskingAhead* asking) {
    bit_product_lengths<kChunkGroups, kFirst>(c, c->records, tables, init, out, asking);
}

static void bit_product(const BitProductArgs* a) {
    AskingAhead asking = asking_ahead(a);
    float* tables = static_cast<float*>(a->scratch);
    float* const scratch = tables + kGroupEntries * kChunkGroups * kLanes;
    vf poison = zero();
    for (int g = 0; g < kChunkGroups; ++g) store(tables + g * kGroupEntries * kLanes, zero());
    for (int u = 0; u < a->n_units; u += kLanes) {
        const vf init = a->init ? load_masked(a->init + u, first_lanes(a->n_units - u)) : zero();
        for (int64_t i = 0; i < a->n_inputs; i += kChunkInputs) {
            const int n = a->n_inputs - i < kChunkInputs ? static_cast<int>(a->n_inputs - i) : kChunkInputs;
            const int n_groups = (n + kGroupBits - 1) / kGroupBits;
            float* kept = a->panels ? a->panels + u * (a->n_inputs + kPanelSlack) + i * kLanes : nullptr;
            const Panel panel =
                a->have_panels ? Panel{kept, kLanes} : bit_product_panel(a, i, n, u, kept ? kept : scratch);
            const LookupChunk* chunk = a->chunks ? a->chunks + i / kChunkInputs : nullptr;
            const bool by_record = chunk && chunk->records;
            poison = by_record ? bit_product_used_tables(panel, n_groups, chunk->used, tables, poison)
                               : bit_product_tables(panel, n_groups, tables, poison);
            const uint64_t* codes = a->codes + static_cast<size_t>(i / kChunkInputs) * a->code_stride;
            const bool first = i == 0 && !a->accumulate;
            if (by_record && first)
                bit_product_by_record<true>(chunk, tables, init, a->out + u, &asking);
            else if (by_record)
                bit_product_by_record<false>(chunk, tables, init, a->out + u, &asking);
            else if (first)
                bit_product_chunk<true>(codes, a->n_rows, n_groups, tables, init, a->out + u, &asking);
            else
                bit_product_chunk<false>(codes, a->n_rows, n_groups, tables, init, a->out + u, &asking);
        }
    }
    if (a->nonfinite && mask_bits(is_nan(poison))) *a->nonfinite = 1;
}
