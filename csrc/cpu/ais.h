// Annealed importance sampling of Bernoulli RBMs.
#pragma once

#include "hintoncore/hintoncore.h"

namespace hc {

void anneal(const hc_ais_args& p);

}  // namespace hc
