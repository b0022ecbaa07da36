#include "cpu/conv.h"

#include "capi/border.h"
#include "cpu/conv_stage.h"

namespace hc {
namespace {

void require_shape(const hc_conv2d_shape& s) {
    require_size(s.batch, "batch");
    require_size(s.channels, "channels");
    require_size(s.height, "height");
    require_size(s.width, "width");
    require_size(s.out_channels, "out_channels");
    require_size(s.kernel_height, "kernel_height");
    require_size(s.kernel_width, "kernel_width");
    require_size(s.stride_y, "stride_y");
    require_size(s.stride_x, "stride_x");
    const int64_t padding[] = {s.padding_y, s.padding_x};
    for (int64_t n : padding)
        if (n < 0 || n > INT32_MAX / 4) invalid("padding: expected a size in 0..536870911, got " + std::to_string(n));
    const auto require_fit = [](int64_t size, int64_t padding_of, int64_t kernel, const char* name) {
        if (size + 2 * padding_of < kernel)
            invalid(std::string(name) + ": a kernel of " + std::to_string(kernel) + " does not fit into " +
                    std::to_string(size) + " with padding " + std::to_string(padding_of) + " on each side");
    };
    require_fit(s.height, s.padding_y, s.kernel_height, "kernel_height");
    require_fit(s.width, s.padding_x, s.kernel_width, "kernel_width");
    const ConvSizes sizes(s);
    require_elements(s.height, s.width, "x");
    require_elements(s.batch, s.channels, "x");
    require_elements(s.batch * s.channels, s.height * s.width, "x");
    require_elements(s.kernel_height, s.kernel_width, "w");
    require_elements(s.out_channels, s.channels, "w");
    require_elements(s.out_channels * s.channels, sizes.taps, "w");
    require_elements(sizes.out_height, sizes.out_width, "out");
    require_elements(s.batch, s.out_channels, "out");
    require_elements(s.batch * s.out_channels, sizes.pixels, "out");
    require_elements(s.batch * sizes.padded_rows, sizes.padded_columns, "x, with its padding");
}

struct Floats {
    int64_t x, w, y;
    explicit Floats(const hc_conv2d_shape& s) {
        const ConvSizes sizes(s);
        x = s.batch * s.channels * s.height * s.width;
        w = s.out_channels * s.channels * sizes.taps;
        y = s.batch * s.out_channels * sizes.pixels;
    }
};

void checked_conv2d(const hc_conv2d_args& p) {
    require_shape(p.shape);
    require_activation(p.activation);
    require_threads(p.threads);
    require_pointer(p.x, "x");
    require_pointer(p.w, "w");
    require_pointer(p.out, "out");
    const Floats n(p.shape);
    const Part inputs[] = {{p.x, n.x, "x"}, {p.w, n.w, "w"}, {p.bias, p.shape.out_channels, "bias"}};
    const Part outputs[] = {{p.out, n.y, "out"}};
    require_all_apart(outputs, inputs);
    conv2d(p);
}

void checked_conv2d_backward(const hc_conv2d_backward_args& p) {
    require_shape(p.shape);
    require_activation(p.activation);
    require_threads(p.threads);
    require(p.dx || p.dw || p.db, "dx, dw, db: give at least one");
    require_pointer(p.dy, "dy");
    if (p.dx) require_pointer(p.w, "w");
    if (p.dw) require_pointer(p.x, "x");
    if (p.activation != HC_ACTIVATION_NONE) require_pointer(p.y, "y");
    const Floats n(p.shape);
    const Part inputs[] = {{p.x, n.x, "x"}, {p.w, n.w, "w"}, {p.y, n.y, "y"}, {p.dy, n.y, "dy"}};
    const Part outputs[] = {{p.dx, n.x, "dx"}, {p.dw, n.w, "dw"}, {p.db, p.shape.out_channels, "db"}};
    require_all_apart(outputs, inputs);
    conv2d_backward(p);
}

}  // namespace
}  // namespace hc

extern "C" {

hc_status hc_conv2d(const hc_conv2d_args* args) {
    return hc::at_border([&] { hc::checked_conv2d(hc::read_args(args)); });
}

hc_status hc_conv2d_backward(const hc_conv2d_backward_args* args) {
    return hc::at_border([&] { hc::checked_conv2d_backward(hc::read_args(args)); });
}

}  // extern "C"
