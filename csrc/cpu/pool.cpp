// Bound by memory and by the branches of a comparison a tap, so plain C++ at every level; a task is a few whole planes, and
// a plane belongs to one thread, which is why sums over overlapping windows need no care.
#include "cpu/pool.h"

#include <algorithm>

#include "cpu/row_tiles.h"
#include "cpu/thread_pool.h"

namespace hc {

void max_pool(const hc_max_pool_args& p) {
    const int64_t rows = (p.height - p.window_height) / p.stride_y + 1;
    const int64_t columns = (p.width - p.window_width) / p.stride_x + 1;
    const RowTiles tiles(p.planes, p.height * p.width);
    parallel_for(tiles.count(), p.threads, [&](int64_t tile) {
        for (int64_t n = tiles.first(tile); n < tiles.first(tile) + tiles.rows(tile); ++n) {
            const float* plane = p.x + n * p.height * p.width;
            float* y = p.y + n * rows * columns;
            int32_t* index = p.index ? p.index + n * rows * columns : nullptr;
            for (int64_t i = 0; i < rows; ++i)
                for (int64_t j = 0; j < columns; ++j) {
                    const int64_t first = i * p.stride_y * p.width + j * p.stride_x;
                    int64_t best = first;
                    for (int64_t r = 0; r < p.window_height; ++r)
                        for (int64_t at = first + r * p.width; at < first + r * p.width + p.window_width; ++at)
                            // A NaN is not below anything, and what is there stays unless it is below or the other is NaN.
                            if (plane[at] > plane[best] || (plane[at] != plane[at] && plane[best] == plane[best]))
                                best = at;
                    y[i * columns + j] = plane[best];
                    if (index) index[i * columns + j] = static_cast<int32_t>(best);
                }
        }
    });
}

void max_pool_backward(const hc_max_pool_backward_args& p) {
    const RowTiles tiles(p.planes, p.plane);
    parallel_for(tiles.count(), p.threads, [&](int64_t tile) {
        for (int64_t n = tiles.first(tile); n < tiles.first(tile) + tiles.rows(tile); ++n) {
            float* dx = p.dx + n * p.plane;
            std::fill(dx, dx + p.plane, 0.0f);
            for (int64_t i = n * p.windows; i < (n + 1) * p.windows; ++i) dx[p.index[i]] += p.dy[i];
        }
    });
}

}  // namespace hc
