#include "cpu/embedding.h"

#include <algorithm>
#include <cstring>

#include "cpu/dispatch.h"
#include "cpu/row_tiles.h"
#include "cpu/thread_pool.h"

namespace hc {

void embedding(const float* table, int64_t columns, const int32_t* index, int64_t n, float* out, int threads) {
    const RowTiles tiles(n, columns);
    parallel_for(tiles.count(), threads, [&](int64_t tile) {
        const int64_t end = tiles.first(tile) + tiles.rows(tile);
        for (int64_t i = tiles.first(tile); i < end; ++i)
            std::memcpy(out + i * columns, table + index[i] * columns, static_cast<size_t>(columns) * sizeof(float));
    });
}

void embedding_add(float* table, int64_t rows, int64_t columns, const int32_t* index, int64_t n, const float* source,
                   float scale, int threads) {
    const KernelTable& kernel = kernels();
    // Every task reads all indices, so there are few of them, and one when the work is small.
    constexpr int64_t kMostTasks = 16, kElementsPerTask = 1 << 12;
    const int64_t tasks = std::clamp<int64_t>(n * columns / kElementsPerTask, 1, std::min(kMostTasks, rows));
    parallel_for(tasks, threads, [&](int64_t task) {
        ScatterRowsArgs a{};
        a.n = n;
        a.n_cols = columns;
        a.index = index;
        a.source = source;
        a.scale = scale;
        a.table = table;
        a.first = rows * task / tasks;
        a.last = rows * (task + 1) / tasks;
        kernel.scatter_rows(&a);
    });
}

}  // namespace hc
