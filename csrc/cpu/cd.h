// One contrastive-divergence (or persistent CD) update of a Bernoulli RBM on the host.
#pragma once

#include "hintoncore/hintoncore.h"

namespace hc {

// Arguments are validated already (capi/rbm.cpp). Throws Error when w holds NaN or infinities (nothing is changed then),
// or when the update produced them (HC_DIVERGED).
void cd_update(const hc_cd_args& p, hc_cd_stats* stats);

}  // namespace hc
