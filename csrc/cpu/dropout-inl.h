// Dropout (Hinton et al. 2012; Srivastava et al. 2014): y = x / keep where uniform(unit, sample) < keep, else 0. The mask
// is a function of (seed, offset, unit, sample), so the backward pass is the same call on the gradient: nothing is stored.
//
// Lanes are units (columns). One Philox call gives a unit the draws of samples r, r + 16, r + 32 and r + 48, so 64 rows are
// done at a time, two vectors of columns each, and no word is wasted on full blocks. Bound by Philox (0.35 ns a draw with
// AVX-512). Included inside an ISA namespace after philox-inl.h.

static void dropout_rows(const DropoutRowsArgs* p) {
    const uint32_t key0 = static_cast<uint32_t>(p->seed), key1 = static_cast<uint32_t>(p->seed >> 32);
    const vi c2 = iset1(static_cast<uint32_t>(p->offset)), c3 = iset1(static_cast<uint32_t>(p->offset >> 32));
    const vf keep = set1(p->keep), scale = set1(1.0f / p->keep);
    const int rows = static_cast<int>(p->n_rows);
    for (int r = 0; r < 16 && r < rows; ++r) {
        const vi counter = iset1(static_cast<uint32_t>(p->first_sample / 64 * 16) + static_cast<uint32_t>(r));
        for (int64_t c = 0; c < p->n_cols; c += 2 * kLanes) {
            const vi unit = iadd(iset1(p->first_unit + static_cast<uint32_t>(c)), iota());
            const vi counters[2] = {counter, counter}, units[2] = {unit, iadd(unit, iset1(kLanes))};
            Philox4 draws[2];
            philox_blocks_of<2>(counters, units, c2, c3, key0, key1, draws);
            for (int w = 0; w < 4 && 16 * w + r < rows; ++w) {
                const ptrdiff_t at = (16 * w + r) * p->stride + c;
                for (int b = 0; b < 2 && c + b * kLanes < p->n_cols; ++b) {
                    const int64_t left = p->n_cols - c - b * kLanes;
                    const vf x = mul(load_left(p->x + at + b * kLanes, left), scale);
                    const vm kept = cmp_lt(uniform(draws[b].word[w]), keep);
                    store_left(p->y + at + b * kLanes, left, select(kept, x, zero()));
                }
            }
        }
    }
}
