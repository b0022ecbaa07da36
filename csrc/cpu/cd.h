// One contrastive-divergence (or persistent CD) update of a Bernoulli RBM on the host, or its gradient alone.
#pragma once

#include "hintoncore/hintoncore.h"

namespace hc {

// Arguments are validated already (capi/rbm.cpp). Throws Error when w holds NaN or infinities (nothing is changed then),
// or when the update produced them (HC_DIVERGED).
void cd_update(const hc_cd_args& a, hc_cd_stats* stats);
void cd_gradient(const hc_cd_gradient_args& a, hc_cd_stats* stats);

}  // namespace hc
