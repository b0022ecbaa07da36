#include "cpu/units.h"

#include <algorithm>

#include "cpu/ceil_div.h"
#include "cpu/dispatch.h"
#include "cpu/thread_pool.h"
#include "cpu/workspace.h"

namespace hc {
namespace {

constexpr int64_t kRowsPerTile = 256;   // a multiple of 64, whose draws come together
constexpr int64_t kUnitsPerTile = 256;  // a multiple of 32, whose normals come in pairs

}  // namespace

void sample_units(const hc_units_args& p) {
    const KernelTable& kernel = kernels();
    const bool softmax = p.type == HC_UNIT_SOFTMAX;
    const int64_t group = softmax ? p.group : 1;
    const int64_t tile_columns = softmax ? std::max<int64_t>(1, kUnitsPerTile / group) * group : kUnitsPerTile;
    const int64_t column_tiles = ceil_div(p.n_units, tile_columns), row_tiles = ceil_div(p.batch, kRowsPerTile);
    parallel_for(column_tiles * row_tiles, p.threads, [&](int64_t tile) {
        const int64_t column = tile % column_tiles * tile_columns, row = tile / column_tiles * kRowsPerTile;
        const int64_t at = row * p.n_units + column;
        Workspace workspace;
        SampleUnitsArgs a{};
        a.type = p.type;
        a.x = p.x + at;
        a.stride = p.n_units;
        a.n_rows = std::min(kRowsPerTile, p.batch - row);
        a.first_sample = p.first_sample + row;
        a.first_unit = static_cast<uint32_t>(column / group);
        a.n_units = std::min(tile_columns, p.n_units - column);
        a.group = group;
        a.std = p.std ? p.std + column : nullptr;
        a.seed = p.seed;
        a.offset = p.offset;
        a.states = p.states + at;
        a.means = p.means ? p.means + at : nullptr;
        a.scratch = softmax ? workspace.take<float>(unit_scratch_floats(group)) : nullptr;
        kernel.sample_units(&a);
    });
}

}  // namespace hc
