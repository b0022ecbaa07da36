#include "arrays.h"
#include "bind.h"

namespace hc_python {

void bind_units(py::module_& m) {
    m.def(
        "sample_units",
        [](int kind, const py::array& x, int64_t group, const py::object& std, uint64_t seed, uint64_t offset,
           int64_t first_sample, bool return_means) {
            const py::ssize_t batch = extent(x, "x", 0, 2), n_units = x.shape(1);
            py::array_t<float> states({batch, n_units});
            py::object means = py::none();
            hc_units_args a{};
            a.struct_size = sizeof a;
            a.type = kind;
            a.batch = batch;
            a.n_units = n_units;
            a.group = group;
            a.x = data<float>(x, "x", {batch, n_units}, Access::read);
            if (!std.is_none()) a.std = data<float>(std.cast<py::array>(), "std", {n_units}, Access::read);
            a.seed = seed;
            a.offset = offset;
            a.first_sample = first_sample;
            a.states = states.mutable_data();
            if (return_means) {
                py::array_t<float> out({batch, n_units});
                a.means = out.mutable_data();
                means = out;
            }
            run([&] { return hc_sample_units(&a); });
            return py::make_tuple(states, means);
        },
        py::arg("kind"), py::arg("x"), py::arg("group"), py::arg("std"), py::arg("seed"), py::arg("offset"),
        py::arg("first_sample"), py::arg("return_means"));
}

}  // namespace hc_python
