// Sums of outer products through the C interface, meant to be built with sanitizers: odd shapes, arrays of exactly the size
// that the header asks for, every ISA level and thread count against plain loops on integers, refused arguments.
#include <cmath>
#include <limits>

#include "check.h"

namespace {

struct Shape {
    int64_t batch, n_in, n_out;
};

// Both sides of every tile edge: words of 64 samples, chunks of 60, blocks of 16 units and 4 of them, 64 dense rows.
const std::vector<Shape> kShapes = {{1, 1, 1},    {3, 5, 2},    {59, 7, 15},    {60, 64, 16},  {61, 65, 17},
                                    {64, 63, 64}, {65, 66, 65}, {121, 30, 130}, {200, 129, 33}};

hc_outer_args arguments(const Shape& s, const float* x, const Floats& y, Floats& w, Floats& b) {
    hc_outer_args a{};
    a.struct_size = sizeof a;
    a.batch = s.batch;
    a.n_in = s.n_in;
    a.n_out = s.n_out;
    a.x_dense = x;
    a.y = y.data();
    a.w = w.data();
    a.b = b.data();
    a.rate = 0.5f;
    return a;
}

void test_sums() {
    for (const Shape& s : kShapes) {
        Lcg rng(static_cast<uint64_t>(s.batch));
        const Floats x = binary(rng, s.batch * s.n_in), y = integers(rng, s.batch * s.n_out);
        const Floats w = integers(rng, s.n_in * s.n_out), b = integers(rng, s.n_out);
        Floats expected_w = w, expected_b = b;
        for (int64_t r = 0; r < s.batch; ++r)
            for (int64_t u = 0; u < s.n_out; ++u) {
                const float factor = 0.5f * y[static_cast<size_t>(r * s.n_out + u)];
                expected_b[static_cast<size_t>(u)] += factor;
                for (int64_t i = 0; i < s.n_in; ++i)
                    expected_w[static_cast<size_t>(i * s.n_out + u)] += x[static_cast<size_t>(r * s.n_in + i)] * factor;
            }
        Words bits(static_cast<size_t>(s.n_in * hc_bit_words(s.batch)));
        CHECK_OK(hc_bits_pack(x.data(), s.batch, s.n_in, bits.data(), 0));
        for (const bool packed : {true, false})
            for (const int threads : {1, 3}) {
                Floats found_w = w, found_b = b;
                hc_outer_args a = arguments(s, packed ? nullptr : x.data(), y, found_w, found_b);
                a.x_bits = packed ? bits.data() : nullptr;
                a.threads = threads;
                CHECK_OK(hc_outer_update(&a));
                CHECK(found_w == expected_w);
                CHECK(found_b == expected_b);
            }
    }
}

void test_refusals() {
    const Shape s{2, 3, 2};
    Floats x(6, 1.0f), y(4, 1.0f), w(6, 1.0f), b(2, 1.0f);
    const Words bits(3, 1);
    const hc_outer_args good = arguments(s, x.data(), y, w, b);
    const auto refused = [&](auto&& spoil, const char* word, int line) {
        hc_outer_args a = good;
        spoil(a);
        check_refused(hc_outer_update(&a), HC_INVALID_ARGUMENT, word, line);
    };
    CHECK_REFUSED(hc_outer_update(nullptr), "args");
    refused([](auto& a) { a.struct_size = 4; }, "struct_size", __LINE__);
    refused([](auto& a) { a.batch = 0; }, "batch", __LINE__);
    refused([](auto& a) { a.n_in = -1; }, "n_in", __LINE__);
    refused([](auto& a) { a.n_out = INT64_MAX; }, "n_out", __LINE__);
    refused([](auto& a) { a.n_in = a.n_out = INT32_MAX; }, "too large", __LINE__);
    refused([&](auto& a) { a.x_bits = bits.data(); }, "exactly one", __LINE__);
    refused([](auto& a) { a.y = nullptr; }, "y", __LINE__);
    refused([](auto& a) { a.w = nullptr; }, "w", __LINE__);
    refused([](auto& a) { a.rate = std::numeric_limits<float>::quiet_NaN(); }, "rate", __LINE__);
    refused([](auto& a) { a.threads = -1; }, "threads", __LINE__);
    refused([&](auto& a) { a.y = w.data(); }, "must not share", __LINE__);
    refused([&](auto& a) { a.x_dense = w.data(); }, "must not share", __LINE__);
    refused([&](auto& a) { a.b = w.data(); }, "must not share", __LINE__);
    CHECK(w == Floats(6, 1.0f));
    CHECK(b == Floats(2, 1.0f));
    Floats poisoned = y;
    poisoned[3] = std::numeric_limits<float>::infinity();
    hc_outer_args diverging = good;
    diverging.y = poisoned.data();
    check_refused(hc_outer_update(&diverging), HC_DIVERGED, "w, b", __LINE__);
}

}  // namespace

int main() {
    test_refusals();
    return run_at_every_level({test_sums});
}
