// What a lookup product reads of its rows of bits, laid out once for all output units.
#pragma once

#include <stdint.h>

#include "cpu/bits.h"
#include "cpu/kernels.h"
#include "cpu/workspace.h"

namespace hc {

struct LookupRows {
    const uint64_t* codes;      // [chunks, n_rows], of bits.h; null: none
    const LookupChunk* chunks;  // [tiles of rows, chunks]; null: not planned
};

// Plans n_rows rows of n_bits, in tiles of rows_per_tile, when the n_units output units are enough for a plan to
// pay. The memory is the workspace's. Every task must have run (in any order, on any thread) before the rows are used.
class RowPlan {
   public:
    RowPlan(ConstBitRows rows, int64_t n_rows, int64_t n_bits, int64_t n_units, int64_t rows_per_tile,
            Workspace& workspace);

    int64_t tasks() const { return tiles_ * chunk_count(n_bits_); }
    void run(int64_t task) const;
    LookupRows rows() const { return {codes_, chunks_}; }

   private:
    ConstBitRows rows_;
    int64_t n_rows_, n_bits_, rows_per_tile_, tiles_;
    uint64_t* codes_;
    uint64_t* records_ = nullptr;
    LookupChunk* chunks_ = nullptr;
};

}  // namespace hc
