#include "arrays.h"
#include "bind.h"

namespace hc_python {

void bind_bench(py::module_& m) {
    m.def(
        "bench_fma_peak",
        [](const std::string& isa, int64_t iterations) {
            double rate = 0.0;
            run([&] { return hc_bench_fma_peak(isa.c_str(), iterations, &rate); });
            return rate;
        },
        py::arg("isa"), py::arg("iterations"));
    m.def(
        "bench_copy",
        [](int64_t n_bytes, int64_t iterations) {
            double rate = 0.0;
            run([&] { return hc_bench_copy(n_bytes, iterations, &rate); });
            return rate;
        },
        py::arg("n_bytes"), py::arg("iterations"));
}

}  // namespace hc_python
