#include "cpu/pool.h"

#include "capi/border.h"

namespace hc {
namespace {

void require_plane(int64_t elements) {
    if (elements > INT32_MAX)
        invalid("x: expected planes of at most 2147483647 elements, got " + std::to_string(elements));
}

void checked_max_pool(const hc_max_pool_args& p) {
    require_size(p.planes, "planes");
    require_size(p.height, "height");
    require_size(p.width, "width");
    require_size(p.window_height, "window_height");
    require_size(p.window_width, "window_width");
    require_size(p.stride_y, "stride_y");
    require_size(p.stride_x, "stride_x");
    require_plane(p.height * p.width);
    require_elements(p.planes, p.height * p.width, "x");
    require(p.window_height <= p.height, "window_height: expected at most the height");
    require(p.window_width <= p.width, "window_width: expected at most the width");
    require_threads(p.threads);
    require_pointer(p.x, "x");
    require_pointer(p.y, "y");
    const int64_t outputs =
        p.planes * ((p.height - p.window_height) / p.stride_y + 1) * ((p.width - p.window_width) / p.stride_x + 1);
    require_apart(p.y, outputs, "y", p.x, p.planes * p.height * p.width, "x");
    max_pool(p);
}

void checked_max_pool_backward(const hc_max_pool_backward_args& p) {
    require_size(p.planes, "planes");
    require_size(p.plane, "plane");
    require_size(p.windows, "windows");
    require_elements(p.planes, p.plane, "dx");
    require_elements(p.planes, p.windows, "dy");
    require_threads(p.threads);
    require_pointer(p.dy, "dy");
    require_pointer(p.index, "index");
    require_pointer(p.dx, "dx");
    require_apart(p.dx, p.planes * p.plane, "dx", p.dy, p.planes * p.windows, "dy");
    for (int64_t i = 0; i < p.planes * p.windows; ++i)
        if (p.index[i] < 0 || p.index[i] >= p.plane)
            invalid("index: expected values in 0.." + std::to_string(p.plane - 1) + ", got " +
                    std::to_string(p.index[i]));
    max_pool_backward(p);
}

}  // namespace
}  // namespace hc

extern "C" {

hc_status hc_max_pool(const hc_max_pool_args* args) {
    return hc::at_border([&] { hc::checked_max_pool(hc::read_args(args)); });
}

hc_status hc_max_pool_backward(const hc_max_pool_backward_args* args) {
    return hc::at_border([&] { hc::checked_max_pool_backward(hc::read_args(args)); });
}

}  // extern "C"
