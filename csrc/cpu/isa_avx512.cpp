// Every CPU kernel at level avx512: the vocabulary, the tile sizes, the bodies.
#include "simd_avx512.h"

#define HC_ROW_UNROLL 8
#define HC_GEMM_ROWS 14
#define HC_GEMM_VECTORS 2
#include "bodies-inl.h"
