// Layer normalisation (Ba, Kiros and Hinton 2016, eq. 3-4) of rows, forward and backward.
//   n = (x - mean) / sqrt(variance + epsilon), y = gain * n + shift, mean and (biased) variance over the row.
//   g = gain * dy, dx = (g - mean(g) - n * mean(g * n)) / sqrt(variance + epsilon), dgain = sum dy * n, dshift = sum dy.
// The variance is that of the differences from the mean, in a second pass over a row that is in L1: no cancellation.
// Bound by bandwidth beyond L2. Included inside an ISA namespace after lanes-inl.h.

static void layer_norm_rows(const LayerNormRowsArgs* p) {
    const int64_t n = p->n_cols;
    const float share = 1.0f / static_cast<float>(n);
    for (int64_t r = 0; r < p->n_rows; ++r) {
        const float* x = p->x + r * n;
        vf sum = zero();
        for (int64_t c = 0; c < n; c += kLanes) sum = add(sum, load_left(x + c, n - c));
        const float mean = lane_sum(sum) * share;
        const vf centre = set1(mean);
        sum = zero();
        for (int64_t c = 0; c < n; c += kLanes) {
            const vf d = select(lanes_left(n - c), sub(load_left(x + c, n - c), centre), zero());
            sum = mul_add(d, d, sum);
        }
        float lane[kLanes];
        store(lane, div(set1(1.0f), sqrt(set1(lane_sum(sum) * share + p->epsilon))));
        const vf inverse = set1(lane[0]);
        for (int64_t c = 0; c < n; c += kLanes) {
            const int64_t left = n - c;
            vf y = mul(sub(load_left(x + c, left), centre), inverse);
            if (p->gain) y = mul(y, load_left(p->gain + c, left));
            if (p->shift) y = add(y, load_left(p->shift + c, left));
            store_left(p->y + r * n + c, left, y);
        }
        if (p->mean) p->mean[r] = mean;
        if (p->inverse_std) p->inverse_std[r] = lane[0];
    }
}

static void layer_norm_backward_rows(const LayerNormBackwardRowsArgs* p) {
    const int64_t n = p->n_cols;
    const float share = 1.0f / static_cast<float>(n);
    for (int64_t c = 0; c < n; c += kLanes) {
        store_left(p->dgain + c, n - c, zero());
        store_left(p->dshift + c, n - c, zero());
    }
    for (int64_t r = 0; r < p->n_rows; ++r) {
        const float *x = p->x + r * n, *dy = p->dy + r * n;
        const vf centre = set1(p->mean[r]), inverse = set1(p->inverse_std[r]);
        vf g_sum = zero(), gn_sum = zero();
        for (int64_t c = 0; c < n; c += kLanes) {
            const int64_t left = n - c;
            const vf d = load_left(dy + c, left), normal = mul(sub(load_left(x + c, left), centre), inverse);
            const vf g = p->gain ? mul(d, load_left(p->gain + c, left)) : d;
            g_sum = add(g_sum, g);  // absent columns have g = 0
            gn_sum = mul_add(g, normal, gn_sum);
            store_left(p->dgain + c, left, mul_add(d, normal, load_left(p->dgain + c, left)));
            store_left(p->dshift + c, left, add(d, load_left(p->dshift + c, left)));
        }
        if (!p->dx) continue;
        const vf g_mean = set1(lane_sum(g_sum) * share), gn_mean = set1(lane_sum(gn_sum) * share);
        for (int64_t c = 0; c < n; c += kLanes) {
            const int64_t left = n - c;
            const vf d = load_left(dy + c, left), normal = mul(sub(load_left(x + c, left), centre), inverse);
            const vf g = p->gain ? mul(d, load_left(p->gain + c, left)) : d;
            store_left(p->dx + r * n + c, left, mul(inverse, sub(sub(g, g_mean), mul(normal, gn_mean))));
        }
    }
}
