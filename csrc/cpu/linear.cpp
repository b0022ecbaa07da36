#include "cpu/linear.h"

#include <algorithm>

#include "cpu/ceil_div.h"
#include "cpu/dispatch.h"
#include "cpu/matmul.h"
#include "cpu/thread_pool.h"
#include "cpu/workspace.h"

namespace hc {
namespace {

constexpr int64_t kStripRows = 512;
constexpr int64_t kStripColumns = 64;

// g = f'(y) dy into `g` (unused without an activation) and db. The strips are fixed, and their sums added in order.
void through_activation(const hc_linear_backward_args& p, float* g) {
    const KernelTable& kernel = kernels();
    const int64_t row_strips = ceil_div(p.batch, kStripRows), column_strips = ceil_div(p.n_out, kStripColumns);
    Workspace workspace;
    float* sums = workspace.take<float>(row_strips * p.n_out);
    parallel_for(row_strips * column_strips, p.threads, [&](int64_t strip) {
        const int64_t column = strip % column_strips * kStripColumns, row = strip / column_strips * kStripRows;
        const int64_t at = row * p.n_out + column;
        ActivationBackwardArgs a{};
        a.activation = p.activation;
        a.y = p.y ? p.y + at : nullptr;
        a.dy = p.dy + at;
        a.g = g ? g + at : nullptr;
        a.stride = p.n_out;
        a.n_rows = std::min(kStripRows, p.batch - row);
        a.n_cols = std::min(kStripColumns, p.n_out - column);
        a.column_sums = sums + row / kStripRows * p.n_out + column;
        kernel.activation_backward(&a);
    });
    if (!p.db) return;
    std::copy(sums, sums + p.n_out, p.db);
    for (int64_t r = 1; r < row_strips; ++r)
        for (int64_t c = 0; c < p.n_out; ++c) p.db[c] += sums[r * p.n_out + c];
}

}  // namespace

void linear_backward(const hc_linear_backward_args& p) {
    Workspace workspace;
    const bool active = p.activation != HC_ACTIVATION_NONE;
    float* own = active ? workspace.take<float>(p.batch * p.n_out) : nullptr;
    if (active || p.db) through_activation(p, own);
    const float* g = active ? own : p.dy;
    if (p.dx) {
        Matmul dx{};  // g w^T
        dx.m = p.batch;
        dx.n = p.n_in;
        dx.k = p.n_out;
        dx.a = g;
        dx.lda = p.n_out;
        dx.b = p.w;
        dx.ldb = p.n_out;
        dx.trans_b = true;
        dx.c = p.dx;
        dx.ldc = p.n_in;
        dx.alpha = 1.0f;
        dx.threads = p.threads;
        matmul(dx);
    }
    if (p.dw) {
        Matmul dw{};  // x^T g
        dw.m = p.n_in;
        dw.n = p.n_out;
        dw.k = p.batch;
        dw.a = p.x;
        dw.lda = p.n_in;
        dw.trans_a = true;
        dw.b = g;
        dw.ldb = p.n_out;
        dw.c = p.dw;
        dw.ldc = p.n_out;
        dw.alpha = 1.0f;
        dw.threads = p.threads;
        matmul(dw);
    }
}

}  // namespace hc
