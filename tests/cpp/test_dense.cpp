// The dense part of the C interface (products, layers, functions of one variable, ceilings), for the sanitizers: every edge of
// the tiles, every layout, every level, many callers. Integer-valued products are exact and compared with the plain sum.
#include <cmath>
#include <limits>
#include <thread>

#include "check.h"

namespace {

struct Product {
    int64_t m, n, k;
};

// Below, at and above the register tiles (4 x 8, 6 x 16, 12 x 32), the depth of a block (1024), and skinny both ways.
const std::vector<Product> kProducts = {{1, 1, 1},      {1, 33, 7},   {33, 1, 7},   {4, 8, 16},   {5, 9, 17},
                                        {6, 16, 3},     {7, 17, 31},  {13, 31, 40}, {14, 32, 8},  {15, 33, 513},
                                        {29, 65, 1030}, {130, 3, 70}, {2, 200, 9},  {64, 100, 64}};

float plain_activation(int activation, float x) {
    switch (activation) {
        case HC_ACTIVATION_RELU:
            return x > 0.0f ? x : 0.0f;
        case HC_ACTIVATION_SIGMOID:
            return static_cast<float>(1.0 / (1.0 + std::exp(-static_cast<double>(x))));
        case HC_ACTIVATION_TANH:
            return std::tanh(x);
        default:
            return x;
    }
}

bool close(float x, float expected, float tolerance) {
    return x == expected || std::fabs(x - expected) <= tolerance * (1.0f + std::fabs(expected));
}

Floats matmul(const Product& p, bool trans_a, bool trans_b, int activation, int threads, bool check_result) {
    Lcg rng(static_cast<uint64_t>(p.m * 131 + p.n * 17 + p.k));
    // The last row of a matrix with a wide stride ends with its last element, not with the stride.
    const int64_t a_rows = trans_a ? p.k : p.m, a_columns = trans_a ? p.m : p.k, lda = a_columns + 3;
    const int64_t b_rows = trans_b ? p.n : p.k, b_columns = trans_b ? p.k : p.n, ldb = b_columns + 1, ldc = p.n + 2;
    const Floats a = integers(rng, (a_rows - 1) * lda + a_columns), b = integers(rng, (b_rows - 1) * ldb + b_columns);
    const Floats bias = integers(rng, p.n);
    Floats c(static_cast<size_t>((p.m - 1) * ldc + p.n), -77.0f);
    hc_matmul_args args{};
    args.struct_size = sizeof args;
    args.m = p.m;
    args.n = p.n;
    args.k = p.k;
    args.a = a.data();
    args.lda = lda;
    args.trans_a = trans_a;
    args.b = b.data();
    args.ldb = ldb;
    args.trans_b = trans_b;
    args.alpha = 0.5f;
    args.bias = bias.data();
    args.activation = activation;
    args.out = c.data();
    args.ld_out = ldc;
    args.threads = threads;
    CHECK_OK(hc_matmul(&args));
    if (!check_result) return c;
    for (int64_t i = 0; i < p.m; ++i) {
        for (int64_t j = 0; j < p.n; ++j) {
            float sum = 0.0f;
            for (int64_t k = 0; k < p.k; ++k)
                sum += a[static_cast<size_t>(trans_a ? k * lda + i : i * lda + k)] *
                       b[static_cast<size_t>(trans_b ? j * ldb + k : k * ldb + j)];
            const float expected = plain_activation(activation, 0.5f * sum + bias[static_cast<size_t>(j)]);
            CHECK(close(c[static_cast<size_t>(i * ldc + j)], expected, 1e-6f));
        }
        for (int64_t j = p.n; i + 1 < p.m && j < ldc; ++j) CHECK(c[static_cast<size_t>(i * ldc + j)] == -77.0f);
    }
    return c;
}

struct Gradients {
    Floats dx, dw, db;
    bool operator==(const Gradients& o) const { return dx == o.dx && dw == o.dw && db == o.db; }
};

Gradients linear_backward(const Product& p, int activation, int threads) {
    Lcg rng(static_cast<uint64_t>(p.m + p.n + p.k));
    const Floats x = integers(rng, p.m * p.k), w = integers(rng, p.k * p.n), dy = integers(rng, p.m * p.n);
    const Floats y = fractions(rng, p.m * p.n);
    Gradients g{Floats(x.size()), Floats(w.size()), Floats(static_cast<size_t>(p.n))};
    hc_linear_backward_args a{};
    a.struct_size = sizeof a;
    a.batch = p.m;
    a.n_in = p.k;
    a.n_out = p.n;
    a.x = x.data();
    a.w = w.data();
    a.y = activation == HC_ACTIVATION_NONE ? nullptr : y.data();
    a.dy = dy.data();
    a.activation = activation;
    a.dx = g.dx.data();
    a.dw = g.dw.data();
    a.db = g.db.data();
    a.threads = threads;
    CHECK_OK(hc_linear_backward(&a));
    if (activation == HC_ACTIVATION_NONE)
        for (int64_t j = 0; j < p.n; ++j) {
            float sum = 0.0f;
            for (int64_t i = 0; i < p.m; ++i) sum += dy[static_cast<size_t>(i * p.n + j)];
            CHECK(g.db[static_cast<size_t>(j)] == sum);
        }
    for (float** part : {&a.dx, &a.dw, &a.db}) {  // each alone gives the same
        hc_linear_backward_args alone = a;
        Gradients h{Floats(x.size()), Floats(w.size()), Floats(static_cast<size_t>(p.n))};
        alone.dx = part == &a.dx ? h.dx.data() : nullptr;
        alone.dw = part == &a.dw ? h.dw.data() : nullptr;
        alone.db = part == &a.db ? h.db.data() : nullptr;
        CHECK_OK(hc_linear_backward(&alone));
        CHECK(part == &a.dx ? h.dx == g.dx : part == &a.dw ? h.dw == g.dw : h.db == g.db);
    }
    return g;
}

void test_products() {
    for (const Product& p : kProducts)
        for (int layout = 0; layout < 4; ++layout)
            for (int activation = HC_ACTIVATION_NONE; activation <= HC_ACTIVATION_TANH; ++activation) {
                const Floats one = matmul(p, layout & 1, layout & 2, activation, 1, true);
                for (const int threads : {2, 3, 8})
                    CHECK(matmul(p, layout & 1, layout & 2, activation, threads, false) == one);
            }
}

void test_gradients() {
    for (const Product& p : kProducts)
        for (int activation = HC_ACTIVATION_NONE; activation <= HC_ACTIVATION_TANH; ++activation) {
            const Gradients one = linear_backward(p, activation, 1);
            for (const int threads : {2, 3, 8}) CHECK(linear_backward(p, activation, threads) == one);
        }
}

void test_functions() {
    const float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
    for (const int64_t n : {1, 7, 8, 15, 16, 17, 100, 70001}) {
        Lcg rng(static_cast<uint64_t>(n));
        Floats x(static_cast<size_t>(n));
        for (float& value : x) value = static_cast<float>(rng.below(200001) - 100000) / 1000.0f;
        const float special[] = {0.0f, -0.0f, inf, -inf, nan, 1e-40f, 3e38f, -3e38f};
        for (size_t i = 0; i < 8 && i < x.size(); ++i) x[i] = special[i];
        for (int f = HC_FUNCTION_EXP; f <= HC_FUNCTION_SOFTPLUS; ++f) {
            Floats one(x.size()), many(x.size()), in_place = x;
            CHECK_OK(hc_elementwise(f, x.data(), one.data(), n, 1));
            CHECK_OK(hc_elementwise(f, x.data(), many.data(), n, 3));
            CHECK_OK(hc_elementwise(f, in_place.data(), in_place.data(), n, 2));
            CHECK(std::memcmp(one.data(), many.data(), one.size() * sizeof(float)) == 0);
            CHECK(std::memcmp(one.data(), in_place.data(), one.size() * sizeof(float)) == 0);
        }
    }
}

void test_ceilings() {
    double rate = 0.0;
    for (const std::string& level : levels()) {
        CHECK_OK(hc_bench_fma_peak(level.c_str(), 1000, &rate));
        CHECK(rate > 0.0);
    }
    CHECK_OK(hc_bench_copy(12345, 3, &rate));
    CHECK(rate > 0.0);
    CHECK_REFUSED(hc_bench_fma_peak("nothing", 10, &rate), "nothing");
    CHECK_REFUSED(hc_bench_fma_peak("scalar", 0, &rate), "iterations");
    CHECK_REFUSED(hc_bench_fma_peak(nullptr, 1, &rate), "isa");
    CHECK_REFUSED(hc_bench_copy(0, 1, &rate), "n_bytes");
    CHECK_REFUSED(hc_bench_copy(std::numeric_limits<int64_t>::max(), 1, &rate), "n_bytes");
    CHECK_REFUSED(hc_bench_copy(64, 1, nullptr), "bytes_per_second");
}

void test_refusals() {
    float a[6] = {}, b[6] = {}, c[4] = {};
    hc_matmul_args p{};
    p.struct_size = sizeof p;
    p.m = p.n = 2;
    p.k = 3;
    p.a = a;
    p.lda = 3;
    p.b = b;
    p.ldb = 2;
    p.alpha = 1.0f;
    p.out = c;
    p.ld_out = 2;
    CHECK_OK(hc_matmul(&p));
    const auto refused = [&](auto&& spoil, const char* word, int line) {
        hc_matmul_args q = p;
        spoil(q);
        check_refused(hc_matmul(&q), HC_INVALID_ARGUMENT, word, line);
    };
    CHECK_REFUSED(hc_matmul(nullptr), "args");
    refused([](auto& q) { q.struct_size = 1; }, "struct_size", __LINE__);
    for (const int64_t bad : {int64_t{0}, int64_t{-1}, INT64_MAX, INT64_MIN, int64_t{1} << 31}) {
        refused([=](auto& q) { q.m = bad; }, "m", __LINE__);
        refused([=](auto& q) { q.n = bad; }, "n", __LINE__);
        refused([=](auto& q) { q.k = bad; }, "k", __LINE__);
        refused([=](auto& q) { q.lda = bad; }, "lda", __LINE__);
        refused([=](auto& q) { q.ldb = bad; }, "ldb", __LINE__);
        refused([=](auto& q) { q.ld_out = bad; }, "ld_out", __LINE__);
    }
    refused([](auto& q) { q.m = q.ld_out = INT32_MAX; }, "too large", __LINE__);
    refused([](auto& q) { q.a = nullptr; }, "a", __LINE__);
    refused([](auto& q) { q.b = nullptr; }, "b", __LINE__);
    refused([](auto& q) { q.out = nullptr; }, "out", __LINE__);
    refused([&](auto& q) { q.out = a + 2; }, "out", __LINE__);
    refused([](auto& q) { q.activation = 4; }, "activation", __LINE__);
    refused([](auto& q) { q.activation = -1; }, "activation", __LINE__);
    refused([](auto& q) { q.alpha = std::numeric_limits<float>::quiet_NaN(); }, "alpha", __LINE__);
    refused([](auto& q) { q.threads = -1; }, "threads", __LINE__);

    hc_linear_backward_args g{};
    g.struct_size = sizeof g;
    g.batch = g.n_out = 2;
    g.n_in = 3;
    g.x = a;
    g.w = b;
    g.dy = c;
    float dx[6], dw[6], db[2];
    g.dx = dx;
    g.dw = dw;
    g.db = db;
    CHECK_OK(hc_linear_backward(&g));
    const auto gradient_refused = [&](auto&& spoil, const char* word, int line) {
        hc_linear_backward_args q = g;
        spoil(q);
        check_refused(hc_linear_backward(&q), HC_INVALID_ARGUMENT, word, line);
    };
    CHECK_REFUSED(hc_linear_backward(nullptr), "args");
    gradient_refused([](auto& q) { q.batch = 0; }, "batch", __LINE__);
    gradient_refused([](auto& q) { q.n_in = INT64_MAX; }, "n_in", __LINE__);
    gradient_refused([](auto& q) { q.n_out = -3; }, "n_out", __LINE__);
    gradient_refused([](auto& q) { q.n_in = q.n_out = INT32_MAX; }, "too large", __LINE__);
    gradient_refused([](auto& q) { q.dx = q.dw = q.db = nullptr; }, "at least one", __LINE__);
    gradient_refused([](auto& q) { q.activation = HC_ACTIVATION_RELU; }, "y", __LINE__);
    gradient_refused([](auto& q) { q.dy = nullptr; }, "dy", __LINE__);
    gradient_refused([&](auto& q) { q.dx = a; }, "dx", __LINE__);
    gradient_refused([&](auto& q) { q.dw = dx + 1; }, "d", __LINE__);

    CHECK_REFUSED(hc_elementwise(-1, a, b, 6, 0), "function");
    CHECK_REFUSED(hc_elementwise(5, a, b, 6, 0), "function");
    CHECK_REFUSED(hc_elementwise(HC_FUNCTION_EXP, nullptr, b, 6, 0), "x");
    CHECK_REFUSED(hc_elementwise(HC_FUNCTION_EXP, a, nullptr, 6, 0), "y");
    CHECK_REFUSED(hc_elementwise(HC_FUNCTION_EXP, a, a + 1, 5, 0), "y");
    CHECK_REFUSED(hc_elementwise(HC_FUNCTION_EXP, a, b, 0, 0), "n");
    CHECK_REFUSED(hc_elementwise(HC_FUNCTION_EXP, a, b, std::numeric_limits<int64_t>::max(), 0), "n");
    CHECK_REFUSED(hc_elementwise(HC_FUNCTION_EXP, a, b, 6, -1), "threads");
}

void test_many_callers() {
    const Product p{29, 65, 1030};
    const Floats expected = matmul(p, false, true, HC_ACTIVATION_SIGMOID, 1, false);
    const Gradients gradients = linear_backward(p, HC_ACTIVATION_TANH, 1);
    std::vector<int> wrong(4, 0);
    std::vector<std::thread> callers;
    for (size_t i = 0; i < wrong.size(); ++i)
        callers.emplace_back([&, i] {
            for (int round = 0; round < 3; ++round) {
                wrong[i] += matmul(p, false, true, HC_ACTIVATION_SIGMOID, static_cast<int>(i), false) != expected;
                wrong[i] += !(linear_backward(p, HC_ACTIVATION_TANH, static_cast<int>(i)) == gradients);
            }
        });
    for (std::thread& caller : callers) caller.join();
    for (const int n : wrong) CHECK(n == 0);
}

}  // namespace

int main() {
    test_refusals();
    test_ceilings();
    return run_at_every_level({test_products, test_gradients, test_functions, test_many_callers});
}
