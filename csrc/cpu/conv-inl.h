// Packing for two-dimensional convolution: panels of a matrix of patches that is nowhere stored, and weights by tap.
//
// The matrix of patches has a row for each tap (channel, ky, kx) and a column for each output pixel (sample, oy, ox). In
// an image that carries its padding, the element of tap t and pixel p lies at offset(t) + offset(p), so a panel is packed
// from two short lists: offsets along one side, runs of neighbours in memory along the other. With the runs along the
// lanes a row of a run is one load and one store; with them along k, kLanes columns at a time are transposed in registers.
//
// A full store of a short run spoils the columns after it, which are written next: runs go in order. A block of rows at
// a time stays in L1 while the runs go by.
//
// On one Zen 5 core (busy), share of fma_peak: 9x9/2 256->256 0.73 forward, 0.75 backward; 3x3 64->64 0.69, 0.66.
// Included inside an ISA namespace after gemm-inl.h.

constexpr int64_t kGatherRows = 128;

// At most kLanes columns of a run: with stores that spoil the columns after it, with loads that read past it, or neither.
template <bool kFullStore, bool kFullLoad>
static HC_INLINE void gather_run(const float* src, const int64_t* lead, int64_t rows, vm mask, float* out) {
    for (int64_t k = 0; k < rows; ++k, out += kGemmColumns) {
        const float* from = src + lead[k];
        const vf x = kFullLoad ? load(from) : load_masked(from, mask);
        if (kFullStore)
            store(out, x);
        else
            store_masked(out, mask, x);
    }
}

static void gather_along_lanes(const GemmGatherArgs* p) {
    for (int64_t k = 0; k < p->rows; k += kGatherRows) {
        const int64_t rows = p->rows - k < kGatherRows ? p->rows - k : kGatherRows;
        const int64_t* lead = p->lead + k;
        for (const GemmRun* run = p->runs; run < p->runs + p->n_runs; ++run) {
            for (int j = 0; j < run->length; j += kLanes) {
                const vm mask = first_lanes(run->length - j);
                const float* src = p->src + run->offset + j;
                float* out = p->out + k * kGemmColumns + run->first + j;
                const bool full_load = run->offset + j + kLanes <= p->limit;
                if (run->first + j + kLanes > kGemmColumns) {
                    if (full_load)
                        gather_run<false, true>(src, lead, rows, mask, out);
                    else
                        gather_run<false, false>(src, lead, rows, mask, out);
                } else {
                    if (full_load)
                        gather_run<true, true>(src, lead, rows, mask, out);
                    else
                        gather_run<true, false>(src, lead, rows, mask, out);
                }
            }
        }
    }
}

static void gather_along_k(const GemmGatherArgs* p) {
    for (int first = 0; first < p->columns; first += kLanes) {
        const int columns = p->columns - first < kLanes ? p->columns - first : kLanes;
        const int64_t* lead = p->lead + first;
        for (const GemmRun* run = p->runs; run < p->runs + p->n_runs; ++run) {
            for (int k = 0; k < run->length; k += kLanes) {
                const int depth = run->length - k < kLanes ? run->length - k : kLanes;
                const vm mask = first_lanes(depth);
                const float* src = p->src + run->offset + k;
                vf tile[kLanes];
                for (int j = 0; j < kLanes; ++j)
                    tile[j] = j >= columns      ? zero()
                              : depth == kLanes ? load(src + lead[j])
                                                : load_masked(src + lead[j], mask);
                transpose(tile);
                float* out = p->out + (run->first + k) * kGemmColumns + first;
                for (int i = 0; i < depth; ++i, out += kGemmColumns) store(out, tile[i]);
            }
        }
    }
}

static void gemm_gather(const GemmGatherArgs* p) {
    if (p->transposed)
        gather_along_k(p);
    else
        gather_along_lanes(p);
}

static void conv_pack(const ConvPackArgs* p) {
    const vm live = first_lanes(p->rows);
    const int64_t tile_floats = p->kc * p->rows;
    for (int64_t k = 0; k < p->kc; ++k) {
        const float* w = p->w + k * p->stride;
        for (int64_t tap = p->begin; tap < p->end; tap += kLanes) {
            const int depth = p->end - tap < kLanes ? static_cast<int>(p->end - tap) : kLanes;
            const vm mask = first_lanes(depth);
            vf tile[kLanes];
            for (int r = 0; r < kLanes; ++r) tile[r] = r < p->rows ? load_masked(w + r * p->taps + tap, mask) : zero();
            transpose(tile);
            float* out = p->out + (tap - p->begin) * tile_floats + k * p->rows;
            for (int i = 0; i < depth; ++i, out += tile_floats) store_masked(out, live, tile[i]);
        }
    }
}
