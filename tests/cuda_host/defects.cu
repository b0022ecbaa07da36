// Small kernels, each sound when kDefect is 0 and with one mistake of the kinds that people make otherwise. They test
// the harness: a green run of a real kernel means something only if these runs are red. Which tool has to catch which
// defect is in test_defects.py.
#include "defects.h"

#include "cuda/launch.cuh"

namespace hc_test {
namespace {

using hc::cuda::Extent;
using hc::cuda::kFullWarp;
using hc::cuda::launch;

constexpr int kThreads = 256;
constexpr int kBlocks = 4;

// --------------------------------------------------------------------------- tree sum in shared memory
template <int kDefect>
__global__ void block_sum(const float* in, float* out) {
    SHARED(float, partial, kThreads);
    const int t = static_cast<int>(threadIdx.x);
    const int at = static_cast<int>(blockIdx.x) * kThreads + t;
    if (kDefect == 5 && t == kThreads - 1) return;
    if (kDefect == 7)
        partial[t + 1] = in[at];
    else if (kDefect != 6 || t % 7 != 3)
        partial[t] = in[at];
    if (kDefect != 1) __syncthreads();
    for (int stride = kThreads / 2; stride > 0; stride /= 2) {
        if (kDefect == 3 ? t <= stride : t < stride) {
            partial[t] += partial[t + stride];
            if (kDefect == 4) __syncthreads();
        }
        if (kDefect != 2) __syncthreads();
    }
    if (t == 0) out[blockIdx.x] = partial[0];
}

// ------------------------------------------------------------------------------------- within one warp
template <int kDefect>
__global__ void warp_exchange(const float* in, float* out) {
    SHARED(float, slot, 64);
    const unsigned lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    float* const mine = slot + 32 * warp;
    if (kDefect == 2 && lane == 9) return;  // and its value is summed below
    if (kDefect == 1) {
        out[threadIdx.x] = static_cast<float>(__popc(__ballot_sync(0x0000ffffu, lane % 2)));
        return;
    }
    if (kDefect == 3) {
        if (lane < 16)
            __syncwarp();
        else
            out[0] = static_cast<float>(__ballot_sync(kFullWarp, 1));
        return;
    }
    mine[lane] = in[threadIdx.x];
    if (kDefect == 0 || kDefect == 2) __syncwarp();
    if (kDefect == 5 && !__any_sync(kFullWarp, 1)) return;
    if (kDefect == 6) __syncwarp(lane < 16 ? 0x0000ffffu : 0xffff0000u);
    float sum = mine[31 - lane];
    if (kDefect == 7 && lane >= 16)
        sum += __shfl_xor_sync(0xffff0000u, sum, 16);
    else
        for (int delta = 16; delta > 0; delta /= 2)
            sum += __shfl_down_sync(kDefect == 7 ? 0x0000ffffu : kFullWarp, sum, delta);
    out[threadIdx.x] = lane == 0 || kDefect == 7 ? sum : 0.0f;
}

// Every intrinsic once; test_defects.py knows the answers.
template <int kDefect>
__global__ void intrinsics(const float* in, float* out, unsigned* counts) {
    const int t = static_cast<int>(threadIdx.x), lane = t % 32;
    const int odd = t % 2, value = (t * 37) % 64 - 20;
    unsigned* const c = counts + 16 * t;
    c[0] = __ballot_sync(kFullWarp, odd);
    c[1] = static_cast<unsigned>(__any_sync(kFullWarp, lane == 5));
    c[2] = static_cast<unsigned>(__all_sync(kFullWarp, lane < 31));
    c[3] = static_cast<unsigned>(__reduce_add_sync(kFullWarp, value));
    c[4] = static_cast<unsigned>(__reduce_min_sync(kFullWarp, value));
    c[5] = static_cast<unsigned>(__reduce_max_sync(kFullWarp, value));
    c[6] = __reduce_xor_sync(kFullWarp, static_cast<unsigned>(t * 0x9E37));
    c[7] = __reduce_and_sync(kFullWarp, static_cast<unsigned>(t | 0xF0));
    c[8] = __reduce_or_sync(kFullWarp, static_cast<unsigned>(t));
    c[9] = static_cast<unsigned>(__shfl_sync(kFullWarp, t, 3, 8));
    c[10] = static_cast<unsigned>(__shfl_up_sync(kFullWarp, t, 2, 16));
    c[11] = static_cast<unsigned>(__shfl_down_sync(kFullWarp, t, 2, 16));
    c[12] = static_cast<unsigned>(__shfl_xor_sync(kFullWarp, t, 9));
    c[13] = static_cast<unsigned>(__syncthreads_count(t % 3 == 0));
    c[14] = static_cast<unsigned>(__syncthreads_and(t < 64) * 2 + __syncthreads_or(t == 40));
    c[15] = __match_any_sync(kFullWarp, t % 5);
    out[t] = __ldg(in + t);
}

// --------------------------------------------------------------------------------------------- atomics
template <int kDefect>
__global__ void histogram(const float* in, float* out, unsigned* counts, uint8_t* bytes) {
    SHARED(unsigned, local, 16);
    const unsigned t = threadIdx.x, at = blockIdx.x * kThreads + t;
    if (t < 16) local[t] = 0;
    if (kDefect == 6) {
        if (t < 128)
            __syncthreads();
        else
            __syncthreads();
    } else if (kDefect != 5) {
        __syncthreads();
    }
    const unsigned bin = static_cast<unsigned>(in[at]) % 16;
    if (kDefect == 1)
        ++local[bin];
    else
        atomicAdd(&local[bin], 1u);
    if (kDefect != 3) __syncthreads();
    if (t < 16) {
        if (kDefect == 2)
            counts[t] += local[t];
        else
            atomicAdd(&counts[t], local[t]);
    }
    if (kDefect == 4) out[atomicAdd(&counts[16], 1u)] = in[at];
    bytes[at] = static_cast<uint8_t>(bin);  // neighbours in a word are no race
}

// Counting under a spin lock: independent lanes, and order by fences and atomics alone.
template <int kDefect>
__global__ void locked(unsigned* counts) {
    unsigned* const lock = counts;
    unsigned* const counter = counts + 1;
    if (kDefect == 1)
        while (*const_cast<volatile unsigned*>(lock) == 0) {
        }
    if (kDefect == 2)
        while (atomicAdd(lock, 0u) == 0) {
        }
    while (atomicCAS(lock, 0u, 1u) != 0u) {
    }
    if (kDefect != 3) __threadfence();
    *counter += 1;
    if (kDefect != 4) __threadfence();
    atomicExch(lock, 0u);
}

// The last block to finish adds up what all have left in memory.
template <int kDefect>
__global__ void last_block(const float* in, float* out, unsigned* counts) {
    SHARED(unsigned, place, 1);
    const unsigned t = threadIdx.x;
    if (t < kThreads / 4) out[1 + blockIdx.x * kThreads / 4 + t] = in[blockIdx.x];
    if (kDefect == 4) __threadfence();  // by every thread, but not after the barrier by the one that counts
    __syncthreads();
    if (t == 0) {
        if (kDefect == 1) __threadfence_block();
        if (kDefect == 0 || kDefect == 3) __threadfence();
        place[0] = atomicAdd(counts, 1u);
        if (kDefect != 3) __threadfence();
    }
    __syncthreads();
    if (kDefect != 5 && place[0] != gridDim.x - 1) return;
    if (t == 0) {
        float sum = 0.0f;
        for (unsigned i = 0; i < gridDim.x * kThreads / 4; ++i) sum += out[1 + i];
        out[0] = sum;
    }
}

// ---------------------------------------------------------------------------------- vectors and bounds
template <int kDefect>
__global__ void copy4(const float* in, float* out) {
    const unsigned t = threadIdx.x;
    if (kDefect == 1) {
        if (t == 0) *reinterpret_cast<float4*>(out) = *reinterpret_cast<const float4*>(in + 1);
    } else if (kDefect == 2) {
        out[t] = in[4 * t + 4];  // the last one reads past the end
    } else if (kDefect == 3) {
        out[4 * t + 4] = 1.0f;
    } else if (kDefect == 4) {
        const_cast<float*>(in)[t] = 0.0f;
    } else {
        reinterpret_cast<float4*>(out)[t] = reinterpret_cast<const float4*>(in)[t];
    }
}

template <int kDefect>
__global__ void dynamic(const float* in, float* out) {
    DYN_SHARED(float, buffer);
    const unsigned t = threadIdx.x;
    buffer[t] = in[t];
    __syncthreads();
    out[t] = buffer[kThreads - 1 - t];
}

template <int kDefect>
void run(const std::string& name, const float* in, float* out, unsigned* counts, uint8_t* bytes) {
    const Extent grid{kBlocks, 1, 1}, one{1, 1, 1}, block{kThreads, 1, 1};
    const size_t need = kThreads * sizeof(float);
    if (name == "block_sum") launch("block_sum", block_sum<kDefect>, grid, block, 0, nullptr, in, out);
    if (name == "warp_exchange")
        launch("warp_exchange", warp_exchange<kDefect>, one, Extent{64, 1, 1}, 0, nullptr, in, out);
    if (name == "intrinsics")
        launch("intrinsics", intrinsics<kDefect>, one, Extent{64, 1, 1}, 0, nullptr, in, out, counts);
    if (name == "histogram") launch("histogram", histogram<kDefect>, grid, block, 0, nullptr, in, out, counts, bytes);
    if (name == "locked") launch("locked", locked<kDefect>, grid, Extent{40, 1, 1}, 0, nullptr, counts);
    if (name == "last_block") launch("last_block", last_block<kDefect>, grid, block, 0, nullptr, in, out, counts);
    if (name == "copy4") launch("copy4", copy4<kDefect>, one, block, 0, nullptr, in, out);
    if (name == "dynamic")
        launch("dynamic", dynamic<kDefect>, one, block,
               kDefect == 1   ? need - 4
               : kDefect == 2 ? 0
                              : need,
               nullptr, in, out);
    if (name == "configuration") {
        const Extent too_many{2048, 1, 1}, none{0, 1, 1}, deep{1, 1, 65};
        const size_t shared = kDefect == 4 ? 300 * 1024 : kDefect == 5 ? 100 * 1024 : need;
        launch("configuration", dynamic<0>, kDefect == 2 ? none : one,
               kDefect == 1   ? too_many
               : kDefect == 3 ? deep
                              : block,
               shared, nullptr, in, out);
    }
}

}  // namespace

void run_scenario(const std::string& name, int defect, const float* in, float* out, unsigned* counts, uint8_t* bytes) {
    switch (defect) {
        case 0:
            return run<0>(name, in, out, counts, bytes);
        case 1:
            return run<1>(name, in, out, counts, bytes);
        case 2:
            return run<2>(name, in, out, counts, bytes);
        case 3:
            return run<3>(name, in, out, counts, bytes);
        case 4:
            return run<4>(name, in, out, counts, bytes);
        case 5:
            return run<5>(name, in, out, counts, bytes);
        case 6:
            return run<6>(name, in, out, counts, bytes);
        default:
            return run<7>(name, in, out, counts, bytes);
    }
}

}  // namespace hc_test
