#include "cpu/linear.h"

#include "capi/border.h"

namespace hc {
namespace {

void checked_linear_backward(const hc_linear_backward_args& p) {
    require_size(p.batch, "batch");
    require_size(p.n_in, "n_in");
    require_size(p.n_out, "n_out");
    require_elements(p.batch, p.n_in, "x");
    require_elements(p.n_in, p.n_out, "w");
    require_elements(p.batch, p.n_out, "dy");
    require_activation(p.activation);
    require_threads(p.threads);
    require(p.dx || p.dw || p.db, "dx, dw, db: give at least one");
    require_pointer(p.dy, "dy");
    if (p.dx) require_pointer(p.w, "w");
    if (p.dw) require_pointer(p.x, "x");
    if (p.activation != HC_ACTIVATION_NONE) require_pointer(p.y, "y");
    const Part inputs[] = {{p.x, p.batch * p.n_in, "x"},
                           {p.w, p.n_in * p.n_out, "w"},
                           {p.y, p.batch * p.n_out, "y"},
                           {p.dy, p.batch * p.n_out, "dy"}};
    const Part outputs[] = {{p.dx, p.batch * p.n_in, "dx"}, {p.dw, p.n_in * p.n_out, "dw"}, {p.db, p.n_out, "db"}};
    require_all_apart(outputs, inputs);
    linear_backward(p);
}

}  // namespace
}  // namespace hc

extern "C" {

hc_status hc_linear_backward(const hc_linear_backward_args* args) {
    return hc::at_border([&] { hc::checked_linear_backward(hc::read_args(args)); });
}

}  // extern "C"
