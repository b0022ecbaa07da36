#include <cmath>

#include "capi/border.h"
#include "cpu/bits.h"
#include "cpu/cd.h"
#include "cpu/gibbs.h"
#include "cpu/workspace.h"

namespace hc {
namespace {

void require_rbm(int64_t batch, int64_t n_visible, int64_t n_hidden) {
    require_size(batch, "batch");
    require_size(n_visible, "n_visible");
    require_size(n_hidden, "n_hidden");
    require_elements(n_visible, n_hidden, "w");
    require_elements(batch, n_visible, "visible states");
    require_elements(batch, n_hidden, "hidden states");
}

void gibbs_step(const hc_gibbs_args& p) {
    require_rbm(p.batch, p.n_visible, p.n_hidden);
    require((p.in_bits != nullptr) != (p.in_dense != nullptr), "in_bits, in_dense: give exactly one of the two");
    require_pointer(p.w, "w");
    require_pointer(p.bias, "bias");
    require(p.out_bits || p.out_dense || p.out_probs, "out_bits, out_dense, out_probs: give at least one");
    // 1/T of a subnormal T may overflow.
    require(p.temperature > 0.0f && std::isnormal(p.temperature),
            "temperature: expected a finite value above 0, at least 1.2e-38");
    require(p.first_sample >= 0 && p.first_sample % 64 == 0 && p.first_sample <= (int64_t{1} << 34) - p.batch,
            "first_sample: expected a multiple of 64 in 0..2^34 - batch");
    require_threads(p.threads);
    const int64_t n_in = p.transpose ? p.n_hidden : p.n_visible, n_out = p.transpose ? p.n_visible : p.n_hidden;
    require_finite(p.bias, n_out, "bias");

    Workspace workspace;
    const BitRows in_rows = take_sample_rows(p.batch, n_in, workspace);
    HalfStep step{};
    step.in_rows = in_rows;
    if (p.in_bits) {
        transpose_bits(unit_rows(p.in_bits, p.batch), n_in, p.batch, in_rows, p.threads);
    } else {
        const Values values = pack_rows(p.in_dense, p.batch, n_in, in_rows, p.threads);
        require(values != Values::other, "states: expected values in [0, 1], got a value outside it or NaN");
        if (values == Values::unit_interval) {
            step.in_rows = {};
            step.in_dense = p.in_dense;
        }
    }
    const bool draws = p.out_bits || p.out_dense;
    const BitRows out_rows = draws ? take_sample_rows(p.batch, n_out, workspace) : BitRows{};
    step.n_rows = p.batch;
    step.n_in = n_in;
    step.n_out = n_out;
    step.w = p.w;
    step.transposed = p.transpose != 0;
    step.bias = p.bias;
    step.inv_temperature = 1.0f / p.temperature;
    step.seed = p.seed;
    step.offset = p.offset;
    step.first_sample = p.first_sample;
    step.out_rows = out_rows;
    step.probs = p.out_probs;
    step.threads = p.threads;
    if (!half_step(step)) invalid("w: expected finite values, got NaN, infinity or values whose sums overflow float32");
    if (p.out_bits) transpose_bits(out_rows, p.batch, n_out, unit_rows(p.out_bits, p.batch), p.threads);
    if (p.out_dense) unpack_rows(out_rows, p.batch, n_out, p.out_dense, p.threads);
}

// What an update and a gradient both ask of their arguments.
template <class Args>
void require_phases(const Args& p) {
    require_rbm(p.batch, p.n_visible, p.n_hidden);
    require((p.v0_bits != nullptr) != (p.v0_dense != nullptr), "v0_bits, v0_dense: give exactly one of the two");
    require_pointer(p.w, "w");
    require_pointer(p.b_vis, "b_vis");
    require_pointer(p.b_hid, "b_hid");
    if (p.chains) {
        require_size(p.n_chains, "n_chains");
        require_elements(p.n_chains, p.n_visible, "chains");
        require_elements(p.n_chains, p.n_hidden, "chains");
    }
    require_threads(p.threads);
    require_finite(p.b_vis, p.n_visible, "b_vis");
    require_finite(p.b_hid, p.n_hidden, "b_hid");
}

void checked_cd_update(const hc_cd_args& p, hc_cd_stats* stats) {
    require_phases(p);
    const int velocities = (p.vel_w != nullptr) + (p.vel_vis != nullptr) + (p.vel_hid != nullptr);
    require(velocities == 0 || velocities == 3, "velocity: give all three arrays or none");
    require(p.k >= 1, "k: expected at least 1");
    require(std::isfinite(p.lr) && p.lr >= 0.0f, "lr: expected a finite value, at least 0");
    require(p.momentum >= 0.0f && p.momentum < 1.0f, "momentum: expected a value in [0, 1)");
    require(p.momentum == 0.0f || velocities == 3, "velocity: momentum above 0 needs it");
    require(std::isfinite(p.weight_decay) && p.weight_decay >= 0.0f,
            "weight_decay: expected a finite value, at least 0");
    cd_update(p, stats);
}

void checked_cd_gradient(const hc_cd_gradient_args& p, hc_cd_stats* stats) {
    require_phases(p);
    const int negatives = (p.neg_w != nullptr) + (p.neg_b_vis != nullptr) + (p.neg_b_hid != nullptr);
    require(negatives == 0 || negatives == 3, "negative: give all three arrays or none");
    require(p.k >= (p.chains ? 0 : 1), "k: expected at least 1, or at least 0 with chains");
    require_pointer(p.grad_w, "grad_w");
    require_pointer(p.data_vis, "data_vis");
    require_pointer(p.data_hid, "data_hid");
    require_pointer(p.model_vis, "model_vis");
    require_pointer(p.model_hid, "model_hid");
    if (negatives) {
        require_finite(p.neg_b_vis, p.n_visible, "negative: b_vis");
        require_finite(p.neg_b_hid, p.n_hidden, "negative: b_hid");
    }
    cd_gradient(p, stats);
}

}  // namespace
}  // namespace hc

extern "C" {

hc_status hc_gibbs_step(const hc_gibbs_args* args) {
    return hc::at_border([&] { hc::gibbs_step(hc::read_args(args)); });
}

hc_status hc_cd_update(const hc_cd_args* args, hc_cd_stats* stats) {
    return hc::at_border([&] { hc::checked_cd_update(hc::read_args(args), stats); });
}

hc_status hc_cd_gradient(const hc_cd_gradient_args* args, hc_cd_stats* stats) {
    return hc::at_border([&] { hc::checked_cd_gradient(hc::read_args(args), stats); });
}

}  // extern "C"
