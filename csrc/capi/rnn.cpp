#include "cpu/rnn.h"

#include "capi/border.h"

namespace hc {
namespace {

void require_sequence(int64_t steps, int64_t batch, int64_t hidden, int64_t inputs, const float* x, int activation,
                      int threads) {
    require_size(steps, "steps");
    require_size(batch, "batch");
    require_size(hidden, "hidden");
    if (x) require_size(inputs, "inputs");
    require(x || inputs == 0, "inputs: expected 0 without x");
    require_elements(steps, batch, "h");
    require_elements(steps * batch, hidden, "h");
    require_elements(steps * batch, inputs, "x");
    require_elements(hidden, hidden, "w_h");
    require_activation(activation);
    require_threads(threads);
}

void checked_rnn(const hc_rnn_args& p) {
    require_sequence(p.steps, p.batch, p.hidden, p.inputs, p.x, p.activation, p.threads);
    require_pointer(p.w_h, "w_h");
    require(p.z || p.x, "z, x: give at least one");
    if (p.x) require_pointer(p.w_x, "w_x");
    require(p.h || p.h_last, "h, h_last: give at least one");
    const int64_t row = p.batch * p.hidden, all = p.steps * row;
    const Part inputs[] = {{p.z, all, "z"},
                           {p.x, p.steps * p.batch * p.inputs, "x"},
                           {p.w_x, p.inputs * p.hidden, "w_x"},
                           {p.bias, p.hidden, "bias"},
                           {p.w_h, p.hidden * p.hidden, "w_h"},
                           {p.h0, row, "h0"}};
    const Part outputs[] = {{p.h, all, "h"}, {p.h_last, row, "h_last"}};
    require_all_apart(outputs, inputs);
    rnn(p);
}

void checked_rnn_backward(const hc_rnn_backward_args& p) {
    require_sequence(p.steps, p.batch, p.hidden, p.inputs, p.x, p.activation, p.threads);
    require_pointer(p.h, "h");
    require_pointer(p.w_h, "w_h");
    require((p.dh != nullptr) != (p.dh_last != nullptr), "dh, dh_last: give one of them");
    require(!p.dw_x || p.x, "dw_x: needs x");
    require(p.dz || p.dw_h || p.dh0 || p.dw_x || p.db, "dz, dw_h, dh0, dw_x, db: give at least one");
    const int64_t row = p.batch * p.hidden, all = p.steps * row;
    const Part inputs[] = {{p.h, all, "h"},
                           {p.x, p.steps * p.batch * p.inputs, "x"},
                           {p.w_h, p.hidden * p.hidden, "w_h"},
                           {p.h0, row, "h0"},
                           {p.dh, all, "dh"},
                           {p.dh_last, row, "dh_last"}};
    const Part outputs[] = {{p.dz, all, "dz"},
                            {p.dw_h, p.hidden * p.hidden, "dw_h"},
                            {p.dh0, row, "dh0"},
                            {p.dw_x, p.inputs * p.hidden, "dw_x"},
                            {p.db, p.hidden, "db"}};
    require_all_apart(outputs, inputs);
    rnn_backward(p);
}

}  // namespace
}  // namespace hc

extern "C" {

hc_status hc_rnn(const hc_rnn_args* args) {
    return hc::at_border([&] { hc::checked_rnn(hc::read_args(args)); });
}

hc_status hc_rnn_backward(const hc_rnn_backward_args* args) {
    return hc::at_border([&] { hc::checked_rnn_backward(hc::read_args(args)); });
}

}  // extern "C"
