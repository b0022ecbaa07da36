#include <stdexcept>

#include "cuda/gibbs.cuh"

namespace hc {
namespace cuda {

void gibbs_step(const GibbsArgs& args, void* stream) {
    if (args.batch < 1 || args.n_in < 1 || args.n_out < 1)
        throw std::invalid_argument("gibbs_step on CUDA: batch, inputs and outputs must be at least 1");
    // The draw's counter words are 32 bits wide.
    constexpr int64_t kMaxUnits = int64_t{1} << 32, kMaxSamples = int64_t{1} << 34;
    if (args.first_sample < 0 || args.first_sample % 64 != 0)
        throw std::invalid_argument("gibbs_step on CUDA: first_sample must be a multiple of 64, 0 or above");
    if (args.n_out > kMaxUnits || args.batch > kMaxSamples || args.first_sample > kMaxSamples - args.batch)
        throw std::invalid_argument("gibbs_step on CUDA: more than 2^32 outputs or 2^34 samples");
    using T = GibbsTile;
    const int64_t n_words = (args.batch + 63) / 64;
    // Samples along x: neighbouring blocks share a tile of weights, and x has room for any batch.
    const Extent grid{(n_words + T::kWords - 1) / T::kWords, (args.n_out + T::kOutputs - 1) / T::kOutputs, 1};
    launch("gibbs_half_step", gibbs_half_step, grid, Extent{T::kThreads, 1, 1}, 0, static_cast<cudaStream_t>(stream),
           args);
}

}  // namespace cuda
}  // namespace hc
