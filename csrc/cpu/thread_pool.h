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

// The first task of thread t's own range, of threads that share n.
constexpr int64_t first_task(int64_t thread, int64_t n, int64_t threads) { return thread * n / threads; }

// Two kinds of tasks as one job: every thread begins with its share of the first kind, to which long tasks belong, and goes on
// to its share of the second, short ones that even out the end.
class TwoKinds {
   public:
    TwoKinds(int64_t n_first, int64_t n_second, int threads)
        : n_first_(n_first), n_(n_first + n_second), threads_(threads > 0 ? threads : max_threads()) {
        if (threads_ > n_) threads_ = n_;
    }
    int64_t tasks() const { return n_; }

    // The place of `task` among those of its kind.
    struct Task {
        bool first;
        int64_t index;
    };
    Task operator[](int64_t task) const {
        const int64_t thread = ((task + 1) * threads_ - 1) / n_;  // whose range it is
        const int64_t begin = first_task(thread, n_, threads_), before = first_kind(begin);
        const int64_t after = first_kind(first_task(thread + 1, n_, threads_));
        if (task - begin < after - before) return {true, before + task - begin};
        return {false, task - after};
    }

   private:
    // How many of the first kind are among the first `tasks` where they are spread evenly.
    int64_t first_kind(int64_t tasks) const { return (tasks * n_first_ + n_ - 1) / n_; }

    int64_t n_first_, n_, threads_;
};

template <class F, class G>
void parallel_for(int64_t n_first, F&& first, int64_t n_second, G&& second, int threads) {
    const TwoKinds kinds(n_first, n_second, threads);
    parallel_for(kinds.tasks(), threads, [&](int64_t i) {
        const TwoKinds::Task task = kinds[i];
        task.first ? first(task.index) : second(task.index);
    });
}

// The tasks of one or of two independent jobs, which have tasks() and run(task).
template <class Job>
void parallel_run(const Job& job, int threads) {
    parallel_for(job.tasks(), threads, [&](int64_t task) { job.run(task); });
}

template <class A, class B>
void parallel_run(const A& a, const B& b, int threads) {
    parallel_for(a.tasks(), [&](int64_t task) { a.run(task); }, b.tasks(), [&](int64_t task) { b.run(task); }, threads);
}

}  // namespace hc
