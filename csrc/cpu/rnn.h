// A recurrent layer over whole sequences on the host.
#pragma once

#include "hintoncore/hintoncore.h"

namespace hc {

void rnn(const hc_rnn_args& p);
void rnn_backward(const hc_rnn_backward_args& p);

}  // namespace hc
