// Gibbs sampling of the sites of a graph, 64 chains at a time: SIMD lanes are chains, a word of bits is a site.
//
//   x_i = bias_i + sum_j w_ij s_j,   s_i = [u (1 + exp(-x_i / T)) < 1]
//
// The sites of one call are of one colour, so that each is a function of the others' states only. A site with few
// neighbours has few values of x: with at most 4 (6) of them, 16 (64) entries. Since u takes 2^23 values and the comparison is
// monotone in u, the table holds, for each state of the neighbours, how many of them pass; a site is then one word of bits
// per neighbour, spread into codes for all 64 chains at once, four permutes and four integer compares. The bits are those
// of the sum and the exponential, which the other sites take. Two sites go together, for their Philox rounds are chains of
// latencies. Those rounds (unit_draws-inl.h) are then most of the instructions, and the bound. Measured on one core at
// AVX-512, a 64x64 lattice and 64 chains: 4.3 to 4.9 updates of a site a nanosecond, with 6 neighbours 3.3, with 8 (the sum)
// 2.1; at AVX2 1.6. Included inside an ISA namespace after sample-inl.h and unit_draws-inl.h.

// The number of draws m in 0 .. 2^23 - 1 with uniform(m) * e < 1, for e >= 1. 2^23 / e is within 2 of it; which of the
// nearby values pass is asked of the comparison itself.
static HC_INLINE vf draw_threshold(vf e) {
    const vf lowest = sub(round_nearest(div(set1(0x1p23f), e)), set1(3.0f));
    vf threshold = lowest;
#pragma GCC unroll 5
    for (int i = 0; i < 5; ++i) {
        const vf u = fma(add(lowest, set1(static_cast<float>(i))), set1(0x1p-23f), set1(0x1p-24f));
        threshold = add_masked(threshold, cmp_lt(mul(u, e), set1(1.0f)), set1(1.0f));
    }
    return threshold;
}

static void graph_tables(const GraphTablesArgs* a) {
    const vf scale = logistic_scale(a->inv_temperature);
    const int entries = 1 << a->planes;
    uint32_t bit[6][64 / kLanes];  // lanes of vector v whose entry has bit j set
    for (int j = 0; j < a->planes; ++j)
        for (int v = 0; v < entries / kLanes; ++v) {
            bit[j][v] = 0;
            for (int l = 0; l < kLanes; ++l) bit[j][v] |= static_cast<uint32_t>((v * kLanes + l) >> j & 1) << l;
        }
    for (int64_t i = 0; i < a->n; ++i)
        for (int v = 0; v < entries / kLanes; ++v) {
            vf x = set1(a->bias[i]);
            for (int j = 0; j < a->planes; ++j)
                x = add_masked(x, mask_from_bits(bit[j][v]), set1(a->weights[i * a->planes + j]));
            istore(a->tables + i * entries + v * kLanes, to_int(draw_threshold(one_plus_exp(x, scale))));
        }
}

static HC_INLINE uint64_t graph_merge(const GraphSweepArgs* a, int32_t site, uint64_t sample) {
    sample &= a->live;
    if (!a->clamp) return sample;
    return (sample & ~a->clamp[site]) | (a->state[site] & a->clamp[site]);
}

template <int kPlanes>
static HC_INLINE uint64_t graph_site_by_table(const GraphSweepArgs* a, int64_t i, const Philox4* draws) {
    uint64_t plane[kPlanes];
#pragma GCC unroll 8
    for (int j = 0; j < kPlanes; ++j) plane[j] = a->state[a->neighbours[i * kPlanes + j]];
    vi code[kChainVectors];
    gather_codes<kPlanes>(plane, code);
    uint64_t bits = 0;
#pragma GCC unroll 16
    for (int v = 0; v < kChainVectors; ++v) {
        const vi threshold = lookup<1 << kPlanes>(a->tables + (i << kPlanes), code[v]);
        const vm on = cmp_lt_int(shr<9>(chain_word(draws, v)), threshold);
        bits |= static_cast<uint64_t>(mask_bits(on)) << (v * kLanes);
    }
    return bits;
}

static HC_INLINE uint64_t graph_site_by_sum(const GraphSweepArgs* a, int64_t i, vf scale, const Philox4* draws) {
    vf x[kChainVectors];
#pragma GCC unroll 16
    for (int v = 0; v < kChainVectors; ++v) x[v] = set1(a->bias[i]);
    for (int64_t j = a->starts[i]; j < a->starts[i + 1]; ++j) {
        const uint64_t on = a->state[a->neighbours[j]];
        const vf w = set1(a->weights[j]);
#pragma GCC unroll 16
        for (int v = 0; v < kChainVectors; ++v)
            x[v] =
                add_masked(x[v], mask_from_bits(static_cast<uint32_t>(on >> (v * kLanes)) & ((1u << kLanes) - 1)), w);
    }
    uint64_t bits = 0;
#pragma GCC unroll 16
    for (int v = 0; v < kChainVectors; ++v) {
        const vm on = cmp_lt(mul(uniform(chain_word(draws, v)), one_plus_exp(x[v], scale)), set1(1.0f));
        bits |= static_cast<uint64_t>(mask_bits(on)) << (v * kLanes);
    }
    return bits;
}

template <int kPlanes, int kSites>
static HC_INLINE void graph_sites(const GraphSweepArgs* a, int64_t i, const UnitDraws& source, vf scale) {
    uint32_t unit[kSites];
    Philox4 draws[kSites * kDrawVectors];
#pragma GCC unroll 2
    for (int s = 0; s < kSites; ++s) unit[s] = static_cast<uint32_t>(a->sites[i + s]);
    draw_units<kSites>(source, unit, draws);
#pragma GCC unroll 2
    for (int s = 0; s < kSites; ++s) {
        const Philox4* mine = draws + s * kDrawVectors;
        const uint64_t bits = kPlanes ? graph_site_by_table<kPlanes ? kPlanes : 4>(a, i + s, mine)
                                      : graph_site_by_sum(a, i + s, scale, mine);
        a->state[unit[s]] = graph_merge(a, a->sites[i + s], bits);
    }
}

template <int kPlanes>
static void graph_sweep_by(const GraphSweepArgs* a) {
    constexpr int kTogether = kDrawVectors >= 2 ? 1 : 2;
    const UnitDraws source = unit_draws(a->seed, a->offset, a->block);
    const vf scale = logistic_scale(a->inv_temperature);
    int64_t i = 0;
    for (; i + kTogether <= a->n; i += kTogether) graph_sites<kPlanes, kTogether>(a, i, source, scale);
    for (; i < a->n; ++i) graph_sites<kPlanes, 1>(a, i, source, scale);
}

static void graph_sweep(const GraphSweepArgs* a) {
    if (a->planes == 4)
        graph_sweep_by<4>(a);
    else if (a->planes == 6)
        graph_sweep_by<6>(a);
    else
        graph_sweep_by<0>(a);
}
