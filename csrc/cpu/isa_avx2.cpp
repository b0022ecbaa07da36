// Every CPU kernel at level avx2: the vocabulary, the tile sizes, the bodies.
#include "simd_avx2.h"

#define HC_UNIT_BLOCK 32
#define HC_ROW_UNROLL 1
#include "bodies-inl.h"
