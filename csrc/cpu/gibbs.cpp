#include "cpu/gibbs.h"

#include <atomic>
#include <cstring>

#include "cpu/bits.h"
#include "cpu/dispatch.h"
#include "cpu/matmul.h"
#include "cpu/thread_pool.h"
#include "cpu/workspace.h"

namespace hc {
namespace {

// Samples a tile covers: enough to repay its tables, few enough that its pre-activations stay near the core.
constexpr int64_t kSamplesPerTile = 512;

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
int64_t at_most(int64_t n, int64_t limit) { return n < limit ? n : limit; }

// A block of output units times a block of samples.
struct Tiles {
    int64_t unit_block, unit_tiles, sample_tiles;
    Tiles(const HalfStep& p, int64_t unit_block)
        : unit_block(unit_block),
          unit_tiles(ceil_div(p.n_out, unit_block)),
          sample_tiles(ceil_div(p.n_rows, kSamplesPerTile)) {}
    int64_t count() const { return unit_tiles * sample_tiles; }
    int64_t first_unit(int64_t tile) const { return tile % unit_tiles * unit_block; }
    int64_t first_sample(int64_t tile) const { return tile / unit_tiles * kSamplesPerTile; }
};

const float* tile_weights(const HalfStep& p, int64_t first_unit) {
    return p.w + first_unit * (p.transposed ? p.n_in : 1);
}

// Tables in registers, samples along the lanes: unit-major in and out.
bool half_step_lanes(const HalfStep& p) {
    const KernelTable& kernel = kernels();
    const int64_t words = bit_words(p.n_rows), code_words = ceil_div(p.n_in, 30), stride = words * 64;
    Workspace workspace;
    uint32_t* codes = workspace.take<uint32_t>(code_words * stride);
    parallel_for(code_words, p.n_rows < 256 ? 1 : p.threads, [&](int64_t word) {
        LaneCodesArgs a{};
        a.bits = p.in_bits;
        a.row_words = static_cast<size_t>(words);
        a.n_inputs = p.n_in;
        a.n_samples = p.n_rows;
        a.word = word;
        a.codes = codes + word * stride;
        kernel.lane_codes(&a);
    });
    const Tiles tiles(p, 16);
    std::atomic<int> nonfinite{0};
    parallel_for(tiles.count(), p.threads, [&](int64_t tile) {
        const int64_t unit = tiles.first_unit(tile), sample = tiles.first_sample(tile);
        Workspace scratch;
        int bad = 0;
        LaneProductArgs a{};
        a.codes = codes + sample;
        a.code_stride = static_cast<size_t>(stride);
        a.n_samples = at_most(p.n_rows - sample, kSamplesPerTile);
        a.weights = tile_weights(p, unit);
        a.input_stride = p.transposed ? 1 : p.n_out;
        a.unit_stride = p.transposed ? p.n_in : 1;
        a.n_inputs = p.n_in;
        a.n_units = static_cast<int>(at_most(p.n_out - unit, 16));
        a.init = p.bias + unit;
        a.out_stride = ceil_div(a.n_samples, 64) * 64;
        a.out = scratch.take<float>(16 * a.out_stride);
        a.scratch = lookup_scratch();
        a.nonfinite = &bad;
        kernel.lane_product(&a);
        SampleLanesArgs s{};
        s.x = a.out;
        s.x_stride = a.out_stride;
        s.n_samples = a.n_samples;
        s.first_sample = p.first_sample + sample;
        s.first_unit = static_cast<uint32_t>(unit);
        s.n_units = a.n_units;
        s.inv_temperature = p.inv_temperature;
        s.seed = p.seed;
        s.offset = p.offset;
        s.bits = p.out_bits ? p.out_bits + unit * words + sample / 64 : nullptr;
        s.bits_row_words = static_cast<size_t>(words);
        s.probs = p.probs ? p.probs + sample * p.n_out : nullptr;
        s.probs_stride = p.n_out;
        s.prob_scale = p.prob_scale;
        kernel.sample_lanes(&s);
        if (bad) nonfinite.store(1, std::memory_order_relaxed);
    });
    return !nonfinite;
}

// The sampling of a tile whose pre-activations have units along the lanes.
void sample_tile(const HalfStep& p, const float* x, int64_t x_stride, int64_t sample, int64_t n_rows, int64_t unit,
                 int n_units, uint64_t* out_rows) {
    const int64_t out_words = bit_words(p.n_out);
    SampleRowsArgs s{};
    s.x = x;
    s.x_stride = x_stride;
    s.n_rows = n_rows;
    s.first_sample = p.first_sample + sample;
    s.first_unit = static_cast<uint32_t>(unit);
    s.n_units = n_units;
    s.inv_temperature = p.inv_temperature;
    s.seed = p.seed;
    s.offset = p.offset;
    s.bits = out_rows ? out_rows + sample * out_words : nullptr;
    s.bits_row_words = static_cast<size_t>(out_words);
    s.probs = p.probs ? p.probs + sample * p.n_out : nullptr;
    s.probs_stride = p.n_out;
    s.prob_scale = p.prob_scale;
    kernels().sample_rows(&s);
}

// Sample-major bits that sampling fills 16 units at a time: the rest of each row's last word starts as zero.
uint64_t* take_sample_rows(const HalfStep& p, Workspace& workspace) {
    if (!p.out_bits) return nullptr;
    const int64_t words = bit_words(p.n_out);
    uint64_t* rows = workspace.take<uint64_t>(p.n_rows * words);
    for (int64_t r = 0; r < p.n_rows; ++r) rows[(r + 1) * words - 1] = 0;
    return rows;
}

// Tables in memory, units along the lanes: sample-major in and out, so bits are transposed on both sides.
bool half_step_rows(const HalfStep& p) {
    const KernelTable& kernel = kernels();
    const int64_t in_words = bit_words(p.n_in);
    Workspace workspace;
    uint64_t* in_rows = workspace.take<uint64_t>(p.n_rows * in_words);
    transpose_bits(p.in_bits, p.n_in, p.n_rows, in_rows, p.threads);
    uint64_t* out_rows = take_sample_rows(p, workspace);
    const Tiles tiles(p, kernel.unit_block);
    std::atomic<int> nonfinite{0};
    parallel_for(tiles.count(), p.threads, [&](int64_t tile) {
        const int64_t unit = tiles.first_unit(tile), sample = tiles.first_sample(tile);
        Workspace scratch;
        int bad = 0;
        BitProductArgs a{};
        a.bits = in_rows + sample * in_words;
        a.row_words = static_cast<size_t>(in_words);
        a.n_rows = at_most(p.n_rows - sample, kSamplesPerTile);
        a.weights = tile_weights(p, unit);
        a.input_stride = p.transposed ? 1 : p.n_out;
        a.unit_stride = p.transposed ? p.n_in : 1;
        a.n_inputs = p.n_in;
        a.n_units = static_cast<int>(at_most(p.n_out - unit, tiles.unit_block));
        a.init = p.bias + unit;
        a.out = scratch.take<float>(a.n_rows * tiles.unit_block);
        a.scratch = lookup_scratch();
        a.nonfinite = &bad;
        kernel.bit_product(&a);
        sample_tile(p, a.out, tiles.unit_block, sample, a.n_rows, unit, a.n_units, out_rows);
        if (bad) nonfinite.store(1, std::memory_order_relaxed);
    });
    if (p.out_bits) transpose_bits(out_rows, p.n_rows, p.n_out, p.out_bits, p.threads);
    return !nonfinite;
}

bool all_finite(const float* x, int64_t n) {
    float poison = 0.0f;
    for (int64_t i = 0; i < n; ++i) poison += x[i] * 0.0f;
    return poison == 0.0f;
}

// Real-valued inputs: a matrix product, then the same sampling.
bool half_step_dense(const HalfStep& p) {
    if (!all_finite(p.w, p.n_in * p.n_out)) return false;
    Workspace workspace;
    const int64_t stride = ceil_div(p.n_out, 16) * 16;
    float* x = workspace.take<float>(p.n_rows * stride);
    uint64_t* out_rows = take_sample_rows(p, workspace);
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
    const Tiles tiles(p, 64);
    parallel_for(tiles.count(), p.threads, [&](int64_t tile) {
        const int64_t unit = tiles.first_unit(tile), sample = tiles.first_sample(tile);
        const int64_t n_rows = at_most(p.n_rows - sample, kSamplesPerTile);
        // Columns past n_out are read by the sampling kernel (and dropped): the last tile defines them.
        if (unit + 64 >= p.n_out)
            for (int64_t r = 0; r < n_rows; ++r)
                for (int64_t c = p.n_out; c < stride; ++c) x[(sample + r) * stride + c] = 0.0f;
        sample_tile(p, x + sample * stride + unit, stride, sample, n_rows, unit,
                    static_cast<int>(at_most(p.n_out - unit, 64)), out_rows);
    });
    if (p.out_bits) transpose_bits(out_rows, p.n_rows, p.n_out, p.out_bits, p.threads);
    return true;
}

}  // namespace

bool half_step(const HalfStep& p) {
    if (p.in_dense) return half_step_dense(p);
    return kernels().lane_product ? half_step_lanes(p) : half_step_rows(p);
}

}  // namespace hc
