// exp, log, sigmoid, tanh and softplus on vectors. The arithmetic is the same to the last bit at every ISA level: only
// correctly rounded operations (fma included), no table, no reciprocal estimate. Special values are the C library's.
//
// Largest error over every fifth finite float32, subnormal results included, against a float64 evaluation
// (tests/test_elementwise.py sweeps every level more coarsely and fails above the bound):
//   function   bound (ulp)   measured
//   exp        1.0           0.89
//   log        1.0           0.94
//   sigmoid    2.5           2.36
//   tanh       2.0           1.59
//   softplus   2.5           1.98
// Polynomials are minimax in relative error, found by Lawson's iteration with the coefficients rounded to float one
// after the other and the rest fitted again. Included inside an ISA namespace after its vocabulary.

// p = 2^-n exp(x), in [0.7, 1.42]. n * ln 2 is taken off in two parts, the first difference exact; the polynomial's
// error is 2^-28.
static inline vf exp_reduced(vf x, vf* n) {
    *n = round_nearest(mul(x, set1(0x1.715476p+0f)));
    const vf r = fnma(*n, set1(-0x1.05c610p-29f), fnma(*n, set1(0x1.62e430p-1f), x));
    vf p = set1(0x1.6a4d60p-10f);
    p = fma(p, r, set1(0x1.12398ep-7f));
    p = fma(p, r, set1(0x1.5558b0p-5f));
    p = fma(p, r, set1(0x1.555492p-3f));
    p = fma(p, r, set1(0x1.fffffcp-2f));
    p = fma(p, r, set1(1.0f));
    return fma(p, r, set1(1.0f));
}

// exp(x) for |x| <= 87; larger magnitudes are clamped (NaN becomes -87). No subnormals and no infinities, so the power
// of two is added to the exponent: the form for the sampling kernels. At most 1 ulp.
static inline vf exp_clamped(vf x) {
    vf n;
    const vf p = exp_reduced(min(max(x, set1(-87.0f)), set1(87.0f)), &n);
    return cast_f(iadd(cast_i(p), shl<23>(to_int(n))));
}

// exp(x) for every x but NaN. The scale 2^n is applied as two factors, neither of which over- or underflows, so that
// overflow gives infinity and subnormal results are rounded once, by the last multiplication.
static inline vf exp_number(vf x) {
    vf n;
    const vf p = exp_reduced(min(max(x, set1(-104.0f)), set1(89.0f)), &n);
    const vi k = to_int(n), half = sar<1>(k), bias = iset1(127);
    return mul(mul(p, cast_f(shl<23>(iadd(half, bias)))), cast_f(shl<23>(iadd(isub(k, half), bias))));
}

// log(1 + f) for f in [-1/3, 1/3]; the polynomial's error is 2^-27.6.
static inline vf log1p_reduced(vf f) {
    vf p = set1(-0x1.07c894p-3f);
    p = fma(p, f, set1(0x1.1e678cp-3f));
    p = fma(p, f, set1(-0x1.f332f8p-4f));
    p = fma(p, f, set1(0x1.1ed662p-3f));
    p = fma(p, f, set1(-0x1.559c44p-3f));
    p = fma(p, f, set1(0x1.99d044p-3f));
    p = fma(p, f, set1(-0x1.fffefcp-3f));
    p = fma(p, f, set1(0x1.555506p-2f));
    p = fma(p, f, set1(-0.5f));
    return fma(mul(f, f), p, f);
}

static inline vf sign_bit() { return cast_f(iset1(0x80000000u)); }

static inline vf exp_any(vf x) { return select(is_nan(x), x, exp_number(x)); }

static inline vf log_any(vf x) {
    const vm subnormal = cmp_lt(x, set1(0x1p-126f));  // and zero and below, which the end replaces
    const vi bits = cast_i(select(subnormal, mul(x, set1(0x1p+23f)), x));
    // 2^e m with m in [2/3, 4/3)
    const vi e = iand(isub(bits, iset1(0x3F2AAAABu)), iset1(0xFF800000u));
    const vf f = sub(cast_f(isub(bits, e)), set1(1.0f));
    const vf exponent = sub(to_float(sar<23>(e)), select(subnormal, set1(23.0f), zero()));
    vf y = fma(exponent, set1(-0x1.05c610p-29f), log1p_reduced(f));
    y = fma(exponent, set1(0x1.62e430p-1f), y);
    const vf infinity = cast_f(iset1(0x7F800000u));
    y = select(cmp_lt(x, infinity), y, x);  // infinity and NaN are their own logarithm
    y = select(cmp_lt(x, zero()), cast_f(iset1(0x7FC00000u)), y);
    return select(cmp_eq(x, zero()), sub(zero(), infinity), y);
}

// 1 / (1 + exp(-x)) as e / (1 + e) or 1 / (1 + e) with e = exp(-|x|) <= 1: no overflow, and the left tail keeps its
// relative accuracy down to the smallest subnormal.
static inline vf sigmoid_any(vf x) {
    const vf one = set1(1.0f), e = exp_number(sub(zero(), abs(x)));
    const vf y = div(select(cmp_lt(x, zero()), e, one), add(one, e));
    return select(is_nan(x), x, y);
}

// x + x^3 P(x^2) below 0.55 (error 2^-29.7), 1 - 2 / (1 + exp(2 |x|)) above.
static inline vf tanh_any(vf x) {
    const vf a = abs(x), z = mul(a, a);
    vf p = set1(-0x1.9921a2p-8f);
    p = fma(p, z, set1(0x1.58e518p-6f));
    p = fma(p, z, set1(-0x1.b91e7ep-5f));
    p = fma(p, z, set1(0x1.110ceep-3f));
    p = fma(p, z, set1(-0x1.55554ap-2f));
    const vf low = fma(mul(p, z), a, a);
    const vf e = exp_clamped(add(a, a));
    const vf high = sub(set1(1.0f), div(set1(2.0f), add(e, set1(1.0f))));
    const vf y = select(cmp_lt(a, set1(0.55f)), low, high);
    return select(is_nan(x), x, cast_f(ior(cast_i(y), iand(cast_i(x), cast_i(sign_bit())))));
}

// log(1 + exp(x)) = max(x, 0) + log1p(e), e = exp(-|x|). For e above 1/3, log1p(e) = ln 2 + log1p((e - 1) / 2).
static inline vf softplus_any(vf x) {
    const vf e = exp_number(sub(zero(), abs(x)));
    const vm low = cmp_lt(e, set1(0x1.555556p-2f));
    const vf half = set1(0.5f);
    const vf l = log1p_reduced(select(low, e, fma(e, half, sub(zero(), half))));
    const vf y = add(max(x, zero()), select(low, l, add(l, set1(0x1.62e430p-1f))));
    return select(is_nan(x), x, y);
}
