#include "cpu/optim.h"

#include "capi/border.h"

namespace hc {
namespace {

void require_count(int64_t n) { require(n >= 1 && n <= (int64_t{1} << 46), "n: expected a size in 1..2^46"); }

void require_share(double value, const char* name) {
    if (!(value >= 0.0 && value < 1.0))
        invalid(std::string(name) + ": expected a number in [0, 1), got " + std::to_string(value));
}

void checked_optimiser_step(const hc_optimiser_args& p) {
    require(p.rule >= HC_OPTIMISER_SGD && p.rule <= HC_OPTIMISER_ADAM, "rule: expected one of hc_optimiser_rule");
    require_count(p.n);
    require_threads(p.threads);
    require_pointer(p.w, "w");
    require_pointer(p.grad, "grad");
    const bool squares = p.rule == HC_OPTIMISER_RMSPROP || p.rule == HC_OPTIMISER_ADAM;
    if (p.rule != HC_OPTIMISER_SGD && p.rule != HC_OPTIMISER_RMSPROP) require_pointer(p.velocity, "velocity");
    require(p.rule != HC_OPTIMISER_SGD || !p.velocity, "velocity: plain SGD has none");
    require(p.velocity || p.momentum == 0.0, "momentum: needs a velocity when above 0");
    if (squares) require_pointer(p.square, "square");
    require(squares || !p.square, "square: only RMSprop and Adam have one");
    require(p.lr >= 0.0f && std::isfinite(p.lr), "lr: expected a finite number >= 0");
    require_share(p.momentum, "momentum");
    require_share(p.square_decay, "square_decay");
    require(p.weight_decay >= 0.0f && std::isfinite(p.weight_decay), "weight_decay: expected a finite number >= 0");
    require(std::isfinite(p.grad_scale), "grad_scale: expected a finite number");
    require(!squares || (p.epsilon > 0.0f && std::isfinite(p.epsilon)), "epsilon: expected a finite number > 0");
    require(p.rule != HC_OPTIMISER_ADAM || p.step >= 1, "step: expected at least 1");
    const Part outputs[] = {{p.w, p.n, "w"}, {p.velocity, p.n, "velocity"}, {p.square, p.n, "square"}};
    const Part inputs[] = {{p.grad, p.n, "grad"}};
    require_all_apart(outputs, inputs);
    optimiser_step(p);
}

}  // namespace
}  // namespace hc

extern "C" {

hc_status hc_optimiser_step(const hc_optimiser_args* args) {
    return hc::at_border([&] { hc::checked_optimiser_step(hc::read_args(args)); });
}

hc_status hc_sum_of_squares(const float* x, int64_t n, double* sum, int threads) {
    return hc::at_border([&] {
        hc::require_pointer(x, "x");
        hc::require_pointer(sum, "sum");
        hc::require_count(n);
        hc::require_threads(threads);
        *sum = hc::sum_of_squares(x, n, threads);
    });
}

hc_status hc_max_norm(float* w, int64_t rows, int64_t columns, float limit, int threads) {
    return hc::at_border([&] {
        hc::require_pointer(w, "w");
        hc::require_size(rows, "rows");
        hc::require_size(columns, "columns");
        hc::require_elements(rows, columns, "w");
        hc::require(limit > 0.0f && std::isfinite(limit), "limit: expected a finite number > 0");
        hc::require_threads(threads);
        hc::max_norm(w, rows, columns, limit, threads);
    });
}

}  // extern "C"
