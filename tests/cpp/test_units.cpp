// Sampling of units of every type through the C interface, meant to be built with sanitizers: arrays have exactly the size
// that the header asks for, levels and thread counts must agree to the last bit, and bad arguments are refused by name.
#include <cmath>
#include <limits>

#include "check.h"

namespace {

struct Sampled {
    Floats states, means;
    bool operator==(const Sampled& other) const { return states == other.states && means == other.means; }
};

Floats inputs(int64_t n, uint64_t seed) {
    Lcg rng(seed);
    Floats x(static_cast<size_t>(n));
    for (float& value : x) value = static_cast<float>(rng.below(2001) - 1000) * 0.01f;
    return x;
}

hc_units_args arguments(int type, int64_t batch, int64_t n_units, const Floats& x, Sampled& out) {
    hc_units_args a{};
    a.struct_size = sizeof a;
    a.type = type;
    a.batch = batch;
    a.n_units = n_units;
    a.group = 3;
    a.x = x.data();
    a.seed = 9;
    a.offset = 1ull << 35;
    a.first_sample = 128;
    a.states = out.states.data();
    a.means = out.means.data();
    return a;
}

Sampled sampled(int type, int64_t batch, int64_t n_units, int threads) {
    const Floats x = inputs(batch * n_units, static_cast<uint64_t>(batch + type));
    Sampled out{Floats(x.size()), Floats(x.size())};
    Floats std(static_cast<size_t>(n_units), 0.5f);
    hc_units_args a = arguments(type, batch, n_units, x, out);
    a.std = type == HC_UNIT_GAUSSIAN ? std.data() : nullptr;
    a.threads = threads;
    CHECK_OK(hc_sample_units(&a));
    Sampled alone{Floats(x.size()), Floats()};
    a.states = alone.states.data();
    a.means = nullptr;
    CHECK_OK(hc_sample_units(&a));
    CHECK(alone.states == out.states);
    return out;
}

void test_agreement() {
    // Both sides of 16-unit pairs, 64-sample blocks, and tiles of 256.
    const int64_t shapes[][2] = {{1, 3}, {2, 15}, {17, 33}, {63, 48}, {65, 51}, {257, 6}, {3, 519}, {300, 270}};
    for (int type = HC_UNIT_BERNOULLI; type <= HC_UNIT_STEPPED_SIGMOID; ++type)
        for (const auto& shape : shapes) {
            Sampled expected;
            for (const std::string& level : levels())
                for (const int threads : {1, 3}) {
                    CHECK_OK(hc_set_isa(level.c_str()));
                    const Sampled found = sampled(type, shape[0], shape[1], threads);
                    for (const float s : found.states) CHECK(std::isfinite(s));
                    if (expected.states.empty()) expected = found;
                    CHECK(found == expected);
                }
        }
    CHECK_OK(hc_set_isa(nullptr));
}

void test_refusals() {
    const Floats x = inputs(12, 1);
    Sampled out{Floats(12), Floats(12)};
    const hc_units_args good = arguments(HC_UNIT_SOFTMAX, 2, 6, x, out);
    const Floats kept = out.states;
    const auto refused = [&](auto&& change, const char* word, int line) {
        hc_units_args a = good;
        change(a);
        check_refused(hc_sample_units(&a), HC_INVALID_ARGUMENT, word, line);
        CHECK(out.states == kept);
    };
    const float nan = std::numeric_limits<float>::quiet_NaN();
    const Floats bad_x(12, nan), zeros(6, 0.0f), nans(6, nan), ones(6, 1.0f);
    CHECK_REFUSED(hc_sample_units(nullptr), "args");
    refused([](auto& a) { a.struct_size = 4; }, "struct_size", __LINE__);
    refused([](auto& a) { a.type = -1; }, "type", __LINE__);
    refused([](auto& a) { a.type = 6; }, "type", __LINE__);
    for (const int64_t n : {int64_t{0}, int64_t{-1}, std::numeric_limits<int64_t>::max()}) {
        refused([&](auto& a) { a.batch = n; }, "batch", __LINE__);
        refused([&](auto& a) { a.n_units = n; }, "n_units", __LINE__);
    }
    refused([](auto& a) { a.batch = a.n_units = std::numeric_limits<int32_t>::max(); }, "too large", __LINE__);
    for (const int64_t n : {-3, 0, 1, 4, 12}) refused([&](auto& a) { a.group = n; }, "group", __LINE__);
    refused([](auto& a) { a.x = nullptr; }, "x", __LINE__);
    refused([](auto& a) { a.states = nullptr; }, "states", __LINE__);
    refused([&](auto& a) { a.x = bad_x.data(); }, "x: expected finite", __LINE__);
    refused([&](auto& a) { a.means = a.states + 3; }, "means", __LINE__);
    refused([&](auto& a) { a.states = const_cast<float*>(a.x); }, "states", __LINE__);
    refused([](auto& a) { a.first_sample = 3; }, "first_sample", __LINE__);
    refused([](auto& a) { a.first_sample = int64_t{1} << 34; }, "first_sample", __LINE__);
    refused([](auto& a) { a.threads = -1; }, "threads", __LINE__);
    refused([&](auto& a) { a.std = ones.data(); }, "std: only Gaussian", __LINE__);
    for (const Floats* std : {&zeros, &nans})
        refused(
            [&](auto& a) {
                a.type = HC_UNIT_GAUSSIAN;
                a.std = std->data();
            },
            "std: expected", __LINE__);
}

}  // namespace

int main() {
    test_agreement();
    test_refusals();
    if (g_failures) std::printf("%d checks failed\n", g_failures);
    return g_failures != 0;
}
