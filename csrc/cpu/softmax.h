// Softmax and cross-entropy on the host.
#pragma once

#include "hintoncore/hintoncore.h"

namespace hc {

void softmax(const hc_softmax_args& p);

}  // namespace hc
