// The statistics of contrastive divergence: the gradient of the weights and of the hidden biases, a tile of hidden units at a
// time, and the means of the visible units.
#pragma once

#include <stdint.h>

#include <algorithm>

#include "cpu/cd_phases.h"
#include "cpu/ceil_div.h"
#include "cpu/kernels.h"
#include "cpu/thread_pool.h"
#include "cpu/workspace.h"

namespace hc {

// Of real-valued data, whose product is not a lookup; null when the data are binary.
struct DenseStatistics {
    const float* grad;  // v0^T p0   [V, H]
    const float* bias;  // column sums of p0   [H]
};
DenseStatistics dense_statistics(const CdProblem& p, const CdPhases& phases, Workspace& workspace);

// Tiles of blocks of hidden units: several blocks each, so that rows of w are met in pieces wider than a cache line, and
// single ones at the end of each thread's share, so that no thread waits long for another.
struct HiddenTiles {
    int64_t count;
    const int64_t* first_block;  // [count + 1]

    HiddenTiles(int64_t n_hidden, int threads, Workspace& workspace);
};
constexpr int64_t kBlocksPerTile = 4;

// The positive and negative statistics of one block: grad [V + 1, kUnitBlock], the last row the bias unit's, without the
// dense gradient. positive_bias [units]: the bias unit's in the positive phase. Runs the block's part of the last half-step,
// and returns false when its weights hold NaN or infinities.
bool block_statistics(const CdProblem& p, const CdPhases& phases, const DenseStatistics& dense, int64_t block,
                      float* grad, float* positive_bias);

// The gradient of a tile.
struct HiddenTile {
    int64_t first_unit, n_units;
    const float* grad;        // [blocks, V + 1, kUnitBlock], the last row of a block the bias unit's
    const float* dense_grad;  // to be added to w's, its rows H apart; null: none
    bool finite;              // whether the weights of the negative phase are
};

// Calls use(tile) for every tile of hidden units, and rest() once, on any threads; positive_bias [H] becomes the mean of
// p(h | v0), a tile's part before its use.
template <class Use, class Rest>
void for_each_tile(const CdProblem& p, const CdPhases& phases, float* positive_bias, Use&& use, Rest&& rest) {
    Workspace workspace;
    const DenseStatistics dense = dense_statistics(p, phases, workspace);
    const HiddenTiles tiles(p.n_hidden, p.threads, workspace);
    const int64_t panel = (p.n_visible + 1) * kUnitBlock;
    parallel_for(tiles.count + 1, p.threads, [&](int64_t i) {
        if (i == tiles.count) return rest();
        const int64_t first = tiles.first_block[i], last = tiles.first_block[i + 1], unit = first * kUnitBlock;
        Workspace scratch;
        float* grad = scratch.take<float>(kBlocksPerTile * panel);
        HiddenTile tile{unit, std::min(p.n_hidden, last * kUnitBlock) - unit, grad,
                        dense.grad ? dense.grad + unit : nullptr, true};
        for (int64_t block = first; block < last; ++block)
            if (!block_statistics(p, phases, dense, block, grad + (block - first) * panel,
                                  positive_bias + block * kUnitBlock))
                tile.finite = false;
        use(tile);
    });
}

// Means of the visible units over the data [V], and of one over the negative phase.
void data_means(const CdProblem& p, const CdData& v0, double* mean);
double model_mean(const CdProblem& p, const uint64_t* vk, int64_t unit);

}  // namespace hc
