// What the test drivers and the race detector see of the runtime; kernels never include this.
#pragma once

#include "cuda_runtime.h"

namespace hc_shim {

enum class Order { kForward, kReverse, kRandom };
// In which order blocks and runnable threads go, and what fresh memory is filled with.
void set_run(Order order, uint64_t seed, unsigned char poison);
unsigned char poison();
// Fails where a canary beside a device allocation has changed. Each launch ends with this.
void check_canaries();

struct Region {
    uintptr_t begin, end;
    bool shared;  // one object per block, so that accesses of different blocks never meet
    const char* what;
};

// Filled in by race.cpp where that is linked in.
struct RaceHooks {
    void (*launch)();  // begins: nothing that went before can race
    void (*block)(int64_t block, int n_threads);
    void (*barrier)();
    void (*warp_sync)(int warp, unsigned lanes);
    void (*fence)(int thread, bool whole_grid);
    void (*atomic)(int thread, const void* address, size_t size, Place place);
    void (*add)(const Region& region);
    void (*remove)(const void* begin);
};
extern const RaceHooks* race_hooks;

extern int current_thread;                // linear index in the block, -1 outside kernels
extern uintptr_t stack_begin, stack_end;  // of the current thread
const char* thread_name(int thread);

}  // namespace hc_shim
