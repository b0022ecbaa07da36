#include "cpu/matmul.h"

#include <algorithm>

#include "cpu/ceil_div.h"
#include "cpu/dispatch.h"
#include "cpu/thread_pool.h"
#include "cpu/workspace.h"

namespace hc {
namespace {

// Longest chain of multiply-adds, and depth of what is packed at a time. Long, because C is read and written once a block;
// bounded, because a panel of B and a tile of A of this depth share L1 and a part of L2, and for the sake of rounding.
constexpr int64_t kDepth = 1024;
constexpr int64_t kPackedFloats = 4 << 20;    // of B, packed at a time
constexpr int64_t kTasksPerThread = 8;        // enough for a thread that was interrupted to be helped out
constexpr int64_t kSerialProducts = 1 << 18;  // fewer multiply-adds than waking another thread is worth
constexpr int64_t kPackRows = 32;             // of B, packed by one task

// The length of a K block: equal parts of at most kDepth. It sets the order of summation, so it depends on k alone.
int64_t gemm_depth(int64_t k) { return ceil_div(ceil_div(k, ceil_div(k, kDepth)), 8) * 8; }

// One K block of rows m0 .. m0 + m and columns n0 .. n0 + n of the product.
struct Part {
    int64_t k0, kc, m0, m, n0, n;
};

struct Product {
    const KernelTable& kernel;
    Matmul p;
    bool swapped;  // C is written transposed
    int threads;

    int64_t tiles(const Part& part) const { return ceil_div(part.m, kernel.gemm_rows); }
    int64_t panels(const Part& part) const { return ceil_div(part.n, kernel.gemm_columns); }

    // Packs the part's A, and its B unless `b` is null, in one go.
    void pack(const Part& part, float* a, float* b) const {
        const int64_t strips = !b ? 0 : p.trans_b ? panels(part) : ceil_div(part.kc, kPackRows);
        parallel_for(strips + tiles(part), threads, [&](int64_t task) {
            if (task < strips)
                pack_strip(part, task, b);
            else
                pack_tile(part, task - strips, a);
        });
    }

    void pack_tile(const Part& part, int64_t tile, float* out) const {
        const int64_t row = gemm_tile_row(part.m, tiles(part), tile), first = part.m0 + row;
        GemmPackArgs a{};
        a.a = p.a + (p.trans_a ? part.k0 * p.lda + first : first * p.lda + part.k0);
        a.stride = p.lda;
        a.transposed = p.trans_a;
        a.rows = static_cast<int>(gemm_tile_row(part.m, tiles(part), tile + 1) - row);
        a.kc = part.kc;
        a.out = out + row * part.kc;
        kernel.gemm_pack(&a);
    }

    // Some rows of B across all panels, or, when B is transposed, one panel: along its rows as they lie in memory.
    void pack_strip(const Part& part, int64_t strip, float* out) const {
        const int64_t width = kernel.gemm_columns;
        GemmPackPanelsArgs b{};
        b.stride = p.ldb;
        b.transposed = p.trans_b;
        b.panel_stride = part.kc * width;
        if (p.trans_b) {
            const int64_t j = strip * width;
            b.b = p.b + (part.n0 + j) * p.ldb + part.k0;
            b.n = std::min(width, part.n - j);
            b.rows = part.kc;
            b.out = out + strip * b.panel_stride;
        } else {
            const int64_t k = strip * kPackRows;
            b.b = p.b + (part.k0 + k) * p.ldb + part.n0;
            b.n = part.n;
            b.rows = std::min(kPackRows, part.kc - k);
            b.out = out + k * width;
        }
        kernel.gemm_pack_panels(&b);
    }

    // Blocks of row tiles times ranges of panels; `blocks` of the former unless there are too few tasks.
    void multiply(const Part& part, int64_t blocks, const float* a, const float* b) const {
        const int64_t width = kernel.gemm_columns, n_tiles = tiles(part), n_panels = panels(part);
        const int64_t wanted = threads > 1 ? threads * kTasksPerThread : 1;
        const int64_t ranges = std::min(n_panels, ceil_div(wanted, blocks));
        blocks = std::min(n_tiles, std::max(blocks, ceil_div(wanted, ranges)));
        parallel_for(blocks * ranges, threads, [&](int64_t task) {
            const int64_t block = task / ranges, range = task % ranges;
            const int64_t j = n_panels * range / ranges * width, end = n_panels * (range + 1) / ranges * width;
            Workspace workspace;
            GemmBlockArgs g{};
            g.m = part.m;
            g.n = std::min(end, part.n) - j;
            g.kc = part.kc;
            g.n_tiles = n_tiles;
            g.tile_begin = n_tiles * block / blocks;
            g.tile_end = n_tiles * (block + 1) / blocks;
            g.a = a;
            g.b_packed = b != nullptr;
            if (b) {
                g.b = b + j * part.kc;
            } else {
                g.b = p.b + (p.trans_b ? (part.n0 + j) * p.ldb + part.k0 : part.k0 * p.ldb + part.n0 + j);
                g.b_stride = p.ldb;
                g.b_transposed = p.trans_b;
                g.scratch = workspace.take<float>(part.kc * width);
            }
            g.c = swapped ? p.c + (part.n0 + j) * p.ldc + part.m0 : p.c + part.m0 * p.ldc + part.n0 + j;
            g.c_stride = p.ldc;
            g.c_transposed = swapped;
            g.accumulate = part.k0 > 0;
            g.finish = part.k0 + part.kc == p.k && (p.alpha != 1.0f || p.bias || p.activation != HC_ACTIVATION_NONE);
            g.alpha = p.alpha;
            g.bias = p.bias ? p.bias + (swapped ? part.m0 : part.n0 + j) : nullptr;
            g.activation = p.activation;
            kernel.gemm_block(&g);
        });
    }
};

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
    const double products = static_cast<double>(p.m) * static_cast<double>(p.n) * static_cast<double>(p.k);
    const int threads = products < kSerialProducts ? 1 : p.threads > 0 ? p.threads : max_threads();
    const Product product{kernel, p, swapped, threads};

    const int64_t depth = gemm_depth(p.k), width = kernel.gemm_columns;
    const bool in_place = p.m <= kernel.gemm_rows;
    const int64_t n_step = in_place ? p.n : std::min(p.n, std::max<int64_t>(kPackedFloats / depth / width, 1) * width);
    // A is packed a block for every thread at a time, so that it is still in L2 when it is used.
    const int64_t tile = kernel.gemm_rows;
    const int64_t block_rows = std::max<int64_t>(kernel.gemm_block_floats / std::min(depth, p.k) / tile, 1) * tile;
    const int64_t groups = ceil_div(p.m, block_rows * threads), group_rows = ceil_div(p.m, groups);
    const int64_t blocks = ceil_div(group_rows, block_rows);
    Workspace workspace;
    float* a = workspace.take<float>(group_rows * std::min(depth, p.k));
    float* b = in_place ? nullptr : workspace.take<float>(ceil_div(n_step, width) * width * std::min(depth, p.k));
    for (int64_t k0 = 0; k0 < p.k; k0 += depth)
        for (int64_t n0 = 0; n0 < p.n; n0 += n_step)
            for (int64_t m0 = 0; m0 < p.m; m0 += group_rows) {
                const Part part{k0, std::min(depth, p.k - k0), m0, std::min(group_rows, p.m - m0),
                                n0, std::min(n_step, p.n - n0)};
                product.pack(part, a, m0 == 0 ? b : nullptr);
                product.multiply(part, blocks, a, b);
            }
}

}  // namespace hc
