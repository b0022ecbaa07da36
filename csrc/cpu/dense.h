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
    bool asynchronous;          // as many probes of random units as there are free ones, in place of an order
    uint64_t seed, offset;      // sweep s draws with offset + s * offset_step
    uint64_t offset_step;
    int64_t first_sample;  // a multiple of 64
    int64_t counted_sweeps;
    int64_t* pairs;  // [n_units, n_units], written: sums over chains and the last `counted_sweeps`; null: not wanted
    int threads;
};
// Units that are clamped in every chain are passed over.
void dense_gibbs(const DenseGibbs& p);

// The unit number whose draws choose the probes of an asynchronous sweep: no unit has it.
constexpr uint32_t kProbeUnit = 0xFFFFFFFFu;

// Throws when w is no symmetric finite matrix with a zero diagonal.
void check_couplings(const float* w, int64_t n, int threads);

}  // namespace hc
