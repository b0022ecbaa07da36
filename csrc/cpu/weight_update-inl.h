// An update of weights from a gradient, in one pass over gradient, velocity and weights. For row i and column j
//   velocity = momentum * velocity + rate * (grad - sum over t of left_t[i] right_t[j] - l2 * w - l1 * sign(w))
//   w += velocity
// The products of outer factors are what centring and sparsity targets add to a gradient of rank min(V, H); made here,
// they cost arithmetic that the memory-bound pass has to spare. With offsets mu [rows] and lambda [columns] it also sums
// velocity . lambda for each row and mu . velocity for each column, by which the biases of a centred machine follow its
// weights (Melchior, Fischer and Wiskott 2016, eq. 9-10). Bound by the bandwidth of two arrays read and written and one
// read: at 784 x 500 with momentum 68-98 GB/s where a copy of that size moves 70-78, with two outer products and both sums
// 50 GB/s (Zen 5, AVX-512, one core). Included inside an ISA namespace.

static void weight_update(const WeightUpdateArgs* a) {
    const vf rate = set1(a->rate), momentum = set1(a->momentum), l2 = set1(a->l2);
    const vf l1 = set1(a->l1), minus_l1 = set1(-a->l1);
    const int64_t n = a->n_columns;
    vf poison = zero();
    if (a->column_sums)
        for (int64_t j = 0; j < n; ++j) a->column_sums[j] = 0.0f;
    for (int64_t i = 0; i < a->n_rows; ++i) {
        const float* grad = a->grad + i * n;
        float* w = a->w + i * n;
        float* velocity = a->velocity ? a->velocity + i * n : nullptr;
        vf row_sum = zero();
        for (int64_t j = 0; j < n; j += kLanes) {
            const vm live = first_lanes(static_cast<int>(n - j < kLanes ? n - j : kLanes));
            const vf old = load_masked(w + j, live);
            vf g = load_masked(grad + j, live);
            for (int t = 0; t < a->n_terms; ++t)
                g = fnma(set1(a->left[t * a->left_stride + i]), load_masked(a->right + t * n + j, live), g);
            g = fnma(l2, old, g);
            if (a->l1 != 0.0f)
                g = sub(g, select(cmp_lt(zero(), old), l1, select(cmp_lt(old, zero()), minus_l1, zero())));
            vf step = mul(rate, g);
            if (velocity) {
                step = fma(momentum, load_masked(velocity + j, live), step);
                store_masked(velocity + j, live, step);
            }
            const vf updated = add(old, step);
            store_masked(w + j, live, updated);
            poison = mul_add(updated, zero(), poison);
            if (a->column_sums) {
                row_sum = fma(step, load_masked(a->lambda + j, live), row_sum);
                store_masked(a->column_sums + j, live,
                             fma(set1(a->mu[i]), step, load_masked(a->column_sums + j, live)));
            }
        }
        if (a->column_sums) {
            float lanes[kLanes];
            store(lanes, row_sum);
            float sum = 0.0f;
            for (int lane = 0; lane < kLanes; ++lane) sum += lanes[lane];
            a->row_sums[i] = sum;
        }
    }
    if (mask_bits(is_nan(poison))) *a->nonfinite = 1;
}
