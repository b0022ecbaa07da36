// Layer normalisation on the host.
#pragma once

#include "hintoncore/hintoncore.h"

namespace hc {

void layer_norm(const hc_layer_norm_args& p);
void layer_norm_backward(const hc_layer_norm_backward_args& p);

}  // namespace hc
