// Where the columns of a matrix lie when they are not side by side: pixels of images, taps of kernels.
#pragma once

#include <stdint.h>

#include <algorithm>

#include "cpu/kernels.h"
#include "cpu/workspace.h"

namespace hc {

// Index i stands for (group, row, column) in row-major order, and column c of a row lies
// c % phases * phase_width + c / phases * column_stride after its first.
struct GemmGrid {
    int64_t rows, columns;  // of a group
    int64_t group_stride, row_stride;
    int64_t column_stride = 1;
    int64_t phases = 1, phase_width = 0;
    int64_t origin = 0;  // where index 0 lies

    int64_t at(int64_t i) const {
        const int64_t column = i % columns, row = i / columns % rows, group = i / columns / rows;
        return origin + group * group_stride + row * row_stride + column % phases * phase_width +
               column / phases * column_stride;
    }

    // Runs of neighbours among n indices from `first`, counted from it: at most n of them. Returns
    // how many. For phases and column_stride 1.
    int runs(int64_t first, int64_t n, GemmRun* out) const {
        int count = 0;
        for (int64_t i = first; i < first + n;) {
            const int64_t length = std::min(columns - i % columns, first + n - i), offset = at(i);
            GemmRun* last = count ? out + count - 1 : nullptr;
            if (last && last->offset + last->length == offset)
                last->length += static_cast<int32_t>(length);
            else
                out[count++] = {static_cast<int32_t>(i - first), static_cast<int32_t>(length), offset};
            i += length;
        }
        return count;
    }
};

// The runs of n columns from `first`, panel by panel, each panel's counted from its own first column.
inline const GemmRun* panel_runs(const GemmGrid& grid, int64_t first, int64_t n, int64_t width, Workspace& workspace) {
    GemmRun* runs = workspace.take<GemmRun>(n);
    int64_t count = 0;
    for (int64_t j = 0; j < n; j += width) count += grid.runs(first + j, std::min(width, n - j), runs + count);
    return runs;
}

}  // namespace hc
