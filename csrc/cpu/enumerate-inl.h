// Products over the summed-out units, for many states of the enumerated layer at once, in float64:
//
//   product[m, s] *= prod_i (1 + high[m, i] * low[i, s]),    exponent[m, s] takes what is over [1, 2)
//
// for 2 high states m times 64 low states s. exp(x_i) of a state is the product of a factor of its 6 low bits and a factor
// of the others, so no exponential is taken here. Lanes are low states; a load of `low` serves both high states. After each
// group of units, chosen so that no product can overflow, the exponents are taken off.
//
// Floor: one multiplication and one fused multiply-add for each state and unit, two vectors of 8 a cycle with AVX-512.
// Measured at 784 units: about half of it, because `low` (400 KB) comes from L2. Taking the units in blocks that stay in
// L1 while several pairs of high states pass would be the next step.
// Included inside an ISA namespace after its vocabulary.

constexpr int kStateVectors = kRegisters == 32 ? 8 : 4;  // of one high state, held in registers

static inline void take_exponents(double* product, int64_t* exponent) {
    uint64_t bits[2 * kLowStates];
    memcpy(bits, product, sizeof bits);
    for (int s = 0; s < 2 * kLowStates; ++s) {
        exponent[s] += static_cast<int64_t>(bits[s] >> 52) - 1023;  // products are at least 1: no sign, no subnormals
        bits[s] = (bits[s] & 0x000FFFFFFFFFFFFFull) | 0x3FF0000000000000ull;
    }
    memcpy(product, bits, sizeof bits);
}

static HC_INLINE void state_products(const EnumerateArgs* a, int64_t first, int64_t last, int column) {
    double* p0 = a->product + column;
    double* p1 = p0 + kLowStates;
    vd product0[kStateVectors], product1[kStateVectors];
#pragma GCC unroll 8
    for (int k = 0; k < kStateVectors; ++k) {
        product0[k] = load_d(p0 + k * kDoubles);
        product1[k] = load_d(p1 + k * kDoubles);
    }
    for (int64_t i = first; i < last; ++i) {
        const double* low = a->low + i * kLowStates + column;
        const vd high0 = set1_d(a->high[i]), high1 = set1_d(a->high[a->n_units + i]);
#pragma GCC unroll 8
        for (int k = 0; k < kStateVectors; ++k) {
            const vd l = load_d(low + k * kDoubles);
            product0[k] = mul_add_d(product0[k], mul_d(high0, l), product0[k]);
            product1[k] = mul_add_d(product1[k], mul_d(high1, l), product1[k]);
        }
    }
#pragma GCC unroll 8
    for (int k = 0; k < kStateVectors; ++k) {
        store_d(p0 + k * kDoubles, product0[k]);
        store_d(p1 + k * kDoubles, product1[k]);
    }
}

static void enumerate_states(const EnumerateArgs* a) {
    for (int64_t g = 0; g < a->n_groups; ++g) {
        for (int column = 0; column < kLowStates; column += kStateVectors * kDoubles)
            state_products(a, a->groups[g], a->groups[g + 1], column);
        take_exponents(a->product, a->exponent);
    }
}
