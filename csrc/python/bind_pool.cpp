#include <pybind11/stl.h>

#include "arrays.h"
#include "bind.h"

namespace hc_python {
namespace {

using Pair = std::pair<int64_t, int64_t>;
using Shape = std::vector<py::ssize_t>;

Shape shape_of(const py::array& a, const char* name) {
    Shape shape;
    for (int axis = 0; axis < 4; ++axis) shape.push_back(extent(a, name, axis, 4));
    return shape;
}

py::tuple max_pool2d(const py::array& x, Pair window, Pair stride) {
    const Shape in = shape_of(x, "x");
    if (window.first > in[2] || window.second > in[3])
        throw py::value_error("window: " + shape_text({window.first, window.second}) +
                              " does not fit into images of shape " + shape_text({in[2], in[3]}));
    const Shape shape{in[0], in[1], static_cast<py::ssize_t>((in[2] - window.first) / stride.first + 1),
                      static_cast<py::ssize_t>((in[3] - window.second) / stride.second + 1)};
    py::array_t<float> y(shape);
    py::array_t<int32_t> index(shape);
    hc_max_pool_args p{};
    p.struct_size = sizeof p;
    p.planes = in[0] * in[1];
    p.height = in[2];
    p.width = in[3];
    p.window_height = window.first;
    p.window_width = window.second;
    p.stride_y = stride.first;
    p.stride_x = stride.second;
    p.x = data<float>(x, "x", in, Access::read);
    p.y = y.mutable_data();
    p.index = index.mutable_data();
    run([&] { return hc_max_pool(&p); });
    return py::make_tuple(y, index);
}

py::array max_pool2d_backward(const py::array& dy, const py::array& index, int64_t height, int64_t width) {
    const Shape in = shape_of(dy, "dy");
    py::array_t<float> dx(Shape{in[0], in[1], static_cast<py::ssize_t>(height), static_cast<py::ssize_t>(width)});
    hc_max_pool_backward_args p{};
    p.struct_size = sizeof p;
    p.planes = in[0] * in[1];
    p.plane = height * width;
    p.windows = in[2] * in[3];
    p.dy = data<float>(dy, "dy", in, Access::read);
    p.index = data<int32_t>(index, "index", in, Access::read);
    p.dx = dx.mutable_data();
    run([&] { return hc_max_pool_backward(&p); });
    return dx;
}

}  // namespace

void bind_pool(py::module_& m) {
    m.def("max_pool2d", &max_pool2d, py::arg("x"), py::arg("window"), py::arg("stride"));
    m.def("max_pool2d_backward", &max_pool2d_backward, py::arg("dy"), py::arg("index"), py::arg("height"),
          py::arg("width"));
}

}  // namespace hc_python
