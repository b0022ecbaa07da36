#include "cpu/exact.h"

#include <algorithm>

#include "capi/border.h"

namespace hc {
namespace {

void checked_exact_log_z(const hc_exact_args& p, double* log_z) {
    require_size(p.n_visible, "n_visible");
    require_size(p.n_hidden, "n_hidden");
    require_elements(p.n_visible, p.n_hidden, "w");
    if (std::min(p.n_visible, p.n_hidden) > HC_MAX_EXACT_UNITS)
        invalid("w: exact log Z enumerates a layer of at most " + std::to_string(HC_MAX_EXACT_UNITS) +
                " units, given " + std::to_string(p.n_visible) + " visible and " + std::to_string(p.n_hidden) +
                " hidden");
    require_pointer(p.w, "w");
    require_pointer(p.b_vis, "b_vis");
    require_pointer(p.b_hid, "b_hid");
    require_pointer(log_z, "log_z");
    require_threads(p.threads);
    require_finite(p.w, p.n_visible * p.n_hidden, "w");
    require_finite(p.b_vis, p.n_visible, "b_vis");
    require_finite(p.b_hid, p.n_hidden, "b_hid");
    *log_z = exact_log_z(p);
}

}  // namespace
}  // namespace hc

extern "C" {

hc_status hc_exact_log_z(const hc_exact_args* args, double* log_z) {
    return hc::at_border([&] { hc::checked_exact_log_z(hc::read_args(args), log_z); });
}

}  // extern "C"
