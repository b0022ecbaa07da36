#include "arrays.h"
#include "bind.h"

namespace hc_python {
namespace {

// One function on an array of any shape, into `out` of the same shape.
void bind_function(py::module_& m, const char* name, hc_function function) {
    m.def(
        name,
        [function](const py::array& x, const py::object& out) {
            const std::vector<py::ssize_t> shape(x.shape(), x.shape() + x.ndim());
            const py::array y = out.is_none() ? py::array(py::array_t<float>(shape)) : out.cast<py::array>();
            const float* from = data<float>(x, "x", shape, Access::read);
            float* to = data<float>(y, "out", shape, Access::write);
            const int64_t n = x.size();
            run([&] { return hc_elementwise(function, from, to, n, 0); });
            return y;
        },
        py::arg("x"), py::arg("out") = py::none());
}

}  // namespace

void bind_elementwise(py::module_& m) {
    bind_function(m, "exp", HC_FUNCTION_EXP);
    bind_function(m, "log", HC_FUNCTION_LOG);
    bind_function(m, "sigmoid", HC_FUNCTION_SIGMOID);
    bind_function(m, "tanh", HC_FUNCTION_TANH);
    bind_function(m, "softplus", HC_FUNCTION_SOFTPLUS);
}

}  // namespace hc_python
