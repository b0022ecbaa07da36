#include <algorithm>

#include "arrays.h"
#include "bind.h"

namespace hc_python {
namespace {

py::array_t<uint64_t> graph_gibbs(const py::array& words, int64_t batch, const py::array& indptr,
                                  const py::array& indices, const py::array& weights, const py::array& bias,
                                  const py::object& colors, const py::object& clamp, bool spin,
                                  const py::array& temperatures, uint64_t seed, uint64_t offset, int64_t first_sample) {
    hc_graph_args a{};
    a.struct_size = sizeof a;
    const py::ssize_t n = extent(words, "state", 0, 2), edges = extent(indices, "indices", 0, 1);
    const py::ssize_t row = hc_bit_words(batch);
    a.n_sites = n;
    a.batch = batch;
    const uint64_t* start = data<uint64_t>(words, "state", {n, row}, Access::read);
    a.indptr = data<int64_t>(indptr, "indptr", {n + 1}, Access::read);
    if (a.indptr[n] != edges)
        throw py::value_error("indptr: expected to end with the number of indices, " + std::to_string(edges) +
                              ", got " + std::to_string(a.indptr[n]));
    a.indices = data<int32_t>(indices, "indices", {edges}, Access::read);
    a.weights = data<float>(weights, "weights", {edges}, Access::read);
    a.bias = data<float>(bias, "bias", {n}, Access::read);
    if (!colors.is_none()) a.colors = data<int32_t>(colors.cast<py::array>(), "colors", {n}, Access::read);
    if (!clamp.is_none()) a.clamp = data<uint64_t>(clamp.cast<py::array>(), "clamp", {n, row}, Access::read);
    a.spin = spin;
    a.sweeps = extent(temperatures, "temperature", 0, 1);
    a.temperatures = data<float>(temperatures, "temperature", {static_cast<py::ssize_t>(a.sweeps)}, Access::read);
    a.seed = seed;
    a.offset = offset;
    a.first_sample = first_sample;
    py::array_t<uint64_t> out({n, row});
    a.state = out.mutable_data();
    std::copy(start, start + n * row, a.state);
    run([&] { return hc_graph_gibbs(&a); });
    return out;
}

py::tuple dense_gibbs(const py::array& words, int64_t batch, const py::array& w, const py::array& bias,
                      const py::object& clamp, bool spin, const py::array& temperatures, const py::object& order,
                      bool asynchronous, int64_t counted_sweeps, uint64_t seed, uint64_t offset, uint64_t offset_step,
                      int64_t first_sample) {
    hc_dense_args a{};
    a.struct_size = sizeof a;
    const py::ssize_t n = extent(words, "state", 0, 2), row = hc_bit_words(batch);
    a.n_units = n;
    a.batch = batch;
    const uint64_t* start = data<uint64_t>(words, "state", {n, row}, Access::read);
    a.w = data<float>(w, "w", {n, n}, Access::read);
    a.bias = data<float>(bias, "b", {n}, Access::read);
    if (!clamp.is_none()) a.clamp = data<uint64_t>(clamp.cast<py::array>(), "clamp", {n, row}, Access::read);
    a.spin = spin;
    a.sweeps = extent(temperatures, "temperature", 0, 1);
    a.temperatures = data<float>(temperatures, "temperature", {static_cast<py::ssize_t>(a.sweeps)}, Access::read);
    if (!order.is_none())
        a.order =
            data<int32_t>(order.cast<py::array>(), "order", {static_cast<py::ssize_t>(a.sweeps), n}, Access::read);
    a.seed = seed;
    a.offset = offset;
    a.offset_step = offset_step;
    a.first_sample = first_sample;
    a.asynchronous = asynchronous;
    a.counted_sweeps = counted_sweeps;
    py::object pairs = py::none();
    if (counted_sweeps) {
        py::array_t<int64_t> counts({n, n});
        a.pairs = counts.mutable_data();
        pairs = std::move(counts);
    }
    py::array_t<uint64_t> out({n, row});
    a.state = out.mutable_data();
    std::copy(start, start + n * row, a.state);
    run([&] { return hc_dense_gibbs(&a); });
    return py::make_tuple(out, pairs);
}

}  // namespace

void bind_graph(py::module_& m) {
    m.def("graph_gibbs", &graph_gibbs, py::arg("words"), py::arg("batch"), py::arg("indptr"), py::arg("indices"),
          py::arg("weights"), py::arg("bias"), py::arg("colors"), py::arg("clamp"), py::arg("spin"),
          py::arg("temperatures"), py::arg("seed"), py::arg("offset"), py::arg("first_sample"));
    m.def("dense_gibbs", &dense_gibbs, py::arg("words"), py::arg("batch"), py::arg("w"), py::arg("b"), py::arg("clamp"),
          py::arg("spin"), py::arg("temperatures"), py::arg("order"), py::arg("asynchronous"),
          py::arg("counted_sweeps"), py::arg("seed"), py::arg("offset"), py::arg("offset_step"),
          py::arg("first_sample"));
}

}  // namespace hc_python
