// Rows cut into tiles of some 16k elements, whose borders depend on the shape alone.
#pragma once

#include <stdint.h>

#include <algorithm>

namespace hc {

class RowTiles {
   public:
    // Every tile but the last has a multiple of `step` rows.
    RowTiles(int64_t rows, int64_t columns, int64_t step = 1)
        : all_(rows), size_(std::max<int64_t>(kElements / columns / step, 1) * step) {}

    int64_t count() const { return (all_ + size_ - 1) / size_; }
    int64_t first(int64_t tile) const { return tile * size_; }
    int64_t rows(int64_t tile) const { return std::min(size_, all_ - first(tile)); }

   private:
    static constexpr int64_t kElements = 1 << 14;
    int64_t all_, size_;
};

}  // namespace hc
