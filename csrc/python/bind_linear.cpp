#include "arrays.h"
#include "bind.h"

namespace hc_python {
namespace {

py::tuple linear_backward(const py::array& x, const py::array& w, const py::array& y, const py::array& dy,
                          int activation, const py::object& out) {
    hc_linear_backward_args p{};
    p.struct_size = sizeof p;
    const py::ssize_t batch = extent(x, "x", 0, 2), n_in = extent(x, "x", 1, 2), n_out = extent(w, "w", 1, 2);
    p.batch = batch;
    p.n_in = n_in;
    p.n_out = n_out;
    p.x = data<float>(x, "x", {batch, n_in}, Access::read);
    p.w = data<float>(w, "w", {n_in, n_out}, Access::read);
    p.y = data<float>(y, "y", {batch, n_out}, Access::read);
    p.dy = data<float>(dy, "dy", {batch, n_out}, Access::read);
    p.activation = activation;
    // Fresh arrays, or the three given, of which None ones are not computed.
    const py::tuple outputs = out.is_none()
                                  ? py::make_tuple(py::array_t<float>({batch, n_in}), py::array_t<float>({n_in, n_out}),
                                                   py::array_t<float>(n_out))
                                  : out.cast<py::tuple>();
    const auto output = [&](size_t i, const char* name, const std::vector<py::ssize_t>& shape) -> float* {
        if (outputs[i].is_none()) return nullptr;
        return data<float>(outputs[i].cast<py::array>(), name, shape, Access::write);
    };
    p.dx = output(0, "out[0]", {batch, n_in});
    p.dw = output(1, "out[1]", {n_in, n_out});
    p.db = output(2, "out[2]", {n_out});
    run([&] { return hc_linear_backward(&p); });
    return outputs;
}

}  // namespace

void bind_linear(py::module_& m) {
    m.def("linear_backward", &linear_backward, py::arg("x"), py::arg("w"), py::arg("y"), py::arg("dy"),
          py::arg("activation"), py::arg("out") = py::none());
}

}  // namespace hc_python
