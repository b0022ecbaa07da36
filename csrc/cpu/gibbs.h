// Gibbs half-steps of Bernoulli layers on the host.
#pragma once

#include <stdint.h>

#include "cpu/bits.h"
#include "cpu/lookup_plan.h"
#include "cpu/workspace.h"

namespace hc {

// Transposed weights in the order in which half-steps read them, written by the first and spared the others.
struct TransposedWeights {
    float* panels;  // [transposed_floats(n_in, n_out)]
    bool ready = false;
};
int64_t transposed_floats(int64_t n_in, int64_t n_out);

// out ~ Bernoulli(sigmoid((bias + in W) * inv_temperature)), for sample-major bits or dense inputs in [0, 1].
struct HalfStep {
    int64_t n_rows, n_in, n_out;
    ConstBitRows in_rows;             // sample-major, of n_in bits, or
    const float* in_dense = nullptr;  // [n_rows, n_in]
    const float* w;                   // [n_in, n_out], or [n_out, n_in] when transposed
    bool transposed = false;
    bool blocked = false;               // w is [unit_blocks(n_out), n_in, kUnitBlock] instead; from bits only
    TransposedWeights* kept = nullptr;  // between transposed steps from bits under the same w; null: not kept
    const float* bias;                  // [n_out]
    float inv_temperature = 1.0f;
    uint64_t seed = 0, offset = 0;
    int64_t first_sample = 0;
    BitRows out_rows;             // sample-major, of n_out bits; null: no draws
    float* probs = nullptr;       // [n_rows, n_out]; null: not wanted
    bool probs_by_block = false;  // probs are [unit_blocks(n_out), n_rows, kUnitBlock] instead; from bits only
    float prob_scale = 1.0f;      // probs are multiplied by this
    // For each block of units the sum of softplus(x inv_temperature) - softplus(x change_from), [unit_blocks(n_out),
    // n_rows]; null: not wanted. From bits only.
    float* softplus_change = nullptr;
    float change_from = 0.0f;
    int threads = 0;
};

// Blocks of kUnitBlock units that the outputs are worked on in.
int64_t unit_blocks(int64_t n_units);

// Returns false when w holds NaN or infinities (outputs are then meaningless).
bool half_step(const HalfStep& p);

// The parts of a half-step from bits, for callers that go on with one block of units while its weights are near: first the
// plan of the input rows, then for each block, on the calling thread, the probabilities [n_rows, kUnitBlock] times prob_scale.
// Returns false when the weights of the block hold NaN or infinities.
RowPlan row_plan(const HalfStep& p, Workspace& workspace);
bool block_probabilities(const HalfStep& p, const LookupRows& rows, int64_t block, float* probs);

}  // namespace hc
