#include "cpu/matmul.h"

#include <algorithm>

#include "cpu/dispatch.h"
#include "cpu/thread_pool.h"
#include "cpu/workspace.h"

namespace hc {
namespace {

// Longest chain of multiply-adds. A tile of A (14 x 512 floats) and what streams past it then stay in L1, the panels of
// B that a task owns in L2.
constexpr int64_t kDepth = 512;
constexpr int64_t kMaxPanels = 8;             // panels of B a task owns
constexpr int64_t kPackedFloats = 4 << 20;    // of A, at most, at a time
constexpr int64_t kTasksPerThread = 4;        // enough for a thread that was interrupted to be helped out
constexpr int64_t kSerialProducts = 1 << 18;  // fewer multiply-adds than waking another thread is worth

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// The length of a K block: equal parts of at most kDepth. It sets the order of summation, so it depends on k alone.
int64_t gemm_depth(int64_t k) { return ceil_div(ceil_div(k, ceil_div(k, kDepth)), 8) * 8; }

// How a product is cut into tasks. The result does not depend on it.
struct Plan {
    int64_t n_tiles;          // row tiles
    int64_t panels_per_task;  // columns of a task, in panels
    int64_t column_tasks, row_tasks;
};

Plan plan(const KernelTable& kernel, int64_t m, int64_t n, int threads) {
    Plan p;
    const int64_t panels = ceil_div(n, kernel.gemm_columns);
    const int64_t wanted = threads > 1 ? threads * kTasksPerThread : 1;
    p.n_tiles = ceil_div(m, kernel.gemm_rows);
    p.panels_per_task = std::clamp<int64_t>(panels / wanted, 1, kMaxPanels);
    p.column_tasks = ceil_div(panels, p.panels_per_task);
    // Every task packs its own panels of B: rows are split only when the columns give too few tasks.
    p.row_tasks = std::clamp<int64_t>(wanted / p.column_tasks, 1, std::max<int64_t>(p.n_tiles / 4, 1));
    return p;
}

}  // namespace

void matmul(const Matmul& given) {
    const KernelTable& kernel = kernels();
    // Few columns would leave most lanes idle: then C^T = B^T A^T, with the lanes along the rows of C.
    const bool swapped = given.n < kernel.lanes / 2 && given.m > given.n;
    Matmul p = given;
    if (swapped) {
        std::swap(p.m, p.n);
        std::swap(p.a, p.b);
        std::swap(p.lda, p.ldb);
        p.trans_a = !given.trans_b;
        p.trans_b = !given.trans_a;
    }
    const int threads = static_cast<double>(p.m) * static_cast<double>(p.n) * static_cast<double>(p.k) < kSerialProducts
                            ? 1
                        : p.threads > 0 ? p.threads
                                        : max_threads();
    const int64_t depth = gemm_depth(p.k);
    const int64_t k_group = std::max<int64_t>(kPackedFloats / std::min<int64_t>(p.m, 1024) / depth, 1) * depth;
    const int64_t m_group = std::max<int64_t>(kPackedFloats / std::min(p.k, k_group), kernel.gemm_rows);
    Workspace workspace;
    float* packed = workspace.take<float>(std::min(p.m, m_group) * std::min(p.k, k_group));
    for (int64_t k0 = 0; k0 < p.k; k0 += k_group) {
        const int64_t k_size = std::min(k_group, p.k - k0);
        for (int64_t m0 = 0; m0 < p.m; m0 += m_group) {
            const int64_t m = std::min(m_group, p.m - m0);
            const Plan tasks = plan(kernel, m, p.n, threads);
            parallel_for(tasks.n_tiles, threads, [&](int64_t tile) {
                const int64_t row = gemm_tile_row(m, tasks.n_tiles, tile);
                GemmPackArgs a{};
                a.stride = p.lda;
                a.transposed = p.trans_a;
                a.rows = static_cast<int>(gemm_tile_row(m, tasks.n_tiles, tile + 1) - row);
                for (int64_t k = 0; k < k_size; k += depth) {
                    a.kc = std::min(depth, k_size - k);
                    a.a = p.a + (p.trans_a ? (k0 + k) * p.lda + m0 + row : (m0 + row) * p.lda + k0 + k);
                    a.out = packed + k * m + row * a.kc;
                    kernel.gemm_pack(&a);
                }
            });
            parallel_for(tasks.column_tasks * tasks.row_tasks, threads, [&](int64_t task) {
                const int64_t column = task % tasks.column_tasks, part = task / tasks.column_tasks;
                const int64_t width = tasks.panels_per_task * kernel.gemm_columns;
                const int64_t j = column * width;
                Workspace scratch;
                GemmBlockArgs g{};
                g.m = m;
                g.n = std::min(width, p.n - j);
                g.n_tiles = tasks.n_tiles;
                g.tile_begin = gemm_tile_row(tasks.n_tiles, tasks.row_tasks, part);
                g.tile_end = gemm_tile_row(tasks.n_tiles, tasks.row_tasks, part + 1);
                g.b_stride = p.ldb;
                g.b_transposed = p.trans_b;
                g.c = swapped ? p.c + j * p.ldc + m0 : p.c + m0 * p.ldc + j;
                g.c_stride = p.ldc;
                g.c_transposed = swapped;
                g.alpha = p.alpha;
                g.bias = p.bias ? p.bias + (swapped ? m0 : j) : nullptr;
                g.activation = p.activation;
                g.scratch = scratch.take<float>(std::min(depth, k_size) * width);
                for (int64_t k = 0; k < k_size; k += depth) {
                    g.kc = std::min(depth, k_size - k);
                    g.a = packed + k * m;
                    g.b = p.b + (p.trans_b ? j * p.ldb + k0 + k : (k0 + k) * p.ldb + j);
                    g.accumulate = k0 + k > 0;
                    g.finish =
                        k0 + k + g.kc == p.k && (p.alpha != 1.0f || p.bias || p.activation != HC_ACTIVATION_NONE);
                    kernel.gemm_block(&g);
                }
            });
        }
    }
}

}  // namespace hc
