// What the machine offers, and which device calls go to. Needs no CUDA header.
#pragma once

#include <stddef.h>

#include <string>
#include <vector>

namespace hc {
namespace cuda {

struct DeviceInfo {
    std::string name;
    int major, minor;  // compute capability
    int multiprocessors;
    size_t memory_bytes;
};

struct Status {
    bool available = false;
    std::string reason;       // why not; empty when available
    int driver_version = 0;   // 1000 * major + 10 * minor; 0 without a driver
    int runtime_version = 0;  // of the runtime built in
    std::vector<DeviceInfo> devices;
};

Status status() noexcept;

// Makes `device` current for the calling thread while it lives.
class DeviceGuard {
   public:
    explicit DeviceGuard(int device);
    ~DeviceGuard();
    DeviceGuard(const DeviceGuard&) = delete;
    DeviceGuard& operator=(const DeviceGuard&) = delete;

   private:
    int previous_ = -1;
};

}  // namespace cuda
}  // namespace hc
