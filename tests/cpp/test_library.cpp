// The shared library as its callers meet it, meant to be built with sanitizers: settings, bits, random numbers, many
// callers at once, a forked child, sizes that overflow. Arrays have exactly the size that the header asks for, so reads
// and writes past the end are AddressSanitizer's to find. What the numbers should be is the Python suite's business;
// here a level and a thread count are compared with another.
#include <sys/wait.h>
#include <unistd.h>

#include <limits>
#include <thread>

#include "rbm_problem.h"

namespace {

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
    test_refusals();
    std::vector<void (*)()> tests = {test_bits, test_random, test_many_callers};
    if (forks) tests.push_back(test_fork);
    return run_at_every_level(tests);
}
