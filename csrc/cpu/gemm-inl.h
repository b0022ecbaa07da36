// General float32 matrix product: C = A B for one block of C and one block of K, and the packing of A and B.
//
// Maths: every element of C is, whatever the shape, the layout, the tile it falls in or the number of threads,
//   sum over K blocks of ( fma(a[k], b[k], ... fma(a[1], b[1], a[0] * b[0])) ),
// one chain per block, and the blocks (gemm_depth() in gemm_product.h, a function of K alone) added in order. So a row of a
// batch has the same bits alone as among others, and all levels with fma agree to the last bit.
//
// Layout: A and B are packed, A in row tiles of at most kGemmRows rows, [k][rows], B in panels of kGemmColumns columns,
// [k][kGemmColumns], and shared by all threads, but for the panels and K blocks that gemm_product.h lets threads pack for
// themselves. A task is a block of row tiles, which stays in L2 (kGemmBlockFloats), times a range of panels, each of which
// passes through L1 once while the tiles go by; meanwhile the tiles fetch the next panel into L2, a share each. Row tiles
// differ by at most one row (128 rows are tiles of 12 and 11, not ten of 12 and one of 8): a tile of few rows is bound by
// latency. A product of a single row tile reads B where it lies, once: packing would cost more than it. Few columns are
// few rows of the transposed product, and their C is written transposed.
//
// Register tile: kGemmRows x (kGemmVectors * kLanes) accumulators, per k kGemmVectors loads of B, kGemmRows broadcasts of
// A from L1 and kGemmRows * kGemmVectors multiply-adds: 12 x 32 on AVX-512 (24 of 32 registers, 14 loads for 24 fma),
// 6 x 16 on AVX2, 4 x 8 in plain C++.
//
// Measured on one Zen 5 core, share of what fma_peak reaches beside it: 0.98 with both operands packed and in L2, 0.88 to
// 0.95 for 1024 and 2048 cubed and 512 x 784 x 512 with packing.
// Included inside an ISA namespace after its vocabulary.

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
constexpr int64_t kGemmTail = 64;  // steps of k before the end at which C is fetched
constexpr int kGemmAhead = 16;     // rows of B fetched ahead where it is read in place, a stride apart
constexpr int64_t kGemmBlockFloats = HC_GEMM_BLOCK_FLOATS;  // of A, in L2
static_assert(kGemmRows <= kLanes, "packing transposes kLanes rows at a time");
static_assert(kGemmRows * kGemmVectors + kGemmVectors < kRegisters, "accumulators and B in registers");

// What a register tile works on: c[rows, columns] (+)= a[kc, rows]^T b[kc, columns], with a packed.
struct GemmOperands {
    int64_t kc;
    const float* a;
    const float* b;
    ptrdiff_t b_stride;
    float* c;
    ptrdiff_t c_stride;
    int accumulate;
    // Of a tile that finishes: c = max(floor, alpha * c + bias) is what it writes.
    float alpha, floor;
    const float* bias;   // of the tile's columns; null: none
    const float* ahead;  // fetched into L2 on the way, one address on every step of k, ahead_step floats apart
    ptrdiff_t ahead_step;
};

// kFinish is no member of `o`: a branch around code that uses all of `sum` costs the loop before it registers.
template <bool kFinish, int kRows, int kVectors>
static inline void gemm_store(const GemmOperands& o, vf (&sum)[kRows][kVectors]) {
    const vf alpha = set1(o.alpha), floor = set1(o.floor);
    HC_UNROLL for (int v = 0; v < kVectors; ++v) {
        const vf bias = kFinish && o.bias ? load(o.bias + v * kLanes) : zero();
        HC_UNROLL for (int r = 0; r < kRows; ++r) {
            float* p = o.c + r * o.c_stride + v * kLanes;
            const vf x = o.accumulate ? add(load(p), sum[r][v]) : sum[r][v];
            store(p, kFinish ? max(floor, mul_add(alpha, x, bias)) : x);  // in this order NaN stays NaN
        }
    }
}

// `steps` steps of k. Inlined twice below rather than a loop in a loop, so that nothing competes for registers with it.
template <int kRows, int kVectors, bool kInPlace>
static HC_INLINE void gemm_steps(int64_t steps, GemmOperands& o, vf (&sum)[kRows][kVectors]) {
    for (int64_t k = 0; k < steps; ++k) {
        vf row[kVectors];
        HC_UNROLL for (int v = 0; v < kVectors; ++v) row[v] = load(o.b + v * kLanes);
        if (kInPlace) {
            prefetch(o.b + kGemmAhead * o.b_stride);
            prefetch(o.b + kGemmAhead * o.b_stride + kVectors * kLanes - 1);
        } else {
            prefetch_far(o.ahead);
            o.ahead += o.ahead_step;
        }
        HC_UNROLL for (int r = 0; r < kRows; ++r) {
            const vf x = set1(o.a[r]);
            HC_UNROLL for (int v = 0; v < kVectors; ++v) sum[r][v] = mul_add(x, row[v], sum[r][v]);
        }
        o.a += kRows;
        o.b += kInPlace ? o.b_stride : kGemmColumns;
    }
}

template <int kRows, int kVectors, bool kInPlace, bool kFinish>
static void gemm_tile(const GemmOperands& given) {
    GemmOperands o = given;
    vf sum[kRows][kVectors];
    HC_UNROLL for (int r = 0; r < kRows; ++r) { HC_UNROLL for (int v = 0; v < kVectors; ++v) sum[r][v] = zero(); }
    // C is fetched shortly before it is needed: any earlier, and A and B would push it out of L1 again.
    const int64_t tail = o.kc < kGemmTail ? o.kc : kGemmTail;
    gemm_steps<kRows, kVectors, kInPlace>(o.kc - tail, o, sum);
    HC_UNROLL for (int r = 0; r < kRows; ++r) {
        prefetch(o.c + r * o.c_stride);
        prefetch(o.c + r * o.c_stride + kVectors * kLanes - 1);
    }
    gemm_steps<kRows, kVectors, kInPlace>(tail, o, sum);
    if (kFinish)
        __asm__ volatile("" ::: "memory");  // or alpha and bias are read before the loop, which has no registers left
    gemm_store<kFinish>(given, sum);
}

// A wide, short tile: streams rows of b in place, each read once. For products of one to kGemmWideRows rows, which are
// bound by the memory b comes from.
template <int kRows>
static void gemm_wide(const GemmOperands& o) {
    vf sum[kRows][kGemmWideVectors];
    HC_UNROLL for (int r = 0; r < kRows; ++r) {
        HC_UNROLL for (int v = 0; v < kGemmWideVectors; ++v) sum[r][v] = zero();
    }
    const float *a = o.a, *b = o.b;
    const ptrdiff_t b_stride = o.b_stride;
    for (int64_t k = 0; k < o.kc; ++k) {
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
    gemm_store<false>(o, sum);
}

// A short tile of a transposed b, column j of which lies along k from o.b + j * o.b_stride: transposed in registers, a
// square at a time, and used at once. Bound by the shuffles, and by memory.
template <int kRows>
static void gemm_dots(const GemmOperands& o) {
    constexpr int kFetch = 64;  // floats ahead, in so many short streams that hardware does not follow them
    vf sum[kRows][kGemmVectors];
    HC_UNROLL for (int r = 0; r < kRows; ++r) { HC_UNROLL for (int v = 0; v < kGemmVectors; ++v) sum[r][v] = zero(); }
    const float* a = o.a;
    for (int64_t k = 0; k < o.kc; k += kLanes, a += kRows * kLanes) {
        const int depth = o.kc - k < kLanes ? static_cast<int>(o.kc - k) : kLanes;
        HC_UNROLL for (int v = 0; v < kGemmVectors; ++v) {
            const float* b = o.b + v * kLanes * o.b_stride + k;
            vf tile[kLanes];
            if (depth == kLanes) {
                HC_UNROLL for (int j = 0; j < kLanes; ++j, b += o.b_stride) {
                    tile[j] = load(b);
                    prefetch_far(b + kFetch);
                }
                transpose(tile);
                HC_UNROLL for (int i = 0; i < kLanes; ++i) {
                    HC_UNROLL for (int r = 0; r < kRows; ++r) {
                        sum[r][v] = mul_add(set1(a[i * kRows + r]), tile[i], sum[r][v]);
                    }
                }
            } else {
                for (int j = 0; j < kLanes; ++j, b += o.b_stride) tile[j] = load_masked(b, first_lanes(depth));
                transpose(tile);
                for (int i = 0; i < depth; ++i)
                    for (int r = 0; r < kRows; ++r) sum[r][v] = mul_add(set1(a[i * kRows + r]), tile[i], sum[r][v]);
            }
        }
    }
    gemm_store<false>(o, sum);
}

using GemmTile = void (*)(const GemmOperands&);

// Tiles by their rows: those that leave C as the sum, and, where they fit it as it lies, those that finish it.
template <int kVectors, bool kInPlace>
struct GemmTiles {
    GemmTile sum[kGemmRows + 1], finish[kGemmRows + 1];
    template <int kRows>
    constexpr void fill() {
        sum[kRows] = &gemm_tile<kRows, kVectors, kInPlace, false>;
        if constexpr (kVectors == kGemmVectors) finish[kRows] = &gemm_tile<kRows, kVectors, kInPlace, true>;
        if constexpr (kRows > 1) fill<kRows - 1>();
    }
    constexpr GemmTiles() : sum(), finish() { fill<kGemmRows>(); }
};
constexpr GemmTiles<kGemmVectors, false> kTilesPacked;
constexpr GemmTiles<kGemmVectors, true> kTilesInPlace;
constexpr GemmTiles<1, false> kTilesNarrow;
constexpr GemmTile kTilesWide[kGemmWideRows + 1] = {nullptr, &gemm_wide<1>, &gemm_wide<2>, &gemm_wide<3>};
constexpr GemmTile kTilesDots[kGemmWideRows + 1] = {nullptr, &gemm_dots<1>, &gemm_dots<2>, &gemm_dots<3>};

// out[k][rows] from up to kLanes rows of src[rows][k]: transposes of kLanes x kLanes. `width` >= rows is the stride of
// out, whose columns past `rows` are set to zero when `pad`, else left to what comes after them in memory.
static void gemm_transpose(const float* src, ptrdiff_t src_stride, int rows, int64_t kc, float* out, int width,
                           bool pad) {
    const float* const end = out + kc * width;
    for (int64_t k = 0; k < kc; k += kLanes) {
        const int depth = kc - k < kLanes ? static_cast<int>(kc - k) : kLanes;
        vf tile[kLanes];
        for (int r = 0; r < rows; ++r)
            prefetch(src + r * src_stride + k + 64);  // a row is too short for hardware to learn
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

// Panels of B, [rows][kGemmColumns] each, `panel_stride` apart.
static void gemm_pack_panels(const GemmPackPanelsArgs* p) {
    if (p->transposed) {
        for (int64_t j = 0; j < p->n; j += kLanes) {
            const int live = p->n - j < kLanes ? static_cast<int>(p->n - j) : kLanes;
            float* out = p->out + j / kGemmColumns * p->panel_stride + j % kGemmColumns;
            gemm_transpose(p->b + j * p->stride, p->stride, live, p->rows, out, kGemmColumns, true);
        }
        return;
    }
    // Along the rows of B as they lie: one stream in, short runs out.
    for (int64_t k = 0; k < p->rows; ++k) {
        const float* from = p->b + k * p->stride;
        float* to = p->out + k * kGemmColumns;
        int64_t j = 0;
        for (; j + kGemmColumns <= p->n; j += kGemmColumns, to += p->panel_stride)
            HC_UNROLL for (int v = 0; v < kGemmVectors; ++v) store(to + v * kLanes, load(from + j + v * kLanes));
        for (; j < p->n; j += kLanes, to += kLanes)
            store(to, load_masked(from + j, first_lanes(p->n - j < kLanes ? static_cast<int>(p->n - j) : kLanes)));
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

// c = activation(alpha * c + bias) on a tile that has just been written; the biases are those of its columns, or rows.
static void gemm_finish(const GemmBlockArgs* g, float* c, int64_t rows, int64_t columns, const float* bias,
                        const float* row_bias) {
    const vf alpha = set1(g->alpha);
    for (int64_t r = 0; r < rows; ++r, c += g->c_stride) {
        const vf same = row_bias ? set1(row_bias[r]) : zero();
        for (int64_t j = 0; j < columns; j += kLanes) {
            const vm mask = first_lanes(columns - j < kLanes ? static_cast<int>(columns - j) : kLanes);
            const vf x = mul_add(alpha, load_masked(c + j, mask), bias ? load_masked(bias + j, mask) : same);
            store_masked(c + j, mask, activate(g->activation, x));
        }
    }
}

// One tile of C, by way of a buffer where the tile does not fit C as it lies; then bias and activation, if it is time.
// What is short of exp the tile does in registers, if there is one that finishes: to read back what was just written is to
// wait for it where its lines were not at hand (a third of the time of a layer of 100 by 16,383).
// The operands go by reference: a copy is read in wide pieces that no single store has written, so it would wait until
// all stores before it, the last tile's C among them, have left the store queue (3 % of a product).
static inline void gemm_one(const GemmBlockArgs* g, GemmTile sum, GemmTile finish, GemmOperands& o, int64_t row,
                            int rows, int64_t column, int columns) {
    alignas(64) float edge[kGemmRows * kGemmColumns];
    const float* bias = g->bias ? g->bias + (g->c_transposed ? row : column) : nullptr;
    if (columns % kGemmColumns == 0 && !g->c_transposed) {
        o.c = g->c + row * g->c_stride + column;
        o.c_stride = g->c_stride;
        o.accumulate = g->accumulate;
        const bool relu = g->activation == HC_ACTIVATION_RELU;
        if (finish && g->finish && (relu || g->activation == HC_ACTIVATION_NONE)) {
            o.alpha = g->alpha;
            o.bias = bias;
            o.floor = relu ? 0.0f : -__builtin_inff();
            finish(o);
            return;
        }
        sum(o);
    } else {
        o.c = edge;
        o.c_stride = kGemmColumns;
        o.accumulate = 0;
        sum(o);
        gemm_flush(g, edge, row, rows, column, columns);
    }
    if (!g->finish) return;
    if (g->c_transposed)
        gemm_finish(g, g->c + column * g->c_stride + row, columns, rows, bias, nullptr);
    else
        gemm_finish(g, g->c + row * g->c_stride + column, rows, columns, bias, nullptr);
}

// The same where the columns of C lie in runs. Rows innermost: neighbouring runs may share a line of memory, and a load
// would wait for the store before it.
static void gemm_one_in_runs(const GemmBlockArgs* g, GemmTile tile, GemmOperands& o, float* c, int rows, int columns,
                             const GemmRun* run, const float* row_bias) {
    alignas(64) float edge[kGemmRows * kGemmColumns + kLanes];
    if (run->length == kGemmColumns) {
        o.c = c + run->offset;
        o.c_stride = g->c_stride;
        o.accumulate = g->accumulate;
        tile(o);
        if (g->finish) gemm_finish(g, o.c, rows, columns, nullptr, row_bias);
        return;
    }
    o.c = edge;
    o.c_stride = kGemmColumns;
    o.accumulate = 0;
    tile(o);
    for (int done = 0; done < columns; done += run->length, ++run) {
        for (int j = 0; j < run->length; j += kLanes) {
            const vm mask = first_lanes(run->length - j);
            const float* from = edge + run->first + j;
            float* to = c + run->offset + j;
            for (int r = 0; r < rows; ++r, from += kGemmColumns, to += g->c_stride) {
                const vf x = load(from);
                store_masked(to, mask, g->accumulate ? add(load_masked(to, mask), x) : x);
            }
        }
        if (g->finish) gemm_finish(g, c + run->offset, rows, run->length, nullptr, row_bias);
    }
}

// The only row tile there is: B is read in place, but for what does not lie along the lanes, which is packed in `scratch`.
static void gemm_lone_tile(const GemmBlockArgs* g) {
    constexpr int kWide = kGemmWideVectors * kLanes;
    const int rows = static_cast<int>(g->m);
    const bool few = rows <= kGemmWideRows;
    GemmOperands o{};
    o.kc = g->kc;
    o.a = g->a;
    for (int64_t j = 0; j < g->n;) {
        const int64_t left = g->n - j;
        int columns = left < kGemmColumns ? static_cast<int>(left) : kGemmColumns;
        GemmTile tile, finish = nullptr;
        if (columns == kGemmColumns && g->b_transposed && few) {
            tile = kTilesDots[rows];
            o.b = g->b + j * g->b_stride;
            o.b_stride = g->b_stride;
        } else if (columns == kGemmColumns && !g->b_transposed) {
            const bool wide = few && !g->c_transposed && left >= kWide;
            tile = wide ? kTilesWide[rows] : kTilesInPlace.sum[rows];
            finish = wide ? nullptr : kTilesInPlace.finish[rows];
            if (wide) columns = kWide;
            o.b = g->b + j;
            o.b_stride = g->b_stride;
        } else {
            GemmPackPanelsArgs p{};
            p.b = g->b + (g->b_transposed ? j * g->b_stride : j);
            p.stride = g->b_stride;
            p.transposed = g->b_transposed;
            p.n = columns;
            p.rows = g->kc;
            p.out = g->scratch;
            gemm_pack_panels(&p);
            tile = columns <= kLanes ? kTilesNarrow.sum[rows] : kTilesPacked.sum[rows];
            finish = columns <= kLanes ? nullptr : kTilesPacked.finish[rows];
            o.b = o.ahead = g->scratch;
            o.b_stride = kGemmColumns;
        }
        gemm_one(g, tile, finish, o, 0, rows, j, columns);
        j += columns;
    }
}

// The products of K blocks that threads took whole.
static void gemm_sum(const GemmSumArgs* s) {
    const vf alpha = set1(s->alpha);
    for (int64_t r = 0; r < s->rows; ++r)
        for (int64_t j = 0; j < s->columns; j += kLanes) {
            const vm mask = first_lanes(s->columns - j < kLanes ? static_cast<int>(s->columns - j) : kLanes);
            const float* block = s->blocks + r * s->columns + j;
            vf x = load_masked(block, mask);
            for (int64_t b = 1; b < s->n_blocks; ++b) x = add(x, load_masked(block += s->block_stride, mask));
            if (s->finish)
                x = activate(s->activation, mul_add(alpha, x, s->bias ? load_masked(s->bias + j, mask) : zero()));
            store_masked(s->c + r * s->c_stride + j, mask, x);
        }
}

static void gemm_block(const GemmBlockArgs* g) {
    if (!g->b_packed) return gemm_lone_tile(g);
    const int64_t tiles = g->tile_end - g->tile_begin, share = (kGemmColumns + tiles - 1) / tiles;
    GemmOperands o{};
    o.kc = g->kc;
    o.b_stride = kGemmColumns;
    o.ahead_step = share;
    const GemmRun* runs = g->c_runs;
    for (int64_t j = 0; j < g->n; j += kGemmColumns) {
        const int columns = g->n - j < kGemmColumns ? static_cast<int>(g->n - j) : kGemmColumns;
        const bool narrow = columns <= kLanes;
        const GemmTile* sum = narrow ? kTilesNarrow.sum : kTilesPacked.sum;
        const GemmTile* finish = narrow ? kTilesNarrow.finish : kTilesPacked.finish;
        o.b = g->b + j * g->kc;
        // After the last panel the first comes round again, with the next block of rows.
        o.ahead = j + kGemmColumns < g->n ? o.b + kGemmColumns * g->kc : g->b;
        for (int64_t t = g->tile_begin; t < g->tile_end; ++t, o.ahead += share * g->kc) {
            const int64_t row = gemm_tile_row(g->m, g->n_tiles, t);
            const int rows = static_cast<int>(gemm_tile_row(g->m, g->n_tiles, t + 1) - row);
            o.a = g->a + row * g->kc;
            if (runs)
                gemm_one_in_runs(g, sum[rows], o, g->c + row * g->c_stride, rows, columns, runs,
                                 g->row_bias ? g->row_bias + row : nullptr);
            else
                gemm_one(g, sum[rows], finish[rows], o, row, rows, j, columns);
        }
        if (runs)
            for (int done = 0; done < columns; ++runs) done += runs->length;
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
