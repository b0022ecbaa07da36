// Every CPU kernel at level avx2: the vocabulary, the tile sizes, the bodies.
#include "simd_avx2.h"

#define HC_ROW_UNROLL 1
#define HC_GEMM_ROWS 6
#define HC_GEMM_VECTORS 2
#define HC_GEMM_BLOCK_FLOATS (48 << 10)
#include "bodies-inl.h"
