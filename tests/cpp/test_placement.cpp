// Where sleeping threads are woken: what may be decided without the clock. Of the pool, tests/test_threads_fork.py.
#include "cpu/placement.h"

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "check.h"

namespace {

#if defined(__linux__)
std::vector<int> processors_of(int64_t thread) {
    cpu_set_t set;
    CHECK(sched_getaffinity(static_cast<pid_t>(thread), sizeof set, &set) == 0);
    std::vector<int> all;
    for (int i = 0; i < CPU_SETSIZE; ++i)
        if (CPU_ISSET(i, &set)) all.push_back(i);
    return all;
}

void run_on(const std::vector<int>& processors) {
    cpu_set_t set;
    CPU_ZERO(&set);
    for (const int i : processors) CPU_SET(i, &set);
    CHECK(sched_setaffinity(0, sizeof set, &set) == 0);
}

// A thread that sleeps until it is destroyed.
class Sleeper {
   public:
    Sleeper() : thread_([this] { sleep(); }) {
        std::unique_lock<std::mutex> lock(mutex_);
        changed_.wait(lock, [this] { return id_ >= 0; });
    }
    ~Sleeper() {
        {
            std::lock_guard<std::mutex> lock(mutex_);
            end_ = true;
        }
        changed_.notify_all();
        thread_.join();
    }
    int64_t id() const { return id_; }

   private:
    void sleep() {
        std::unique_lock<std::mutex> lock(mutex_);
        id_ = hc::current_thread();
        changed_.notify_all();
        changed_.wait(lock, [this] { return end_; });
    }
    std::mutex mutex_;
    std::condition_variable changed_;
    std::atomic<int64_t> id_{-1};
    bool end_ = false;
    std::thread thread_;
};

void test_threads_keep_clear_of_each_other() {
    const std::vector<int> all = processors_of(hc::current_thread());
    if (all.size() < 2) {
        std::puts("SKIPPED test_placement: one processor");
        return;
    }
    Sleeper first, second, third;
    run_on({all[0]});
    {
        hc::Placement placement;
        CHECK(hc::current_processor() == all[0]);
        placement.wake(first.id(), all[0]);  // the caller's own
        std::vector<int> rest(all.begin() + 1, all.end());
        CHECK(processors_of(first.id()) == rest);
        placement.wake(second.id(), all[1]);  // nobody's
        CHECK(processors_of(second.id()) == all);
        placement.wake(third.id(), all[1]);  // now the second's
        rest.erase(rest.begin());
        CHECK(processors_of(third.id()) == (rest.empty() ? all : rest));
        placement.restore();
    }
    for (const Sleeper* s : {&first, &second, &third}) CHECK(processors_of(s->id()) == all);

    // A thread that may run nowhere else, or is none, or was nowhere yet, is left alone.
    {
        hc::Placement placement;
        placement.wake(hc::current_thread(), all[0]);
        CHECK(processors_of(hc::current_thread()) == std::vector<int>{all[0]});
        placement.wake(-1, all[0]);
        placement.wake(first.id(), -1);
        placement.wake(first.id(), CPU_SETSIZE);
        CHECK(processors_of(first.id()) == all);
        placement.restore();
    }
    run_on(all);
}

void test_more_threads_than_are_moved() {
    const std::vector<int> all = processors_of(hc::current_thread());
    if (all.size() < 2) return;
    std::vector<Sleeper> crowd(40);
    run_on({all[0]});
    {
        hc::Placement placement;
        for (const Sleeper& s : crowd) placement.wake(s.id(), all[0]);
        CHECK(processors_of(crowd[0].id()).size() == all.size() - 1);
        placement.restore();
    }
    for (const Sleeper& s : crowd) CHECK(processors_of(s.id()) == all);
    run_on(all);
}
#endif

}  // namespace

int main() {
#if defined(__linux__)
    test_threads_keep_clear_of_each_other();
    test_more_threads_than_are_moved();
#endif
    return g_failures != 0;
}
