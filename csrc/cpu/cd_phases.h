// The two phases of contrastive divergence: from the data and the parameters to the states and probabilities that the
// statistics are made of (cd_statistics.h).
#pragma once

#include <stdint.h>

#include "cpu/gibbs.h"
#include "cpu/lookup_plan.h"
#include "cpu/workspace.h"

namespace hc {

// What both phases read, of an update and of a gradient alike.
struct CdParameters {
    const float* w;
    const float* b_vis;
    const float* b_hid;
};

struct CdProblem {
    int64_t batch, n_visible, n_hidden;
    const uint64_t* v0_bits;
    const float* v0_dense;
    const uint64_t* chains;  // null: CD
    int64_t n_chains;        // rows of the negative phase, the batch for CD
    int k;
    CdParameters positive, negative;
    uint64_t seed, offset;
    int threads;
};

// The data as the kernels want it.
struct CdData {
    BitRows rows;                          // sample-major bits, or null when v0 is not binary
    const uint64_t* unit_major = nullptr;  // with the bias unit appended
    LookupRows units{};                    // these as rows of samples; none when v0 is dense
    const float* dense = nullptr;
};

// Both phases, run. The memory is the workspace's.
struct CdPhases {
    CdData v0;
    // p(h | v0) / batch: by blocks [unit_blocks(H), batch, kUnitBlock], or [batch, H] when v0 is dense
    const float* p0;
    const uint64_t* vk;  // end of the negative phase, unit-major with the bias unit
    HalfStep last;       // gives -p(h | vk) / chains, a block at a time, from the rows of last_rows
    LookupRows last_rows;
    LookupRows vk_units;  // vk as rows of samples
    double differences;   // sum of (v0 - v1)^2; NaN for PCD
};

// Throws Error when w holds NaN or infinities.
CdPhases run_phases(const CdProblem& p, Workspace& workspace);

extern const char* const kBadSums;  // what is wrong with such a w

}  // namespace hc
