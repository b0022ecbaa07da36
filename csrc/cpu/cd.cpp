#include "cpu/cd.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <limits>

#include "common/status.h"
#include "cpu/bits.h"
#include "cpu/dispatch.h"
#include "cpu/gibbs.h"
#include "cpu/matmul.h"
#include "cpu/thread_pool.h"
#include "cpu/workspace.h"

namespace hc {
namespace {

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Unit-major bits with one more row that is always on: its "weights" are the hidden biases, so the statistics product
// gives the hidden-bias gradient too.
void append_bias_unit(uint64_t* unit_major, int64_t n_units, int64_t batch) {
    uint64_t* row = unit_major + n_units * bit_words(batch);
    for (int64_t j = 0; j < bit_words(batch); ++j) {
        const int64_t left = batch - j * 64;
        row[j] = left >= 64 ? ~uint64_t{0} : (uint64_t{1} << left) - 1;
    }
}

double popcount_mean(const uint64_t* row, int64_t batch) {
    int64_t n = 0;
    for (int64_t j = 0; j < bit_words(batch); ++j) n += __builtin_popcountll(row[j]);
    return static_cast<double>(n) / static_cast<double>(batch);
}

// Returns whether the new bias is finite.
bool apply_bias(float* b, float* velocity, float grad, float lr, float momentum) {
    float step = lr * grad;
    if (velocity) {
        step += momentum * *velocity;
        *velocity = step;
    }
    *b += step;
    return std::isfinite(*b);
}

// The data as the kernels want it.
struct Positive {
    const uint64_t* rows = nullptr;        // sample-major bits, or null when v0 is not binary
    const uint64_t* unit_major = nullptr;  // with the bias unit appended
    const float* dense = nullptr;
};

Positive prepare(const hc_cd_args& p, Workspace& workspace) {
    const int64_t batch_words = bit_words(p.batch);
    Positive v0;
    uint64_t* rows = workspace.take<uint64_t>(p.batch * bit_words(p.n_visible));
    uint64_t* unit_major = workspace.take<uint64_t>((p.n_visible + 1) * bit_words(p.batch));
    if (p.v0_bits) {
        std::memcpy(unit_major, p.v0_bits, static_cast<size_t>(p.n_visible * batch_words) * sizeof(uint64_t));
        transpose_bits(p.v0_bits, p.n_visible, p.batch, rows, p.threads);
    } else {
        const Values values = pack_rows(p.v0_dense, p.batch, p.n_visible, rows, p.threads);
        if (values == Values::other) invalid("v0: expected values in [0, 1], got a value outside it or NaN");
        if (values == Values::unit_interval) {
            v0.dense = p.v0_dense;
            return v0;
        }
        transpose_bits(rows, p.batch, p.n_visible, unit_major, p.threads);
    }
    append_bias_unit(unit_major, p.n_visible, p.batch);
    v0.rows = rows;
    v0.unit_major = unit_major;
    return v0;
}

double squared_differences(const Positive& v0, const uint64_t* rows, int64_t batch, int64_t n_visible) {
    const int64_t words = bit_words(n_visible);
    if (v0.rows) return static_cast<double>(count_differences(v0.rows, rows, batch * words));
    double sum = 0.0;
    for (int64_t r = 0; r < batch; ++r)
        for (int64_t i = 0; i < n_visible; ++i) {
            const double bit = static_cast<double>(rows[r * words + i / 64] >> (i % 64) & 1);
            const double d = static_cast<double>(v0.dense[r * n_visible + i]) - bit;
            sum += d * d;
        }
    return sum;
}

HalfStep to_hidden(const hc_cd_args& p, int64_t n_rows) {
    HalfStep s{};
    s.n_rows = n_rows;
    s.n_in = p.n_visible;
    s.n_out = p.n_hidden;
    s.w = p.w;
    s.bias = p.b_hid;
    s.seed = p.seed;
    s.threads = p.threads;
    return s;
}

HalfStep to_visible(const hc_cd_args& p, int64_t n_rows) {
    HalfStep s = to_hidden(p, n_rows);
    s.n_in = p.n_hidden;
    s.n_out = p.n_visible;
    s.transposed = true;
    s.bias = p.b_vis;
    return s;
}

// k alternations from the chain's start, ending with its visible states in v_rows. For CD, h_rows holds the first hidden
// sample already and the result is the sum of (v0 - v1)^2; for PCD it is NaN.
double negative_phase(const hc_cd_args& p, const Positive& v0, int64_t n_chains, uint64_t* h_rows, uint64_t* v_rows) {
    const bool persistent = p.chains != nullptr;
    double differences = std::numeric_limits<double>::quiet_NaN();
    if (persistent) transpose_bits(p.chains, p.n_visible, n_chains, v_rows, p.threads);
    for (int step = 0; step < p.k; ++step) {
        if (persistent || step > 0) {
            HalfStep h = to_hidden(p, n_chains);
            h.in_rows = v_rows;
            h.out_rows = h_rows;
            h.offset = p.offset + 2 * static_cast<uint64_t>(step);
            half_step(h);
        }
        HalfStep v = to_visible(p, n_chains);
        v.in_rows = h_rows;
        v.out_rows = v_rows;
        v.offset = p.offset + 2 * static_cast<uint64_t>(step) + 1;
        half_step(v);
        if (step == 0 && !persistent) differences = squared_differences(v0, v_rows, p.batch, p.n_visible);
    }
    return differences;
}

// What the update of w and b_hid reads.
struct Statistics {
    const float* p0;          // p(h | v0) / batch           [batch, H]
    const float* pk;          // -p(h | vk) / chains         [chains, H]
    const uint64_t* codes0;   // v0 and the bias unit, chunk by chunk of samples; null when v0 is dense
    const uint64_t* codes_k;  // vk likewise
    const float* dense_grad;  // v0^T p0 when v0 is dense    [V, H]
    const float* dense_bias;  // its bias row                [H]
    int64_t n_chains;
};

// The positive and negative statistics of up to kUnitBlock hidden units: grad [V + 1, kUnitBlock], the last row the
// bias unit's. Returns the sum of the positive bias statistics.
double block_statistics(const hc_cd_args& p, const Statistics& s, int64_t first, int n_units, float* grad) {
    const KernelTable& kernel = kernels();
    float* bias_grad = grad + p.n_visible * kUnitBlock;
    BitProductArgs a{};
    a.n_rows = p.n_visible + 1;
    a.code_stride = static_cast<size_t>(p.n_visible + 1);
    a.input_stride = p.n_hidden;
    a.unit_stride = 1;
    a.n_units = n_units;
    a.out = grad;
    a.scratch = lookup_scratch();
    if (s.codes0) {
        a.codes = s.codes0;
        a.weights = s.p0 + first;
        a.n_inputs = p.batch;
        kernel.bit_product(&a);
        a.accumulate = 1;
    }
    const float* positive = s.codes0 ? bias_grad : s.dense_bias + first;
    double sum = 0.0;
    for (int u = 0; u < n_units; ++u) sum += static_cast<double>(positive[u]);
    a.codes = s.codes_k;
    a.weights = s.pk + first;
    a.n_inputs = s.n_chains;
    kernel.bit_product(&a);
    if (!s.codes0)
        for (int u = 0; u < n_units; ++u) bias_grad[u] += positive[u];
    return sum;
}

// Updates w and b_hid; returns the mean of p(h | v0).
double update_hidden(const hc_cd_args& p, const Statistics& s, std::atomic<int>& nonfinite) {
    const KernelTable& kernel = kernels();
    const int64_t V = p.n_visible, H = p.n_hidden, blocks = ceil_div(H, kUnitBlock);
    // Several blocks a tile, so that w is updated in pieces wider than a cache line, while every thread has its tile.
    const int64_t threads = p.threads > 0 ? p.threads : max_threads();
    const int64_t per_tile = std::clamp<int64_t>(blocks / (2 * threads), 1, 4), tiles = ceil_div(blocks, per_tile);
    Workspace workspace;
    double* sums = workspace.take<double>(blocks);
    parallel_for(tiles, p.threads, [&](int64_t tile) {
        const int64_t first_block = tile * per_tile, last_block = std::min(blocks, first_block + per_tile);
        const int64_t first = first_block * kUnitBlock;
        const int64_t panel = (V + 1) * kUnitBlock;
        Workspace scratch;
        float* grad = scratch.take<float>(per_tile * panel);
        int bad = 0;
        for (int64_t b = first_block; b < last_block; ++b) {
            const int n_units = static_cast<int>(std::min(H - b * kUnitBlock, int64_t{kUnitBlock}));
            float* block_grad = grad + (b - first_block) * panel;
            sums[b] = block_statistics(p, s, b * kUnitBlock, n_units, block_grad);
            for (int u = 0; u < n_units; ++u) {
                float* velocity = p.vel_hid ? p.vel_hid + b * kUnitBlock + u : nullptr;
                const float bias_grad = block_grad[V * kUnitBlock + u];
                if (!apply_bias(p.b_hid + b * kUnitBlock + u, velocity, bias_grad, p.lr, p.momentum)) bad = 1;
            }
        }
        CdApplyArgs apply{};
        apply.grad = grad;
        apply.panel_rows = V + 1;
        apply.dense_grad = s.dense_grad ? s.dense_grad + first : nullptr;
        apply.n_rows = V;
        apply.n_units = std::min(H, last_block * kUnitBlock) - first;
        apply.w = p.w + first;
        apply.velocity = p.vel_w ? p.vel_w + first : nullptr;
        apply.w_stride = H;
        apply.rate = p.lr;
        apply.momentum = p.momentum;
        apply.decay = p.weight_decay;
        apply.nonfinite = &bad;
        kernel.cd_apply(&apply);
        if (bad) nonfinite.store(1, std::memory_order_relaxed);
    });
    double sum = 0.0;
    for (int64_t b = 0; b < blocks; ++b) sum += sums[b];
    return sum / static_cast<double>(H);
}

// v0^T p0 and the column sums of p0, for real-valued data.
void dense_statistics(const hc_cd_args& p, const float* p0, float* grad, float* bias) {
    Matmul product{};
    product.m = p.n_visible;
    product.n = p.n_hidden;
    product.k = p.batch;
    product.a = p.v0_dense;
    product.lda = p.n_visible;
    product.trans_a = true;
    product.b = p0;
    product.ldb = p.n_hidden;
    product.c = grad;
    product.ldc = p.n_hidden;
    product.threads = p.threads;
    matmul(product);
    std::fill(bias, bias + p.n_hidden, 0.0f);
    for (int64_t r = 0; r < p.batch; ++r)
        for (int64_t u = 0; u < p.n_hidden; ++u) bias[u] += p0[r * p.n_hidden + u];
}

// Returns whether the new biases are finite.
bool update_visible_bias(const hc_cd_args& p, const Positive& v0, const uint64_t* vk, int64_t n_chains) {
    Workspace workspace;
    double* mean = workspace.take<double>(p.n_visible);
    if (v0.unit_major) {
        for (int64_t i = 0; i < p.n_visible; ++i)
            mean[i] = popcount_mean(v0.unit_major + i * bit_words(p.batch), p.batch);
    } else {
        std::fill(mean, mean + p.n_visible, 0.0);
        for (int64_t r = 0; r < p.batch; ++r)
            for (int64_t i = 0; i < p.n_visible; ++i) mean[i] += static_cast<double>(v0.dense[r * p.n_visible + i]);
        for (int64_t i = 0; i < p.n_visible; ++i) mean[i] /= static_cast<double>(p.batch);
    }
    bool finite = true;
    for (int64_t i = 0; i < p.n_visible; ++i) {
        const double negative = popcount_mean(vk + i * bit_words(n_chains), n_chains);
        float* velocity = p.vel_vis ? p.vel_vis + i : nullptr;
        if (!apply_bias(p.b_vis + i, velocity, static_cast<float>(mean[i] - negative), p.lr, p.momentum))
            finite = false;
    }
    return finite;
}

}  // namespace

void cd_update(const hc_cd_args& p, hc_cd_stats* stats) {
    const int64_t V = p.n_visible, H = p.n_hidden;
    const int64_t n_chains = p.chains ? p.n_chains : p.batch;
    Workspace workspace;

    // Positive phase: p(h | v0) / batch, and for CD the sample that starts the chain.
    const Positive v0 = prepare(p, workspace);
    float* p0 = workspace.take<float>(p.batch * H);
    uint64_t* h_rows = workspace.take<uint64_t>(n_chains * bit_words(H));
    uint64_t* v_rows = workspace.take<uint64_t>(n_chains * bit_words(V));
    HalfStep up = to_hidden(p, p.batch);
    up.in_rows = v0.rows;
    up.in_dense = v0.dense;
    up.probs = p0;
    up.prob_scale = 1.0f / static_cast<float>(p.batch);
    up.out_rows = p.chains ? nullptr : h_rows;
    up.offset = p.offset;
    if (!half_step(up)) invalid("w: expected finite values, got NaN, infinity or values whose sums overflow float32");

    // Negative phase, then p(h | vk), negated so that both phases are one sum.
    const double differences = negative_phase(p, v0, n_chains, h_rows, v_rows);
    float* pk = workspace.take<float>(n_chains * H);
    HalfStep last = to_hidden(p, n_chains);
    last.in_rows = v_rows;
    last.probs = pk;
    last.prob_scale = -1.0f / static_cast<float>(n_chains);
    half_step(last);

    // Statistics and update.
    uint64_t* vk = workspace.take<uint64_t>((V + 1) * bit_words(n_chains));
    transpose_bits(v_rows, n_chains, V, vk, p.threads);
    append_bias_unit(vk, V, n_chains);
    uint64_t* codes_k = workspace.take<uint64_t>(chunk_count(n_chains) * (V + 1));
    chunk_codes(vk, V + 1, n_chains, codes_k, p.threads);
    Statistics s{};
    s.p0 = p0;
    s.pk = pk;
    s.codes_k = codes_k;
    s.n_chains = n_chains;
    if (v0.unit_major) {
        uint64_t* codes0 = workspace.take<uint64_t>(chunk_count(p.batch) * (V + 1));
        chunk_codes(v0.unit_major, V + 1, p.batch, codes0, p.threads);
        s.codes0 = codes0;
    } else {
        float* grad = workspace.take<float>(V * H);
        float* bias = workspace.take<float>(H);
        dense_statistics(p, p0, grad, bias);
        s.dense_grad = grad;
        s.dense_bias = bias;
    }
    std::atomic<int> nonfinite{0};
    const double hidden_mean = update_hidden(p, s, nonfinite);
    if (!update_visible_bias(p, v0, vk, n_chains)) nonfinite = 1;
    if (p.chains) std::memcpy(p.chains, vk, static_cast<size_t>(V * bit_words(n_chains)) * sizeof(uint64_t));
    if (stats) {
        stats->hidden_mean = hidden_mean;
        stats->reconstruction_error = differences / (static_cast<double>(p.batch) * static_cast<double>(V));
    }
    if (nonfinite)
        throw Error(HC_DIVERGED,
                    "w, b_vis, b_hid: the update produced NaN or infinity; the learning rate is too large, or velocity "
                    "held NaN");
}

}  // namespace hc
