// What the three products of a convolution share: sizes, and panels packed by positions.
#pragma once

#include <stdint.h>

#include <algorithm>

#include "cpu/conv_stage.h"
#include "cpu/dispatch.h"
#include "cpu/thread_pool.h"
#include "cpu/workspace.h"

namespace hc {

constexpr int64_t kConvPackedFloats = 1 << 20;  // of patches, packed at a time

// One thread where the work is less than waking another is worth.
inline int conv_threads(const ConvSizes& s, int threads) {
    const double products = static_cast<double>(s.batch * s.pixels) * static_cast<double>(s.out_channels) *
                            static_cast<double>(s.channels * s.taps);
    return products < 1 << 18 ? 1 : threads > 0 ? threads : max_threads();
}

// Positions of n indices of a grid from `first`.
inline const int64_t* positions(const GemmGrid& grid, int64_t first, int64_t n, Workspace& workspace) {
    int64_t* at = workspace.take<int64_t>(n);
    for (int64_t i = 0; i < n; ++i) at[i] = grid.at(first + i);
    return at;
}

// One panel of `rows` rows, which begin at src + lead[k], and of n columns of a grid: the first of them is `first`. `floats`
// may be read from src on.
inline void gather_columns(const KernelTable& kernel, const float* src, int64_t floats, const int64_t* lead,
                           int64_t rows, const GemmGrid& columns, int64_t first, int64_t n, float* out) {
    GemmRun runs[64];
    GemmGatherArgs g{};
    g.src = src;
    g.lead = lead;
    g.runs = runs;
    g.n_runs = columns.runs(first, n, runs);
    g.limit = floats - *std::max_element(lead, lead + rows);
    g.columns = static_cast<int>(n);
    g.rows = rows;
    g.out = out;
    kernel.gemm_gather(&g);
}

}  // namespace hc
