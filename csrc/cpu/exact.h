// Exact log partition functions of Bernoulli RBMs.
#pragma once

#include "hintoncore/hintoncore.h"

namespace hc {

double exact_log_z(const hc_exact_args& p);

}  // namespace hc
