// Host entries that turn dense 0/1 states into bit-packed ones on the GPU, and back. Same rules as gibbs.h.
#pragma once

#include <stdint.h>

namespace hc {
namespace cuda {

// dense float [batch, units] row-major -> words uint64 [units, ceil(batch / 64)]; any value but 0 sets the bit.
void pack_bits(const float* dense, uint64_t* words, int64_t batch, int64_t units, void* stream);
// words uint64 [units, ceil(batch / 64)] -> dense float [batch, units] of 0 and 1.
void unpack_bits(const uint64_t* words, float* dense, int64_t batch, int64_t units, void* stream);

}  // namespace cuda
}  // namespace hc
