// Dropout on the host, forward and backward.
#pragma once

#include "hintoncore/hintoncore.h"

namespace hc {

void dropout(const hc_dropout_args& p);

}  // namespace hc
