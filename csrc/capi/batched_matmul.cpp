#include "cpu/batched_matmul.h"

#include <cstdlib>

#include "capi/border.h"

namespace hc {
namespace {

void checked_batched_matmul(const hc_batched_matmul_args& p) {
    require_size(p.m, "m");
    require_size(p.n, "n");
    require_size(p.k, "k");
    require_pointer(p.a, "a");
    require_pointer(p.b, "b");
    require_pointer(p.out, "out");
    require_threads(p.threads);
    if (p.batch_dims < 0 || p.batch_dims > kMaxBatchDims)
        invalid("batch_dims: expected 0..64, got " + std::to_string(p.batch_dims));
    if (p.batch_dims) {
        require_pointer(p.batch_shape, "batch_shape");
        require_pointer(p.a_strides, "a_strides");
        require_pointer(p.b_strides, "b_strides");
        require_pointer(p.out_strides, "out_strides");
    }
    require_elements(p.m, p.k, "a");
    require_elements(p.k, p.n, "b");
    require_elements(p.m, p.n, "out");
    int64_t count = 1;
    for (int d = 0; d < p.batch_dims; ++d) {
        require_size(p.batch_shape[d], "batch_shape");
        require_elements(count * p.m, p.batch_shape[d] * p.n, "out");
        count *= p.batch_shape[d];
        if (p.batch_shape[d] > 1 && p.out_strides[d] == 0)
            invalid("out_strides: matrices of the batch would be written to one place");
    }
    if (p.m > 1 && std::abs(p.ld_out) < p.n)
        invalid("ld_out: expected at least the " + std::to_string(p.n) + " columns stored, got " +
                std::to_string(p.ld_out));
    batched_matmul(p);
}

}  // namespace
}  // namespace hc

extern "C" {

hc_status hc_batched_matmul(const hc_batched_matmul_args* args) {
    return hc::at_border([&] { hc::checked_batched_matmul(hc::read_args(args)); });
}

}  // extern "C"
