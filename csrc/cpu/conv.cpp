// Forward convolution: y[n] = w [out_channels, channels taps] times the patches [channels taps, pixels of n], all samples'
// pixels side by side as the columns of one product. Panels of patches are packed from a stage of the padded images.
#include "cpu/conv.h"

#include <optional>

#include "cpu/conv_gather.h"
#include "cpu/conv_stage.h"
#include "cpu/gemm_product.h"

namespace hc {
namespace {

// Weights are A; columns of B are pixels, its rows taps.
struct PatchColumns {
    static constexpr bool kPacksPanels = false;
    const KernelTable& kernel;
    const ConvSizes& s;
    const hc_conv2d_args& p;
    int threads;
    std::optional<ConvStage> stage;
    const int64_t* lead;

    void prepare(const GemmPart& part, Workspace& workspace) {
        const int64_t c0 = part.k0 / s.taps, c1 = (part.k0 + part.kc - 1) / s.taps + 1;
        stage.emplace(s, c0, c1 - c0, part.n0, part.n, true, workspace);
        stage->load(p.x, threads);
        lead = positions(stage->taps(), part.k0, part.kc, workspace);
    }

    int64_t strips(const GemmPart& part) const { return ceil_div(part.n, kernel.gemm_columns); }

    void pack_strip(const GemmPart& part, int64_t panel, float* out) const {
        const int64_t width = kernel.gemm_columns, j = panel * width;
        gather_columns(kernel, stage->data(), stage->floats(), lead, part.kc, stage->pixels(), part.n0 + j,
                       std::min(width, part.n - j), out + j * part.kc);
    }

    void pack_tile(const GemmPart& part, int64_t row, int rows, float* out) const {
        const int64_t k = s.channels * s.taps;
        GemmPackArgs a{};
        a.a = p.w + (part.m0 + row) * k + part.k0;
        a.stride = k;
        a.rows = rows;
        a.kc = part.kc;
        a.out = out;
        kernel.gemm_pack(&a);
    }

    const float* in_place(const GemmPart&, int64_t, GemmBlockArgs&) const { return nullptr; }  // always packed
};

}  // namespace

void conv2d(const hc_conv2d_args& p) {
    const KernelTable& kernel = kernels();
    const ConvSizes s(p.shape);
    const int threads = conv_threads(s, p.threads);
    const GemmGrid samples{1, s.pixels, s.out_channels * s.pixels, 0};
    GemmOutput output{p.out, s.pixels};
    output.columns = &samples;
    output.row_bias = p.bias;
    output.activation = p.activation;
    GemmProduct<PatchColumns>(kernel, PatchColumns{kernel, s, p, threads, std::nullopt, nullptr}, output, threads)
        .run(s.out_channels, s.batch * s.pixels, s.channels * s.taps, kConvPackedFloats, false);
}

}  // namespace hc
