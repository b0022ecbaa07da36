#include "arrays.h"
#include "bind.h"

namespace hc_python {

void bind_outer(py::module_& m) {
    m.def(
        "outer_update",
        [](const py::array& x, bool packed, int64_t batch, const py::array& y, const py::array& w, const py::object& b,
           float rate) {
            hc_outer_args a{};
            a.struct_size = sizeof a;
            const py::ssize_t n_in = extent(w, "w", 0, 2), n_out = extent(w, "w", 1, 2);
            a.n_in = n_in;
            a.n_out = n_out;
            a.batch = packed ? batch : extent(x, "x", 0, 2);
            const py::ssize_t rows = static_cast<py::ssize_t>(a.batch);
            if (packed)
                a.x_bits = data<uint64_t>(x, "x", {n_in, hc_bit_words(batch)}, Access::read);
            else
                a.x_dense = data<float>(x, "x", {rows, n_in}, Access::read);
            a.y = data<float>(y, "y", {rows, n_out}, Access::read);
            a.w = data<float>(w, "w", {n_in, n_out}, Access::write);
            if (!b.is_none()) a.b = data<float>(b.cast<py::array>(), "b", {n_out}, Access::write);
            a.rate = rate;
            run([&] { return hc_outer_update(&a); });
        },
        py::arg("x"), py::arg("packed"), py::arg("batch"), py::arg("y"), py::arg("w"), py::arg("b"), py::arg("rate"));
}

}  // namespace hc_python
