// Host entry of the Gibbs half-step on the GPU. Needs no CUDA header: streams are passed as void*.
#pragma once

#include <stdint.h>

namespace hc {
namespace cuda {

// Device pointers, all owned by the caller. States are bit-packed and unit-major: bit i of word j of row u is
// sample 64*j + i of unit u, and padding bits are zero. w(i, o) = w[i * stride_in + o * stride_out], so one
// array [V, H] serves both directions: (H, 1) takes visible to hidden, (1, H) hidden to visible.
struct GibbsArgs {
    const uint64_t* in;  // [n_in, ceil(batch / 64)]
    const float* w;
    int64_t stride_in;
    int64_t stride_out;
    const float* bias;  // [n_out]
    uint64_t* out;      // [n_out, ceil(batch / 64)], must not overlap `in`
    float* probs;       // [batch, n_out], or null
    int64_t batch;
    int64_t n_in;
    int64_t n_out;
    float temperature;
    uint64_t seed;
    uint64_t offset;
    int64_t first_sample;  // index of row 0 in a larger batch, a multiple of 64
};

// Enqueues on `stream` (a cudaStream_t) of the current device. Neither allocates nor waits.
// std::invalid_argument for sizes it cannot serve, Error for what CUDA refuses.
void gibbs_step(const GibbsArgs& args, void* stream);

}  // namespace cuda
}  // namespace hc
