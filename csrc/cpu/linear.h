// Gradients of a dense layer on the host. (Its forward pass is hc::matmul with a bias and an activation.)
#pragma once

#include "hintoncore/hintoncore.h"

namespace hc {

void linear_backward(const hc_linear_backward_args& p);

}  // namespace hc
