// Philox4x32-10 (Salmon, Moraes, Dror and Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3",
// section 4.3) and the map from (seed, offset, unit, sample) to a draw. Scalar code for host and device: it
// is what the device kernels use, and the plain statement that the vectorised versions are tested against.
//
// Draw map. key = seed; counter = ((sample / 64) * 16 + sample % 16, unit, offset low, offset high); the draw
// is output word (sample % 64) / 16. One call serves 64 samples of a unit, and 16 adjacent samples share a
// word number, so that 16 SIMD lanes are 16 samples without a shuffle.
#pragma once

#include <stdint.h>

#if defined(__CUDACC__)
#define HC_HOST_DEVICE __host__ __device__
#else
#define HC_HOST_DEVICE
#endif

namespace hc {

HC_HOST_DEVICE inline void philox4x32_10(const uint32_t ctr[4], const uint32_t key[2], uint32_t out[4]) {
    uint32_t c0 = ctr[0], c1 = ctr[1], c2 = ctr[2], c3 = ctr[3], k0 = key[0], k1 = key[1];
    for (int round = 0; round < 10; ++round) {
        const uint64_t p0 = static_cast<uint64_t>(0xD2511F53u) * c0;
        const uint64_t p1 = static_cast<uint64_t>(0xCD9E8D57u) * c2;
        c0 = static_cast<uint32_t>(p1 >> 32) ^ c1 ^ k0;
        c1 = static_cast<uint32_t>(p1);
        c2 = static_cast<uint32_t>(p0 >> 32) ^ c3 ^ k1;
        c3 = static_cast<uint32_t>(p0);
        k0 += 0x9E3779B9u;  // golden ratio
        k1 += 0xBB67AE85u;  // sqrt(3) - 1
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

// The four draws of samples 64*j + r, + 16, + 32 and + 48, where counter = 16*j + r and r < 16.
HC_HOST_DEVICE inline void draw_words(uint64_t seed, uint64_t offset, uint32_t unit, uint32_t counter,
                                      uint32_t out[4]) {
    const uint32_t ctr[4] = {counter, unit, static_cast<uint32_t>(offset), static_cast<uint32_t>(offset >> 32)};
    const uint32_t key[2] = {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)};
    philox4x32_10(ctr, key, out);
}

HC_HOST_DEVICE inline uint32_t draw_word(uint64_t seed, uint64_t offset, uint32_t unit, uint64_t sample) {
    uint32_t out[4];
    draw_words(seed, offset, unit, static_cast<uint32_t>(sample / 64 * 16 + sample % 16), out);
    return out[sample % 64 / 16];
}

// Uniform in (0, 1) on a grid of 2^-23, exact in float and never 0 or 1.
HC_HOST_DEVICE inline float uniform_from_word(uint32_t word) {
    return (static_cast<float>(word >> 9) + 0.5f) * (1.0f / 8388608.0f);
}

}  // namespace hc
