// Packing and unpacking of 0/1 states: dense float [batch, units] <-> uint64 [units, ceil(batch / 64)].
//
// Maths:  bit i of word j of row u is the state of unit u in sample 64*j + i; padding bits are zero.
// Layout: lanes of a warp are neighbouring units, so the dense side is read and written in whole 128-byte lines. The
//         words, 1/32 of the traffic, are strided.
// Tile:   a thread makes or takes one word, 64 samples of one unit; a block is 128 units of one word column.
// Bound:  Estimate, never timed: memory, 4 bytes per state.
#pragma once

#include "cuda/bits.h"
#include "cuda/launch.cuh"

namespace hc {
namespace cuda {

constexpr int kBitsThreads = 128;

__global__ void __launch_bounds__(kBitsThreads)
    pack_words(const float* __restrict__ dense, uint64_t* __restrict__ words, int64_t batch, int64_t units) {
    const int64_t unit = static_cast<int64_t>(blockIdx.x) * kBitsThreads + threadIdx.x;
    if (unit >= units) return;
    const int64_t n_words = (batch + 63) / 64;
    for (int64_t word = blockIdx.y; word < n_words; word += gridDim.y) {
        const int64_t first = word * 64;
        const int count = static_cast<int>(batch - first < 64 ? batch - first : 64);
        uint64_t bits = 0;
#pragma unroll 8
        for (int i = 0; i < count; ++i)
            bits |= static_cast<uint64_t>(__ldg(dense + (first + i) * units + unit) != 0.0f) << i;
        words[unit * n_words + word] = bits;
    }
}

__global__ void __launch_bounds__(kBitsThreads)
    unpack_words(const uint64_t* __restrict__ words, float* __restrict__ dense, int64_t batch, int64_t units) {
    const int64_t unit = static_cast<int64_t>(blockIdx.x) * kBitsThreads + threadIdx.x;
    if (unit >= units) return;
    const int64_t n_words = (batch + 63) / 64;
    for (int64_t word = blockIdx.y; word < n_words; word += gridDim.y) {
        const int64_t first = word * 64;
        const int count = static_cast<int>(batch - first < 64 ? batch - first : 64);
        const uint64_t bits = words[unit * n_words + word];
#pragma unroll 8
        for (int i = 0; i < count; ++i) dense[(first + i) * units + unit] = static_cast<float>((bits >> i) & 1u);
    }
}

}  // namespace cuda
}  // namespace hc
