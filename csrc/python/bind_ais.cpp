#include "arrays.h"
#include "bind.h"

namespace hc_python {
namespace {

void ais(const py::array& w, const py::array& b_vis, const py::array& b_hid, const py::array& b_base,
         const py::array& betas, const py::array& states, int64_t n_chains, const py::array& log_weights, uint64_t seed,
         uint64_t offset) {
    hc_ais_args a{};
    a.struct_size = sizeof a;
    const py::ssize_t n_visible = extent(w, "w", 0, 2), n_hidden = extent(w, "w", 1, 2);
    a.n_chains = n_chains;
    a.n_visible = n_visible;
    a.n_hidden = n_hidden;
    a.w = data<float>(w, "w", {n_visible, n_hidden}, Access::read);
    a.b_vis = data<float>(b_vis, "b_vis", {n_visible}, Access::read);
    a.b_hid = data<float>(b_hid, "b_hid", {n_hidden}, Access::read);
    a.b_base = data<float>(b_base, "b_base", {n_visible}, Access::read);
    a.n_betas = extent(betas, "betas", 0, 1);
    a.betas = data<float>(betas, "betas", {static_cast<py::ssize_t>(a.n_betas)}, Access::read);
    a.states = data<uint64_t>(states, "states", {n_visible, hc_bit_words(n_chains)}, Access::write);
    a.log_weights = data<double>(log_weights, "log_weights", {static_cast<py::ssize_t>(n_chains)}, Access::write);
    a.seed = seed;
    a.offset = offset;
    run([&] { return hc_ais(&a); });
}

double exact_log_z(const py::array& w, const py::array& b_vis, const py::array& b_hid) {
    hc_exact_args a{};
    a.struct_size = sizeof a;
    const py::ssize_t n_visible = extent(w, "w", 0, 2), n_hidden = extent(w, "w", 1, 2);
    a.n_visible = n_visible;
    a.n_hidden = n_hidden;
    a.w = data<float>(w, "w", {n_visible, n_hidden}, Access::read);
    a.b_vis = data<float>(b_vis, "b_vis", {n_visible}, Access::read);
    a.b_hid = data<float>(b_hid, "b_hid", {n_hidden}, Access::read);
    double log_z = 0.0;
    run([&] { return hc_exact_log_z(&a, &log_z); });
    return log_z;
}

}  // namespace

void bind_ais(py::module_& m) {
    m.def("ais", &ais, py::arg("w"), py::arg("b_vis"), py::arg("b_hid"), py::arg("b_base"), py::arg("betas"),
          py::arg("states"), py::arg("n_chains"), py::arg("log_weights"), py::arg("seed"), py::arg("offset"));
    m.def("exact_log_z", &exact_log_z, py::arg("w"), py::arg("b_vis"), py::arg("b_hid"));
}

}  // namespace hc_python
