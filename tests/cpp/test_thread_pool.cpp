// The thread pool inside: which thread begins with which tasks, and where sleeping threads are woken, as far as that may be
// told without a clock. As its users meet it: tests/test_threads_fork.py.
#include "cpu/thread_pool.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "check.h"
#include "cpu/placement.h"

namespace {

void test_two_kinds_of_tasks() {
    for (int threads = 1; threads <= 7; ++threads)
        for (int64_t n_first = 0; n_first <= 12; ++n_first)
            for (int64_t n_second = n_first == 0; n_second <= 12; ++n_second) {
                const hc::TwoKinds kinds(n_first, n_second, threads);
                const int64_t n = kinds.tasks(), used = std::min<int64_t>(threads, n);
                CHECK(n == n_first + n_second);
                int64_t next_first = 0, next_second = 0, least = n, most = 0;
                for (int64_t t = 0; t < used; ++t) {
                    const int64_t before = next_first;
                    bool second = false;
                    for (int64_t i = t * n / used; i < (t + 1) * n / used; ++i) {  // a thread's own range
                        const hc::TwoKinds::Task task = kinds[i];
                        CHECK(!(second && task.first));  // the first kind comes first
                        CHECK(task.index == (task.first ? next_first : next_second));
                        ++(task.first ? next_first : next_second);
                        second = !task.first;
                    }
                    least = std::min(least, next_first - before);
                    most = std::max(most, next_first - before);
                }
                CHECK(next_first == n_first && next_second == n_second);
                CHECK(most - least <= (n % used ? 2 : 1));
            }
}

void test_two_kinds_are_all_run() {
    for (const int threads : {1, 2, 3, 8}) {
        std::vector<std::atomic<int>> first(7), second(30);
        hc::parallel_for(
            7, [&](int64_t i) { ++first[static_cast<size_t>(i)]; }, 30,
            [&](int64_t i) { ++second[static_cast<size_t>(i)]; }, threads);
        for (const auto& runs : first) CHECK(runs == 1);
        for (const auto& runs : second) CHECK(runs == 1);
    }
}

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
        std::puts("SKIPPED where threads are woken: one processor");
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
    test_two_kinds_of_tasks();
    test_two_kinds_are_all_run();
#if defined(__linux__)
    test_threads_keep_clear_of_each_other();
    test_more_threads_than_are_moved();
#endif
    return g_failures != 0;
}
