#include "cpu/rnn.h"

#include <algorithm>

#include "cpu/ceil_div.h"
#include "cpu/dispatch.h"
#include "cpu/thread_pool.h"
#include "cpu/workspace.h"

namespace hc {
namespace {

constexpr int64_t kBlockRows =
    1024;  // of h and g, a row a step and sample, while they pass through the weights' gradient

// The batch in tiles of rows that differ by at most one; an even number of them, so that two threads share evenly, where
// that leaves enough rows for the multiply-adds of a tile not to wait for each other.
class BatchTiles {
   public:
    BatchTiles(int64_t batch, int most) : batch_(batch), count_(ceil_div(batch, most)) {
        if (count_ % 2 && batch >= 8) ++count_;
    }
    int64_t count() const { return count_; }
    int64_t first(int64_t tile) const { return gemm_tile_row(batch_, count_, tile); }
    int rows(int64_t tile) const { return static_cast<int>(first(tile + 1) - first(tile)); }

   private:
    int64_t batch_, count_;
};

int64_t padded(int64_t columns, const KernelTable& kernel) {
    return ceil_div(columns, kernel.gemm_columns) * kernel.gemm_columns;
}

// Panels of a matrix of `rows` rows and `columns` columns, or of the transpose of w, of `rows` columns.
void pack(const KernelTable& kernel, const float* w, int64_t rows, int64_t columns, bool transposed, int threads,
          float* panels) {
    const int64_t width = kernel.gemm_columns;
    parallel_for(ceil_div(columns, width), threads, [&](int64_t panel) {
        GemmPackPanelsArgs b{};
        b.b = w + (transposed ? panel * width * rows : panel * width);
        b.stride = transposed ? rows : columns;
        b.transposed = transposed;
        b.n = std::min(width, columns - panel * width);
        b.rows = rows;
        b.out = panels + panel * width * rows;
        b.panel_stride = width * rows;
        kernel.gemm_pack_panels(&b);
    });
}

// dw [m, n_hidden] (+)= sum over the rows of a block of a^T g: the operands of one of the weights' gradients.
struct GradientTarget {
    int64_t m;
    float* a;   // packed row tiles, [kc, rows]
    float* dw;  // [m, n_hidden]
    int64_t tiles(const KernelTable& kernel) const { return ceil_div(m, kernel.gemm_rows); }
};

class Backward {
   public:
    explicit Backward(const hc_rnn_backward_args& p)
        : p_(p), kernel_(kernels()), tiles_(p.batch, kernel_.gemm_rows), step_(p.batch * p.hidden) {}

    void run() {
        const int64_t n = p_.hidden;
        const int64_t block = std::min(p_.steps, std::max<int64_t>(kBlockRows / p_.batch, 1));
        state_floats_ = 2 * rnn_state_floats(kernel_.gemm_rows, n, kernel_.lanes);
        w_t_ = workspace_.take<float>(n * padded(n, kernel_));
        state_ = workspace_.take<float>(tiles_.count() * state_floats_);
        panels_ = workspace_.take<float>(block * p_.batch * padded(n, kernel_));
        if (p_.dw_h) hidden_ = {n, workspace_.take<float>(block * p_.batch * n), p_.dw_h};
        // The inputs with a column of ones, whose gradient is that of the bias.
        if (p_.dw_x || p_.db) {
            inputs_ = {p_.inputs + 1, workspace_.take<float>(block * p_.batch * (p_.inputs + 1)),
                       workspace_.take<float>((p_.inputs + 1) * n)};
        }
        pack(kernel_, p_.w_h, n, n, true, p_.threads, w_t_);
        for (int64_t end = p_.steps; end > 0; end -= block) steps(std::max<int64_t>(end - block, 0), end);
        if (p_.dw_x) std::copy_n(inputs_.dw, p_.inputs * n, p_.dw_x);
        if (p_.db) std::copy_n(inputs_.dw + p_.inputs * n, n, p_.db);
    }

   private:
    // Steps begin .. end, the last first, then what they add to the gradients of the weights.
    void steps(int64_t begin, int64_t end) {
        const int64_t kc = (end - begin) * p_.batch;
        const int64_t hidden_tiles = hidden_.tiles(kernel_), input_tiles = inputs_.tiles(kernel_);
        parallel_for(
            tiles_.count(), [&](int64_t tile) { sweep(tile, begin, end); }, hidden_tiles + input_tiles,
            [&](int64_t tile) {
                if (tile < hidden_tiles) return pack_hidden(tile, begin, kc);
                pack_inputs(tile - hidden_tiles, begin, kc);
            },
            p_.threads);
        const int64_t panels = ceil_div(p_.hidden, kernel_.gemm_columns);
        parallel_for((hidden_tiles + input_tiles) * panels, p_.threads, [&](int64_t task) {
            const int64_t tile = task / panels;
            const bool hidden = tile < hidden_tiles;
            add_product(hidden ? hidden_ : inputs_, hidden ? tile : tile - hidden_tiles, task % panels, kc,
                        end < p_.steps);
        });
    }

    void sweep(int64_t tile, int64_t begin, int64_t end) const {
        const int64_t row = tiles_.first(tile), last = (end - 1) * step_ + row * p_.hidden;
        RnnBackwardArgs a{};
        a.rows = tiles_.rows(tile);
        a.n_hidden = p_.hidden;
        a.n_steps = end - begin;
        a.activation = p_.activation;
        a.h = p_.h + last;
        a.dh = p_.dh ? p_.dh + last : p_.dh_last + row * p_.hidden;
        a.dh_steps = p_.dh ? a.n_steps : end == p_.steps;
        a.step = step_;
        a.w_t = w_t_;
        a.state = state_ + tile * state_floats_;
        a.have_state = end < p_.steps;
        a.dz = p_.dz ? p_.dz + last : nullptr;
        const int64_t width = kernel_.gemm_columns;
        a.panel_step = p_.batch * width;
        a.panel_stride = (end - begin) * a.panel_step;
        a.panels = panels_ + (end - begin - 1) * a.panel_step + row * width;
        a.dh0 = p_.dh0 && begin == 0 ? p_.dh0 + row * p_.hidden : nullptr;
        kernel_.rnn_backward(&a);
    }

    // The states before steps begin .., of some of the units.
    void pack_hidden(int64_t tile, int64_t begin, int64_t kc) const {
        const int64_t unit = gemm_tile_row(p_.hidden, hidden_.tiles(kernel_), tile);
        const int rows = static_cast<int>(gemm_tile_row(p_.hidden, hidden_.tiles(kernel_), tile + 1) - unit);
        float* out = hidden_.a + unit * kc;
        int64_t before = 0;
        if (begin == 0) {
            before = p_.batch;
            if (p_.h0)
                pack_rows(p_.h0 + unit, rows, before, out);
            else
                std::fill_n(out, before * rows, 0.0f);
            begin = 1;
        }
        if (kc > before) pack_rows(p_.h + (begin - 1) * step_ + unit, rows, kc - before, out + before * rows);
    }

    void pack_rows(const float* from, int rows, int64_t kc, float* out) const {
        GemmPackArgs a{};
        a.a = from;
        a.stride = p_.hidden;
        a.transposed = 1;
        a.rows = rows;
        a.kc = kc;
        a.out = out;
        kernel_.gemm_pack(&a);
    }

    void pack_inputs(int64_t tile, int64_t begin, int64_t kc) const {
        const int64_t first = gemm_tile_row(inputs_.m, inputs_.tiles(kernel_), tile);
        const int64_t last = gemm_tile_row(inputs_.m, inputs_.tiles(kernel_), tile + 1);
        const float* x = p_.x + begin * p_.batch * p_.inputs;
        float* out = inputs_.a + first * kc;
        for (int64_t k = 0; k < kc; ++k, x += p_.inputs)
            for (int64_t i = first; i < last; ++i) *out++ = i < p_.inputs ? x[i] : 1.0f;
    }

    void add_product(const GradientTarget& target, int64_t tile, int64_t panel, int64_t kc, bool accumulate) const {
        const int64_t width = kernel_.gemm_columns;
        GemmBlockArgs g{};
        g.m = target.m;
        g.n = std::min(width, p_.hidden - panel * width);
        g.kc = kc;
        g.n_tiles = target.tiles(kernel_);
        g.tile_begin = tile;
        g.tile_end = tile + 1;
        g.a = target.a;
        g.b = panels_ + panel * kc * width;
        g.b_packed = 1;
        g.c = target.dw + panel * width;
        g.c_stride = p_.hidden;
        g.accumulate = accumulate;
        kernel_.gemm_block(&g);
    }

    const hc_rnn_backward_args& p_;
    const KernelTable& kernel_;
    const BatchTiles tiles_;
    const int64_t step_;
    Workspace workspace_;
    int64_t state_floats_ = 0;
    float *w_t_ = nullptr, *state_ = nullptr, *panels_ = nullptr;
    GradientTarget hidden_{}, inputs_{};
};

}  // namespace

void rnn(const hc_rnn_args& p) {
    const KernelTable& kernel = kernels();
    const BatchTiles tiles(p.batch, kernel.gemm_rows);
    Workspace workspace;
    float* w_h = workspace.take<float>(p.hidden * padded(p.hidden, kernel));
    float* w_x = p.x ? workspace.take<float>(p.inputs * padded(p.hidden, kernel)) : nullptr;
    pack(kernel, p.w_h, p.hidden, p.hidden, false, p.threads, w_h);
    if (p.x) pack(kernel, p.w_x, p.inputs, p.hidden, false, p.threads, w_x);
    parallel_for(tiles.count(), p.threads, [&](int64_t tile) {
        const int64_t row = tiles.first(tile), at = row * p.hidden;
        Workspace own;
        RnnForwardArgs a{};
        a.rows = tiles.rows(tile);
        a.n_hidden = p.hidden;
        a.n_inputs = p.inputs;
        a.n_steps = p.steps;
        a.activation = p.activation;
        a.z = p.z ? p.z + at : nullptr;
        a.x = p.x ? p.x + row * p.inputs : nullptr;
        a.step = p.batch * p.hidden;
        a.x_step = p.batch * p.inputs;
        a.w_x = w_x;
        a.bias = p.bias;
        a.w_h = w_h;
        a.h0 = p.h0 ? p.h0 + at : nullptr;
        a.state = own.take<float>(2 * rnn_state_floats(a.rows, p.hidden, kernel.lanes));
        a.h = p.h ? p.h + at : nullptr;
        a.h_last = p.h_last ? p.h_last + at : nullptr;
        kernel.rnn_forward(&a);
    });
}

void rnn_backward(const hc_rnn_backward_args& p) { Backward(p).run(); }

}  // namespace hc
