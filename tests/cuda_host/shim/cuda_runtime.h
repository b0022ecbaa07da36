// Twin of the parts of <cuda_runtime.h> that the kernels of csrc/cuda use, so that the same sources compile with
// `g++ -x c++` and run on the CPU, one fiber per CUDA thread. See ../README.md for what is and is not here.
//
// This header holds syntax and types only; what a barrier or a shuffle does is in runtime.cpp, which is never
// compiled with race instrumentation.
#pragma once

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <tuple>
#include <utility>

#define __global__
#define __device__
#define __host__
#define __constant__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __align__(n) alignas(n)

// ---------------------------------------------------------------------------------------- vector types
struct uint3 {
    unsigned x, y, z;
};
struct dim3 {
    unsigned x, y, z;
    constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};
#define HC_SHIM_VECTOR(base, name, bytes)                                         \
    struct alignas(2 * bytes) name##2 { base x, y; };                             \
    struct alignas(4 * bytes > 16 ? 16 : 4 * bytes) name##4 { base x, y, z, w; }; \
    inline name##2 make_##name##2(base x, base y) { return {x, y}; }              \
    inline name##4 make_##name##4(base x, base y, base z, base w) { return {x, y, z, w}; }
HC_SHIM_VECTOR(float, float, 4)
HC_SHIM_VECTOR(int, int, 4)
HC_SHIM_VECTOR(unsigned, uint, 4)
#undef HC_SHIM_VECTOR

extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;
constexpr int warpSize = 32;

// ---------------------------------------------------------------------------------- runtime underneath
namespace hc_shim {

struct Place {
    const char* file;
    int line;
};
// Two parameters that default to where the call is written, and the place that they make.
#define HC_SHIM_PLACE const char *hc_file = __builtin_FILE(), int hc_line = __builtin_LINE()
#define HC_SHIM_HERE (::hc_shim::Place{hc_file, hc_line})

enum class WarpOp {
    kSync,
    kShuffle,
    kBallot,
    kAny,
    kAll,
    kReduceAdd,
    kReduceMin,
    kReduceMax,
    kReduceMinSigned,
    kReduceMaxSigned,
    kReduceAnd,
    kReduceOr,
    kReduceXor,
    kMatchAny
};
enum class BlockOp { kSync, kCount, kAnd, kOr };

int block_barrier(BlockOp op, int predicate, Place place);
// Deposits `value` and waits for the lanes of `mask`. `source` is the absolute lane read by a shuffle (-1: its own
// value).
uint64_t warp_collective(WarpOp op, unsigned mask, uint64_t value, int source, Place place);
unsigned lane_id();
void fence(bool whole_grid);
// Brackets one atomic read-modify-write: checks alignment, tells the race detector, lets other threads run first.
void begin_atomic(void* address, size_t size, Place place);
void copy_bytes(void* to, const void* from, size_t n);  // never instrumented for races
void* shared_object(const void* site, size_t bytes, size_t alignment);
void* dynamic_shared();
[[noreturn]] void fail(const char* kind, const char* format, ...) __attribute__((format(printf, 2, 3)));

template <typename T>
uint64_t to_bits(T v) {
    static_assert(sizeof(T) <= 8, "at most 8 bytes travel between lanes");
    uint64_t bits = 0;
    memcpy(&bits, &v, sizeof(T));
    return bits;
}
template <typename T>
T from_bits(uint64_t bits) {
    T v;
    memcpy(&v, &bits, sizeof(T));
    return v;
}

template <typename T, size_t n>
auto shared_array(const void* site) -> T (&)[n] {
    return *reinterpret_cast<T(*)[n]>(shared_object(site, sizeof(T) * n, alignof(T)));
}

template <typename T, typename F>
T atomic(T* address, F&& update, Place place) {
    begin_atomic(address, sizeof(T), place);
    T old;
    copy_bytes(&old, address, sizeof(T));
    const T now = update(old);
    copy_bytes(address, &now, sizeof(T));
    return old;
}

}  // namespace hc_shim

#define SHARED(type, name, n)                  \
    static const char hc_shim_site_##name = 0; \
    type(&name)[n] = ::hc_shim::shared_array<type, n>(&hc_shim_site_##name)
#define DYN_SHARED(type, name) type* const name = static_cast<type*>(::hc_shim::dynamic_shared())

// --------------------------------------------------------------------------------- barriers and fences
inline void __syncthreads(HC_SHIM_PLACE) { hc_shim::block_barrier(hc_shim::BlockOp::kSync, 0, HC_SHIM_HERE); }
inline int __syncthreads_count(int p, HC_SHIM_PLACE) {
    return hc_shim::block_barrier(hc_shim::BlockOp::kCount, p, HC_SHIM_HERE);
}
inline int __syncthreads_and(int p, HC_SHIM_PLACE) {
    return hc_shim::block_barrier(hc_shim::BlockOp::kAnd, p, HC_SHIM_HERE);
}
inline int __syncthreads_or(int p, HC_SHIM_PLACE) {
    return hc_shim::block_barrier(hc_shim::BlockOp::kOr, p, HC_SHIM_HERE);
}
inline void __syncwarp(unsigned mask = 0xffffffffu, HC_SHIM_PLACE) {
    hc_shim::warp_collective(hc_shim::WarpOp::kSync, mask, 0, -1, HC_SHIM_HERE);
}
inline void __threadfence_block() { hc_shim::fence(false); }
inline void __threadfence() { hc_shim::fence(true); }
inline void __threadfence_system() { hc_shim::fence(true); }

// ------------------------------------------------------------------------------------- warp intrinsics
template <typename T>
T __shfl_sync(unsigned mask, T v, int source, int width = 32, HC_SHIM_PLACE) {
    const int lane = static_cast<int>(hc_shim::lane_id()), base = lane & ~(width - 1);
    return hc_shim::from_bits<T>(hc_shim::warp_collective(hc_shim::WarpOp::kShuffle, mask, hc_shim::to_bits(v),
                                                          base + (source & (width - 1)), HC_SHIM_HERE));
}
template <typename T>
T __shfl_up_sync(unsigned mask, T v, unsigned delta, int width = 32, HC_SHIM_PLACE) {
    const int lane = static_cast<int>(hc_shim::lane_id()), base = lane & ~(width - 1);
    const int from = lane - static_cast<int>(delta);
    return hc_shim::from_bits<T>(hc_shim::warp_collective(hc_shim::WarpOp::kShuffle, mask, hc_shim::to_bits(v),
                                                          from < base ? -1 : from, HC_SHIM_HERE));
}
template <typename T>
T __shfl_down_sync(unsigned mask, T v, unsigned delta, int width = 32, HC_SHIM_PLACE) {
    const int lane = static_cast<int>(hc_shim::lane_id()), end = (lane & ~(width - 1)) + width;
    const int from = lane + static_cast<int>(delta);
    return hc_shim::from_bits<T>(hc_shim::warp_collective(hc_shim::WarpOp::kShuffle, mask, hc_shim::to_bits(v),
                                                          from >= end ? -1 : from, HC_SHIM_HERE));
}
template <typename T>
T __shfl_xor_sync(unsigned mask, T v, int lane_mask, int width = 32, HC_SHIM_PLACE) {
    const int lane = static_cast<int>(hc_shim::lane_id()), end = (lane & ~(width - 1)) + width;
    const int from = lane ^ lane_mask;
    return hc_shim::from_bits<T>(hc_shim::warp_collective(hc_shim::WarpOp::kShuffle, mask, hc_shim::to_bits(v),
                                                          from >= end ? -1 : from, HC_SHIM_HERE));
}
inline unsigned __ballot_sync(unsigned mask, int p, HC_SHIM_PLACE) {
    return static_cast<unsigned>(hc_shim::warp_collective(hc_shim::WarpOp::kBallot, mask, p != 0, -1, HC_SHIM_HERE));
}
inline int __any_sync(unsigned mask, int p, HC_SHIM_PLACE) {
    return static_cast<int>(hc_shim::warp_collective(hc_shim::WarpOp::kAny, mask, p != 0, -1, HC_SHIM_HERE));
}
inline int __all_sync(unsigned mask, int p, HC_SHIM_PLACE) {
    return static_cast<int>(hc_shim::warp_collective(hc_shim::WarpOp::kAll, mask, p != 0, -1, HC_SHIM_HERE));
}
template <typename T>
unsigned __match_any_sync(unsigned mask, T v, HC_SHIM_PLACE) {
    return static_cast<unsigned>(
        hc_shim::warp_collective(hc_shim::WarpOp::kMatchAny, mask, hc_shim::to_bits(v), -1, HC_SHIM_HERE));
}
#define HC_SHIM_REDUCE(name, type, op)                                                                        \
    inline type name(unsigned mask, type v, HC_SHIM_PLACE) {                                                  \
        return static_cast<type>(                                                                             \
            hc_shim::warp_collective(hc_shim::WarpOp::op, mask, static_cast<unsigned>(v), -1, HC_SHIM_HERE)); \
    }
HC_SHIM_REDUCE(__reduce_add_sync, unsigned, kReduceAdd)
HC_SHIM_REDUCE(__reduce_add_sync, int, kReduceAdd)
HC_SHIM_REDUCE(__reduce_min_sync, unsigned, kReduceMin)
HC_SHIM_REDUCE(__reduce_min_sync, int, kReduceMinSigned)
HC_SHIM_REDUCE(__reduce_max_sync, unsigned, kReduceMax)
HC_SHIM_REDUCE(__reduce_max_sync, int, kReduceMaxSigned)
HC_SHIM_REDUCE(__reduce_and_sync, unsigned, kReduceAnd)
HC_SHIM_REDUCE(__reduce_or_sync, unsigned, kReduceOr)
HC_SHIM_REDUCE(__reduce_xor_sync, unsigned, kReduceXor)
#undef HC_SHIM_REDUCE

// --------------------------------------------------------------------------------------------- atomics
#define HC_SHIM_ATOMIC(name, type, expression)                                                       \
    inline type name(type* address, type v, HC_SHIM_PLACE) {                                         \
        return hc_shim::atomic(address, [v](type old) -> type { return expression; }, HC_SHIM_HERE); \
    }
#define HC_SHIM_ATOMIC_INTEGERS(name, expression) \
    HC_SHIM_ATOMIC(name, int, expression)         \
    HC_SHIM_ATOMIC(name, unsigned, expression)    \
    HC_SHIM_ATOMIC(name, unsigned long long, expression)
inline int hc_shim_add(int a, int b) { return static_cast<int>(static_cast<unsigned>(a) + static_cast<unsigned>(b)); }
HC_SHIM_ATOMIC(atomicAdd, int, hc_shim_add(old, v))
HC_SHIM_ATOMIC(atomicAdd, unsigned, old + v)
HC_SHIM_ATOMIC(atomicAdd, unsigned long long, old + v)
HC_SHIM_ATOMIC(atomicAdd, float, old + v)
HC_SHIM_ATOMIC(atomicAdd, double, old + v)
HC_SHIM_ATOMIC(atomicSub, unsigned, old - v)
HC_SHIM_ATOMIC_INTEGERS(atomicMin, old < v ? old : v)
HC_SHIM_ATOMIC_INTEGERS(atomicMax, old > v ? old : v)
HC_SHIM_ATOMIC_INTEGERS(atomicAnd, old& v)
HC_SHIM_ATOMIC_INTEGERS(atomicOr, old | v)
HC_SHIM_ATOMIC_INTEGERS(atomicXor, old ^ v)
HC_SHIM_ATOMIC_INTEGERS(atomicExch, (static_cast<void>(old), v))
HC_SHIM_ATOMIC(atomicExch, float, (static_cast<void>(old), v))
HC_SHIM_ATOMIC(atomicInc, unsigned, old >= v ? 0u : old + 1u)
HC_SHIM_ATOMIC(atomicDec, unsigned, old == 0u || old > v ? v : old - 1u)
#undef HC_SHIM_ATOMIC_INTEGERS
#undef HC_SHIM_ATOMIC
template <typename T>
T atomicCAS(T* address, T expected, T desired, HC_SHIM_PLACE) {
    static_assert(sizeof(T) == 2 || sizeof(T) == 4 || sizeof(T) == 8, "atomicCAS takes 2, 4 or 8 bytes");
    return hc_shim::atomic(address, [=](T old) -> T { return old == expected ? desired : old; }, HC_SHIM_HERE);
}

// ------------------------------------------------------------------------------------- small functions
template <typename T>
T __ldg(const T* p) {
    return *p;
}
template <typename A>
A min(A a, A b) {
    return b < a ? b : a;
}
template <typename A>
A max(A a, A b) {
    return a < b ? b : a;
}
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
inline int __clz(int x) { return x == 0 ? 32 : __builtin_clz(static_cast<unsigned>(x)); }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline unsigned __brev(unsigned x) {
    unsigned r = 0;
    for (int i = 0; i < 32; ++i) r |= ((x >> i) & 1u) << (31 - i);
    return r;
}
inline unsigned __umulhi(unsigned a, unsigned b) { return static_cast<unsigned>((static_cast<uint64_t>(a) * b) >> 32); }
inline unsigned __float_as_uint(float x) { return hc_shim::from_bits<unsigned>(hc_shim::to_bits(x)); }
inline float __uint_as_float(unsigned x) { return hc_shim::from_bits<float>(hc_shim::to_bits(x)); }
inline float __expf(float x) { return expf(x); }
inline float __logf(float x) { return logf(x); }
inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }

// ------------------------------------------------------------------------------------------ host calls
typedef int cudaError_t;
typedef struct CUstream_st* cudaStream_t;
enum : int {
    cudaSuccess = 0,
    cudaErrorInvalidValue = 1,
    cudaErrorInvalidConfiguration = 9,
    cudaErrorInvalidDevice = 101,
};
enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize = 8 };
struct cudaLaunchConfig_t {
    dim3 gridDim;
    dim3 blockDim;
    size_t dynamicSmemBytes;
    cudaStream_t stream;
    void* attrs;
    unsigned numAttrs;
};
cudaError_t cudaGetLastError();
const char* cudaGetErrorString(cudaError_t code);
cudaError_t cudaFuncSetAttribute(const void* kernel, cudaFuncAttribute attribute, int value);
struct cudaDeviceProp {
    char name[256];
    int major, minor, multiProcessorCount;
    size_t totalGlobalMem;
};
cudaError_t cudaGetDeviceCount(int* count);  // 1
cudaError_t cudaGetDevice(int* device);
cudaError_t cudaSetDevice(int device);
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device);
cudaError_t cudaDriverGetVersion(int* version);
cudaError_t cudaRuntimeGetVersion(int* version);
cudaError_t cudaMalloc(void** pointer, size_t bytes);  // exact size, poisoned
cudaError_t cudaFree(void* pointer);

namespace hc_shim {
cudaError_t run_grid(const cudaLaunchConfig_t& config, const void* kernel, void (*call)(void*), void* context);
}  // namespace hc_shim

template <typename... Parameters, typename... Arguments>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t* config, void (*kernel)(Parameters...),
                               Arguments&&... arguments) {
    struct Call {
        void (*kernel)(Parameters...);
        std::tuple<Parameters...> arguments;
    } call{kernel, std::tuple<Parameters...>(static_cast<Parameters>(arguments)...)};
    return hc_shim::run_grid(
        *config, reinterpret_cast<const void*>(kernel),
        [](void* context) {
            Call& c = *static_cast<Call*>(context);
            std::apply(c.kernel, c.arguments);
        },
        &call);
}
