#include "cpu/thread_pool.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "common/status.h"
#include "cpu/placement.h"

#if defined(__linux__)
#include <sched.h>
#endif
#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#endif

namespace hc {
namespace {

constexpr int kMaxThreads = 256;
// How long an idle worker polls before it sleeps: longer than the gap between two phases of a CD step, shorter than
// anything a user would notice as a busy processor.
constexpr auto kSpin = std::chrono::microseconds(100);

inline void pause() {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

struct Pool {
    // One job at a time. `gate` = generation << 32 | open bit << 31 | workers inside. A worker takes part only if it gets
    // in while the gate is open, and the caller waits only for those inside: a worker that wakes late delays nobody.
    static constexpr uint64_t kOpen = 1ull << 31;
    std::mutex run_mutex;
    std::atomic<uint64_t> gate{0};
    TileFunction fn = nullptr;
    void* context = nullptr;
    int64_t n_tiles = 0;
    int wanted = 0;  // workers that may take part
    // Thread t begins with the t-th of wanted + 1 equal ranges of tiles, the same one in every job, so that what it left in
    // its caches serves it again; then it helps with the others.
    struct alignas(64) Range {
        std::atomic<int64_t> next{0};
        int64_t end = 0;
    };
    std::vector<Range> ranges;

    std::mutex sleep_mutex;
    std::condition_variable wake;
    std::atomic<int> sleepers{0};
    struct Sleeper {
        int64_t thread = -1;
        int processor = -1;  // that it fell asleep on; -1 while it is awake
    };
    std::vector<Sleeper> beds;  // one a worker; of sleep_mutex
    bool stop = false;
    std::vector<std::thread> workers;

    void work(int thread) {
        for (int i = 0; i <= wanted; ++i) {
            Range& range = ranges[static_cast<size_t>((thread + i) % (wanted + 1))];
            for (int64_t tile; (tile = range.next.fetch_add(1, std::memory_order_relaxed)) < range.end;)
                fn(context, tile);
        }
    }

    void worker(int index) {
        const int64_t thread = current_thread();
        uint64_t seen = 0;  // generation last served
        for (;;) {
            uint64_t g = gate.load(std::memory_order_acquire);
            if ((g & kOpen) && (g >> 32) != seen) {
                if (gate.compare_exchange_weak(g, g + 1, std::memory_order_acq_rel)) {
                    seen = g >> 32;
                    if (index < wanted) work(index + 1);
                    gate.fetch_sub(1, std::memory_order_release);
                }
                continue;
            }
            const auto until = std::chrono::steady_clock::now() + kSpin;
            bool ready = false;
            while (!ready && std::chrono::steady_clock::now() < until)
                for (int i = 0; i < 64 && !ready; ++i) {
                    pause();
                    g = gate.load(std::memory_order_relaxed);
                    ready = (g & kOpen) && (g >> 32) != seen;
                }
            if (ready) continue;
            std::unique_lock<std::mutex> lock(sleep_mutex);
            sleepers.fetch_add(1, std::memory_order_seq_cst);
            beds[static_cast<size_t>(index)] = {thread, current_processor()};
            wake.wait(lock, [&] {
                const uint64_t now = gate.load(std::memory_order_seq_cst);
                return stop || ((now & kOpen) && (now >> 32) != seen);
            });
            beds[static_cast<size_t>(index)].processor = -1;
            sleepers.fetch_sub(1, std::memory_order_relaxed);
            if (stop) return;
        }
    }

    void wake_workers() {
        Placement placement;
        {
            std::lock_guard<std::mutex> lock(sleep_mutex);
            for (int i = 0; i < wanted; ++i) {
                const Sleeper& s = beds[static_cast<size_t>(i)];
                if (s.processor >= 0) placement.wake(s.thread, s.processor);
            }
        }
        wake.notify_all();
        placement.restore();
    }

    void run(int64_t tiles, int threads, TileFunction f, void* c) {
        fn = f;
        context = c;
        n_tiles = tiles;
        wanted = threads - 1;
        if (static_cast<int>(ranges.size()) < threads) ranges = std::vector<Range>(static_cast<size_t>(threads));
        for (int t = 0; t < threads; ++t) {
            ranges[static_cast<size_t>(t)].next.store(first_task(t, tiles, threads), std::memory_order_relaxed);
            ranges[static_cast<size_t>(t)].end = first_task(t + 1, tiles, threads);
        }
        if (static_cast<int>(workers.size()) < wanted) {
            std::lock_guard<std::mutex> lock(sleep_mutex);
            beds.resize(static_cast<size_t>(wanted));
        }
        while (static_cast<int>(workers.size()) < wanted) {
            const int index = static_cast<int>(workers.size());
            workers.emplace_back([this, index] { worker(index); });
        }
        const uint64_t generation = (gate.load(std::memory_order_relaxed) >> 32) + 1;
        gate.store(generation << 32 | kOpen, std::memory_order_seq_cst);
        if (sleepers.load(std::memory_order_seq_cst) > 0) wake_workers();
        work(0);
        uint64_t g = gate.fetch_and(~kOpen, std::memory_order_acq_rel);
        for (int spins = 0; g & 0x7FFFFFFFu; ++spins) {
            if (spins < 4096)
                pause();
            else
                std::this_thread::yield();
            g = gate.load(std::memory_order_acquire);
        }
    }

    ~Pool() {
        {
            std::lock_guard<std::mutex> lock(sleep_mutex);
            stop = true;
        }
        wake.notify_all();
        for (auto& t : workers) t.join();
    }
};

std::atomic<Pool*> g_pool{nullptr};
std::atomic<int> g_threads{0};

// A forked child has none of its parent's threads: it forgets the pool (never destroyed, its mutexes may be locked) and
// starts a new one when it first needs it.
void forget_pool() { g_pool.store(nullptr, std::memory_order_relaxed); }

Pool& pool() {
    Pool* p = g_pool.load(std::memory_order_acquire);
    if (p) return *p;
#if defined(__unix__) || defined(__APPLE__)
    static const int registered = pthread_atfork(nullptr, nullptr, forget_pool);
    (void)registered;
#endif
    Pool* fresh = new Pool;
    if (g_pool.compare_exchange_strong(p, fresh, std::memory_order_acq_rel)) return *fresh;
    delete fresh;
    return *p;
}

// Ends the workers at exit, so that leak checkers and profilers see a quiet end.
struct AtExit {
    ~AtExit() { delete g_pool.exchange(nullptr); }
} g_at_exit;

int affinity_threads() {
#if defined(__linux__)
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) {
        const int n = CPU_COUNT(&set);
        if (n > 0) return n < kMaxThreads ? n : kMaxThreads;
    }
#endif
    const int n = static_cast<int>(std::thread::hardware_concurrency());
    return n < 1 ? 1 : n < kMaxThreads ? n : kMaxThreads;
}

int default_threads() {
    const char* text = std::getenv("HINTONCORE_NUM_THREADS");
    if (!text || !*text) return affinity_threads();
    char* end = nullptr;
    const long n = std::strtol(text, &end, 10);
    if (*end || n < 1 || n > kMaxThreads)
        invalid("HINTONCORE_NUM_THREADS: expected an integer in 1.." + std::to_string(kMaxThreads) + ", got '" + text +
                "'");
    return static_cast<int>(n);
}

}  // namespace

int max_threads() {
    int n = g_threads.load(std::memory_order_relaxed);
    if (n == 0) {
        n = default_threads();
        g_threads.store(n, std::memory_order_relaxed);
    }
    return n;
}

void set_num_threads(int n) {
    if (n < 0 || n > kMaxThreads)
        invalid("num_threads: expected an integer in 1.." + std::to_string(kMaxThreads) + ", got " + std::to_string(n));
    g_threads.store(n, std::memory_order_relaxed);
}

void run_tiles(int64_t n_tiles, int threads, TileFunction fn, void* context) {
    if (threads <= 0) threads = max_threads();
    if (threads > n_tiles) threads = static_cast<int>(n_tiles);
    if (threads > 1) {
        Pool& p = pool();
        std::unique_lock<std::mutex> lock(p.run_mutex, std::try_to_lock);
        if (lock.owns_lock()) {
            p.run(n_tiles, threads, fn, context);
            return;
        }
    }
    for (int64_t tile = 0; tile < n_tiles; ++tile) fn(context, tile);
}

}  // namespace hc
