#include "arrays.h"
#include "bind.h"

namespace hc_python {
namespace {

// `z`, or `x` with `w_x` and `b`; writes all states or, to an array of two dimensions, those of the last step.
void rnn(const py::object& z, const py::object& x, const py::object& w_x, const py::object& b, const py::array& w_h,
         const py::object& h0, int activation, const py::array& out) {
    const bool by_input = z.is_none();
    const py::array first = (by_input ? x : z).cast<py::array>();
    const char* const name = by_input ? "x" : "z";
    const py::ssize_t steps = extent(first, name, 0, 3), batch = extent(first, name, 1, 3);
    const py::ssize_t last = extent(first, name, 2, 3);
    const py::ssize_t hidden = by_input ? extent(w_x.cast<py::array>(), "w_x", 1, 2) : last;
    hc_rnn_args p{};
    p.struct_size = sizeof p;
    p.steps = steps;
    p.batch = batch;
    p.hidden = hidden;
    if (by_input) {
        p.inputs = last;
        p.x = data<float>(first, "x", {steps, batch, last}, Access::read);
        p.w_x = optional_input(w_x, "w_x", {last, hidden});
        p.bias = optional_input(b, "b", {hidden});
    } else {
        p.z = data<float>(first, "z", {steps, batch, hidden}, Access::read);
    }
    p.w_h = data<float>(w_h, "w_h", {hidden, hidden}, Access::read);
    p.h0 = optional_input(h0, "h0", {batch, hidden});
    p.activation = activation;
    if (out.ndim() == 2)
        p.h_last = data<float>(out, "out", {batch, hidden}, Access::write);
    else
        p.h = data<float>(out, "out", {steps, batch, hidden}, Access::write);
    run([&] { return hc_rnn(&p); });
}

// Without x: (dz, dw_h, dh0), dz written to `out` when given. With x: (dw_x, db, dw_h, dh0).
py::tuple rnn_backward(const py::array& h, const py::object& x, const py::array& w_h, const py::array& dh,
                       const py::object& h0, int activation, const py::object& out) {
    const py::ssize_t steps = extent(h, "h", 0, 3), batch = extent(h, "h", 1, 3), hidden = extent(h, "h", 2, 3);
    hc_rnn_backward_args p{};
    p.struct_size = sizeof p;
    p.steps = steps;
    p.batch = batch;
    p.hidden = hidden;
    p.h = data<float>(h, "h", {steps, batch, hidden}, Access::read);
    p.w_h = data<float>(w_h, "w_h", {hidden, hidden}, Access::read);
    p.h0 = optional_input(h0, "h0", {batch, hidden});
    p.activation = activation;
    if (dh.ndim() == 2)
        p.dh_last = data<float>(dh, "dh", {batch, hidden}, Access::read);
    else
        p.dh = data<float>(dh, "dh", {steps, batch, hidden}, Access::read);
    py::array_t<float> dw_h({hidden, hidden}), dh0({batch, hidden});
    p.dw_h = dw_h.mutable_data();
    p.dh0 = dh0.mutable_data();
    if (x.is_none()) {
        const py::array dz = out.is_none() ? py::array_t<float>({steps, batch, hidden}) : out.cast<py::array>();
        p.dz = data<float>(dz, "out", {steps, batch, hidden}, Access::write);
        run([&] { return hc_rnn_backward(&p); });
        return py::make_tuple(dz, dw_h, dh0);
    }
    const py::array inputs = x.cast<py::array>();
    const py::ssize_t n_inputs = extent(inputs, "x", 2, 3);
    p.inputs = n_inputs;
    p.x = data<float>(inputs, "x", {steps, batch, n_inputs}, Access::read);
    py::array_t<float> dw_x({n_inputs, hidden}), db(hidden);
    p.dw_x = dw_x.mutable_data();
    p.db = db.mutable_data();
    run([&] { return hc_rnn_backward(&p); });
    return py::make_tuple(dw_x, db, dw_h, dh0);
}

}  // namespace

void bind_rnn(py::module_& m) {
    m.def("rnn", &rnn, py::arg("z"), py::arg("x"), py::arg("w_x"), py::arg("b"), py::arg("w_h"), py::arg("h0"),
          py::arg("activation"), py::arg("out"));
    m.def("rnn_backward", &rnn_backward, py::arg("h"), py::arg("x"), py::arg("w_h"), py::arg("dh"), py::arg("h0"),
          py::arg("activation"), py::arg("out"));
}

}  // namespace hc_python
