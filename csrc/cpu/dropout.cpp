#include "cpu/dropout.h"

#include <algorithm>

#include "cpu/dispatch.h"
#include "cpu/thread_pool.h"

namespace hc {

void dropout(const hc_dropout_args& p) {
    constexpr int64_t kRows = 64;  // that share Philox blocks
    constexpr int64_t kColumns = 256;
    const KernelTable& kernel = kernels();
    const int64_t strips = (p.columns + kColumns - 1) / kColumns;
    parallel_for((p.rows + kRows - 1) / kRows * strips, p.threads, [&](int64_t tile) {
        const int64_t row = tile / strips * kRows, column = tile % strips * kColumns;
        DropoutRowsArgs a{};
        a.x = p.x + row * p.columns + column;
        a.y = p.y + row * p.columns + column;
        a.stride = p.columns;
        a.n_rows = std::min(kRows, p.rows - row);
        a.n_cols = std::min(kColumns, p.columns - column);
        a.first_sample = p.first_sample + row;
        a.first_unit = static_cast<uint32_t>(column);
        a.keep = 1.0f - p.rate;
        a.seed = p.seed;
        a.offset = p.offset;
        kernel.dropout_rows(&a);
    });
}

}  // namespace hc
