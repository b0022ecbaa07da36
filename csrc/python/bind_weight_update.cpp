#include "arrays.h"
#include "bind.h"

namespace hc_python {
namespace {

// (velocity . lambda for each row, mu . velocity for each column), or None without offsets.
py::object weight_update(const py::array& w, const py::array& grad, float lr, float momentum,
                         const py::object& velocity, float weight_decay, float l1, const py::object& outer,
                         const py::object& offsets) {
    hc_weight_update_args a{};
    a.struct_size = sizeof a;
    const py::ssize_t rows = extent(w, "w", 0, 2), columns = extent(w, "w", 1, 2);
    a.n_rows = rows;
    a.n_columns = columns;
    a.w = data<float>(w, "w", {rows, columns}, Access::write);
    a.grad = data<float>(grad, "grad", {rows, columns}, Access::read);
    if (!velocity.is_none())
        a.velocity = data<float>(velocity.cast<py::array>(), "velocity", {rows, columns}, Access::write);
    a.lr = lr;
    a.momentum = momentum;
    a.weight_decay = weight_decay;
    a.l1 = l1;
    if (!outer.is_none()) {
        const auto parts = outer.cast<py::tuple>();
        const auto left = parts[0].cast<py::array>();
        const py::ssize_t terms = extent(left, "outer[0]", 0, 2);
        a.n_terms = static_cast<int>(terms);
        a.left = data<float>(left, "outer[0]", {terms, rows}, Access::read);
        a.right = data<float>(parts[1].cast<py::array>(), "outer[1]", {terms, columns}, Access::read);
    }
    py::object sums = py::none();
    if (!offsets.is_none()) {
        const auto parts = offsets.cast<py::tuple>();
        a.mu = data<float>(parts[0].cast<py::array>(), "offsets[0]", {rows}, Access::read);
        a.lambda = data<float>(parts[1].cast<py::array>(), "offsets[1]", {columns}, Access::read);
        py::array_t<float> row_sums(rows), column_sums(columns);
        a.row_sums = row_sums.mutable_data();
        a.column_sums = column_sums.mutable_data();
        sums = py::make_tuple(row_sums, column_sums);
    }
    run([&] { return hc_weight_update(&a); });
    return sums;
}

}  // namespace

void bind_weight_update(py::module_& m) {
    m.def("weight_update", &weight_update, py::arg("w"), py::arg("grad"), py::arg("lr"), py::arg("momentum"),
          py::arg("velocity"), py::arg("weight_decay"), py::arg("l1"), py::arg("outer"), py::arg("offsets"));
}

}  // namespace hc_python
