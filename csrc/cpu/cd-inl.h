// The parameter update of contrastive divergence on a tile of weights: one pass over w and the velocity.
//   velocity = momentum * velocity + rate * (grad - decay * w);  w += velocity   (Hinton 2010, sections 8-10)
// Bound by the bandwidth of reading and writing w and velocity. Included inside an ISA namespace.

static void cd_apply(const CdApplyArgs* a) {
    const vf rate = set1(a->rate), momentum = set1(a->momentum), decay = set1(a->decay);
    vf poison = zero();
    for (int64_t r = 0; r < a->n_rows; ++r) {
        float* w = a->w + r * a->w_stride;
        float* velocity = a->velocity ? a->velocity + r * a->w_stride : nullptr;
        if (r + 8 < a->n_rows) {
            __builtin_prefetch(w + 8 * a->w_stride, 1);
            if (velocity) __builtin_prefetch(velocity + 8 * a->w_stride, 1);
        }
        for (int u = 0; u < a->n_units; u += kLanes) {
            const vm live = first_lanes(a->n_units - u);
            const vf old = load_masked(w + u, live);
            vf grad = load_masked(a->grad + r * a->grad_stride + u, live);
            if (a->dense_grad) grad = add(grad, load_masked(a->dense_grad + r * a->w_stride + u, live));
            vf step = mul(rate, fnma(decay, old, grad));
            if (velocity) {
                step = fma(momentum, load_masked(velocity + u, live), step);
                store_masked(velocity + u, live, step);
            }
            const vf updated = add(old, step);
            store_masked(w + u, live, updated);
            poison = mul_add(updated, zero(), poison);
        }
    }
    if (mask_bits(is_nan(poison))) *a->nonfinite = 1;
}
