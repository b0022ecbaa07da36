#include "capi/border.h"
#include "cpu/dispatch.h"
#include "cpu/thread_pool.h"

extern "C" {

hc_status hc_philox4x32_10(const uint32_t* counters, const uint32_t* key, int64_t n, uint32_t* out) {
    return hc::at_border([&] {
        hc::require_pointer(counters, "counters");
        hc::require_pointer(key, "key");
        hc::require_pointer(out, "out");
        hc::require_size(n, "n");
        hc::PhiloxBlocksArgs args{};
        args.counters = counters;
        args.key[0] = key[0];
        args.key[1] = key[1];
        args.n = n;
        args.out = out;
        hc::kernels().philox_blocks(&args);
    });
}

hc_status hc_uniform(uint64_t seed, uint64_t offset, int64_t n, float* out, int threads) {
    return hc::at_border([&] {
        hc::require_pointer(out, "out");
        hc::require(n >= 1 && n <= (int64_t{1} << 34), "n: expected a size in 1..2^34");
        hc::require_threads(threads);
        constexpr int64_t kPerTile = 1 << 16;
        const hc::KernelTable& kernel = hc::kernels();
        hc::parallel_for((n + kPerTile - 1) / kPerTile, threads, [&](int64_t tile) {
            hc::PhiloxUniformArgs args{};
            args.first = tile * kPerTile;
            args.n = n - args.first < kPerTile ? n - args.first : kPerTile;
            args.out = out + args.first;
            args.seed = seed;
            args.offset = offset;
            kernel.philox_uniform(&args);
        });
    });
}

}  // extern "C"
