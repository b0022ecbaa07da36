// Every CPU kernel at level scalar: the vocabulary, the tile sizes, the bodies.
#include "simd_scalar.h"

#define HC_ROW_UNROLL 1
#define HC_GEMM_ROWS 4
#define HC_GEMM_VECTORS 2
#define HC_GEMM_BLOCK_FLOATS (32 << 10)
#include "bodies-inl.h"
