// Single-site Gibbs sampling of fully connected Boltzmann machines.
#pragma once

#include <stdint.h>

namespace hc {

struct DenseGibbs {
    int64_t n_units, batch;
    const float* w;         // [n_units, n_units], symmetric, diagonal zero
    const float* bias;      // [n_units]
    bool spin;              // bits stand for -1 and +1
    uint64_t* state;        // [n_units, bit_words(batch)], updated
    const uint64_t* clamp;  // like state: bits that keep their value; null: none
    int64_t sweeps;
    const float* temperatures;  // [sweeps]
    const int32_t* order;       // [sweeps, n_units], a permutation each; null: 0, 1, 2, ...
    uint64_t seed, offset;      // sweep s draws with offset + s * offset_step
    uint64_t offset_step;
    int64_t first_sample;  // a multiple of 64
    int threads;
};
void dense_gibbs(const DenseGibbs& p);

// Throws when w is no symmetric finite matrix with a zero diagonal.
void check_couplings(const float* w, int64_t n, int threads);

}  // namespace hc
