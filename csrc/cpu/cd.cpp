#include "cpu/cd.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>

#include "common/status.h"
#include "cpu/bits.h"
#include "cpu/ceil_div.h"
#include "cpu/dispatch.h"
#include "cpu/gibbs.h"
#include "cpu/lookup_plan.h"
#include "cpu/matmul.h"
#include "cpu/thread_pool.h"
#include "cpu/workspace.h"

namespace hc {
namespace {

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
    return static_cast<double>(count_bits(row, bit_words(batch))) / static_cast<double>(batch);
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

// What both phases read, of an update and of a gradient alike.
struct Parameters {
    const float* w;
    const float* b_vis;
    const float* b_hid;
};

struct Problem {
    int64_t batch, n_visible, n_hidden;
    const uint64_t* v0_bits;
    const float* v0_dense;
    const uint64_t* chains;  // null: CD
    int64_t n_chains;        // rows of the negative phase, the batch for CD
    int k;
    Parameters positive, negative;
    uint64_t seed, offset;
    int threads;
};

template <class Args>
Problem problem(const Args& a, const Parameters& positive, const Parameters& negative) {
    return {a.batch, a.n_visible, a.n_hidden, a.v0_bits, a.v0_dense, a.chains, a.chains ? a.n_chains : a.batch,
            a.k,     positive,    negative,   a.seed,    a.offset,   a.threads};
}

// The data as the kernels want it.
struct Positive {
    const uint64_t* rows = nullptr;        // sample-major bits, or null when v0 is not binary
    const uint64_t* unit_major = nullptr;  // with the bias unit appended
    const float* dense = nullptr;
};

Positive prepare(const Problem& p, Workspace& workspace) {
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

HalfStep to_hidden(const Problem& p, const Parameters& parameters, int64_t n_rows) {
    HalfStep s{};
    s.n_rows = n_rows;
    s.n_in = p.n_visible;
    s.n_out = p.n_hidden;
    s.w = parameters.w;
    s.bias = parameters.b_hid;
    s.seed = p.seed;
    s.threads = p.threads;
    return s;
}

HalfStep to_visible(const Problem& p, const Parameters& parameters, int64_t n_rows) {
    HalfStep s = to_hidden(p, parameters, n_rows);
    s.n_in = p.n_hidden;
    s.n_out = p.n_visible;
    s.transposed = true;
    s.bias = parameters.b_vis;
    return s;
}

// k alternations from the chain's start, ending with its visible states in v_rows. For CD, h_rows holds the first hidden
// sample already and the result is the sum of (v0 - v1)^2; for PCD it is NaN.
double negative_phase(const Problem& p, const Positive& v0, uint64_t* h_rows, uint64_t* v_rows) {
    const bool persistent = p.chains != nullptr;
    double differences = std::numeric_limits<double>::quiet_NaN();
    if (persistent) transpose_bits(p.chains, p.n_visible, p.n_chains, v_rows, p.threads);
    Workspace workspace;
    TransposedWeights kept{};
    if (p.k > 1) kept.panels = workspace.take<float>(transposed_floats(p.n_hidden, p.n_visible));
    for (int step = 0; step < p.k; ++step) {
        if (persistent || step > 0) {
            HalfStep h = to_hidden(p, p.negative, p.n_chains);
            h.in_rows = v_rows;
            h.out_rows = h_rows;
            h.offset = p.offset + 2 * static_cast<uint64_t>(step);
            half_step(h);
        }
        HalfStep v = to_visible(p, p.negative, p.n_chains);
        v.kept = p.k > 1 ? &kept : nullptr;
        v.in_rows = h_rows;
        v.out_rows = v_rows;
        v.offset = p.offset + 2 * static_cast<uint64_t>(step) + 1;
        half_step(v);
        if (step == 0 && !persistent) differences = squared_differences(v0, v_rows, p.batch, p.n_visible);
    }
    return differences;
}

// What the statistics of w and b_hid are made of.
struct Statistics {
    const float* p0;          // p(h | v0) / batch           [batch, H]
    const float* pk;          // -p(h | vk) / chains         [chains, H]
    LookupRows v0;            // the visible and the bias units as rows of samples; none when v0 is dense
    LookupRows vk;            // at the end of the negative phase
    const float* dense_grad;  // v0^T p0 when v0 is dense    [V, H]
    const float* dense_bias;  // its bias row                [H]
};

// The positive and negative statistics of up to kUnitBlock hidden units: grad [V + 1, kUnitBlock], the last row the
// bias unit's, without dense_grad. positive_bias [n_units]: the bias unit's in the positive phase.
void block_statistics(const Problem& p, const Statistics& s, int64_t first, int n_units, float* grad,
                      float* positive_bias) {
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
    if (s.v0.codes) {
        a.codes = s.v0.codes;
        a.chunks = s.v0.chunks;
        a.weights = s.p0 + first;
        a.n_inputs = p.batch;
        kernel.bit_product(&a);
        a.accumulate = 1;
    }
    std::copy_n(s.v0.codes ? bias_grad : s.dense_bias + first, n_units, positive_bias);
    a.codes = s.vk.codes;
    a.chunks = s.vk.chunks;
    a.weights = s.pk + first;
    a.n_inputs = p.n_chains;
    kernel.bit_product(&a);
    if (!s.v0.codes)
        for (int u = 0; u < n_units; ++u) bias_grad[u] += positive_bias[u];
}

// v0^T p0 and the column sums of p0, for real-valued data.
void dense_statistics(const Problem& p, const float* p0, float* grad, float* bias) {
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

// Both phases, run: what updates and gradients are made of. Its memory is the workspace's.
struct Phases {
    Positive v0;
    const uint64_t* vk;  // end of the negative phase, unit-major with the bias unit
    Statistics statistics;
    double differences;  // sum of (v0 - v1)^2; NaN for PCD
};

constexpr const char* kBadSums = "expected finite values, got NaN, infinity or values whose sums overflow float32";

Phases run_phases(const Problem& p, Workspace& workspace) {
    const int64_t V = p.n_visible, H = p.n_hidden, n_chains = p.n_chains;
    Phases phases{};
    Statistics& s = phases.statistics;

    // Positive phase: p(h | v0) / batch, and for CD the sample that starts the chain.
    const Positive& v0 = phases.v0 = prepare(p, workspace);
    float* p0 = workspace.take<float>(p.batch * H);
    uint64_t* h_rows = workspace.take<uint64_t>(n_chains * bit_words(H));
    uint64_t* v_rows = workspace.take<uint64_t>(n_chains * bit_words(V));
    HalfStep up = to_hidden(p, p.positive, p.batch);
    up.in_rows = v0.rows;
    up.in_dense = v0.dense;
    up.probs = p0;
    up.prob_scale = 1.0f / static_cast<float>(p.batch);
    up.out_rows = p.chains ? nullptr : h_rows;
    up.offset = p.offset;
    if (!half_step(up)) invalid(std::string("w: ") + kBadSums);

    // Negative phase, then p(h | vk), negated so that both phases are one sum.
    phases.differences = negative_phase(p, v0, h_rows, v_rows);
    float* pk = workspace.take<float>(n_chains * H);
    HalfStep last = to_hidden(p, p.negative, n_chains);
    last.in_rows = v_rows;
    last.probs = pk;
    last.prob_scale = -1.0f / static_cast<float>(n_chains);
    if (!half_step(last)) invalid(std::string("negative: w: ") + kBadSums);

    // Operands of the statistics.
    uint64_t* vk = workspace.take<uint64_t>((V + 1) * bit_words(n_chains));
    transpose_bits(v_rows, n_chains, V, vk, p.threads);
    append_bias_unit(vk, V, n_chains);
    phases.vk = vk;
    s.p0 = p0;
    s.pk = pk;
    s.vk = lookup_rows(vk, V + 1, n_chains, H, V + 1, workspace, p.threads);
    if (v0.unit_major) {
        s.v0 = lookup_rows(v0.unit_major, V + 1, p.batch, H, V + 1, workspace, p.threads);
    } else {
        float* grad = workspace.take<float>(V * H);
        float* bias = workspace.take<float>(H);
        dense_statistics(p, p0, grad, bias);
        s.dense_grad = grad;
        s.dense_bias = bias;
    }
    return phases;
}

// Tiles of hidden units: several blocks each, so that rows of w are met in pieces wider than a cache line, while every
// thread has its tile.
struct HiddenTiles {
    int64_t blocks, per_tile, count;

    HiddenTiles(int64_t n_hidden, int threads) : blocks(ceil_div(n_hidden, kUnitBlock)) {
        const int64_t workers = threads > 0 ? threads : max_threads();
        per_tile = std::clamp<int64_t>(blocks / (2 * workers), 1, 4);
        count = ceil_div(blocks, per_tile);
    }
};

// Calls use(first unit, units, gradient panels [per_tile, V + 1, kUnitBlock]) for tiles of hidden units; positive_bias
// [H] becomes the mean of p(h | v0).
template <class Use>
void for_each_tile(const Problem& p, const Statistics& s, float* positive_bias, Use&& use) {
    const HiddenTiles tiles(p.n_hidden, p.threads);
    const int64_t panel = (p.n_visible + 1) * kUnitBlock;
    parallel_for(tiles.count, p.threads, [&](int64_t tile) {
        const int64_t first = tile * tiles.per_tile * kUnitBlock;
        const int64_t last = std::min(p.n_hidden, first + tiles.per_tile * kUnitBlock);
        Workspace scratch;
        float* grad = scratch.take<float>(tiles.per_tile * panel);
        for (int64_t u = first; u < last; u += kUnitBlock) {
            const int n_units = static_cast<int>(std::min(p.n_hidden - u, int64_t{kUnitBlock}));
            block_statistics(p, s, u, n_units, grad + (u - first) / kUnitBlock * panel, positive_bias + u);
        }
        use(first, last - first, grad);
    });
}

double mean_of(const float* x, int64_t n) {
    double sum = 0.0;
    for (int64_t i = 0; i < n; ++i) sum += static_cast<double>(x[i]);
    return sum / static_cast<double>(n);
}

// Updates w and b_hid; returns the mean of p(h | v0).
double update_hidden(const hc_cd_args& a, const Problem& p, const Statistics& s, std::atomic<int>& nonfinite) {
    const int64_t V = p.n_visible, H = p.n_hidden, panel = (V + 1) * kUnitBlock;
    Workspace workspace;
    float* positive_bias = workspace.take<float>(H);
    for_each_tile(p, s, positive_bias, [&](int64_t first, int64_t n_units, const float* grad) {
        int bad = 0;
        for (int64_t u = 0; u < n_units; ++u) {
            const float bias_grad = grad[u / kUnitBlock * panel + V * kUnitBlock + u % kUnitBlock];
            float* velocity = a.vel_hid ? a.vel_hid + first + u : nullptr;
            if (!apply_bias(a.b_hid + first + u, velocity, bias_grad, a.lr, a.momentum)) bad = 1;
        }
        CdApplyArgs apply{};
        apply.grad = grad;
        apply.panel_rows = V + 1;
        apply.dense_grad = s.dense_grad ? s.dense_grad + first : nullptr;
        apply.n_rows = V;
        apply.n_units = n_units;
        apply.w = a.w + first;
        apply.velocity = a.vel_w ? a.vel_w + first : nullptr;
        apply.w_stride = H;
        apply.rate = a.lr;
        apply.momentum = a.momentum;
        apply.decay = a.weight_decay;
        apply.nonfinite = &bad;
        kernels().cd_apply(&apply);
        if (bad) nonfinite.store(1, std::memory_order_relaxed);
    });
    return mean_of(positive_bias, H);
}

// Writes the gradient of w and b_hid's two means.
void write_hidden(const hc_cd_gradient_args& a, const Problem& p, const Statistics& s) {
    const int64_t V = p.n_visible, H = p.n_hidden, panel = (V + 1) * kUnitBlock;
    for_each_tile(p, s, a.data_hid, [&](int64_t first, int64_t n_units, const float* grad) {
        for (int64_t block = 0; block < n_units; block += kUnitBlock) {
            const float* from = grad + block / kUnitBlock * panel;
            const int64_t at = first + block, n = std::min(n_units - block, int64_t{kUnitBlock});
            for (int64_t r = 0; r < V; ++r) {
                float* to = a.grad_w + r * H + at;
                std::copy_n(from + r * kUnitBlock, n, to);
                if (s.dense_grad)
                    for (int64_t u = 0; u < n; ++u) to[u] += s.dense_grad[r * H + at + u];
            }
            for (int64_t u = 0; u < n; ++u) a.model_hid[at + u] = a.data_hid[at + u] - from[V * kUnitBlock + u];
        }
    });
}

// Means of the visible units over the data.
void data_means(const Problem& p, const Positive& v0, double* mean) {
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

// Over the negative phase.
double model_mean(const Problem& p, const uint64_t* vk, int64_t unit) {
    return popcount_mean(vk + unit * bit_words(p.n_chains), p.n_chains);
}

// Returns whether the new biases are finite.
bool update_visible_bias(const hc_cd_args& a, const Problem& p, const Phases& phases) {
    Workspace workspace;
    double* mean = workspace.take<double>(p.n_visible);
    data_means(p, phases.v0, mean);
    bool finite = true;
    for (int64_t i = 0; i < p.n_visible; ++i) {
        const auto grad = static_cast<float>(mean[i] - model_mean(p, phases.vk, i));
        if (!apply_bias(a.b_vis + i, a.vel_vis ? a.vel_vis + i : nullptr, grad, a.lr, a.momentum)) finite = false;
    }
    return finite;
}

void advance_chains(uint64_t* chains, const Problem& p, const Phases& phases) {
    if (chains) std::copy_n(phases.vk, p.n_visible * bit_words(p.n_chains), chains);
}

double reconstruction_error(const Problem& p, const Phases& phases) {
    return phases.differences / (static_cast<double>(p.batch) * static_cast<double>(p.n_visible));
}

}  // namespace

void cd_update(const hc_cd_args& a, hc_cd_stats* stats) {
    const Parameters parameters{a.w, a.b_vis, a.b_hid};
    const Problem p = problem(a, parameters, parameters);
    Workspace workspace;
    const Phases phases = run_phases(p, workspace);
    std::atomic<int> nonfinite{0};
    const double hidden_mean = update_hidden(a, p, phases.statistics, nonfinite);
    if (!update_visible_bias(a, p, phases)) nonfinite = 1;
    advance_chains(a.chains, p, phases);
    if (stats) {
        stats->hidden_mean = hidden_mean;
        stats->reconstruction_error = reconstruction_error(p, phases);
    }
    if (nonfinite)
        throw Error(HC_DIVERGED,
                    "w, b_vis, b_hid: the update produced NaN or infinity; the learning rate is too large, or velocity "
                    "held NaN");
}

void cd_gradient(const hc_cd_gradient_args& a, hc_cd_stats* stats) {
    const Parameters positive{a.w, a.b_vis, a.b_hid};
    const Problem p = problem(a, positive, a.neg_w ? Parameters{a.neg_w, a.neg_b_vis, a.neg_b_hid} : positive);
    Workspace workspace;
    const Phases phases = run_phases(p, workspace);
    write_hidden(a, p, phases.statistics);
    double* mean = workspace.take<double>(p.n_visible);
    data_means(p, phases.v0, mean);
    for (int64_t i = 0; i < p.n_visible; ++i) {
        a.data_vis[i] = static_cast<float>(mean[i]);
        a.model_vis[i] = static_cast<float>(model_mean(p, phases.vk, i));
    }
    advance_chains(a.chains, p, phases);
    if (stats) {
        stats->hidden_mean = mean_of(a.data_hid, p.n_hidden);
        stats->reconstruction_error = reconstruction_error(p, phases);
    }
}

}  // namespace hc
