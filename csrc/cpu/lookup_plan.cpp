#include "cpu/lookup_plan.h"

#include <algorithm>

#include "cpu/bits.h"
#include "cpu/ceil_div.h"
#include "cpu/dispatch.h"
#include "cpu/thread_pool.h"

namespace hc {
namespace {

// Planning a row costs as much as reading it for some ten vectors of units saves.
constexpr int64_t kUnitsWorthPlanning = 192;
constexpr int64_t kGroupBits = kChunkInputs / kChunkGroups;

}  // namespace

LookupRows lookup_rows(const uint64_t* rows, int64_t n_rows, int64_t n_bits, int64_t n_units, int64_t rows_per_tile,
                       Workspace& workspace, int threads) {
    const int64_t n_chunks = chunk_count(n_bits);
    uint64_t* codes = workspace.take<uint64_t>(n_chunks * n_rows);
    if (n_units < kUnitsWorthPlanning || std::min(rows_per_tile, n_rows) > kMaxRecordRows) {
        chunk_codes(rows, n_rows, n_bits, codes, threads);
        return {codes, nullptr};
    }
    const KernelTable& kernel = kernels();
    const int64_t tiles = ceil_div(n_rows, rows_per_tile);
    LookupChunk* chunks = workspace.take<LookupChunk>(tiles * n_chunks);
    uint64_t* records = workspace.take<uint64_t>(2 * n_chunks * n_rows);
    parallel_for(tiles * n_chunks, threads, [&](int64_t i) {
        const int64_t c = i % n_chunks, first = i / n_chunks * rows_per_tile;
        LookupPlanArgs a{};
        a.n_rows = std::min(rows_per_tile, n_rows - first);
        a.codes = codes + c * n_rows + first;
        a.n_groups = static_cast<int>(ceil_div(std::min<int64_t>(n_bits - c * kChunkInputs, kChunkInputs), kGroupBits));
        a.records = records + 2 * (c * n_rows + first);
        a.chunk = chunks + i;
        one_chunk_codes(rows + first * bit_words(n_bits), a.n_rows, n_bits, c, codes + c * n_rows + first);
        kernel.lookup_plan(&a);
    });
    return {codes, chunks};
}

}  // namespace hc
