#include "cpu/dense.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <string>

#include "common/status.h"
#include "cpu/bits.h"
#include "cpu/dispatch.h"
#include "cpu/thread_pool.h"
#include "cpu/workspace.h"

namespace hc {
namespace {

// Words of 64 chains a tile holds at most: enough rows to repay the tables of a block of units.
constexpr int64_t kWordsPerTile = 4;

// Chains of one tile: their states unit by unit for each word, and as the codes that the lookup product reads.
struct Tile {
    int64_t first_word, words, rows;
    uint64_t* state;  // [words, n_units]
    uint64_t* clamp;  // like state, or null
    uint64_t* codes;  // [chunk_count(n_units), code_stride]
    int64_t code_stride;
};

void flip_codes(uint64_t* codes, int64_t unit, int64_t code_stride, int64_t first_row, uint64_t flips) {
    uint64_t* row = codes + unit / kChunkInputs * code_stride + first_row;
    const uint64_t bit = uint64_t{1} << unit % kChunkInputs;
    for (; flips; flips &= flips - 1) row[__builtin_ctzll(flips)] ^= bit;
}

void sample_tile(const DenseGibbs& p, const float* init, const Tile& t) {
    const KernelTable& kernel = kernels();
    const int64_t n = p.n_units;
    Workspace workspace;
    float* x = workspace.take<float>(t.words * 64 * kUnitBlock);
    std::memset(x, 0, static_cast<size_t>(t.words * 64 * kUnitBlock) * sizeof *x);
    float* panel = p.order ? workspace.take<float>(n * kUnitBlock) : nullptr;
    for (int64_t sweep = 0; sweep < p.sweeps; ++sweep) {
        const int32_t* order = p.order ? p.order + sweep * n : nullptr;
        for (int64_t first = 0; first < n; first += kUnitBlock) {
            int32_t units[kUnitBlock];
            float start[kUnitBlock], block[kUnitBlock * kUnitBlock];
            const int count = static_cast<int>(std::min<int64_t>(kUnitBlock, n - first));
            for (int k = 0; k < count; ++k) {
                units[k] = order ? order[first + k] : static_cast<int32_t>(first + k);
                start[k] = init[units[k]];
            }
            for (int k = 0; k < count; ++k)
                for (int m = 0; m < count; ++m) block[k * kUnitBlock + m] = p.w[units[k] * n + units[m]];
            BitProductArgs product{};
            product.codes = t.codes;
            product.code_stride = static_cast<size_t>(t.code_stride);
            product.n_rows = t.rows;
            product.weights = p.w + first;  // columns of the block; a drawn order has them copied from its rows
            product.input_stride = order ? 1 : n;
            product.unit_stride = order ? n : 1;
            if (order) {
                for (int k = 0; k < count; ++k)
                    std::memcpy(panel + k * n, p.w + units[k] * n, static_cast<size_t>(n) * sizeof *panel);
                product.weights = panel;
            }
            product.n_inputs = n;
            product.n_units = count;
            product.init = start;
            product.out = x;
            product.scratch = lookup_scratch();
            kernel.bit_product(&product);
            for (int64_t word = 0; word < t.words; ++word) {
                uint64_t flips[kUnitBlock];
                DenseBlockArgs a{};
                a.x = x + word * 64 * kUnitBlock;
                a.n_units = count;
                a.units = units;
                a.w = block;
                a.state = t.state + word * n;
                a.clamp = t.clamp ? t.clamp + word * n : nullptr;
                const int64_t chains = std::min<int64_t>(64, t.rows - word * 64);
                a.live = chains == 64 ? ~uint64_t{0} : (uint64_t{1} << chains) - 1;
                a.flips = flips;
                // A spin is 2 b - 1: its field 2 (bias + sum w s) is 4 ((bias - sum w) / 2 + sum w b).
                a.inv_temperature = (p.spin ? 4.0f : 1.0f) / p.temperatures[sweep];
                a.seed = p.seed;
                a.offset = p.offset + static_cast<uint64_t>(sweep) * p.offset_step;
                a.block = static_cast<uint64_t>(p.first_sample / 64 + t.first_word + word);
                kernel.dense_block(&a);
                for (int k = 0; k < count; ++k) flip_codes(t.codes, units[k], t.code_stride, word * 64, flips[k]);
            }
        }
    }
}

}  // namespace

void check_couplings(const float* w, int64_t n, int threads) {
    constexpr int64_t kBlock = 32;
    std::atomic<int> infinite{0}, diagonal{0}, unequal{0};
    parallel_for((n + kBlock - 1) / kBlock, threads, [&](int64_t tile) {
        const int64_t i0 = tile * kBlock, i1 = std::min(n, i0 + kBlock);
        float poison = 0.0f;
        bool on_diagonal = false, differ = false;
        for (int64_t j0 = 0; j0 < i1; j0 += kBlock)
            for (int64_t i = i0; i < i1; ++i)
                for (int64_t j = j0; j < std::min(i, j0 + kBlock); ++j) {
                    poison += w[i * n + j] * 0.0f;
                    differ |= w[i * n + j] != w[j * n + i];
                }
        for (int64_t i = i0; i < i1; ++i) on_diagonal |= w[i * n + i] != 0.0f;
        if (poison != 0.0f) infinite = 1;
        if (on_diagonal) diagonal = 1;
        if (differ) unequal = 1;
    });
    if (infinite) invalid("w: expected finite values, got NaN or infinity");
    if (unequal) invalid("w: expected a symmetric matrix");
    if (diagonal) invalid("w: expected zeros on the diagonal");
}

void dense_gibbs(const DenseGibbs& p) {
    const int64_t n = p.n_units, words = bit_words(p.batch);
    const int threads = p.threads ? p.threads : max_threads();
    Workspace workspace;
    float* init = workspace.take<float>(n);
    for (int64_t i = 0; i < n; ++i) {
        double sum = 0.0;
        for (int64_t j = 0; p.spin && j < n; ++j) sum += p.w[i * n + j];
        init[i] = p.spin ? static_cast<float>(0.5 * (p.bias[i] - sum)) : p.bias[i];
    }
    uint64_t* rows = workspace.take<uint64_t>(p.batch * bit_words(n));
    uint64_t* codes = workspace.take<uint64_t>(chunk_count(n) * p.batch);
    transpose_bits(p.state, n, p.batch, rows, p.threads);
    chunk_codes(rows, p.batch, n, codes, p.threads);
    uint64_t* state = workspace.take<uint64_t>(words * n);
    uint64_t* clamp = p.clamp ? workspace.take<uint64_t>(words * n) : nullptr;
    for (int64_t i = 0; i < n; ++i)
        for (int64_t w = 0; w < words; ++w) {
            state[w * n + i] = p.state[i * words + w];
            if (clamp) clamp[w * n + i] = p.clamp[i * words + w];
        }
    const int64_t per_tile = std::clamp<int64_t>(words / threads, 1, kWordsPerTile);
    parallel_for((words + per_tile - 1) / per_tile, p.threads, [&](int64_t tile) {
        const int64_t first = tile * per_tile, count = std::min(per_tile, words - first);
        sample_tile(p, init,
                    {first, count, std::min(p.batch - first * 64, count * 64), state + first * n,
                     clamp ? clamp + first * n : nullptr, codes + first * 64, p.batch});
    });
    for (int64_t i = 0; i < n; ++i)
        for (int64_t w = 0; w < words; ++w) p.state[i * words + w] = state[w * n + i];
}

}  // namespace hc
