#include "cpu/cd.h"

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

void apply_bias(float* b, float* velocity, float grad, float lr, float momentum) {
    float step = lr * grad;
    if (velocity) {
        step += momentum * *velocity;
        *velocity = step;
    }
    *b += step;
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

}  // namespace

void cd_update(const hc_cd_args& p, hc_cd_stats* stats) {
    const KernelTable& kernel = kernels();
    const int64_t V = p.n_visible, H = p.n_hidden;
    const bool persistent = p.chains != nullptr;
    const int64_t n_chains = persistent ? p.n_chains : p.batch;
    const int64_t v_words = bit_words(V);
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
    up.out_rows = persistent ? nullptr : h_rows;
    up.offset = p.offset;
    if (!half_step(up)) invalid("w: expected finite values, got NaN or infinity");

    // Negative phase: k alternations, ending on p(h | vk), negated so that both phases are one sum.
    double differences = std::numeric_limits<double>::quiet_NaN();
    float* pk = workspace.take<float>(n_chains * H);
    if (persistent) transpose_bits(p.chains, V, n_chains, v_rows, p.threads);
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
        if (step == 0 && !persistent && v0.rows)
            differences = static_cast<double>(count_differences(v0.rows, v_rows, p.batch * v_words));
        if (step == 0 && !persistent && v0.dense) {
            double sum = 0.0;
            for (int64_t r = 0; r < p.batch; ++r)
                for (int64_t i = 0; i < V; ++i) {
                    const double bit = static_cast<double>(v_rows[r * v_words + i / 64] >> (i % 64) & 1);
                    const double d = static_cast<double>(v0.dense[r * V + i]) - bit;
                    sum += d * d;
                }
            differences = sum;
        }
    }
    HalfStep last = to_hidden(p, n_chains);
    last.in_rows = v_rows;
    last.probs = pk;
    last.prob_scale = -1.0f / static_cast<float>(n_chains);
    half_step(last);

    // Statistics and update, a block of hidden units at a time.
    const int64_t chain_words = bit_words(n_chains), batch_words = bit_words(p.batch);
    uint64_t* vk = workspace.take<uint64_t>((V + 1) * bit_words(n_chains));
    transpose_bits(v_rows, n_chains, V, vk, p.threads);
    append_bias_unit(vk, V, n_chains);
    uint64_t* codes_k = workspace.take<uint64_t>(chunk_count(n_chains) * (V + 1));
    chunk_codes(vk, V + 1, n_chains, codes_k, p.threads);
    uint64_t* codes0 = nullptr;
    if (v0.unit_major) {
        codes0 = workspace.take<uint64_t>(chunk_count(p.batch) * (V + 1));
        chunk_codes(v0.unit_major, V + 1, p.batch, codes0, p.threads);
    }
    float* dense_grad = nullptr;
    if (v0.dense) {
        dense_grad = workspace.take<float>(V * H);
        Matmul product{};
        product.m = V;
        product.n = H;
        product.k = p.batch;
        product.a = v0.dense;
        product.lda = V;
        product.trans_a = true;
        product.b = p0;
        product.ldb = H;
        product.c = dense_grad;
        product.ldc = H;
        product.threads = p.threads;
        matmul(product);
    }
    const int64_t block = kUnitBlock, tiles = ceil_div(H, block);
    std::atomic<int> nonfinite{0};
    double* hidden_sums = workspace.take<double>(tiles);
    parallel_for(tiles, p.threads, [&](int64_t tile) {
        const int64_t first = tile * block;
        const int n_units = static_cast<int>(H - first < block ? H - first : block);
        Workspace scratch;
        float* grad = scratch.take<float>((V + 1) * block);
        float* bias_grad = grad + V * block;
        BitProductArgs a{};
        a.n_rows = V + 1;
        a.code_stride = static_cast<size_t>(V + 1);
        a.input_stride = H;
        a.unit_stride = 1;
        a.n_units = n_units;
        a.out = grad;
        a.scratch = lookup_scratch();
        if (v0.unit_major) {
            a.codes = codes0;
            a.weights = p0 + first;
            a.n_inputs = p.batch;
            kernel.bit_product(&a);
            a.accumulate = 1;
        }
        float positive[kUnitBlock];
        for (int u = 0; u < n_units; ++u) {
            positive[u] = v0.unit_major ? bias_grad[u] : 0.0f;
            if (!v0.unit_major)
                for (int64_t r = 0; r < p.batch; ++r) positive[u] += p0[r * H + first + u];
        }
        a.codes = codes_k;
        a.weights = pk + first;
        a.n_inputs = n_chains;
        kernel.bit_product(&a);

        int bad = 0;
        CdApplyArgs apply{};
        apply.grad = grad;
        apply.grad_stride = block;
        apply.dense_grad = dense_grad ? dense_grad + first : nullptr;
        apply.n_rows = V;
        apply.n_units = n_units;
        apply.w = p.w + first;
        apply.velocity = p.vel_w ? p.vel_w + first : nullptr;
        apply.w_stride = H;
        apply.rate = p.lr;
        apply.momentum = p.momentum;
        apply.decay = p.weight_decay;
        apply.nonfinite = &bad;
        kernel.cd_apply(&apply);
        double sum = 0.0;
        for (int u = 0; u < n_units; ++u) {
            sum += static_cast<double>(positive[u]);
            const float g = v0.unit_major ? bias_grad[u] : bias_grad[u] + positive[u];
            float* velocity = p.vel_hid ? p.vel_hid + first + u : nullptr;
            apply_bias(p.b_hid + first + u, velocity, g, p.lr, p.momentum);
        }
        hidden_sums[tile] = sum;
        if (bad) nonfinite.store(1, std::memory_order_relaxed);
    });
    for (int64_t i = 0; i < V; ++i) {
        double positive = 0.0;
        if (v0.unit_major)
            positive = popcount_mean(v0.unit_major + i * batch_words, p.batch);
        else {
            for (int64_t r = 0; r < p.batch; ++r) positive += static_cast<double>(v0.dense[r * V + i]);
            positive /= static_cast<double>(p.batch);
        }
        const float g = static_cast<float>(positive - popcount_mean(vk + i * chain_words, n_chains));
        apply_bias(p.b_vis + i, p.vel_vis ? p.vel_vis + i : nullptr, g, p.lr, p.momentum);
    }
    if (persistent) std::memcpy(p.chains, vk, static_cast<size_t>(V * chain_words) * sizeof(uint64_t));
    if (stats) {
        double sum = 0.0;
        for (int64_t t = 0; t < tiles; ++t) sum += hidden_sums[t];
        stats->hidden_mean = sum / static_cast<double>(H);
        stats->reconstruction_error = differences / (static_cast<double>(p.batch) * static_cast<double>(V));
    }
    if (nonfinite)
        throw Error(HC_DIVERGED,
                    "w: the update produced NaN or infinite weights; the learning rate is too large, or velocity held NaN");
}

}  // namespace hc
