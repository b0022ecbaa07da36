// States of spin, softmax, Gaussian, rectified linear and stepped sigmoid units from their total inputs, as floats
// (Bernoulli units too: sample-inl.h packs them into bits). The draw of a unit and sample is common/philox.h's, whatever
// the tile; every operation is correctly rounded or made of such, so that levels agree to the last bit.
//
// One uniform a unit, lanes are units, a Philox block serves rows i, i + 16, i + 32 and i + 48:
//   Bernoulli, spin     u (1 + exp(-x)) < 1, as sample-inl.h; spin with 2 x
//   stepped sigmoid     the sum of Bernoulli units with inputs x - 1/2, x - 3/2, ... (Nair and Hinton 2010, section 2) has
//                       P(h + 1) / P(h) = exp(x - h - 1/2) / (1 - exp(-h - 1)), by the q-binomial theorem. All but 2^-24 of
//                       it lies on 13 values about x: their inverse cumulative distribution.
//   Gaussian, NReLU     Box and Muller (1958) on the uniforms of units u and u + 16 of a block of 32
// Softmax: one uniform a group and inverse cumulative distribution; lanes are rows, tiles are transposed in registers.
//
// Floor: Philox (0.3 ns a draw) and the functions of math-inl.h. Measured on a Zen 5 core, ns a unit, AVX-512 (AVX2):
// Bernoulli and spin 0.9 (1.4), softmax of 5 1.2 (1.4), Gaussian 1.0 (1.7), NReLU 1.3 (2.2), stepped sigmoid 5 (9), of
// which 12 divisions. Included inside an ISA namespace after sample-inl.h.

// cos and sin of 2 pi u for u in [0, 1]: a quarter turn is taken off exactly, Taylor's polynomials are good to 2^-27 on
// what is left, an eighth of a turn either way.
static inline void cos_sin_turns(vf u, vf* cos_out, vf* sin_out) {
    const vf quarters = round_nearest(mul(u, set1(4.0f)));
    const vf f = fma(quarters, set1(-0.25f), u), z = mul(f, f);
    vf s = set1(42.058694f);
    s = fma(s, z, set1(-76.705860f));
    s = fma(s, z, set1(81.605249f));
    s = fma(s, z, set1(-41.341702f));
    s = mul(fma(s, z, set1(6.2831853f)), f);
    vf c = set1(-26.426257f);
    c = fma(c, z, set1(60.244641f));
    c = fma(c, z, set1(-85.456817f));
    c = fma(c, z, set1(64.939394f));
    c = fma(c, z, set1(-19.739209f));
    c = fma(c, z, set1(1.0f));
    const vi q = to_int(quarters);
    const vm swap = cmp_lt_int(iset1(0), iand(q, iset1(1)));
    const vi cos_sign = shl<30>(iand(iadd(q, iset1(1)), iset1(2))), sin_sign = shl<30>(iand(q, iset1(2)));
    *cos_out = cast_f(ixor(cast_i(select(swap, s, c)), cos_sign));
    *sin_out = cast_f(ixor(cast_i(select(swap, c, s)), sin_sign));
}

// Two independent standard normals from two uniforms.
static inline void box_muller(vf u, vf v, vf* first, vf* second) {
    const vf radius = sqrt(mul(set1(-2.0f), log_any(u)));
    cos_sin_turns(v, first, second);
    *first = mul(radius, *first);
    *second = mul(radius, *second);
}

// Sixteen-apart pairs of vectors of units: inputs, draws, states, means.
struct UnitPair {
    vf x[2], u[2], state[2], mean[2];
};

template <int kType>
static HC_INLINE void sample_pair(UnitPair* p, const vf* std, bool means);

template <>
HC_INLINE void sample_pair<HC_UNIT_BERNOULLI>(UnitPair* p, const vf*, bool means) {
    for (int i = 0; i < 2; ++i) {
        const vf one = set1(1.0f), e = one_plus_exp(p->x[i], logistic_scale(1.0f));
        p->state[i] = select(cmp_lt(mul(p->u[i], e), one), one, zero());
        if (means) p->mean[i] = div(one, e);
    }
}

template <>
HC_INLINE void sample_pair<HC_UNIT_SPIN>(UnitPair* p, const vf*, bool means) {
    for (int i = 0; i < 2; ++i) {
        const vf one = set1(1.0f), e = one_plus_exp(p->x[i], logistic_scale(2.0f));
        p->state[i] = select(cmp_lt(mul(p->u[i], e), one), one, set1(-1.0f));
        if (means) p->mean[i] = tanh_any(p->x[i]);
    }
}

template <>
HC_INLINE void sample_pair<HC_UNIT_GAUSSIAN>(UnitPair* p, const vf* std, bool means) {
    vf z[2];
    box_muller(p->u[0], p->u[1], &z[0], &z[1]);
    for (int i = 0; i < 2; ++i) {
        p->state[i] = fma(std[i], z[i], p->x[i]);
        if (means) p->mean[i] = p->x[i];
    }
}

template <>
HC_INLINE void sample_pair<HC_UNIT_NRELU>(UnitPair* p, const vf*, bool means) {
    vf z[2];
    box_muller(p->u[0], p->u[1], &z[0], &z[1]);
    for (int i = 0; i < 2; ++i) {
        p->state[i] = max(fma(sqrt(sigmoid_any(p->x[i])), z[i], p->x[i]), zero());
        if (means) p->mean[i] = softplus_any(p->x[i]);
    }
}

template <>
HC_INLINE void sample_pair<HC_UNIT_STEPPED_SIGMOID>(UnitPair* p, const vf*, bool means) {
    constexpr int kValues = 13;  // first .. first + 12, six either side of x
    for (int i = 0; i < 2; ++i) {
        const vf one = set1(1.0f), x = p->x[i];
        const vf first = max(sub(round_nearest(x), set1(6.0f)), zero());
        vf rise = exp_clamped(sub(sub(x, first), set1(0.5f)));  // exp(x - h - 1/2)
        vf left = exp_clamped(sub(set1(-1.0f), first));         // exp(-h - 1)
        const vf step = set1(0x1.78b564p-2f);                   // exp(-1)
        vf weight = one, total = one, moment = zero(), cumulative[kValues];
        cumulative[0] = one;
        for (int k = 1; k < kValues; ++k) {
            weight = div(mul(weight, rise), sub(one, left));
            total = add(total, weight);
            cumulative[k] = total;
            moment = fma(weight, set1(static_cast<float>(k)), moment);
            rise = mul(rise, step);
            left = mul(left, step);
        }
        const vf threshold = mul(p->u[i], total);
        vf state = first;
        for (int k = 0; k + 1 < kValues; ++k) state = add(state, select(cmp_lt(threshold, cumulative[k]), zero(), one));
        p->state[i] = state;
        if (means) p->mean[i] = add(first, div(moment, total));
    }
}

template <int kType>
static void sample_unit_pairs(const SampleUnitsArgs* a) {
    const uint32_t key0 = static_cast<uint32_t>(a->seed), key1 = static_cast<uint32_t>(a->seed >> 32);
    const vi c2 = iset1(static_cast<uint32_t>(a->offset)), c3 = iset1(static_cast<uint32_t>(a->offset >> 32));
    const bool means = a->means != nullptr;
    for (int64_t block = 0; block < a->n_rows; block += 64) {
        const uint32_t base = static_cast<uint32_t>((a->first_sample + block) / 64 * 16);
        for (int i = 0; i < 16 && block + i < a->n_rows; ++i)
            for (int64_t column = 0; column < a->n_units; column += column % 32 + kLanes == 16 ? kLanes + 16 : kLanes) {
                const int64_t left = a->n_units - column;
                const vm live[2] = {first_lanes(left < kLanes ? static_cast<int>(left) : kLanes),
                                    first_lanes(left < 16            ? 0
                                                : left < 16 + kLanes ? static_cast<int>(left - 16)
                                                                     : kLanes)};
                const vi unit = iadd(iset1(a->first_unit + static_cast<uint32_t>(column)), iota());
                const vi samples[2] = {iset1(base + i), iset1(base + i)}, units[2] = {unit, iadd(unit, iset1(16))};
                Philox4 draws[2];
                philox_blocks_of<2>(samples, units, c2, c3, key0, key1, draws);
                vf std[2] = {set1(1.0f), set1(1.0f)};
                if (kType == HC_UNIT_GAUSSIAN && a->std)
                    for (int j = 0; j < 2; ++j) std[j] = load_masked(a->std + column + 16 * j, live[j]);
                for (int word = 0; word < 4; ++word) {
                    const int64_t row = block + word * 16 + i;
                    if (row >= a->n_rows) break;
                    const int64_t at = row * a->stride + column;
                    UnitPair p;
                    for (int j = 0; j < 2; ++j) {
                        p.x[j] = load_masked(a->x + at + 16 * j, live[j]);
                        p.u[j] = uniform(draws[j].word[word]);
                    }
                    sample_pair<kType>(&p, std, means);
                    for (int j = 0; j < 2; ++j) {
                        store_masked(a->states + at + 16 * j, live[j], p.state[j]);
                        if (means) store_masked(a->means + at + 16 * j, live[j], p.mean[j]);
                    }
                }
            }
    }
}

// Columns of kLanes rows, rows past n_rows as zeros: column k at out + k * kLanes.
static inline void load_columns(const float* x, ptrdiff_t stride, int n_rows, int64_t n_columns, float* out) {
    for (int64_t first = 0; first < n_columns; first += kLanes) {
        const vm live = first_lanes(n_columns - first < kLanes ? static_cast<int>(n_columns - first) : kLanes);
        vf tile[kLanes];
        for (int r = 0; r < kLanes; ++r) tile[r] = r < n_rows ? load_masked(x + r * stride + first, live) : zero();
        transpose(tile);
        for (int k = 0; k < kLanes; ++k) store(out + (first + k) * kLanes, tile[k]);
    }
}

static inline void store_columns(const float* columns, int64_t n_columns, int n_rows, float* x, ptrdiff_t stride) {
    for (int64_t first = 0; first < n_columns; first += kLanes) {
        const vm live = first_lanes(n_columns - first < kLanes ? static_cast<int>(n_columns - first) : kLanes);
        vf tile[kLanes];
        for (int k = 0; k < kLanes; ++k) tile[k] = load(columns + (first + k) * kLanes);
        transpose(tile);
        for (int r = 0; r < n_rows; ++r) store_masked(x + r * stride + first, live, tile[r]);
    }
}

// One group of kLanes rows; uniforms u.
static inline void sample_group(const float* x, ptrdiff_t stride, int n_rows, int64_t group, vf u, float* scratch,
                                float* states, float* means) {
    load_columns(x, stride, n_rows, group, scratch);
    vf top = load(scratch), total = zero();
    for (int64_t k = 1; k < group; ++k) top = max(top, load(scratch + k * kLanes));
    for (int64_t k = 0; k < group; ++k) {
        const vf e = exp_clamped(sub(load(scratch + k * kLanes), top));
        store(scratch + k * kLanes, e);
        total = add(total, e);
    }
    const vf threshold = mul(u, total), one = set1(1.0f);
    if (means) {
        float* scaled = scratch + unit_scratch_floats(group) / 2;
        const vf scale = div(one, total);
        for (int64_t k = 0; k < group; ++k) store(scaled + k * kLanes, mul(load(scratch + k * kLanes), scale));
        store_columns(scaled, group, n_rows, means, stride);
    }
    vf cumulative = zero(), reached = zero();  // reached: 1 where a column up to k was chosen
    for (int64_t k = 0; k < group; ++k) {
        cumulative = add(cumulative, load(scratch + k * kLanes));
        const vf now = k + 1 == group ? one : select(cmp_lt(threshold, cumulative), one, zero());
        store(scratch + k * kLanes, sub(now, reached));
        reached = now;
    }
    store_columns(scratch, group, n_rows, states, stride);
}

static void sample_softmax(const SampleUnitsArgs* a) {
    const uint32_t key0 = static_cast<uint32_t>(a->seed), key1 = static_cast<uint32_t>(a->seed >> 32);
    const vi c2 = iset1(static_cast<uint32_t>(a->offset)), c3 = iset1(static_cast<uint32_t>(a->offset >> 32));
    for (int64_t block = 0; block < a->n_rows; block += 64) {
        const uint32_t base = static_cast<uint32_t>((a->first_sample + block) / 64 * 16);
        for (int64_t column = 0; column < a->n_units; column += a->group) {
            const vi unit = iset1(a->first_unit + static_cast<uint32_t>(column / a->group));
            for (int lane = 0; lane < 16 && block + lane < a->n_rows; lane += kLanes) {
                const Philox4 draws = philox(iadd(iset1(base + lane), iota()), unit, c2, c3, key0, key1);
                for (int word = 0; word < 4; ++word) {
                    const int64_t row = block + word * 16 + lane;
                    if (row >= a->n_rows) break;
                    const int n_rows = a->n_rows - row < kLanes ? static_cast<int>(a->n_rows - row) : kLanes;
                    const int64_t at = row * a->stride + column;
                    sample_group(a->x + at, a->stride, n_rows, a->group, uniform(draws.word[word]), a->scratch,
                                 a->states + at, a->means ? a->means + at : nullptr);
                }
            }
        }
    }
}

static void sample_units(const SampleUnitsArgs* a) {
    switch (a->type) {
        case HC_UNIT_BERNOULLI:
            return sample_unit_pairs<HC_UNIT_BERNOULLI>(a);
        case HC_UNIT_SPIN:
            return sample_unit_pairs<HC_UNIT_SPIN>(a);
        case HC_UNIT_SOFTMAX:
            return sample_softmax(a);
        case HC_UNIT_GAUSSIAN:
            return sample_unit_pairs<HC_UNIT_GAUSSIAN>(a);
        case HC_UNIT_NRELU:
            return sample_unit_pairs<HC_UNIT_NRELU>(a);
        case HC_UNIT_STEPPED_SIGMOID:
            return sample_unit_pairs<HC_UNIT_STEPPED_SIGMOID>(a);
    }
}
