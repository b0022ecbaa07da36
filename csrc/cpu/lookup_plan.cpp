#include "cpu/lookup_plan.h"

#include <algorithm>

#include "cpu/ceil_div.h"
#include "cpu/dispatch.h"

namespace hc {
namespace {

// Planning a row costs as much as reading it for some ten vectors of units saves.
constexpr int64_t kUnitsWorthPlanning = 192;
constexpr int64_t kGroupBits = kChunkInputs / kChunkGroups;

}  // namespace

RowPlan::RowPlan(ConstBitRows rows, int64_t n_rows, int64_t n_bits, int64_t n_units, int64_t rows_per_tile,
                 Workspace& workspace)
    : rows_(rows),
      n_rows_(n_rows),
      n_bits_(n_bits),
      rows_per_tile_(rows_per_tile),
      tiles_(ceil_div(n_rows, rows_per_tile)) {
    const int64_t n_chunks = chunk_count(n_bits);
    codes_ = workspace.take<uint64_t>(n_chunks * n_rows);
    if (n_units < kUnitsWorthPlanning || std::min(rows_per_tile, n_rows) > kMaxRecordRows) return;
    chunks_ = workspace.take<LookupChunk>(tiles_ * n_chunks);
    records_ = workspace.take<uint64_t>(2 * n_chunks * n_rows);
}

void RowPlan::run(int64_t task) const {
    const int64_t n_chunks = chunk_count(n_bits_), c = task % n_chunks, first = task / n_chunks * rows_per_tile_;
    const int64_t n_rows = std::min(rows_per_tile_, n_rows_ - first);
    uint64_t* codes = codes_ + c * n_rows_ + first;
    one_chunk_codes(rows_.from(first), n_rows, n_bits_, c, codes);
    if (!chunks_) return;
    LookupPlanArgs a{};
    a.n_rows = n_rows;
    a.codes = codes;
    a.n_groups = static_cast<int>(ceil_div(std::min<int64_t>(n_bits_ - c * kChunkInputs, kChunkInputs), kGroupBits));
    a.records = records_ + 2 * (c * n_rows_ + first);
    a.chunk = chunks_ + task;
    kernels().lookup_plan(&a);
}

}  // namespace hc
