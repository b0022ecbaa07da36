// Included once by each isa_*.cpp after its vocabulary (which defines HC_ISA) and tile sizes: instantiates every kernel
// body in the ISA's namespace and exports one table. No STL and nothing with external linkage but that table, so no code
// compiled for a newer processor can be picked up by baseline code.
#include <stdint.h>
#include <string.h>

#include "kernels.h"

namespace hc {
namespace HC_ISA {

constexpr int kUnitBlock = HC_UNIT_BLOCK;
constexpr int kRowUnroll = HC_ROW_UNROLL;

#include "philox-inl.h"
#include "math-inl.h"
#include "elementwise-inl.h"
#include "gemm-inl.h"
#include "bit_product-inl.h"
#if defined(HC_HAS_LOOKUP32)
#include "lane_product-inl.h"
#endif
#include "sample-inl.h"
#include "cd-inl.h"
#include "bits-inl.h"

#define HC_STRING_(x) #x
#define HC_STRING(x) HC_STRING_(x)
extern const KernelTable kKernels;
const KernelTable kKernels = {
    HC_STRING(HC_ISA),
    kLanes,
    kUnitBlock,
    kGemmRows,
    kGemmColumns,
#define HC_KERNEL(name, Args) &name,
#if !defined(HC_HAS_LOOKUP32)
#define HC_LANE_KERNEL(name, Args) nullptr,
#endif
#include "kernels.inc"
#undef HC_KERNEL
};

}  // namespace HC_ISA
}  // namespace hc
