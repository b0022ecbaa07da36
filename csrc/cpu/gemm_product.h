// The loops of a matrix product around gemm_block: K blocks, parts of the columns, groups of rows. Where the operands come
// from, and so how they are packed, is the caller's.
#pragma once

#include <stdint.h>

#include <algorithm>

#include "cpu/ceil_div.h"
#include "cpu/dispatch.h"
#include "cpu/gemm_grid.h"
#include "cpu/thread_pool.h"
#include "cpu/workspace.h"
#include "hintoncore/hintoncore.h"

namespace hc {

// The length of a K block: equal parts of at most kGemmDepth, the longest chain of multiply-adds and the depth of what is
// packed at a time. Long, because C is read and written once a block; bounded, because a panel of B and a tile of A of
// this depth share L1 and a part of L2, and for the sake of rounding. It sets the order of summation, so it depends on k
// alone.
constexpr int64_t kGemmDepth = 1024;
inline int64_t gemm_depth(int64_t k) { return ceil_div(ceil_div(k, ceil_div(k, kGemmDepth)), 8) * 8; }

// One K block of rows m0 .. m0 + m and columns n0 .. n0 + n of a product.
struct GemmPart {
    int64_t k0, kc, m0, m, n0, n;
};

// Where a product goes: c = activation(alpha * product + bias).
struct GemmOutput {
    float* c;
    int64_t ldc;
    bool transposed = false;
    const GemmGrid* columns = nullptr;  // where the columns of C lie; null: side by side
    const float* bias = nullptr;        // of the columns of C, those of memory; null: none
    const float* row_bias = nullptr;    // of its rows, with a grid of columns
    float alpha = 1.0f;
    int activation = HC_ACTIVATION_NONE;
};

// Operands has
//   void prepare(part, workspace): before a part of B is packed;
//   int64_t strips(part), void pack_strip(part, strip, out): pieces of B, into panels [kc, gemm_columns];
//   kPacksPanels, and then void pack_panels(part, j, n, out): the panels of columns j .. j + n alone;
//   void pack_tile(part, row, rows, out): rows row .. row + rows of A, [kc, rows];
//   const float* in_place(part, column, args): for a product of few rows, whose B is not packed: its layout, and the address.
template <class Operands>
class GemmProduct {
   public:
    GemmProduct(const KernelTable& kernel, const Operands& operands, const GemmOutput& output, int threads)
        : kernel_(kernel), operands_(operands), output_(output), threads_(threads) {}

    // Packs at most `packed_floats` of B at a time, or nothing of it.
    void run(int64_t m, int64_t n, int64_t k, int64_t packed_floats, bool in_place) {
        if (!in_place && takes_blocks(m, n, k)) return run_by_blocks(m, n, k);
        const int64_t depth = gemm_depth(k), width = kernel_.gemm_columns;
        const int64_t n_step = in_place ? n : std::min(n, std::max<int64_t>(packed_floats / depth / width, 1) * width);
        // A is packed a block for every thread at a time, so that it is still in L2 when it is used.
        const int64_t tile = kernel_.gemm_rows;
        const int64_t block_rows = std::max<int64_t>(kernel_.gemm_block_floats / std::min(depth, k) / tile, 1) * tile;
        const int64_t groups = ceil_div(m, block_rows * threads_), group_rows = ceil_div(m, groups);
        const int64_t blocks = ceil_div(group_rows, block_rows);
        const int64_t n_panels = ceil_div(n_step, width);
        if (Operands::kPacksPanels && threads_ > 1 && !in_place && groups == 1 && blocks == 1 &&
            n_panels >= kPanelsPerThread * threads_)
            own_panels_ = std::max<int64_t>(
                std::min(n_panels / (kFewTasks * threads_), kOwnFloats / (std::min(depth, k) * width)), 1);
        k_ = k;
        Workspace workspace;
        float* a = workspace.take<float>(group_rows * std::min(depth, k));
        const int64_t packed = in_place || own_panels_ ? 0 : ceil_div(n_step, width) * width;
        float* b = packed ? workspace.take<float>(packed * std::min(depth, k)) : nullptr;
        for (int64_t k0 = 0; k0 < k; k0 += depth)
            for (int64_t n0 = 0; n0 < n; n0 += n_step)
                for (int64_t m0 = 0; m0 < m; m0 += group_rows) {
                    const GemmPart part{k0, std::min(depth, k - k0), m0, std::min(group_rows, m - m0),
                                        n0, std::min(n_step, n - n0)};
                    pack(part, a, m0 == 0 ? b : nullptr);
                    multiply(part, blocks, a, b);
                }
    }

   private:
    // Few columns and a long K leave too little between two waits of the threads for each other; and what one packs, the
    // other would fetch from its cache. Whether K blocks are then taken whole: where a task's B and its A stay in L2, the
    // products of all blocks are not much to keep, and threads get about as many each.
    bool takes_blocks(int64_t m, int64_t n, int64_t k) const {
        if constexpr (!Operands::kPacksPanels) return false;
        const int64_t depth = gemm_depth(k), blocks = ceil_div(k, depth),
                      shares = ceil_div(blocks, threads_) * threads_;
        return threads_ > 1 && !output_.columns && blocks > 1 && blocks * 8 >= shares * 7 &&
               n * depth <= 2 * kernel_.gemm_block_floats && m * n * blocks <= kBlockProducts;
    }

    // Tasks are K blocks: each packs its own B and, some rows at a time, A. Their products are added in order.
    void run_by_blocks(int64_t m, int64_t n, int64_t k) {
        if constexpr (Operands::kPacksPanels) {
            const int64_t depth = gemm_depth(k), n_blocks = ceil_div(k, depth), width = kernel_.gemm_columns;
            const int64_t rows = output_.transposed ? n : m, columns = output_.transposed ? m : n;
            const int64_t groups = ceil_div(m * depth, kernel_.gemm_block_floats);
            Workspace workspace;
            float* products = workspace.take<float>(n_blocks * m * n);
            parallel_for(n_blocks, threads_, [&](int64_t block) {
                Workspace scratch;
                const int64_t k0 = block * depth;
                GemmPart part{k0, std::min(depth, k - k0), 0, m, 0, n};
                float* b = scratch.take<float>(panels(part) * width * part.kc);
                float* a = scratch.take<float>(ceil_div(m, groups) * part.kc);
                operands_.pack_panels(part, 0, n, b);
                for (int64_t group = 0; group < groups; ++group) {
                    part.m0 = m * group / groups;
                    part.m = m * (group + 1) / groups - part.m0;
                    GemmBlockArgs g{};
                    g.m = part.m;
                    g.n = n;
                    g.kc = part.kc;
                    g.n_tiles = g.tile_end = tiles(part);
                    for (int64_t tile = 0; tile < g.n_tiles; ++tile) pack_tile(part, tile, g.n_tiles, a);
                    g.a = a;
                    g.b = b;
                    g.b_packed = 1;
                    g.c = products + block * m * n + (output_.transposed ? part.m0 : part.m0 * n);
                    g.c_stride = columns;
                    g.c_transposed = output_.transposed;
                    kernel_.gemm_block(&g);
                }
            });
            const int64_t strips = std::min<int64_t>(rows, threads_ * kFewTasks);
            parallel_for(strips, threads_, [&](int64_t strip) {
                const int64_t row = rows * strip / strips;
                GemmSumArgs s{};
                s.blocks = products + row * columns;
                s.block_stride = m * n;
                s.n_blocks = n_blocks;
                s.rows = rows * (strip + 1) / strips - row;
                s.columns = columns;
                s.c = output_.c + row * output_.ldc;
                s.c_stride = output_.ldc;
                s.finish = finishes();
                s.alpha = output_.alpha;
                s.bias = output_.bias;
                s.activation = output_.activation;
                kernel_.gemm_sum(&s);
            });
        }
    }

    bool finishes() const {
        return output_.alpha != 1.0f || output_.bias || output_.row_bias || output_.activation != HC_ACTIVATION_NONE;
    }

    int64_t tiles(const GemmPart& part) const { return ceil_div(part.m, kernel_.gemm_rows); }
    int64_t panels(const GemmPart& part) const { return ceil_div(part.n, kernel_.gemm_columns); }

    // Packs the part's A, and its B unless `b` is null, in one go.
    void pack(const GemmPart& part, float* a, float* b) {
        Workspace workspace;
        if (b) operands_.prepare(part, workspace);
        const int64_t strips = b ? operands_.strips(part) : 0, n_tiles = tiles(part);
        parallel_for(strips + n_tiles, threads_, [&](int64_t task) {
            if (task < strips) return operands_.pack_strip(part, task, b);
            pack_tile(part, task - strips, n_tiles, a);
        });
    }

    // Row tile `tile` of the part's A, to its place in `a`.
    void pack_tile(const GemmPart& part, int64_t tile, int64_t n_tiles, float* a) const {
        const int64_t row = gemm_tile_row(part.m, n_tiles, tile), end = gemm_tile_row(part.m, n_tiles, tile + 1);
        operands_.pack_tile(part, row, static_cast<int>(end - row), a + row * part.kc);
    }

    // Blocks of row tiles times ranges of panels; `blocks` of the former unless there are too few tasks.
    void multiply(const GemmPart& part, int64_t blocks, const float* a, const float* b) const {
        const int64_t width = kernel_.gemm_columns, n_tiles = tiles(part), n_panels = panels(part);
        const int64_t products = part.m * part.n * part.kc / threads_;
        const int64_t wanted =
            threads_ > 1 ? threads_ * std::clamp(products / kTaskProducts, kFewTasks, kManyTasks) : 1;
        const int64_t ranges =
            own_panels_ ? ceil_div(n_panels, own_panels_) : std::min(n_panels, ceil_div(wanted, blocks));
        if (!own_panels_) blocks = std::min(n_tiles, std::max(blocks, ceil_div(wanted, ranges)));
        parallel_for(blocks * ranges, threads_, [&](int64_t task) {
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
            } else if (own_panels_) {
                float* own = workspace.take<float>((end - j) * part.kc);
                if constexpr (Operands::kPacksPanels) operands_.pack_panels(part, j, g.n, own);
                g.b = own;
                g.b_packed = 1;
            } else {
                g.scratch = workspace.take<float>(part.kc * width);
                g.b = operands_.in_place(part, j, g);
            }
            place(part, j, g, workspace);
            g.accumulate = part.k0 > 0;
            g.finish = part.k0 + part.kc == k_ && finishes();
            g.alpha = output_.alpha;
            g.activation = output_.activation;
            kernel_.gemm_block(&g);
        });
    }

    // Where columns j .. j + g.n of the part go.
    void place(const GemmPart& part, int64_t j, GemmBlockArgs& g, Workspace& workspace) const {
        g.c_stride = output_.ldc;
        if (output_.columns) {
            g.c = output_.c + part.m0 * output_.ldc;
            g.c_runs = panel_runs(*output_.columns, part.n0 + j, g.n, kernel_.gemm_columns, workspace);
            g.row_bias = output_.row_bias ? output_.row_bias + part.m0 : nullptr;
            return;
        }
        const int64_t row = output_.transposed ? part.n0 + j : part.m0,
                      column = output_.transposed ? part.m0 : part.n0 + j;
        g.c = output_.c + row * output_.ldc + column;
        g.c_transposed = output_.transposed;
        g.bias = output_.bias ? output_.bias + column : nullptr;
    }

    static constexpr int64_t kBlockProducts = 2 << 20;  // floats that the products of all K blocks may take
    static constexpr int64_t kOwnFloats = 32 << 10;     // of B that a task packs for itself
    static constexpr int64_t kPanelsPerThread = 3;      // fewer, and one more or less is too much of a thread's share
    // Tasks of a thread: enough that one that was interrupted is helped out, and more where the last to finish would
    // otherwise be waited for long.
    static constexpr int64_t kFewTasks = 8, kManyTasks = 16, kTaskProducts = int64_t{1} << 22;

    const KernelTable& kernel_;
    Operands operands_;
    const GemmOutput output_;
    const int threads_;
    int64_t k_ = 0;
    // Panels of B that a task packs for itself, or 0: for products whose rows are one block of A, so that a panel has one
    // user. Else all pack first, and would fetch from each other's caches what they packed. Several at a time where they
    // are short: then what is read of a row of B is long enough for hardware to fetch ahead.
    int64_t own_panels_ = 0;
};

}  // namespace hc
