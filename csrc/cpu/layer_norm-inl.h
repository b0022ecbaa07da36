// Layer normalisation (Ba, Kiros and Hinton 2016, eq. 3-4) of rows, forward and backward.
//   n = (x - mean) / sqrt(variance + epsilon), y = gain * n + shift, mean and (biased) variance over the row.
//   g = gain * dy, dx = (g - mean(g) - n * mean(g * n)) / sqrt(variance + epsilon), dgain = sum dy * n, dshift = sum dy.
// The variance is that of the differences from the mean, in a second pass over a row that is in L1: no cancellation.
// Bound by bandwidth beyond L2. Included inside an ISA namespace after lanes-inl.h.

static inline vm columns_left(int64_t column, int64_t n_cols) {
    return first_lanes(n_cols - column < kLanes ? static_cast<int>(n_cols - column) : kLanes);
}

static void layer_norm_rows(const LayerNormRowsArgs* p) {
    const int64_t n = p->n_cols;
    const float share = 1.0f / static_cast<float>(n);
    for (int64_t r = 0; r < p->n_rows; ++r) {
        const float* x = p->x + r * n;
        vf sum = zero();
        for (int64_t c = 0; c < n; c += kLanes) sum = add(sum, load_masked(x + c, columns_left(c, n)));
        const float mean = lane_sum(sum) * share;
        const vf centre = set1(mean);
        sum = zero();
        for (int64_t c = 0; c < n; c += kLanes) {
            const vm live = columns_left(c, n);
            const vf d = select(live, sub(load_masked(x + c, live), centre), zero());
            sum = mul_add(d, d, sum);
        }
        float lane[kLanes];
        store(lane, div(set1(1.0f), sqrt(set1(lane_sum(sum) * share + p->epsilon))));
        const vf inverse = set1(lane[0]);
        for (int64_t c = 0; c < n; c += kLanes) {
            const vm live = columns_left(c, n);
            vf y = mul(sub(load_masked(x + c, live), centre), inverse);
            if (p->gain) y = mul(y, load_masked(p->gain + c, live));
            if (p->shift) y = add(y, load_masked(p->shift + c, live));
            store_masked(p->y + r * n + c, live, y);
        }
        if (p->mean) p->mean[r] = mean;
        if (p->inverse_std) p->inverse_std[r] = lane[0];
    }
}

static void layer_norm_backward_rows(const LayerNormBackwardRowsArgs* p) {
    const int64_t n = p->n_cols;
    const float share = 1.0f / static_cast<float>(n);
    for (int64_t c = 0; c < n; c += kLanes) {
        store_masked(p->dgain + c, columns_left(c, n), zero());
        store_masked(p->dshift + c, columns_left(c, n), zero());
    }
    for (int64_t r = 0; r < p->n_rows; ++r) {
        const float *x = p->x + r * n, *dy = p->dy + r * n;
        const vf centre = set1(p->mean[r]), inverse = set1(p->inverse_std[r]);
        vf g_sum = zero(), gn_sum = zero();
        for (int64_t c = 0; c < n; c += kLanes) {
            const vm live = columns_left(c, n);
            const vf d = load_masked(dy + c, live), normal = mul(sub(load_masked(x + c, live), centre), inverse);
            const vf g = p->gain ? mul(d, load_masked(p->gain + c, live)) : d;
            g_sum = add(g_sum, g);  // absent columns have g = 0
            gn_sum = mul_add(g, normal, gn_sum);
            store_masked(p->dgain + c, live, mul_add(d, normal, load_masked(p->dgain + c, live)));
            store_masked(p->dshift + c, live, add(d, load_masked(p->dshift + c, live)));
        }
        if (!p->dx) continue;
        const vf g_mean = set1(lane_sum(g_sum) * share), gn_mean = set1(lane_sum(gn_sum) * share);
        for (int64_t c = 0; c < n; c += kLanes) {
            const vm live = columns_left(c, n);
            const vf d = load_masked(dy + c, live), normal = mul(sub(load_masked(x + c, live), centre), inverse);
            const vf g = p->gain ? mul(d, load_masked(p->gain + c, live)) : d;
            store_masked(p->dx + r * n + c, live, mul(inverse, sub(sub(g, g_mean), mul(normal, gn_mean))));
        }
    }
}
