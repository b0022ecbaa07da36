#include "cuda/device.h"

#include <cuda_runtime_api.h>

#include "cuda/error.h"

namespace hc {
namespace cuda {

static std::string text_of(cudaError_t code) {
    return "CUDA error " + std::to_string(static_cast<int>(code)) + " (" + cudaGetErrorString(code) + ")";
}

Status status() noexcept {
    Status s;
    if (cudaDriverGetVersion(&s.driver_version) != cudaSuccess) s.driver_version = 0;
    if (cudaRuntimeGetVersion(&s.runtime_version) != cudaSuccess) s.runtime_version = 0;
    int count = 0;  // a failing call leaves it as it is
    const cudaError_t code = cudaGetDeviceCount(&count);
    if (code != cudaSuccess) {
        cudaGetLastError();
        // Without libcuda the runtime speaks of an insufficient driver, too.
        s.reason = s.driver_version == 0 ? "no NVIDIA driver: " + text_of(code) : text_of(code);
        return s;
    }
    if (count == 0) {
        s.reason = "no CUDA device";
        return s;
    }
    for (int i = 0; i < count; ++i) {
        cudaDeviceProp p;
        const cudaError_t asked = cudaGetDeviceProperties(&p, i);
        if (asked != cudaSuccess) {
            cudaGetLastError();
            s.reason = "device " + std::to_string(i) + ": " + text_of(asked);
            return s;
        }
        s.devices.push_back({p.name, p.major, p.minor, p.multiProcessorCount, p.totalGlobalMem});
    }
    s.available = true;
    return s;
}

static void check(cudaError_t code, const char* what) {
    if (code == cudaSuccess) return;
    cudaGetLastError();
    throw Error(what, static_cast<int>(code), cudaGetErrorString(code));
}

DeviceGuard::DeviceGuard(int device) {
    check(cudaGetDevice(&previous_), "cudaGetDevice");
    if (previous_ != device)
        check(cudaSetDevice(device), "cudaSetDevice");
    else
        previous_ = -1;
}

DeviceGuard::~DeviceGuard() {
    if (previous_ >= 0) cudaSetDevice(previous_);
}

}  // namespace cuda
}  // namespace hc
