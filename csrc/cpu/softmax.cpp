#include "cpu/softmax.h"

#include <algorithm>

#include "cpu/dispatch.h"
#include "cpu/row_tiles.h"
#include "cpu/thread_pool.h"
#include "cpu/workspace.h"

namespace hc {

void softmax(const hc_softmax_args& p) {
    const KernelTable& kernel = kernels();
    const RowTiles tiles(p.rows, p.columns);
    Workspace workspace;
    float* losses = p.loss ? workspace.take<float>(p.rows) : nullptr;
    parallel_for(tiles.count(), p.threads, [&](int64_t tile) {
        const int64_t row = tiles.first(tile), at = row * p.columns;
        SoftmaxRowsArgs a{};
        a.n_rows = tiles.rows(tile);
        a.n_cols = p.columns;
        a.x = p.x + at;
        a.labels = p.labels ? p.labels + row : nullptr;
        a.targets = p.targets ? p.targets + at : nullptr;
        a.scale = p.scale;
        a.y = p.y ? p.y + at : nullptr;
        a.loss = losses ? losses + row : nullptr;
        kernel.softmax_rows(&a);
    });
    if (!p.loss) return;
    double sum = 0.0;
    for (int64_t r = 0; r < p.rows; ++r) sum += losses[r];
    *p.loss = sum;
}

}  // namespace hc
