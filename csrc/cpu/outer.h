// Sums of outer products added to weights: what delta rules and Hebbian statistics are made of.
#pragma once

#include "hintoncore/hintoncore.h"

namespace hc {

// Arguments are validated already (capi/outer.cpp). Throws HC_DIVERGED when the new weights are not finite.
void outer_update(const hc_outer_args& p);

}  // namespace hc
