// Restricted Boltzmann machines of odd shapes, and one call of a kernel on each: for the tests that compare such calls.
#pragma once

#include <cmath>

#include "check.h"

inline size_t bit_count(int64_t units, int64_t batch) { return static_cast<size_t>(units * hc_bit_words(batch)); }

inline Words pack(const Floats& x, int64_t batch, int64_t units) {
    Words bits(bit_count(units, batch));
    CHECK_OK(hc_bits_pack(x.data(), batch, units, bits.data(), 0));
    return bits;
}

struct Shape {
    int64_t batch, n_visible, n_hidden;
};

// Both sides of every tile edge: words of 64 samples, vectors of 8 and 16 lanes, unit blocks of 16 and 32, groups of 4.
inline const std::vector<Shape> kShapes = {{1, 1, 1},     {1, 65, 3},     {2, 3, 1},     {63, 17, 31},
                                           {64, 64, 64},  {65, 63, 33},   {3, 5, 129},   {100, 33, 15},
                                           {127, 70, 48}, {130, 16, 200}, {513, 128, 37}};

struct Gibbs {
    Words bits;
    Floats dense, probs;
    bool operator==(const Gibbs& other) const {
        return bits == other.bits && dense == other.dense && probs == other.probs;
    }
};

inline Gibbs gibbs(const Shape& s, bool transpose, bool dense_in, float temperature, int threads, uint64_t seed,
                   bool integral) {
    Lcg rng(seed);
    const int64_t n_in = transpose ? s.n_hidden : s.n_visible, n_out = transpose ? s.n_visible : s.n_hidden;
    const Floats states = dense_in ? fractions(rng, s.batch * n_in) : binary(rng, s.batch * n_in);
    Floats w = integers(rng, s.n_visible * s.n_hidden);
    if (!integral)
        for (float& x : w) x = x * 0.37f + 0.01f;
    const Floats bias = integers(rng, n_out);
    Gibbs out{Words(bit_count(n_out, s.batch)), Floats(static_cast<size_t>(s.batch * n_out)),
              Floats(static_cast<size_t>(s.batch * n_out))};
    Words in_bits;
    hc_gibbs_args a = sized<hc_gibbs_args>();
    a.batch = s.batch;
    a.n_visible = s.n_visible;
    a.n_hidden = s.n_hidden;
    a.transpose = transpose;
    if (dense_in) {
        a.in_dense = states.data();
    } else {
        in_bits = pack(states, s.batch, n_in);
        a.in_bits = in_bits.data();
    }
    a.w = w.data();
    a.bias = bias.data();
    a.temperature = temperature;
    a.seed = seed;
    a.offset = seed >> 3;
    a.first_sample = 64 * static_cast<int64_t>(seed % 3);
    a.out_bits = out.bits.data();
    a.out_dense = out.dense.data();
    a.out_probs = out.probs.data();
    a.threads = threads;
    CHECK_OK(hc_gibbs_step(&a));
    CHECK(pack(out.dense, s.batch, n_out) == out.bits);
    for (const float p : out.probs) CHECK(p >= 0.0f && p <= 1.0f);
    return out;
}

struct Cd {
    Floats w, b_vis, b_hid, vel_w, vel_vis, vel_hid;
    Words chains;
    double error = 0.0, hidden_mean = 0.0;
    bool operator==(const Cd& o) const {
        const bool same_error = error == o.error || (std::isnan(error) && std::isnan(o.error));
        return w == o.w && b_vis == o.b_vis && b_hid == o.b_hid && vel_w == o.vel_w && vel_vis == o.vel_vis &&
               vel_hid == o.vel_hid && chains == o.chains && same_error && hidden_mean == o.hidden_mean;
    }
};

inline Cd cd(const Shape& s, int k, bool dense_in, bool velocity, int64_t n_chains, int threads, uint64_t seed) {
    Lcg rng(seed);
    const Floats v0 = dense_in ? fractions(rng, s.batch * s.n_visible) : binary(rng, s.batch * s.n_visible);
    Cd m;
    m.w = integers(rng, s.n_visible * s.n_hidden);
    for (float& x : m.w) x *= 0.25f;
    m.b_vis = integers(rng, s.n_visible);
    m.b_hid = integers(rng, s.n_hidden);
    if (velocity) {
        m.vel_w.assign(m.w.size(), 0.0f);
        m.vel_vis.assign(m.b_vis.size(), 0.0f);
        m.vel_hid.assign(m.b_hid.size(), 0.0f);
    }
    if (n_chains) m.chains = pack(binary(rng, n_chains * s.n_visible), n_chains, s.n_visible);
    Words v0_bits;
    hc_cd_args a = sized<hc_cd_args>();
    a.batch = s.batch;
    a.n_visible = s.n_visible;
    a.n_hidden = s.n_hidden;
    if (dense_in) {
        a.v0_dense = v0.data();
    } else {
        v0_bits = pack(v0, s.batch, s.n_visible);
        a.v0_bits = v0_bits.data();
    }
    a.w = m.w.data();
    a.b_vis = m.b_vis.data();
    a.b_hid = m.b_hid.data();
    a.vel_w = velocity ? m.vel_w.data() : nullptr;
    a.vel_vis = velocity ? m.vel_vis.data() : nullptr;
    a.vel_hid = velocity ? m.vel_hid.data() : nullptr;
    a.chains = n_chains ? m.chains.data() : nullptr;
    a.n_chains = n_chains;
    a.k = k;
    a.lr = 0.1f;
    a.momentum = velocity ? 0.5f : 0.0f;
    a.weight_decay = 0.001f;
    a.seed = seed;
    a.offset = 11;
    a.threads = threads;
    hc_cd_stats stats{};
    CHECK_OK(hc_cd_update(&a, &stats));
    m.error = stats.reconstruction_error;
    m.hidden_mean = stats.hidden_mean;
    CHECK(std::isnan(m.error) == (n_chains != 0));
    CHECK(m.hidden_mean >= 0.0 && m.hidden_mean <= 1.0);
    return m;
}
