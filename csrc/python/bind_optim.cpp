#include "arrays.h"
#include "bind.h"

namespace hc_python {
namespace {

void optimiser_step(int rule, const py::array& w, const py::array& grad, const py::object& velocity,
                    const py::object& square, float lr, double momentum, double square_decay, float epsilon,
                    float weight_decay, bool decoupled, float grad_scale, int64_t step) {
    const std::vector<py::ssize_t> shape(w.shape(), w.shape() + w.ndim());
    const auto state = [&](const py::object& array, const char* name) {
        return array.is_none() ? nullptr : data<float>(array.cast<py::array>(), name, shape, Access::write);
    };
    hc_optimiser_args p{};
    p.struct_size = sizeof p;
    p.rule = rule;
    p.n = w.size();
    p.w = data<float>(w, "w", shape, Access::write);
    p.grad = data<float>(grad, "grad", shape, Access::read);
    p.velocity = state(velocity, "velocity");
    p.square = state(square, "square");
    p.lr = lr;
    p.momentum = momentum;
    p.square_decay = square_decay;
    p.epsilon = epsilon;
    p.weight_decay = weight_decay;
    p.decoupled = decoupled;
    p.grad_scale = grad_scale;
    p.step = step;
    run([&] { return hc_optimiser_step(&p); });
}

double sum_of_squares(const py::array& x) {
    const float* from = data<float>(x, "x", {x.shape(), x.shape() + x.ndim()}, Access::read);
    const int64_t n = x.size();
    double sum = 0.0;
    run([&] { return hc_sum_of_squares(from, n, &sum, 0); });
    return sum;
}

void max_norm(const py::array& w, float limit) {
    const py::ssize_t rows = extent(w, "w", 0, 2), columns = extent(w, "w", 1, 2);
    float* to = data<float>(w, "w", {rows, columns}, Access::write);
    run([&] { return hc_max_norm(to, rows, columns, limit, 0); });
}

}  // namespace

void bind_optim(py::module_& m) {
    m.def("optimiser_step", &optimiser_step, py::arg("rule"), py::arg("w"), py::arg("grad"), py::arg("velocity"),
          py::arg("square"), py::arg("lr"), py::arg("momentum"), py::arg("square_decay"), py::arg("epsilon"),
          py::arg("weight_decay"), py::arg("decoupled"), py::arg("grad_scale"), py::arg("step"));
    m.def("sum_of_squares", &sum_of_squares, py::arg("x"));
    m.def("max_norm", &max_norm, py::arg("w"), py::arg("limit"));
}

}  // namespace hc_python
