#include "cpu/embedding.h"

#include <cstring>

#include "cpu/dispatch.h"
#include "cpu/row_tiles.h"
#include "cpu/thread_pool.h"
#include "cpu/workspace.h"

namespace hc {

void embedding(const float* table, int64_t columns, const int32_t* index, int64_t n, float* out, int threads) {
    const RowTiles tiles(n, columns);
    parallel_for(tiles.count(), threads, [&](int64_t tile) {
        const int64_t end = tiles.first(tile) + tiles.rows(tile);
        for (int64_t i = tiles.first(tile); i < end; ++i)
            std::memcpy(out + i * columns, table + index[i] * columns, static_cast<size_t>(columns) * sizeof(float));
    });
}

namespace {

constexpr int kMostTasks = 16;  // a power of two

// Positions 0 .. n by the task that owns the row they name, rising within a task; task t has order[begin[t] .. begin[t + 1]).
// Rows go round the tasks: in a vocabulary sorted by frequency the first rows have most of the work.
void deal(const int32_t* index, int64_t n, int32_t* order, int64_t (&begin)[kMostTasks + 1]) {
    constexpr int32_t kMask = kMostTasks - 1;
    int64_t next[kMostTasks] = {};
    for (int64_t i = 0; i < n; ++i) ++next[index[i] & kMask];
    begin[0] = 0;
    for (int t = 0; t < kMostTasks; ++t) {
        begin[t + 1] = begin[t] + next[t];
        next[t] = begin[t];
    }
    for (int64_t i = 0; i < n; ++i) order[next[index[i] & kMask]++] = static_cast<int32_t>(i);
}

}  // namespace

void embedding_add(float* table, int64_t columns, const int32_t* index, int64_t n, const float* source, float scale,
                   int threads) {
    const KernelTable& kernel = kernels();
    ScatterRowsArgs a{};
    a.n = n;
    a.n_cols = columns;
    a.index = index;
    a.source = source;
    a.scale = scale;
    a.table = table;
    constexpr int64_t kSerialElements = 1 << 15;  // less is not worth waking another thread
    if (threads == 0) threads = max_threads();
    if (threads == 1 || n * columns < kSerialElements || n > INT32_MAX) return kernel.scatter_rows(&a);
    Workspace workspace;
    int32_t* order = workspace.take<int32_t>(n);
    int64_t begin[kMostTasks + 1];
    deal(index, n, order, begin);
    parallel_for(kMostTasks, threads, [&](int64_t task) {
        ScatterRowsArgs part = a;
        part.order = order + begin[task];
        part.n = begin[task + 1] - begin[task];
        kernel.scatter_rows(&part);
    });
}

}  // namespace hc
