// The hidden units' part of an annealed importance weight (Salakhutdinov and Murray 2008, eq. 11 and 16): for each row
//
//   change[r] = sum_u softplus(to * x[r, u]) - softplus(from * x[r, u])
//
// With softplus(y) = max(y, 0) + log(1 + exp(-|y|)) and inverse temperatures >= 0 this is
//
//   (to - from) sum_u max(x_u, 0) + log(prod_u (1 + exp(-to |x_u|)) / prod_u (1 + exp(-from |x_u|))),
//
// whose factors lie in (1, 2]: the product over a block of 16 units cannot overflow, and one division and one logarithm
// serve the block. Lanes are rows (a tile is transposed in registers), so that no sum runs across lanes; the order of
// every sum and product is unit by unit at every level, and the levels agree to the last bit. The error of a block is some
// 1e-6, of either sign; where the factors' polynomial errs, it errs alike at `to` and at the next step's `from`.
//
// Floor: 22 operations an element, two exponentials among them, on a tile that bit_product has left in cache: 4 to 5%
// of an annealing step at 784-500. Included inside an ISA namespace after sample-inl.h.

// The change of kLanes rows from r on, of which `rows` exist.
template <bool kAll>
static HC_INLINE vf softplus_change_of(const SoftplusChangeArgs* a, int64_t r, int rows, vf to, vf from) {
    constexpr int kAtOnce = 2;
    vf sum = zero(), to_product = set1(1.0f), from_product = set1(1.0f);
    for (int column = 0; column < a->n_units; column += kLanes) {
        const float* x = a->x + r * a->x_stride + column;
        const vm live = first_lanes(a->n_units - column);  // an absent unit has x = 0 and changes nothing
        vf tile[kLanes];
#pragma GCC unroll 16
        for (int k = 0; k < kLanes; ++k) tile[k] = kAll || k < rows ? load_masked(x + k * a->x_stride, live) : zero();
        transpose(tile);
        alignas(64) float units[kLanes * kLanes];  // registers would not hold them beside the constants
#pragma GCC unroll 16
        for (int k = 0; k < kLanes; ++k) store(units + k * kLanes, tile[k]);
        for (int k = 0; k < kLanes; k += kAtOnce) {
            vf factor[2 * kAtOnce];
#pragma GCC unroll 2
            for (int i = 0; i < kAtOnce; ++i) {
                const vf unit = load(units + (k + i) * kLanes), magnitude = abs(unit);
                sum = add(sum, max(unit, zero()));
                factor[2 * i] = mul(magnitude, to);
                factor[2 * i + 1] = mul(magnitude, from);
            }
            one_plus_power<2 * kAtOnce>(factor);
#pragma GCC unroll 2
            for (int i = 0; i < kAtOnce; ++i) {
                to_product = mul(to_product, factor[2 * i]);
                from_product = mul(from_product, factor[2 * i + 1]);
            }
        }
    }
    return fma(set1(a->to - a->from), sum, log_any(div(to_product, from_product)));
}

static void softplus_change(const SoftplusChangeArgs* a) {
    const vf to = logistic_scale(a->to), from = logistic_scale(a->from);
    int64_t r = 0;
    for (; r + kLanes <= a->n_rows; r += kLanes) store(a->change + r, softplus_change_of<true>(a, r, kLanes, to, from));
    const int left = static_cast<int>(a->n_rows - r);
    if (left) store_masked(a->change + r, first_lanes(left), softplus_change_of<false>(a, r, left, to, from));
}
