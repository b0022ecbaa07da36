// Packing, unpacking and transposing bit matrices. Included inside an ISA namespace.

// Swaps the off-diagonal kHalf x kHalf blocks of each 2 kHalf x 2 kHalf block of a 64x64 bit matrix; from 32 down to 1
// that transposes it (Warren, Hacker's Delight, section 7-3). Loops are nested so that compilers see vectors.
template <int kHalf>
static inline void swap_bit_blocks(uint64_t b[64]) {
    constexpr uint64_t kMask = ~uint64_t{0} / ((uint64_t{1} << kHalf) + 1);  // kHalf ones, kHalf zeros, ...
    for (int first = 0; first < 64; first += 2 * kHalf)
        for (int i = first; i < first + kHalf; ++i) {
            const uint64_t t = ((b[i] >> kHalf) ^ b[i + kHalf]) & kMask;
            b[i] ^= t << kHalf;
            b[i + kHalf] ^= t;
        }
}

static void bit_transpose(const BitTransposeArgs* a) {
    for (int64_t first = 0; first < a->n_rows; first += 64) {
        uint64_t b[64];
        const int live = a->n_rows - first < 64 ? static_cast<int>(a->n_rows - first) : 64;
        for (int i = 0; i < live; ++i) b[i] = a->src[(first + i) * a->src_row_step];
        for (int i = live; i < 64; ++i) b[i] = 0;
        swap_bit_blocks<32>(b);
        swap_bit_blocks<16>(b);
        swap_bit_blocks<8>(b);
        swap_bit_blocks<4>(b);
        swap_bit_blocks<2>(b);
        swap_bit_blocks<1>(b);
        for (int j = 0; j < a->n_dst_rows; ++j) a->dst[j * a->dst_row_step + first / 64 * a->dst_word_step] = b[j];
    }
}

static void bit_pack(const BitPackArgs* a) {
    uint32_t other = 0, invalid = 0;
    const vf one = set1(1.0f), none = zero();
    for (int64_t r = 0; r < a->n_rows; ++r) {
        const float* x = a->x + r * a->x_stride;
        uint64_t* row = a->bits + r * a->row_step;
        for (int64_t first = 0; first < a->n_cols; first += 64) {
            uint64_t word = 0;
            for (int i = 0; i < 64 && first + i < a->n_cols; i += kLanes) {
                const int64_t left = a->n_cols - first - i;
                const uint32_t live = left >= kLanes ? (1u << kLanes) - 1 : (1u << left) - 1;
                const vf v = left >= kLanes ? load(x + first + i)
                                            : load_masked(x + first + i, first_lanes(static_cast<int>(left)));
                const uint32_t zeros = mask_bits(cmp_eq(v, none)), ones = mask_bits(cmp_eq(v, one));
                const uint32_t inside = mask_bits(mask_and(cmp_lt(none, v), cmp_lt(v, one)));
                other |= live & ~(zeros | ones);
                invalid |= live & ~(zeros | ones | inside);
                word |= static_cast<uint64_t>(live & ~zeros) << i;
            }
            row[first / 64 * a->word_step] = word;
        }
    }
    if (other) *a->other = 1;
    if (invalid) *a->invalid = 1;
}

static void bit_unpack(const BitUnpackArgs* a) {
    const vf one = set1(1.0f), none = zero();
    for (int64_t r = 0; r < a->n_rows; ++r) {
        const uint64_t* row = a->bits + r * a->row_step;
        float* x = a->x + r * a->x_stride;
        for (int64_t c = 0; c < a->n_cols; c += kLanes) {
            const vf v =
                select(mask_from_bits(static_cast<uint32_t>(row[c / 64 * a->word_step] >> (c % 64))), one, none);
            const int64_t left = a->n_cols - c;
            if (left >= kLanes)
                store(x + c, v);
            else
                store_masked(x + c, first_lanes(static_cast<int>(left)), v);
        }
    }
}
