// An update of weights from a gradient: momentum, decay, and products of outer factors taken off on the way.
#pragma once

#include "hintoncore/hintoncore.h"

namespace hc {

// Arguments are validated already (capi/weight_update.cpp). Throws Error (HC_DIVERGED) when the new weights hold NaN or
// infinities.
void weight_update(const hc_weight_update_args& a);

}  // namespace hc
