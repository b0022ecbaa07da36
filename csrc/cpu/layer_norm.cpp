#include "cpu/layer_norm.h"

#include <algorithm>

#include "cpu/dispatch.h"
#include "cpu/row_tiles.h"
#include "cpu/thread_pool.h"
#include "cpu/workspace.h"

namespace hc {

void layer_norm(const hc_layer_norm_args& p) {
    const KernelTable& kernel = kernels();
    const RowTiles tiles(p.rows, p.columns);
    parallel_for(tiles.count(), p.threads, [&](int64_t tile) {
        const int64_t row = tiles.first(tile), at = row * p.columns;
        LayerNormRowsArgs a{};
        a.n_rows = tiles.rows(tile);
        a.n_cols = p.columns;
        a.x = p.x + at;
        a.gain = p.gain;
        a.shift = p.shift;
        a.epsilon = p.epsilon;
        a.y = p.y + at;
        a.mean = p.mean ? p.mean + row : nullptr;
        a.inverse_std = p.inverse_std ? p.inverse_std + row : nullptr;
        kernel.layer_norm_rows(&a);
    });
}

void layer_norm_backward(const hc_layer_norm_backward_args& p) {
    const KernelTable& kernel = kernels();
    const RowTiles tiles(p.rows, p.columns);
    Workspace workspace;
    float* sums = workspace.take<float>(tiles.count() * 2 * p.columns);  // of a tile: dgain, dshift
    parallel_for(tiles.count(), p.threads, [&](int64_t tile) {
        const int64_t row = tiles.first(tile), at = row * p.columns;
        LayerNormBackwardRowsArgs a{};
        a.n_rows = tiles.rows(tile);
        a.n_cols = p.columns;
        a.x = p.x + at;
        a.gain = p.gain;
        a.mean = p.mean + row;
        a.inverse_std = p.inverse_std + row;
        a.dy = p.dy + at;
        a.dx = p.dx ? p.dx + at : nullptr;
        a.dgain = sums + tile * 2 * p.columns;
        a.dshift = a.dgain + p.columns;
        kernel.layer_norm_backward_rows(&a);
    });
    float* const outputs[] = {p.dgain, p.dshift};
    for (int which = 0; which < 2; ++which) {
        if (!outputs[which]) continue;
        std::fill_n(outputs[which], p.columns, 0.0f);
        for (int64_t tile = 0; tile < tiles.count(); ++tile)
            for (int64_t c = 0; c < p.columns; ++c) outputs[which][c] += sums[(tile * 2 + which) * p.columns + c];
    }
}

}  // namespace hc
