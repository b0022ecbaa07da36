// Sampling of one tile in pieces that stand between the lookups of another (bit_product-inl.h). Lookups wait for loads and
// sampling for chains of latencies, so that together they cost less than one after the other: measured on Zen 5, beside 16 rows
// of 12 lookups two samples' draws cost 22 cycles in place of 90, and four comparisons 16 in place of 36. It takes registers
// for both. The bits and probabilities are those of sample_rows. Included inside an ISA namespace.

constexpr bool kSamplesBeside = kLanes == 16 && kRegisters >= 32;
constexpr int kBesideGroups = 24;  // of lookups that a piece stands between: of 12, twice

// How far the sampling of a tile has come: blocks of 64 rows, of each first the draws, two samples a piece, then the comparisons,
// four rows a piece.
struct SampleRun {
    static constexpr int kDrawPieces = 8;
    const SampleRowsArgs* a;
    int64_t block;  // its first row
    int piece;
    DrawKey key;
    uint32_t round_keys[2][DrawRounds<2>::kRounds];
    UnitPart units[2];  // the same units, for two samples
    SamplePart samples;
    Philox4 draws[16];

    explicit SampleRun(const SampleRowsArgs* args) : a(args), block(0), piece(0), key(args) {
        if (!kSamplesBeside) return;
        units[0] = units[1] = unit_part(key, a->first_unit);
        for (int i = 0; i < DrawRounds<2>::kRounds; ++i) {
            round_keys[0][i] = key.round0(i);
            round_keys[1][i] = key.round1(i);
        }
        begin_block();
    }
    bool more() const { return block < a->n_rows; }
    int samples_in_block() const { return a->n_rows - block < 16 ? static_cast<int>(a->n_rows - block) : 16; }
    void begin_block() { sample_part(key, static_cast<uint32_t>((a->first_sample + block) / 64 * 16), &samples); }
    void advance() {
        if (++piece < kDrawPieces + samples_in_block()) return;
        piece = 0;
        block += 64;
        if (more()) begin_block();
    }
};

struct DrawPiece {
    static HC_INLINE bool next(const SampleRun* run) { return run->more() && run->piece < SampleRun::kDrawPieces; }
    SampleRun* run;
    int before;  // groups that were looked up before this part's
    DrawRounds<2> rounds;

    HC_INLINE explicit DrawPiece(SampleRun* r) : run(r), before(0) {
        const int sample[2] = {2 * run->piece, 2 * run->piece + 1};
        rounds.begin(run->units, run->samples, sample);
    }
    // To be called after each group.
    HC_INLINE void part(int group) {
        const int at = before + group;
        if (at % 3 == 2 && at / 3 < rounds.kRounds)
            rounds.round(run->round_keys[0][at / 3], run->round_keys[1][at / 3]);
    }
    HC_INLINE void end() const { rounds.end(run->draws + 2 * run->piece); }
};

template <bool kProbs>
struct ComparePiece {
    static HC_INLINE bool next(const SampleRun* run) {
        return run->piece >= SampleRun::kDrawPieces && !run->a->probs == !kProbs;
    }
    SampleRun* run;
    int before;
    const float* x;   // of a row; others are 16, 32 and 48 after it
    const vi* draws;  // [4]
    vf scale;
    OnePlusPower<4> power;
    uint16_t on[4];

    HC_INLINE explicit ComparePiece(SampleRun* r)
        : run(r),
          before(0),
          x(r->a->x + row() * kUnitBlock),
          draws(r->draws[r->piece - SampleRun::kDrawPieces].word),
          scale(logistic_scale(r->a->inv_temperature)) {}
    HC_INLINE int64_t row() const { return run->block + run->piece - SampleRun::kDrawPieces; }
    HC_INLINE void part(int group) {
        const int at = before + group, step = at / 2;
        if (at % 2) return;
        if (step > 0 && step <= power.kStages) power.stage(step - 1);
#pragma GCC unroll 4
        for (int k = 0; k < 4; ++k) {
            if (step == 0) power.t[k] = mul(load(x + k * 16 * kUnitBlock), scale);
            if (step == power.kStages + 1)
                on[k] = static_cast<uint16_t>(mask_bits(cmp_lt(mul(uniform(draws[k]), power.t[k]), set1(1.0f))));
        }
    }
    HC_INLINE void end() const {
        const SampleRowsArgs* a = run->a;
        const uint32_t live = (1u << a->n_units) - 1;
        int64_t r = row();
#pragma GCC unroll 4
        for (int k = 0; k < 4; ++k, r += 16) {
            if (r >= a->n_rows) return;
            const auto packed = static_cast<uint16_t>(on[k] & live);
            memcpy(reinterpret_cast<char*>(a->bits + r * a->bits_row_step) + a->first_unit % 64 / 8, &packed,
                   sizeof packed);
            if (kProbs)
                store_masked(a->probs + r * a->probs_stride, first_lanes(a->n_units),
                             div(set1(a->prob_scale), power.t[k]));
        }
    }
};

// Pieces of a kind alone, as long as they are next.
template <class Piece>
static void sample_pieces(SampleRun* run) {
    while (run->piece > 0 && Piece::next(run)) {
        Piece piece(run);
#pragma GCC unroll 24
        for (int group = 0; group < kBesideGroups; ++group) piece.part(group);
        piece.end();
        run->advance();
    }
}

// What is left: the block begun piece by piece, the rest as any other rows.
static void finish_sampling(SampleRun* run) {
    sample_pieces<DrawPiece>(run);
    sample_pieces<ComparePiece<false>>(run);
    sample_pieces<ComparePiece<true>>(run);
    if (!run->more()) return;
    SampleRowsArgs rest = *run->a;
    rest.x += run->block * rest.x_stride;
    rest.n_rows -= run->block;
    rest.first_sample += run->block;
    rest.bits += run->block * rest.bits_row_step;
    if (rest.probs) rest.probs += run->block * rest.probs_stride;
    sample_rows(&rest);
}
