// Functions of one variable on arrays, on the host.
#pragma once

#include <stdint.h>

#include "hintoncore/hintoncore.h"

namespace hc {

// y[i] = f(x[i]); y may be x.
void elementwise(hc_function function, const float* x, float* y, int64_t n, int threads);

}  // namespace hc
