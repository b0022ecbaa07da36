// Optimiser updates on the host.
#pragma once

#include <stdint.h>

#include "hintoncore/hintoncore.h"

namespace hc {

// Throws HC_DIVERGED when a parameter became NaN or infinite.
void optimiser_step(const hc_optimiser_args& p);
double sum_of_squares(const float* x, int64_t n, int threads);
void max_norm(float* w, int64_t rows, int64_t columns, float limit, int threads);

}  // namespace hc
