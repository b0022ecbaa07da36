#include "arrays.h"
#include "bind.h"

namespace hc_python {

void bind_random(py::module_& m) {
    m.def(
        "philox4x32_10",
        [](const py::array& counters, const py::array& key) {
            const py::ssize_t n = extent(counters, "counters", 0, 2);
            const uint32_t* c = data<uint32_t>(counters, "counters", {n, 4}, Access::read);
            const uint32_t* k = data<uint32_t>(key, "key", {2}, Access::read);
            py::array_t<uint32_t> blocks({n, py::ssize_t{4}});
            uint32_t* out = blocks.mutable_data();
            run([&] { return hc_philox4x32_10(c, k, n, out); });
            return blocks;
        },
        py::arg("counters"), py::arg("key"));
    m.def(
        "uniform",
        [](uint64_t seed, uint64_t offset, int64_t n) {
            if (n < 0) throw py::value_error("n: expected at least 0, got " + std::to_string(n));
            py::array_t<float> x(static_cast<py::ssize_t>(n));
            float* out = x.mutable_data();
            if (n) run([&] { return hc_uniform(seed, offset, n, out, 0); });
            return x;
        },
        py::arg("seed"), py::arg("offset"), py::arg("n"));
}

}  // namespace hc_python
