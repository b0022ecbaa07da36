// What every kernel file of this folder starts from: shared memory by macro, and the only way to launch.
//
// The same sources are compiled by nvcc for GPUs and by a host compiler for the test harness in tests/cuda_host,
// which brings its own <cuda_runtime.h>. That is why shared memory is declared by macro (the harness gives each
// block an object of exact size) and why kernels are launched by function (the harness has no <<<>>>).
#pragma once

#include <cuda_runtime.h>
#include <stddef.h>
#include <stdint.h>

#include "cuda/error.h"

#ifndef SHARED
#define SHARED(type, name, n) __shared__ type name[n]
#endif
#ifndef DYN_SHARED
// Every kernel of a translation unit sees one symbol, so it is untyped here and typed where it is used.
extern __shared__ __align__(16) unsigned char hc_dynamic_shared[];
#define DYN_SHARED(type, name) type* const name = reinterpret_cast<type*>(hc_dynamic_shared)
#endif

namespace hc {
namespace cuda {

constexpr unsigned kFullWarp = 0xffffffffu;
constexpr int kMaxThreads = 1024;
constexpr int64_t kMaxGridX = 2147483647;
constexpr int64_t kMaxGridYZ = 65535;
constexpr size_t kDefaultDynamicShared = 48 * 1024;

inline void check(cudaError_t code, const char* what) {
    if (code != cudaSuccess) throw Error(what, static_cast<int>(code), cudaGetErrorString(code));
}

struct Extent {
    int64_t x = 1, y = 1, z = 1;
};

// Enqueues kernel(args...) on the caller's stream; never waits. Throws Error for an impossible configuration or a
// launch that the runtime refuses. An error that an earlier kernel left behind is reported here as such, not as this
// kernel's.
template <typename... Parameters, typename... Arguments>
void launch(const char* name, void (*kernel)(Parameters...), Extent grid, Extent block, size_t dynamic_shared,
            cudaStream_t stream, Arguments&&... arguments) {
    const bool grid_fits = grid.x >= 1 && grid.y >= 1 && grid.z >= 1 && grid.x <= kMaxGridX && grid.y <= kMaxGridYZ &&
                           grid.z <= kMaxGridYZ;
    const bool block_fits = block.x >= 1 && block.y >= 1 && block.z >= 1 && block.x <= kMaxThreads &&
                            block.y <= kMaxThreads && block.z <= 64 && block.x * block.y * block.z <= kMaxThreads;
    if (!grid_fits || !block_fits)
        throw Error(name, static_cast<int>(cudaErrorInvalidConfiguration), "launch configuration out of range");
    check(cudaGetLastError(), "an earlier CUDA call");
    if (dynamic_shared > kDefaultDynamicShared)
        check(cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel), cudaFuncAttributeMaxDynamicSharedMemorySize,
                                   static_cast<int>(dynamic_shared)),
              name);
    cudaLaunchConfig_t config = {};
    config.gridDim = dim3(static_cast<unsigned>(grid.x), static_cast<unsigned>(grid.y), static_cast<unsigned>(grid.z));
    config.blockDim =
        dim3(static_cast<unsigned>(block.x), static_cast<unsigned>(block.y), static_cast<unsigned>(block.z));
    config.dynamicSmemBytes = dynamic_shared;
    config.stream = stream;
    const cudaError_t refused = cudaLaunchKernelEx(&config, kernel, static_cast<Arguments&&>(arguments)...);
    const cudaError_t last = cudaGetLastError();
    check(refused, name);
    check(last, name);
}

}  // namespace cuda
}  // namespace hc
