#include "cpu/bits.h"

#include <atomic>
#include <type_traits>

#include "cpu/ceil_div.h"
#include "cpu/dispatch.h"
#include "cpu/thread_pool.h"

namespace hc {
namespace {

constexpr int64_t kRowsPerTile = 256;

// Bits set, in pairs, fours, eights, then all at once (Warren, Hacker's Delight, section 5-1): baseline processors have no
// instruction for it, and the compiler's substitute is a call that takes several times as long.
int64_t bits_of(uint64_t x) {
    x -= x >> 1 & 0x5555555555555555u;
    x = (x & 0x3333333333333333u) + (x >> 2 & 0x3333333333333333u);
    x = (x + (x >> 4)) & 0x0F0F0F0F0F0F0F0Fu;
    return static_cast<int64_t>(x * 0x0101010101010101u >> 56);
}

}  // namespace

BitRows take_sample_rows(int64_t n_samples, int64_t n_units, Workspace& workspace) {
    const int64_t column = ceil_div(n_samples, 8) * 8;
    return {workspace.take<uint64_t>(bit_words(n_units) * column), 1, column};
}

void BitTransposition::run(int64_t word) const {
    const BitRows to = dst.from(word * 64);
    BitTransposeArgs args{};
    args.src = src.column(word);
    args.src_row_step = src.row_step;
    args.n_rows = n_rows;
    args.dst = to.words;
    args.dst_row_step = to.row_step;
    args.dst_word_step = to.word_step;
    args.n_dst_rows = static_cast<int>(n_cols - word * 64 < 64 ? n_cols - word * 64 : 64);
    kernels().bit_transpose(&args);
}

void transpose_bits(ConstBitRows src, int64_t n_rows, int64_t n_cols, BitRows dst, int threads) {
    parallel_run(BitTransposition{src, n_rows, n_cols, dst}, threads);
}

Values pack_rows(const float* x, int64_t n_rows, int64_t n_cols, BitRows rows, int threads) {
    const KernelTable& kernel = kernels();
    std::atomic<int> other{0}, invalid{0};
    parallel_for(ceil_div(n_rows, kRowsPerTile), threads, [&](int64_t tile) {
        const int64_t first = tile * kRowsPerTile;
        int tile_other = 0, tile_invalid = 0;
        BitPackArgs args{};
        args.x = x + first * n_cols;
        args.x_stride = n_cols;
        args.n_rows = n_rows - first < kRowsPerTile ? n_rows - first : kRowsPerTile;
        args.n_cols = n_cols;
        args.bits = rows.from(first).words;
        args.row_step = rows.row_step;
        args.word_step = rows.word_step;
        args.other = &tile_other;
        args.invalid = &tile_invalid;
        kernel.bit_pack(&args);
        if (tile_other) other.store(1, std::memory_order_relaxed);
        if (tile_invalid) invalid.store(1, std::memory_order_relaxed);
    });
    return invalid ? Values::other : other ? Values::unit_interval : Values::binary;
}

void unpack_rows(ConstBitRows rows, int64_t n_rows, int64_t n_cols, float* x, int threads) {
    const KernelTable& kernel = kernels();
    parallel_for(ceil_div(n_rows, kRowsPerTile), threads, [&](int64_t tile) {
        const int64_t first = tile * kRowsPerTile;
        BitUnpackArgs args{};
        args.bits = rows.from(first).words;
        args.row_step = rows.row_step;
        args.word_step = rows.word_step;
        args.n_rows = n_rows - first < kRowsPerTile ? n_rows - first : kRowsPerTile;
        args.n_cols = n_cols;
        args.x = x + first * n_cols;
        args.x_stride = n_cols;
        kernel.bit_unpack(&args);
    });
}

int64_t chunk_count(int64_t n_bits) { return ceil_div(n_bits, kChunkInputs); }

void one_chunk_codes(ConstBitRows rows, int64_t n_rows, int64_t n_bits, int64_t chunk, uint64_t* codes) {
    const int64_t words = bit_words(n_bits), bit = chunk * kChunkInputs, left = n_bits - bit, word = bit / 64;
    const int shift = static_cast<int>(bit % 64);
    const uint64_t live = (uint64_t{1} << (left < kChunkInputs ? left : kChunkInputs)) - 1;
    // A chunk that starts past bit 4 of a word ends in the next one, if its row has a next one.
    const bool straddles = shift > 4 && word + 1 < words;
    const uint64_t *low = rows.column(word), *high = rows.column(word + (straddles ? 1 : 0));
    const auto read = [&](auto row_step) {
        if (straddles)
            for (int64_t r = 0; r < n_rows; ++r)
                codes[r] = (low[r * row_step] >> shift | high[r * row_step] << (64 - shift)) & live;
        else
            for (int64_t r = 0; r < n_rows; ++r) codes[r] = low[r * row_step] >> shift & live;
    };
    if (rows.row_step == 1)
        read(std::integral_constant<int64_t, 1>());  // so that vectors serve
    else
        read(rows.row_step);
}

void chunk_codes(ConstBitRows rows, int64_t n_rows, int64_t n_bits, uint64_t* codes, int threads) {
    const int64_t chunks = chunk_count(n_bits);
    parallel_for(ceil_div(n_rows, kRowsPerTile), threads, [&](int64_t tile) {
        const int64_t first = tile * kRowsPerTile, n = n_rows - first < kRowsPerTile ? n_rows - first : kRowsPerTile;
        for (int64_t c = 0; c < chunks; ++c)
            one_chunk_codes(rows.from(first), n, n_bits, c, codes + c * n_rows + first);
    });
}

int64_t count_bits(const uint64_t* a, int64_t words) {
    int64_t n = 0;
    for (int64_t i = 0; i < words; ++i) n += bits_of(a[i]);
    return n;
}

int64_t count_differences(const uint64_t* a, const uint64_t* b, int64_t words) {
    int64_t n = 0;
    for (int64_t i = 0; i < words; ++i) n += bits_of(a[i] ^ b[i]);
    return n;
}

}  // namespace hc
