// Annealed importance sampling and exact log Z: every thread count gives the same bits, and bad calls are refused.
#include <limits>
#include <utility>

#include "rbm_problem.h"

namespace {

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
    hc_ais_args a = sized<hc_ais_args>();
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
    hc_ais_args good = sized<hc_ais_args>();
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
    const Refuser<hc_ais_args> refused(good, hc_ais);
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
    hc_exact_args a = sized<hc_exact_args>();
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
    const Refuser<hc_exact_args> refused(good, [&](const hc_exact_args* a) { return hc_exact_log_z(a, &log_z); });
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

}  // namespace

int main() {
    test_ais_refusals();
    return run_at_every_level({test_ais, test_exact});
}
