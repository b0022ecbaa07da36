#include "cpu/ais.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "common/status.h"
#include "cpu/bits.h"
#include "cpu/ceil_div.h"
#include "cpu/gibbs.h"
#include "cpu/thread_pool.h"
#include "cpu/workspace.h"

// A step from one inverse temperature to the next (Salakhutdinov and Murray 2008, section 4.1) is one product up, which
// gives the weight update and the hidden sample, and one product down. Both are half-steps of gibbs.cpp; the only work of
// this file is the visible units' part of the weight and the sums over blocks of units, both in float64.

namespace hc {
namespace {

constexpr int64_t kRowsPerTile = 256;
constexpr int kByteStates = 256;

// (b_vis - b_base) . v for bit rows v, in float64: 256 partial sums for each byte of a row.
class BiasDifference {
   public:
    BiasDifference(const hc_ais_args& p, const float* base, Workspace& workspace) : n_bytes_(ceil_div(p.n_visible, 8)) {
        if (std::equal(base, base + p.n_visible, p.b_vis)) {
            n_bytes_ = 0;
            return;
        }
        double* sums = workspace.take<double>(n_bytes_ * kByteStates);
        sums_ = sums;
        for (int64_t byte = 0; byte < n_bytes_; ++byte, sums += kByteStates) {
            sums[0] = 0.0;
            for (int bit = 0; bit < 8; ++bit) {
                const int64_t i = byte * 8 + bit;
                const double d = i < p.n_visible ? static_cast<double>(p.b_vis[i]) - static_cast<double>(base[i]) : 0.0;
                for (int state = 0; state < 1 << bit; ++state) sums[(1 << bit) + state] = sums[state] + d;
            }
        }
    }

    // Of `n` rows, to `out`: some at a time, since each sum waits for its last addition.
    void dots(ConstBitRows rows, int64_t n, double* out) const {
        int64_t r = 0;
        for (; r + kRowsAtOnce <= n; r += kRowsAtOnce) some_dots<kRowsAtOnce>(rows.from(r), out + r);
        for (; r < n; ++r) some_dots<1>(rows.from(r), out + r);
    }

   private:
    static constexpr int kRowsAtOnce = 8;

    template <int kRows>
    void some_dots(ConstBitRows rows, double* out) const {
        double sum[kRows] = {};
        const double* sums = sums_;
        for (int64_t byte = 0; byte < n_bytes_; byte += 8) {
            const uint64_t* column = rows.column(byte / 8);
            uint64_t word[kRows];
            for (int r = 0; r < kRows; ++r) word[r] = column[r * rows.row_step];
            for (int64_t left = std::min<int64_t>(8, n_bytes_ - byte); left > 0; --left, sums += kByteStates)
                for (int r = 0; r < kRows; ++r) {
                    sum[r] += sums[word[r] & 0xFF];
                    word[r] >>= 8;
                }
        }
        std::copy(sum, sum + kRows, out);
    }

    int64_t n_bytes_;
    const double* sums_ = nullptr;
};

// Weights stay the same from step to step, so it pays to lay them out as a step reads them: block after block of output units
// (HalfStep::blocked), up and, of w^T, down.
struct Weights {
    const float *up, *down;
};

Weights blocked_weights(const hc_ais_args& p, Workspace& workspace) {
    const int64_t V = p.n_visible, H = p.n_hidden, blocks_up = unit_blocks(H), blocks_down = unit_blocks(V);
    float* up = workspace.take<float>(blocks_up * V * kUnitBlock);
    float* down = workspace.take<float>(blocks_down * H * kUnitBlock);
    parallel_for(
        blocks_up,
        [&](int64_t block) {
            const int64_t first = block * kUnitBlock, n = std::min(H - first, int64_t{kUnitBlock});
            float* to = up + block * V * kUnitBlock;
            for (int64_t i = 0; i < V; ++i) std::copy_n(p.w + i * H + first, n, to + i * kUnitBlock);
        },
        blocks_down,
        [&](int64_t block) {
            const int64_t first = block * kUnitBlock, n = std::min(V - first, int64_t{kUnitBlock});
            float* to = down + block * H * kUnitBlock;
            for (int64_t i = 0; i < n; ++i)
                for (int64_t j = 0; j < H; ++j) to[j * kUnitBlock + i] = p.w[(first + i) * H + j];
        },
        p.threads);
    return {up, down};
}

struct Chains {
    BitRows v_rows, h_rows;
    float* hidden_change;  // [unit_blocks(n_hidden), n_chains]
    double* log_weights;   // [n_chains]
};

// h ~ p(h | v) at `to`, and the hidden units' part of the weights.
void sample_hidden(const hc_ais_args& p, const Weights& weights, float from, float to, uint64_t offset,
                   const Chains& chains) {
    HalfStep s{};
    s.n_rows = p.n_chains;
    s.n_in = p.n_visible;
    s.n_out = p.n_hidden;
    s.in_rows = chains.v_rows;
    s.w = weights.up;
    s.blocked = true;
    s.bias = p.b_hid;
    s.inv_temperature = to;
    s.seed = p.seed;
    s.offset = offset;
    s.out_rows = to > 0.0f ? chains.h_rows : BitRows{};
    s.softplus_change = chains.hidden_change;
    s.change_from = from;
    s.threads = p.threads;
    if (!half_step(s)) invalid("w: expected finite values, got NaN or infinity");
}

void add_weights(const hc_ais_args& p, const BiasDifference& difference, float from, float to, const Chains& chains) {
    const double step = static_cast<double>(to) - static_cast<double>(from);
    const int64_t blocks = unit_blocks(p.n_hidden);
    parallel_for(ceil_div(p.n_chains, kRowsPerTile), p.threads, [&](int64_t tile) {
        const int64_t first = tile * kRowsPerTile, n = std::min(kRowsPerTile, p.n_chains - first);
        double change[kRowsPerTile];
        difference.dots(chains.v_rows.from(first), n, change);
        for (int64_t r = 0; r < n; ++r) change[r] *= step;
        for (int64_t b = 0; b < blocks; ++b)
            for (int64_t r = 0; r < n; ++r)
                change[r] += static_cast<double>(chains.hidden_change[b * p.n_chains + first + r]);
        for (int64_t r = 0; r < n; ++r) chains.log_weights[first + r] += change[r];
    });
}

// v ~ p(v | h) at inverse temperature `to`, whose biases are (1 - to) b_base + to b_vis.
void sample_visible(const hc_ais_args& p, const Weights& weights, const float* base, float to, uint64_t offset,
                    const Chains& chains, float* bias) {
    HalfStep s{};
    s.n_rows = p.n_chains;
    s.n_in = p.n_hidden;
    s.n_out = p.n_visible;
    s.in_rows = chains.h_rows;
    s.w = weights.down;
    s.blocked = true;
    s.bias = bias;
    s.seed = p.seed;
    s.offset = offset;
    s.out_rows = chains.v_rows;
    s.threads = p.threads;
    if (to > 0.0f) {
        s.inv_temperature = to;
        const double weight = (1.0 - static_cast<double>(to)) / static_cast<double>(to);
        for (int64_t i = 0; i < p.n_visible; ++i)
            bias[i] = static_cast<float>(static_cast<double>(p.b_vis[i]) + weight * static_cast<double>(base[i]));
    } else {
        std::copy(base, base + p.n_visible, bias);
        for (int64_t j = 0; j < bit_words(p.n_hidden); ++j) std::fill_n(chains.h_rows.column(j), p.n_chains, 0);
    }
    half_step(s);
}

}  // namespace

void anneal(const hc_ais_args& p) {
    Workspace workspace;
    const float* base = p.b_base ? p.b_base : p.b_vis;
    const BiasDifference difference(p, base, workspace);
    const Weights weights = blocked_weights(p, workspace);
    Chains chains{};
    chains.v_rows = take_sample_rows(p.n_chains, p.n_visible, workspace);
    chains.h_rows = take_sample_rows(p.n_chains, p.n_hidden, workspace);
    chains.hidden_change = workspace.take<float>(unit_blocks(p.n_hidden) * p.n_chains);
    chains.log_weights = workspace.take<double>(p.n_chains);
    float* bias = workspace.take<float>(p.n_visible);
    transpose_bits(unit_rows(p.states, p.n_chains), p.n_visible, p.n_chains, chains.v_rows, p.threads);
    std::copy(p.log_weights, p.log_weights + p.n_chains, chains.log_weights);
    for (int64_t k = 1; k < p.n_betas; ++k) {
        const float from = p.betas[k - 1], to = p.betas[k];
        const uint64_t offset = p.offset + 2 * static_cast<uint64_t>(k - 1);
        sample_hidden(p, weights, from, to, offset, chains);
        add_weights(p, difference, from, to, chains);
        sample_visible(p, weights, base, to, offset + 1, chains, bias);
    }
    transpose_bits(chains.v_rows, p.n_chains, p.n_visible, unit_rows(p.states, p.n_chains), p.threads);
    std::copy(chains.log_weights, chains.log_weights + p.n_chains, p.log_weights);
}

}  // namespace hc
