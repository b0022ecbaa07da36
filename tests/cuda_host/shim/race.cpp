// Race detector: kernels are compiled with -fsanitize=thread and linked to these hooks instead of libtsan, because what
// orders accesses here are CUDA's rules and not those of host threads.
//
// Two accesses to a byte, one of them a write, are a race unless
//   - both are atomic, or
//   - __syncthreads is between them, for threads of a block, or
//   - __syncwarp is between them, for lanes of a warp that both take part (shuffles, votes and reductions do not
//     count), or
//   - fence, atomic  ->  atomic on the same address, fence  is between them, with fences that reach far enough
//     (__threadfence_block stays in its block). A fence covers what its own thread has done and is ordered after.
//     Fences by other threads before a barrier do not count, as in the PTX memory model.
// Blocks are never ordered by having run one after another. Each launch starts with a clean slate.
//
// Every access is compared with the recorded ones by the clocks below, so a race is found in any interleaving in which
// both accesses happen, and nothing else is reported. One thing is approximate: per byte, reads and atomics of earlier
// blocks are represented by two of those blocks.
#include <stdio.h>
#include <unistd.h>

#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "shim.h"

namespace hc_shim {
namespace {

constexpr int kMaxThreads = 1024;

struct Record {
    int64_t block = -1;
    uint32_t thread = 0;
    uint32_t epoch = 0;  // barriers that the block had passed
    uint32_t clock = 0;  // synchronisations that the thread had taken part in
    uint16_t size = 0;
    bool atomic = false;
    uintptr_t pc = 0;    // of a plain access
    Place place{"", 0};  // of an atomic
};

class Accesses {
   public:
    void add(const Record& r) {
        if (!latest_.empty() && latest_[0].block != r.block) {
            earlier_[n_earlier_ % 2] = latest_[0];
            ++n_earlier_;
            latest_.clear();
        } else if (!latest_.empty() && latest_[0].epoch < r.epoch) {
            latest_.clear();  // whoever is ordered after r is ordered after these
        }
        for (Record& old : latest_) {
            if (old.thread == r.thread) {
                old = r;
                return;
            }
        }
        latest_.push_back(r);
    }
    template <typename Unordered>
    const Record* find(Unordered&& unordered) const {
        for (int i = 0; i < n_earlier_ && i < 2; ++i)
            if (unordered(earlier_[i])) return &earlier_[i];
        for (const Record& r : latest_)
            if (unordered(r)) return &r;
        return nullptr;
    }

   private:
    std::vector<Record> latest_;
    Record earlier_[2];
    int n_earlier_ = 0;
};

struct Cell {
    Record write;
    std::shared_ptr<Accesses> reads, atomics;
};

// 4096 bytes of shadowed memory: a cell for 4 bytes, or for each once anybody has touched less than 4.
struct Page {
    int shift = 2;
    std::vector<Cell> cells = std::vector<Cell>(1024);
    void split() {
        std::vector<Cell> bytes(4096);
        for (size_t i = 0; i < bytes.size(); ++i) {
            const Cell& from = cells[i / 4];
            bytes[i].write = from.write;
            if (from.reads) bytes[i].reads = std::make_shared<Accesses>(*from.reads);
            if (from.atomics) bytes[i].atomics = std::make_shared<Accesses>(*from.atomics);
        }
        cells.swap(bytes);
        shift = 0;
    }
};

// What a thread is ordered after, outside its own barriers: per block the epochs that are wholly known, and clocks.
struct Knowledge {
    struct OfBlock {
        uint32_t epoch = 0;
        std::map<uint32_t, uint32_t> clocks;
    };
    std::map<int64_t, OfBlock> blocks;

    void merge(const Knowledge& other) {
        for (const auto& entry : other.blocks) {
            OfBlock& mine = blocks[entry.first];
            if (entry.second.epoch > mine.epoch) mine.epoch = entry.second.epoch;
            for (const auto& clock : entry.second.clocks) {
                uint32_t& c = mine.clocks[clock.first];
                if (clock.second > c) c = clock.second;
            }
        }
    }
    bool covers(const Record& r) const {
        const auto block = blocks.find(r.block);
        if (block == blocks.end()) return false;
        if (r.epoch < block->second.epoch) return true;
        const auto clock = block->second.clocks.find(r.thread);
        return clock != block->second.clocks.end() && clock->second >= r.clock;
    }
};

struct Published {
    std::shared_ptr<const Knowledge> what;
    int64_t block;
    bool whole_grid;
};

struct Thread {
    uint32_t clock = 1;
    uint32_t lanes[32] = {};  // clocks of its warp that it is ordered after
    std::shared_ptr<const Knowledge> known;
    std::shared_ptr<const Knowledge> released_to_block, released_to_grid;  // at its last fences
    std::vector<Published> seen;  // read by its atomics, not yet acquired by a fence
};

int64_t block = -1;
uint32_t epoch = 0;
int n_threads = 0;
Thread threads[kMaxThreads];
std::unordered_map<uintptr_t, Page> pages;
std::map<uintptr_t, std::vector<Published>> published;
std::vector<Region> regions;
size_t last_region = 0;
uintptr_t last_page_number = 0;
Page* last_page = nullptr;

const Region* region_of(uintptr_t address) {
    if (last_region < regions.size() && address >= regions[last_region].begin && address < regions[last_region].end)
        return &regions[last_region];
    for (size_t i = 0; i < regions.size(); ++i) {
        if (address >= regions[i].begin && address < regions[i].end) {
            last_region = i;
            return &regions[i];
        }
    }
    return nullptr;
}

Page& page_of(uintptr_t address) {
    const uintptr_t number = address >> 12;
    if (!last_page || number != last_page_number) {
        last_page = &pages[number];
        last_page_number = number;
    }
    return *last_page;
}

bool ordered(const Record& before, uint32_t thread) {
    const Thread& now = threads[thread];
    if (before.block == block) {
        if (before.thread == thread || before.epoch < epoch) return true;
        if (before.thread / 32 == thread / 32 && now.lanes[before.thread % 32] >= before.clock) return true;
    }
    return now.known && now.known->covers(before);
}

std::string source_line(const Record& r) {
    if (r.atomic) return std::string(r.place.file) + ":" + std::to_string(r.place.line);
    const uintptr_t pc = r.pc;
    char exe[512];
    const ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
    if (n <= 0 || pc == 0) return "?";
    exe[n] = 0;
    char command[700];
    snprintf(command, sizeof(command), "addr2line -s -e '%s' 0x%zx 2>/dev/null", exe, static_cast<size_t>(pc - 1));
    std::string line = "?";
    if (FILE* pipe = popen(command, "r")) {
        char text[256];
        if (fgets(text, sizeof(text), pipe)) line = text;
        pclose(pipe);
    }
    while (!line.empty() && line.back() == '\n') line.pop_back();
    return line;
}

[[noreturn]] void report(const Region& region, uintptr_t address, const Record& now, bool write, const Record& before,
                         bool before_writes) {
    const auto verb = [](const Record& r, bool writes) {
        return std::string(r.atomic ? "atomic"
                           : writes ? "write"
                                    : "read") +
               " of " + std::to_string(r.size) + " bytes";
    };
    fail("race", "byte %zu of %s (%zu bytes): %s by %s at %s, unordered with the %s by thread %u of block %lld at %s",
         static_cast<size_t>(address - region.begin), region.what, static_cast<size_t>(region.end - region.begin),
         verb(now, write).c_str(), thread_name(static_cast<int>(now.thread)), source_line(now).c_str(),
         verb(before, before_writes).c_str(), before.thread, static_cast<long long>(before.block),
         source_line(before).c_str());
}

void access(uintptr_t address, size_t size, bool write, uintptr_t pc, const Place* atomic_place = nullptr) {
    const bool atomic = atomic_place != nullptr;
    if (current_thread < 0 || (address >= stack_begin && address < stack_end)) return;
    const Region* const region = region_of(address);
    if (!region) return;  // constants and the shim's own; the ASan build judges wild pointers
    const uint32_t t = static_cast<uint32_t>(current_thread);
    Record now;
    now.block = block;
    now.thread = t;
    now.epoch = epoch;
    now.clock = threads[t].clock;
    now.size = static_cast<uint16_t>(size);
    now.atomic = atomic;
    now.pc = pc;
    if (atomic) now.place = *atomic_place;
    const bool shared = region->shared;
    const auto unordered = [&](const Record& r) {
        return r.block >= 0 && !(shared && r.block != block) && !ordered(r, t);
    };
    for (uintptr_t at = address; at < address + size;) {
        Page& page = page_of(at);
        if (page.shift == 2 && ((address | size) & 3)) page.split();
        Cell& cell = page.cells[(at & 4095) >> page.shift];
        if (!(atomic && cell.write.atomic) && unordered(cell.write)) report(*region, at, now, write, cell.write, true);
        if (cell.atomics && !atomic)
            if (const Record* r = cell.atomics->find(unordered)) report(*region, at, now, write, *r, true);
        if (cell.reads && write)
            if (const Record* r = cell.reads->find(unordered)) report(*region, at, now, write, *r, false);
        if (atomic) {
            if (!cell.atomics) cell.atomics = std::make_shared<Accesses>();
            cell.atomics->add(now);
        } else if (write) {
            cell.write = now;
            cell.reads.reset();
            cell.atomics.reset();
        } else {
            if (!cell.reads) cell.reads = std::make_shared<Accesses>();
            cell.reads->add(now);
        }
        at = (at | ((uintptr_t{1} << page.shift) - 1)) + 1;
    }
}

std::shared_ptr<const Knowledge> joined(const std::shared_ptr<const Knowledge>& a,
                                        const std::shared_ptr<const Knowledge>& b) {
    if (!a || !b || a == b) return a ? a : b;
    auto sum = std::make_shared<Knowledge>(*a);
    sum->merge(*b);
    return sum;
}

void on_launch() {
    pages.clear();
    published.clear();
    last_page = nullptr;
}

void on_block(int64_t linear, int n) {
    block = linear;
    epoch = 0;
    n_threads = n;
    for (int t = 0; t < n; ++t) threads[t] = Thread();
}

void on_barrier() {
    ++epoch;
    std::shared_ptr<const Knowledge> all;
    for (int t = 0; t < n_threads; ++t) all = joined(all, threads[t].known);
    for (int t = 0; t < n_threads; ++t) threads[t].known = all;
}

void on_warp_sync(int warp, unsigned mask) {
    uint32_t lanes[32] = {};
    std::shared_ptr<const Knowledge> all;
    for (int lane = 0; lane < 32; ++lane) {
        if (!((mask >> lane) & 1u)) continue;
        const Thread& t = threads[warp * 32 + lane];
        all = joined(all, t.known);
        for (int other = 0; other < 32; ++other)
            lanes[other] = t.lanes[other] > lanes[other] ? t.lanes[other] : lanes[other];
        lanes[lane] = t.clock;  // its own count is the highest there is
    }
    for (int lane = 0; lane < 32; ++lane) {
        if (!((mask >> lane) & 1u)) continue;
        Thread& t = threads[warp * 32 + lane];
        for (int other = 0; other < 32; ++other) t.lanes[other] = lanes[other];
        t.known = all;
        ++t.clock;
    }
}

void on_fence(int thread, bool whole_grid) {
    Thread& t = threads[thread];
    std::vector<Published> still;
    for (const Published& p : t.seen) {
        if ((p.whole_grid && whole_grid) || p.block == block)
            t.known = joined(t.known, p.what);
        else
            still.push_back(p);
    }
    t.seen.swap(still);
    auto out = std::make_shared<Knowledge>();
    if (t.known) out->merge(*t.known);
    Knowledge::OfBlock& own = out->blocks[block];
    if (epoch > own.epoch) own.epoch = epoch;
    for (uint32_t lane = 0; lane < 32; ++lane)
        if (t.lanes[lane]) own.clocks[static_cast<uint32_t>(thread) / 32 * 32 + lane] = t.lanes[lane];
    own.clocks[static_cast<uint32_t>(thread)] = t.clock++;
    t.released_to_block = out;
    if (whole_grid) t.released_to_grid = out;
}

void on_atomic(int thread, const void* address, size_t size, Place place) {
    access(reinterpret_cast<uintptr_t>(address), size, true, 0, &place);
    Thread& t = threads[thread];
    std::vector<Published>& here = published[reinterpret_cast<uintptr_t>(address)];
    t.seen.insert(t.seen.end(), here.begin(), here.end());
    const auto publish = [&](const std::shared_ptr<const Knowledge>& what, bool whole_grid) {
        if (!what) return;
        for (Published& p : here) {
            if (p.block == block && p.whole_grid == whole_grid) {
                p.what = joined(p.what, what);
                return;
            }
        }
        here.push_back({what, block, whole_grid});
    };
    publish(t.released_to_grid, true);
    publish(t.released_to_block, false);
}

void on_add(const Region& region) { regions.push_back(region); }
void on_remove(const void* begin) {
    for (size_t i = 0; i < regions.size(); ++i) {
        if (regions[i].begin == reinterpret_cast<uintptr_t>(begin)) {
            regions.erase(regions.begin() + static_cast<ptrdiff_t>(i));
            return;
        }
    }
}

const RaceHooks hooks = {on_launch, on_block, on_barrier, on_warp_sync, on_fence, on_atomic, on_add, on_remove};
const bool installed = (race_hooks = &hooks, true);

}  // namespace
}  // namespace hc_shim

// ----------------------------------------------------------- what g++ -fsanitize=thread makes calls to
#define HC_PC reinterpret_cast<uintptr_t>(__builtin_return_address(0))
#define HC_HOOK(name, bytes)                                                                                  \
    void __tsan_read##name(void* p) { hc_shim::access(reinterpret_cast<uintptr_t>(p), bytes, false, HC_PC); } \
    void __tsan_write##name(void* p) { hc_shim::access(reinterpret_cast<uintptr_t>(p), bytes, true, HC_PC); }
#define HC_HOOKS(bytes)                                                       \
    HC_HOOK(bytes, bytes)                                                     \
    void __tsan_unaligned_read##bytes(void* p) {                              \
        hc_shim::access(reinterpret_cast<uintptr_t>(p), bytes, false, HC_PC); \
    }                                                                         \
    void __tsan_unaligned_write##bytes(void* p) {                             \
        hc_shim::access(reinterpret_cast<uintptr_t>(p), bytes, true, HC_PC);  \
    }                                                                         \
    void __tsan_volatile_read##bytes(void* p) {                               \
        hc_shim::access(reinterpret_cast<uintptr_t>(p), bytes, false, HC_PC); \
    }                                                                         \
    void __tsan_volatile_write##bytes(void* p) { hc_shim::access(reinterpret_cast<uintptr_t>(p), bytes, true, HC_PC); }
extern "C" {
HC_HOOKS(1)
HC_HOOKS(2)
HC_HOOKS(4)
HC_HOOKS(8)
HC_HOOKS(16)
void __tsan_read_range(void* p, size_t n) { hc_shim::access(reinterpret_cast<uintptr_t>(p), n, false, HC_PC); }
void __tsan_write_range(void* p, size_t n) { hc_shim::access(reinterpret_cast<uintptr_t>(p), n, true, HC_PC); }
void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void*, void*) {}
void __tsan_vptr_read(void*) {}
}
