// exp and sigmoid on vectors, with arithmetic that is the same to the last bit at every ISA level (only correctly rounded
// operations, fused multiply-add included). Included inside an ISA namespace after its vocabulary.

// exp(x) for |x| <= 87; larger magnitudes are clamped. Cody-Waite reduction by ln 2, degree-6 polynomial on
// [-ln2/2, ln2/2] (coefficients: Taylor, error below 2^-27 there). At most 1.5 ulp.
static inline vf exp_clamped(vf x) {
    x = min(max(x, set1(-87.0f)), set1(87.0f));
    const vf n = round_nearest(mul(x, set1(0x1.715476p+0f)));
    vf r = fnma(n, set1(0x1.62e400p-1f), x);
    r = fnma(n, set1(0x1.7f7d1cp-20f), r);
    vf p = set1(1.0f / 720.0f);
    p = fma(p, r, set1(1.0f / 120.0f));
    p = fma(p, r, set1(1.0f / 24.0f));
    p = fma(p, r, set1(1.0f / 6.0f));
    p = fma(p, r, set1(0.5f));
    p = fma(p, r, set1(1.0f));
    p = fma(p, r, set1(1.0f));
    return cast_f(iadd(cast_i(p), shl<23>(to_int(n))));
}
