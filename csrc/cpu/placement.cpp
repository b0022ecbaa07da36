#include "cpu/placement.h"

#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace hc {

#if defined(__linux__)

int64_t current_thread() { return syscall(SYS_gettid); }

int current_processor() { return sched_getcpu(); }

Placement::Placement() {
    CPU_ZERO(&taken_);
    const int here = current_processor();
    if (here >= 0 && here < CPU_SETSIZE) CPU_SET(here, &taken_);
}

void Placement::wake(int64_t thread, int processor) {
    if (thread < 0 || processor < 0 || processor >= CPU_SETSIZE) return;
    if (!CPU_ISSET(processor, &taken_)) {
        CPU_SET(processor, &taken_);
        return;
    }
    if (n_moved_ == kMostMoved) return;
    Moved& moved = moved_[n_moved_];
    const pid_t id = static_cast<pid_t>(thread);
    if (sched_getaffinity(id, sizeof moved.allowed, &moved.allowed) != 0) return;
    cpu_set_t both, rest;
    CPU_AND(&both, &moved.allowed, &taken_);
    CPU_XOR(&rest, &moved.allowed, &both);
    if (CPU_COUNT(&rest) == 0 || sched_setaffinity(id, sizeof rest, &rest) != 0) return;
    moved.thread = thread;
    ++n_moved_;
}

void Placement::restore() {
    for (; n_moved_ > 0; --n_moved_) {
        const Moved& moved = moved_[n_moved_ - 1];
        sched_setaffinity(static_cast<pid_t>(moved.thread), sizeof moved.allowed, &moved.allowed);
    }
}

#else

int64_t current_thread() { return -1; }
int current_processor() { return -1; }
Placement::Placement() = default;
void Placement::wake(int64_t, int) {}
void Placement::restore() {}

#endif

}  // namespace hc
