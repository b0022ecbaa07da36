// A recurrent layer over whole sequences: all steps of a tile of the batch in one call, forward, and backward in time.
//
//   h_t = f(z_t + x_t w_x + b + h_{t-1} w_h)                                                    (Elman 1990; Werbos 1990)
//   g_t = f'(h_t) (dh_t + g_{t+1} w_h^T), the gradient with respect to the pre-activation; f' is written in h = f(.)
//
// Layout: w_h (backward: its transpose) is packed once a call in panels of kGemmColumns columns and stays in L1 or L2 for
// all steps. A tile is at most kGemmRows rows of the batch, whose steps need no other tile's, so no thread ever waits for
// another. The state h_{t-1} (or g_{t+1}) of a tile is kept in chunks of kLanes units, [chunk][row][lane]: a step reads it
// a number at a time from addresses a constant apart, and writes it a vector at a time.
//
// Register tile: that of the matrix product, rows x kGemmVectors accumulators which start at z_t (at dh_t), and a multiply-add
// for every unit of h_{t-1}: so an element is one chain, its order that of the inputs and then the units, whatever the tile.
// H units cost as many as there are lanes in ceil(H / kLanes) vectors: 100 units at 16 lanes run at 0.89 of the ceiling.
//
// The weights' gradient sum_t h_{t-1}^T g_t is a product of depth T * batch, done by the matrix product's kernels a block of
// steps at a time while both are in cache: the backward steps leave g in the panels that gemm_block wants.
//
// Measured on one Zen 5 core, forward and backward, share of what fma_peak reaches: 0.71 for 784 steps of 64 x 100 units
// that read a pixel each, 0.86 for 128 units, 0.88 for 256, 0.89 for 1024; with z and dz in memory 0.03 to 0.08 less.
// Included inside an ISA namespace after gemm-inl.h.

template <int kRows, int kVectors>
static HC_INLINE void rnn_step_of_k(const float* state, const float* w, vf (&sum)[kRows][kVectors]) {
    vf row[kVectors];
    HC_UNROLL for (int v = 0; v < kVectors; ++v) row[v] = load(w + v * kLanes);
    HC_UNROLL for (int r = 0; r < kRows; ++r) {
        const vf x = set1(state[r * kLanes]);
        HC_UNROLL for (int v = 0; v < kVectors; ++v) sum[r][v] = mul_add(x, row[v], sum[r][v]);
    }
}

// sum += state[rows, units] w[units, columns of a panel].
template <int kRows, int kVectors>
static HC_INLINE void rnn_product(const float* state, int64_t units, const float* w, vf (&sum)[kRows][kVectors]) {
    for (; units >= kLanes; units -= kLanes, state += (kRows - 1) * kLanes) {
        for (int k = 0; k < kLanes; ++k, ++state, w += kGemmColumns) rnn_step_of_k<kRows, kVectors>(state, w, sum);
    }
    for (; units > 0; --units, ++state, w += kGemmColumns) rnn_step_of_k<kRows, kVectors>(state, w, sum);
}

// What one panel of one step starts from, and the operands of its product. Null pointers are absent terms.
struct RnnPanel {
    int64_t left;            // columns from the panel's first to the last one there is
    const float* start;      // [rows, stride]
    ptrdiff_t stride;        // of start, in floats
    const float* bias;       // [left]
    const float *x, *w_x;    // [rows, n_inputs]; panel of n_inputs rows
    const float *state, *w;  // chunks; panel of n_state rows
    int64_t n_inputs, n_state;
    float* out;  // chunks
};

template <int kRows, int kVectors>
static void rnn_panel(const RnnPanel& p) {
    vf sum[kRows][kVectors];
    HC_UNROLL for (int v = 0; v < kVectors; ++v) {
        const int64_t left = p.left - v * kLanes;
        const vf bias = p.bias ? load_left(p.bias + v * kLanes, left) : zero();
        HC_UNROLL for (int r = 0; r < kRows; ++r) sum[r][v] =
            p.start ? add(bias, load_left(p.start + r * p.stride + v * kLanes, left)) : bias;
    }
    const float* w_x = p.w_x;
    for (int64_t i = 0; i < p.n_inputs; ++i, w_x += kGemmColumns) {
        HC_UNROLL for (int r = 0; r < kRows; ++r) {
            const vf x = set1(p.x[r * p.n_inputs + i]);
            HC_UNROLL for (int v = 0; v < kVectors; ++v) sum[r][v] = mul_add(x, load(w_x + v * kLanes), sum[r][v]);
        }
    }
    rnn_product<kRows, kVectors>(p.state, p.n_state, p.w, sum);
    HC_UNROLL for (int v = 0; v < kVectors; ++v) {
        HC_UNROLL for (int r = 0; r < kRows; ++r) store(p.out + (v * kRows + r) * kLanes, sum[r][v]);
    }
}

using RnnPanelOf = void (*)(const RnnPanel&);

struct RnnPanels {
    RnnPanelOf wide[kGemmRows + 1], narrow[kGemmRows + 1];
    template <int kRows>
    constexpr void fill() {
        wide[kRows] = &rnn_panel<kRows, kGemmVectors>;
        narrow[kRows] = &rnn_panel<kRows, 1>;
        if constexpr (kRows > 1) fill<kRows - 1>();
    }
    constexpr RnnPanels() : wide(), narrow() { fill<kGemmRows>(); }
};
constexpr RnnPanels kRnnPanels;

// One panel, whatever its width.
static HC_INLINE void rnn_run(int rows, const RnnPanel& p) {
    (p.left > kLanes ? kRnnPanels.wide : kRnnPanels.narrow)[rows](p);
}

// Rows of a state between memory, [rows, n], and chunks; absent lanes are not defined there.
static void rnn_read_state(int rows, int64_t n, const float* from, float* state) {
    for (int64_t c = 0; c < n; c += kLanes)
        for (int r = 0; r < rows; ++r, state += kLanes) store(state, load_left(from + r * n + c, n - c));
}

static void rnn_write_state(int rows, int64_t n, const float* state, float* to) {
    for (int64_t c = 0; c < n; c += kLanes)
        for (int r = 0; r < rows; ++r, state += kLanes) store_left(to + r * n + c, n - c, load(state));
}

static void rnn_forward(const RnnForwardArgs* p) {
    const int64_t n = p->n_hidden;
    const int rows = p->rows;
    float *state = p->state, *next = p->state + rnn_state_floats(rows, n, kLanes);
    if (p->h0) rnn_read_state(rows, n, p->h0, state);
    const float *z = p->z, *x = p->x;
    float* h = p->h;
    for (int64_t t = 0; t < p->n_steps; ++t) {
        for (int64_t c = 0; c < n; c += kGemmColumns) {
            RnnPanel o{};
            o.left = n - c;
            o.start = z ? z + c : nullptr;
            o.stride = n;
            o.bias = p->bias ? p->bias + c : nullptr;
            o.x = x;
            o.n_inputs = x ? p->n_inputs : 0;
            o.w_x = p->w_x + c * o.n_inputs;
            o.state = state;
            o.n_state = t > 0 || p->h0 ? n : 0;
            o.w = p->w_h + c * n;
            o.out = next + c * rows;
            rnn_run(rows, o);
            const int64_t end = c + kGemmColumns < n ? c + kGemmColumns : n;
            float* value = o.out;
            for (int64_t j = c; j < end; j += kLanes)
                for (int r = 0; r < rows; ++r, value += kLanes) {
                    const vf y = activate(p->activation, load(value));
                    store(value, y);
                    const ptrdiff_t at = r * n + j;
                    if (z) prefetch(z + at + p->step);  // of the next step
                    if (!h) continue;
                    store_left(h + at, n - j, y);
                    prefetch(h + at + p->step);
                }
        }
        float* const old = state;
        state = next;
        next = old;
        if (z) z += p->step;
        if (x) x += p->x_step;
        if (h) h += p->step;
    }
    if (p->h_last) rnn_write_state(rows, n, state, p->h_last);
}

template <int kActivation>
static void rnn_backward_steps(const RnnBackwardArgs* p) {
    const int64_t n = p->n_hidden;
    const int rows = p->rows;
    const int64_t floats = rnn_state_floats(rows, n, kLanes);
    float *state = p->state, *next = p->state + floats;
    for (int64_t t = 0; t < p->n_steps; ++t) {
        const ptrdiff_t before = -t * p->step;
        const float *h = p->h + before, *dh = t < p->dh_steps ? p->dh + before : nullptr;
        for (int64_t c = 0; c < n; c += kGemmColumns) {
            RnnPanel o{};
            o.left = n - c;
            o.start = dh ? dh + c : nullptr;
            o.stride = n;
            o.state = state;
            o.n_state = t > 0 || p->have_state ? n : 0;
            o.w = p->w_t + c * n;
            o.out = next + c * rows;
            rnn_run(rows, o);
            const int64_t end = c + kGemmColumns < n ? c + kGemmColumns : n;
            float* panel = p->panels + c / kGemmColumns * p->panel_stride - t * p->panel_step;
            float* value = o.out;
            for (int64_t j = c; j < end; j += kLanes, panel += kLanes)
                for (int r = 0; r < rows; ++r, value += kLanes) {
                    const ptrdiff_t at = r * n + j;
                    const vf g = backward<kActivation>(load_left(h + at, n - j), load(value));
                    store(value, g);
                    store(panel + r * kGemmColumns, g);
                    if (p->dz) store_left(p->dz + before + at, n - j, g);
                    prefetch(h + at - p->step);
                    if (t + 1 < p->dh_steps) prefetch(dh + at - p->step);
                }
        }
        float* const old = state;
        state = next;
        next = old;
    }
    if (p->dh0) {
        for (int64_t c = 0; c < n; c += kGemmColumns) {
            RnnPanel o{};
            o.left = n - c;
            o.state = state;
            o.n_state = n;
            o.w = p->w_t + c * n;
            o.out = next + c * rows;
            rnn_run(rows, o);
        }
        rnn_write_state(rows, n, next, p->dh0);
    }
    if (state != p->state) memcpy(p->state, state, sizeof(float) * static_cast<size_t>(floats));
}

static void rnn_backward(const RnnBackwardArgs* p) {
    switch (p->activation) {
        case HC_ACTIVATION_RELU:
            return rnn_backward_steps<HC_ACTIVATION_RELU>(p);
        case HC_ACTIVATION_SIGMOID:
            return rnn_backward_steps<HC_ACTIVATION_SIGMOID>(p);
        case HC_ACTIVATION_TANH:
            return rnn_backward_steps<HC_ACTIVATION_TANH>(p);
        default:
            return rnn_backward_steps<HC_ACTIVATION_NONE>(p);
    }
}
