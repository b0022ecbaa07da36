// Single-site Gibbs sampling within a block of 16 units of a fully connected machine, 64 chains at a time: SIMD lanes are
// chains. The pre-activations of the block come in from the states before it; inside it each unit is sampled in turn, and
// where it flipped, the pre-activations of the units still to come move by plus or minus one weight:
//
//   s_k' = [u (1 + exp(-x_k / T)) < 1],   x_m += w_km (s_k' - s_k)  for m > k
//
// which is sequential sampling, unit by unit. N units cost N/16 lookup products (bit_product-inl.h), which are nearly all of
// the work, and N * 15/2 masked multiply-adds here. Measured on one core at AVX-512 with N = 1000: 0.12 to 0.15 updates of a
// unit a nanosecond with 64 chains (230 to 300 GFLOP/s effective; making tables takes as long as looking up), 0.18 with 256.
// A unit that occurs twice in a block meets no coupling to itself, so its second sample has the right field.
// Included inside an ISA namespace after graph-inl.h.

static HC_INLINE void dense_unit(const DenseBlockArgs* a, int k, vf scale, const Philox4* draws, float (*x)[64]) {
    uint64_t bits = 0;
#pragma GCC unroll 16
    for (int v = 0; v < kChainVectors; ++v) {
        const vf e = one_plus_exp(load(x[k] + v * kLanes), scale);
        bits |= static_cast<uint64_t>(mask_bits(cmp_lt(mul(uniform(chain_word(draws, v)), e), set1(1.0f))))
                << (v * kLanes);
    }
    const int32_t unit = a->units[k];
    const uint64_t old = a->state[unit], keep = a->clamp ? a->clamp[unit] : 0;
    bits = ((bits & ~keep) | (old & keep)) & a->live;
    a->state[unit] = bits;
    a->flips[k] = bits ^ old;
    if (bits == old) return;
    const uint64_t up = bits & ~old, down = old & ~bits;
    vf step[kChainVectors];
#pragma GCC unroll 16
    for (int v = 0; v < kChainVectors; ++v) {
        const uint32_t lanes = (1u << kLanes) - 1;
        const vm on = mask_from_bits(static_cast<uint32_t>(up >> (v * kLanes)) & lanes);
        const vm off = mask_from_bits(static_cast<uint32_t>(down >> (v * kLanes)) & lanes);
        step[v] = select(on, set1(1.0f), select(off, set1(-1.0f), zero()));
    }
    for (int m = k + 1; m < a->n_units; ++m) {
        const vf w = set1(a->w[k * kUnitBlock + m]);
#pragma GCC unroll 16
        for (int v = 0; v < kChainVectors; ++v) store(x[m] + v * kLanes, fma(step[v], w, load(x[m] + v * kLanes)));
    }
}

static void dense_block(const DenseBlockArgs* a) {
    alignas(64) float x[kUnitBlock][64];
    for (int row = 0; row < 64; row += kLanes)
        for (int column = 0; column < kUnitBlock; column += kLanes) {
            vf tile[kLanes];
#pragma GCC unroll 16
            for (int i = 0; i < kLanes; ++i) tile[i] = load(a->x + (row + i) * kUnitBlock + column);
            transpose(tile);
#pragma GCC unroll 16
            for (int i = 0; i < kLanes; ++i) store(x[column + i] + row, tile[i]);
        }
    constexpr int kTogether = kDrawVectors >= 2 ? 1 : 2;  // as in graph_sweep
    const UnitDraws source = unit_draws(a->seed, a->offset, a->block);
    const vf scale = logistic_scale(a->inv_temperature);
    for (int k = 0; k < a->n_units; k += kTogether) {
        uint32_t unit[kTogether];
        Philox4 draws[kTogether * kDrawVectors];
        for (int i = 0; i < kTogether; ++i)
            unit[i] = static_cast<uint32_t>(a->draws[k + i < a->n_units ? k + i : a->n_units - 1]);
        draw_units<kTogether>(source, unit, draws);
        for (int i = 0; i < kTogether && k + i < a->n_units; ++i)
            dense_unit(a, k + i, scale, draws + i * kDrawVectors, x);
    }
}
