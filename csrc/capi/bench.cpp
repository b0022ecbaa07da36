// The machine's own limits, measured by the library so that benchmarks need no second set of kernels.
#include <chrono>
#include <cstring>

#include "capi/border.h"
#include "cpu/dispatch.h"
#include "cpu/workspace.h"

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

}  // namespace

extern "C" {

hc_status hc_bench_fma_peak(const char* isa, int64_t iterations, double* flop_per_second) {
    return hc::at_border([&] {
        hc::require_pointer(isa, "isa");
        hc::require_pointer(flop_per_second, "flop_per_second");
        hc::require(iterations >= 1, "iterations: expected at least 1");
        alignas(64) float sink[16];
        hc::FmaPeakArgs args{};
        args.iterations = iterations;
        args.factor = 0.5f;  // the sums settle at 1: no overflow, no subnormals
        args.term = 0.5f;
        args.sink = sink;
        double flop = 0.0;
        args.flop = &flop;
        const hc::KernelTable& kernel = hc::kernels(hc::isa_named(isa));
        const auto start = Clock::now();
        kernel.fma_peak(&args);
        *flop_per_second = flop / seconds_since(start);
    });
}

hc_status hc_bench_copy(int64_t n_bytes, int64_t iterations, double* bytes_per_second) {
    return hc::at_border([&] {
        hc::require(n_bytes >= 1 && n_bytes <= (int64_t{1} << 40), "n_bytes: expected a size in 1..2^40");
        hc::require(iterations >= 1, "iterations: expected at least 1");
        hc::require_pointer(bytes_per_second, "bytes_per_second");
        hc::Workspace workspace;
        char* from = workspace.take<char>(n_bytes);
        char* to = workspace.take<char>(n_bytes);
        std::memset(from, 1, static_cast<size_t>(n_bytes));  // pages that were never written all read from one
        std::memset(to, 0, static_cast<size_t>(n_bytes));
        const auto start = Clock::now();
        for (int64_t i = 0; i < iterations; ++i) {
            std::memcpy(to, from, static_cast<size_t>(n_bytes));
            asm volatile("" : : "r"(to) : "memory");  // every copy counts
        }
        *bytes_per_second = 2.0 * static_cast<double>(n_bytes) * static_cast<double>(iterations) / seconds_since(start);
    });
}

}  // extern "C"
