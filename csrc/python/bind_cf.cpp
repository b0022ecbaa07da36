#include <cmath>

#include "arrays.h"
#include "bind.h"

namespace hc_python {
namespace {

template <class T>
T* optional(const py::object& a, const char* name, const std::vector<py::ssize_t>& shape, Access access) {
    return a.is_none() ? nullptr : data<T>(a.cast<py::array>(), name, shape, access);
}

// (scores or None, w, d or None, b_vis, b_level, b_hid)
hc_cf_model read_model(const py::tuple& parameters, Access access) {
    if (parameters.size() != 6) throw py::value_error("model: expected 6 arrays");
    hc_cf_model m{};
    const auto b_vis = parameters[3].cast<py::array>();
    const py::ssize_t n_items = extent(b_vis, "b_vis", 0, 2), n_levels = extent(b_vis, "b_vis", 1, 2);
    const auto b_hid = parameters[5].cast<py::array>();
    const py::ssize_t n_hidden = extent(b_hid, "b_hid", 0, 1);
    m.n_items = n_items;
    m.n_levels = n_levels;
    m.n_hidden = n_hidden;
    m.scores = optional<float>(parameters[0], "scores", {n_levels}, Access::read);
    const py::ssize_t rows = m.scores ? 1 : n_levels;
    m.w = data<float>(parameters[1].cast<py::array>(), "w", {n_items, rows, n_hidden}, access);
    m.d = optional<float>(parameters[2], "d", {n_items, n_hidden}, access);
    m.b_vis = data<float>(b_vis, "b_vis", {n_items, n_levels}, access);
    m.b_level = data<float>(parameters[4].cast<py::array>(), "b_level", {n_levels}, access);
    m.b_hid = data<float>(b_hid, "b_hid", {n_hidden}, access);
    return m;
}

// (indptr, items, levels or None, centers or None, fields or None, users or None)
hc_cf_ratings read_ratings(const py::tuple& arrays) {
    if (arrays.size() != 6) throw py::value_error("ratings: expected 6 arrays");
    hc_cf_ratings r{};
    const auto indptr = arrays[0].cast<py::array>(), items = arrays[1].cast<py::array>();
    const py::ssize_t ends = extent(indptr, "indptr", 0, 1), n = extent(items, "items", 0, 1);
    if (ends < 1) throw py::value_error("indptr: expected at least one element");
    r.n_users = ends - 1;
    r.indptr = data<int64_t>(indptr, "indptr", {ends}, Access::read);
    if (r.indptr[r.n_users] != n)
        throw py::value_error("indptr: expected to end with the number of items, " + std::to_string(n) + ", got " +
                              std::to_string(r.indptr[r.n_users]));
    r.items = data<int32_t>(items, "items", {n}, Access::read);
    r.levels = optional<uint8_t>(arrays[2], "levels", {n}, Access::read);
    r.centers = optional<float>(arrays[3], "centers", {n}, Access::read);
    r.fields = optional<float>(arrays[4], "fields", {n}, Access::read);
    r.users = optional<int64_t>(arrays[5], "users", {static_cast<py::ssize_t>(r.n_users)}, Access::read);
    return r;
}

template <class Args>
Args with_ratings(const py::tuple& model, const py::tuple& ratings) {
    Args a{};
    a.struct_size = sizeof a;
    a.model = read_model(model, Access::read);
    a.ratings = read_ratings(ratings);
    return a;
}

py::ssize_t count(const hc_cf_ratings& r) { return r.indptr[r.n_users]; }

py::tuple cf_hidden(const py::tuple& model, const py::tuple& ratings, uint64_t seed, uint64_t offset, bool draw) {
    auto a = with_ratings<hc_cf_hidden_args>(model, ratings);
    const std::vector<py::ssize_t> shape{static_cast<py::ssize_t>(a.ratings.n_users),
                                         static_cast<py::ssize_t>(a.model.n_hidden)};
    py::array_t<float> x(shape), probs(shape);
    py::object states = py::none();
    a.x = x.mutable_data();
    a.probs = probs.mutable_data();
    if (draw) {
        py::array_t<float> drawn(shape);
        a.states = drawn.mutable_data();
        states = drawn;
    }
    a.seed = seed;
    a.offset = offset;
    run([&] { return hc_cf_hidden(&a); });
    return py::make_tuple(x, probs, states);
}

py::tuple cf_visible(const py::tuple& model, const py::tuple& ratings, const py::array& hidden, uint64_t seed,
                     uint64_t offset, bool draw) {
    auto a = with_ratings<hc_cf_visible_args>(model, ratings);
    a.hidden = data<float>(hidden, "hidden",
                           {static_cast<py::ssize_t>(a.ratings.n_users), static_cast<py::ssize_t>(a.model.n_hidden)},
                           Access::read);
    py::array_t<float> probs({count(a.ratings), static_cast<py::ssize_t>(a.model.n_levels)});
    a.probs = probs.mutable_data();
    py::object levels = py::none();
    if (draw) {
        py::array_t<uint8_t> drawn(count(a.ratings));
        a.levels = drawn.mutable_data();
        levels = drawn;
    }
    a.seed = seed;
    a.offset = offset;
    run([&] { return hc_cf_visible(&a); });
    return py::make_tuple(probs, levels);
}

py::array_t<float> cf_conditional(const py::tuple& model, const py::tuple& ratings, const py::array& x,
                                  bool leave_out) {
    auto a = with_ratings<hc_cf_conditional_args>(model, ratings);
    a.x = data<float>(x, "x", {static_cast<py::ssize_t>(a.ratings.n_users), static_cast<py::ssize_t>(a.model.n_hidden)},
                      Access::read);
    a.leave_out = leave_out;
    py::array_t<float> probs({count(a.ratings), static_cast<py::ssize_t>(a.model.n_levels)});
    a.probs = probs.mutable_data();
    run([&] { return hc_cf_conditional(&a); });
    return probs;
}

// rates (w, d, vis, level, hid), decays (w, d, vis), velocities like model[1:]
hc_cf_optimiser read_optimiser(const hc_cf_model& m, const py::tuple& velocities, const py::object& item_rates,
                               const py::tuple& rates, const py::tuple& decays, float momentum,
                               const py::array& updates, int64_t step) {
    if (velocities.size() != 5) throw py::value_error("velocity: expected 5 arrays");
    if (rates.size() != 5 || decays.size() != 3) throw py::value_error("rates, decays: expected 5 and 3 numbers");
    const py::ssize_t n_items = m.n_items, n_levels = m.n_levels, n_hidden = m.n_hidden;
    const py::ssize_t rows = m.scores ? 1 : n_levels;
    hc_cf_optimiser o{};
    o.rate_w = rates[0].cast<float>();
    o.rate_d = rates[1].cast<float>();
    o.rate_vis = rates[2].cast<float>();
    o.rate_level = rates[3].cast<float>();
    o.rate_hid = rates[4].cast<float>();
    o.decay_w = decays[0].cast<float>();
    o.decay_d = decays[1].cast<float>();
    o.decay_vis = decays[2].cast<float>();
    o.momentum = momentum;
    o.item_rates = optional<float>(item_rates, "item_rates", {n_items}, Access::read);
    o.vel_w = data<float>(velocities[0].cast<py::array>(), "velocity of w", {n_items, rows, n_hidden}, Access::write);
    o.vel_d = optional<float>(velocities[1], "velocity of d", {n_items, n_hidden}, Access::write);
    o.vel_vis = data<float>(velocities[2].cast<py::array>(), "velocity of b_vis", {n_items, n_levels}, Access::write);
    o.vel_level = data<float>(velocities[3].cast<py::array>(), "velocity of b_level", {n_levels}, Access::write);
    o.vel_hid = data<float>(velocities[4].cast<py::array>(), "velocity of b_hid", {n_hidden}, Access::write);
    o.updates = data<int64_t>(updates, "updates", {n_items}, Access::write);
    o.step = step;
    return o;
}

py::object number(double value) { return std::isnan(value) ? py::object(py::none()) : py::float_(value); }

py::dict cf_update(const py::tuple& model, const py::tuple& ratings, const py::tuple& velocities,
                   const py::object& item_rates, const py::tuple& rates, const py::tuple& decays, float momentum,
                   const py::array& updates, int64_t step, int k, uint64_t seed, uint64_t offset) {
    hc_cf_update_args a{};
    a.struct_size = sizeof a;
    a.model = read_model(model, Access::write);
    a.ratings = read_ratings(ratings);
    a.optimiser = read_optimiser(a.model, velocities, item_rates, rates, decays, momentum, updates, step);
    a.k = k;
    a.seed = seed;
    a.offset = offset;
    hc_cf_stats stats{};
    run([&] { return hc_cf_update(&a, &stats); });
    py::dict result;
    result["log_conditional"] = number(stats.log_conditional);
    result["reconstruction_error"] = number(stats.reconstruction_error);
    return result;
}

void cf_settle(const py::tuple& model, const py::tuple& velocities, const py::object& item_rates,
               const py::tuple& rates, const py::tuple& decays, float momentum, const py::array& updates,
               int64_t step) {
    hc_cf_settle_args a{};
    a.struct_size = sizeof a;
    a.model = read_model(model, Access::write);
    a.optimiser = read_optimiser(a.model, velocities, item_rates, rates, decays, momentum, updates, step);
    run([&] { return hc_cf_settle(&a); });
}

}  // namespace

void bind_cf(py::module_& m) {
    m.def("cf_hidden", &cf_hidden, py::arg("model"), py::arg("ratings"), py::arg("seed"), py::arg("offset"),
          py::arg("draw"));
    m.def("cf_visible", &cf_visible, py::arg("model"), py::arg("ratings"), py::arg("hidden"), py::arg("seed"),
          py::arg("offset"), py::arg("draw"));
    m.def("cf_conditional", &cf_conditional, py::arg("model"), py::arg("ratings"), py::arg("x"), py::arg("leave_out"));
    m.def("cf_update", &cf_update, py::arg("model"), py::arg("ratings"), py::arg("velocities"), py::arg("item_rates"),
          py::arg("rates"), py::arg("decays"), py::arg("momentum"), py::arg("updates"), py::arg("step"), py::arg("k"),
          py::arg("seed"), py::arg("offset"));
    m.def("cf_settle", &cf_settle, py::arg("model"), py::arg("velocities"), py::arg("item_rates"), py::arg("rates"),
          py::arg("decays"), py::arg("momentum"), py::arg("updates"), py::arg("step"));
}

}  // namespace hc_python
