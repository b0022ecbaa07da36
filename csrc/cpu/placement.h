// Where the system runs the pool's threads. It wakes a sleeping thread on the processor it ran on last, and where the others
// were busy a moment ago it does not look for an idle one: a worker woken on its caller's processor shares it for some 25
// ms, at half the speed of both, while another processor stands still (Linux 6, two processors). Without sched_setaffinity
// nothing here does anything.
#pragma once

#include <cstdint>

#if defined(__linux__)
#include <sched.h>
#endif

namespace hc {

int64_t current_thread();  // as the system numbers the calling thread, or -1
int current_processor();   // of the calling thread, or -1

// Processors that are spoken for while threads are woken one after the other.
class Placement {
   public:
    Placement();  // that of the calling thread

    // To be called before a thread that last ran on `processor` is woken. If that is taken already, the thread may run
    // on none that is taken until restore(); otherwise it now counts as taken. Whatever fails leaves the thread as it is.
    void wake(int64_t thread, int processor);

    // Once all are awake: every thread may run again where it might before.
    void restore();

    Placement(const Placement&) = delete;
    Placement& operator=(const Placement&) = delete;

#if defined(__linux__)
   private:
    static constexpr int kMostMoved = 16;
    struct Moved {
        int64_t thread;
        cpu_set_t allowed;
    };
    cpu_set_t taken_;
    Moved moved_[kMostMoved];
    int n_moved_ = 0;
#endif
};

}  // namespace hc
