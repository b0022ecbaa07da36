#include "cpu/elementwise.h"

#include "capi/border.h"

extern "C" {

hc_status hc_elementwise(int function, const float* x, float* y, int64_t n, int threads) {
    return hc::at_border([&] {
        hc::require(function >= HC_FUNCTION_EXP && function <= HC_FUNCTION_SOFTPLUS,
                    "function: expected one of hc_function");
        hc::require_pointer(x, "x");
        hc::require_pointer(y, "y");
        hc::require(n >= 1 && n <= (int64_t{1} << 46), "n: expected a size in 1..2^46");
        hc::require_threads(threads);
        if (x != y) hc::require_apart(y, n, "y", x, n, "x");
        hc::elementwise(static_cast<hc_function>(function), x, y, n, threads);
    });
}

}  // extern "C"
