#include "cpu/optim.h"

#include <algorithm>
#include <atomic>
#include <cmath>

#include "common/status.h"
#include "cpu/dispatch.h"
#include "cpu/row_tiles.h"
#include "cpu/thread_pool.h"
#include "cpu/workspace.h"

namespace hc {

void optimiser_step(const hc_optimiser_args& p) {
    const KernelTable& kernel = kernels();
    double rate = p.lr, square_scale = 1.0;
    if (p.rule == HC_OPTIMISER_ADAM) {
        const double step = static_cast<double>(p.step);
        rate /= 1.0 - std::pow(p.momentum, step);
        square_scale /= 1.0 - std::pow(p.square_decay, step);
    }
    std::atomic<bool> diverged{false};
    const RowTiles tiles(p.n, 1);
    parallel_for(tiles.count(), p.threads, [&](int64_t tile) {
        const int64_t first = tiles.first(tile);
        int nonfinite = 0;
        OptimiserArgs a{};
        a.rule = p.rule;
        a.n = tiles.rows(tile);
        a.w = p.w + first;
        a.grad = p.grad + first;
        a.velocity = p.velocity ? p.velocity + first : nullptr;
        a.square = p.square ? p.square + first : nullptr;
        a.rate = static_cast<float>(rate);
        a.momentum = static_cast<float>(p.momentum);
        a.velocity_share = static_cast<float>(1.0 - p.momentum);
        a.square_decay = static_cast<float>(p.square_decay);
        a.square_share = static_cast<float>(1.0 - p.square_decay);
        a.square_scale = static_cast<float>(square_scale);
        a.epsilon = p.epsilon;
        a.decay = p.decoupled ? 0.0f : p.weight_decay;
        a.shrink = p.decoupled ? 1.0f - p.lr * p.weight_decay : 1.0f;
        a.grad_scale = p.grad_scale;
        a.nonfinite = &nonfinite;
        kernel.optimiser(&a);
        if (nonfinite) diverged.store(true, std::memory_order_relaxed);
    });
    if (diverged.load()) throw Error(HC_DIVERGED, "w: the update made it NaN or infinite; lower the learning rate");
}

double sum_of_squares(const float* x, int64_t n, int threads) {
    const KernelTable& kernel = kernels();
    const RowTiles tiles(n, 1);
    Workspace workspace;
    float* sums = workspace.take<float>(tiles.count());
    parallel_for(tiles.count(), threads, [&](int64_t tile) {
        SumOfSquaresArgs a{};
        a.x = x + tiles.first(tile);
        a.n = tiles.rows(tile);
        a.sum = sums + tile;
        kernel.sum_of_squares(&a);
    });
    double sum = 0.0;
    for (int64_t tile = 0; tile < tiles.count(); ++tile) sum += sums[tile];
    return sum;
}

void max_norm(float* w, int64_t rows, int64_t columns, float limit, int threads) {
    const KernelTable& kernel = kernels();
    parallel_for((columns + kMaxNormColumns - 1) / kMaxNormColumns, threads, [&](int64_t tile) {
        const int64_t column = tile * kMaxNormColumns;
        MaxNormColumnsArgs a{};
        a.w = w + column;
        a.stride = columns;
        a.n_rows = rows;
        a.n_cols = std::min<int64_t>(kMaxNormColumns, columns - column);
        a.limit = limit;
        kernel.max_norm_columns(&a);
    });
}

}  // namespace hc
