#include "cpu/cd.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <string>

#include "common/status.h"
#include "cpu/bits.h"
#include "cpu/cd_phases.h"
#include "cpu/cd_statistics.h"
#include "cpu/dispatch.h"

namespace hc {
namespace {

template <class Args>
CdProblem problem(const Args& a, const CdParameters& positive, const CdParameters& negative) {
    return {a.batch, a.n_visible, a.n_hidden, a.v0_bits, a.v0_dense, a.chains, a.chains ? a.n_chains : a.batch,
            a.k,     positive,    negative,   a.seed,    a.offset,   a.threads};
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

double mean_of(const float* x, int64_t n) {
    double sum = 0.0;
    for (int64_t i = 0; i < n; ++i) sum += static_cast<double>(x[i]);
    return sum / static_cast<double>(n);
}

// Returns whether the new biases are finite.
bool update_visible_bias(const hc_cd_args& a, const CdProblem& p, const CdPhases& phases) {
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

// Returns whether the new parameters of the tile are finite.
bool update_tile(const hc_cd_args& a, const CdProblem& p, const HiddenTile& tile) {
    const int64_t V = p.n_visible, panel = (V + 1) * kUnitBlock;
    int bad = 0;  // the sums are finite: the positive phase refused such weights
    for (int64_t u = 0; u < tile.n_units; ++u) {
        const float bias_grad = tile.grad[u / kUnitBlock * panel + V * kUnitBlock + u % kUnitBlock];
        float* velocity = a.vel_hid ? a.vel_hid + tile.first_unit + u : nullptr;
        if (!apply_bias(a.b_hid + tile.first_unit + u, velocity, bias_grad, a.lr, a.momentum)) bad = 1;
    }
    CdApplyArgs apply{};
    apply.grad = tile.grad;
    apply.panel_rows = V + 1;
    apply.dense_grad = tile.dense_grad;
    apply.n_rows = V;
    apply.n_units = tile.n_units;
    apply.w = a.w + tile.first_unit;
    apply.velocity = a.vel_w ? a.vel_w + tile.first_unit : nullptr;
    apply.w_stride = p.n_hidden;
    apply.rate = a.lr;
    apply.momentum = a.momentum;
    apply.decay = a.weight_decay;
    apply.nonfinite = &bad;
    kernels().cd_apply(&apply);
    return !bad;
}

void write_visible_means(const hc_cd_gradient_args& a, const CdProblem& p, const CdPhases& phases) {
    Workspace workspace;
    double* mean = workspace.take<double>(p.n_visible);
    data_means(p, phases.v0, mean);
    for (int64_t i = 0; i < p.n_visible; ++i) {
        a.data_vis[i] = static_cast<float>(mean[i]);
        a.model_vis[i] = static_cast<float>(model_mean(p, phases.vk, i));
    }
}

// The gradient of a tile's weights and its units' mean in the negative phase.
void write_tile(const hc_cd_gradient_args& a, const CdProblem& p, const HiddenTile& tile) {
    const int64_t V = p.n_visible, H = p.n_hidden, panel = (V + 1) * kUnitBlock;
    for (int64_t block = 0; block < tile.n_units; block += kUnitBlock) {
        const float* from = tile.grad + block / kUnitBlock * panel;
        const int64_t at = tile.first_unit + block, n = std::min(tile.n_units - block, int64_t{kUnitBlock});
        for (int64_t r = 0; r < V; ++r) {
            float* to = a.grad_w + r * H + at;
            std::copy_n(from + r * kUnitBlock, n, to);
            if (tile.dense_grad)
                for (int64_t u = 0; u < n; ++u) to[u] += tile.dense_grad[r * H + block + u];
        }
        for (int64_t u = 0; u < n; ++u) a.model_hid[at + u] = a.data_hid[at + u] - from[V * kUnitBlock + u];
    }
}

void advance_chains(uint64_t* chains, const CdProblem& p, const CdPhases& phases) {
    if (chains) std::copy_n(phases.vk, p.n_visible * bit_words(p.n_chains), chains);
}

double reconstruction_error(const CdProblem& p, const CdPhases& phases) {
    return phases.differences / (static_cast<double>(p.batch) * static_cast<double>(p.n_visible));
}

}  // namespace

void cd_update(const hc_cd_args& a, hc_cd_stats* stats) {
    const CdParameters parameters{a.w, a.b_vis, a.b_hid};
    const CdProblem p = problem(a, parameters, parameters);
    Workspace workspace;
    const CdPhases phases = run_phases(p, workspace);
    float* data_hid = workspace.take<float>(p.n_hidden);
    std::atomic<bool> finite{true};
    for_each_tile(
        p, phases, data_hid,
        [&](const HiddenTile& tile) {
            if (!update_tile(a, p, tile)) finite.store(false, std::memory_order_relaxed);
        },
        [&] {
            if (!update_visible_bias(a, p, phases)) finite.store(false, std::memory_order_relaxed);
        });
    advance_chains(a.chains, p, phases);
    if (stats) {
        stats->hidden_mean = mean_of(data_hid, p.n_hidden);
        stats->reconstruction_error = reconstruction_error(p, phases);
    }
    if (!finite)
        throw Error(HC_DIVERGED,
                    "w, b_vis, b_hid: the update produced NaN or infinity; the learning rate is too large, or velocity "
                    "held NaN");
}

void cd_gradient(const hc_cd_gradient_args& a, hc_cd_stats* stats) {
    const CdParameters positive{a.w, a.b_vis, a.b_hid};
    const CdProblem p = problem(a, positive, a.neg_w ? CdParameters{a.neg_w, a.neg_b_vis, a.neg_b_hid} : positive);
    Workspace workspace;
    const CdPhases phases = run_phases(p, workspace);
    std::atomic<bool> finite{true};
    for_each_tile(
        p, phases, a.data_hid,
        [&](const HiddenTile& tile) {
            if (!tile.finite) finite.store(false, std::memory_order_relaxed);
            write_tile(a, p, tile);
        },
        [&] { write_visible_means(a, p, phases); });
    if (!finite) invalid(std::string(a.neg_w ? "negative: w: " : "w: ") + kBadSums);
    advance_chains(a.chains, p, phases);
    if (stats) {
        stats->hidden_mean = mean_of(a.data_hid, p.n_hidden);
        stats->reconstruction_error = reconstruction_error(p, phases);
    }
}

}  // namespace hc
