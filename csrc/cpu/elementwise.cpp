#include "cpu/elementwise.h"

#include <algorithm>

#include "cpu/dispatch.h"
#include "cpu/thread_pool.h"

namespace hc {

void elementwise(hc_function function, const float* x, float* y, int64_t n, int threads) {
    constexpr int64_t kPerTile = 1 << 14;
    const KernelTable& kernel = kernels();
    parallel_for((n + kPerTile - 1) / kPerTile, threads, [&](int64_t tile) {
        const int64_t first = tile * kPerTile;
        ElementwiseArgs a{};
        a.function = function;
        a.x = x + first;
        a.y = y + first;
        a.n = std::min(kPerTile, n - first);
        kernel.elementwise(&a);
    });
}

}  // namespace hc
