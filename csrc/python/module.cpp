// _core: the extension module, a thin border between NumPy arrays and the C interface.
#include "arrays.h"
#include "bind.h"

namespace hc_python {

void throw_status(hc_status status) {
    const char* message = hc_last_error();
    switch (status) {
        case HC_INVALID_ARGUMENT:
            throw py::value_error(message);
        case HC_OUT_OF_MEMORY:
            PyErr_SetString(PyExc_MemoryError, message);
            throw py::error_already_set();
        case HC_DIVERGED:
            PyErr_SetString(PyExc_FloatingPointError, message);
            throw py::error_already_set();
        default: {
            const py::object error = py::module_::import("hintoncore._errors").attr("HintonCoreError");
            PyErr_SetString(error.ptr(), message);
            throw py::error_already_set();
        }
    }
}

}  // namespace hc_python

PYBIND11_MODULE(_core, m, pybind11::mod_gil_not_used()) {
    m.doc() = "HintonCore's kernels. Private: use hintoncore.ops.";
    hc_python::bind_library(m);
    hc_python::bind_ais(m);
    hc_python::bind_batched_matmul(m);
    hc_python::bind_bench(m);
    hc_python::bind_bits(m);
    hc_python::bind_cf(m);
    hc_python::bind_conv(m);
    hc_python::bind_elementwise(m);
    hc_python::bind_graph(m);
    hc_python::bind_layers(m);
    hc_python::bind_linear(m);
    hc_python::bind_matmul(m);
    hc_python::bind_outer(m);
    hc_python::bind_optim(m);
    hc_python::bind_pool(m);
    hc_python::bind_random(m);
    hc_python::bind_rbm(m);
    hc_python::bind_rnn(m);
    hc_python::bind_weight_update(m);
    hc_python::bind_units(m);
}
