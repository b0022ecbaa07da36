#include "cpu/weight_update.h"

#include <algorithm>
#include <atomic>

#include "common/status.h"
#include "cpu/dispatch.h"
#include "cpu/thread_pool.h"
#include "cpu/workspace.h"

namespace hc {
namespace {

constexpr int64_t kTileRows = 32;  // fixed, so that sums over rows have one order

}  // namespace

void weight_update(const hc_weight_update_args& a) {
    const int64_t tiles = (a.n_rows + kTileRows - 1) / kTileRows;
    Workspace workspace;
    float* column_sums = a.mu ? workspace.take<float>(tiles * a.n_columns) : nullptr;
    std::atomic<int> nonfinite{0};
    parallel_for(tiles, a.threads, [&](int64_t tile) {
        const int64_t first = tile * kTileRows, at = first * a.n_columns;
        int bad = 0;
        WeightUpdateArgs k{};
        k.n_rows = std::min(kTileRows, a.n_rows - first);
        k.n_columns = a.n_columns;
        k.grad = a.grad + at;
        k.w = a.w + at;
        k.velocity = a.velocity ? a.velocity + at : nullptr;
        k.n_terms = a.n_terms;
        k.left = a.left ? a.left + first : nullptr;
        k.left_stride = a.n_rows;
        k.right = a.right;
        k.rate = a.lr;
        k.momentum = a.momentum;
        k.l2 = a.weight_decay;
        k.l1 = a.l1;
        if (a.mu) {
            k.mu = a.mu + first;
            k.lambda = a.lambda;
            k.row_sums = a.row_sums + first;
            k.column_sums = column_sums + tile * a.n_columns;
        }
        k.nonfinite = &bad;
        kernels().weight_update(&k);
        if (bad) nonfinite.store(1, std::memory_order_relaxed);
    });
    if (a.mu) {
        std::fill_n(a.column_sums, a.n_columns, 0.0f);
        for (int64_t tile = 0; tile < tiles; ++tile)
            for (int64_t j = 0; j < a.n_columns; ++j) a.column_sums[j] += column_sums[tile * a.n_columns + j];
    }
    if (nonfinite)
        throw Error(HC_DIVERGED,
                    "w: the update produced NaN or infinity; the learning rate is too large, or grad or velocity held "
                    "NaN");
}

}  // namespace hc
