// General float32 matrix product: C = A B for one block of C and one block of K, and the packing of A.
//
// Maths: every element of C is, whatever the shape, the layout, the tile it falls in or the number of threads,
//   sum over K blocks of ( fma(a[k], b[k], ... fma(a[1], b[1], a[0] * b[0])) ),
// one chain per block, and the blocks (gemm_depth() in matmul.cpp, a function of K alone) added in order. So a row of a
// batch has the same bits alone as among others, and all levels with fma agree to the last bit.
//
// Layout: A is packed once per call in row tiles of at most kGemmRows rows, [k][rows], shared by all threads. A task
// owns a range of columns; its B panels ([k][kGemmColumns] of its own scratch, in L2) are packed where they are first
// used: the first row tile reads B in place and stores what it read beside its multiply-adds (the stores are free
// there); only a transposed B and the ragged last panel are packed beforehand. Row tiles differ by at most one row (128
// rows are tiles of 13 and 12, not nine of 14 and one of 2), since a tile of few rows is bound by latency.
//
// Register tile: kGemmRows x (kGemmVectors * kLanes) accumulators, per k kGemmVectors loads of B, kGemmRows broadcasts
// of A from L1 and kGemmRows * kGemmVectors multiply-adds: 14 x 32 on AVX-512 (28 of 32 registers, 16 loads for 28
// fma), 6 x 16 on AVX2, 4 x 8 in plain C++. Included inside an ISA namespace after its vocabulary.

#if defined(__clang__)
#define HC_UNROLL _Pragma("unroll")
#else
#define HC_UNROLL _Pragma("GCC unroll 32")
#endif

constexpr int kGemmRows = HC_GEMM_ROWS;
constexpr int kGemmVectors = HC_GEMM_VECTORS;
constexpr int kGemmColumns = kGemmVectors * kLanes;
constexpr int kGemmWideVectors = kRegisters / 4;  // of a tile of at most kGemmWideRows rows
constexpr int kGemmWideRows = 3;
constexpr int kGemmAhead = 16;  // rows of B prefetched: they are a stride apart, which hardware misses
static_assert(kGemmRows <= kLanes, "packing transposes kLanes rows at a time");
static_assert(kGemmRows * kGemmVectors + kGemmVectors < kRegisters, "accumulators and B in registers");

// c[kRows, kVectors * kLanes] (+)= a b, with a packed [kc][kRows] and rows of b `b_stride` apart. With kCopy the rows
// of b are also stored at `copy`, kGemmColumns apart.
template <int kRows, int kVectors, bool kCopy>
static void gemm_tile(int64_t kc, const float* a, const float* b, ptrdiff_t b_stride, float* copy, float* c,
                      ptrdiff_t c_stride, int accumulate) {
    vf sum[kRows][kVectors];
    HC_UNROLL for (int r = 0; r < kRows; ++r) {
        HC_UNROLL for (int v = 0; v < kVectors; ++v) sum[r][v] = zero();
        prefetch(c + r * c_stride);
        prefetch(c + r * c_stride + kVectors * kLanes - 1);
    }
    for (int64_t k = 0; k < kc; ++k) {
        vf row[kVectors];
        HC_UNROLL for (int v = 0; v < kVectors; ++v) row[v] = load(b + v * kLanes);
        if (kCopy) {
            HC_UNROLL for (int v = 0; v < kVectors; ++v) store(copy + v * kLanes, row[v]);
            prefetch(b + kGemmAhead * b_stride);
            prefetch(b + kGemmAhead * b_stride + kVectors * kLanes - 1);
            copy += kGemmColumns;
        }
        HC_UNROLL for (int r = 0; r < kRows; ++r) {
            const vf x = set1(a[r]);
            HC_UNROLL for (int v = 0; v < kVectors; ++v) sum[r][v] = mul_add(x, row[v], sum[r][v]);
        }
        a += kRows;
        b += b_stride;
    }
    HC_UNROLL for (int r = 0; r < kRows; ++r) {
        HC_UNROLL for (int v = 0; v < kVectors; ++v) {
            float* p = c + r * c_stride + v * kLanes;
            store(p, accumulate ? add(load(p), sum[r][v]) : sum[r][v]);
        }
    }
}

// A wide, short tile: streams rows of b in place, each read once. For products of one to kGemmWideRows rows, which are
// bound by the memory b comes from.
template <int kRows>
static void gemm_wide(int64_t kc, const float* a, const float* b, ptrdiff_t b_stride, float* c, ptrdiff_t c_stride,
                      int accumulate) {
    vf sum[kRows][kGemmWideVectors];
    HC_UNROLL for (int r = 0; r < kRows; ++r) {
        HC_UNROLL for (int v = 0; v < kGemmWideVectors; ++v) sum[r][v] = zero();
    }
    for (int64_t k = 0; k < kc; ++k) {
        vf x[kRows];
        HC_UNROLL for (int r = 0; r < kRows; ++r) x[r] = set1(a[r]);
        HC_UNROLL for (int v = 0; v < kGemmWideVectors; ++v) {
            const vf y = load(b + v * kLanes);
            if (v * kLanes % 16 == 0) prefetch(b + kGemmAhead * b_stride + v * kLanes);
            HC_UNROLL for (int r = 0; r < kRows; ++r) sum[r][v] = mul_add(x[r], y, sum[r][v]);
        }
        a += kRows;
        b += b_stride;
    }
    HC_UNROLL for (int r = 0; r < kRows; ++r) {
        HC_UNROLL for (int v = 0; v < kGemmWideVectors; ++v) {
            float* p = c + r * c_stride + v * kLanes;
            store(p, accumulate ? add(load(p), sum[r][v]) : sum[r][v]);
        }
    }
}

using GemmTile = void (*)(int64_t, const float*, const float*, ptrdiff_t, float*, float*, ptrdiff_t, int);
using GemmWide = void (*)(int64_t, const float*, const float*, ptrdiff_t, float*, ptrdiff_t, int);

template <int kVectors, bool kCopy>
struct GemmTiles {
    GemmTile of_rows[kGemmRows + 1];
    template <int kRows>
    constexpr void fill() {
        of_rows[kRows] = &gemm_tile<kRows, kVectors, kCopy>;
        if constexpr (kRows > 1) fill<kRows - 1>();
    }
    constexpr GemmTiles() : of_rows() { fill<kGemmRows>(); }
};
constexpr GemmTiles<kGemmVectors, false> kTilesPacked;
constexpr GemmTiles<kGemmVectors, true> kTilesInPlace;
constexpr GemmTiles<1, false> kTilesNarrow;
constexpr GemmWide kTilesWide[kGemmWideRows + 1] = {nullptr, &gemm_wide<1>, &gemm_wide<2>, &gemm_wide<3>};

// out[k][rows] from up to kLanes rows of src[rows][k]: transposes of kLanes x kLanes. `width` >= rows is the stride of
// out, whose columns past `rows` are set to zero when `pad`, else left to what comes after them in memory.
static void gemm_transpose(const float* src, ptrdiff_t src_stride, int rows, int64_t kc, float* out, int width,
                           bool pad) {
    const float* const end = out + kc * width;
    for (int64_t k = 0; k < kc; k += kLanes) {
        const int depth = kc - k < kLanes ? static_cast<int>(kc - k) : kLanes;
        vf tile[kLanes];
        for (int r = 0; r < kLanes; ++r)
            tile[r] = r >= rows         ? zero()
                      : depth == kLanes ? load(src + r * src_stride + k)
                                        : load_masked(src + r * src_stride + k, first_lanes(depth));
        transpose(tile);
        for (int i = 0; i < depth; ++i) {
            float* row = out + (k + i) * width;
            // What a full store writes past this row, the next row's store overwrites; past the last row it must not.
            if (pad || row + kLanes <= end)
                store(row, tile[i]);
            else
                store_masked(row, first_lanes(rows), tile[i]);
        }
    }
}

// One row tile of A, [kc][rows].
static void gemm_pack(const GemmPackArgs* p) {
    if (!p->transposed) {
        gemm_transpose(p->a, p->stride, p->rows, p->kc, p->out, p->rows, false);
        return;
    }
    const vm live = first_lanes(p->rows);
    for (int64_t k = 0; k < p->kc; ++k)
        store_masked(p->out + k * p->rows, live, load_masked(p->a + k * p->stride, live));
}

// One panel of B, [kc][kGemmColumns], columns past `columns` zero up to the next multiple of kLanes.
static void gemm_pack_panel(const GemmBlockArgs* g, int64_t first, int columns, float* out) {
    for (int v = 0; v < columns; v += kLanes) {
        const int live = columns - v < kLanes ? columns - v : kLanes;
        if (g->b_transposed) {
            gemm_transpose(g->b + (first + v) * g->b_stride, g->b_stride, live, g->kc, out + v, kGemmColumns, true);
            continue;
        }
        const vm mask = first_lanes(live);
        for (int64_t k = 0; k < g->kc; ++k)
            store(out + k * kGemmColumns + v, load_masked(g->b + k * g->b_stride + first + v, mask));
    }
}

// A tile that does not fit C as it lies, from a buffer of stride kGemmColumns: ragged columns, or C written transposed.
static void gemm_flush(const GemmBlockArgs* g, const float* tile, int64_t row, int rows, int64_t column, int columns) {
    if (g->c_transposed) {
        for (int j = 0; j < columns; ++j) {
            float* p = g->c + (column + j) * g->c_stride + row;
            for (int r = 0; r < rows; ++r) {
                const float x = tile[r * kGemmColumns + j];
                p[r] = g->accumulate ? p[r] + x : x;
            }
        }
        return;
    }
    for (int r = 0; r < rows; ++r)
        for (int v = 0; v < columns; v += kLanes) {
            float* p = g->c + (row + r) * g->c_stride + column + v;
            const vm mask = first_lanes(columns - v);
            const vf x = load(tile + r * kGemmColumns + v);
            store_masked(p, mask, g->accumulate ? add(load_masked(p, mask), x) : x);
        }
}

// c = activation(alpha * c + bias) on a tile that has just been written.
static void gemm_finish(const GemmBlockArgs* g, int64_t row, int64_t rows, int64_t column, int64_t columns) {
    if (!g->finish) return;
    float* c = g->c + row * g->c_stride + column;
    const float* bias = g->bias ? g->bias + column : nullptr;
    const vf alpha = set1(g->alpha);
    for (int64_t r = 0; r < rows; ++r, c += g->c_stride)
        for (int64_t j = 0; j < columns; j += kLanes) {
            const vm mask = first_lanes(columns - j < kLanes ? static_cast<int>(columns - j) : kLanes);
            const vf x = mul_add(alpha, load_masked(c + j, mask), bias ? load_masked(bias + j, mask) : zero());
            store_masked(c + j, mask, activate(g->activation, x));
        }
}

static void gemm_block(const GemmBlockArgs* g) {
    alignas(64) float edge[kGemmRows * kGemmColumns];
    const bool lone = g->tile_end - g->tile_begin == 1;
    for (int64_t t = g->tile_begin; t < g->tile_end; ++t) {
        const int64_t row = gemm_tile_row(g->m, g->n_tiles, t);
        const int rows = static_cast<int>(gemm_tile_row(g->m, g->n_tiles, t + 1) - row);
        const float* a = g->a + row * g->kc;
        const bool wide = lone && rows <= kGemmWideRows && !g->b_transposed && !g->c_transposed;
        for (int64_t j = 0; j < g->n;) {
            if (wide && g->n - j >= kGemmWideVectors * kLanes) {
                kTilesWide[rows](g->kc, a, g->b + j, g->b_stride, g->c + row * g->c_stride + j, g->c_stride,
                                 g->accumulate);
                gemm_finish(g, row, rows, j, kGemmWideVectors * kLanes);
                j += kGemmWideVectors * kLanes;
                continue;
            }
            const int columns = g->n - j < kGemmColumns ? static_cast<int>(g->n - j) : kGemmColumns;
            float* panel = g->scratch + j * g->kc;
            bool in_place = false;
            if (t == g->tile_begin) {
                in_place = columns == kGemmColumns && !g->b_transposed;
                if (!in_place) gemm_pack_panel(g, j, columns, panel);
            }
            const bool direct = columns == kGemmColumns && !g->c_transposed;
            float* c = direct ? g->c + row * g->c_stride + j : edge;
            const ptrdiff_t c_stride = direct ? g->c_stride : kGemmColumns;
            const int accumulate = direct && g->accumulate;
            if (in_place)
                kTilesInPlace.of_rows[rows](g->kc, a, g->b + j, g->b_stride, panel, c, c_stride, accumulate);
            else if (columns <= kLanes)
                kTilesNarrow.of_rows[rows](g->kc, a, panel, kGemmColumns, nullptr, c, c_stride, accumulate);
            else
                kTilesPacked.of_rows[rows](g->kc, a, panel, kGemmColumns, nullptr, c, c_stride, accumulate);
            if (!direct) gemm_flush(g, edge, row, rows, j, columns);
            if (g->c_transposed)
                gemm_finish(g, j, columns, row, rows);
            else
                gemm_finish(g, row, rows, j, columns);
            j += columns;
        }
    }
}

// Multiply-adds on registers alone: what this level can do at most. Returns the flop count, two a multiply-add.
static void fma_peak(const FmaPeakArgs* p) {
    constexpr int kChains = kRegisters * 3 / 4;  // more than latency times throughput of any core
    const vf x = set1(p->factor), y = set1(p->term);
    vf sum[kChains];
    HC_UNROLL for (int i = 0; i < kChains; ++i) sum[i] = set1(static_cast<float>(i));
    for (int64_t n = 0; n < p->iterations; ++n) {
        HC_UNROLL for (int i = 0; i < kChains; ++i) sum[i] = mul_add(sum[i], x, y);
    }
    vf all = zero();
    HC_UNROLL for (int i = 0; i < kChains; ++i) all = add(all, sum[i]);
    store(p->sink, all);
    *p->flop = 2.0 * kChains * kLanes * static_cast<double>(p->iterations);
}
