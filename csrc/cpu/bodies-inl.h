// Included once by each isa_*.cpp after its vocabulary (which defines HC_ISA) and tile sizes: instantiates every kernel
// body in the ISA's namespace and exports one table. No STL and nothing with external linkage but that table, so no code
// compiled for a newer processor can be picked up by baseline code.
#include <stdint.h>
#include <string.h>

#include "kernels.h"

// Where a call would spill accumulators.
#define HC_INLINE inline __attribute__((always_inline))
#define HC_INLINE_LAMBDA __attribute__((always_inline))

namespace hc {
namespace HC_ISA {

constexpr int kRowUnroll = HC_ROW_UNROLL;

// clang-format off: each body uses those above it
#include "lanes-inl.h"
#include "philox-inl.h"
#include "math-inl.h"
#include "elementwise-inl.h"
#include "gemm-inl.h"
#include "gemm_small-inl.h"
#include "conv-inl.h"
#include "rnn-inl.h"
#include "softmax-inl.h"
#include "layer_norm-inl.h"
#include "dropout-inl.h"
#include "embedding-inl.h"
#include "optim-inl.h"
#include "bit_product-inl.h"
#include "lookup_plan-inl.h"
#include "unit_draws-inl.h"
#include "sample-inl.h"
#include "units-inl.h"
#include "ais-inl.h"
#include "enumerate-inl.h"
#include "graph-inl.h"
#include "dense-inl.h"
#include "pair_counts-inl.h"
#include "cd-inl.h"
#include "weight_update-inl.h"
#include "bits-inl.h"
#include "cf-inl.h"
// clang-format on

#define HC_STRING_(x) #x
#define HC_STRING(x) HC_STRING_(x)
extern const KernelTable kKernels;
const KernelTable kKernels = {
    HC_STRING(HC_ISA), kLanes, kGemmRows, kGemmColumns, kGemmBlockFloats,
#define HC_KERNEL(name, Args) &name,
#include "kernels.inc"
#undef HC_KERNEL
};

}  // namespace HC_ISA
}  // namespace hc
