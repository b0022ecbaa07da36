// Functions applied element by element, and the activations of a dense layer with their derivatives.
// The maths is in math-inl.h. Included inside an ISA namespace after it.

static inline vf activate(int activation, vf x) {
    switch (activation) {
        case HC_ACTIVATION_RELU:
            return max(zero(), x);  // in this order NaN stays NaN
        case HC_ACTIVATION_SIGMOID:
            return sigmoid_any(x);
        case HC_ACTIVATION_TANH:
            return tanh_any(x);
        default:
            return x;
    }
}

template <vf (*kFunction)(vf)>
static void map_elements(const ElementwiseArgs* p) {
    int64_t i = 0;
    for (; i + kLanes <= p->n; i += kLanes) store(p->y + i, kFunction(load(p->x + i)));
    if (i < p->n) {
        const vm live = first_lanes(static_cast<int>(p->n - i));
        store_masked(p->y + i, live, kFunction(load_masked(p->x + i, live)));
    }
}

static void elementwise(const ElementwiseArgs* p) {
    switch (p->function) {
        case HC_FUNCTION_EXP:
            return map_elements<exp_any>(p);
        case HC_FUNCTION_LOG:
            return map_elements<log_any>(p);
        case HC_FUNCTION_SIGMOID:
            return map_elements<sigmoid_any>(p);
        case HC_FUNCTION_TANH:
            return map_elements<tanh_any>(p);
        case HC_FUNCTION_SOFTPLUS:
            return map_elements<softplus_any>(p);
    }
}

// The derivative at y = f(x), written in y, times dy.
template <int kActivation>
static inline vf backward(vf y, vf dy) {
    const vf one = set1(1.0f);
    if (kActivation == HC_ACTIVATION_RELU) return select(cmp_lt(zero(), y), dy, zero());
    if (kActivation == HC_ACTIVATION_SIGMOID) return mul(dy, mul(y, sub(one, y)));
    if (kActivation == HC_ACTIVATION_TANH) return mul(dy, fnma(y, y, one));
    return dy;
}

// g = f'(y) dy and the column sums of g, over one strip of rows, one pass. Rows are added 64 to a chain, the chains in
// order: the sums depend on the strip alone.
template <int kActivation>
static void backward_columns(const ActivationBackwardArgs* p) {
    constexpr int kRowsPerChain = 64;
    for (int64_t c = 0; c < p->n_cols; c += kLanes) {
        const vm live = first_lanes(p->n_cols - c < kLanes ? static_cast<int>(p->n_cols - c) : kLanes);
        vf total = zero();
        for (int64_t first = 0; first < p->n_rows; first += kRowsPerChain) {
            const int64_t end = first + kRowsPerChain < p->n_rows ? first + kRowsPerChain : p->n_rows;
            vf sum = zero();
            for (int64_t r = first; r < end; ++r) {
                vf g = load_masked(p->dy + r * p->stride + c, live);
                if (kActivation != HC_ACTIVATION_NONE) {
                    g = backward<kActivation>(load_masked(p->y + r * p->stride + c, live), g);
                    store_masked(p->g + r * p->stride + c, live, g);
                }
                sum = add(sum, g);
            }
            total = add(total, sum);
        }
        store_masked(p->column_sums + c, live, total);
    }
}

static void activation_backward(const ActivationBackwardArgs* p) {
    switch (p->activation) {
        case HC_ACTIVATION_RELU:
            return backward_columns<HC_ACTIVATION_RELU>(p);
        case HC_ACTIVATION_SIGMOID:
            return backward_columns<HC_ACTIVATION_SIGMOID>(p);
        case HC_ACTIVATION_TANH:
            return backward_columns<HC_ACTIVATION_TANH>(p);
        default:
            return backward_columns<HC_ACTIVATION_NONE>(p);
    }
}
