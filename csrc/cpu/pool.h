// Maxima over windows of images, on the host.
#pragma once

#include "hintoncore/hintoncore.h"

namespace hc {

void max_pool(const hc_max_pool_args& p);
void max_pool_backward(const hc_max_pool_backward_args& p);

}  // namespace hc
