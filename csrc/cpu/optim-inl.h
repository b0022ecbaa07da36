// Optimiser updates, one pass over parameters, gradient and state. With g = grad_scale * grad + decay * w:
//   plain     w -= rate g
//   momentum  velocity = momentum velocity - rate g;  w += velocity                       (Polyak 1964)
//   Nesterov  velocity = momentum velocity - rate g;  w += momentum velocity - rate g     (Sutskever et al. 2013; w is held
//             at the point that looks ahead, as in Bengio, Boulanger-Lewandowski and Pascanu 2013, eq. 7)
//   RMSprop   square = a square + (1 - a) g^2;  step = rate g / (sqrt(square) + epsilon)   (Tieleman and Hinton 2012, 6e),
//             then as plain, or as momentum where there is a velocity
//   Adam      velocity = m velocity + (1 - m) g, square likewise with g^2;
//             w -= rate velocity / (sqrt(square_scale square) + epsilon)                   (Kingma and Ba 2015, algorithm 1;
//             the caller puts the bias corrections into rate and square_scale)
// and w is multiplied by `shrink` first, the decoupled decay of AdamW (Loshchilov and Hutter 2019). The squares are those of
// the whole gradient, decay included. Bound by bandwidth: 3 to 7 floats moved for each parameter.
// Also sums of squares, and the constraint on the norm of columns. Included inside an ISA namespace after lanes-inl.h.

template <int kRule>
static HC_INLINE vf optimiser_piece(const OptimiserArgs* p, int64_t i, int64_t left) {
    const vf rate = set1(p->rate), momentum = set1(p->momentum), a = set1(p->square_decay);
    vf w = load_left(p->w + i, left);
    vf g = mul(load_left(p->grad + i, left), set1(p->grad_scale));
    if (p->decay != 0.0f) g = mul_add(set1(p->decay), w, g);
    if (p->shrink != 1.0f) w = mul(w, set1(p->shrink));
    if (kRule == HC_OPTIMISER_SGD) {
        w = fnma(rate, g, w);
    } else if (kRule == HC_OPTIMISER_MOMENTUM || kRule == HC_OPTIMISER_NESTEROV) {
        const vf step = mul(rate, g), velocity = sub(mul(momentum, load_left(p->velocity + i, left)), step);
        store_left(p->velocity + i, left, velocity);
        w = add(w, kRule == HC_OPTIMISER_MOMENTUM ? velocity : sub(mul(momentum, velocity), step));
    } else {
        const vf share = set1(p->square_share);
        const vf square = mul_add(a, load_left(p->square + i, left), mul(share, mul(g, g)));
        store_left(p->square + i, left, square);
        if (kRule == HC_OPTIMISER_RMSPROP) {
            vf step = div(mul(rate, g), add(sqrt(square), set1(p->epsilon)));
            if (p->velocity) {
                const vf velocity = sub(mul(momentum, load_left(p->velocity + i, left)), step);
                store_left(p->velocity + i, left, velocity);
                step = sub(zero(), velocity);
            }
            w = sub(w, step);
        } else {
            const vf mean = mul_add(momentum, load_left(p->velocity + i, left), mul(set1(p->velocity_share), g));
            store_left(p->velocity + i, left, mean);
            w = sub(w, div(mul(rate, mean), add(sqrt(mul(square, set1(p->square_scale))), set1(p->epsilon))));
        }
    }
    store_left(p->w + i, left, w);
    return left >= kLanes ? w : select(lanes_left(left), w, zero());
}

template <int kRule>
static void optimise(const OptimiserArgs* p) {
    vf poison = zero();
    int64_t i = 0;
    for (; i + kLanes <= p->n; i += kLanes) poison = mul_add(optimiser_piece<kRule>(p, i, kLanes), zero(), poison);
    if (i < p->n) poison = mul_add(optimiser_piece<kRule>(p, i, p->n - i), zero(), poison);
    if (mask_bits(is_nan(poison))) *p->nonfinite = 1;
}

static void optimiser(const OptimiserArgs* p) {
    switch (p->rule) {
        case HC_OPTIMISER_SGD:
            return optimise<HC_OPTIMISER_SGD>(p);
        case HC_OPTIMISER_MOMENTUM:
            return optimise<HC_OPTIMISER_MOMENTUM>(p);
        case HC_OPTIMISER_NESTEROV:
            return optimise<HC_OPTIMISER_NESTEROV>(p);
        case HC_OPTIMISER_RMSPROP:
            return optimise<HC_OPTIMISER_RMSPROP>(p);
        default:
            return optimise<HC_OPTIMISER_ADAM>(p);
    }
}

// Four chains, folded in order.
static void sum_of_squares(const SumOfSquaresArgs* p) {
    vf sum[4] = {zero(), zero(), zero(), zero()};
    for (int64_t i = 0, chain = 0; i < p->n; i += kLanes, chain = (chain + 1) % 4) {
        const vf x = load_left(p->x + i, p->n - i);
        sum[chain] = mul_add(x, x, sum[chain]);
    }
    *p->sum = lane_sum(add(add(sum[0], sum[1]), add(sum[2], sum[3])));
}

// Columns of w longer than the limit are scaled back to it (Srivastava et al. 2014, section 5.1).
static void max_norm_columns(const MaxNormColumnsArgs* p) {
    constexpr int kStrip = kMaxNormColumns / kLanes;
    vf sum[kStrip];
    for (int s = 0; s < kStrip; ++s) sum[s] = zero();
    for (int64_t r = 0; r < p->n_rows; ++r)
        for (int s = 0; s < kStrip; ++s) {
            const int64_t left = p->n_cols - s * kLanes;
            if (left <= 0) break;
            const vf x = load_left(p->w + r * p->stride + s * kLanes, left);
            sum[s] = mul_add(x, x, sum[s]);
        }
    const vf limit = set1(p->limit);
    uint32_t any = 0;
    for (int s = 0; s < kStrip; ++s) {
        const vf norm = sqrt(sum[s]);
        const vm beyond = cmp_lt(limit, norm);
        any |= mask_bits(beyond);
        sum[s] = select(beyond, div(limit, norm), set1(1.0f));
    }
    if (!any) return;
    for (int64_t r = 0; r < p->n_rows; ++r)
        for (int s = 0; s < kStrip; ++s) {
            const int64_t left = p->n_cols - s * kLanes;
            if (left <= 0) break;
            float* w = p->w + r * p->stride + s * kLanes;
            store_left(w, left, mul(load_left(w, left), sum[s]));
        }
}
