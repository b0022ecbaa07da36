// Two-dimensional convolution on the host.
#pragma once

#include "hintoncore/hintoncore.h"

namespace hc {

void conv2d(const hc_conv2d_args& p);
void conv2d_backward(const hc_conv2d_backward_args& p);

}  // namespace hc
