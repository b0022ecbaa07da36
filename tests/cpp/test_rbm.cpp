// The kernels of restricted Boltzmann machines: every thread count gives the same bits, and bad calls are refused by name.
#include <limits>
#include <utility>

#include "rbm_problem.h"

namespace {

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
    hc_cd_gradient_args a = sized<hc_cd_gradient_args>();
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
    hc_weight_update_args a = sized<hc_weight_update_args>();
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

// A machine of 2 visible and 3 hidden units, and what no call may take.
constexpr float kNan = std::numeric_limits<float>::quiet_NaN(), kInf = std::numeric_limits<float>::infinity();
const float kBadW[6] = {0, 0, 0, 0, 0, kNan}, kBadB[3] = {0, kInf, 0};

void test_gibbs_refusals() {
    float w[6] = {}, b_hid[3] = {};
    const float x[4] = {0, 1, 0, 1};
    uint64_t in[2] = {1, 0}, out[3] = {};
    hc_gibbs_args g = sized<hc_gibbs_args>();
    g.batch = 1;
    g.n_visible = 2;
    g.n_hidden = 3;
    g.in_bits = in;
    g.w = w;
    g.bias = b_hid;
    g.temperature = 1.0f;
    g.out_bits = out;
    CHECK_OK(hc_gibbs_step(&g));
    const Refuser<hc_gibbs_args> refused(g, hc_gibbs_step);
    CHECK_REFUSED(hc_gibbs_step(nullptr), "args");
    refused([](auto& a) { a.struct_size = 0; }, "struct_size", __LINE__);
    refused([](auto& a) { a.struct_size = 1 << 20; }, "struct_size", __LINE__);
    refused([](auto& a) { a.batch = 0; }, "batch", __LINE__);
    refused([](auto& a) { a.batch = -7; }, "batch", __LINE__);
    refused([](auto& a) { a.n_visible = INT64_MAX; }, "n_visible", __LINE__);
    refused([](auto& a) { a.n_hidden = 0; }, "n_hidden", __LINE__);
    refused([](auto& a) { a.n_visible = a.n_hidden = INT32_MAX; }, "too large", __LINE__);
    refused([](auto& a) { a.batch = a.n_hidden = INT32_MAX; }, "too large", __LINE__);
    refused([](auto& a) { a.in_bits = nullptr; }, "exactly one", __LINE__);
    refused([&](auto& a) { a.in_dense = x; }, "exactly one", __LINE__);
    refused([](auto& a) { a.w = nullptr; }, "w", __LINE__);
    refused([](auto& a) { a.bias = nullptr; }, "bias", __LINE__);
    refused([](auto& a) { a.out_bits = nullptr; }, "at least one", __LINE__);
    for (const float bad : {0.0f, -1.0f, kNan, kInf})
        refused([&](auto& a) { a.temperature = bad; }, "temperature", __LINE__);
    refused([](auto& a) { a.first_sample = 63; }, "first_sample", __LINE__);
    refused([](auto& a) { a.first_sample = -64; }, "first_sample", __LINE__);
    refused([](auto& a) { a.first_sample = int64_t{1} << 34; }, "first_sample", __LINE__);
    refused([](auto& a) { a.threads = -1; }, "threads", __LINE__);
    const float dense_bad[3][2] = {{kNan, 0}, {1.5f, 0}, {0, -0.25f}};
    for (const auto& bad : dense_bad)
        refused([&](auto& a) { a.in_bits = nullptr, a.in_dense = bad; }, "states", __LINE__);
    refused([&](auto& a) { a.w = kBadW; }, "w", __LINE__);
    refused([&](auto& a) { a.bias = kBadB; }, "bias", __LINE__);
}

void test_cd_refusals() {
    float w[6] = {}, b_vis[2] = {}, b_hid[3] = {};
    float bad_w[6] = {0, 0, 0, 0, 0, kNan}, bad_b[3] = {0, kInf, 0};
    uint64_t v0[2] = {1, 0}, chains[2] = {1, 1};
    float velocity[6] = {};
    hc_cd_args c = sized<hc_cd_args>();
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
    const Refuser<hc_cd_args> refused(c, [](const hc_cd_args* a) { return hc_cd_update(a, nullptr); });
    CHECK_REFUSED(hc_cd_update(nullptr, nullptr), "args");
    refused([](auto& a) { a.struct_size = 4; }, "struct_size", __LINE__);
    refused([](auto& a) { a.batch = INT64_MIN; }, "batch", __LINE__);
    refused([](auto& a) { a.v0_bits = nullptr; }, "exactly one", __LINE__);
    refused([](auto& a) { a.w = nullptr; }, "w", __LINE__);
    refused([](auto& a) { a.b_vis = nullptr; }, "b_vis", __LINE__);
    refused([](auto& a) { a.b_hid = nullptr; }, "b_hid", __LINE__);
    refused([](auto& a) { a.k = 0; }, "k", __LINE__);
    refused([&](auto& a) { a.lr = kNan; }, "lr", __LINE__);
    refused([](auto& a) { a.lr = -1.0f; }, "lr", __LINE__);
    refused([](auto& a) { a.momentum = 1.0f; }, "momentum", __LINE__);
    refused([](auto& a) { a.momentum = 0.5f; }, "velocity", __LINE__);
    refused([&](auto& a) { a.vel_w = velocity; }, "velocity", __LINE__);
    refused([&](auto& a) { a.weight_decay = kInf; }, "weight_decay", __LINE__);
    refused([&](auto& a) { a.chains = chains; }, "n_chains", __LINE__);
    refused([&](auto& a) { a.chains = chains, a.n_chains = INT64_MAX; }, "n_chains", __LINE__);
    refused([&](auto& a) { a.w = bad_w; }, "w", __LINE__);
    refused([&](auto& a) { a.b_hid = bad_b; }, "b_hid", __LINE__);
    refused([](auto& a) { a.threads = -1; }, "threads", __LINE__);
    float poisoned[6] = {0, 0, kNan, 0, 0, 0}, vel_vis[2] = {}, vel_hid[3] = {};
    hc_cd_args diverging = c;
    diverging.vel_w = poisoned;
    diverging.vel_vis = vel_vis;
    diverging.vel_hid = vel_hid;
    diverging.momentum = 0.5f;
    check_refused(hc_cd_update(&diverging, nullptr), HC_DIVERGED, "w", __LINE__);
    CHECK_REFUSED(hc_cd_update(&c, nullptr), "w");
}

void test_gradient_refusals() {
    uint64_t v0[2] = {1, 0}, chains[2] = {1, 1};
    const float good_w[6] = {}, good_vis[2] = {}, good_hid[3] = {};
    float grad[6] = {}, moments_vis[2] = {}, moments_hid[3] = {};
    hc_cd_gradient_args d = sized<hc_cd_gradient_args>();
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
    const Refuser<hc_cd_gradient_args> refused(d,
                                               [](const hc_cd_gradient_args* a) { return hc_cd_gradient(a, nullptr); });
    CHECK_REFUSED(hc_cd_gradient(nullptr, nullptr), "args");
    refused([](auto& a) { a.struct_size = 4; }, "struct_size", __LINE__);
    refused([](auto& a) { a.v0_bits = nullptr; }, "exactly one", __LINE__);
    refused([](auto& a) { a.k = 0; }, "k", __LINE__);
    refused([&](auto& a) { a.k = -1, a.chains = chains, a.n_chains = 1; }, "k", __LINE__);
    refused([&](auto& a) { a.chains = chains; }, "n_chains", __LINE__);
    refused([&](auto& a) { a.neg_w = good_w; }, "negative", __LINE__);
    refused([&](auto& a) { a.neg_w = kBadW, a.neg_b_vis = good_vis, a.neg_b_hid = good_hid; }, "negative: w", __LINE__);
    refused([&](auto& a) { a.neg_w = good_w, a.neg_b_vis = good_vis, a.neg_b_hid = kBadB; }, "negative: b_hid",
            __LINE__);
    refused([](auto& a) { a.grad_w = nullptr; }, "grad_w", __LINE__);
    refused([](auto& a) { a.data_vis = nullptr; }, "data_vis", __LINE__);
    refused([](auto& a) { a.data_hid = nullptr; }, "data_hid", __LINE__);
    refused([](auto& a) { a.model_vis = nullptr; }, "model_vis", __LINE__);
    refused([](auto& a) { a.model_hid = nullptr; }, "model_hid", __LINE__);
    refused([&](auto& a) { a.w = kBadW; }, "w", __LINE__);
}

}  // namespace

int main() {
    test_gibbs_refusals();
    test_cd_refusals();
    test_gradient_refusals();
    test_levels_agree();
    return run_at_every_level({test_gibbs, test_cd, test_weight_update});
}
