// Per-thread scratch memory that outlives a call, so that a training loop's kernels allocate nothing after the first step.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <vector>

#include "common/status.h"

namespace hc {

// Everything taken through a Workspace is given back when it goes out of scope. Workspaces nest (a driver may call
// another driver); memory is 64-byte aligned and uninitialised.
class Workspace {
   public:
    Workspace();
    ~Workspace();
    Workspace(const Workspace&) = delete;
    Workspace& operator=(const Workspace&) = delete;

    template <class T>
    T* take(int64_t count) {
        if (count < 0 || static_cast<uint64_t>(count) > (SIZE_MAX / 2) / sizeof(T))
            invalid("size overflow in workspace");
        return static_cast<T*>(take_bytes(static_cast<size_t>(count) * sizeof(T)));
    }

   private:
    void* take_bytes(size_t bytes);
    size_t chunk_, used_;  // where the thread's arena stood
};

// The table scratch (kLookupScratchBytes) of one lookup product on this thread.
void* lookup_scratch();

}  // namespace hc
