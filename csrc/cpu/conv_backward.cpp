// Gradients of a convolution from g, the gradient of its sums:
//   dw = g times the patches, transposed: a product with the pixels of the batch along k;
//   dx: for each tap, w[:, :, tap]^T g, added where that tap of each pixel lies. So every product of the backward pass is
//       one that the forward pass had, whatever the stride; a correlation with a g spread by the stride would multiply
//       zeros. The products of a tap go from the registers into a small stage of padded images, tap after tap, so the
//       order of summation depends on the shape of one image and on the channels alone.
#include <algorithm>
#include <optional>

#include "cpu/conv.h"
#include "cpu/conv_gather.h"
#include "cpu/gemm_product.h"

namespace hc {
namespace {

// g [out_channels, pixels of the batch] is A; columns of B are taps, its rows pixels.
struct PatchRows {
    static constexpr bool kPacksPanels = false;
    const KernelTable& kernel;
    const ConvSizes& s;
    const float *x, *g;
    int threads;
    bool along_k;  // pixels are neighbours in longer runs than taps
    std::optional<ConvStage> stage;
    const int64_t* lead;  // of pixels
    const GemmRun* runs;  // of pixels, along k
    int n_runs;

    void prepare(const GemmPart& part, Workspace& workspace) {
        const int64_t c0 = part.n0 / s.taps, c1 = (part.n0 + part.n - 1) / s.taps + 1;
        stage.emplace(s, c0, c1 - c0, part.k0, part.kc, along_k, workspace);
        stage->load(x, threads);
        if (along_k) {
            GemmRun* found = workspace.take<GemmRun>(part.kc);
            n_runs = stage->pixels().runs(part.k0, part.kc, found);
            runs = found;
        } else {
            lead = positions(stage->pixels(), part.k0, part.kc, workspace);
        }
    }

    int64_t strips(const GemmPart& part) const { return ceil_div(part.n, kernel.gemm_columns); }

    void pack_strip(const GemmPart& part, int64_t panel, float* out) const {
        const int64_t width = kernel.gemm_columns, j = panel * width, n = std::min(width, part.n - j);
        out += j * part.kc;
        if (!along_k) {
            gather_columns(kernel, stage->data(), stage->floats(), lead, part.kc, stage->taps(), part.n0 + j, n, out);
            return;
        }
        Workspace workspace;
        GemmGatherArgs a{};
        a.src = stage->data();
        a.lead = positions(stage->taps(), part.n0 + j, n, workspace);
        a.runs = runs;
        a.n_runs = n_runs;
        a.transposed = 1;
        a.columns = static_cast<int>(n);
        a.rows = part.kc;
        a.out = out;
        kernel.gemm_gather(&a);
    }

    // Sample by sample: the pixels of one are neighbours.
    void pack_tile(const GemmPart& part, int64_t row, int rows, float* out) const {
        for (int64_t k = part.k0, end = part.k0 + part.kc; k < end;) {
            const int64_t sample = k / s.pixels, pixel = k % s.pixels;
            GemmPackArgs a{};
            a.a = g + (sample * s.out_channels + part.m0 + row) * s.pixels + pixel;
            a.stride = s.pixels;
            a.rows = rows;
            a.kc = std::min(s.pixels - pixel, end - k);
            a.out = out + (k - part.k0) * rows;
            kernel.gemm_pack(&a);
            k += a.kc;
        }
    }

    const float* in_place(const GemmPart&, int64_t, GemmBlockArgs&) const { return nullptr; }  // always packed
};

void weight_gradient(const ConvSizes& s, const float* x, const float* g, float* dw, int threads) {
    const KernelTable& kernel = kernels();
    const int64_t pieces = ceil_div(s.out_width, kernel.lanes);
    const bool along_k = s.out_width > s.kernel_width * pieces;
    const int64_t n = s.channels * s.taps;
    GemmProduct<PatchRows>(kernel, PatchRows{kernel, s, x, g, threads, along_k, std::nullopt, nullptr, nullptr, 0},
                           GemmOutput{dw, n}, threads)
        .run(s.out_channels, n, s.batch * s.pixels, kConvPackedFloats, false);
}

// How dx is cut up. Nothing here depends on the batch, on threads or on the level, so neither does the order of sums.
constexpr int64_t kBlockChannels = 12;        // a multiple of every level's tile
constexpr int64_t kBlockRows = 256;           // products of a pixel at least, for which a panel of g is worth packing
constexpr int64_t kRangeFloats = 96 << 10;    // of packed g, which stays in L2
constexpr int64_t kStageFloats = 64 << 10;    // of padded images
constexpr int64_t kWeightFloats = 256 << 10;  // of packed weights
constexpr int64_t kTasksPerThread = 4;

struct InputGradient {
    const KernelTable& kernel;
    const ConvSizes& s;
    const float *w, *g;
    float* dx;
    int64_t depth;           // of a K block, along the output channels
    int64_t block_channels;  // of a task
    int64_t range_pixels;    // that a stage covers: whole samples, or whole rows of one

    InputGradient(const ConvSizes& sizes, const float* weights, const float* gradient, float* out)
        : kernel(kernels()), s(sizes), w(weights), g(gradient), dx(out) {
        depth = std::min(gemm_depth(s.out_channels), s.out_channels);
        block_channels = std::min(s.channels, kBlockChannels * ceil_div(kBlockRows, kBlockChannels * s.taps));
        const int64_t columns = std::max<int64_t>(kRangeFloats / depth, 64);
        const int64_t row_floats = block_channels * s.padded_columns, rows = kStageFloats / row_floats;
        const int64_t samples = std::min(columns / s.pixels, rows / s.padded_rows);
        const int64_t fitting = (rows - s.kernel_height) / s.stride_y + 1;  // rows of pixels
        range_pixels =
            samples > 0 ? samples * s.pixels
                        : std::clamp<int64_t>(std::min(columns / s.out_width, fitting), 1, s.out_height) * s.out_width;
    }

    void run(int threads) const {
        const int64_t blocks = ceil_div(s.channels, block_channels);
        const int64_t groups = threads > 1 ? std::min(s.batch, ceil_div(threads * kTasksPerThread, blocks)) : 1;
        parallel_for(blocks * groups, threads, [&](int64_t task) {
            const int64_t block = task / groups, group = task % groups;
            const int64_t c0 = block * block_channels, channels = std::min(block_channels, s.channels - c0);
            task_of(c0, channels, s.batch * group / groups, s.batch * (group + 1) / groups);
        });
    }

    void task_of(int64_t c0, int64_t channels, int64_t begin, int64_t end) const {
        for (int64_t n = begin; n < end; ++n) {
            float* first = dx + (n * s.channels + c0) * s.height * s.width;
            std::fill(first, first + channels * s.height * s.width, 0.0f);
        }
        const int64_t taps = std::clamp<int64_t>(kWeightFloats / (channels * depth), 1, s.taps);
        Workspace workspace;
        Weights weights{workspace.take<float>(channels * taps * depth), taps, -1, -1};
        const bool split = range_pixels < s.pixels;
        for (int64_t first = begin * s.pixels; first < end * s.pixels;) {
            const int64_t last = split ? (first / s.pixels + 1) * s.pixels : end * s.pixels;
            const int64_t n = std::min(range_pixels, last - first);
            range(c0, channels, first, n, weights);
            first += n;
        }
    }

    // Packed weights of some taps and one K block, by row tile, tap, k.
    struct Weights {
        float* data;
        int64_t taps, k0, tap0;
    };

    void range(int64_t c0, int64_t channels, int64_t first, int64_t n, Weights& weights) const {
        Workspace workspace;
        ConvStage stage(s, c0, channels, first, n, true, workspace);
        stage.clear();
        const int64_t width = kernel.gemm_columns;
        float* panels = workspace.take<float>(ceil_div(n, width) * width * depth);
        const GemmRun* runs = panel_runs(stage.pixels(), first, n, width, workspace);
        const int64_t* taps = positions(stage.taps(), c0 * s.taps, s.taps, workspace);
        for (int64_t k0 = 0; k0 < s.out_channels; k0 += depth) {
            const int64_t kc = std::min(depth, s.out_channels - k0);
            pack_panels(k0, kc, first, n, panels);
            for (int64_t tap0 = 0; tap0 < s.taps; tap0 += weights.taps) {
                const int64_t tap_end = std::min(tap0 + weights.taps, s.taps);
                if (weights.k0 != k0 || weights.tap0 != tap0)
                    pack_weights(c0, channels, k0, kc, tap0, tap_end, weights);
                const float* packed = weights.data;
                for (int64_t c = 0; c < channels; c += kernel.gemm_rows) {
                    const int64_t rows = std::min<int64_t>(kernel.gemm_rows, channels - c);
                    for (int64_t tap = tap0; tap < tap_end; ++tap, packed += rows * kc) {
                        GemmBlockArgs a{};
                        a.m = rows;
                        a.n = n;
                        a.kc = kc;
                        a.n_tiles = a.tile_end = 1;
                        a.a = packed;
                        a.b = panels;
                        a.b_packed = 1;
                        a.c = stage.data() + c * stage.plane() + taps[tap];
                        a.c_stride = stage.plane();
                        a.c_runs = runs;
                        a.accumulate = 1;
                        kernel.gemm_block(&a);
                    }
                }
            }
        }
        stage.add_to(dx);
    }

    // Output channels k0 .. k0 + kc of g.
    void pack_panels(int64_t k0, int64_t kc, int64_t first, int64_t n, float* panels) const {
        Workspace workspace;
        const GemmGrid samples{1, s.pixels, s.out_channels * s.pixels, 0};
        const GemmGrid channels{1, s.out_channels, 0, 0, s.pixels};
        const int64_t* lead = positions(channels, k0, kc, workspace);
        const int64_t width = kernel.gemm_columns, floats = s.batch * s.out_channels * s.pixels;
        for (int64_t j = 0; j < n; j += width)
            gather_columns(kernel, g, floats, lead, kc, samples, first + j, std::min(width, n - j), panels + j * kc);
    }

    void pack_weights(int64_t c0, int64_t channels, int64_t k0, int64_t kc, int64_t tap0, int64_t tap_end,
                      Weights& weights) const {
        float* out = weights.data;
        for (int64_t c = 0; c < channels; c += kernel.gemm_rows) {
            ConvPackArgs a{};
            a.stride = s.channels * s.taps;
            a.w = w + k0 * a.stride + (c0 + c) * s.taps;
            a.taps = s.taps;
            a.begin = tap0;
            a.end = tap_end;
            a.rows = static_cast<int>(std::min<int64_t>(kernel.gemm_rows, channels - c));
            a.kc = kc;
            a.out = out;
            kernel.conv_pack(&a);
            out += (tap_end - tap0) * kc * a.rows;
        }
        weights.k0 = k0;
        weights.tap0 = tap0;
    }
};

// g = f'(y) dy, piece by piece.
void through_activation(const hc_conv2d_backward_args& p, int64_t floats, float* g) {
    constexpr int64_t kPiece = 1 << 13;
    const KernelTable& kernel = kernels();
    parallel_for(ceil_div(floats, kPiece), p.threads, [&](int64_t piece) {
        float sums[kPiece];  // not wanted
        ActivationBackwardArgs a{};
        a.activation = p.activation;
        a.y = p.y + piece * kPiece;
        a.dy = p.dy + piece * kPiece;
        a.g = g + piece * kPiece;
        a.stride = kPiece;
        a.n_rows = 1;
        a.n_cols = std::min(kPiece, floats - piece * kPiece);
        a.column_sums = sums;
        kernel.activation_backward(&a);
    });
}

void bias_gradient(const ConvSizes& s, const float* g, float* db, int threads) {
    parallel_for(s.out_channels, threads, [&](int64_t o) {
        double sum = 0;
        for (int64_t n = 0; n < s.batch; ++n) {
            constexpr int kChains = 8;
            const float* plane = g + (n * s.out_channels + o) * s.pixels;
            double chain[kChains] = {};
            int64_t i = 0;
            for (; i + kChains <= s.pixels; i += kChains)
                for (int c = 0; c < kChains; ++c) chain[c] += plane[i + c];
            for (; i < s.pixels; ++i) chain[0] += plane[i];
            for (double c : chain) sum += c;
        }
        db[o] = static_cast<float>(sum);
    });
}

}  // namespace

void conv2d_backward(const hc_conv2d_backward_args& p) {
    const ConvSizes s(p.shape);
    const int threads = conv_threads(s, p.threads);
    const int64_t floats = s.batch * s.out_channels * s.pixels;
    const bool active = p.activation != HC_ACTIVATION_NONE;
    Workspace workspace;
    float* own = active ? workspace.take<float>(floats) : nullptr;
    if (active) through_activation(p, floats, own);
    const float* g = active ? own : p.dy;
    if (p.db) bias_gradient(s, g, p.db, threads);
    if (p.dw) weight_gradient(s, p.x, g, p.dw, threads);
    if (p.dx) InputGradient(s, p.w, g, p.dx).run(threads);
}

}  // namespace hc
