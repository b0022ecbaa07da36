// The library's own thread pool: started on first use, rebuilt in a forked child, fixed tiles so that results never depend
// on the number of threads. Idle workers sleep; they are woken where no other thread of the job runs (placement.h). Why not
// OpenMP: several OpenMP runtimes in one process fight, and libgomp hangs after fork.
#pragma once

#include <stdint.h>

namespace hc {

int max_threads();            // set_num_threads, else HINTONCORE_NUM_THREADS, else the processors this process may use
void set_num_threads(int n);  // n >= 1; 0: back to the environment's choice

using TileFunction = void (*)(void* context, int64_t tile);

// Runs fn(context, tile) once for every tile in [0, n_tiles), on the calling thread and up to threads - 1 workers
// (threads = 0: max_threads()). Each thread begins with a range of tiles of its own, the same in jobs of as many tiles, then
// helps with the others'. When the pool is busy with another caller's tiles (several Python threads, or a call from
// inside a tile) the calling thread does all the work itself. fn must not throw.
void run_tiles(int64_t n_tiles, int threads, TileFunction fn, void* context);

template <class F>
void parallel_for(int64_t n_tiles, int threads, F&& f) {
    run_tiles(n_tiles, threads, [](void* context, int64_t tile) { (*static_cast<F*>(context))(tile); }, &f);
}

// The tasks of one or of two independent jobs, which have tasks() and run(task).
template <class Job>
void parallel_run(const Job& job, int threads) {
    parallel_for(job.tasks(), threads, [&](int64_t task) { job.run(task); });
}

template <class A, class B>
void parallel_run(const A& a, const B& b, int threads) {
    const int64_t n = a.tasks();
    parallel_for(n + b.tasks(), threads, [&](int64_t task) { task < n ? a.run(task) : b.run(task - n); });
}

}  // namespace hc
