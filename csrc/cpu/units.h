// Sampling of layers of any type of unit, on the host.
#pragma once

#include "hintoncore/hintoncore.h"

namespace hc {

void sample_units(const hc_units_args& args);

}  // namespace hc
