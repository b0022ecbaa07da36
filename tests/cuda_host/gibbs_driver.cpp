// Runs the host entries of csrc/cuda/gibbs.cu and bits.cu, and with them their kernels, on one case.
#include "cases.h"
#include "cuda/bits.h"
#include "cuda/gibbs.h"

int main() {
    const hc_test::Case c = hc_test::Case::read();
    const int64_t batch = c.integer("batch"), n_in = c.integer("n_in"), n_out = c.integer("n_out");
    const size_t n_words = static_cast<size_t>((batch + 63) / 64);
    return hc_test::for_each_order([&] {
        const hc_test::Device<float> dense(c.bytes("dense")), w(c.bytes("w")), bias(c.bytes("bias"));
        const size_t outputs = static_cast<size_t>(n_out), samples = static_cast<size_t>(batch);
        const hc_test::Device<uint64_t> in(static_cast<size_t>(n_in) * n_words), out(outputs * n_words);
        const hc_test::Device<float> probs(samples * outputs), sample(samples * outputs);
        hc::cuda::pack_bits(dense.get(), in.get(), batch, n_in, nullptr);
        hc::cuda::GibbsArgs args = {};
        args.in = in.get();
        args.w = w.get();
        args.stride_in = c.integer("stride_in");
        args.stride_out = c.integer("stride_out");
        args.bias = bias.get();
        args.out = out.get();
        args.probs = c.integer("want_probs") ? probs.get() : nullptr;
        args.batch = batch;
        args.n_in = n_in;
        args.n_out = n_out;
        args.temperature = static_cast<float>(c.real("temperature"));
        args.seed = c.natural("seed");
        args.offset = c.natural("offset");
        args.first_sample = c.integer("first_sample");
        hc::cuda::gibbs_step(args, nullptr);
        hc::cuda::unpack_bits(out.get(), sample.get(), batch, n_out, nullptr);
        hc_test::Outputs result = {{"in", in.bytes()}, {"out", out.bytes()}, {"sample", sample.bytes()}};
        if (args.probs) result["probs"] = probs.bytes();
        return result;
    });
}
