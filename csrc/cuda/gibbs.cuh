// Gibbs half-step of a Boltzmann machine with 0/1 units, on bit-packed unit-major states.
//
// Maths:  x[s, o] = bias[o] + sum_i w(i, o) in[s, i];  out[s, o] = 1 iff u (1 + exp(-x / T)) < 1, where u is the
//         Philox draw of (seed, offset, unit o, sample s), see common/philox.h. That is u < sigmoid(x / T) without a
//         division by it. Each sum is taken in fp32 in the order of the inputs, so no tile size shows in a result.
// Layout: in and out uint64 [units, ceil(batch / 64)], lanes of a warp are samples; w by strides, staged through
//         shared memory; probs float [batch, n_out], where a lane writes 8 neighbours (a whole 32-byte sector).
// Tile:   A block of 8 warps computes 32 outputs x 128 samples, 32 inputs at a time. A warp computes 8 outputs x 64
//         samples, a lane the samples `lane` and `lane + 32` of one word, so that two ballots are the packed output
//         word. The next tile travels from global memory to registers while this one is used. 5 KiB of shared memory.
// Bound:  Estimate from the instructions that nvcc 13.0 makes for sm_90, never timed: fp32 issue slots. 8 inputs take
//         a warp 191 instructions, 128 of them FMA (24 broadcast loads, 32 to turn bits into floats), a tile of 32
//         inputs some 920 with its staging: at most 56 % of the fp32 FMA peak. Traffic to L2 is 4/128 byte of
//         weights and 1/256 of states per multiply-add, far from any memory bound.
#pragma once

#include "common/philox.h"
#include "cuda/gibbs.h"
#include "cuda/launch.cuh"

namespace hc {
namespace cuda {

struct GibbsTile {
    static constexpr int kInputs = 32;
    static constexpr int kUnits = 8;   // outputs of a warp
    static constexpr int kGroups = 4;  // warps along the outputs
    static constexpr int kWords = 2;   // warps along the samples
    static constexpr int kThreads = 32 * kGroups * kWords;
    static constexpr int kOutputs = kUnits * kGroups;
    static constexpr int kRow =
        kOutputs + 4;  // floats; + 4 spreads transposed stores over all banks, keeps float4 whole
    static constexpr int kStates = kInputs * kWords;
    static constexpr int kWeightsPerThread = kInputs * kOutputs / kThreads;
};

struct TileSpot {
    int input;
    int output;
};

// Which weight of the tile a thread carries in round r. Neighbouring lanes take neighbouring addresses: along the
// outputs, or, when the inputs are the fast axis, in patches of 8 inputs x 4 outputs, whose stores touch 32
// different banks.
__device__ inline TileSpot weight_spot(int thread, int round, bool inputs_are_fast) {
    const int lane = thread % 32;
    const int chunk = round * (GibbsTile::kThreads / 32) + thread / 32;
    if (!inputs_are_fast) return {chunk, lane};
    return {chunk % 4 * 8 + lane % 8, chunk / 4 * 4 + lane / 8};
}

__device__ inline float bit_as_float(uint32_t bits, int lane) { return (bits >> lane) & 1u ? 1.0f : 0.0f; }

__global__ void __launch_bounds__(GibbsTile::kThreads) gibbs_half_step(const GibbsArgs a) {
    using T = GibbsTile;
    SHARED(float4, weights4, T::kInputs * T::kRow / 4);
    SHARED(uint64_t, states, T::kStates);
    float* const weights = reinterpret_cast<float*>(weights4);

    const int thread = static_cast<int>(threadIdx.x), lane = thread % 32, warp = thread / 32;
    const int group = warp / T::kWords;
    const int64_t n_words = (a.batch + 63) / 64;
    const int64_t first_word = static_cast<int64_t>(blockIdx.x) * T::kWords;
    const int64_t word = first_word + warp % T::kWords;
    const int64_t first_output = static_cast<int64_t>(blockIdx.y) * T::kOutputs;
    const bool inputs_are_fast = a.stride_in < a.stride_out;

    float next_weights[T::kWeightsPerThread];
    uint64_t next_state = 0;
    // Zeros beyond the edges, so that the sums below need no test.
    const auto fetch = [&](int64_t first_input) {
#pragma unroll
        for (int r = 0; r < T::kWeightsPerThread; ++r) {
            const TileSpot spot = weight_spot(thread, r, inputs_are_fast);
            const int64_t i = first_input + spot.input, o = first_output + spot.output;
            next_weights[r] = i < a.n_in && o < a.n_out ? __ldg(a.w + i * a.stride_in + o * a.stride_out) : 0.0f;
        }
        if (thread < T::kStates) {
            const int64_t i = first_input + thread / T::kWords, j = first_word + thread % T::kWords;
            next_state = i < a.n_in && j < n_words ? a.in[i * n_words + j] : 0;
        }
    };

    float sum_low[T::kUnits] = {}, sum_high[T::kUnits] = {};
    fetch(0);
    for (int64_t first_input = 0; first_input < a.n_in; first_input += T::kInputs) {
        __syncthreads();  // every warp has finished with the tile before
#pragma unroll
        for (int r = 0; r < T::kWeightsPerThread; ++r) {
            const TileSpot spot = weight_spot(thread, r, inputs_are_fast);
            weights[spot.input * T::kRow + spot.output] = next_weights[r];
        }
        if (thread < T::kStates) states[thread] = next_state;
        __syncthreads();
        if (first_input + T::kInputs < a.n_in) fetch(first_input + T::kInputs);

#pragma unroll 8
        for (int i = 0; i < T::kInputs; ++i) {
            const uint64_t bits = states[i * T::kWords + warp % T::kWords];
            const float low = bit_as_float(static_cast<uint32_t>(bits), lane);
            const float high = bit_as_float(static_cast<uint32_t>(bits >> 32), lane);
#pragma unroll
            for (int q = 0; q < T::kUnits / 4; ++q) {
                const float4 w = weights4[i * (T::kRow / 4) + group * (T::kUnits / 4) + q];
                // The products are exact, so these equal additions of the picked weights.
                sum_low[4 * q + 0] = fmaf(w.x, low, sum_low[4 * q + 0]);
                sum_low[4 * q + 1] = fmaf(w.y, low, sum_low[4 * q + 1]);
                sum_low[4 * q + 2] = fmaf(w.z, low, sum_low[4 * q + 2]);
                sum_low[4 * q + 3] = fmaf(w.w, low, sum_low[4 * q + 3]);
                sum_high[4 * q + 0] = fmaf(w.x, high, sum_high[4 * q + 0]);
                sum_high[4 * q + 1] = fmaf(w.y, high, sum_high[4 * q + 1]);
                sum_high[4 * q + 2] = fmaf(w.z, high, sum_high[4 * q + 2]);
                sum_high[4 * q + 3] = fmaf(w.w, high, sum_high[4 * q + 3]);
            }
        }
    }

    if (word >= n_words) return;  // the whole warp, and no barrier follows
    const int64_t sample_low = word * 64 + lane, sample_high = sample_low + 32;
    const uint32_t counter = static_cast<uint32_t>((a.first_sample / 64 + word) * 16 + lane % 16);
    const bool low_exists = sample_low < a.batch, high_exists = sample_high < a.batch;
#pragma unroll
    for (int k = 0; k < T::kUnits; ++k) {
        const int64_t o = first_output + group * T::kUnits + k;
        if (o >= a.n_out) break;  // the whole warp
        // One call serves samples r, r + 16, r + 32 and r + 48 of the word; this lane's are two of the four.
        uint32_t draws[4];
        draw_words(a.seed, a.offset, static_cast<uint32_t>(o), counter, draws);
        const float u_low = uniform_from_word(lane < 16 ? draws[0] : draws[1]);
        const float u_high = uniform_from_word(lane < 16 ? draws[2] : draws[3]);
        const float bias = __ldg(a.bias + o);
        const float odds_low = 1.0f + expf(-(bias + sum_low[k]) / a.temperature);
        const float odds_high = 1.0f + expf(-(bias + sum_high[k]) / a.temperature);
        const uint32_t bits_low = __ballot_sync(kFullWarp, low_exists && u_low * odds_low < 1.0f);
        const uint32_t bits_high = __ballot_sync(kFullWarp, high_exists && u_high * odds_high < 1.0f);
        if (lane == 0) a.out[o * n_words + word] = static_cast<uint64_t>(bits_high) << 32 | bits_low;
        if (a.probs != nullptr) {
            if (low_exists) a.probs[sample_low * a.n_out + o] = 1.0f / odds_low;
            if (high_exists) a.probs[sample_high * a.n_out + o] = 1.0f / odds_high;
        }
    }
}

}  // namespace cuda
}  // namespace hc
