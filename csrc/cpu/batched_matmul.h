// Many matrix products in one call, on the host.
#pragma once

#include "hintoncore/hintoncore.h"

namespace hc {

constexpr int kMaxBatchDims = 64;

void batched_matmul(const hc_batched_matmul_args& p);

}  // namespace hc
