#include "arrays.h"
#include "bind.h"

namespace hc_python {
namespace {

// `target`: int32 labels, float32 target rows, or None for the probabilities alone.
py::object softmax(const py::array& x, const py::object& target, float scale, const py::object& out) {
    const py::ssize_t rows = extent(x, "x", 0, 2), columns = extent(x, "x", 1, 2);
    hc_softmax_args p{};
    p.struct_size = sizeof p;
    p.rows = rows;
    p.columns = columns;
    p.x = data<float>(x, "x", {rows, columns}, Access::read);
    double loss = 0.0;
    if (!target.is_none()) {
        const py::array t = target.cast<py::array>();
        if (t.ndim() == 1)
            p.labels = data<int32_t>(t, "targets", {rows}, Access::read);
        else
            p.targets = data<float>(t, "targets", {rows, columns}, Access::read);
        p.loss = &loss;
    }
    p.scale = scale;
    p.y = optional_output(out, "out", {rows, columns});
    run([&] { return hc_softmax(&p); });
    return py::float_(loss);
}

py::tuple layer_norm(const py::array& x, const py::object& gain, const py::object& shift, float epsilon) {
    const py::ssize_t rows = extent(x, "x", 0, 2), columns = extent(x, "x", 1, 2);
    hc_layer_norm_args p{};
    p.struct_size = sizeof p;
    p.rows = rows;
    p.columns = columns;
    p.x = data<float>(x, "x", {rows, columns}, Access::read);
    p.gain = optional_input(gain, "gain", {columns});
    p.shift = optional_input(shift, "shift", {columns});
    p.epsilon = epsilon;
    py::array_t<float> y({rows, columns}), mean(rows), inverse_std(rows);
    p.y = y.mutable_data();
    p.mean = mean.mutable_data();
    p.inverse_std = inverse_std.mutable_data();
    run([&] { return hc_layer_norm(&p); });
    return py::make_tuple(y, mean, inverse_std);
}

py::tuple layer_norm_backward(const py::array& x, const py::object& gain, const py::array& mean,
                              const py::array& inverse_std, const py::array& dy) {
    const py::ssize_t rows = extent(x, "x", 0, 2), columns = extent(x, "x", 1, 2);
    hc_layer_norm_backward_args p{};
    p.struct_size = sizeof p;
    p.rows = rows;
    p.columns = columns;
    p.x = data<float>(x, "x", {rows, columns}, Access::read);
    p.gain = optional_input(gain, "gain", {columns});
    p.mean = data<float>(mean, "mean", {rows}, Access::read);
    p.inverse_std = data<float>(inverse_std, "inverse_std", {rows}, Access::read);
    p.dy = data<float>(dy, "dy", {rows, columns}, Access::read);
    py::array_t<float> dx({rows, columns}), dgain(columns), dshift(columns);
    p.dx = dx.mutable_data();
    p.dgain = dgain.mutable_data();
    p.dshift = dshift.mutable_data();
    run([&] { return hc_layer_norm_backward(&p); });
    return py::make_tuple(dx, dgain, dshift);
}

void dropout(const py::array& x, float rate, uint64_t seed, uint64_t offset, int64_t first_sample,
             const py::array& out) {
    const py::ssize_t rows = extent(x, "x", 0, 2), columns = extent(x, "x", 1, 2);
    hc_dropout_args p{};
    p.struct_size = sizeof p;
    p.rows = rows;
    p.columns = columns;
    p.x = data<float>(x, "x", {rows, columns}, Access::read);
    p.rate = rate;
    p.seed = seed;
    p.offset = offset;
    p.first_sample = first_sample;
    p.y = data<float>(out, "out", {rows, columns}, Access::write);
    run([&] { return hc_dropout(&p); });
}

py::array embedding(const py::array& table, const py::array& index) {
    const py::ssize_t rows = extent(table, "table", 0, 2), columns = extent(table, "table", 1, 2);
    const py::ssize_t n = extent(index, "index", 0, 1);
    const float* from = data<float>(table, "table", {rows, columns}, Access::read);
    const int32_t* at = data<int32_t>(index, "index", {n}, Access::read);
    py::array_t<float> out({n, columns});
    float* to = out.mutable_data();
    run([&] { return hc_embedding(from, rows, columns, at, n, to, 0); });
    return out;
}

void embedding_add(const py::array& table, const py::array& index, const py::array& source, float scale) {
    const py::ssize_t rows = extent(table, "table", 0, 2), columns = extent(table, "table", 1, 2);
    const py::ssize_t n = extent(index, "index", 0, 1);
    float* to = data<float>(table, "table", {rows, columns}, Access::write);
    const int32_t* at = data<int32_t>(index, "index", {n}, Access::read);
    const float* from = data<float>(source, "dy", {n, columns}, Access::read);
    run([&] { return hc_embedding_add(to, rows, columns, at, n, from, scale, 0); });
}

}  // namespace

void bind_layers(py::module_& m) {
    m.def("softmax", &softmax, py::arg("x"), py::arg("target"), py::arg("scale"), py::arg("out"));
    m.def("layer_norm", &layer_norm, py::arg("x"), py::arg("gain"), py::arg("shift"), py::arg("epsilon"));
    m.def("layer_norm_backward", &layer_norm_backward, py::arg("x"), py::arg("gain"), py::arg("mean"),
          py::arg("inverse_std"), py::arg("dy"));
    m.def("dropout", &dropout, py::arg("x"), py::arg("rate"), py::arg("seed"), py::arg("offset"),
          py::arg("first_sample"), py::arg("out"));
    m.def("embedding", &embedding, py::arg("table"), py::arg("index"));
    m.def("embedding_add", &embedding_add, py::arg("table"), py::arg("index"), py::arg("source"), py::arg("scale"));
}

}  // namespace hc_python
