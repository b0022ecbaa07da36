#include "cpu/ais.h"

#include <cmath>

#include "capi/border.h"

namespace hc {
namespace {

constexpr float kSmallestBeta = 1e-9f;
constexpr float kLargestBase = 1e9f;  // over kSmallestBeta, still a float32

void checked_ais(const hc_ais_args& p) {
    require_size(p.n_chains, "n_chains");
    require_size(p.n_visible, "n_visible");
    require_size(p.n_hidden, "n_hidden");
    require_elements(p.n_visible, p.n_hidden, "w");
    require_elements(p.n_chains, p.n_visible, "states");
    require_elements(p.n_chains, p.n_hidden, "hidden states");
    require_pointer(p.w, "w");
    require_pointer(p.b_vis, "b_vis");
    require_pointer(p.b_hid, "b_hid");
    require_pointer(p.betas, "betas");
    require_pointer(p.states, "states");
    require_pointer(p.log_weights, "log_weights");
    require_size(p.n_betas, "n_betas");
    require(p.n_betas >= 2, "n_betas: expected at least 2");
    require_threads(p.threads);
    require_finite(p.b_vis, p.n_visible, "b_vis");
    require_finite(p.b_hid, p.n_hidden, "b_hid");
    const float* base = p.b_base ? p.b_base : p.b_vis;
    for (int64_t i = 0; i < p.n_visible; ++i)
        require(std::fabs(base[i]) <= kLargestBase, "b_base: expected values within +-1e9");
    for (int64_t k = 0; k < p.n_betas; ++k)
        require(p.betas[k] == 0.0f || (p.betas[k] >= kSmallestBeta && p.betas[k] <= 1.0f),
                "betas: expected values that are 0 or in [1e-9, 1]");
    anneal(p);
}

}  // namespace
}  // namespace hc

extern "C" {

hc_status hc_ais(const hc_ais_args* args) {
    return hc::at_border([&] { hc::checked_ais(hc::read_args(args)); });
}

}  // extern "C"
