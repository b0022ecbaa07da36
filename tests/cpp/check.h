// What the C++ tests share: checks that count failures, and numbers of the tests' own.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "hintoncore/hintoncore.h"

inline int g_failures = 0;

#define CHECK(condition)                                                        \
    do {                                                                        \
        if (!(condition)) {                                                     \
            std::printf("%s:%d: failed: %s\n", __FILE__, __LINE__, #condition); \
            ++g_failures;                                                       \
        }                                                                       \
    } while (0)

#define CHECK_OK(call)                                                                                                 \
    do {                                                                                                               \
        const hc_status status_ = (call);                                                                              \
        if (status_ != HC_OK) {                                                                                        \
            std::printf("%s:%d: %s: %d, %s\n", __FILE__, __LINE__, #call, static_cast<int>(status_), hc_last_error()); \
            ++g_failures;                                                                                              \
        }                                                                                                              \
    } while (0)

inline void check_refused(hc_status status, hc_status expected, const char* word, int line) {
    if (status == expected && std::strstr(hc_last_error(), word)) return;
    std::printf("line %d: expected status %d naming '%s', got %d: %s\n", line, static_cast<int>(expected), word,
                static_cast<int>(status), hc_last_error());
    ++g_failures;
}
#define CHECK_REFUSED(call, word) check_refused((call), HC_INVALID_ARGUMENT, word, __LINE__)

using Floats = std::vector<float>;
using Words = std::vector<uint64_t>;

// A generator of the test's own: the library's is under test.
class Lcg {
   public:
    explicit Lcg(uint64_t seed) : state_(seed * 2862933555777941757u + 3037000493u) {}
    uint32_t next() {
        state_ = state_ * 6364136223846793005u + 1442695040888963407u;
        return static_cast<uint32_t>(state_ >> 33);
    }
    int below(int n) { return static_cast<int>(next() % static_cast<uint32_t>(n)); }

   private:
    uint64_t state_;
};

inline Floats binary(Lcg& rng, int64_t n) {
    Floats x(static_cast<size_t>(n));
    for (float& value : x) value = static_cast<float>(rng.below(2));
    return x;
}

inline Floats integers(Lcg& rng, int64_t n) {
    Floats x(static_cast<size_t>(n));
    for (float& value : x) value = static_cast<float>(rng.below(5) - 2);
    return x;
}

inline Floats fractions(Lcg& rng, int64_t n) {
    Floats x(static_cast<size_t>(n));
    for (float& value : x) value = static_cast<float>(rng.below(257)) / 256.0f;
    return x;
}

inline std::vector<std::string> levels() {
    std::vector<std::string> found;
    for (const char* name : {"scalar", "avx2", "avx512"})
        if (hc_isa_built(name) && hc_isa_detected(name)) found.push_back(name);
    return found;
}

// Arguments that say their own size, all else zero.
template <class Args>
Args sized() {
    Args args{};
    args.struct_size = sizeof args;
    return args;
}

// A call that spoils good arguments in one place: it must be refused, with an error that has the word in it.
template <class Args>
class Refuser {
   public:
    Refuser(const Args& good, std::function<hc_status(const Args*)> call) : good_(good), call_(std::move(call)) {}
    template <class Spoil>
    void operator()(Spoil&& spoil, const char* word, int line) const {
        Args args = good_;
        spoil(args);
        check_refused(call_(&args), HC_INVALID_ARGUMENT, word, line);
    }

   private:
    Args good_;
    std::function<hc_status(const Args*)> call_;
};

// What main returns after the tests at every level that is built and that this processor has.
inline int run_at_every_level(const std::vector<void (*)()>& tests) {
    for (const std::string& level : levels()) {
        const int before = g_failures;
        CHECK_OK(hc_set_isa(level.c_str()));
        for (void (*test)() : tests) test();
        std::printf("level %s: %s\n", level.c_str(), g_failures == before ? "ok" : "FAILED");
    }
    CHECK_OK(hc_set_isa(nullptr));
    std::printf(g_failures ? "%d checks failed\n" : "all checks passed\n", g_failures);
    return g_failures ? 1 : 0;
}
