#include <cmath>
#include <vector>

#include "arrays.h"
#include "bind.h"

namespace hc_python {
namespace {

// Sampled states, probabilities, in the layouts asked for.
py::tuple gibbs_step(const py::array& states, bool packed, int64_t batch, const py::array& w, const py::array& bias,
                     bool transpose, float temperature, uint64_t seed, uint64_t offset, int64_t first_sample,
                     bool want_probs) {
    const char* in_name = transpose ? "h" : "v";
    hc_gibbs_args a{};
    a.struct_size = sizeof a;
    a.n_visible = extent(w, "w", 0, 2);
    a.n_hidden = extent(w, "w", 1, 2);
    const py::ssize_t n_in = transpose ? a.n_hidden : a.n_visible, n_out = transpose ? a.n_visible : a.n_hidden;
    a.batch = packed ? batch : extent(states, in_name, 0, 2);
    a.transpose = transpose;
    a.w = data<float>(w, "w", {a.n_visible, a.n_hidden}, Access::read);
    a.bias = data<float>(bias, "b", {n_out}, Access::read);
    a.temperature = temperature;
    a.seed = seed;
    a.offset = offset;
    a.first_sample = first_sample;
    py::array sample;
    if (packed) {
        a.in_bits = data<uint64_t>(states, in_name, {n_in, hc_bit_words(batch)}, Access::read);
        py::array_t<uint64_t> bits({n_out, static_cast<py::ssize_t>(hc_bit_words(batch))});
        a.out_bits = bits.mutable_data();
        sample = bits;
    } else {
        a.in_dense = data<float>(states, in_name, {a.batch, n_in}, Access::read);
        py::array_t<float> dense({static_cast<py::ssize_t>(a.batch), n_out});
        a.out_dense = dense.mutable_data();
        sample = dense;
    }
    py::object probs = py::none();
    if (want_probs) {
        py::array_t<float> p({static_cast<py::ssize_t>(a.batch), n_out});
        a.out_probs = p.mutable_data();
        probs = p;
    }
    run([&] { return hc_gibbs_step(&a); });
    return py::make_tuple(sample, probs);
}

// Sizes, data and chains of an update or a gradient.
template <class Args>
void read_phases(Args& a, const py::array& v0, bool packed, int64_t batch, const py::array& w, const py::object& chains,
                 int64_t n_chains) {
    a.struct_size = sizeof a;
    const py::ssize_t n_visible = extent(w, "w", 0, 2), n_hidden = extent(w, "w", 1, 2);
    a.n_visible = n_visible;
    a.n_hidden = n_hidden;
    a.batch = packed ? batch : extent(v0, "v0", 0, 2);
    if (packed)
        a.v0_bits = data<uint64_t>(v0, "v0", {n_visible, hc_bit_words(batch)}, Access::read);
    else
        a.v0_dense = data<float>(v0, "v0", {static_cast<py::ssize_t>(a.batch), n_visible}, Access::read);
    if (!chains.is_none()) {
        a.n_chains = n_chains;
        a.chains =
            data<uint64_t>(chains.cast<py::array>(), "chains", {n_visible, hc_bit_words(n_chains)}, Access::write);
    }
}

// What an update writes in place: w, b_vis, b_hid, and the velocities where there are any.
void require_distinct(const py::array& v0, const std::vector<py::array>& written) {
    for (size_t i = 0; i < written.size(); ++i) {
        if (overlap(v0, written[i]))
            throw py::value_error("v0: must not share memory with the arrays that are written in place");
        for (size_t j = 0; j < i; ++j)
            if (overlap(written[i], written[j]))
                throw py::value_error("w, b_vis, b_hid, velocity: are written in place and must not share memory");
    }
}

py::dict stats_dict(const hc_cd_stats& stats) {
    py::dict result;
    result["reconstruction_error"] = std::isnan(stats.reconstruction_error)
                                         ? py::object(py::none())
                                         : py::object(py::float_(stats.reconstruction_error));
    result["hidden_mean"] = stats.hidden_mean;
    return result;
}

py::dict cd_update(const py::array& v0, bool packed, int64_t batch, const py::array& w, const py::array& b_vis,
                   const py::array& b_hid, int k, float lr, float momentum, float weight_decay,
                   const py::object& velocity, const py::object& chains, int64_t n_chains, uint64_t seed,
                   uint64_t offset) {
    hc_cd_args a{};
    read_phases(a, v0, packed, batch, w, chains, n_chains);
    const py::ssize_t n_visible = a.n_visible, n_hidden = a.n_hidden;
    a.w = data<float>(w, "w", {n_visible, n_hidden}, Access::write);
    a.b_vis = data<float>(b_vis, "b_vis", {n_visible}, Access::write);
    a.b_hid = data<float>(b_hid, "b_hid", {n_hidden}, Access::write);
    std::vector<py::array> written{w, b_vis, b_hid};
    if (!velocity.is_none()) {
        const auto parts = velocity.cast<py::tuple>();
        if (parts.size() != 3)
            throw py::value_error("velocity: expected a tuple of 3 arrays (w, b_vis, b_hid), got " +
                                  std::to_string(parts.size()));
        for (const py::handle part : parts) written.push_back(part.cast<py::array>());
        a.vel_w = data<float>(written[3], "velocity[0]", {n_visible, n_hidden}, Access::write);
        a.vel_vis = data<float>(written[4], "velocity[1]", {n_visible}, Access::write);
        a.vel_hid = data<float>(written[5], "velocity[2]", {n_hidden}, Access::write);
    }
    require_distinct(v0, written);
    a.k = k;
    a.lr = lr;
    a.momentum = momentum;
    a.weight_decay = weight_decay;
    a.seed = seed;
    a.offset = offset;
    hc_cd_stats stats{};
    run([&] { return hc_cd_update(&a, &stats); });
    return stats_dict(stats);
}

// Means of v0, p(h|v0), vk and p(h|vk), and stats; the gradient of w goes to `out`.
py::tuple cd_gradient(const py::array& v0, bool packed, int64_t batch, const py::array& w, const py::array& b_vis,
                      const py::array& b_hid, int k, const py::object& negative, const py::object& chains,
                      int64_t n_chains, const py::array& out, uint64_t seed, uint64_t offset) {
    hc_cd_gradient_args a{};
    read_phases(a, v0, packed, batch, w, chains, n_chains);
    const py::ssize_t n_visible = a.n_visible, n_hidden = a.n_hidden;
    a.w = data<float>(w, "w", {n_visible, n_hidden}, Access::read);
    a.b_vis = data<float>(b_vis, "b_vis", {n_visible}, Access::read);
    a.b_hid = data<float>(b_hid, "b_hid", {n_hidden}, Access::read);
    if (!negative.is_none()) {
        const auto parts = negative.cast<py::tuple>();
        a.neg_w = data<float>(parts[0].cast<py::array>(), "negative[0]", {n_visible, n_hidden}, Access::read);
        a.neg_b_vis = data<float>(parts[1].cast<py::array>(), "negative[1]", {n_visible}, Access::read);
        a.neg_b_hid = data<float>(parts[2].cast<py::array>(), "negative[2]", {n_hidden}, Access::read);
    }
    a.grad_w = data<float>(out, "out", {n_visible, n_hidden}, Access::write);
    py::array_t<float> data_vis(n_visible), data_hid(n_hidden), model_vis(n_visible), model_hid(n_hidden);
    a.data_vis = data_vis.mutable_data();
    a.data_hid = data_hid.mutable_data();
    a.model_vis = model_vis.mutable_data();
    a.model_hid = model_hid.mutable_data();
    a.k = k;
    a.seed = seed;
    a.offset = offset;
    hc_cd_stats stats{};
    run([&] { return hc_cd_gradient(&a, &stats); });
    return py::make_tuple(data_vis, data_hid, model_vis, model_hid, stats_dict(stats));
}

}  // namespace

void bind_rbm(py::module_& m) {
    m.def("gibbs_step", &gibbs_step, py::arg("states"), py::arg("packed"), py::arg("batch"), py::arg("w"),
          py::arg("bias"), py::arg("transpose"), py::arg("temperature"), py::arg("seed"), py::arg("offset"),
          py::arg("first_sample"), py::arg("want_probs"));
    m.def("cd_update", &cd_update, py::arg("v0"), py::arg("packed"), py::arg("batch"), py::arg("w"), py::arg("b_vis"),
          py::arg("b_hid"), py::arg("k"), py::arg("lr"), py::arg("momentum"), py::arg("weight_decay"),
          py::arg("velocity"), py::arg("chains"), py::arg("n_chains"), py::arg("seed"), py::arg("offset"));
    m.def("cd_gradient", &cd_gradient, py::arg("v0"), py::arg("packed"), py::arg("batch"), py::arg("w"),
          py::arg("b_vis"), py::arg("b_hid"), py::arg("k"), py::arg("negative"), py::arg("chains"), py::arg("n_chains"),
          py::arg("out"), py::arg("seed"), py::arg("offset"));
}

}  // namespace hc_python
