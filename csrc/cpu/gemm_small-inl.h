// Matrix products whose B is small, many in one call. Neither operand is packed: packing would cost more than it saves.
//
// Maths: as gemm-inl.h, one chain of multiply-adds over k for every element; so the bits are those of gemm_block.
//
// Layout: elements of A are broadcast from where they lie, and rows of B read as they lie; but a transposed B is transposed
// into scratch, that of many matrices at a time. A tile is up to 4 vectors of columns by as many rows as leave registers
// for B. Where it is all of C, it is also the loop over the matrices, for a call each would cost more than the product.
// What comes next is fetched into L2 meanwhile: hardware does not follow so many short rows.
//
// Measured on one Zen 5 core, GFLOP/s: 135 for 8x8 by 8x16 and 200 for 32 and 64 cubed in cache, where NumPy's has 55, 195
// and 220; from memory 165 and 183, NumPy's 85 and 141. Without fetching ahead half of that.
// Included inside an ISA namespace after gemm-inl.h.

constexpr int kSmallVectors = 4;
constexpr int kSmallSums = kRegisters * 3 / 4;  // registers of sums in a tile
constexpr int small_rows(int vectors) { return kSmallSums / vectors < 12 ? kSmallSums / vectors : 12; }

// One tile of every matrix.
struct SmallTile {
    int64_t count, k;
    const float* a;
    ptrdiff_t a_row, a_column, a_next;
    const float* b;
    ptrdiff_t b_row, b_next;
    float* c;
    ptrdiff_t c_row, c_next;
    int last;  // columns in the last vector
};

// Without kWhole the last vector is not full.
template <int kRows, int kVectors, bool kWhole>
static void gemm_small_tile(const SmallTile* tile) {
    constexpr int kApart = 3;  // rows that one pointer and the stride address
    const SmallTile o = *tile;
    const vm live = first_lanes(o.last);
    const auto last = [](int v) { return !kWhole && v == kVectors - 1; };
    for (int64_t t = 0; t < o.count; ++t) {
        vf sum[kRows][kVectors];
        HC_UNROLL for (int r = 0; r < kRows; ++r) { HC_UNROLL for (int v = 0; v < kVectors; ++v) sum[r][v] = zero(); }
        const float* a[(kRows + kApart - 1) / kApart];
        HC_UNROLL for (int r = 0; r < kRows; r += kApart) a[r / kApart] = o.a + t * o.a_next + r * o.a_row;
        const float* b = o.b + t * o.b_next;
        const float* ahead = a[0] + o.a_next;
        for (int64_t k = 0; k < o.k; ++k, b += o.b_row, ahead += kRows) {
            prefetch_far(ahead);
            HC_UNROLL for (int v = 0; v < kVectors; ++v) prefetch_far(b + o.b_next + v * kLanes);
            vf row[kVectors];
            HC_UNROLL for (int v = 0; v < kVectors; ++v) {
                row[v] = last(v) ? load_masked(b + v * kLanes, live) : load(b + v * kLanes);
            }
            HC_UNROLL for (int r = 0; r < kRows; ++r) {
                const vf x = set1(a[r / kApart][r % kApart * o.a_row]);
                HC_UNROLL for (int v = 0; v < kVectors; ++v) sum[r][v] = mul_add(x, row[v], sum[r][v]);
            }
            HC_UNROLL for (int r = 0; r < kRows; r += kApart) a[r / kApart] += o.a_column;
        }
        float* c = o.c + t * o.c_next;
        HC_UNROLL for (int r = 0; r < kRows; ++r, c += o.c_row) {
            HC_UNROLL for (int v = 0; v < kVectors; ++v) {
                if (last(v))
                    store_masked(c + v * kLanes, live, sum[r][v]);
                else
                    store(c + v * kLanes, sum[r][v]);
            }
        }
    }
}

using SmallTileFunction = void (*)(const SmallTile*);

// Tiles of kVectors vectors by their rows.
template <int kVectors>
struct SmallTiles {
    SmallTileFunction whole[small_rows(kVectors) + 1], ragged[small_rows(kVectors) + 1];
    template <int kRows>
    constexpr void fill() {
        whole[kRows] = &gemm_small_tile<kRows, kVectors, true>;
        ragged[kRows] = &gemm_small_tile<kRows, kVectors, false>;
        if constexpr (kRows > 1) fill<kRows - 1>();
    }
    constexpr SmallTiles() : whole(), ragged() { fill<small_rows(kVectors)>(); }
};
constexpr SmallTiles<1> kSmall1;
constexpr SmallTiles<2> kSmall2;
constexpr SmallTiles<3> kSmall3;
constexpr SmallTiles<4> kSmall4;
static_assert(kSmallVectors == 4, "tiles of each number of vectors");

// Matrices first .. first + count, of whose B the first is at `b`.
static void gemm_small_run(const GemmSmallArgs* g, int64_t first, int64_t count, const float* b, ptrdiff_t b_row,
                           ptrdiff_t b_next) {
    SmallTile o{};
    o.k = g->k;
    o.a_row = g->a_row;
    o.a_column = g->a_column;
    o.a_next = g->a_next;
    o.b_row = b_row;
    o.b_next = b_next;
    o.c_row = g->c_stride;
    o.c_next = g->c_next;
    const int64_t vectors = (g->n + kLanes - 1) / kLanes, strips = (vectors + kSmallVectors - 1) / kSmallVectors;
    // Matrices that a tile goes through: all, where it has all rows and columns.
    const int64_t together = g->m <= small_rows(static_cast<int>(vectors)) && strips == 1 ? count : 1;
    o.count = together;
    for (int64_t t = 0; t < count; t += together) {
        const float* a = g->a + (first + t) * g->a_next;
        float* c = g->c + (first + t) * g->c_next;
        for (int64_t s = 0; s < strips; ++s) {
            const int64_t column = vectors * s / strips * kLanes;
            const int wide = static_cast<int>(vectors * (s + 1) / strips - vectors * s / strips);
            const int64_t left = g->n - column - (wide - 1) * kLanes;
            o.last = left < kLanes ? static_cast<int>(left) : kLanes;
            o.b = b + t * b_next + column;
            const bool whole = o.last == kLanes;
            const SmallTileFunction* tiles = wide == 1   ? (whole ? kSmall1.whole : kSmall1.ragged)
                                             : wide == 2 ? (whole ? kSmall2.whole : kSmall2.ragged)
                                             : wide == 3 ? (whole ? kSmall3.whole : kSmall3.ragged)
                                                         : (whole ? kSmall4.whole : kSmall4.ragged);
            const int most = small_rows(wide);
            const int64_t n_tiles = (g->m + most - 1) / most;
            for (int64_t i = 0; i < n_tiles; ++i) {
                const int64_t row = gemm_tile_row(g->m, n_tiles, i);
                o.a = a + row * g->a_row;
                if (together == 1 && i + 1 < n_tiles)  // fetched ahead
                    o.a_next = (gemm_tile_row(g->m, n_tiles, i + 1) - row) * g->a_row;
                else
                    o.a_next = g->a_next;
                o.c = c + row * g->c_stride + column;
                tiles[gemm_tile_row(g->m, n_tiles, i + 1) - row](&o);
            }
        }
    }
}

static void gemm_small_products(const GemmSmallArgs* g) {
    if (!g->b_transposed) return gemm_small_run(g, 0, g->count, g->b, g->b_stride, g->b_next);
    const int64_t width = (g->n + kLanes - 1) / kLanes * kLanes, floats = width * g->k;
    const bool shared = g->b_next == 0;
    const int64_t fit = g->scratch_floats / floats, most = shared ? g->count : fit < 1 ? 1 : fit;
    for (int64_t first = 0; first < g->count; first += most) {
        const int64_t count = g->count - first < most ? g->count - first : most;
        for (int64_t t = 0; t < (shared ? 1 : count); ++t)
            for (int64_t j = 0; j < g->n; j += kLanes) {
                const int live = g->n - j < kLanes ? static_cast<int>(g->n - j) : kLanes;
                gemm_transpose(g->b + (first + t) * g->b_next + j * g->b_stride, g->b_stride, live, g->k,
                               g->scratch + t * floats + j, static_cast<int>(width), true);
            }
        gemm_small_run(g, first, count, g->scratch, width, shared ? 0 : floats);
    }
}

static void gemm_small(const GemmSmallArgs* g) {
    gemm_small_products(g);
    if (!g->finish) return;
    GemmBlockArgs finish{};
    finish.c_stride = g->c_stride;
    finish.alpha = g->alpha;
    finish.activation = g->activation;
    gemm_finish(&finish, g->c, g->m, g->n, g->bias, nullptr);
}
