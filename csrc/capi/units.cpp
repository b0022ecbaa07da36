#include "cpu/units.h"

#include <cstring>

#include "capi/border.h"

namespace hc {
namespace {

// NaN and infinities are exactly the floats whose magnitude bits reach those of infinity: a loop that vectorises.
void require_all_finite(const float* x, int64_t n, const char* name) {
    constexpr uint32_t kInfinity = 0x7F800000u;
    uint32_t largest = 0;
    for (int64_t i = 0; i < n; ++i) {
        uint32_t bits;
        std::memcpy(&bits, x + i, sizeof bits);
        bits &= 0x7FFFFFFFu;
        largest = bits > largest ? bits : largest;
    }
    if (largest >= kInfinity) invalid(std::string(name) + ": expected finite values, got NaN or infinity");
}

void checked_sample_units(const hc_units_args& p) {
    require(p.type >= HC_UNIT_BERNOULLI && p.type <= HC_UNIT_STEPPED_SIGMOID, "type: expected one of hc_unit_type");
    require_size(p.batch, "batch");
    require_size(p.n_units, "n_units");
    require_elements(p.batch, p.n_units, "x");
    require_pointer(p.x, "x");
    require_pointer(p.states, "states");
    if (p.type == HC_UNIT_SOFTMAX)
        require(p.group >= 2 && p.group <= p.n_units && p.n_units % p.group == 0,
                "group: expected at least 2 and a divisor of n_units");
    require(p.first_sample >= 0 && p.first_sample % 64 == 0 && p.first_sample <= (int64_t{1} << 34) - p.batch,
            "first_sample: expected a multiple of 64 in 0..2^34 - batch");
    require_threads(p.threads);
    const int64_t n = p.batch * p.n_units;
    require_apart(p.states, n, "states", p.x, n, "x");
    require_apart(p.means, n, "means", p.x, n, "x");
    require_apart(p.means, n, "means", p.states, n, "states");
    if (p.std) {
        require(p.type == HC_UNIT_GAUSSIAN, "std: only Gaussian units have standard deviations");
        require_apart(p.states, n, "states", p.std, p.n_units, "std");
        require_all_finite(p.std, p.n_units, "std");
        for (int64_t u = 0; u < p.n_units; ++u) require(p.std[u] > 0.0f, "std: expected values above 0");
    }
    require_all_finite(p.x, n, "x");
    sample_units(p);
}

}  // namespace
}  // namespace hc

extern "C" {

hc_status hc_sample_units(const hc_units_args* args) {
    return hc::at_border([&] { hc::checked_sample_units(hc::read_args(args)); });
}

}  // extern "C"
