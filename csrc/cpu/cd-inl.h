// The parameter update of contrastive divergence on a tile of weights: one pass over w and the velocity.
//   velocity = momentum * velocity + rate * (grad - decay * w);  w += velocity   (Hinton 2010, sections 8-10)
// Bound by the bandwidth of reading and writing w and velocity. Included inside an ISA namespace.

static void cd_apply(const CdApplyArgs* a) {
    const vf rate = set1(a->rate), momentum = set1(a->momentum), decay = set1(a->decay);
    const ptrdiff_t panel = static_cast<ptrdiff_t>(a->panel_rows) * kUnitBlock;
    const int n_units = static_cast<int>(a->n_units);
    vf poison = zero();
    for (int64_t r = 0; r < a->n_rows; ++r) {
        float* w = a->w + r * a->w_stride;
        float* velocity = a->velocity ? a->velocity + r * a->w_stride : nullptr;
        const float* dense = a->dense_grad ? a->dense_grad + r * a->w_stride : nullptr;
        const float* grad = a->grad + r * kUnitBlock;
        // A row's piece is short and the next is a row away: ask for it in time.
        if (r + 16 < a->n_rows)
            for (int u = 0; u < n_units + 16; u += 16) {
                const int at = u < n_units ? u : n_units - 1;
                prefetch_write(w + 16 * a->w_stride + at);
                if (velocity) prefetch_write(velocity + 16 * a->w_stride + at);
            }
        for (int u = 0; u < n_units; u += kLanes) {
            const vm live = first_lanes(n_units - u);
            const vf old = load_masked(w + u, live);
            vf g = load(grad + u / kUnitBlock * panel + u % kUnitBlock);
            if (dense) g = add(g, load_masked(dense + u, live));
            vf step = mul(rate, fnma(decay, old, g));
            if (velocity) {
                step = fma(momentum, load_masked(velocity + u, live), step);
                store_masked(velocity + u, live, step);
            }
            const vf updated = add(old, step);
            store_masked(w + u, live, updated);
            poison = mul_add(select(live, updated, zero()), zero(), poison);
        }
    }
    if (mask_bits(is_nan(poison))) *a->nonfinite = 1;
}
