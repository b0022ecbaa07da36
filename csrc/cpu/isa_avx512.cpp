// Every CPU kernel at level avx512: the vocabulary, the tile sizes, the bodies.
#include "simd_avx512.h"

#define HC_ROW_UNROLL 8
#define HC_GEMM_ROWS 12
#define HC_GEMM_VECTORS 2
#define HC_GEMM_BLOCK_FLOATS (104 << 10)
#include "bodies-inl.h"
