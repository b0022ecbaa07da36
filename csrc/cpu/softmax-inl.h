// Softmax of rows, fused with cross-entropy against labels or target distributions and its gradient.
//   p = softmax(x), loss = -sum_j t_j log p_j, y = scale * (p * sum_j t_j - t); without targets y = scale * p.
// The largest logit is taken off first, so nothing overflows, and the loss is log sum_j exp(x_j - m) + (m - x_label): no
// logarithm of a small probability. Per row three passes over data in L1: the maximum, the exponentials (stored in y) and
// their sum, the scaling. A row with a NaN has NaN for its loss and gradient; logits of -infinity have probability 0.
// Bound by exp: measured on one Zen 5 core with AVX-512, 100 x 1000 logits, 0.16 ns an element.
// Included inside an ISA namespace after math-inl.h and lanes-inl.h.

// A piece of a row of logits; what is absent is impossible.
static HC_INLINE vf logits_left(const float* x, int64_t left) {
    return left >= kLanes ? load(x) : select(lanes_left(left), load_left(x, left), set1(-__builtin_inff()));
}

// The largest of a row, or NaN when it holds one.
static inline float row_max(const float* x, int64_t n_cols) {
    vf largest = set1(-__builtin_inff());
    uint32_t nan = 0;
    for (int64_t c = 0; c < n_cols; c += kLanes) {
        const vf piece = logits_left(x + c, n_cols - c);
        largest = max(piece, largest);
        nan |= mask_bits(is_nan(piece));
    }
    return nan ? __builtin_nanf("") : lane_max(largest);
}

static inline void softmax_row(const SoftmaxRowsArgs* p, const float* x, const float* target, float* y, int64_t r) {
    const int64_t n = p->n_cols;
    const float top = row_max(x, n);
    const vf shift = set1(top);
    const float chosen = p->labels ? x[p->labels[r]] : 0.0f;  // before y, which may be x, is written
    vf sum = zero(), mass = zero(), distance = zero();
    for (int64_t c = 0; c < n; c += kLanes) {
        const vf below = sub(logits_left(x + c, n - c), shift);
        // exp_clamped never gives 0: what is absent or impossible is taken out here.
        const vf e = select(cmp_lt(set1(-87.0f), below), exp_clamped(below), zero());
        sum = add(sum, e);
        if (target) {
            const vf t = load_left(target + c, n - c);
            mass = add(mass, t);
            distance = sub(distance, select(cmp_eq(t, zero()), zero(), mul(t, below)));
        }
        if (y) store_left(y + c, n - c, e);
    }
    const float total = lane_sum(sum);
    float lane[kLanes];
    store(lane, log_any(set1(total)));
    const float target_mass = target ? lane_sum(mass) : 1.0f;
    if (p->loss) p->loss[r] = target ? target_mass * lane[0] + lane_sum(distance) : lane[0] + (top - chosen);
    if (!y) return;
    const vf factor = set1(p->scale * target_mass / total + (top - top)), scale = set1(p->scale);
    for (int64_t c = 0; c < n; c += kLanes) {
        vf e = mul(load_left(y + c, n - c), factor);
        if (target) e = fnma(scale, load_left(target + c, n - c), e);
        store_left(y + c, n - c, e);
    }
    if (p->labels) y[p->labels[r]] -= p->scale;
}

static void softmax_rows(const SoftmaxRowsArgs* p) {
    for (int64_t r = 0; r < p->n_rows; ++r)
        softmax_row(p, p->x + r * p->n_cols, p->targets ? p->targets + r * p->n_cols : nullptr,
                    p->y ? p->y + r * p->n_cols : nullptr, r);
}
