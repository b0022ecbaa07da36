// One function per topic adds its bindings to _core.
#pragma once

#include <pybind11/pybind11.h>

namespace hc_python {

void bind_library(pybind11::module_& m);
void bind_ais(pybind11::module_& m);
void bind_batched_matmul(pybind11::module_& m);
void bind_bench(pybind11::module_& m);
void bind_bits(pybind11::module_& m);
void bind_cf(pybind11::module_& m);
void bind_conv(pybind11::module_& m);
void bind_elementwise(pybind11::module_& m);
void bind_graph(pybind11::module_& m);
void bind_layers(pybind11::module_& m);
void bind_linear(pybind11::module_& m);
void bind_matmul(pybind11::module_& m);
void bind_outer(pybind11::module_& m);
void bind_optim(pybind11::module_& m);
void bind_pool(pybind11::module_& m);
void bind_random(pybind11::module_& m);
void bind_rbm(pybind11::module_& m);
void bind_rnn(pybind11::module_& m);
void bind_weight_update(pybind11::module_& m);
void bind_units(pybind11::module_& m);

}  // namespace hc_python
