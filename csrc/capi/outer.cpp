#include "cpu/outer.h"

#include <cmath>

#include "capi/border.h"

namespace hc {
namespace {

void checked_outer_update(const hc_outer_args& p) {
    require_size(p.batch, "batch");
    require_size(p.n_in, "n_in");
    require_size(p.n_out, "n_out");
    require_elements(p.n_in, p.n_out, "w");
    require_elements(p.batch, p.n_in, "x");
    require_elements(p.batch, p.n_out, "y");
    require((p.x_bits != nullptr) != (p.x_dense != nullptr), "x_bits, x_dense: give exactly one of the two");
    require_pointer(p.y, "y");
    require_pointer(p.w, "w");
    require(std::isfinite(p.rate), "rate: expected a finite value");
    require_threads(p.threads);
    require_apart(p.w, p.n_in * p.n_out, "w", p.x_dense, p.batch * p.n_in, "x");
    require_apart(p.w, p.n_in * p.n_out, "w", p.y, p.batch * p.n_out, "y");
    require_apart(p.b, p.n_out, "b", p.y, p.batch * p.n_out, "y");
    require_apart(p.b, p.n_out, "b", p.w, p.n_in * p.n_out, "w");
    require_apart(p.b, p.n_out, "b", p.x_dense, p.batch * p.n_in, "x");
    outer_update(p);
}

}  // namespace
}  // namespace hc

extern "C" {

hc_status hc_outer_update(const hc_outer_args* args) {
    return hc::at_border([&] { hc::checked_outer_update(hc::read_args(args)); });
}

}  // extern "C"
