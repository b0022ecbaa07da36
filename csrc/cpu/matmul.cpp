#include "cpu/matmul.h"

#include <algorithm>

#include "cpu/gemm_product.h"

namespace hc {
namespace {

constexpr int64_t kPackedFloats = 4 << 20;    // of B, packed at a time
constexpr int64_t kSerialProducts = 1 << 18;  // fewer multiply-adds than waking another thread is worth
constexpr int64_t kPackRows = 32;             // of B, packed by one task

// Products whose operands are not packed: floats of B, which is read again and again, and of A, where the columns are few
// and most lanes idle; multiply-adds of a task.
constexpr int64_t kSmallB = 3 << 12, kSmallIdle = 1 << 12, kSmallTask = 1 << 18;
constexpr int64_t kFewRows = 3;
constexpr int64_t kSmallScratch = 1 << 12;  // floats of transposed B at a time

// Whether the lanes had better lie along the rows of C: its columns would leave most of them idle.
bool few_columns(const KernelTable& kernel, const Matmul& p) { return p.n < kernel.lanes / 2 && p.m > p.n; }

bool finishes(const Matmul& p) { return p.bias || p.alpha != 1.0f || p.activation != HC_ACTIVATION_NONE; }

// A single column, and C^T, a row, lies in memory as C does.
bool is_column(const Matmul& p) { return p.n == 1 && p.ldc == 1; }

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

bool is_small(const Matmul& p) {
    const KernelTable& kernel = kernels();
    if (p.k > kGemmDepth || (finishes(p) && is_column(p))) return false;
    // So few rows read B once, wherever it is; for more columns gemm_block has tiles of its own.
    if (p.m <= kFewRows && !p.trans_b) return p.n < 8 * kernel.lanes;
    if (p.m <= kFewRows) return p.n < 4 * kernel.lanes && p.k * p.n <= kSmallB;
    if (p.k * p.n > kSmallB) return false;
    return !few_columns(kernel, p) || p.m * p.k <= kSmallIdle || (is_column(p) && p.trans_a);
}

void small_matmuls(const Matmul& p, int64_t count, ptrdiff_t a_next, ptrdiff_t b_next, ptrdiff_t c_next) {
    const KernelTable& kernel = kernels();
    GemmSmallArgs g{};
    g.count = count;
    g.k = p.k;
    g.c = p.c;
    g.c_next = c_next;
    g.finish = finishes(p);
    g.alpha = p.alpha;
    g.bias = p.bias;
    g.activation = p.activation;
    if (is_column(p)) {
        g.m = 1;
        g.n = p.m;
        g.a = p.b;
        g.a_column = p.trans_b ? 1 : p.ldb;
        g.a_next = b_next;
        g.b = p.a;
        g.b_stride = p.lda;
        g.b_transposed = !p.trans_a;
        g.b_next = a_next;
    } else {
        g.m = p.m;
        g.n = p.n;
        g.a = p.a;
        g.a_row = p.trans_a ? 1 : p.lda;
        g.a_column = p.trans_a ? p.lda : 1;
        g.a_next = a_next;
        g.b = p.b;
        g.b_stride = p.ldb;
        g.b_transposed = p.trans_b;
        g.b_next = b_next;
        g.c_stride = p.ldc;
    }
    Workspace workspace;
    if (g.b_transposed) {
        g.scratch_floats = std::max(kSmallScratch, ceil_div(g.n, kernel.lanes) * kernel.lanes * g.k);
        g.scratch = workspace.take<float>(g.scratch_floats);
    }
    kernel.gemm_small(&g);
}

// Ranges of rows are the tasks.
static void small_matmul(const Matmul& p, double products, int threads) {
    const int64_t most = p.trans_b ? threads : threads * 4;  // each transposes all of B
    int64_t tasks = std::min({static_cast<int64_t>(products / kSmallTask), most, p.m});
    if (tasks > threads) tasks -= tasks % threads;
    if (tasks <= 1) return small_matmuls(p, 1, 0, 0, 0);
    parallel_for(tasks, threads, [&](int64_t task) {
        const int64_t row = p.m * task / tasks;
        Matmul part = p;
        part.m = p.m * (task + 1) / tasks - row;
        part.a += p.trans_a ? row : row * p.lda;
        part.c += row * p.ldc;
        small_matmuls(part, 1, 0, 0, 0);
    });
}

void matmul(const Matmul& given) {
    const KernelTable& kernel = kernels();
    const double products = static_cast<double>(given.m) * static_cast<double>(given.n) * static_cast<double>(given.k);
    const int threads = products < kSerialProducts ? 1 : given.threads > 0 ? given.threads : max_threads();
    if (is_small(given)) return small_matmul(given, products, threads);
    // C^T = B^T A^T.
    const bool swapped = few_columns(kernel, given);
    Matmul p = given;
    if (swapped) {
        std::swap(p.m, p.n);
        std::swap(p.a, p.b);
        std::swap(p.lda, p.ldb);
        p.trans_a = !given.trans_b;
        p.trans_b = !given.trans_a;
    }
    GemmOutput output{p.c, p.ldc};
    output.transposed = swapped;
    output.bias = p.bias;
    output.alpha = p.alpha;
    output.activation = p.activation;
    GemmProduct<Stored>(kernel, Stored{kernel, p}, output, threads)
        .run(p.m, p.n, p.k, kPackedFloats, p.m <= kernel.gemm_rows);
}

}  // namespace hc
