#include <stdexcept>

#include "cuda/bits.cuh"

namespace hc {
namespace cuda {

static Extent bits_grid(int64_t batch, int64_t units) {
    if (batch < 1 || units < 1) throw std::invalid_argument("bit packing on CUDA: batch and units must be at least 1");
    const int64_t n_words = (batch + 63) / 64;
    return {(units + kBitsThreads - 1) / kBitsThreads, n_words < kMaxGridYZ ? n_words : kMaxGridYZ, 1};
}

void pack_bits(const float* dense, uint64_t* words, int64_t batch, int64_t units, void* stream) {
    launch("pack_words", pack_words, bits_grid(batch, units), Extent{kBitsThreads, 1, 1}, 0,
           static_cast<cudaStream_t>(stream), dense, words, batch, units);
}

void unpack_bits(const uint64_t* words, float* dense, int64_t batch, int64_t units, void* stream) {
    launch("unpack_words", unpack_words, bits_grid(batch, units), Extent{kBitsThreads, 1, 1}, 0,
           static_cast<cudaStream_t>(stream), words, dense, batch, units);
}

}  // namespace cuda
}  // namespace hc
