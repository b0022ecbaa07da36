#include "cpu/gibbs.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>

#include "cpu/bits.h"
#include "cpu/ceil_div.h"
#include "cpu/dispatch.h"
#include "cpu/lookup_plan.h"
#include "cpu/matmul.h"
#include "cpu/thread_pool.h"
#include "cpu/workspace.h"

namespace hc {
namespace {

// Rows a tile covers: enough to repay its tables, few enough that its pre-activations stay near the core.
constexpr int64_t kRowsPerTile = 1024;

// A tile of a half-step: a block of units of up to kRowsPerTile rows.
struct Tile {
    int64_t block, first_unit, first_row, n_rows;
    int n_units;

    Tile(const HalfStep& p, int64_t block, int64_t row_tile)
        : block(block),
          first_unit(block * kUnitBlock),
          first_row(row_tile * kRowsPerTile),
          n_rows(std::min(p.n_rows - first_row, kRowsPerTile)),
          n_units(static_cast<int>(std::min(p.n_out - first_unit, int64_t{kUnitBlock}))) {}
};

// What samples the units of a tile from x [n_rows, x_stride].
SampleRowsArgs sample_args(const HalfStep& p, int64_t first_row, int64_t n_rows, int64_t first_unit, int n_units,
                           const float* x, int64_t x_stride) {
    SampleRowsArgs s{};
    s.x = x;
    s.x_stride = x_stride;
    s.n_rows = n_rows;
    s.first_sample = p.first_sample + first_row;
    s.first_unit = static_cast<uint32_t>(first_unit);
    s.n_units = n_units;
    s.inv_temperature = p.inv_temperature;
    s.seed = p.seed;
    s.offset = p.offset;
    s.bits = p.out_rows ? p.out_rows.from(first_row).column(first_unit / 64) : nullptr;
    s.bits_row_step = p.out_rows.row_step;
    s.probs = p.probs ? p.probs + first_row * p.n_out + first_unit : nullptr;
    s.probs_stride = p.n_out;
    s.prob_scale = p.prob_scale;
    return s;
}

// The same from x [n_rows, kUnitBlock]; probs of the tile's block [p.n_rows, kUnitBlock], or null: as p has it.
SampleRowsArgs sample_args(const HalfStep& p, const Tile& t, const float* x, float* block_probs) {
    SampleRowsArgs s = sample_args(p, t.first_row, t.n_rows, t.first_unit, t.n_units, x, kUnitBlock);
    if (block_probs) {
        s.probs = block_probs + t.first_row * kUnitBlock;
        s.probs_stride = kUnitBlock;
    }
    return s;
}

// The last block of a row of bits may leave bytes of its last word unwritten.
void clear_row_tails(const HalfStep& p, int64_t written_units) {
    const int64_t written = written_units % 64;
    if (!p.out_rows || written == 0) return;
    uint64_t* last = p.out_rows.column(written_units / 64);
    for (int64_t r = 0; r < p.n_rows; ++r) last[r * p.out_rows.row_step] &= (uint64_t{1} << written) - 1;
}

// The weights of the block of units after this, which the same thread will most likely work on next.
LinesAhead next_weights(const HalfStep& p, const Tile& t, bool kept, bool write) {
    constexpr int64_t kLine = 16;  // floats
    const int64_t unit = t.first_unit + kUnitBlock, n_units = std::min(p.n_out - unit, int64_t{kUnitBlock});
    if (n_units <= 0 || (p.threads ? p.threads : max_threads()) == 1)
        return {};  // alone, a thread finds them in its own caches soon enough
    if (p.blocked) return {p.w + unit * p.n_in, kLine, p.n_in, write};
    if (!p.transposed) return {p.w + unit, p.n_out, p.n_in, write};
    const int64_t floats = n_units * p.n_in;
    const float* next = kept ? p.kept->panels + unit * (p.n_in + kPanelSlack) : p.w + unit * p.n_in;
    return {next, kLine, ceil_div(floats, kLine), write};
}

// x [t.n_rows, kUnitBlock] = bias + in W of a tile. Returns false when its weights hold NaN or infinities.
bool tile_preactivations(const HalfStep& p, const LookupRows& rows, const Tile& t, bool keep, bool write_soon,
                         float* x) {
    int bad = 0;
    BitProductArgs a{};
    a.codes = rows.codes + t.first_row;
    a.code_stride = static_cast<size_t>(p.n_rows);
    if (rows.chunks) a.chunks = rows.chunks + t.first_row / kRowsPerTile * chunk_count(p.n_in);
    a.n_rows = t.n_rows;
    a.weights = p.w + t.first_unit * (p.transposed || p.blocked ? p.n_in : 1);
    a.input_stride = p.transposed ? 1 : p.blocked ? kUnitBlock : p.n_out;
    a.unit_stride = p.transposed ? p.n_in : 1;
    a.n_inputs = p.n_in;
    if (keep) {
        a.panels = p.kept->panels + t.first_unit * (p.n_in + kPanelSlack);
        a.have_panels = p.kept->ready;
    }
    a.n_units = t.n_units;
    a.init = p.bias + t.first_unit;
    a.out = x;
    a.scratch = lookup_scratch();
    a.ahead = next_weights(p, t, keep && p.kept->ready, write_soon);
    a.nonfinite = &bad;
    kernels().bit_product(&a);
    return !bad;
}

bool half_step_bits(const HalfStep& p) {
    const KernelTable& kernel = kernels();
    const int64_t unit_tiles = unit_blocks(p.n_out), row_tiles = ceil_div(p.n_rows, kRowsPerTile);
    const bool keep = p.kept && row_tiles == 1;  // each panel has one tile that writes it
    Workspace workspace;
    const RowPlan plan = row_plan(p, workspace);
    parallel_run(plan, p.threads);
    const LookupRows rows = plan.rows();
    std::atomic<int> nonfinite{0};
    parallel_for(unit_tiles * row_tiles, p.threads, [&](int64_t tile) {
        const Tile t(p, tile % unit_tiles, tile / unit_tiles);
        Workspace scratch;
        float* x = scratch.take<float>(t.n_rows * kUnitBlock);
        if (!tile_preactivations(p, rows, t, keep, false, x)) nonfinite.store(1, std::memory_order_relaxed);
        float* block_probs = p.probs_by_block ? p.probs + t.block * p.n_rows * kUnitBlock : nullptr;
        const SampleRowsArgs s = sample_args(p, t, x, block_probs);
        kernel.sample_rows(&s);
        if (p.softplus_change) {
            SoftplusChangeArgs c{};
            c.x = x;
            c.x_stride = kUnitBlock;
            c.n_rows = t.n_rows;
            c.n_units = t.n_units;
            c.from = p.change_from;
            c.to = p.inv_temperature;
            c.change = p.softplus_change + t.block * p.n_rows + t.first_row;
            kernel.softplus_change(&c);
        }
    });
    clear_row_tails(p, ceil_div(p.n_out, 16) * 16);
    if (keep) p.kept->ready = true;
    return !nonfinite;
}

// Whether the groups of inputs that a lookup would tabulate have finite sums, so that the same weights are refused whether
// the inputs are bits or not.
bool groups_finite(const HalfStep& p) {
    constexpr int64_t kGroup = kChunkInputs / kChunkGroups;
    const int64_t units = p.transposed ? 1 : p.n_out, input_stride = p.transposed ? 1 : p.n_out;
    Workspace workspace;
    float* sums = workspace.take<float>(units);
    float poison = 0.0f;
    // One unit after the other along its inputs, or all units of an input side by side: as the weights lie.
    for (int64_t unit = 0; unit < p.n_out; unit += units)
        for (int64_t first = 0; first < p.n_in; first += kGroup) {
            const float* w = p.w + (p.transposed ? unit * p.n_in + first : first * input_stride);
            std::fill(sums, sums + units, 0.0f);
            for (int64_t i = 0; i < std::min(kGroup, p.n_in - first); ++i, w += input_stride)
                for (int64_t u = 0; u < units; ++u) sums[u] += w[u];
            for (int64_t u = 0; u < units; ++u) poison += sums[u] * 0.0f;
        }
    return poison == 0.0f;
}

bool half_step_dense(const HalfStep& p) {
    const KernelTable& kernel = kernels();
    if (!groups_finite(p)) return false;
    Workspace workspace;
    const int64_t stride = ceil_div(p.n_out, 16) * 16;
    float* x = workspace.take<float>(p.n_rows * stride);
    Matmul product{};
    product.m = p.n_rows;
    product.n = p.n_out;
    product.k = p.n_in;
    product.a = p.in_dense;
    product.lda = p.n_in;
    product.b = p.w;
    product.ldb = p.transposed ? p.n_in : p.n_out;
    product.trans_b = p.transposed;
    product.c = x;
    product.ldc = stride;
    product.bias = p.bias;
    product.threads = p.threads;
    matmul(product);
    // Columns past n_out are read by the sampling kernel (and dropped): define them.
    for (int64_t r = 0; r < p.n_rows; ++r)
        for (int64_t c = p.n_out; c < stride; ++c) x[r * stride + c] = 0.0f;
    const int64_t unit_tiles = ceil_div(p.n_out, 64), row_tiles = ceil_div(p.n_rows, kRowsPerTile);
    parallel_for(unit_tiles * row_tiles, p.threads, [&](int64_t tile) {
        const int64_t first_unit = tile % unit_tiles * 64, first_row = tile / unit_tiles * kRowsPerTile;
        const int64_t n_rows = p.n_rows - first_row < kRowsPerTile ? p.n_rows - first_row : kRowsPerTile;
        const int n_units = static_cast<int>(p.n_out - first_unit < 64 ? p.n_out - first_unit : 64);
        const float* tile_x = x + first_row * stride + first_unit;
        const SampleRowsArgs s = sample_args(p, first_row, n_rows, first_unit, n_units, tile_x, stride);
        kernel.sample_rows(&s);
    });
    clear_row_tails(p, stride);
    return true;
}

}  // namespace

int64_t unit_blocks(int64_t n_units) { return ceil_div(n_units, kUnitBlock); }

int64_t transposed_floats(int64_t n_in, int64_t n_out) {
    return unit_blocks(n_out) * kUnitBlock * (n_in + kPanelSlack);
}

RowPlan row_plan(const HalfStep& p, Workspace& workspace) {
    return RowPlan(p.in_rows, p.n_rows, p.n_in, p.n_out, kRowsPerTile, workspace);
}

bool block_probabilities(const HalfStep& p, const LookupRows& rows, int64_t block, float* probs) {
    bool finite = true;
    for (int64_t row_tile = 0; row_tile < ceil_div(p.n_rows, kRowsPerTile); ++row_tile) {
        const Tile t(p, block, row_tile);
        Workspace scratch;
        float* x = scratch.take<float>(t.n_rows * kUnitBlock);
        if (!tile_preactivations(p, rows, t, false, true, x)) finite = false;
        SampleRowsArgs s = sample_args(p, t, x, probs);
        s.bits = nullptr;
        kernels().sample_rows(&s);
    }
    return finite;
}

bool half_step(const HalfStep& p) { return p.in_rows ? half_step_bits(p) : half_step_dense(p); }

}  // namespace hc
