#include "cpu/weight_update.h"

#include <cmath>

#include "capi/border.h"

namespace hc {
namespace {

void checked_weight_update(const hc_weight_update_args& a) {
    require_size(a.n_rows, "n_rows");
    require_size(a.n_columns, "n_columns");
    require_elements(a.n_rows, a.n_columns, "w");
    require_pointer(a.w, "w");
    require_pointer(a.grad, "grad");
    require(std::isfinite(a.lr) && a.lr >= 0.0f, "lr: expected a finite value, at least 0");
    require(a.momentum >= 0.0f && a.momentum < 1.0f, "momentum: expected a value in [0, 1)");
    require(a.momentum == 0.0f || a.velocity, "velocity: momentum above 0 needs it");
    require(std::isfinite(a.weight_decay) && a.weight_decay >= 0.0f,
            "weight_decay: expected a finite value, at least 0");
    require(std::isfinite(a.l1) && a.l1 >= 0.0f, "l1: expected a finite value, at least 0");
    require(a.n_terms >= 0 && a.n_terms <= 64, "n_terms: expected 0 to 64");
    if (a.n_terms) {
        require_pointer(a.left, "left");
        require_pointer(a.right, "right");
        require_finite(a.left, a.n_terms * a.n_rows, "left");
        require_finite(a.right, a.n_terms * a.n_columns, "right");
    }
    const int sums = (a.mu != nullptr) + (a.lambda != nullptr) + (a.row_sums != nullptr) + (a.column_sums != nullptr);
    require(sums == 0 || sums == 4, "mu, lambda, row_sums, column_sums: give all four or none");
    if (sums) {
        require_finite(a.mu, a.n_rows, "mu");
        require_finite(a.lambda, a.n_columns, "lambda");
    }
    require_threads(a.threads);
    weight_update(a);
}

}  // namespace
}  // namespace hc

extern "C" hc_status hc_weight_update(const hc_weight_update_args* args) {
    return hc::at_border([&] { hc::checked_weight_update(hc::read_args(args)); });
}
