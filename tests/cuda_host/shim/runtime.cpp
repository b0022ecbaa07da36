// The machine under cuda_runtime.h: one fiber per CUDA thread, blocks one after another, one order per run.
// Deterministic.
//
// It reports and never hangs: `fail` prints "HC_SHIM kind: text" and ends the process with status 3.
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

#include "shim.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#define HC_ASAN 1
#else
#define HC_ASAN 0
#endif

#if !defined(__x86_64__)
#error "the fiber switch is written for x86-64"
#endif

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

// Saves the callee-saved registers and the stack pointer of one fiber and resumes another. The floating-point
// control words are the same everywhere and stay out of it.
extern "C" void hc_fiber_switch(void** save, void* resume);
asm(R"(
.text
.globl hc_fiber_switch
.type hc_fiber_switch,@function
hc_fiber_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
.size hc_fiber_switch,.-hc_fiber_switch
)");

namespace hc_shim {

const RaceHooks* race_hooks = nullptr;
int current_thread = -1;
uintptr_t stack_begin = 0, stack_end = 0;

namespace {

constexpr int kMaxThreads = 1024;
constexpr size_t kStackBytes = HC_ASAN ? 256 * 1024 : 64 * 1024;
constexpr size_t kGuardBytes = 4096;
constexpr size_t kCanaryBytes = 2048;  // wide enough to keep common strays off the heap's own data
constexpr unsigned char kCanary = 0xC9;
constexpr size_t kStaticSharedLimit = 48 * 1024;
constexpr size_t kDynamicSharedLimit = 227 * 1024;
constexpr int64_t kAtomicsWithoutProgress = 2000000;

enum class State { kReady, kAtBarrier, kInWarp, kDone };

struct Fiber {
    void* stack_pointer = nullptr;
    char* stack = nullptr;
    State state = State::kDone;
    WarpOp op = WarpOp::kSync;
    unsigned mask = 0;
    Place place{"", 0};
    int predicate = 0;
    uint64_t result = 0;
    uint3 index{0, 0, 0};
    void* fake_stack = nullptr;
};

struct Group {  // lanes that have come to one warp operation, until the last of them is there
    WarpOp op;
    unsigned mask, arrived;
    uint64_t value[32];
    int source[32];
};

struct Padded {  // an object of exact size between two canaries
    char* raw = nullptr;
    char* begin = nullptr;
    size_t bytes = 0;
    const void* site = nullptr;
};

struct Machine {
    Order order = Order::kForward;
    uint64_t random = 1;
    unsigned char poison = 0xFF;
    cudaError_t last_error = cudaSuccess;
    std::vector<std::pair<const void*, size_t>> dynamic_limits;
    std::vector<Padded> device;

    Fiber fibers[kMaxThreads];
    int n_threads = 0, done = 0;
    uint64_t ready[kMaxThreads / 64] = {};
    int cursor = 0;  // where the search for a runnable thread starts
    void* scheduler_stack = nullptr;
    const void* scheduler_bottom = nullptr;
    size_t scheduler_size = 0;
    void* scheduler_fake_stack = nullptr;

    int at_barrier = 0;
    BlockOp barrier_op = BlockOp::kSync;
    Place barrier_place{"", 0};
    int barrier_first = 0;
    std::vector<Group> groups[kMaxThreads / 32];
    unsigned alive[kMaxThreads / 32] = {};
    std::vector<Padded> shared;
    Padded dynamic;
    int64_t atomics = 0;

    void (*call)(void*) = nullptr;
    void* context = nullptr;
};
Machine m;

uint64_t next_random() {  // splitmix64
    uint64_t z = (m.random += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

// --------------------------------------------------------------------------------------- padded memory
void fill(const Padded& p) { memset(p.begin, m.poison, p.bytes); }

// An address aligned to `alignment` and to nothing more, so that code relying on luck is found.
Padded make_padded(size_t bytes, size_t alignment, const void* site) {
    Padded p;
    const size_t room = bytes + 2 * kCanaryBytes + 4 * alignment;
    p.raw = static_cast<char*>(malloc(room));
    uintptr_t at = reinterpret_cast<uintptr_t>(p.raw) + kCanaryBytes;
    at = (at + 2 * alignment - 1) / (2 * alignment) * (2 * alignment) + alignment;
    p.begin = reinterpret_cast<char*>(at);
    p.bytes = bytes;
    p.site = site;
    memset(p.raw, kCanary, room);
#if HC_ASAN
    ASAN_POISON_MEMORY_REGION(p.raw, room);
    ASAN_UNPOISON_MEMORY_REGION(p.begin, bytes);
#endif
    fill(p);
    return p;
}

void free_padded(Padded& p) {
#if HC_ASAN
    ASAN_UNPOISON_MEMORY_REGION(p.raw, static_cast<size_t>(p.begin - p.raw) + p.bytes + kCanaryBytes);
#endif
    free(p.raw);
    p = Padded();
}

void check_canary(const Padded& p, const char* what) {
#if !HC_ASAN  // there the canaries are poisoned, and touching them is reported at once
    static const std::vector<char> intact(kCanaryBytes, static_cast<char>(kCanary));
    if (!memcmp(p.begin - kCanaryBytes, intact.data(), kCanaryBytes) &&
        !memcmp(p.begin + p.bytes, intact.data(), kCanaryBytes))
        return;
    for (size_t i = 1; i <= kCanaryBytes; ++i)
        if (static_cast<unsigned char>(p.begin[-static_cast<ptrdiff_t>(i)]) != kCanary)
            fail("out-of-bounds", "%s was written %zu bytes before its begin", what, i);
    for (size_t i = 0; i < kCanaryBytes; ++i)
        if (static_cast<unsigned char>(p.begin[p.bytes + i]) != kCanary)
            fail("out-of-bounds", "%s of %zu bytes was written %zu bytes past its end", what, p.bytes, i + 1);
#else
    (void)p, (void)what;
#endif
}

// ------------------------------------------------------------------------------------------ scheduling
void make_ready(int t) {
    m.fibers[t].state = State::kReady;
    m.ready[t / 64] |= uint64_t{1} << (t % 64);
}
void make_waiting(int t, State why) {
    m.fibers[t].state = why;
    m.ready[t / 64] &= ~(uint64_t{1} << (t % 64));
}

int first_ready_from(int start) {  // circular, upwards
    constexpr int kWords = kMaxThreads / 64;
    for (int step = 0; step <= kWords; ++step) {
        const int word = (start / 64 + step) % kWords;
        uint64_t bits = m.ready[word];
        if (step == 0) bits &= ~uint64_t{0} << (start % 64);
        if (step == kWords) bits &= (uint64_t{1} << (start % 64)) - 1;
        if (bits != 0) return word * 64 + __builtin_ctzll(bits);
    }
    return -1;
}
int last_ready_from(int start) {  // circular, downwards
    constexpr int kWords = kMaxThreads / 64;
    for (int step = 0; step <= kWords; ++step) {
        const int word = ((start / 64 - step) % kWords + kWords) % kWords;
        uint64_t bits = m.ready[word];
        if (step == 0) bits &= ~uint64_t{0} >> (63 - start % 64);
        if (step == kWords) bits &= ~(~uint64_t{0} >> (63 - start % 64));
        if (bits != 0) return word * 64 + 63 - __builtin_clzll(bits);
    }
    return -1;
}
int pick() {
    switch (m.order) {
        case Order::kForward:
            return first_ready_from(m.cursor);
        case Order::kReverse:
            return last_ready_from(m.cursor);
        default:
            return first_ready_from(static_cast<int>(next_random() % static_cast<uint64_t>(m.n_threads)));
    }
}
void rewind_cursor() { m.cursor = m.order == Order::kReverse ? kMaxThreads - 1 : 0; }

void to_scheduler() {
    Fiber& f = m.fibers[current_thread];
#if HC_ASAN
    __sanitizer_start_switch_fiber(f.state == State::kDone ? nullptr : &f.fake_stack, m.scheduler_bottom,
                                   m.scheduler_size);
#endif
    hc_fiber_switch(&f.stack_pointer, m.scheduler_stack);
#if HC_ASAN
    __sanitizer_finish_switch_fiber(f.fake_stack, nullptr, nullptr);
#endif
}

void to_fiber(int t) {
    Fiber& f = m.fibers[t];
    current_thread = t;
    threadIdx = f.index;
    stack_begin = reinterpret_cast<uintptr_t>(f.stack);
    stack_end = stack_begin + kStackBytes;
#if HC_ASAN
    __sanitizer_start_switch_fiber(&m.scheduler_fake_stack, f.stack, kStackBytes);
#endif
    hc_fiber_switch(&m.scheduler_stack, f.stack_pointer);
#if HC_ASAN
    __sanitizer_finish_switch_fiber(m.scheduler_fake_stack, nullptr, nullptr);
#endif
    current_thread = -1;
}

const char* name_of(WarpOp op) {
    switch (op) {
        case WarpOp::kSync:
            return "__syncwarp";
        case WarpOp::kShuffle:
            return "__shfl_sync";
        case WarpOp::kBallot:
            return "__ballot_sync";
        case WarpOp::kAny:
            return "__any_sync";
        case WarpOp::kAll:
            return "__all_sync";
        case WarpOp::kMatchAny:
            return "__match_any_sync";
        default:
            return "__reduce_sync";
    }
}

std::string describe(int t) {
    const Fiber& f = m.fibers[t];
    char text[256];
    if (f.state == State::kAtBarrier)
        snprintf(text, sizeof(text), "__syncthreads, %s:%d", f.place.file, f.place.line);
    else if (f.state == State::kInWarp)
        snprintf(text, sizeof(text), "%s(mask 0x%08x), %s:%d", name_of(f.op), f.mask, f.place.file, f.place.line);
    else
        snprintf(text, sizeof(text), "exited");
    return text;
}

[[noreturn]] void report_deadlock() {
    std::string text;
    for (int t = 0; t < m.n_threads;) {  // runs of threads that wait at the same place
        const std::string where = describe(t);
        int last = t;
        while (last + 1 < m.n_threads && describe(last + 1) == where) ++last;
        text += "\n  threads " + std::to_string(t) + ".." + std::to_string(last) + ": " + where;
        t = last + 1;
    }
    fail("deadlock", "no thread of block (%u,%u,%u) can go on:%s", blockIdx.x, blockIdx.y, blockIdx.z, text.c_str());
}

// ------------------------------------------------------------------------------------ warp collectives
uint64_t poisoned_word() { return 0x0101010101010101u * m.poison; }

void complete(int warp, Group g) {
    uint64_t all = 0;
    bool first = true;
    unsigned ones = 0;
    for (int lane = 0; lane < 32; ++lane) {
        if (!((g.arrived >> lane) & 1u)) continue;
        const uint64_t v = g.value[lane];
        const auto s = [](uint64_t x) { return static_cast<int>(static_cast<unsigned>(x)); };
        if (v & 1u) ones |= 1u << lane;
        if (first) {
            all = v;
        } else {
            switch (g.op) {
                case WarpOp::kReduceAdd:
                    all = static_cast<unsigned>(all + v);
                    break;
                case WarpOp::kReduceMin:
                    all = std::min(all, v);
                    break;
                case WarpOp::kReduceMax:
                    all = std::max(all, v);
                    break;
                case WarpOp::kReduceMinSigned:
                    all = s(v) < s(all) ? v : all;
                    break;
                case WarpOp::kReduceMaxSigned:
                    all = s(v) > s(all) ? v : all;
                    break;
                case WarpOp::kReduceAnd:
                    all &= v;
                    break;
                case WarpOp::kReduceOr:
                    all |= v;
                    break;
                case WarpOp::kReduceXor:
                    all ^= v;
                    break;
                default:
                    break;
            }
        }
        first = false;
    }
    for (int lane = 0; lane < 32; ++lane) {
        if (!((g.arrived >> lane) & 1u)) continue;
        Fiber& f = m.fibers[warp * 32 + lane];
        switch (g.op) {
            case WarpOp::kShuffle: {
                const int from = g.source[lane] < 0 ? lane : g.source[lane];
                // The value of a lane that takes no part is undefined.
                f.result = (g.arrived >> from) & 1u ? g.value[from] : poisoned_word();
                break;
            }
            case WarpOp::kBallot:
                f.result = ones;
                break;
            case WarpOp::kAny:
                f.result = ones != 0;
                break;
            case WarpOp::kAll:
                f.result = ones == g.arrived;
                break;
            case WarpOp::kMatchAny: {
                unsigned same = 0;
                for (int other = 0; other < 32; ++other)
                    if (((g.arrived >> other) & 1u) && g.value[other] == g.value[lane]) same |= 1u << other;
                f.result = same;
                break;
            }
            default:
                f.result = all;
                break;
        }
        make_ready(warp * 32 + lane);
    }
    m.atomics = 0;
    rewind_cursor();
    // Only __syncwarp orders memory; votes, shuffles and reductions exchange values and nothing else.
    if (g.op == WarpOp::kSync && race_hooks) race_hooks->warp_sync(warp, g.arrived);
}

void complete_groups(int warp) {
    auto& groups = m.groups[warp];
    for (size_t i = 0; i < groups.size();) {
        if (groups[i].arrived == (groups[i].mask & m.alive[warp])) {
            const Group g = groups[i];
            groups.erase(groups.begin() + static_cast<ptrdiff_t>(i));
            complete(warp, g);
        } else {
            ++i;
        }
    }
}

// ---------------------------------------------------------------------------------------------- fibers
extern "C" void hc_fiber_main() {
#if HC_ASAN
    __sanitizer_finish_switch_fiber(nullptr, &m.scheduler_bottom, &m.scheduler_size);
#endif
    m.call(m.context);
    const int t = current_thread;
    if (m.at_barrier > 0)
        fail("divergent-barrier", "%s exited while %s waits at __syncthreads, %s:%d", thread_name(t),
             thread_name(m.barrier_first), m.barrier_place.file, m.barrier_place.line);
    make_waiting(t, State::kDone);
    ++m.done;
    m.atomics = 0;
    m.alive[t / 32] &= ~(1u << (t % 32));
    complete_groups(t / 32);
    to_scheduler();
    abort();
}

void make_stacks(int n) {
    for (int t = 0; t < n; ++t) {
        if (m.fibers[t].stack) continue;
        void* at = mmap(nullptr, kStackBytes + kGuardBytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (at == MAP_FAILED) fail("shim", "no memory for stacks: %s", strerror(errno));
        mprotect(at, kGuardBytes, PROT_NONE);
        m.fibers[t].stack = static_cast<char*>(at) + kGuardBytes;
    }
}

void run_block(int64_t linear, size_t dynamic_bytes) {
    blockIdx.x = static_cast<unsigned>(linear % gridDim.x);
    blockIdx.y = static_cast<unsigned>(linear / gridDim.x % gridDim.y);
    blockIdx.z = static_cast<unsigned>(linear / gridDim.x / gridDim.y);
    for (const Padded& p : m.shared) fill(p);
    if (m.dynamic.raw) fill(m.dynamic);
    m.done = m.at_barrier = 0;
    m.atomics = 0;
    rewind_cursor();
    std::fill(std::begin(m.ready), std::end(m.ready), 0);
    std::fill(std::begin(m.alive), std::end(m.alive), 0u);
    for (int t = 0; t < m.n_threads; ++t) {
        Fiber& f = m.fibers[t];
        f.index = {static_cast<unsigned>(t) % blockDim.x, static_cast<unsigned>(t) / blockDim.x % blockDim.y,
                   static_cast<unsigned>(t) / blockDim.x / blockDim.y};
        void** top = reinterpret_cast<void**>(f.stack + kStackBytes);
        *--top = nullptr;  // where hc_fiber_main would return to; also aligns its frame
        *--top = reinterpret_cast<void*>(&hc_fiber_main);
        for (int r = 0; r < 6; ++r) *--top = nullptr;
        f.stack_pointer = top;
        make_ready(t);
        m.alive[t / 32] |= 1u << (t % 32);
    }
    if (race_hooks) race_hooks->block(linear, m.n_threads);
    while (m.done < m.n_threads) {
        const int t = pick();
        if (t < 0) report_deadlock();
        to_fiber(t);
    }
    for (const Padded& p : m.shared) check_canary(p, "shared memory");
    if (dynamic_bytes) check_canary(m.dynamic, "dynamic shared memory");
}

void on_timeout(int) {
    static const char text[] =
        "HC_SHIM livelock: the kernel used up its processor time (a spin on a plain variable?)\n";
    const ssize_t ignored = write(2, text, sizeof(text) - 1);
    (void)ignored;
    _exit(3);
}

}  // namespace

void fail(const char* kind, const char* format, ...) {
    fflush(stdout);
    fprintf(stderr, "HC_SHIM %s: ", kind);
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, "\n");
    fflush(stderr);
    _exit(3);
}

void set_run(Order order, uint64_t seed, unsigned char poison_byte) {
    m.order = order;
    m.random = seed;
    m.poison = poison_byte;
}
unsigned char poison() { return m.poison; }

const char* thread_name(int t) {
    static char names[4][80];
    static int next = 0;
    char* const name = names[next++ % 4];
    const Fiber& f = m.fibers[t];
    snprintf(name, sizeof(names[0]), "thread (%u,%u,%u) of block (%u,%u,%u)", f.index.x, f.index.y, f.index.z,
             blockIdx.x, blockIdx.y, blockIdx.z);
    return name;
}

unsigned lane_id() { return static_cast<unsigned>(current_thread) % 32; }

int block_barrier(BlockOp op, int predicate, Place place) {
    const int t = current_thread;
    Fiber& f = m.fibers[t];
    if (m.done > 0)
        fail("divergent-barrier", "%s is at __syncthreads, %s:%d, and %d threads of its block have exited",
             thread_name(t), place.file, place.line, m.done);
    if (m.at_barrier == 0) {
        m.barrier_op = op;
        m.barrier_place = place;
        m.barrier_first = t;
    } else if (m.barrier_op != op || m.barrier_place.line != place.line || strcmp(m.barrier_place.file, place.file)) {
        fail("divergent-barrier", "%s is at the barrier of %s:%d, and %s waits at the one of %s:%d", thread_name(t),
             place.file, place.line, thread_name(m.barrier_first), m.barrier_place.file, m.barrier_place.line);
    }
    f.place = place;
    f.predicate = predicate != 0;
    make_waiting(t, State::kAtBarrier);
    if (++m.at_barrier == m.n_threads) {
        int count = 0;
        for (int i = 0; i < m.n_threads; ++i) count += m.fibers[i].predicate;
        const int result = op == BlockOp::kCount ? count : op == BlockOp::kAnd ? count == m.n_threads : count != 0;
        for (int i = 0; i < m.n_threads; ++i) {
            m.fibers[i].result = static_cast<uint64_t>(result);
            make_ready(i);
        }
        m.at_barrier = 0;
        m.atomics = 0;
        rewind_cursor();
        if (race_hooks) race_hooks->barrier();
    }
    to_scheduler();
    return static_cast<int>(f.result);
}

uint64_t warp_collective(WarpOp op, unsigned mask, uint64_t value, int source, Place place) {
    const int t = current_thread, warp = t / 32, lane = t % 32;
    Fiber& f = m.fibers[t];
    if (!((mask >> lane) & 1u))
        fail("bad-mask", "%s (lane %d) calls %s with mask 0x%08x, which leaves it out, %s:%d", thread_name(t), lane,
             name_of(op), mask, place.file, place.line);
    f.op = op;
    f.mask = mask;
    f.place = place;
    make_waiting(t, State::kInWarp);
    auto& groups = m.groups[warp];
    size_t i = 0;
    while (i < groups.size() && !(groups[i].op == op && groups[i].mask == mask)) ++i;
    if (i == groups.size()) {
        groups.emplace_back();
        groups[i].op = op;
        groups[i].mask = mask;
        groups[i].arrived = 0;
    }
    groups[i].arrived |= 1u << lane;
    groups[i].value[lane] = value;
    groups[i].source[lane] = source;
    complete_groups(warp);
    to_scheduler();
    return f.result;
}

void fence(bool whole_grid) {
    if (race_hooks) race_hooks->fence(current_thread, whole_grid);
}

void begin_atomic(void* address, size_t size, Place place) {
    if (reinterpret_cast<uintptr_t>(address) % size != 0)
        fail("misaligned", "%s: atomic of %zu bytes at %p, %s:%d", thread_name(current_thread), size, address,
             place.file, place.line);
    if (++m.atomics > kAtomicsWithoutProgress)
        fail("livelock", "%s: %lld atomics in its block since a thread last passed a barrier or exited, %s:%d",
             thread_name(current_thread), static_cast<long long>(m.atomics), place.file, place.line);
    // Others go first, so that spins end and interleavings differ between orders.
    m.cursor = m.order == Order::kReverse ? (current_thread + kMaxThreads - 1) % kMaxThreads
                                          : (current_thread + 1) % kMaxThreads;
    to_scheduler();
    if (race_hooks) race_hooks->atomic(current_thread, address, size, place);
}

void copy_bytes(void* to, const void* from, size_t n) { memcpy(to, from, n); }

void* shared_object(const void* site, size_t bytes, size_t alignment) {
    for (const Padded& p : m.shared)
        if (p.site == site) return p.begin;
    size_t total = bytes;
    for (const Padded& p : m.shared) total += p.bytes;
    if (total > kStaticSharedLimit) fail("launch", "%zu bytes of static shared memory, and 48 KiB is the limit", total);
    m.shared.push_back(make_padded(bytes, alignment, site));
    const Padded& p = m.shared.back();
    if (race_hooks)
        race_hooks->add({reinterpret_cast<uintptr_t>(p.begin), reinterpret_cast<uintptr_t>(p.begin) + bytes, true,
                         "shared memory"});
    return p.begin;
}

void* dynamic_shared() {
    if (!m.dynamic.raw) fail("launch", "the kernel uses dynamic shared memory and was launched with none");
    return m.dynamic.begin;
}

void check_canaries() {
    for (const Padded& p : m.device) check_canary(p, "device memory");
}

cudaError_t run_grid(const cudaLaunchConfig_t& c, const void* kernel, void (*call)(void*), void* context) {
    const uint64_t threads = uint64_t{c.blockDim.x} * c.blockDim.y * c.blockDim.z;
    size_t limit = kStaticSharedLimit;
    for (const auto& entry : m.dynamic_limits)
        if (entry.first == kernel) limit = entry.second;
    if (threads < 1 || threads > kMaxThreads || c.blockDim.z > 64 || c.gridDim.x < 1 || c.gridDim.y < 1 ||
        c.gridDim.z < 1 || c.gridDim.x > 2147483647u || c.gridDim.y > 65535 || c.gridDim.z > 65535)
        return m.last_error = cudaErrorInvalidConfiguration;
    if (c.dynamicSmemBytes > limit) return m.last_error = cudaErrorInvalidValue;
    if (current_thread >= 0) fail("shim", "a launch from inside a kernel");

    blockDim = c.blockDim;
    gridDim = c.gridDim;
    m.n_threads = static_cast<int>(threads);
    m.call = call;
    m.context = context;
    make_stacks(m.n_threads);
    if (race_hooks) race_hooks->launch();
    if (c.dynamicSmemBytes) {
        m.dynamic = make_padded(c.dynamicSmemBytes, 16, nullptr);
        if (race_hooks)
            race_hooks->add({reinterpret_cast<uintptr_t>(m.dynamic.begin),
                             reinterpret_cast<uintptr_t>(m.dynamic.begin) + m.dynamic.bytes, true,
                             "dynamic shared memory"});
    }
    signal(SIGVTALRM, on_timeout);
    const char* const limit_text = getenv("HC_SHIM_SECONDS");
    const itimerval seconds = {{0, 0}, {limit_text ? atoi(limit_text) : 30, 0}}, off = {{0, 0}, {0, 0}};
    setitimer(ITIMER_VIRTUAL, &seconds, nullptr);

    std::vector<int64_t> blocks(static_cast<size_t>(int64_t{c.gridDim.x} * c.gridDim.y * c.gridDim.z));
    for (size_t i = 0; i < blocks.size(); ++i) blocks[i] = static_cast<int64_t>(i);
    if (m.order == Order::kReverse) std::reverse(blocks.begin(), blocks.end());
    if (m.order == Order::kRandom)
        for (size_t i = blocks.size(); i > 1; --i) std::swap(blocks[i - 1], blocks[next_random() % i]);
    for (const int64_t block : blocks) run_block(block, c.dynamicSmemBytes);

    setitimer(ITIMER_VIRTUAL, &off, nullptr);
    for (Padded& p : m.shared) {
        if (race_hooks) race_hooks->remove(p.begin);
        free_padded(p);
    }
    m.shared.clear();
    if (m.dynamic.raw) {
        if (race_hooks) race_hooks->remove(m.dynamic.begin);
        free_padded(m.dynamic);
    }
    check_canaries();
    return cudaSuccess;
}

}  // namespace hc_shim

// ------------------------------------------------------------------------------------------ host calls
using hc_shim::m;

cudaError_t cudaGetLastError() {
    const cudaError_t last = m.last_error;
    m.last_error = cudaSuccess;
    return last;
}

const char* cudaGetErrorString(cudaError_t code) {
    switch (code) {
        case cudaSuccess:
            return "no error";
        case cudaErrorInvalidValue:
            return "invalid argument";
        case cudaErrorInvalidDevice:
            return "invalid device ordinal";
        case cudaErrorInvalidConfiguration:
            return "invalid configuration argument";
        default:
            return "unknown error";
    }
}

cudaError_t cudaFuncSetAttribute(const void* kernel, cudaFuncAttribute, int value) {
    if (value < 0 || static_cast<size_t>(value) > hc_shim::kDynamicSharedLimit)
        return m.last_error = cudaErrorInvalidValue;
    m.dynamic_limits.insert(m.dynamic_limits.begin(), {kernel, static_cast<size_t>(value)});
    return cudaSuccess;
}

cudaError_t cudaGetDeviceCount(int* count) {
    *count = 1;
    return cudaSuccess;
}
cudaError_t cudaGetDevice(int* device) {
    *device = 0;
    return cudaSuccess;
}
cudaError_t cudaSetDevice(int device) { return device == 0 ? cudaSuccess : (m.last_error = cudaErrorInvalidDevice); }
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
    if (device != 0) return m.last_error = cudaErrorInvalidDevice;
    *properties = {"host shim", 0, 0, 1, 0};
    return cudaSuccess;
}
cudaError_t cudaDriverGetVersion(int* version) {
    *version = 0;
    return cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int* version) { return cudaDriverGetVersion(version); }

cudaError_t cudaMalloc(void** pointer, size_t bytes) {
    // Real allocations are aligned to 256 bytes; views into them are not, so kernels may count on their types
    // only. 16 keeps vector loads that the host entry has checked for possible.
    m.device.push_back(hc_shim::make_padded(bytes, 16, nullptr));
    const auto& p = m.device.back();
    *pointer = p.begin;
    if (hc_shim::race_hooks)
        hc_shim::race_hooks->add({reinterpret_cast<uintptr_t>(p.begin), reinterpret_cast<uintptr_t>(p.begin) + bytes,
                                  false, "device memory"});
    return cudaSuccess;
}

cudaError_t cudaFree(void* pointer) {
    for (size_t i = 0; i < m.device.size(); ++i) {
        if (m.device[i].begin != pointer) continue;
        hc_shim::check_canary(m.device[i], "device memory");
        if (hc_shim::race_hooks) hc_shim::race_hooks->remove(pointer);
        hc_shim::free_padded(m.device[i]);
        m.device.erase(m.device.begin() + static_cast<ptrdiff_t>(i));
        return cudaSuccess;
    }
    return pointer ? (m.last_error = cudaErrorInvalidValue) : cudaSuccess;
}
