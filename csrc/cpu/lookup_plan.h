// What a lookup product reads of its rows of bits, laid out once for all output units.
#pragma once

#include <stdint.h>

#include "cpu/kernels.h"
#include "cpu/workspace.h"

namespace hc {

struct LookupRows {
    const uint64_t* codes;      // [chunks, n_rows], of bits.h; null: none
    const LookupChunk* chunks;  // [tiles of rows, chunks]; null: not planned
};

// For rows [n_rows, bit_words(n_bits)], planned in tiles of rows_per_tile, when the n_units output units are enough for a plan
// to pay. The memory is the workspace's.
LookupRows lookup_rows(const uint64_t* rows, int64_t n_rows, int64_t n_bits, int64_t n_units, int64_t rows_per_tile,
                       Workspace& workspace, int threads);

}  // namespace hc
