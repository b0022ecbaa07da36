#include "arrays.h"
#include "bind.h"

namespace hc_python {
namespace {

py::tuple linear_backward(const py::array& x, const py::array& w, const py::array& y, const py::array& dy,
                          int activation) {
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
    py::array_t<float> dx({batch, n_in}), dw({n_in, n_out}), db(n_out);
    p.dx = dx.mutable_data();
    p.dw = dw.mutable_data();
    p.db = db.mutable_data();
    run([&] { return hc_linear_backward(&p); });
    return py::make_tuple(dx, dw, db);
}

}  // namespace

void bind_linear(py::module_& m) {
    m.def("linear_backward", &linear_backward, py::arg("x"), py::arg("w"), py::arg("y"), py::arg("dy"),
          py::arg("activation"));
}

}  // namespace hc_python
