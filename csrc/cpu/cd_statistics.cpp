#include "cpu/cd_statistics.h"

#include "cpu/bits.h"
#include "cpu/dispatch.h"
#include "cpu/matmul.h"

namespace hc {
namespace {

double popcount_mean(const uint64_t* row, int64_t batch) {
    return static_cast<double>(count_bits(row, bit_words(batch))) / static_cast<double>(batch);
}

}  // namespace

HiddenTiles::HiddenTiles(int64_t n_hidden, int threads, Workspace& workspace) : count(0) {
    const int64_t blocks = unit_blocks(n_hidden), workers = threads > 0 ? threads : max_threads();
    int64_t* first = workspace.take<int64_t>(blocks + 1);
    first[0] = 0;
    for (int64_t worker = 0; worker < workers; ++worker)
        for (int64_t left = (worker + 1) * blocks / workers - first[count]; left > 0;
             left -= first[count] - first[count - 1]) {
            first[count + 1] = first[count] + std::clamp<int64_t>(left / 2, 1, kBlocksPerTile);
            ++count;
        }
    first_block = first;
}

DenseStatistics dense_statistics(const CdProblem& p, const CdPhases& phases, Workspace& workspace) {
    if (!phases.v0.dense) return {nullptr, nullptr};
    float* grad = workspace.take<float>(p.n_visible * p.n_hidden);
    float* bias = workspace.take<float>(p.n_hidden);
    Matmul product{};
    product.m = p.n_visible;
    product.n = p.n_hidden;
    product.k = p.batch;
    product.a = p.v0_dense;
    product.lda = p.n_visible;
    product.trans_a = true;
    product.b = phases.p0;
    product.ldb = p.n_hidden;
    product.c = grad;
    product.ldc = p.n_hidden;
    product.threads = p.threads;
    matmul(product);
    std::fill(bias, bias + p.n_hidden, 0.0f);
    for (int64_t r = 0; r < p.batch; ++r)
        for (int64_t u = 0; u < p.n_hidden; ++u) bias[u] += phases.p0[r * p.n_hidden + u];
    return {grad, bias};
}

bool block_statistics(const CdProblem& p, const CdPhases& phases, const DenseStatistics& dense, int64_t block,
                      float* grad, float* positive_bias) {
    const KernelTable& kernel = kernels();
    const int64_t first = block * kUnitBlock;
    const int n_units = static_cast<int>(std::min(p.n_hidden - first, int64_t{kUnitBlock}));
    Workspace scratch;
    float* pk = scratch.take<float>(p.n_chains * kUnitBlock);
    const bool finite = block_probabilities(phases.last, phases.last_rows, block, pk);

    float* bias_grad = grad + p.n_visible * kUnitBlock;
    BitProductArgs a{};
    a.n_rows = p.n_visible + 1;
    a.code_stride = static_cast<size_t>(p.n_visible + 1);
    a.input_stride = kUnitBlock;
    a.unit_stride = 1;
    a.n_units = n_units;
    a.out = grad;
    a.scratch = lookup_scratch();
    if (!dense.grad) {
        a.codes = phases.v0.units.codes;
        a.chunks = phases.v0.units.chunks;
        a.weights = phases.p0 + block * p.batch * kUnitBlock;
        a.n_inputs = p.batch;
        kernel.bit_product(&a);
        a.accumulate = 1;
    }
    std::copy_n(dense.grad ? dense.bias + first : bias_grad, n_units, positive_bias);
    a.codes = phases.vk_units.codes;
    a.chunks = phases.vk_units.chunks;
    a.weights = pk;
    a.n_inputs = p.n_chains;
    kernel.bit_product(&a);
    if (dense.grad)
        for (int u = 0; u < n_units; ++u) bias_grad[u] += positive_bias[u];
    return finite;
}

void data_means(const CdProblem& p, const CdData& v0, double* mean) {
    if (v0.unit_major) {
        for (int64_t i = 0; i < p.n_visible; ++i)
            mean[i] = popcount_mean(v0.unit_major + i * bit_words(p.batch), p.batch);
        return;
    }
    std::fill(mean, mean + p.n_visible, 0.0);
    for (int64_t r = 0; r < p.batch; ++r)
        for (int64_t i = 0; i < p.n_visible; ++i) mean[i] += static_cast<double>(v0.dense[r * p.n_visible + i]);
    for (int64_t i = 0; i < p.n_visible; ++i) mean[i] /= static_cast<double>(p.batch);
}

double model_mean(const CdProblem& p, const uint64_t* vk, int64_t unit) {
    return popcount_mean(vk + unit * bit_words(p.n_chains), p.n_chains);
}

}  // namespace hc
