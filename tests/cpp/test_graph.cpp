// Gibbs sampling on graphs through the C interface, meant to be built with sanitizers: arrays of exactly the size asked for,
// degrees on both sides of every method, every ISA level and thread count against another, bad graphs.
#include <limits>
#include <utility>

#include "check.h"

namespace {

struct Problem {
    int64_t n = 0, batch = 0;
    std::vector<int64_t> indptr{0};
    std::vector<int32_t> indices;
    Floats weights, bias, temperatures;
    Words state, clamp;
};

Problem make_problem(int64_t n, int64_t batch, int density, uint64_t seed) {
    Lcg rng(seed);
    Problem p;
    p.n = n;
    p.batch = batch;
    std::vector<int> w(static_cast<size_t>(n * n));
    for (int64_t i = 0; i < n; ++i)
        for (int64_t j = 0; j < i; ++j)
            if (rng.below(100) < density) w[i * n + j] = w[j * n + i] = rng.below(5) - 2;
    for (int64_t i = 0; i < n; ++i) {
        for (int64_t j = n - 1; j >= 0; --j)
            if (w[i * n + j]) {
                p.indices.push_back(static_cast<int32_t>(j));
                p.weights.push_back(static_cast<float>(w[i * n + j]));
            }
        p.indptr.push_back(static_cast<int64_t>(p.indices.size()));
    }
    p.bias = integers(rng, n);
    p.temperatures = {2.0f, 2.0f, 1.0f};
    const Floats states = binary(rng, n * batch), clamped = binary(rng, n * batch);
    p.state.resize(static_cast<size_t>(n * hc_bit_words(batch)));
    p.clamp = p.state;
    CHECK_OK(hc_bits_pack(states.data(), batch, n, p.state.data(), 0));
    CHECK_OK(hc_bits_pack(clamped.data(), batch, n, p.clamp.data(), 0));
    return p;
}

hc_graph_args arguments(const Problem& p, Words* state) {
    hc_graph_args a{};
    a.struct_size = sizeof a;
    a.n_sites = p.n;
    a.batch = p.batch;
    a.indptr = p.indptr.data();
    a.indices = p.indices.data();
    a.weights = p.weights.data();
    a.bias = p.bias.data();
    a.state = state->data();
    a.sweeps = static_cast<int64_t>(p.temperatures.size());
    a.temperatures = p.temperatures.data();
    a.seed = 5;
    a.offset = 7;
    return a;
}

Words sample(const Problem& p, bool spin, bool clamp, int threads) {
    Words state = p.state;
    hc_graph_args a = arguments(p, &state);
    a.spin = spin;
    a.clamp = clamp ? p.clamp.data() : nullptr;
    a.threads = threads;
    CHECK_OK(hc_graph_gibbs(&a));
    for (size_t i = 0; clamp && i < state.size(); ++i) CHECK(((state[i] ^ p.state[i]) & p.clamp[i]) == 0);
    if (p.batch % 64)
        for (int64_t i = 0; i < p.n; ++i) CHECK((state[(i + 1) * hc_bit_words(p.batch) - 1] >> p.batch % 64) == 0);
    return state;
}

void test_agreement() {
    struct {
        int64_t n, batch;
        int density;
    } const shapes[] = {{1, 1, 0}, {2, 64, 100}, {6, 3, 100}, {8, 65, 90}, {300, 130, 2}, {90, 63, 6}, {40, 200, 50}};
    for (const auto& s : shapes) {
        const Problem p = make_problem(s.n, s.batch, s.density, static_cast<uint64_t>(s.n));
        for (const bool spin : {false, true})
            for (const bool clamp : {false, true}) {
                CHECK_OK(hc_set_isa("scalar"));
                const Words want = sample(p, spin, clamp, 1);
                for (const std::string& level : levels()) {
                    CHECK_OK(hc_set_isa(level.c_str()));
                    for (const int threads : {1, 2, 3, 8}) CHECK(sample(p, spin, clamp, threads) == want);
                }
                CHECK_OK(hc_set_isa(nullptr));
            }
    }
}

hc_dense_args dense_arguments(const Problem& p, const Floats& w, Words* state) {
    hc_dense_args a{};
    a.struct_size = sizeof a;
    a.n_units = p.n;
    a.batch = p.batch;
    a.w = w.data();
    a.bias = p.bias.data();
    a.state = state->data();
    a.sweeps = static_cast<int64_t>(p.temperatures.size());
    a.temperatures = p.temperatures.data();
    a.seed = 5;
    a.offset = 7;
    return a;
}

void test_pairs(const Problem& p, const Floats& w) {
    std::vector<int64_t> want;
    for (const std::string& level : levels())
        for (const int threads : {1, 2, 8}) {
            CHECK_OK(hc_set_isa(level.c_str()));
            Words state = p.state;
            std::vector<int64_t> pairs(static_cast<size_t>(p.n * p.n), -1);
            hc_dense_args a = dense_arguments(p, w, &state);
            a.clamp = p.clamp.data();
            a.asynchronous = 1;
            a.counted_sweeps = 2;
            a.pairs = pairs.data();
            a.threads = threads;
            CHECK_OK(hc_dense_gibbs(&a));
            if (want.empty()) want = pairs;
            CHECK(pairs == want);
            for (int64_t i = 0; i < p.n; ++i)
                for (int64_t j = 0; j < p.n; ++j) {
                    CHECK(pairs[i * p.n + j] == pairs[j * p.n + i]);
                    CHECK(pairs[i * p.n + j] >= 0 && pairs[i * p.n + j] <= pairs[i * p.n + i]);
                    CHECK(pairs[i * p.n + i] <= 2 * p.batch);
                }
        }
}

void test_dense() {
    for (const auto& [n, batch] : {std::pair<int64_t, int64_t>{1, 1}, {15, 64}, {17, 65}, {61, 3}, {130, 330}}) {
        const Problem p = make_problem(n, batch, 100, static_cast<uint64_t>(n));
        Floats w(static_cast<size_t>(n * n));
        for (int64_t i = 0; i < n; ++i)
            for (int64_t e = p.indptr[i]; e < p.indptr[i + 1]; ++e) w[i * n + p.indices[e]] = p.weights[e];
        std::vector<int32_t> order;
        for (size_t sweep = 0; sweep < p.temperatures.size(); ++sweep)
            for (int64_t i = n; i-- > 0;) order.push_back(static_cast<int32_t>(i));
        for (const bool reversed : {false, true}) {
            Words want;
            for (const std::string& level : levels())
                for (const int threads : {1, 2, 8}) {
                    CHECK_OK(hc_set_isa(level.c_str()));
                    Words state = p.state;
                    hc_dense_args a = dense_arguments(p, w, &state);
                    a.clamp = p.clamp.data();
                    a.spin = reversed;
                    a.order = reversed ? order.data() : nullptr;
                    a.threads = threads;
                    CHECK_OK(hc_dense_gibbs(&a));
                    if (want.empty()) want = state;
                    CHECK(state == want);
                }
        }
        test_pairs(p, w);
        CHECK_OK(hc_set_isa(nullptr));
        Words state = p.state;
        hc_dense_args a = dense_arguments(p, w, &state);
        a.asynchronous = 1;
        a.order = order.data();
        CHECK_REFUSED(hc_dense_gibbs(&a), "order");
        a.order = nullptr;
        a.counted_sweeps = a.sweeps + 1;
        CHECK_REFUSED(hc_dense_gibbs(&a), "counted_sweeps");
        a = dense_arguments(p, w, &state);
        w[0] = 1.0f;
        CHECK_REFUSED(hc_dense_gibbs(&a), "diagonal");
        w[0] = 0.0f;
        order.back() = static_cast<int32_t>(n);
        a.order = order.data();
        CHECK_REFUSED(hc_dense_gibbs(&a), "order");
        CHECK(state == p.state);
    }
}

void test_refusals() {
    const Problem good = make_problem(6, 5, 100, 1);
    const auto refused = [&](const char* word, auto change) {
        Problem p = good;
        Words state = p.state;
        hc_graph_args a = arguments(p, &state);
        change(p, a);
        CHECK_REFUSED(hc_graph_gibbs(&a), word);
        CHECK(state == good.state);
    };
    CHECK_REFUSED(hc_graph_gibbs(nullptr), "args");
    refused("n_sites", [](Problem&, hc_graph_args& a) { a.n_sites = 0; });
    refused("batch", [](Problem&, hc_graph_args& a) { a.batch = -1; });
    refused("indptr", [](Problem&, hc_graph_args& a) { a.indptr = nullptr; });
    refused("indptr", [](Problem& p, hc_graph_args&) { p.indptr[2] = 100; });
    refused("indices", [](Problem& p, hc_graph_args&) { p.indices[0] = 6; });
    refused("itself", [](Problem& p, hc_graph_args&) { p.indices[0] = 0; });
    refused("twice", [](Problem& p, hc_graph_args&) { p.indices[0] = p.indices[1]; });
    refused("symmetric", [](Problem& p, hc_graph_args&) { p.weights[0] += 1.0f; });
    refused("weights", [](Problem& p, hc_graph_args&) { p.weights[0] = std::numeric_limits<float>::infinity(); });
    refused("bias", [](Problem& p, hc_graph_args&) { p.bias[5] = std::numeric_limits<float>::quiet_NaN(); });
    refused("temperature", [](Problem& p, hc_graph_args&) { p.temperatures[1] = 0.0f; });
    refused("sweeps", [](Problem&, hc_graph_args& a) { a.sweeps = 0; });
    refused("first_sample", [](Problem&, hc_graph_args& a) { a.first_sample = 1; });
    refused("threads", [](Problem&, hc_graph_args& a) { a.threads = -1; });
    const std::vector<int32_t> same(6, 0), wrong = {0, 1, 2, 3, 4, 6};
    refused("colors", [&](Problem&, hc_graph_args& a) { a.colors = same.data(); });
    refused("colors", [&](Problem&, hc_graph_args& a) { a.colors = wrong.data(); });
}

}  // namespace

int main() {
    test_agreement();
    test_dense();
    test_refusals();
    if (g_failures) std::printf("%d checks failed\n", g_failures);
    return g_failures != 0;
}
