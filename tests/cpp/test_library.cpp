// The shared library through its C interface, meant to be built with sanitizers: every function, odd shapes, every ISA
// level this processor has, many callers at once, a forked child, sizes that overflow. Arrays have exactly the size
// that the header asks for, so reads and writes past the end are AddressSanitizer's to find. What the numbers should be
// is the Python suite's business; here a level and a thread count are compared with another.
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <limits>
#include <thread>
#include <utility>

#include "check.h"

namespace {

size_t bit_count(int64_t units, int64_t batch) { return static_cast<size_t>(units * hc_bit_words(batch)); }

Words pack(const Floats& x, int64_t batch, int64_t units) {
    Words bits(bit_count(units, batch));
    CHECK_OK(hc_bits_pack(x.data(), batch, units, bits.data(), 0));
    return bits;
}

struct Shape {
    int64_t batch, n_visible, n_hidden;
};

// Both sides of every tile edge: words of 64 samples, vectors of 8 and 16 lanes, unit blocks of 16 and 32, groups of 4.
const std::vector<Shape> kShapes = {{1, 1, 1},     {1, 65, 3},     {2, 3, 1},     {63, 17, 31},
                                    {64, 64, 64},  {65, 63, 33},   {3, 5, 129},   {100, 33, 15},
                                    {127, 70, 48}, {130, 16, 200}, {513, 128, 37}};

struct Gibbs {
    Words bits;
    Floats dense, probs;
    bool operator==(const Gibbs& other) const {
        return bits == other.bits && dense == other.dense && probs == other.probs;
    }
};

Gibbs gibbs(const Shape& s, bool transpose, bool dense_in, float temperature, int threads, uint64_t seed,
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
    hc_gibbs_args a{};
    a.struct_size = sizeof a;
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

Cd cd(const Shape& s, int k, bool dense_in, bool velocity, int64_t n_chains, int threads, uint64_t seed) {
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
    hc_cd_args a{};
    a.struct_size = sizeof a;
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

// The gradient of such an update, its chains, and the means it is made of.
struct Gradient {
    Floats w, data_vis, data_hid, model_vis, model_hid;
    Words chains;
    bool operator==(const Gradient& o) const {
        return w == o.w && data_vis == o.data_vis && data_hid == o.data_hid && model_vis == o.model_vis &&
               model_hid == o.model_hid && chains == o.chains;
    }
};

Gradient cd_gradient(const Shape& s, int k, bool dense_in, bool other, int64_t n_chains, int threads, uint64_t seed) {
    Lcg rng(seed);
    const Floats v0 = dense_in ? fractions(rng, s.batch * s.n_visible) : binary(rng, s.batch * s.n_visible);
    const Words v0_bits = dense_in ? Words() : pack(v0, s.batch, s.n_visible);
    const Floats w = integers(rng, s.n_visible * s.n_hidden), neg_w = integers(rng, s.n_visible * s.n_hidden);
    const Floats b_vis = integers(rng, s.n_visible), b_hid = integers(rng, s.n_hidden);
    Gradient g;
    g.w.resize(w.size());
    g.data_vis.resize(b_vis.size());
    g.model_vis.resize(b_vis.size());
    g.data_hid.resize(b_hid.size());
    g.model_hid.resize(b_hid.size());
    if (n_chains) g.chains = pack(binary(rng, n_chains * s.n_visible), n_chains, s.n_visible);
    hc_cd_gradient_args a{};
    a.struct_size = sizeof a;
    a.batch = s.batch;
    a.n_visible = s.n_visible;
    a.n_hidden = s.n_hidden;
    a.v0_dense = dense_in ? v0.data() : nullptr;
    a.v0_bits = dense_in ? nullptr : v0_bits.data();
    a.w = w.data();
    a.b_vis = b_vis.data();
    a.b_hid = b_hid.data();
    a.neg_w = other ? neg_w.data() : nullptr;
    a.neg_b_vis = other ? b_vis.data() : nullptr;
    a.neg_b_hid = other ? b_hid.data() : nullptr;
    a.chains = n_chains ? g.chains.data() : nullptr;
    a.n_chains = n_chains;
    a.k = k;
    a.grad_w = g.w.data();
    a.data_vis = g.data_vis.data();
    a.data_hid = g.data_hid.data();
    a.model_vis = g.model_vis.data();
    a.model_hid = g.model_hid.data();
    a.seed = seed;
    a.offset = 11;
    a.threads = threads;
    CHECK_OK(hc_cd_gradient(&a, nullptr));
    for (float x : g.w) CHECK(x >= -1.001f && x <= 1.001f);
    return g;
}

// One update from a gradient, with everything it can take off and sum up.
struct WeightUpdate {
    Floats w, velocity, row_sums, column_sums;
    bool operator==(const WeightUpdate& o) const {
        return w == o.w && velocity == o.velocity && row_sums == o.row_sums && column_sums == o.column_sums;
    }
};

WeightUpdate weight_update(int64_t n_rows, int64_t n_columns, int threads, uint64_t seed) {
    Lcg rng(seed);
    WeightUpdate u{integers(rng, n_rows * n_columns), integers(rng, n_rows * n_columns), Floats(n_rows),
                   Floats(n_columns)};
    const Floats grad = integers(rng, n_rows * n_columns), left = integers(rng, 2 * n_rows);
    const Floats right = integers(rng, 2 * n_columns), mu = integers(rng, n_rows), lambda = integers(rng, n_columns);
    hc_weight_update_args a{};
    a.struct_size = sizeof a;
    a.n_rows = n_rows;
    a.n_columns = n_columns;
    a.w = u.w.data();
    a.grad = grad.data();
    a.velocity = u.velocity.data();
    a.left = left.data();
    a.right = right.data();
    a.n_terms = 2;
    a.lr = 0.5f;
    a.momentum = 0.5f;
    a.weight_decay = 0.25f;
    a.l1 = 0.1f;
    a.mu = mu.data();
    a.lambda = lambda.data();
    a.row_sums = u.row_sums.data();
    a.column_sums = u.column_sums.data();
    a.threads = threads;
    CHECK_OK(hc_weight_update(&a));
    for (int64_t j = 0; j < n_columns; ++j) {
        double sum = 0.0;
        for (int64_t i = 0; i < n_rows; ++i) sum += static_cast<double>(mu[i] * u.velocity[i * n_columns + j]);
        CHECK(std::abs(sum - static_cast<double>(u.column_sums[j])) <= 1e-4 * (1.0 + std::abs(sum)));
    }
    a.n_terms = 65;
    CHECK_REFUSED(hc_weight_update(&a), "n_terms");
    a.n_terms = 2;
    a.lambda = nullptr;
    CHECK_REFUSED(hc_weight_update(&a), "lambda");
    return u;
}

void test_weight_update() {
    for (const auto& [rows, columns] : {std::pair<int64_t, int64_t>{1, 1}, {31, 17}, {33, 16}, {100, 65}}) {
        const WeightUpdate one = weight_update(rows, columns, 1, 5);
        for (const int threads : {2, 3, 8}) CHECK(weight_update(rows, columns, threads, 5) == one);
    }
    CHECK_REFUSED(hc_weight_update(nullptr), "args");
}

void test_bits() {
    Lcg rng(1);
    for (const Shape& s : kShapes) {
        const Floats x = binary(rng, s.batch * s.n_visible);
        for (const int threads : {1, 3}) {
            Words bits(bit_count(s.n_visible, s.batch));
            CHECK_OK(hc_bits_pack(x.data(), s.batch, s.n_visible, bits.data(), threads));
            for (int64_t u = 0; u < s.n_visible; ++u)
                for (int64_t i = 0; i < hc_bit_words(s.batch) * 64; ++i) {
                    const bool bit = bits[static_cast<size_t>(u * hc_bit_words(s.batch) + i / 64)] >> (i % 64) & 1;
                    const bool on = i < s.batch && x[static_cast<size_t>(i * s.n_visible + u)] != 0.0f;
                    CHECK(bit == on);
                }
            Floats back(x.size());
            CHECK_OK(hc_bits_unpack(bits.data(), s.batch, s.n_visible, back.data(), threads));
            CHECK(back == x);
            Words turned(bit_count(s.batch, s.n_visible)), twice(bits.size());
            CHECK_OK(hc_bits_transpose(bits.data(), s.batch, s.n_visible, turned.data(), threads));
            CHECK_OK(hc_bits_transpose(turned.data(), s.n_visible, s.batch, twice.data(), threads));
            CHECK(twice == bits);
        }
    }
}

void test_random() {
    // Known answers of the generator's authors (Random123, kat_vectors).
    const uint32_t counters[8] = {0, 0, 0, 0, 0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344};
    const uint32_t zero_key[2] = {0, 0}, pi_key[2] = {0xa4093822, 0x299f31d0};
    uint32_t out[8];
    CHECK_OK(hc_philox4x32_10(counters, zero_key, 1, out));
    CHECK(out[0] == 0x6627e8d5 && out[1] == 0xe169c58d && out[2] == 0xbc57ac4c && out[3] == 0x9b00dbd8);
    CHECK_OK(hc_philox4x32_10(counters, pi_key, 2, out));
    CHECK(out[4] == 0xd16cfe09 && out[5] == 0x94fdcceb && out[6] == 0x5001e420 && out[7] == 0x24126ea1);
    for (const int64_t n : {1, 15, 16, 17, 63, 64, 65, 1000, 65536, 65537, 200001}) {
        Floats one(static_cast<size_t>(n)), many(one.size());
        CHECK_OK(hc_uniform(5, 1ull << 40, n, one.data(), 1));
        CHECK_OK(hc_uniform(5, 1ull << 40, n, many.data(), 3));
        CHECK(one == many);
        for (const float u : one) CHECK(u > 0.0f && u < 1.0f);
    }
}

void test_gibbs() {
    uint64_t seed = 100;
    for (const Shape& s : kShapes)
        for (const bool transpose : {false, true})
            for (const bool dense : {false, true}) {
                const float temperature = ++seed % 2 ? 1.0f : 2.5f;
                const Gibbs one = gibbs(s, transpose, dense, temperature, 1, seed, false);
                for (const int threads : {2, 3, 8})
                    CHECK(gibbs(s, transpose, dense, temperature, threads, seed, false) == one);
            }
}

void test_cd() {
    uint64_t seed = 200;
    for (const Shape& s : kShapes)
        for (const bool dense : {false, true})
            for (const int64_t n_chains : {int64_t{0}, int64_t{1}, int64_t{70}}) {
                const int k = 1 + static_cast<int>(++seed % 3);
                const bool velocity = seed % 2;
                const Cd one = cd(s, k, dense, velocity, n_chains, 1, seed);
                for (const int threads : {2, 3, 8}) CHECK(cd(s, k, dense, velocity, n_chains, threads, seed) == one);
                const Gradient gradient = cd_gradient(s, k, dense, velocity, n_chains, 1, seed);
                for (const int threads : {2, 3, 8})
                    CHECK(cd_gradient(s, k, dense, velocity, n_chains, threads, seed) == gradient);
            }
}

struct Annealed {
    Words states;
    std::vector<double> log_weights;
    bool operator==(const Annealed& o) const { return states == o.states && log_weights == o.log_weights; }
};

Annealed anneal(const Shape& s, bool base, int threads, uint64_t seed) {
    Lcg rng(seed);
    Floats w = integers(rng, s.n_visible * s.n_hidden);
    for (float& x : w) x *= 0.125f;
    const Floats b_vis = integers(rng, s.n_visible), b_hid = integers(rng, s.n_hidden),
                 b_base = fractions(rng, s.n_visible);
    const Floats betas = {0.0f, 0.25f, 0.5f, 0.875f, 1.0f};
    Annealed result{pack(binary(rng, s.batch * s.n_visible), s.batch, s.n_visible),
                    std::vector<double>(static_cast<size_t>(s.batch))};
    hc_ais_args a{};
    a.struct_size = sizeof a;
    a.n_chains = s.batch;
    a.n_visible = s.n_visible;
    a.n_hidden = s.n_hidden;
    a.w = w.data();
    a.b_vis = b_vis.data();
    a.b_hid = b_hid.data();
    a.b_base = base ? b_base.data() : nullptr;
    a.betas = betas.data();
    a.n_betas = static_cast<int64_t>(betas.size());
    a.states = result.states.data();
    a.log_weights = result.log_weights.data();
    a.seed = seed;
    a.threads = threads;
    CHECK_OK(hc_ais(&a));
    for (const double x : result.log_weights) CHECK(std::isfinite(x));
    return result;
}

void test_ais() {
    uint64_t seed = 300;
    for (const Shape& s : kShapes)
        for (const bool base : {false, true}) {
            const Annealed one = anneal(s, base, 1, ++seed);
            for (const int threads : {2, 3, 8}) CHECK(anneal(s, base, threads, seed) == one);
        }
}

void test_ais_refusals() {
    float w[6] = {}, b_vis[2] = {}, b_hid[3] = {}, betas[3] = {0.0f, 0.5f, 1.0f};
    uint64_t states[2] = {1, 0};
    double log_weights[1] = {};
    hc_ais_args good{};
    good.struct_size = sizeof good;
    good.n_chains = 1;
    good.n_visible = 2;
    good.n_hidden = 3;
    good.w = w;
    good.b_vis = b_vis;
    good.b_hid = b_hid;
    good.betas = betas;
    good.n_betas = 3;
    good.states = states;
    good.log_weights = log_weights;
    CHECK_OK(hc_ais(&good));
    const auto refused = [&](auto&& spoil, const char* word, int line) {
        hc_ais_args a = good;
        spoil(a);
        check_refused(hc_ais(&a), HC_INVALID_ARGUMENT, word, line);
    };
    const float nan = std::numeric_limits<float>::quiet_NaN();
    float bad_betas[3] = {0.0f, 2.0f, 1.0f}, bad_w[6] = {0, 0, 0, nan, 0, 0}, bad_b[3] = {0, nan, 0};
    CHECK_REFUSED(hc_ais(nullptr), "args");
    refused([](auto& a) { a.struct_size = 0; }, "struct_size", __LINE__);
    for (const int64_t bad : {int64_t{0}, int64_t{-1}, INT64_MAX, INT64_MIN}) {
        refused([=](auto& a) { a.n_chains = bad; }, "n_chains", __LINE__);
        refused([=](auto& a) { a.n_visible = bad; }, "n_visible", __LINE__);
        refused([=](auto& a) { a.n_hidden = bad; }, "n_hidden", __LINE__);
        refused([=](auto& a) { a.n_betas = bad; }, "n_betas", __LINE__);
    }
    refused([](auto& a) { a.n_betas = 1; }, "n_betas", __LINE__);
    refused([](auto& a) { a.n_visible = a.n_hidden = INT32_MAX; }, "too large", __LINE__);
    refused([](auto& a) { a.w = nullptr; }, "w", __LINE__);
    refused([](auto& a) { a.betas = nullptr; }, "betas", __LINE__);
    refused([](auto& a) { a.states = nullptr; }, "states", __LINE__);
    refused([](auto& a) { a.log_weights = nullptr; }, "log_weights", __LINE__);
    refused([&](auto& a) { a.betas = bad_betas; }, "betas", __LINE__);
    refused([&](auto& a) { a.w = bad_w; }, "w", __LINE__);
    refused([&](auto& a) { a.b_vis = bad_b; }, "b_vis", __LINE__);
    refused([&](auto& a) { a.b_hid = bad_b; }, "b_hid", __LINE__);
    refused([&](auto& a) { a.b_base = bad_b; }, "b_base", __LINE__);
    refused([](auto& a) { a.threads = -1; }, "threads", __LINE__);
}

double exact(int64_t n_visible, int64_t n_hidden, float scale, int threads) {
    Lcg rng(static_cast<uint64_t>(n_visible * 100 + n_hidden));
    Floats w = integers(rng, n_visible * n_hidden);
    for (float& x : w) x *= scale;
    const Floats b_vis = integers(rng, n_visible), b_hid = integers(rng, n_hidden);
    hc_exact_args a{};
    a.struct_size = sizeof a;
    a.n_visible = n_visible;
    a.n_hidden = n_hidden;
    a.w = w.data();
    a.b_vis = b_vis.data();
    a.b_hid = b_hid.data();
    a.threads = threads;
    double log_z = 0.0;
    CHECK_OK(hc_exact_log_z(&a, &log_z));
    CHECK(std::isfinite(log_z));
    return log_z;
}

void test_exact() {
    for (const auto& [n_visible, n_hidden] : {std::pair<int64_t, int64_t>{1, 1}, {3, 20}, {6, 7}, {40, 12}, {13, 33}})
        for (const float scale : {0.25f, 300.0f}) {
            const double one = exact(n_visible, n_hidden, scale, 1);
            for (const int threads : {2, 3, 8}) CHECK(exact(n_visible, n_hidden, scale, threads) == one);
        }
    float w[4] = {}, b[2] = {};
    double log_z = 0.0;
    hc_exact_args good{sizeof(hc_exact_args), 2, 2, w, b, b, 0};
    CHECK_OK(hc_exact_log_z(&good, &log_z));
    CHECK(std::fabs(log_z - 4.0 * std::log(2.0)) < 1e-15 * 4.0);
    CHECK_REFUSED(hc_exact_log_z(nullptr, &log_z), "args");
    CHECK_REFUSED(hc_exact_log_z(&good, nullptr), "log_z");
    const auto refused = [&](auto&& spoil, const char* word, int line) {
        hc_exact_args a = good;
        spoil(a);
        check_refused(hc_exact_log_z(&a, &log_z), HC_INVALID_ARGUMENT, word, line);
    };
    for (const int64_t bad : {int64_t{0}, int64_t{-1}, INT64_MAX, INT64_MIN}) {
        refused([=](auto& a) { a.n_visible = bad; }, "n_visible", __LINE__);
        refused([=](auto& a) { a.n_hidden = bad; }, "n_hidden", __LINE__);
    }
    refused([](auto& a) { a.n_visible = a.n_hidden = 31; }, "at most 30", __LINE__);
    refused([](auto& a) { a.w = nullptr; }, "w", __LINE__);
    refused([](auto& a) { a.b_vis = nullptr; }, "b_vis", __LINE__);
    refused([](auto& a) { a.b_hid = nullptr; }, "b_hid", __LINE__);
    refused([](auto& a) { a.threads = -1; }, "threads", __LINE__);
    const float inf = std::numeric_limits<float>::infinity();
    float bad_w[4] = {0, 0, inf, 0}, bad_b[2] = {0, -inf};
    refused([&](auto& a) { a.w = bad_w; }, "w", __LINE__);
    refused([&](auto& a) { a.b_vis = bad_b; }, "b_vis", __LINE__);
    refused([&](auto& a) { a.b_hid = bad_b; }, "b_hid", __LINE__);
}

// Weights that are small integers leave no room for rounding in the sums, so the sampled bits must be the same.
void test_levels_agree() {
    for (const Shape& s : kShapes)
        for (const bool transpose : {false, true}) {
            Words first;
            for (const std::string& level : levels()) {
                CHECK_OK(hc_set_isa(level.c_str()));
                const Gibbs g = gibbs(s, transpose, false, 1.0f, 0, 17, true);
                if (first.empty()) first = g.bits;
                CHECK(g.bits == first);
            }
        }
    CHECK_OK(hc_set_isa(nullptr));
}

void test_library() {
    CHECK(std::strlen(hc_version()) >= 5);
    int threads = 0;
    CHECK_OK(hc_get_num_threads(&threads));
    CHECK(threads >= 1);
    CHECK_OK(hc_set_num_threads(3));
    CHECK_OK(hc_get_num_threads(&threads));
    CHECK(threads == 3);
    CHECK_REFUSED(hc_set_num_threads(-1), "threads");
    CHECK_REFUSED(hc_set_num_threads(1 << 20), "threads");
    CHECK_REFUSED(hc_get_num_threads(nullptr), "threads");
    CHECK_OK(hc_set_num_threads(0));

    const char* name = nullptr;
    CHECK_OK(hc_get_isa(&name));
    CHECK(name && hc_isa_built(name) && hc_isa_detected(name));
    CHECK_REFUSED(hc_get_isa(nullptr), "name");
    CHECK_REFUSED(hc_set_isa("sse9"), "sse9");
    CHECK(!hc_isa_built(nullptr) && !hc_isa_detected(nullptr) && !hc_isa_built("") && hc_isa_detected("scalar"));
    for (const char* feature : {"avx512_bf16", "avx512_vnni"})
        CHECK(hc_cpu_feature(feature) == 0 || hc_cpu_feature(feature) == 1);
    CHECK(hc_cpu_feature(nullptr) == 0 && hc_cpu_feature("") == 0);
    for (const char* level : {"avx2", "avx512"})
        if (!hc_isa_detected(level)) check_refused(hc_set_isa(level), HC_UNSUPPORTED, level, __LINE__);
}

void test_refusals() {
    constexpr int64_t kHuge = std::numeric_limits<int64_t>::max(), kMax = INT32_MAX;
    float x[4] = {0, 1, 0, 1};
    uint64_t words[4] = {};
    uint32_t block[4] = {};
    CHECK(hc_bit_words(-5) == 0 && hc_bit_words(0) == 0 && hc_bit_words(65) == 2);
    for (const int64_t n : {int64_t{-1}, int64_t{0}, kMax + 1, kHuge, std::numeric_limits<int64_t>::min()}) {
        CHECK_REFUSED(hc_bits_pack(x, n, 1, words, 0), "batch");
        CHECK_REFUSED(hc_bits_pack(x, 1, n, words, 0), "units");
        CHECK_REFUSED(hc_bits_unpack(words, n, 1, x, 0), "batch");
        CHECK_REFUSED(hc_bits_unpack(words, 1, n, x, 0), "units");
        CHECK_REFUSED(hc_bits_transpose(words, n, 1, words, 0), "batch");
        CHECK_REFUSED(hc_bits_transpose(words, 1, n, words, 0), "units");
        CHECK_REFUSED(hc_philox4x32_10(block, block, n, block), "n");
    }
    CHECK_REFUSED(hc_bits_pack(x, kMax, kMax, words, 0), "too large");
    CHECK_REFUSED(hc_bits_unpack(words, kMax, kMax, x, 0), "too large");
    CHECK_REFUSED(hc_bits_pack(x, 2, 2, words, -1), "threads");
    CHECK_REFUSED(hc_bits_pack(nullptr, 2, 2, words, 0), "x");
    CHECK_REFUSED(hc_bits_pack(x, 2, 2, nullptr, 0), "bits");
    for (const float bad :
         {0.5f, -1.0f, 2.0f, std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
        x[2] = bad;
        CHECK_REFUSED(hc_bits_pack(x, 2, 2, words, 0), "x");
    }
    for (const int64_t n : {int64_t{-1}, int64_t{0}, (int64_t{1} << 34) + 1, kHuge})
        CHECK_REFUSED(hc_uniform(0, 0, n, x, 0), "n");
    CHECK_REFUSED(hc_uniform(0, 0, 4, nullptr, 0), "out");
    CHECK_REFUSED(hc_uniform(0, 0, 4, x, -3), "threads");
    CHECK_REFUSED(hc_philox4x32_10(nullptr, block, 1, block), "counters");

    float w[6] = {}, b_vis[2] = {}, b_hid[3] = {};
    uint64_t in[2] = {1, 0}, out[3] = {};
    hc_gibbs_args g{};
    g.struct_size = sizeof g;
    g.batch = 1;
    g.n_visible = 2;
    g.n_hidden = 3;
    g.in_bits = in;
    g.w = w;
    g.bias = b_hid;
    g.temperature = 1.0f;
    g.out_bits = out;
    CHECK_OK(hc_gibbs_step(&g));
    const auto gibbs_refused = [&](auto&& spoil, const char* word, int line) {
        hc_gibbs_args a = g;
        spoil(a);
        check_refused(hc_gibbs_step(&a), HC_INVALID_ARGUMENT, word, line);
    };
    const float nan = std::numeric_limits<float>::quiet_NaN(), inf = std::numeric_limits<float>::infinity();
    CHECK_REFUSED(hc_gibbs_step(nullptr), "args");
    gibbs_refused([](auto& a) { a.struct_size = 0; }, "struct_size", __LINE__);
    gibbs_refused([](auto& a) { a.struct_size = 1 << 20; }, "struct_size", __LINE__);
    gibbs_refused([](auto& a) { a.batch = 0; }, "batch", __LINE__);
    gibbs_refused([](auto& a) { a.batch = -7; }, "batch", __LINE__);
    gibbs_refused([](auto& a) { a.n_visible = INT64_MAX; }, "n_visible", __LINE__);
    gibbs_refused([](auto& a) { a.n_hidden = 0; }, "n_hidden", __LINE__);
    gibbs_refused([](auto& a) { a.n_visible = a.n_hidden = INT32_MAX; }, "too large", __LINE__);
    gibbs_refused([](auto& a) { a.batch = a.n_hidden = INT32_MAX; }, "too large", __LINE__);
    gibbs_refused([](auto& a) { a.in_bits = nullptr; }, "exactly one", __LINE__);
    gibbs_refused([&](auto& a) { a.in_dense = x; }, "exactly one", __LINE__);
    gibbs_refused([](auto& a) { a.w = nullptr; }, "w", __LINE__);
    gibbs_refused([](auto& a) { a.bias = nullptr; }, "bias", __LINE__);
    gibbs_refused([](auto& a) { a.out_bits = nullptr; }, "at least one", __LINE__);
    for (const float bad : {0.0f, -1.0f, nan, inf})
        gibbs_refused([&](auto& a) { a.temperature = bad; }, "temperature", __LINE__);
    gibbs_refused([](auto& a) { a.first_sample = 63; }, "first_sample", __LINE__);
    gibbs_refused([](auto& a) { a.first_sample = -64; }, "first_sample", __LINE__);
    gibbs_refused([](auto& a) { a.first_sample = int64_t{1} << 34; }, "first_sample", __LINE__);
    gibbs_refused([](auto& a) { a.threads = -1; }, "threads", __LINE__);
    const float dense_bad[3][2] = {{nan, 0}, {1.5f, 0}, {0, -0.25f}};
    for (const auto& bad : dense_bad)
        gibbs_refused([&](auto& a) { a.in_bits = nullptr, a.in_dense = bad; }, "states", __LINE__);
    float bad_w[6] = {0, 0, 0, 0, 0, nan}, bad_b[3] = {0, inf, 0};
    gibbs_refused([&](auto& a) { a.w = bad_w; }, "w", __LINE__);
    gibbs_refused([&](auto& a) { a.bias = bad_b; }, "bias", __LINE__);

    uint64_t v0[2] = {1, 0}, chains[2] = {1, 1};
    float velocity[6] = {};
    hc_cd_args c{};
    c.struct_size = sizeof c;
    c.batch = 1;
    c.n_visible = 2;
    c.n_hidden = 3;
    c.v0_bits = v0;
    c.w = w;
    c.b_vis = b_vis;
    c.b_hid = b_hid;
    c.k = 1;
    c.lr = 0.1f;
    CHECK_OK(hc_cd_update(&c, nullptr));
    const auto cd_refused = [&](auto&& spoil, const char* word, int line) {
        hc_cd_args a = c;
        spoil(a);
        check_refused(hc_cd_update(&a, nullptr), HC_INVALID_ARGUMENT, word, line);
    };
    CHECK_REFUSED(hc_cd_update(nullptr, nullptr), "args");
    cd_refused([](auto& a) { a.struct_size = 4; }, "struct_size", __LINE__);
    cd_refused([](auto& a) { a.batch = INT64_MIN; }, "batch", __LINE__);
    cd_refused([](auto& a) { a.v0_bits = nullptr; }, "exactly one", __LINE__);
    cd_refused([](auto& a) { a.w = nullptr; }, "w", __LINE__);
    cd_refused([](auto& a) { a.b_vis = nullptr; }, "b_vis", __LINE__);
    cd_refused([](auto& a) { a.b_hid = nullptr; }, "b_hid", __LINE__);
    cd_refused([](auto& a) { a.k = 0; }, "k", __LINE__);
    cd_refused([&](auto& a) { a.lr = nan; }, "lr", __LINE__);
    cd_refused([](auto& a) { a.lr = -1.0f; }, "lr", __LINE__);
    cd_refused([](auto& a) { a.momentum = 1.0f; }, "momentum", __LINE__);
    cd_refused([](auto& a) { a.momentum = 0.5f; }, "velocity", __LINE__);
    cd_refused([&](auto& a) { a.vel_w = velocity; }, "velocity", __LINE__);
    cd_refused([&](auto& a) { a.weight_decay = inf; }, "weight_decay", __LINE__);
    cd_refused([&](auto& a) { a.chains = chains; }, "n_chains", __LINE__);
    cd_refused([&](auto& a) { a.chains = chains, a.n_chains = INT64_MAX; }, "n_chains", __LINE__);
    cd_refused([&](auto& a) { a.w = bad_w; }, "w", __LINE__);
    cd_refused([&](auto& a) { a.b_hid = bad_b; }, "b_hid", __LINE__);
    cd_refused([](auto& a) { a.threads = -1; }, "threads", __LINE__);
    float poisoned[6] = {0, 0, nan, 0, 0, 0}, vel_vis[2] = {}, vel_hid[3] = {};
    hc_cd_args diverging = c;
    diverging.vel_w = poisoned;
    diverging.vel_vis = vel_vis;
    diverging.vel_hid = vel_hid;
    diverging.momentum = 0.5f;
    check_refused(hc_cd_update(&diverging, nullptr), HC_DIVERGED, "w", __LINE__);
    CHECK_REFUSED(hc_cd_update(&c, nullptr), "w");

    const float good_w[6] = {}, good_vis[2] = {}, good_hid[3] = {};
    float grad[6] = {}, moments_vis[2] = {}, moments_hid[3] = {};
    hc_cd_gradient_args d{};
    d.struct_size = sizeof d;
    d.batch = 1;
    d.n_visible = 2;
    d.n_hidden = 3;
    d.v0_bits = v0;
    d.w = good_w;
    d.b_vis = good_vis;
    d.b_hid = good_hid;
    d.k = 1;
    d.grad_w = grad;
    d.data_vis = d.model_vis = moments_vis;
    d.data_hid = d.model_hid = moments_hid;
    CHECK_OK(hc_cd_gradient(&d, nullptr));
    const auto gradient_refused = [&](auto&& spoil, const char* word, int line) {
        hc_cd_gradient_args a = d;
        spoil(a);
        check_refused(hc_cd_gradient(&a, nullptr), HC_INVALID_ARGUMENT, word, line);
    };
    CHECK_REFUSED(hc_cd_gradient(nullptr, nullptr), "args");
    gradient_refused([](auto& a) { a.struct_size = 4; }, "struct_size", __LINE__);
    gradient_refused([](auto& a) { a.v0_bits = nullptr; }, "exactly one", __LINE__);
    gradient_refused([](auto& a) { a.k = 0; }, "k", __LINE__);
    gradient_refused([&](auto& a) { a.k = -1, a.chains = chains, a.n_chains = 1; }, "k", __LINE__);
    gradient_refused([&](auto& a) { a.chains = chains; }, "n_chains", __LINE__);
    gradient_refused([&](auto& a) { a.neg_w = good_w; }, "negative", __LINE__);
    gradient_refused([&](auto& a) { a.neg_w = bad_w, a.neg_b_vis = good_vis, a.neg_b_hid = good_hid; }, "negative: w",
                     __LINE__);
    gradient_refused([&](auto& a) { a.neg_w = good_w, a.neg_b_vis = good_vis, a.neg_b_hid = bad_b; }, "negative: b_hid",
                     __LINE__);
    gradient_refused([](auto& a) { a.grad_w = nullptr; }, "grad_w", __LINE__);
    gradient_refused([](auto& a) { a.data_vis = nullptr; }, "data_vis", __LINE__);
    gradient_refused([](auto& a) { a.data_hid = nullptr; }, "data_hid", __LINE__);
    gradient_refused([](auto& a) { a.model_vis = nullptr; }, "model_vis", __LINE__);
    gradient_refused([](auto& a) { a.model_hid = nullptr; }, "model_hid", __LINE__);
    gradient_refused([&](auto& a) { a.w = bad_w; }, "w", __LINE__);
}

void test_many_callers() {
    const Shape s{130, 70, 48};
    const Gibbs expected_gibbs = gibbs(s, false, false, 1.0f, 1, 9, false);
    const Cd expected_cd = cd(s, 2, false, true, 0, 1, 9);
    std::vector<int> wrong(6, 0);
    std::vector<std::thread> callers;
    for (size_t i = 0; i < wrong.size(); ++i)
        callers.emplace_back([&, i] {
            for (int round = 0; round < 8; ++round) {
                const int threads = static_cast<int>(i % 4);
                wrong[i] += !(gibbs(s, false, false, 1.0f, threads, 9, false) == expected_gibbs);
                wrong[i] += !(cd(s, 2, false, true, 0, threads, 9) == expected_cd);
                // Each thread has its own last error.
                const std::string level = "level-" + std::to_string(i);
                if (hc_set_isa(level.c_str()) != HC_INVALID_ARGUMENT) ++wrong[i];
                if (!std::strstr(hc_last_error(), level.c_str())) ++wrong[i];
                if (hc_set_num_threads(1 + round % 3) != HC_OK) ++wrong[i];
            }
        });
    for (std::thread& caller : callers) caller.join();
    for (const int n : wrong) CHECK(n == 0);
    CHECK_OK(hc_set_num_threads(0));
}

void test_fork() {
    const Shape s{130, 70, 48};
    const Cd expected = cd(s, 2, false, true, 0, 3, 21);
    std::fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
        bool ok = cd(s, 2, false, true, 0, 3, 21) == expected;
        std::thread other([&] { ok = ok && cd(s, 2, false, true, 0, 2, 21) == expected; });
        other.join();
        const pid_t grandchild = fork();
        if (grandchild == 0) _exit(cd(s, 2, false, true, 0, 3, 21) == expected ? 0 : 1);
        int status = 1;
        ok = waitpid(grandchild, &status, 0) == grandchild && WIFEXITED(status) && WEXITSTATUS(status) == 0 && ok;
        std::fflush(stdout);
        _exit(ok && g_failures == 0 ? 0 : 1);
    }
    int status = 1;
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    CHECK(cd(s, 2, false, true, 0, 3, 21) == expected);
}

}  // namespace

int main(int argc, char** argv) {
    const bool forks = !(argc > 1 && std::strcmp(argv[1], "--no-fork") == 0);
    test_library();
    test_random();
    test_refusals();
    test_ais_refusals();
    for (const std::string& level : levels()) {
        const int before = g_failures;
        CHECK_OK(hc_set_isa(level.c_str()));
        test_bits();
        test_random();
        test_gibbs();
        test_cd();
        test_weight_update();
        test_ais();
        test_exact();
        test_many_callers();
        if (forks) test_fork();
        std::printf("level %s: %s\n", level.c_str(), g_failures == before ? "ok" : "FAILED");
    }
    test_levels_agree();
    std::printf(g_failures ? "%d checks failed\n" : "all checks passed\n", g_failures);
    return g_failures ? 1 : 0;
}
