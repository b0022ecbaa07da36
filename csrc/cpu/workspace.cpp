#include "cpu/workspace.h"

#include <cstdlib>
#include <new>

#include "cpu/kernels.h"

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace hc {
namespace {

constexpr size_t kAlign = 64;
constexpr size_t kHugePage = size_t{2} << 20;
constexpr size_t kFirstChunk = size_t{1} << 20;
constexpr size_t kKeep = size_t{256} << 20;  // more than this is returned to the system between calls

struct Arena {
    struct Chunk {
        void* data;
        size_t size;
    };
    std::vector<Chunk> chunks;
    size_t chunk = 0, used = 0;  // current chunk and bytes used in it
    int depth = 0;
    void* lookup_scratch = nullptr;

    ~Arena() {
        free_from(0);
        std::free(lookup_scratch);
    }

    void free_from(size_t first) {
        while (chunks.size() > first) {
            std::free(chunks.back().data);
            chunks.pop_back();
        }
    }

    // Null when there is no memory. Large chunks ask for huge pages: packed panels are spread over more small pages than
    // the first-level TLB has entries.
    static void* try_allocate(size_t bytes) {
        const size_t align = bytes >= kHugePage ? kHugePage : kAlign;
        bytes = (bytes + align - 1) / align * align;
        void* p = std::aligned_alloc(align, bytes);
#if defined(__linux__) && defined(MADV_HUGEPAGE)
        if (p && align == kHugePage) madvise(p, bytes, MADV_HUGEPAGE);
#endif
        return p;
    }

    static void* allocate(size_t bytes) {
        void* p = try_allocate(bytes);
        if (!p) throw std::bad_alloc();
        return p;
    }

    void* take(size_t bytes) {
        bytes = (bytes + kAlign - 1) / kAlign * kAlign;
        while (chunk < chunks.size() && chunks[chunk].size - used < bytes) {
            ++chunk;
            used = 0;
        }
        if (chunk == chunks.size()) {
            const size_t last = chunks.empty() ? kFirstChunk / 2 : chunks.back().size;
            const size_t size = bytes > 2 * last ? bytes : 2 * last;
            chunks.push_back({allocate(size), size});
            used = 0;
        }
        void* p = static_cast<char*>(chunks[chunk].data) + used;
        used += bytes;
        return p;
    }

    // Outside any call: several chunks become one of their total size (so the next call finds one that fits), and a
    // very large one is returned.
    void settle() {
        size_t total = 0;
        for (const Chunk& c : chunks) total += c.size;
        if (chunks.size() > 1 || total > kKeep) {
            free_from(0);
            if (total <= kKeep) {
                void* data = try_allocate(total);
                if (data) chunks.push_back({data, total});
            }
        }
        chunk = used = 0;
    }
};

Arena& arena() {
    thread_local Arena a;
    return a;
}

}  // namespace

Workspace::Workspace() {
    Arena& a = arena();
    chunk_ = a.chunk;
    used_ = a.used;
    ++a.depth;
}

Workspace::~Workspace() {
    Arena& a = arena();
    a.chunk = chunk_;
    a.used = used_;
    if (--a.depth == 0) a.settle();
}

void* Workspace::take_bytes(size_t bytes) { return arena().take(bytes); }

void* lookup_scratch() {
    Arena& a = arena();
    if (!a.lookup_scratch) a.lookup_scratch = Arena::allocate(kLookupScratchBytes);
    return a.lookup_scratch;
}

}  // namespace hc
