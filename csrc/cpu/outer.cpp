#include "cpu/outer.h"

#include <algorithm>
#include <atomic>
#include <cmath>

#include "common/status.h"
#include "cpu/bits.h"
#include "cpu/dispatch.h"
#include "cpu/gibbs.h"
#include "cpu/matmul.h"
#include "cpu/thread_pool.h"
#include "cpu/workspace.h"

namespace hc {
namespace {

// Blocks of units a tile: w is updated in pieces wider than a cache line, and the sums of a tile stay in the cache.
constexpr int64_t kBlocksPerTile = 4;
constexpr int64_t kRowsPerTile = 64;

// From bits: the lookup product with samples as inputs and the units of x as rows, as in the statistics of cd.cpp.
bool update_from_bits(const hc_outer_args& p) {
    const KernelTable& kernel = kernels();
    const int64_t blocks = unit_blocks(p.n_out), tiles = (blocks + kBlocksPerTile - 1) / kBlocksPerTile;
    Workspace workspace;
    uint64_t* codes = workspace.take<uint64_t>(chunk_count(p.batch) * p.n_in);
    chunk_codes(unit_rows(p.x_bits, p.batch), p.n_in, p.batch, codes, p.threads);
    std::atomic<int> nonfinite{0};
    parallel_for(tiles, p.threads, [&](int64_t tile) {
        const int64_t first = tile * kBlocksPerTile * kUnitBlock;
        const int64_t last = std::min(p.n_out, first + kBlocksPerTile * kUnitBlock);
        const int64_t panel = p.n_in * kUnitBlock;
        Workspace scratch;
        float* sums = scratch.take<float>(kBlocksPerTile * panel);
        int bad = 0;
        BitProductArgs a{};
        a.codes = codes;
        a.code_stride = static_cast<size_t>(p.n_in);
        a.n_rows = p.n_in;
        a.input_stride = p.n_out;
        a.unit_stride = 1;
        a.n_inputs = p.batch;
        a.scratch = lookup_scratch();
        for (int64_t unit = first; unit < last; unit += kUnitBlock) {
            a.weights = p.y + unit;
            a.n_units = static_cast<int>(std::min(last - unit, int64_t{kUnitBlock}));
            a.out = sums + (unit - first) / kUnitBlock * panel;
            kernel.bit_product(&a);
        }
        CdApplyArgs apply{};
        apply.grad = sums;
        apply.panel_rows = p.n_in;
        apply.n_rows = p.n_in;
        apply.n_units = last - first;
        apply.w = p.w + first;
        apply.w_stride = p.n_out;
        apply.rate = p.rate;
        apply.nonfinite = &bad;
        kernel.cd_apply(&apply);
        if (bad) nonfinite.store(1, std::memory_order_relaxed);
    });
    return !nonfinite;
}

bool update_from_dense(const hc_outer_args& p) {
    Workspace workspace;
    float* sums = workspace.take<float>(p.n_in * p.n_out);
    Matmul product{};
    product.m = p.n_in;
    product.n = p.n_out;
    product.k = p.batch;
    product.a = p.x_dense;
    product.lda = p.n_in;
    product.trans_a = true;
    product.b = p.y;
    product.ldb = p.n_out;
    product.c = sums;
    product.ldc = p.n_out;
    product.alpha = p.rate;
    product.threads = p.threads;
    matmul(product);
    std::atomic<int> nonfinite{0};
    parallel_for((p.n_in + kRowsPerTile - 1) / kRowsPerTile, p.threads, [&](int64_t tile) {
        const int64_t first = tile * kRowsPerTile * p.n_out;
        const int64_t last = std::min(p.n_in, (tile + 1) * kRowsPerTile) * p.n_out;
        float poison = 0.0f;
        for (int64_t i = first; i < last; ++i) {
            p.w[i] += sums[i];
            poison += p.w[i] * 0.0f;
        }
        if (poison != 0.0f) nonfinite.store(1, std::memory_order_relaxed);  // true of a NaN
    });
    return !nonfinite;
}

// Sums over the batch, row after row.
bool update_bias(const hc_outer_args& p) {
    Workspace workspace;
    float* sums = workspace.take<float>(p.n_out);
    std::fill(sums, sums + p.n_out, 0.0f);
    for (int64_t r = 0; r < p.batch; ++r)
        for (int64_t u = 0; u < p.n_out; ++u) sums[u] += p.y[r * p.n_out + u];
    bool finite = true;
    for (int64_t u = 0; u < p.n_out; ++u) {
        p.b[u] += p.rate * sums[u];
        finite = finite && std::isfinite(p.b[u]);
    }
    return finite;
}

}  // namespace

void outer_update(const hc_outer_args& p) {
    bool finite = p.x_bits ? update_from_bits(p) : update_from_dense(p);
    if (p.b) finite = update_bias(p) && finite;
    if (!finite)
        throw Error(HC_DIVERGED,
                    "w, b: the update produced NaN or infinity; the rate is too large, or y or w held NaN");
}

}  // namespace hc
