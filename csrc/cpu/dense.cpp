#include "cpu/dense.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <mutex>
#include <string>
#include <vector>

#include "common/status.h"
#include "cpu/bits.h"
#include "cpu/dispatch.h"
#include "cpu/thread_pool.h"
#include "cpu/workspace.h"

namespace hc {
namespace {

// Words of 64 chains a tile holds at most: enough rows to repay the tables of a block of units.
constexpr int64_t kWordsPerTile = 4;
// Sweeps whose pairs are counted in one pass: each count is then read and written once for all of them.
constexpr int64_t kCountedTogether = 8;

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

// Which units a sweep samples, one after the other, and the unit numbers that their draws are taken by.
class Probes {
   public:
    Probes(const DenseGibbs& p, const std::vector<int32_t>& free, Workspace& workspace)
        : p_(p), free_(free), count_(static_cast<int64_t>(free.size())) {
        if (!p.order && !p.asynchronous) return;
        units_ = workspace.take<int32_t>(count_);
        if (p.asynchronous) {
            positions_ = workspace.take<int32_t>(count_);
            uniforms_ = workspace.take<float>(count_);
            for (int64_t k = 0; k < count_; ++k) positions_[k] = static_cast<int32_t>(k);
        } else {
            is_free_ = workspace.take<bool>(p.n_units);
            std::fill(is_free_, is_free_ + p.n_units, false);
            for (const int32_t unit : free) is_free_[unit] = true;
        }
    }

    void start(int64_t sweep) {
        if (p_.asynchronous) {
            PhiloxUniformArgs a{};
            a.out = uniforms_;
            a.n = count_;
            a.unit = kProbeUnit;
            a.seed = p_.seed;
            a.offset = p_.offset + static_cast<uint64_t>(sweep) * p_.offset_step;
            kernels().philox_uniform(&a);
            for (int64_t k = 0; k < count_; ++k) {
                const auto drawn =
                    static_cast<int64_t>(static_cast<double>(uniforms_[k]) * static_cast<double>(count_));
                units_[k] = free_[static_cast<size_t>(drawn)];
            }
        } else if (p_.order) {
            const int32_t* order = p_.order + sweep * p_.n_units;
            std::copy_if(order, order + p_.n_units, units_, [&](int32_t unit) { return is_free_[unit]; });
        }
    }

    int64_t count() const { return count_; }
    const int32_t* units() const { return units_ ? units_ : free_.data(); }
    const int32_t* draws() const { return positions_ ? positions_ : units(); }

   private:
    const DenseGibbs& p_;
    const std::vector<int32_t>& free_;
    int64_t count_;
    int32_t* units_ = nullptr;
    int32_t* positions_ = nullptr;
    float* uniforms_ = nullptr;
    bool* is_free_ = nullptr;
};

// The units are first, first + 1, ...: their weights can be read where they are.
bool adjacent(const int32_t* units, int count) {
    for (int k = 1; k < count; ++k)
        if (units[k] != units[0] + k) return false;
    return true;
}

// Adds the lower triangle of counts of pairs.
void add_pairs(const int64_t* counts, int64_t n, int64_t* pairs) {
    for (int64_t i = 0; i < n; ++i)
        for (int64_t j = 0; j <= i; ++j) pairs[i * n + j] += counts[i * n + j];
}

// The upper triangle from the lower, in blocks that stay in L1.
void mirror(int64_t* pairs, int64_t n) {
    constexpr int64_t kBlock = 32;
    for (int64_t i0 = 0; i0 < n; i0 += kBlock)
        for (int64_t j0 = 0; j0 <= i0; j0 += kBlock)
            for (int64_t i = i0; i < std::min(n, i0 + kBlock); ++i)
                for (int64_t j = j0; j < std::min(i, j0 + kBlock); ++j) pairs[j * n + i] = pairs[i * n + j];
}

void sample_tile(const DenseGibbs& p, const std::vector<int32_t>& free, const float* init, const Tile& t,
                 std::mutex* adding) {
    const KernelTable& kernel = kernels();
    const int64_t n = p.n_units;
    Workspace workspace;
    float* x = workspace.take<float>(t.words * 64 * kUnitBlock);
    std::memset(x, 0, static_cast<size_t>(t.words * 64 * kUnitBlock) * sizeof *x);
    float* panel = workspace.take<float>(n * kUnitBlock);
    int64_t* counts = p.pairs && t.rows < p.batch ? workspace.take<int64_t>(n * n) : p.pairs;
    uint64_t* seen = counts ? workspace.take<uint64_t>(kCountedTogether * t.words * n) : nullptr;
    int64_t n_seen = 0;  // sweeps whose states wait in `seen` to be counted
    if (counts != p.pairs) std::fill(counts, counts + n * n, 0);
    Probes probes(p, free, workspace);
    for (int64_t sweep = 0; sweep < p.sweeps; ++sweep) {
        probes.start(sweep);
        for (int64_t first = 0; first < probes.count(); first += kUnitBlock) {
            const int32_t* units = probes.units() + first;
            float start[kUnitBlock], block[kUnitBlock * kUnitBlock];
            const int count = static_cast<int>(std::min<int64_t>(kUnitBlock, probes.count() - first));
            for (int k = 0; k < count; ++k) {
                start[k] = init[units[k]];
                for (int m = 0; m < count; ++m) block[k * kUnitBlock + m] = p.w[units[k] * n + units[m]];
            }
            BitProductArgs product{};
            product.codes = t.codes;
            product.code_stride = static_cast<size_t>(t.code_stride);
            product.n_rows = t.rows;
            if (adjacent(units, count)) {  // columns of the block
                product.weights = p.w + units[0];
                product.input_stride = n;
                product.unit_stride = 1;
            } else {  // a copy of its rows
                for (int k = 0; k < count; ++k)
                    std::memcpy(panel + k * n, p.w + units[k] * n, static_cast<size_t>(n) * sizeof *panel);
                product.weights = panel;
                product.input_stride = 1;
                product.unit_stride = n;
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
                a.draws = probes.draws() + first;
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
        if (counts && sweep >= p.sweeps - p.counted_sweeps) {
            std::copy(t.state, t.state + t.words * n, seen + n_seen++ * t.words * n);
            if (n_seen == kCountedTogether || sweep + 1 == p.sweeps) {
                PairCountsArgs a{};
                a.state = seen;
                a.n_words = n_seen * t.words;
                a.n_units = n;
                a.counts = counts;
                kernel.pair_counts(&a);
                n_seen = 0;
            }
        }
    }
    if (counts != p.pairs) {
        const std::lock_guard<std::mutex> lock(*adding);
        add_pairs(counts, n, p.pairs);
    }
}

// Units that some chain may change.
std::vector<int32_t> free_units(const DenseGibbs& p) {
    const int64_t words = bit_words(p.batch), tail = p.batch % 64;
    const uint64_t last = tail ? (uint64_t{1} << tail) - 1 : ~uint64_t{0};
    std::vector<int32_t> free;
    for (int64_t i = 0; i < p.n_units; ++i) {
        bool clamped = p.clamp != nullptr;
        for (int64_t w = 0; clamped && w < words; ++w) {
            const uint64_t live = w == words - 1 ? last : ~uint64_t{0};
            clamped = (p.clamp[i * words + w] & live) == live;
        }
        if (!clamped) free.push_back(static_cast<int32_t>(i));
    }
    return free;
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
    const BitRows rows = take_sample_rows(p.batch, n, workspace);
    uint64_t* codes = workspace.take<uint64_t>(chunk_count(n) * p.batch);
    transpose_bits(unit_rows(p.state, p.batch), n, p.batch, rows, p.threads);
    chunk_codes(rows, p.batch, n, codes, p.threads);
    uint64_t* state = workspace.take<uint64_t>(words * n);
    uint64_t* clamp = p.clamp ? workspace.take<uint64_t>(words * n) : nullptr;
    for (int64_t i = 0; i < n; ++i)
        for (int64_t w = 0; w < words; ++w) {
            state[w * n + i] = p.state[i * words + w];
            if (clamp) clamp[w * n + i] = p.clamp[i * words + w];
        }
    const std::vector<int32_t> free = free_units(p);
    std::mutex adding;
    if (p.pairs) std::fill(p.pairs, p.pairs + n * n, 0);
    const int64_t per_tile = std::clamp<int64_t>(words / threads, 1, kWordsPerTile);
    parallel_for((words + per_tile - 1) / per_tile, p.threads, [&](int64_t tile) {
        const int64_t first = tile * per_tile, count = std::min(per_tile, words - first);
        sample_tile(p, free, init,
                    {first, count, std::min(p.batch - first * 64, count * 64), state + first * n,
                     clamp ? clamp + first * n : nullptr, codes + first * 64, p.batch},
                    &adding);
    });
    for (int64_t i = 0; i < n; ++i)
        for (int64_t w = 0; w < words; ++w) p.state[i * words + w] = state[w * n + i];
    if (p.pairs) mirror(p.pairs, n);
}

}  // namespace hc
