#include "cpu/matmul.h"

#include <algorithm>

#include "cpu/gemm_product.h"

namespace hc {
namespace {

constexpr int64_t kPackedFloats = 4 << 20;    // of B, packed at a time
constexpr int64_t kSerialProducts = 1 << 18;  // fewer multiply-adds than waking another thread is worth
constexpr int64_t kPackRows = 32;             // of B, packed by one task

// Both operands as they are stored.
struct Stored {
    const KernelTable& kernel;
    const Matmul& p;

    static constexpr bool kPacksPanels = true;

    void prepare(const GemmPart&, Workspace&) const {}

    void pack_panels(const GemmPart& part, int64_t j, int64_t n, float* out) const {
        GemmPackPanelsArgs b{};
        b.b = p.b + (p.trans_b ? (part.n0 + j) * p.ldb + part.k0 : part.k0 * p.ldb + part.n0 + j);
        b.stride = p.ldb;
        b.transposed = p.trans_b;
        b.n = n;
        b.rows = part.kc;
        b.panel_stride = part.kc * kernel.gemm_columns;
        b.out = out;
        kernel.gemm_pack_panels(&b);
    }

    int64_t strips(const GemmPart& part) const {
        return p.trans_b ? ceil_div(part.n, kernel.gemm_columns) : ceil_div(part.kc, kPackRows);
    }

    void pack_tile(const GemmPart& part, int64_t row, int rows, float* out) const {
        const int64_t first = part.m0 + row;
        GemmPackArgs a{};
        a.a = p.a + (p.trans_a ? part.k0 * p.lda + first : first * p.lda + part.k0);
        a.stride = p.lda;
        a.transposed = p.trans_a;
        a.rows = rows;
        a.kc = part.kc;
        a.out = out;
        kernel.gemm_pack(&a);
    }

    // Some rows of B across all panels, or, when B is transposed, one panel: along its rows as they lie in memory.
    void pack_strip(const GemmPart& part, int64_t strip, float* out) const {
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

    const float* in_place(const GemmPart& part, int64_t j, GemmBlockArgs& g) const {
        g.b_stride = p.ldb;
        g.b_transposed = p.trans_b;
        return p.b + (p.trans_b ? (part.n0 + j) * p.ldb + part.k0 : part.k0 * p.ldb + part.n0 + j);
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
    GemmOutput output{p.c, p.ldc};
    output.transposed = swapped;
    output.bias = p.bias;
    output.alpha = p.alpha;
    output.activation = p.activation;
    GemmProduct<Stored>(kernel, Stored{kernel, p}, output, threads)
        .run(p.m, p.n, p.k, kPackedFloats, p.m <= kernel.gemm_rows);
}

}  // namespace hc
