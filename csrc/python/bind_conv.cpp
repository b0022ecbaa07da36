#include <pybind11/stl.h>

#include "arrays.h"
#include "bind.h"

namespace hc_python {
namespace {

using Pair = std::pair<int64_t, int64_t>;
using Shape = std::vector<py::ssize_t>;

py::ssize_t out_extent(py::ssize_t size, int64_t padding, py::ssize_t kernel, int64_t stride, const char* axis) {
    if (size + 2 * padding < kernel)
        throw py::value_error(std::string("w: a kernel ") + std::to_string(kernel) + " " + axis +
                              " does not fit into an image " + std::to_string(size) + " " + axis + " with padding " +
                              std::to_string(padding) + " on each side");
    return static_cast<py::ssize_t>((size + 2 * padding - kernel) / stride + 1);
}

// The shapes of a convolution's arrays.
struct Shapes {
    hc_conv2d_shape sizes{};
    Shape x, w, y, b;

    Shapes(const py::array& input, const py::array& weights, Pair stride, Pair padding) {
        for (int axis = 0; axis < 4; ++axis) {
            x.push_back(extent(input, "x", axis, 4));
            w.push_back(extent(weights, "w", axis, 4));
        }
        if (w[1] != x[1])
            throw py::value_error("w: expected (O, C, kh, kw) with C = " + std::to_string(x[1]) +
                                  ", which x of shape " + shape_text(x) + " has, got shape " + shape_text(w));
        sizes.batch = x[0];
        sizes.channels = x[1];
        sizes.height = x[2];
        sizes.width = x[3];
        sizes.out_channels = w[0];
        sizes.kernel_height = w[2];
        sizes.kernel_width = w[3];
        sizes.stride_y = stride.first;
        sizes.stride_x = stride.second;
        sizes.padding_y = padding.first;
        sizes.padding_x = padding.second;
        y = {x[0], w[0], out_extent(x[2], padding.first, w[2], stride.first, "high"),
             out_extent(x[3], padding.second, w[3], stride.second, "wide")};
        b = {w[0]};
        if (static_cast<double>(y[0]) * y[1] * y[2] * y[3] > static_cast<double>(int64_t{1} << 46))
            throw py::value_error("out: an array of shape " + shape_text(y) + " is too large");
    }
};

py::array conv2d(const py::array& x, const py::array& w, const py::object& b, Pair stride, Pair padding, int activation,
                 const py::object& out) {
    const Shapes shapes(x, w, stride, padding);
    hc_conv2d_args p{};
    p.struct_size = sizeof p;
    p.shape = shapes.sizes;
    p.x = data<float>(x, "x", shapes.x, Access::read);
    p.w = data<float>(w, "w", shapes.w, Access::read);
    if (!b.is_none()) p.bias = data<float>(b.cast<py::array>(), "b", shapes.b, Access::read);
    p.activation = activation;
    const py::array y = out.is_none() ? py::array(py::array_t<float>(shapes.y)) : out.cast<py::array>();
    p.out = data<float>(y, "out", shapes.y, Access::write);
    if (!b.is_none() && overlap(y, b.cast<py::array>())) throw py::value_error("out: must not share memory with b");
    run([&] { return hc_conv2d(&p); });
    return y;
}

py::tuple conv2d_backward(const py::array& x, const py::array& w, const py::array& y, const py::array& dy, Pair stride,
                          Pair padding, int activation, const py::object& out) {
    const Shapes shapes(x, w, stride, padding);
    hc_conv2d_backward_args p{};
    p.struct_size = sizeof p;
    p.shape = shapes.sizes;
    p.x = data<float>(x, "x", shapes.x, Access::read);
    p.w = data<float>(w, "w", shapes.w, Access::read);
    p.y = data<float>(y, "y", shapes.y, Access::read);
    p.dy = data<float>(dy, "dy", shapes.y, Access::read);
    p.activation = activation;
    // Fresh arrays, or the three given, of which None ones are not computed.
    const py::tuple outputs = out.is_none() ? py::make_tuple(py::array_t<float>(shapes.x), py::array_t<float>(shapes.w),
                                                             py::array_t<float>(shapes.b))
                                            : out.cast<py::tuple>();
    const auto output = [&](size_t i, const char* name, const Shape& shape) -> float* {
        if (outputs[i].is_none()) return nullptr;
        return data<float>(outputs[i].cast<py::array>(), name, shape, Access::write);
    };
    p.dx = output(0, "out[0]", shapes.x);
    p.dw = output(1, "out[1]", shapes.w);
    p.db = output(2, "out[2]", shapes.b);
    run([&] { return hc_conv2d_backward(&p); });
    return outputs;
}

}  // namespace

void bind_conv(py::module_& m) {
    m.def("conv2d", &conv2d, py::arg("x"), py::arg("w"), py::arg("b"), py::arg("stride"), py::arg("padding"),
          py::arg("activation"), py::arg("out") = py::none());
    m.def("conv2d_backward", &conv2d_backward, py::arg("x"), py::arg("w"), py::arg("y"), py::arg("dy"),
          py::arg("stride"), py::arg("padding"), py::arg("activation"), py::arg("out") = py::none());
}

}  // namespace hc_python
